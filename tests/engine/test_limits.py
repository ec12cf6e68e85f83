"""At a limit a rule errs in the direction that is stated, says so in the violation, and is counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.engine import tallies, window_sessions, windows
from agents.engine.correlate import Bucket, RuleTime
from agents.engine.episodes import Judge, Records
from agents.engine.rows import KeyedRow, Row
from agents.rules.loader import parse_rules
from agents.rules.model import Rule, Threshold
from agents.rules.own import Concurrent, Quota
from schemas.headers import FOREVER
from schemas.kinds import EventKind

LIMIT = 5
KEY = '{"user_name":"x"}'
DAY = 86_400_000_000
COUNT = Rule(
    id="r", version="1", title="t", description="d", clause=1, severity="low", kind="event_count", bases=("a",),
    kinds=frozenset({EventKind.PROXY}), group_by=("user_name",), timespan_us=100, thresholds=(Threshold("many", 3),),
)  # fmt: skip
RULES = [
    COUNT,
    replace(COUNT, kind="value_count", value_field="v"),
    replace(COUNT, kind="value_sum", value_field="n"),
    replace(COUNT, kind="concurrent", own=Concurrent(), thresholds=(Threshold("places", 2),)),
    replace(COUNT, kind="value_count", value_field="v", own=Quota("day"), timespan_us=DAY),
]


@pytest.fixture(autouse=True, scope="module")
def _small_limits() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "MAX_ROWS", LIMIT)
        patch.setattr(windows, "MAX_VALUES", LIMIT)
        patch.setattr(tallies, "MAX_VALUES", LIMIT)
        patch.setattr(window_sessions, "MAX_SESSIONS", LIMIT)
        yield


def _rows(values: list[tuple[int, str]]) -> list[Row]:
    return [Row(t, f"{i:04d}", "a", (v, ""), 1.0, "s", "g", i, "h", "{}", ()) for i, (t, v) in enumerate(values)]


def _judged(rule: Rule, rows: list[Row]) -> tuple[Bucket, Records]:
    bucket = Bucket({"r": rule}, Judge())
    bucket.take(KeyedRow("r", KEY, late=False, row=row, input_row=0) for row in rows)
    return bucket, bucket.advance({"r": RuleTime(FOREVER, 0)})


def _highest(records: Records) -> float:
    return max((float(r["value"]) for r in records), default=0.0)


@given(st.lists(st.tuples(st.integers(0, 60), st.sampled_from("pqrstuvw")), max_size=30))
def test_values_at_a_limit_are_never_higher_than_they_are_and_say_that_they_may_be_lower(
    values: list[tuple[int, str]],
) -> None:
    rows = _rows(sorted(values))
    for rule in RULES:
        bucket, records = _judged(rule, rows)
        with pytest.MonkeyPatch.context() as patch:
            for module, name in ((windows, "MAX_ROWS"), (windows, "MAX_VALUES"), (tallies, "MAX_VALUES")):
                patch.setattr(module, name, 1_000)
            patch.setattr(window_sessions, "MAX_SESSIONS", 1_000)
            whole, true = _judged(rule, rows)
        assert _highest(records) <= _highest(true)
        assert whole.limits == {}
        if _highest(records) < _highest(true):
            assert bucket.limits["r", "left_early"] > 0
        if bucket.limits == {}:
            assert records == true
        else:
            assert not records or any(r["value_lower_bound"] for r in records) or _highest(records) == _highest(true)


def test_rows_that_left_early_are_counted_by_rule() -> None:
    for rule in RULES:
        bucket, records = _judged(rule, _rows([(i, f"v{i}") for i in range(12)]))
        # Twelve of which five are kept; where values are counted, the empty one that all rows have takes a place.
        assert bucket.limits["r", "left_early"] in (7, 8)
        assert records[-1]["value_lower_bound"]


def test_an_episode_of_sessions_closes_when_a_session_that_became_shorter_ends() -> None:
    text = """
title: Two places
name: r
correlation:
  type: value_count
  rules: [d]
  group-by: [user_name]
  timespan: 8h
  condition: {gte: 2, field: source_ip}
aupstream: {kind: concurrent, session: {id: session_id, seconds: session_seconds}}
---
title: Login
name: d
logsource: {category: authentication}
detection: {s: {event_outcome: success}, condition: s}
"""
    rule, second = parse_rules(text).rule("r"), 1_000_000
    bucket = Bucket({"r": rule}, Judge())
    for n, (t, session, seconds) in enumerate([(0, "a", 28_800.0), (10, "b", 28_800.0), (20, "b", 300.0)]):
        place = ("A" if session == "a" else "B", session)
        row = Row(t * second, f"{n:04d}", "d", place, seconds, "s", "g", n, "h", "{}", ())
        bucket.take([KeyedRow("r", '{"user_name":"x"}', late=False, row=row, input_row=0)])
    assert [r["state"] for r in bucket.advance({"r": RuleTime(30 * second)})] == ["open"]
    assert [r["closed_at"] for r in bucket.advance({"r": RuleTime(400 * second)})] == [320 * second]
