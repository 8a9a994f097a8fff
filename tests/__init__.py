"""The tests of gapless. A package, so that `python -m tests.…` means this one."""
