"""gapless.adapters: what does I/O. `asyncio` and `blocking` are runtimes, `cli` the command line.

The modules beside them hold what every runtime shares and needs no I/O: `errors`, `dialing` (URLs,
TLS settings, why a dial failed) and `ledger` (who waits for which publish).
"""
