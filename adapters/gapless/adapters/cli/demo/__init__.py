"""`gapless demo`: a server, a seeded bad network and a client as three processes, and a verdict.

`server` and `client` are programs that use the public asyncio adapter as any application would; the
network is `gapless proxy`. `show` starts them and looks on; `verdict` judges what they say and the
file that the client wrote.
"""
