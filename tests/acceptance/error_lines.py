"""Issue 2: what goes wrong is one line that says what and what to do, exit 1 (usage 2).

A port where nothing listens, servers that aren't gapless, a wrong subprotocol, a refused token, a
message over the limit, a FILE that isn't there, and misuse.
`python -m tests.acceptance.error_lines` prints each line, and exits 1 unless each case gives
exactly one, with its exit code and no traceback.
"""

import base64
import contextlib
import hashlib
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.tools import finish, free_port, run, serving

AT_ONCE = 4

Answer = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Case:
    """A command line, its exit code, and words that its one line must have."""

    name: str
    arguments: tuple[str, ...]
    code: int
    words: tuple[str, ...]
    stdin: bytes = b"hello\n"


@contextlib.contextmanager
def stranger(answer: Answer) -> Generator[str]:
    """A server that answers a request's head with bytes of its own; yields its URL."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                head = b""
                while b"\r\n\r\n" not in head and (data := connection.recv(4096)):
                    head += data
                connection.sendall(answer(head))
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}/"


def upgrade(head: bytes, *extra: bytes) -> bytes:
    """A WebSocket server's answer to a request."""
    lines = head.split(b"\r\n")
    key = next(
        x.split(b":", 1)[1].strip() for x in lines if x.lower().startswith(b"sec-websocket-key")
    )
    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    answer = [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest),
        *extra,
    ]
    return b"\r\n".join(answer) + b"\r\n\r\n"


STRANGERS: dict[str, tuple[Answer, tuple[str, ...]]] = {
    "a web server": (
        lambda _: b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        ("404", "check"),
    ),
    "a mail server": (lambda _: b"220 mail.example.com ESMTP\r\n", ("check",)),
    "a server that hangs up": (lambda _: b"", ("hung up", "--wait")),
    "a WebSocket server without subprotocol": (upgrade, ("not gapless", "check")),
    "a wrong subprotocol": (
        lambda head: upgrade(head, b"Sec-WebSocket-Protocol: chat"),
        ("subprotocol", "check"),
    ),
}


def check(case: Case) -> list[str]:
    """Run a case; say what is wrong."""
    done = run(*case.arguments, stdin=case.stdin, timeout=45)
    lines = done.stderr.decode(errors="backslashreplace").splitlines()
    print(f"{case.name}: {' | '.join(lines)} [exit {done.returncode}]")
    faults: list[str] = []
    if len(lines) != 1:
        faults.append(f"{len(lines)} lines on standard error, not one")
    if done.returncode != case.code:
        faults.append(f"exit {done.returncode}, not {case.code}")
    if b"Traceback" in done.stderr:
        faults.append("a traceback")
    missing = [word for word in case.words if word not in " ".join(lines)]
    if missing:
        faults.append(f"the line lacks {missing}")
    return [f"{case.name}: {fault}" for fault in faults]


def client_cases(
    name: str, url: str, code: int, *words: str, token: str | None = None
) -> list[Case]:
    """The same for a publisher and for a subscriber."""
    shown = () if token is None else ("--token", token)
    return [
        Case(f"{name}, publish", ("publish", url, "news", *shown), code, words),
        Case(f"{name}, subscribe", ("subscribe", url, "news", *shown), code, words),
    ]


def cases(open_url: str, closed_url: str, folder: Path) -> Iterator[Case]:
    """Every case but those of strangers."""
    port = free_port()
    nowhere = f"ws://127.0.0.1:{port}/"
    yield from client_cases("nothing listens", nowhere, 1, f"127.0.0.1:{port}", "--wait")
    yield from client_cases("refused token", closed_url, 1, "--token", token="wrong")
    yield from client_cases("no token", closed_url, 1, "--token")
    yield from client_cases("no such host", "ws://no.such.host.invalid/", 1, "no.such.host.invalid")
    yield from client_cases("not a WebSocket URL", "http://127.0.0.1/", 2, "ws://")
    publish = ("publish", open_url, "news")
    big = b"small\n" + bytes(2_000_000) + b"\nsmall\n"
    yield Case("a message over the limit", publish, 1, ("line 2", "1048576"), big)
    bit = b"small\n" + bytes(1_048_577) + b"\nsmall\n"
    yield Case("a message one byte over", publish, 1, ("line 2", "1048576"), bit)
    gone = str(folder / "gone.txt")
    yield Case("no such FILE", (*publish, gone), 2, (gone, "no such file"))
    yield Case("a folder as FILE", (*publish, str(folder)), 2, (str(folder), "directory"))
    yield Case("demo, no such FILE", ("demo", gone), 2, (gone, "no such file"))
    yield Case("a bad channel", ("publish", open_url, "a\nb"), 2, ("control characters",))
    subscribe = ("subscribe", open_url, "news")
    yield Case("a bad position", (*subscribe, "--since", "x"), 2, ("EPOCH:SEQ",))
    damaged = folder / "damaged"
    damaged.write_bytes(b"{}")
    yield Case("a bad position file", (*subscribe, "--position-file", str(damaged)), 2, ("delete",))
    yield Case("no command of that name", ("sing",), 2, ("sing", "--help"))
    yield Case("an option missing its value", ("serve", "--port"), 2, ("--port", "--help"))
    yield Case("a public address", ("serve", "--host", "0.0.0.0"), 2, ("--token",))
    used = open_url.rsplit(":", 1)[1].strip("/")
    yield Case("a port in use", ("serve", "--port", used), 1, (used, "in use"))
    yield Case("proxy, a port in use", ("proxy", used, "127.0.0.1:1"), 1, (used, "in use"))
    yield Case("proxy, no address", ("proxy", "here", "127.0.0.1:1"), 2, ("HOST:PORT",))


def main() -> int:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        ports = [stack.enter_context(serving(*more))[1] for more in ((), ("--token", "secret"))]
        urls = [f"ws://127.0.0.1:{port}/" for port in ports]
        found = list(cases(urls[0], urls[1], Path(folder)))
        for name, (answer, words) in STRANGERS.items():
            found += client_cases(name, stack.enter_context(stranger(answer)), 1, *words)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            faults = [fault for faults in pool.map(check, found) for fault in faults]
    return finish(f"{len(found)} cases, {len(faults)} faults", faults)


if __name__ == "__main__":
    sys.exit(main())
