from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from schemas.logrepeats import QUIET_S, Repeats


class _Time:
    """A clock that calls what was asked for later."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waiting: list[tuple[float, Callable[[], None]]] = []

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        self.waiting.append((self.now + seconds, call))

    def pass_to(self, now: float) -> None:
        self.now = now
        due = [call for at, call in self.waiting if at <= now]
        self.waiting = [(at, call) for at, call in self.waiting if at > now]
        for call in due:
            call()


def _record(text: str, *args: object, name: str = "kafka.net.manager") -> logging.LogRecord:
    return logging.LogRecord(name, logging.WARNING, __file__, 1, text, args, None)


@pytest.fixture
def time() -> _Time:
    return _Time()


@pytest.fixture
def repeats(time: _Time) -> Repeats:
    return Repeats(("kafka",), clock=lambda: time.now, later=time.later)


def test_what_a_library_repeats_is_said_once_whatever_it_waits_for(repeats: Repeats) -> None:
    texts = [f"connection to bootstrap-0 failed: ECONNREFUSED (backoff 0.{n} secs)" for n in range(10)]
    assert [repeats.filter(_record(text)) for text in texts] == [True] + [False] * 9


def test_another_server_is_another_fact(repeats: Repeats) -> None:
    for text in ("node_id=1 lost", "node_id=2 lost", "10.0.0.1:9092 lost", "10.0.0.1:9093 lost", "10.0.0.2:9093 lost"):
        assert repeats.filter(_record(text))


def test_its_end_is_said_once_and_then_it_is_new(
    repeats: Repeats, time: _Time, caplog: pytest.LogCaptureFixture
) -> None:
    for second in range(200):
        time.pass_to(float(second))
        repeats.filter(_record("away"))
    assert caplog.messages == []
    for second in range(200, 400):
        time.pass_to(float(second))
    assert caplog.messages == ["kafka.net.manager has ended after 199 more times: away"]
    assert time.waiting == []
    assert repeats.filter(_record("away"))


def test_what_was_said_once_has_no_end(repeats: Repeats, time: _Time, caplog: pytest.LogCaptureFixture) -> None:
    assert repeats.filter(_record("once"))
    time.pass_to(QUIET_S)
    assert caplog.messages == []
    assert time.waiting == []


def test_what_we_say_ourselves_is_never_held_back(repeats: Repeats) -> None:
    assert all(repeats.filter(_record("the same", name="aupstream.agent")) for _ in range(3))


def test_a_record_that_cannot_be_written_is_left_to_the_handler(repeats: Repeats) -> None:
    assert repeats.filter(_record("%d", "no number"))


def test_more_facts_than_are_remembered_are_all_said(repeats: Repeats) -> None:
    assert all(repeats.filter(_record(f"node_id={n} lost")) for n in range(600))
    assert repeats.filter(_record("node_id=599 lost"))
    assert not repeats.filter(_record("node_id=1 lost"))
