"""`gapless demo`: a server, a seeded bad network and a client as three processes, and a verdict.

`server` and `client` are programs that use a public adapter as any application would, on each of
the `runtimes`; the network is `gapless proxy`. `show` starts them and looks on; `verdict` judges
what they say and the file that the client wrote.
"""
