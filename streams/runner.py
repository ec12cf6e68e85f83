"""Collectors of one process, one thread, one producer: the thin loop around their steps."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable, Sequence

from schemas.errors import AupstreamError
from streams.collector import Collector

log = logging.getLogger(__name__)

PAUSE_S = 0.02  # where no collector had anything to do
STOP_TIMEOUT_US = 20_000_000


def collect_garbage_seldom() -> None:
    """Have this process look for cycles of objects less often.

    A chunk of records is some 100,000 small objects at once and no cycle among them: looking through them again and
    again takes a fifth of a collector's time.
    """
    gc.set_threshold(200_000, 20, 20)


def run(
    collectors: Sequence[Collector],
    stop: threading.Event,
    clock: Callable[[], int],
    *,
    failed: Callable[[Collector, AupstreamError], None] | None = None,
    timeout_us: int = STOP_TIMEOUT_US,
) -> bool:
    """Step all collectors until each is done, or until `stop` is set and each has stopped cleanly.

    Args:
        collectors: They take turns. One that fails is closed and left out; the others go on.
        stop: Set by whoever wants the end.
        clock: Wall clock, microseconds UTC.
        failed: Told of a collector that failed; None: logged.
        timeout_us: A clean stop may take so long; after it everything is dropped as a kill would.

    Returns:
        True where every collector ended or stopped with everything safe.
    """
    running = list(collectors)
    clean = True
    told: dict[str, str] = {}
    stopped_at: int | None = None
    while running:
        now = clock()
        if stop.is_set() and stopped_at is None:
            stopped_at = now
            for collector in running:
                collector.stop()
        if stopped_at is not None and now - stopped_at > timeout_us:
            break
        worked = False
        for collector in list(running):
            try:
                worked = collector.step(now) or worked
            except AupstreamError as error:
                clean = False
                (failed or _log_failure)(collector, error)
                running.remove(collector)
                collector.close()
                continue
            _say_problem(collector, told)
            if collector.done:
                running.remove(collector)
                collector.close()
        if not worked:
            stop.wait(PAUSE_S) if stopped_at is None else threading.Event().wait(PAUSE_S)
    for collector in running:
        collector.close()
    return clean and not running


def _log_failure(collector: Collector, error: AupstreamError) -> None:
    log.error("source %s stopped: %s", collector.config.name, error, extra={"source": collector.config.name})


def _say_problem(collector: Collector, told: dict[str, str]) -> None:
    """Log a problem once, and its end."""
    text = str(collector.problem or "")
    if told.get(collector.config.name, "") != text:
        told[collector.config.name] = text
        name = collector.config.name
        log.warning("source %s: %s", name, text or "reading again", extra={"source": name})
