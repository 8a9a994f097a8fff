"""Where frames begin and end in the bytes of one direction of a TCP connection.

The proxy cuts in mid-frame, so it must know where the frames are. Nothing is decoded: a WebSocket
frame's header tells its length (RFC 6455 section 5.2), and what isn't a WebSocket counts as one
endless frame. No I/O, no clock.
"""

import enum

MAX_HEAD = 16 * 1024
"""Bytes of an HTTP head; what is longer isn't taken for a WebSocket."""


class _At(enum.Enum):
    HEAD = enum.auto()
    HEADER = enum.auto()
    PAYLOAD = enum.auto()
    OTHER = enum.auto()


class FrameTracker:
    """Follows one direction of a connection, frame by frame.

    What *counts* are the bytes behind the handshake and the first frame (of a gapless server:
    behind `welcome`); of anything but a WebSocket, every byte.
    """

    def __init__(self, start_of_line: bytes) -> None:
        """Follow a direction whose HTTP head, if it is an upgrade, begins with `start_of_line`."""
        self._at = _At.HEAD
        self._start = start_of_line
        self._head = bytearray()
        self._header = bytearray()
        self._left = 0
        self._frames = 0
        self.counted = 0

    @property
    def is_counting(self) -> bool:
        """Whether the handshake and the first frame are over."""
        return self._at is _At.OTHER or self._frames > 0

    @property
    def is_inside(self) -> bool:
        """Whether the last byte stands before the end of its frame."""
        return self._at is _At.OTHER or self._left > 0 or len(self._header) > 0

    def follow(self, data: bytes, budget: int | None = None) -> int:
        """Follow `data`; stop inside a frame once `budget` more bytes have counted.

        Returns how many bytes were followed: fewer than given, or as many with `is_inside`, if
        the budget ended there; a budget that ends between two frames goes on into the next.
        """
        stop = None if budget is None else self.counted + budget
        done = 0
        while done < len(data):
            if stop is not None and self.is_inside and self.is_counting and self.counted >= stop:
                break
            room = len(data) - done
            if stop is not None and self.is_counting:
                room = min(room, max(stop - self.counted, 1))
            done += self._step(data, done, room)
        return done

    def _step(self, data: bytes, start: int, room: int) -> int:
        """Follow at most `room` bytes of `data` from `start`; return how many."""
        if self._at is _At.HEAD:
            return self._step_head(data, start)
        if self._at is _At.HEADER:
            step = 1
        elif self._at is _At.PAYLOAD:
            step = min(room, self._left)
        else:
            step = room
        if self.is_counting:
            self.counted += step
        if self._at is _At.HEADER:
            self._header.append(data[start])
            self._read_header()
        elif self._at is _At.PAYLOAD:
            self._left -= step
            self._end_frame_if_over()
        return step

    def _step_head(self, data: bytes, start: int) -> int:
        """Look for the end of an HTTP head; anything else is one endless frame from here on."""
        before = len(self._head)
        self._head += data[start : start + MAX_HEAD - before]
        end = self._head.find(b"\r\n\r\n", max(before - 3, 0))
        begun = self._start.startswith(self._head[: len(self._start)])
        if end < 0 and begun and len(self._head) < MAX_HEAD:
            return len(data) - start
        head = bytes(self._head[:end]).lower() if end >= 0 else b""
        self._head.clear()
        if b"upgrade: websocket" in head and begun:
            self._at = _At.HEADER
            return end + 4 - before
        self._at = _At.OTHER
        self.counted += before
        return 0

    def _read_header(self) -> None:
        header = self._header
        if len(header) < 2:
            return
        length, masked = header[1] & 0x7F, bool(header[1] & 0x80)
        extended = {126: 2, 127: 8}.get(length, 0)
        if len(header) < 2 + extended + 4 * masked:
            return
        if extended:
            length = int.from_bytes(header[2 : 2 + extended], "big")
        header.clear()
        self._left = length
        self._at = _At.PAYLOAD
        self._end_frame_if_over()

    def _end_frame_if_over(self) -> None:
        if self._left == 0:
            self._frames += 1
            self._at = _At.HEADER
