"""A source that fails is left out, and tried again where it is followed; the others go on."""

from __future__ import annotations

import threading
from pathlib import Path

from schemas.errors import AupstreamError, StateError
from streams.collector import Collector
from streams.memory import MemorySink
from streams.runner import run
from streams.sources.abstract import Source, SourceChunk
from tests.streams.small import SETTINGS, config


class _Broken(Source):
    """A source that fails at every read."""

    def seek(self, generation: str, offset: int) -> bool:
        return True

    def read(self, max_lines: int, now_us: int) -> SourceChunk | None:
        raise StateError("it cannot be read")

    @property
    def ended(self) -> bool:
        return False

    def close(self) -> None:
        pass


def test_a_followed_source_that_failed_is_tried_again_and_ever_more_seldom(tmp_path: Path) -> None:
    def made(mode: str) -> Collector:
        return Collector(config(tmp_path / "x", type="openssh", mode=mode), _Broken(), MemorySink(1), SETTINGS)

    now, failed, times, stop = [0], list[int](), list[int](), threading.Event()

    def clock_of_test() -> int:
        now[0] += 1_000_000
        if len(failed) == 4:
            stop.set()
        return now[0]

    def note(_: Collector, error: AupstreamError) -> None:
        failed.append(now[0])

    def remade(old: Collector) -> Collector:
        times.append(now[0])
        return made("follow")

    assert not run([made("follow")], stop, clock_of_test, failed=note, remake=remade)
    waits = [later - before for before, later in zip(failed, times, strict=False)]
    assert [round(w / 1e6) for w in waits] == [60, 120, 300]
    failed.clear()
    stop.clear()
    assert not run([made("once")], stop, clock_of_test, failed=note, remake=remade)  # it is not tried again
    assert len(failed) == 1
