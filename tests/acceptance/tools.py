"""What the acceptance programs and the tests of the command line share: processes, and a gate.

Everything is a real process on loopback. Only processes started here are ended, by their handle.
"""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import IO, Protocol

import gapless.core

GAPLESS = (sys.executable, "-P", "-m", "gapless.adapters.cli")


def environment() -> dict[str, str]:
    """The environment of a child: the same gapless as here, and no token of the caller's."""
    own = {name: value for name, value in os.environ.items() if name != "GAPLESS_TOKEN"}
    roots = [str(Path(folder).parent) for folder in _namespace()]
    return {**own, "PYTHONPATH": os.pathsep.join(roots), "PYTHONUNBUFFERED": "1"}


def _namespace() -> Iterable[str]:
    return sys.modules[gapless.core.__name__.partition(".")[0]].__path__


def run(
    *arguments: str, stdin: bytes | None = None, timeout: float = 60
) -> subprocess.CompletedProcess[bytes]:
    """Run a `gapless` command to its end."""
    return subprocess.run(
        [*GAPLESS, *arguments],
        input=b"" if stdin is None else stdin,
        capture_output=True,
        timeout=timeout,
        env=environment(),
        check=False,
    )


class Command:
    """A `gapless` command that runs; its standard error, and its output if no file, is read here.

    Attributes:
        process: the handle.
        lines: what it wrote, both streams, without newlines.
    """

    def __init__(self, *arguments: str, stdout: IO[bytes] | None = None) -> None:
        self.lines: list[str] = []
        self._news = threading.Condition()
        self.process = subprocess.Popen(
            [*GAPLESS, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        streams = [self.process.stdout, self.process.stderr]
        self._readers = [
            threading.Thread(target=self._read, args=(stream,), daemon=True)
            for stream in streams
            if stream is not None
        ]
        for reader in self._readers:
            reader.start()

    def wait_for_line(self, part: str, timeout: float = 30) -> str:
        """Wait for a line that contains `part`; return it.

        Raises:
            TimeoutError: none came, or the process ended without one.
        """
        with self._news:
            found = self._news.wait_for(lambda: self._find(part) or self._is_over(), timeout)
            line = self._find(part)
        if not found or line is None:
            raise TimeoutError(f"no line with {part!r}; it said {self.lines}")
        return line

    def feed(self, data: bytes) -> None:
        """Write to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def end_input(self) -> None:
        """Close its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def wait(self, timeout: float = 60) -> int:
        """Wait until it ends; return its exit code."""
        code = self.process.wait(timeout)
        for reader in self._readers:
            reader.join(timeout)
        return code

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it at once. Harmless if it has ended."""
        self.process.kill()
        self.process.wait()
        for reader in self._readers:
            reader.join(10)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def _find(self, part: str) -> str | None:
        return next((line for line in self.lines if part in line), None)

    def _is_over(self) -> bool:
        return not any(reader.is_alive() for reader in self._readers)

    def _read(self, stream: IO[bytes]) -> None:
        for line in stream:
            with self._news:
                self.lines.append(line.decode(errors="backslashreplace").rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()


@contextlib.contextmanager
def started(*arguments: str, stdout: IO[bytes] | None = None) -> Generator[Command]:
    """A running `gapless` command, killed at the end unless it has ended."""
    command = Command(*arguments, stdout=stdout)
    try:
        yield command
    finally:
        command.kill()


@contextlib.contextmanager
def serving(*arguments: str, port: int = 0) -> Generator[tuple[Command, int]]:
    """A running `gapless serve`; yields it and its port."""
    with started("serve", "--port", str(port), *arguments) as server:
        line = server.wait_for_line("listening on ws://")
        yield server, int(line.rsplit(":", 1)[1].strip("/"))


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_until(is_so: Callable[[], bool], what: str, timeout: float = 60) -> None:
    """Wait for something that only shows from outside.

    Raises:
        TimeoutError: it didn't come.
    """
    deadline = time.monotonic() + timeout
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout:g} s")
        time.sleep(0.02)


class Gate(Protocol):
    """A way to a server's port that can be blocked and opened.

    Attributes:
        url: where clients connect.
        how: what blocks.
    """

    url: str
    how: str

    def block(self, *, silently: bool) -> None:
        """Block: with resets, or silently, by dropping every packet."""
        ...

    def restore(self) -> None:
        """Open again."""
        ...


class _FirewallGate:
    """Rules of iptables for the server's own port."""

    how = "iptables"

    def __init__(self, port: int) -> None:
        self.url = f"ws://127.0.0.1:{port}/"
        self._match = ("INPUT", "-i", "lo", "-p", "tcp", "--dport", str(port))
        self._rule: tuple[str, ...] | None = None

    def block(self, *, silently: bool) -> None:
        end = ("DROP",) if silently else ("REJECT", "--reject-with", "tcp-reset")
        self._rule = (*self._match, "-j", *end)
        _iptables("-I", *self._rule)

    def restore(self) -> None:
        if self._rule is not None:
            _iptables("-D", *self._rule)
            self._rule = None


class _ProxyGate:
    """A proxy before the server's port, which is killed, or stopped."""

    def __init__(self, port: int, reason: str) -> None:
        self.how = f"a proxy that is killed or stopped, not by iptables: {reason}"
        self._ports = str(free_port()), str(port)
        self.url = f"ws://127.0.0.1:{self._ports[0]}/"
        self._proxy: Command | None = None
        self.restore()

    def block(self, *, silently: bool) -> None:
        assert self._proxy is not None
        if silently:
            self._proxy.signal(signal.SIGSTOP)
        else:
            self._proxy.kill()
            self._proxy = None

    def restore(self) -> None:
        if self._proxy is not None:
            self._proxy.signal(signal.SIGCONT)
            return
        self._proxy = Command("proxy", *self._ports, "--cuts", "0")
        self._proxy.wait_for_line("listening on")

    def close(self) -> None:
        """End the proxy."""
        if self._proxy is not None:
            self._proxy.kill()


@contextlib.contextmanager
def gate(port: int) -> Generator[Gate]:
    """A gate before a port: by iptables if this machine has it and lets us, by a proxy if not.

    A program that is terminated (a time limit) still takes its rule away and ends its processes.
    """
    signal.signal(signal.SIGTERM, _leave)
    reason = _why_no_iptables()
    if reason is None:
        firewall = _FirewallGate(port)
        try:
            yield firewall
        finally:
            firewall.restore()
        return
    proxy = _ProxyGate(port, reason)
    try:
        yield proxy
    finally:
        proxy.close()


def _leave(_number: int, _frame: object) -> None:
    sys.exit(143)


def _why_no_iptables() -> str | None:
    """Say why rules can't be set here; None if they can."""
    if os.geteuid() != 0:
        return "only root may"
    if shutil.which("iptables") is None:
        return "it isn't installed (apt-get install iptables)"
    rule = ("INPUT", "-i", "lo", "-p", "tcp", "--dport", "1", "-j", "REJECT")
    try:
        _iptables("-I", *rule)
        _iptables("-D", *rule)
    except subprocess.CalledProcessError as error:
        return str(error.stderr, errors="replace").strip().partition("\n")[0]
    return None


def _iptables(*arguments: str) -> None:
    subprocess.run(["iptables", "-w", *arguments], check=True, capture_output=True)


def numbered_lines(path: Path, size: int, seed: int) -> int:
    """Write numbered lines of random bytes (not UTF-8, some long) of `size` bytes together.

    Each begins with its number and a space, but some are empty. Returns how many lines.
    """
    rng = random.Random(seed)
    filler = rng.randbytes(64 * 1024).replace(b"\n", b"\r")
    written = lines = 0
    with path.open("wb") as file:
        while written < size:
            lines += 1
            length = int(2 ** rng.uniform(0, 11 if lines % 500 else 15.9))
            start = rng.randrange(len(filler) - length)
            line = b"%d %b\n" % (lines, filler[start : start + length]) if lines % 97 else b"\n"
            file.write(line)
            written += len(line)
    return lines


def finish(figure: str, faults: list[str]) -> int:
    """Print a program's figure and what is wrong; return its exit code."""
    for fault in faults:
        print(f"FAILED: {fault}")
    print(figure)
    return 1 if faults else 0
