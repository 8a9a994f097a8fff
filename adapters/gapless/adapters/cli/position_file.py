"""Where a reader stands, in a file of mode 0600: so that a restart goes on from there.

The file is replaced as a whole, and only after what it covers was written out: after kill -9 it
may be behind the output, never ahead. It holds the session's token, a secret, which is shown only
to the URL that gave it. Who reads by it holds it: two with one session would take it from each
other for ever.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from gapless.core.errors import InvalidPosition
from gapless.core.position import Position

from .addresses import spell_os_error
from .outcome import USAGE, CommandError

MAX_SIZE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Bookmark:
    """Where a reader stands.

    Attributes:
        url: the server that gave the token.
        channel: what is read.
        position: of the last message written out.
        token: resumes the session; None if there is none yet.
    """

    url: str
    channel: str
    position: Position
    token: str | None = field(repr=False)


def lock(fd: int) -> None:
    """Lock an open file while it is open.

    Raises:
        BlockingIOError: another one has it locked.
    """
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows: there a second one isn't kept out
        return
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


class PositionFile:
    """One bookmark on disk."""

    def __init__(self, path: Path) -> None:
        self._path = Path(os.path.realpath(path))
        self._new = self._path.with_name(self._path.name + ".new")
        self._last: Bookmark | None = None
        self._is_held = False
        self._fd: int | None = None

    def hold(self) -> None:
        """Keep others from holding the file, until `release` or the end of this process.

        Raises:
            CommandError: another process holds it, or it can't be read.
        """
        self._is_held = True
        try:
            self._keep(os.open(self._path, os.O_RDONLY))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise self._fault(f"can't be read: {spell_os_error(error)}") from None

    def release(self) -> None:
        """Let others hold it."""
        self._is_held = False
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def load(self, url: str, channel: str) -> Bookmark | None:
        """Read the bookmark; None if there is no file. Another URL's token is left out.

        Raises:
            CommandError: the file can't be read, is no bookmark, or is another channel's.
        """
        try:
            with self._path.open("rb") as file:
                data = file.read(MAX_SIZE)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._fault(f"can't be read: {spell_os_error(error)}") from None
        bookmark = self._parse(data)
        if bookmark.channel != channel:
            raise self._fault(f"is for channel {bookmark.channel!r}; use one file a channel")
        if bookmark.url != url:
            return Bookmark(url, channel, bookmark.position, None)
        return bookmark

    def save(self, bookmark: Bookmark) -> None:
        """Replace the file, if anything changed.

        Raises:
            CommandError: it can't be written.
        """
        if bookmark == self._last:
            return
        text = json.dumps(
            {
                "url": bookmark.url,
                "channel": bookmark.channel,
                "position": str(bookmark.position),
                "token": bookmark.token,
            }
        )
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
            fd = os.open(self._new, flags, 0o600)
            with open(os.dup(fd) if self._is_held else fd, "wb") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(text.encode() + b"\n")
            if self._is_held:
                self._keep(fd)
            os.replace(self._new, self._path)
        except OSError as error:
            raise self._fault(f"can't be written: {spell_os_error(error)}") from None
        self._last = bookmark

    def _keep(self, fd: int) -> None:
        """Hold the file that is there, or is about to be, instead of the one before it."""
        try:
            lock(fd)
        except BlockingIOError:
            os.close(fd)
            raise self._fault("is in use by another gapless; use one file for each") from None
        if self._fd is not None:
            os.close(self._fd)
        self._fd = fd

    def _parse(self, data: bytes) -> Bookmark:
        try:
            found: object = json.loads(data)
        except (ValueError, RecursionError):
            found = None
        fields = cast("dict[str, object]", found) if isinstance(found, dict) else {}
        url, channel = fields.get("url"), fields.get("channel")
        position, token = fields.get("position"), fields.get("token")
        if not (isinstance(url, str) and isinstance(channel, str) and isinstance(position, str)):
            raise self._fault("is no position file of gapless; delete it to start afresh")
        if not isinstance(token, str | None):
            raise self._fault("is no position file of gapless; delete it to start afresh")
        try:
            return Bookmark(url, channel, Position.parse(position), token)
        except InvalidPosition as error:
            raise self._fault(f"is damaged: {error}") from None

    def _fault(self, text: str) -> CommandError:
        return CommandError(f"position file {str(self._path)!r} {text}", USAGE)
