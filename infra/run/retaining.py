"""Retention while everything runs: once a day, beside the watching of processes."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from agents.sinks.clickhouse import ClickHouse
from infra.privacy.retention import purge
from infra.privacy_settings import Retention
from schemas.errors import AupstreamError

EACH_S = 86_400.0
FIRST_S = 60.0  # after the start, when everything else has come up


def _none(store: ClickHouse) -> list[str]:
    del store
    return []


class Daily:
    """Deletes what is too old once a day, in a thread of its own: a deletion may take minutes.

    Args:
        dsn: ClickHouse.
        retention: Days by table.
        first_s: Seconds until the first time.
        more: Deletes what else is too old, and says what.
    """

    def __init__(
        self, dsn: str, retention: Retention, first_s: float = FIRST_S, more: Callable[[ClickHouse], list[str]] = _none
    ) -> None:
        self._dsn, self._retention, self._more = dsn, retention, more
        self._next_s = time.monotonic() + first_s
        self._said: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def poll(self) -> Iterator[str]:
        """Start what is due; what happened, as sentences. Never blocks."""
        if time.monotonic() >= self._next_s and (self._thread is None or not self._thread.is_alive()):
            self._next_s = time.monotonic() + EACH_S
            self._thread = threading.Thread(target=self._run, daemon=True, name="retention")
            self._thread.start()
        while not self._said.empty():
            yield self._said.get()

    def stop(self) -> None:
        """Give up waiting for ClickHouse; what was begun is ended at the next start."""
        self._stop.set()

    def _run(self) -> None:
        store = ClickHouse(self._dsn, self._stop)
        try:
            for sentence in [*purge(store, self._retention, datetime.now(UTC)), *self._more(store)]:
                self._said.put(f"retention: {sentence}")
        except AupstreamError as error:
            self._said.put(f"retention: nothing more is deleted today: {error}")
        finally:
            store.close()
