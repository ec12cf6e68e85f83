"""One thread that watches the sockets of running queries: for a cancel, for a client that is gone, for long silence.

While a query runs, its session's thread is inside the engine and cannot read. A cancel becomes a KILL QUERY on a
connection of the watcher's own; a client that waits long is sent an empty progress, so that it does not give up.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from infra.embedded.native.constants import ClientPacket

_LOOK_EVERY_MS: Final = 100
_SILENCE_SEC: Final = 5.0


@dataclass
class Running:
    """A query in the engine; ``cancelled`` is set before it is killed."""

    connection: socket.socket
    mark: str
    keep_alive: bytes
    send_lock: threading.Lock
    """Whoever sends holds it."""
    cancelled: bool = False
    watch: bool = True
    last_word: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held to kill and to end: so a kill never hits the session's next query."""
    over: bool = False


class Watcher:
    """Start it once; `during` from any thread."""

    def __init__(self, kill: Callable[[str], None]) -> None:
        self._kill = kill
        self._running: dict[int, Running] = {}
        self._lock = threading.Lock()
        self._busy = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._look, name="watcher", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def during(self, running: Running) -> Iterator[Running]:
        """Watch while the body runs."""
        key = running.connection.fileno()
        with self._lock:
            self._running[key] = running
            self._busy.set()
        try:
            yield running
        finally:
            with self._lock:
                self._running.pop(key, None)
                if not self._running:
                    self._busy.clear()
            with running.lock:
                running.over = True

    def close(self) -> None:
        """Kill what runs and end the thread."""
        with self._lock:
            running = list(self._running.values())
        for each in running:
            self._cancel(each)
        self._closed = True
        self._busy.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._closed:
            self._busy.wait()
            with self._lock:
                watched = {key: each for key, each in self._running.items() if each.watch}
            poll = select.poll()
            for key in watched:
                poll.register(key, select.POLLIN | select.POLLHUP)
            try:
                found = poll.poll(_LOOK_EVERY_MS)
            except OSError:
                continue
            for key, _ in found:
                self._heard(watched[key])
            self._insist()
            self._break_silence()

    def _insist(self) -> None:
        """A kill that came before its query began, or between two of its chunks, hit nothing: kill again."""
        with self._lock:
            cancelled = [each for each in self._running.values() if each.cancelled]
        for each in cancelled:
            self._cancel(each)

    def _heard(self, running: Running) -> None:
        """Something can be read. Only look at it: whatever it is, it belongs to the session's own reader."""
        try:
            first = running.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            first = b""
        if not first or first[0] == ClientPacket.CANCEL:
            self._cancel(running)
        running.watch = False

    def _cancel(self, running: Running) -> None:
        with running.lock:
            if not running.over:
                running.cancelled = True
                # The query may end by itself at this moment, and killing may fail with it; both are fine.
                with contextlib.suppress(Exception):
                    self._kill(running.mark)

    def _break_silence(self) -> None:
        now = time.monotonic()
        with self._lock:
            silent = [each for each in self._running.values() if now - each.last_word > _SILENCE_SEC]
        for each in silent:
            if each.send_lock.acquire(blocking=False):
                try:
                    if not each.over:
                        each.last_word = now
                        each.connection.send(each.keep_alive, socket.MSG_DONTWAIT)
                except OSError:
                    pass
                finally:
                    each.send_lock.release()
