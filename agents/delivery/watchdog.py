"""Notices a worker that is stuck without a word, from a thread of its own: what is stuck may be the event loop.

Seen in the chaos runs (seed 17, aiokafka 0.14): the broker answers once without any broker in it, the client's
coordination task ends with an `AssertionError`, and from then on the worker is in no group, reads nothing and says
nothing. Faust starts its tasks only when it has its partitions, so none of them could have told.
Seed 46: Kafka was killed while the partitions were given out; Faust waits for an answer for ever, and starts none.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable

from schemas.errors import AupstreamError

log = logging.getLogger("aupstream.agent")
CRASHED = 70  # exit code after an error that only a restart can mend
LOOK_S = 1.0
JOIN_WITHIN_S = 120.0  # without partitions given out, or without tasks that run on them, for so long: it is stuck


class Watchdog(threading.Thread):
    """Calls `stuck` with the reason, once.

    Args:
        lives: Whether the group has said which partitions this worker has, none perhaps, and its tasks run.
        broken: Why the client cannot go on; None while it can.
        stuck: Called from this thread.
        within_s: See `JOIN_WITHIN_S`; Kafka being away counts, too: a new client is all that helps then.
    """

    def __init__(
        self,
        lives: Callable[[], bool],
        broken: Callable[[], str | None],
        stuck: Callable[[str], None],
        within_s: float = JOIN_WITHIN_S,
    ) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._lives, self._broken, self._stuck, self._within_s = lives, broken, stuck, within_s
        self._over = threading.Event()

    def run(self) -> None:
        """Look until it is stuck, or told to end."""
        last = time.monotonic()
        while not self._over.wait(min(LOOK_S, self._within_s / 4)):
            if (why := self._broken()) is not None:
                self._stuck(why)
                return
            now = time.monotonic()
            if self._lives():
                last = now
            elif now - last > self._within_s:
                self._stuck(f"no partitions were given out, or nothing was begun on them, for {now - last:.0f} s")
                return

    def stop(self) -> None:
        """Look no more: the worker ends in order."""
        self._over.set()


def crash(why: str, error: BaseException | None = None) -> None:
    """End the process now; the supervisor starts it again and it resumes from its last checkpoint."""
    if isinstance(error, AupstreamError):  # it says what, where and what to do: a traceback would hide that
        why, error = f"{why}: {error}", None
    log.critical("%s; the worker ends and is started again", why, exc_info=error)
    logging.shutdown()
    os._exit(CRASHED)
