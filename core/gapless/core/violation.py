"""How the parts of the machine say that the peer broke the protocol.

Raised and caught inside core: the link is closed with the code, and no caller ever sees it
(design 4.4).
"""

from .closing import Code


class Violation(Exception):
    """The peer did what the protocol forbids."""

    def __init__(self, reason: str, code: Code = Code.VIOLATION) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code
