"""Messages to spools: header, sorting, counting. What all of a listener's connections and sockets share."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence

from schemas import metrics as names
from schemas.metrics import Metrics
from streams.listen.header import Headers
from streams.listen.queue import Done, SpoolQueue
from streams.listen.settings import ListenerConfig
from streams.listen.sorting import Sorter

log = logging.getLogger(__name__)

SAY_EVERY_S = 60.0


class Reception:
    """Takes messages of one listener.

    Args:
        config: The listener.
        sorter: Says whose a message is.
        queues: One a source, in the order of the configuration's routes.
        metrics: Counted into.
        clock: Wall clock, microseconds UTC.
    """

    def __init__(
        self,
        config: ListenerConfig,
        sorter: Sorter,
        queues: Sequence[SpoolQueue],
        metrics: Metrics,
        clock: Callable[[], int],
    ) -> None:
        self.config, self.metrics = config, metrics
        self._sorter, self._queues, self._clock = sorter, queues, clock
        self._headers = Headers()
        self._untold: dict[str, int] = {}
        self._said_s: dict[str, float] = {}

    def take(self, messages: Iterable[bytes], sender: str, done: Done | None = None) -> bool:
        """Take messages of a connection.

        Args:
            messages: None is empty or has a line end in it.
            sender: IP address.
            done: Called when all are written, and with `fsync = "always"` synced; not where there is none.

        Returns:
            False where there is none.
        """
        parts = self._sorted(messages, sender)
        if not parts:
            return False
        if done is None:
            for index, lines in parts.items():
                self._offer(index, lines, None)
            return True
        left = len(parts)
        finished = done

        def one_done() -> None:
            nonlocal left
            left -= 1
            if not left:
                finished()

        for index, lines in parts.items():
            self._offer(index, lines, one_done)
        return True

    def take_datagrams(self, messages: Iterable[bytes], sender: str) -> None:
        """Take messages that cannot be held up: those for which there is no room are dropped, counted and said."""
        for index, lines in self._sorted(messages, sender).items():
            queue = self._queues[index]
            if queue.takes_datagrams:
                self._offer(index, lines, None)
                continue
            reason = "disk_or_spool_full" if queue.problem else "spool_behind"
            self.metrics.add(names.DROPPED, len(lines), listener=self.config.name, reason=reason)
            self.say(f"datagrams dropped for source {queue.source} ({reason})", len(lines))

    def refused(self, reason: str, count: int = 1) -> None:
        """Count a connection that was refused or ended, and say so once a minute."""
        self.metrics.add(names.REFUSED, count, listener=self.config.name, reason=reason)
        self.say(f"connections refused or ended: {reason.replace('_', ' ')}", count)

    def say(self, what: str, count: int = 1) -> None:
        """Log something that may happen often: at once, then once a minute with the number of times."""
        self._untold[what] = self._untold.get(what, 0) + count
        now = time.monotonic()
        if now - self._said_s.get(what, -SAY_EVERY_S) >= SAY_EVERY_S:
            self._said_s[what] = now
            name = self.config.name
            log.warning("listener %s: %d %s", name, self._untold.pop(what), what, extra={"listener": name})

    def _sorted(self, messages: Iterable[bytes], sender: str) -> dict[int, list[bytes]]:
        parts: dict[int, list[bytes]] = {}
        limit, now = self.config.max_line_bytes, self._clock()
        for message in messages:
            taken = self._headers.received(message, sender, now)
            index = self._sorter.index(taken, sender)
            parts.setdefault(index, []).append(taken.line[: limit + 1] if len(message) > limit else taken.line)
        return parts

    def _offer(self, index: int, lines: list[bytes], done: Done | None) -> None:
        lines.append(b"")
        data = b"\n".join(lines)
        queue = self._queues[index]
        queue.offer(data, done)
        labels = {"listener": self.config.name, "source": queue.source}
        self.metrics.add(names.RECEIVED, len(lines) - 1, **labels)
        self.metrics.add(names.RECEIVED_BYTES, len(data), **labels)
