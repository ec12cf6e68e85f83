"""Sources of one process keep in step while one catches up; what is read is what each would give by itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import decode_batch
from schemas.kinds import EventKind
from streams.collector import Collector
from streams.memory import MemorySink
from streams.pace import PATIENCE_US, SKEW_US, Pace
from streams.runner import run
from tests.streams.small import SECOND, SETTINGS, collector, config


def _collector(folder: Path, name: str, seconds: list[int], sink: MemorySink, *, lines: int = 4) -> Collector:
    path = folder / f"{name}.log"
    path.write_text("".join(f"{at} ev\n" for at in seconds))
    made = config(path, name=name, batch_rows=1)
    return collector(made, sink, settings=replace(SETTINGS, read_lines=lines))


def _order(sink: MemorySink) -> Iterator[tuple[str, int]]:
    """Source and event time (microseconds) of each row, in the order in which they were handed on."""
    for message in sink.take():
        headers = message.headers
        if message.topic == EventKind.LOGIN.topic and headers is not None and headers.kind != "marker":
            frame = decode_batch(headers, message.value, "here")
            yield from zip(frame["log_source"].to_list(), frame["timestamp"].to_physical().to_list(), strict=True)


@pytest.fixture
def clock() -> Iterator[int]:
    """Wall clock in steps of a second."""
    return count(1_000 * SECOND, SECOND)


def test_a_small_log_waits_for_a_large_one_that_has_not_come_as_far(tmp_path: Path, clock: Iterator[int]) -> None:
    sink = MemorySink(1)
    large = _collector(tmp_path, "large", list(range(2_000)), sink)
    small = _collector(tmp_path, "small", list(range(0, 2_000, 50)), sink)
    assert run([large, small], threading.Event(), lambda: next(clock))
    newest, most = dict.fromkeys(("large", "small"), 0), 0
    rows = list(_order(sink))
    for source, at in rows:
        newest[source] = at
        most = max(most, newest["small"] - newest["large"])
    assert (len(rows), most <= SKEW_US + 4 * 50 * SECOND) == (2_040, True)
    assert most > 0, "in step, and not one after the other"


def test_what_is_at_its_end_holds_up_nobody_and_a_wrong_clock_not_for_ever(tmp_path: Path) -> None:
    sink = MemorySink(1)
    ended = _collector(tmp_path, "ended", [0, 1], sink, lines=4)
    wrong = _collector(tmp_path, "wrong", list(range(40)), sink)
    ahead = _collector(tmp_path, "ahead", list(range(5_000, 5_040)), sink)
    for one in (ended, ahead):
        one.step(0)
    pace = Pace()
    assert pace.held([ended, ahead], 0) == frozenset()
    wrong.step(0)
    assert pace.held([ended, wrong, ahead], 1) == {"ahead"}
    assert pace.held([ended, wrong, ahead], PATIENCE_US + 1) == {"ahead"}
    assert pace.held([ended, wrong, ahead], PATIENCE_US + 2) == frozenset()


@settings(max_examples=20)
@given(st.lists(st.lists(st.integers(0, 600), max_size=60).map(sorted), min_size=1, max_size=4), st.integers(1, 9))
def test_each_source_is_read_as_it_would_be_by_itself(logs: list[list[int]], lines: int) -> None:
    together, alone = MemorySink(1), MemorySink(1)
    with TemporaryDirectory() as name_of:
        folder = Path(name_of)
        named = [(f"log-{n}", some) for n, some in enumerate(logs)]
        ticks = count(1_000 * SECOND, SECOND)
        all_of_them = [_collector(folder, name, some, together, lines=lines) for name, some in named]
        assert run(all_of_them, threading.Event(), lambda: next(ticks))
        for name, some in named:
            assert run([_collector(folder, name, some, alone, lines=lines)], threading.Event(), lambda: next(ticks))
    assert sorted(_order(together)) == sorted(_order(alone))
