"""What the tests of the endpoint share."""

import pytest

from .joined import Joined


@pytest.fixture(params=["websocket", "memory"])
def joined(request: pytest.FixtureRequest) -> Joined:
    both = Joined(request.param)
    both.connect()
    return both
