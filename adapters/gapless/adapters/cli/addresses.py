"""Reading HOST:PORT, and telling loopback from the rest."""

import os

from .outcome import USAGE, CommandError

Address = tuple[str, int]


def parse_address(text: str, what: str) -> Address:
    """Read `HOST:PORT`, `[::1]:PORT`, `:PORT`, `PORT` or a `ws://` URL's.

    Raises:
        CommandError: it is none of these.
    """
    bare = text.split("://", 1)[-1].split("/", 1)[0]
    host, _, port = bare.rpartition(":")
    is_port = port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535
    if not is_port:
        raise CommandError(f"{what} {text!r} is not an address; write HOST:PORT", USAGE)
    return host.strip("[]") or "127.0.0.1", int(port)


def spell_address(host: str, port: int) -> str:
    """Write HOST:PORT as it stands in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def spell_os_error(error: OSError) -> str:
    """Say in a few words why a system call failed."""
    if error.errno is None or error.errno <= 0:
        return error.strerror or str(error)
    return os.strerror(error.errno).lower()
