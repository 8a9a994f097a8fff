"""Running commands inside the test's own process, which is much quicker than starting one.

Their servers, and whatever a signal ends, are processes all the same.
"""

import os
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gapless.adapters.cli.app import run_app
from tests.acceptance.tools import environment, serving


@dataclass(frozen=True, slots=True)
class Done:
    """What a command wrote, and its exit code."""

    code: int
    stdout: bytes
    stderr: bytes


Cli = Callable[..., Done]
Publish = Callable[[int, str, bytes], None]


def url(port: int) -> str:
    """Where a server of this machine is."""
    return f"ws://127.0.0.1:{port}/"


@pytest.fixture
def cli(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs a command with these arguments."""
    monkeypatch.delenv("GAPLESS_TOKEN", raising=False)
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])  # for the demo's processes

    def call(*arguments: str) -> Done:
        capfdbinary.readouterr()
        code = run_app(arguments)
        written = capfdbinary.readouterr()
        return Done(code, written.out, written.err)

    return call


@pytest.fixture
def publish(cli: Cli, tmp_path: Path) -> Publish:
    """Publishes lines to the server at a port."""

    def call(port: int, channel: str, lines: bytes) -> None:
        path = tmp_path / f"lines{len(os.listdir(tmp_path))}"
        path.write_bytes(lines)
        assert cli("publish", url(port), channel, str(path)).code == 0

    return call


@pytest.fixture(scope="module")
def port() -> Generator[int]:
    """The port of a server for all tests of a module; each uses a channel of its own."""
    with serving() as (_, number):
        yield number
