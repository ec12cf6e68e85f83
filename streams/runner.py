"""Collectors of one process, one thread, one producer: the thin loop around their steps."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from schemas.errors import AupstreamError, InputError, StateError
from streams.config import SourceConfig
from streams.intake import JoinFaultError

log = logging.getLogger(__name__)

PAUSE_S = 0.02  # where no collector had anything to do
STOP_TIMEOUT_US = 20_000_000
AGAIN_US = (60_000_000, 120_000_000, 300_000_000, 600_000_000)  # until one that failed is tried again


class Reader(Protocol):
    """What reads one source in steps: `streams.collector.Collector`, where each of these is explained."""

    config: SourceConfig
    problem: InputError | StateError | None
    finished: bool
    done: bool
    stepped_us: int | None

    @property
    def told(self) -> InputError | StateError | None:
        """What people are to read."""

    @property
    def open_lines(self) -> int:
        """Lines that are not decided."""

    @property
    def newest(self) -> int | None:
        """Event time that it has come to, microseconds UTC."""

    def stop(self) -> None:
        """Ask for a clean stop."""

    def close(self) -> None:
        """Let go of the files."""

    def step(self, now_us: int) -> bool:
        """Do the next piece of work; False where there is none."""


def collect_garbage_seldom() -> None:
    """Have this process look for cycles of objects less often.

    A chunk of records is some 100,000 small objects at once and no cycle among them: looking through them again and
    again takes a fifth of a collector's time.
    """
    gc.set_threshold(200_000, 20, 20)


def run(
    collectors: Sequence[Reader],
    stop: threading.Event,
    clock: Callable[[], int],
    *,
    failed: Callable[[Reader, AupstreamError], None] | None = None,
    remake: Callable[[Reader], Reader] | None = None,
    beat: Callable[[], object] = bool,
    timeout_us: int = STOP_TIMEOUT_US,
) -> bool:
    """Step all collectors until each is done, or until `stop` is set and each has stopped cleanly.

    Args:
        collectors: They take turns. One that fails is closed and left out; the others go on.
        stop: Set by whoever wants the end.
        clock: Wall clock, microseconds UTC.
        failed: Told of a collector that failed; None: logged.
        remake: Makes a collector anew that failed and whose source is followed: after a minute, then more seldom; and
            any at once whose lines have to be read more carefully. None: it stays left out.
        beat: Called in each turn.
        timeout_us: A clean stop may take so long; after it everything is dropped as a kill would.

    Returns:
        True where every collector ended or stopped with everything safe.
    """
    running = list(collectors)
    clean = True
    told: dict[str, str] = {}
    stopped_at: int | None = None
    resting = _Resting(remake)
    while running or resting.some:
        now = clock()
        beat()
        running += resting.due(now, failed or _log_failure)
        if stop.is_set() and stopped_at is None:
            stopped_at = now
            clean = clean and not resting.some
            resting.give_up()
            for collector in running:
                collector.stop()
        if stopped_at is not None and now - stopped_at > timeout_us:
            break
        worked = False
        for collector in list(running):
            try:
                worked = collector.step(now) or worked
            except AupstreamError as error:
                (failed or _log_failure)(collector, error)
                running.remove(collector)
                collector.close()
                if stopped_at is None:
                    resting.add(collector, now, error)
                clean = clean and resting.has(collector)
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


class _Resting:
    """Collectors that failed and are made anew later on."""

    def __init__(self, remake: Callable[[Reader], Reader] | None) -> None:
        self._remake = remake
        self._due: dict[str, tuple[int, Reader]] = {}
        self._times: dict[str, int] = {}

    @property
    def some(self) -> bool:
        """Whether there are any."""
        return bool(self._due)

    def has(self, collector: Reader) -> bool:
        """Whether one is made anew."""
        return collector.config.name in self._due

    def add(self, collector: Reader, now: int, error: AupstreamError) -> None:
        """Have one made anew, if it may be."""
        name, careful = collector.config.name, isinstance(error, JoinFaultError)
        if self._remake is not None and careful:
            self._due[name] = now, collector
        elif self._remake is not None and collector.config.mode == "follow":
            wait = AGAIN_US[min(self._times.get(name, 0), len(AGAIN_US) - 1)]
            self._times[name] = self._times.get(name, 0) + 1
            self._due[name] = now + wait, collector

    def due(self, now: int, failed: Callable[[Reader, AupstreamError], None]) -> list[Reader]:
        """Those whose time has come, made anew."""
        made = []
        for name, (at, collector) in list(self._due.items()):
            if at <= now and self._remake is not None:
                del self._due[name]
                try:
                    made.append(self._remake(collector))
                    log.info("source %s is tried again", name, extra={"source": name})
                except AupstreamError as error:
                    failed(collector, error)
                    self.add(collector, now, error)
        return made

    def give_up(self) -> None:
        """It ends: none is made any more."""
        self._due.clear()


def _log_failure(collector: Reader, error: AupstreamError) -> None:
    log.error("source %s stopped: %s", collector.config.name, error, extra={"source": collector.config.name})


def _say_problem(collector: Reader, told: dict[str, str]) -> None:
    """Log a problem once, and its end."""
    text = str(collector.told or "")
    if told.get(collector.config.name, "") != text:
        told[collector.config.name] = text
        name = collector.config.name
        log.warning("source %s: %s", name, text or "reading again", extra={"source": name})
