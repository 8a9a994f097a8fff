"""What the tests of the adapters promise: they leave nothing behind."""

import threading
from collections.abc import Generator

import pytest

from .blocking_support import open_descriptors
from .support import LIMIT


@pytest.fixture
def leaves_nothing() -> Generator[None, None, None]:
    """Hold what every test promises: no thread and no descriptor is left behind.

    A thread that asks the application something ends by itself once that has answered.
    """
    threads, descriptors = set(threading.enumerate()), open_descriptors()
    yield
    for thread in threading.enumerate():
        if thread.name == "gapless-aside":
            thread.join(LIMIT)
    assert set(threading.enumerate()) <= threads
    assert open_descriptors() <= descriptors
