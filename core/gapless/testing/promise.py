"""What a checker says when a promise is broken."""


class BrokenPromise(AssertionError):
    """One of the promises P1-P9 or invariants I1-I22 does not hold.

    Attributes:
        promise: which, as in the design: `P2`.
    """

    def __init__(self, promise: str, words: str) -> None:
        super().__init__(f"{promise}: {words}")
        self.promise = promise


def hold(condition: object, promise: str, words: str) -> None:
    """Raise `BrokenPromise` unless the condition is true."""
    if not condition:
        raise BrokenPromise(promise, words)
