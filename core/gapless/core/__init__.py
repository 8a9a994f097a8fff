"""gapless.core: the sans-IO machine. Frames in, frames and events out, time as an input.

No dependency, no I/O, no clock: it can be used under any wire, and be copied into another package.
"""
