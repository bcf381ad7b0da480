"""Gates: how a test holds requests inside the app, and sees how many are there."""

from __future__ import annotations

import selectors
import socket
import threading

from servers.running import HOST
from servers.running import PATIENCE


class Gate:
    """A port at which views wait until the test lets them go on.

    Works over any number of processes, and counts who is inside without asking any of them.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server((HOST, 0), backlog=512)
        self.address = "{}:{}".format(*self._listener.getsockname())
        self._changed = threading.Condition()
        self._waiting: list[socket.socket] = []
        self._is_open = False
        self.arrived = self.peak = 0
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._wake, self._wakened = socket.socketpair()
        self._selector.register(self._wakened, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    @property
    def waiting(self) -> int:
        with self._changed:
            return len(self._waiting)

    def wait_for(self, number: int) -> None:
        """Wait until `number` views wait here."""
        with self._changed:
            there = self._changed.wait_for(lambda: len(self._waiting) >= number, PATIENCE)
            assert there, f"{len(self._waiting)} of {number} views came to the gate"

    def open(self) -> None:
        """Let all go on, and all that come later."""
        with self._changed:
            self._is_open = True
        self._wake.send(b"1")

    def close(self) -> None:
        self.open()
        self._wake.close()
        self._thread.join()
        for each in (*self._waiting, self._listener, self._wakened, self._selector):
            each.close()

    def _watch(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._wakened:
                    if not self._wakened.recv(1):
                        return
                    for each in tuple(self._waiting):
                        self._leave(each)
                elif key.fileobj is self._listener:
                    self._arrive(self._listener.accept()[0])
                else:
                    self._leave(key.fileobj)  # type: ignore[arg-type]

    def _arrive(self, view: socket.socket) -> None:
        with self._changed:
            self.arrived += 1
            if self._is_open:
                view.close()
                return
            self._waiting.append(view)
            self._selector.register(view, selectors.EVENT_READ)
            self.peak = max(self.peak, len(self._waiting))
            self._changed.notify_all()

    def _leave(self, view: socket.socket) -> None:
        with self._changed:
            if view not in self._waiting:
                return  # It left in the very moment in which the gate was opened.
            self._waiting.remove(view)
            self._selector.unregister(view)
            view.close()
            self._changed.notify_all()
