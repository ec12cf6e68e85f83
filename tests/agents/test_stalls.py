"""A worker that takes nothing although Kafka has more is stuck; one that waits for a server is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from agents.delivery.snapshots import Place
from agents.delivery.stalls import ASK_S, NOTHING_S, ONE_S, STEP_S, Stalls
from agents.sinks import patience

A, B = Place("aup.events.dhcp", 0), Place("aup.events.dhcp", 1)


@dataclass
class Worker:
    """What the watchdog sees of one."""

    taken: dict[Place, int] = field(default_factory=lambda: {A: 5, B: 7})
    ends: dict[Place, int] = field(default_factory=lambda: {A: 5, B: 7})
    busy: float | None = None
    now: float = 1_000.0

    def look(self, stalls: Stalls, seconds: float, moves: Mapping[Place, int] | None = None) -> str | None:
        """Look again and again, as the watchdog does; partitions move by so many a look."""
        until, said = self.now + seconds, None
        while self.now < until and said is None:
            self.now += ASK_S / 3
            for place, by in (moves or {}).items():
                self.taken[place] += by
                self.ends[place] += by
            said = stalls.look()
        return said

    def stalls(self) -> Stalls:
        return Stalls(lambda: dict(self.taken), lambda _: dict(self.ends), lambda: self.busy, lambda: self.now)


@pytest.fixture(autouse=True)
def nobody_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(patience, "_ended_s", 0.0)
    yield
    assert patience.since_s() is not None


def test_it_is_told_when_messages_wait_and_nothing_is_taken() -> None:
    worker = Worker()
    stalls = worker.stalls()
    assert worker.look(stalls, 3 * NOTHING_S) is None  # nothing waits
    worker.ends[A] = 6
    began = worker.now
    said = worker.look(stalls, 3 * NOTHING_S)
    assert said is not None
    assert said.startswith("aup.events.dhcp/0: next is 5, the end is 6, nothing came for ")
    assert NOTHING_S < worker.now - began < NOTHING_S + 3 * ASK_S


def test_one_partition_may_wait_longer_while_others_move() -> None:
    worker = Worker()
    stalls = worker.stalls()
    worker.ends[A] = 6
    began = worker.now
    said = worker.look(stalls, 2 * ONE_S, {B: 1})
    assert said is not None
    assert said.startswith("aup.events.dhcp/0")
    assert worker.now - began > ONE_S


def test_who_takes_what_comes_is_left_alone() -> None:
    worker = Worker(ends={A: 100_000, B: 100_000})
    assert worker.look(worker.stalls(), 3 * ONE_S, {A: 1, B: 1}) is None


def test_kafka_that_does_not_answer_is_no_stall() -> None:
    worker = Worker(ends={})
    assert worker.look(worker.stalls(), 3 * ONE_S) is None


def test_messages_that_wait_for_a_server_do_not_count() -> None:
    worker = Worker()
    stalls = worker.stalls()
    worker.ends[A] = 6
    worker.busy = worker.now
    with patience.waiting():
        assert worker.look(stalls, 3 * STEP_S) is None
    worker.busy = None
    assert worker.look(stalls, NOTHING_S) is None  # counted from there on


def test_a_step_that_never_ends_is_told() -> None:
    worker = Worker()
    stalls = worker.stalls()
    worker.busy = worker.now
    said = worker.look(stalls, 3 * STEP_S)
    assert said is not None
    assert "one step has taken 60" in said


def test_a_server_that_is_back_gives_a_step_its_whole_time_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker()
    stalls = worker.stalls()
    worker.busy = worker.now
    with patience.waiting():
        worker.look(stalls, STEP_S)
    monkeypatch.setattr(patience, "_ended_s", worker.now)
    assert worker.look(stalls, STEP_S - ASK_S) is None
    assert worker.look(stalls, 3 * ASK_S) is not None
