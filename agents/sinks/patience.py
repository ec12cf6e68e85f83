"""Who waits for a server, or for what others send, says so: it is not stuck, however long that takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_waiting: set[object] = set()
_ended_s = time.monotonic()


def waits(who: object) -> None:
    """Somebody begins to wait, or goes on to."""
    with _lock:
        _waiting.add(who)


def waits_no_more(who: object) -> None:
    """Somebody has what was waited for; once or often."""
    global _ended_s  # noqa: PLW0603 - of the process, as what is asked
    with _lock:
        if who in _waiting:
            _waiting.discard(who)
            _ended_s = time.monotonic()


@contextmanager
def waiting() -> Iterator[None]:
    """While something is waited for."""
    who = object()
    waits(who)
    try:
        yield
    finally:
        waits_no_more(who)


def since_s() -> float | None:
    """Monotonic time since which nobody in this process waits; None while somebody does."""
    with _lock:
        return None if _waiting else _ended_s
