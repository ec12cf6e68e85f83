"""A library's repeated words, said once: while Kafka is away its clients write the same several times a second.

Only for loggers of libraries. What we say ourselves is one line a fact already, and is never held back.
"""

from __future__ import annotations

import contextlib
import logging
import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

QUIET_S = 60.0
"""A fact is over once it has not been written for this long."""

_MOST = 500
"""Facts remembered at once. One more is written each time: can only say too much."""

_LONGEST = 1000  # characters by which facts are told apart

# Which server it is tells facts apart; how long to wait, an id of a request and an offset do not.
_NUMBERS = re.compile(r"(node[_ ]?id\W{0,2}\d+|bootstrap-\d+|\d+(?:\.\d+){3}|:\d+)|\d+(?:\.\d+)?", re.IGNORECASE)

_log = logging.getLogger("aupstream.repeats")


@dataclass(slots=True)
class _Fact:
    text: str
    last: float
    held: int = 0


class Repeats(logging.Filter):
    """Lets a library's line pass once, holds its repeats back and counts them, and says when they have ended.

    Called from any thread; does not block. The end is said by a thread of its own, which lives only while a library has
    said something lately.

    Args:
        libraries: Loggers, with all below them.
        clock: Seconds that never go back.
        later: Calls a function after so many seconds; by default in a daemon thread.
    """

    def __init__(
        self,
        libraries: tuple[str, ...],
        clock: Callable[[], float] = time.monotonic,
        later: Callable[[float, Callable[[], None]], None] | None = None,
    ) -> None:
        super().__init__()
        self._libraries = libraries
        self._clock = clock
        self._later = later or _in_thread
        self._facts: dict[tuple[str, int, str], _Fact] = {}
        self._lock = threading.Lock()
        self._waiting = False

    def filter(self, record: logging.LogRecord) -> bool:
        """True where it is to be written."""
        if record.name.split(".", 1)[0] not in self._libraries:
            return True
        try:
            text = record.getMessage()[:_LONGEST]
        except (TypeError, ValueError):
            return True  # the handler says what is wrong with it
        kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
        key = (record.name, record.levelno, _NUMBERS.sub(lambda found: found[1] or "#", text) + kind)
        now = self._clock()
        with self._lock:
            fact = self._facts.get(key)
            if fact is None:
                if len(self._facts) < _MOST:
                    self._facts[key] = _Fact(text, now)
            else:
                fact.last = now
                fact.held += 1
            wake = not self._waiting
            self._waiting = True
        if wake:
            self._later(QUIET_S, self.ended)
        return fact is None

    def ended(self) -> None:
        """Say what was held back and has not been written for `QUIET_S`, and forget it."""
        now = self._clock()
        with self._lock:
            over = [key for key, fact in self._facts.items() if now - fact.last >= QUIET_S]
            gone = [(key[0], self._facts.pop(key)) for key in over]
            self._waiting = again = bool(self._facts)
        for name, fact in gone:
            if fact.held:
                _log.warning("%s has ended after %d more times: %s", name, fact.held, fact.text)
        if again:
            self._later(QUIET_S / 2, self.ended)


def _in_thread(seconds: float, call: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    with contextlib.suppress(RuntimeError):  # the process is ending, and takes no new thread
        timer.start()
