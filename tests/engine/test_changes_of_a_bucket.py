"""A bucket saved whole once and then by what changed is the bucket saved whole, at every point."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.engine import keystore, newvalues, saving, waiting
from agents.engine.correlate import Bucket, RuleTime
from agents.engine.episodes import Judge
from agents.engine.newvalues import NewValues
from agents.engine.rows import KeyedRow, Row
from agents.engine.waiting import Waiter, Waiting
from agents.rules.model import Rule, Threshold
from agents.rules.own import Absence, NewValue
from schemas.errors import StateError
from tests.engine.test_own_kinds_against_the_oracle import ABSENCE, CONCURRENT, DENVER, QUOTAS, SPIKES
from tests.engine.test_windows_against_the_oracle import EVENT_COUNT, SEQUENCE, VALUE_COUNT, _rule

KEYS = [f'{{"user_name":"{name}"}}' for name in "vwxyz"]
PARENT = _rule("temporal", bases=("event_count", "a"), inner=frozenset({"event_count"}), timespan_us=300)
RULES = {
    rule.id: rule
    for rule in (
        replace(PARENT, id="chain"),  # before the rule that it is behind: `in_order` is what sorts them
        replace(EVENT_COUNT, id="event_count", thresholds=(Threshold("some", 2),)),
        replace(VALUE_COUNT, id="value_count"),
        replace(SEQUENCE, id="sequence", counts=(1, 1)),
        replace(CONCURRENT, id="concurrent", timespan_us=60),
        replace(QUOTAS[2], id="quota"),
        replace(SPIKES[0], id="spike", timespan_us=20),
        replace(ABSENCE, id="absence", own=Absence(frozenset(KEYS[:3]), 50)),
        _rule("new_value", own=NewValue(frozenset(), 40), timespan_us=0),
        replace(_rule("new_value", own=NewValue(), timespan_us=0), id="ever"),
    )
}


@pytest.fixture(autouse=True, scope="module")
def _small_limits() -> Iterator[None]:
    """Keys are packed and forgotten, values forgotten and notes shortened at the scale of the examples."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keystore, "SWEEP_SHIFT", 4)
        patch.setattr(waiting, "_SHIFT", 3)
        patch.setattr(waiting, "_SLACK", 2)
        patch.setattr(newvalues, "MAX_KNOWN", 3)
        yield


def _row(draw: st.DrawFn, rules: list[str], n: int, t: int) -> KeyedRow:
    value = "\x1f".join(draw(st.sampled_from(["in", "out"])) for _ in range(3))
    row = Row(t, f"{n:032x}", draw(st.sampled_from("ab")), (value, "1"), 1.0, "s", "g", n, f"{n:032x}", "{}", ())
    return KeyedRow(draw(st.sampled_from(rules)), draw(st.sampled_from(KEYS)), late=False, row=row, input_row=0)


Step = tuple[list[KeyedRow], int, bool, str]


@st.composite
def steps(draw: st.DrawFn) -> list[Step]:
    """Rows in any order above the watermark, the watermark after them, whether a source is absent, and what is saved.

    The watermark may go back, as it does when a source is registered.
    """
    rules = draw(st.lists(st.sampled_from(sorted(RULES)), min_size=1, max_size=3))
    n, watermark, out = 0, 0, list[Step]()
    for _ in range(draw(st.integers(1, 15))):
        rows = []
        for _ in range(draw(st.integers(0, 8))):
            n += 1
            rows.append(_row(draw, rules, n, watermark + draw(st.integers(0, 60))))
        watermark = max(0, watermark + draw(st.integers(-10, 60)))
        what = draw(st.sampled_from(["nothing", "changes", "changes", "changes", "whole"]))
        out.append((rows, watermark, draw(st.integers(0, 5)) == 0, what))
    return out


def _plain(value: Any) -> Any:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(value))


def _by_rule(state: dict[str, Any]) -> dict[str, Any]:
    """What counts of a saved bucket: watermarks are saved apart, and an empty rule may stand there or not."""
    found = {}
    for rule_id, saved in state["rules"].items():
        held = {"pending": sorted(saved["pending"], key=repr), "keys": saved["keys"], "known": saved["known"]}
        if any(held.values()):
            found[rule_id] = held | {"shape": saved["shape"]}
    return found


@given(steps(), st.sampled_from([1, 2, 100]))
def test_a_whole_state_and_its_changes_make_the_whole_state(given_steps: list[Step], hot: int) -> None:
    by_changes, by_whole = (Bucket(RULES, Judge(), calendar=DENVER, hot_keys=hot) for _ in range(2))
    state = _plain(by_changes.save())
    for rows, watermark, incomplete, what in given_steps:
        times = dict.fromkeys(RULES, RuleTime(watermark, 0, incomplete))
        assert by_changes.take(rows) == by_whole.take(rows)
        assert by_changes.advance(times) == by_whole.advance(times)
        if what == "nothing":
            continue
        changed = by_changes.changes() if what == "changes" else None
        if changed is None:
            state = _plain(by_changes.save())
        else:
            saving.merge(state, _plain(changed))
        assert _by_rule(state) == _by_rule(_plain(by_whole.save()))
        assert by_changes.reached() == by_whole.reached()
        assert by_changes.changes() == {"v": saving.CHANGES_VERSION, "rules": {}}


WAITING = st.lists(
    st.tuples(st.sampled_from(["add", "add", "due", "changes"]), st.integers(0, 20)), min_size=1, max_size=40
)


@given(WAITING)
def test_waiting_rows_are_what_waited_less_what_is_due_and_what_came(steps_of_one: list[tuple[str, int]]) -> None:
    """Rows and watermarks in any order: a row may come below a watermark that was, and waits for the next."""
    rows, mirror = Waiting(), list[Waiter]()
    assert rows.save() == mirror
    for n, (what, t) in enumerate(steps_of_one):
        if what == "add":
            rows.add(_one("k", t, n).row, "k")
        elif what == "due":
            rows.due(t)
        else:
            due, added = rows.changes()
            mirror = [waiter for waiter in mirror if due is None or waiter[0].t >= due] + added
            assert sorted(mirror) == list(rows)


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0, 1, 5, 14, 29, 30]), st.booleans()), max_size=40))
def test_known_values_are_what_was_known_less_what_is_forgotten_and_what_was_seen(
    sights: list[tuple[int, int, bool]],
) -> None:
    values, other = (NewValues(NewValue(frozenset(), 30)) for _ in range(2))
    mirror, t = dict(values.save()), 0
    for value, later, checkpoint in sights:
        t += later
        assert values.is_new(str(value), t) == other.is_new(str(value), t)
        if checkpoint and values.noting:
            known, forgotten = values.changes()
            mirror = {v: last for v, last in mirror.items() if forgotten is None or last > forgotten} | known
        elif checkpoint:
            mirror = dict(values.save())
        if checkpoint:
            assert mirror == other.save()


def _one_rule(rule: Rule, keys: int) -> Bucket:
    bucket = Bucket({"r": rule}, Judge(), hot_keys=4)
    bucket.take(_one(f'{{"user_name":"{n}"}}', 100 + n, n) for n in range(keys))
    bucket.advance({"r": RuleTime(100 + keys)})
    return bucket


def _one(group_key: str, t: int, n: int) -> KeyedRow:
    row = Row(t, f"{n:04}", "a", (), None, "s", "g", n, "h", "{}", ())
    return KeyedRow("r", group_key, late=False, row=row, input_row=0)


def test_changes_are_those_keys_that_changed_and_of_waiting_rows_those_that_came() -> None:
    bucket = _one_rule(replace(EVENT_COUNT, timespan_us=10_000), 500)
    bucket.take([_one(KEYS[0], 5_000 + n, n) for n in range(50)])
    bucket.save()
    bucket.take([_one('{"user_name":"7"}', 700, 1), _one('{"user_name":"new"}', 701, 2), _one(KEYS[1], 6_000, 3)])
    bucket.advance({"r": RuleTime(5_010)})
    changed = bucket.changes()
    assert changed is not None
    rule = changed["rules"]["r"]
    assert sorted(rule["keys"]) == ['{"user_name":"7"}', '{"user_name":"new"}', KEYS[0]]
    assert [key for key, _ in rule["added"]] == [KEYS[1]]
    assert (rule["due"], "gone" in rule) == (5_010, False)


def test_a_bucket_that_was_never_saved_whole_takes_no_notes_and_has_no_changes() -> None:
    assert _one_rule(EVENT_COUNT, 10).changes() is None
    loaded = Bucket({"r": EVENT_COUNT}, Judge())
    loaded.load(_one_rule(EVENT_COUNT, 10).save())
    assert loaded.changes() is None


def test_notes_longer_than_the_keys_are_many_are_dropped_and_the_bucket_is_saved_whole() -> None:
    bucket = _one_rule(EVENT_COUNT, 50)
    bucket.save()
    bucket.advance({"r": RuleTime(10_000)})  # all are forgotten
    assert bucket.keys == 0
    assert bucket.changes() is None
    assert bucket.save()["rules"]["r"]["keys"] == {}
    assert bucket.changes() == {"v": saving.CHANGES_VERSION, "rules": {}}


def test_changes_of_a_newer_release_are_refused() -> None:
    with pytest.raises(StateError, match="version 2"):
        saving.merge({"v": 2, "rules": {}}, {"v": 2, "rules": {}})
