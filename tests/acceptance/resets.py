"""A relay on loopback, in a thread, whose connections are reset on demand: real TCP resets."""

import contextlib
import selectors
import socket
import struct
import threading
from typing import Self

_RESET = struct.pack("ii", 1, 0)
_CHUNK = 64 * 1024


class Relay:
    """Forwards to a port, until it is told to reset all it forwards.

    Attributes:
        port: what to connect to.
        resets: connections that were reset.
    """

    def __init__(self, target: int) -> None:
        self.resets = 0
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._wake, self._woken = socket.socketpair()
        self._is_to_reset = self._is_over = False
        self._done = threading.Condition()
        self._peers: dict[socket.socket, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._thread = threading.Thread(target=self._run, name="relay")

    def __enter__(self) -> Self:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._wake.send(b"x")
        self._thread.join()
        for one in (self._listener, self._wake, self._woken):
            one.close()
        self._selector.close()

    def reset(self) -> bool:
        """Reset what is connected now; False if nothing is."""
        with self._done:
            before = self.resets
            self._is_to_reset = True
            self._wake.send(b"x")
            self._done.wait_for(lambda: not self._is_to_reset, 10)
            return self.resets > before

    def _run(self) -> None:
        while not self._is_over:
            for key, _ in self._selector.select():
                one = key.fileobj
                assert isinstance(one, socket.socket)
                if one is self._listener:
                    self._accept()
                elif one is self._woken:
                    one.recv(_CHUNK)
                elif one in self._peers:
                    self._forward(one)
            if self._is_to_reset:
                with self._done:
                    for one in list(self._peers):
                        self._drop(one)
                    self._is_to_reset = False
                    self._done.notify_all()
        for one in list(self._peers):
            self._drop(one)

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        far = socket.create_connection(("127.0.0.1", self._target))
        for one, other in ((near, far), (far, near)):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._peers[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _forward(self, one: socket.socket) -> None:
        try:
            data = one.recv(_CHUNK)
            if data:
                self._peers[one].sendall(data)
                return
        except OSError:
            pass
        self._drop(one)

    def _drop(self, one: socket.socket) -> None:
        """Reset a connection, both ways."""
        other = self._peers.pop(one, None)
        if other is None:
            return
        del self._peers[other]
        self.resets += 1
        for each in (one, other):
            self._selector.unregister(each)
            with contextlib.suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            each.close()
