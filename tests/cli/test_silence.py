"""When a source is absent: silence while Kafka and the watcher are there, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.run.silence import Silence

HEAD = {"kind": "proxy", "type": "squid", "timeline": ""}


def _registered(name: str) -> dict[str, Any]:
    return {**HEAD, "event": "registered", "source": name}


def _watching(*names: str) -> Silence:
    silence = Silence(after_s=60.0)
    for name in names:
        silence.told(_registered(name))
    return silence


def _alive(silence: Silence, name: str, newest: int | None = None, state: str = "reading") -> None:
    silence.heard({"source": name, "newest": newest, "state": state})


def _pass(silence: Silence, seconds: int, *alive: tuple[str, int]) -> list[dict[str, Any]]:
    """Time by own beats; what is due is written and read back, as Kafka does."""
    due = []
    for _ in range(seconds):
        silence.beat(1.0)
        for name, newest in alive:
            _alive(silence, name, newest)
        for record in list(silence.due()):
            due.append(record)
            silence.told(record)
    return due


def test_who_is_silent_is_absent_once_and_the_others_are_not() -> None:
    silence = _watching("a", "b")
    _alive(silence, "b", 7_000)
    due = _pass(silence, 500, ("a", 1))
    assert [(r["event"], r["source"], r["newest"]) for r in due] == [("absent", "b", 7_000)]
    assert due[0]["silent_s"] == 60
    assert silence.absent() == ["b"]


def test_a_source_that_was_registered_and_never_read_is_absent_too() -> None:
    assert [r["source"] for r in _pass(_watching("never"), 61)] == ["never"]


def test_while_no_own_beat_comes_back_nobody_is_absent() -> None:
    silence = _watching("a")
    assert _pass(silence, 59) == []
    # Kafka is away for a day: nothing is heard of anybody, the watcher's own beats among it.
    assert list(silence.due()) == []
    _alive(silence, "a")
    assert _pass(silence, 59) == []


def test_a_source_that_has_ended_is_not_absent_and_reading_it_again_counts_anew() -> None:
    silence = _watching("a")
    _alive(silence, "a", 5, "ended")
    assert _pass(silence, 500) == []
    silence.told(_registered("a"))
    assert [r["event"] for r in _pass(silence, 100)] == ["absent"]


def test_what_is_retired_is_not_missed() -> None:
    silence = _watching("a")
    silence.told({**HEAD, "event": "retired", "source": "a"})
    assert _pass(silence, 500) == []


@pytest.mark.parametrize("again", ["heartbeat", "registered"])
def test_who_comes_back_is_back_at_once_and_has_caught_up_when_it_is_where_the_others_were(again: str) -> None:
    silence = _watching("a", "b")
    _alive(silence, "b", 7_000)
    _pass(silence, 100, ("a", 9_000))
    if again == "registered":
        silence.told(_registered("b"))
    due = _pass(silence, 5, ("a", 9_500), ("b", 7_100))
    assert [r["event"] for r in due] == (["returned"] if again == "heartbeat" else [])
    assert silence.absent() == []
    due = _pass(silence, 5, ("a", 9_900), ("b", 9_600))
    assert [(r["event"], r["source"], r["from"]) for r in due] == [("caught_up", "b", 7_000)]
    assert due[0]["to"] in (9_000, 9_500)
    assert _pass(silence, 50, ("a", 9_900), ("b", 9_900)) == []


def test_a_watcher_that_starts_anew_knows_who_is_absent_and_who_has_yet_to_catch_up() -> None:
    history = [_registered("a"), _registered("b"), _registered("c")]
    history += [{**HEAD, "event": "absent", "source": name, "newest": 5} for name in ("b", "c")]
    history += [{**HEAD, "event": "returned", "source": "c"}]
    silence = Silence(60.0)
    for record in history:
        silence.told(record)
    assert silence.absent() == ["b"]
    _alive(silence, "b", 6)  # what stands on the topic from before it fell silent is no sign of life
    assert _pass(silence, 100, ("a", 90), ("c", 80)) == []
    due = _pass(silence, 100, ("a", 90), ("c", 95))
    assert [(r["event"], r["source"], r["from"], r["to"]) for r in due] == [("caught_up", "c", 5, 90)]


def test_timelines_of_their_own_are_nobodys_business() -> None:
    silence = Silence(60.0)
    silence.told({**_registered("a"), "timeline": "backfill-1"})
    assert _pass(silence, 200) == []


@given(st.lists(st.sampled_from(["beat", "a", "b", "told"]), max_size=400))
def test_absence_alternates_whatever_happens(steps: list[str]) -> None:
    silence = _watching("a", "b")
    said: dict[str, list[str]] = {"a": [], "b": []}
    for step in steps:
        if step == "beat":
            silence.beat(7.0)
        elif step == "told":
            for record in list(silence.due()):
                silence.told(record)
                if record["event"] != "caught_up":
                    said[record["source"]].append(record["event"])
        else:
            _alive(silence, step, 1)
    for events in said.values():
        assert events == [("absent", "returned")[i % 2] for i in range(len(events))]
