"""A rule's next version is in force from an event time on, whatever the order and the portions in which rows come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.engine.correlate import Bucket, RuleTime
from agents.engine.episodes import Judge, Records
from agents.engine.rows import KeyedRow, Row
from agents.rules.loader import parse_rules
from agents.rules.model import Rule, Threshold
from agents.rules.own import Absence, NewValue, Quota
from schemas.headers import FOREVER, NEVER
from schemas.kinds import EventKind

KEYS = ('{"user_name":"x"}', '{"user_name":"y"}')
SPAN = 60
Versions = Sequence[tuple[int, Mapping[str, Rule]]]
DAY = 86_400_000_000


def _rule(kind: str = "event_count", name: str = "r", **extra: Any) -> Rule:
    return Rule(
        id=name, version=extra.pop("version", "1"), title="t", description="d", clause=1, severity="low", kind=kind,
        kinds=frozenset({EventKind.LOGIN}), group_by=("user_name",),
        **{"timespan_us": SPAN, "bases": ("a", "b"), "root": name, "root_by": ("user_name",), **extra},
    )  # fmt: skip


def many(limit: float, **extra: Any) -> Rule:
    return _rule(thresholds=(Threshold("many", limit),), version=f"many {limit}", **extra)


NEXT = [
    many(2),
    many(3),
    many(5),
    many(3, suppress_us=50),
    many(2, timespan_us=30),
    many(3, window="tumbling"),
    _rule("value_count", value_field="v", thresholds=(Threshold("some", 2),), version="values"),
    _rule("sequence", counts=(2, 1), version="sequence"),
    _rule("new_value", timespan_us=0, own=NewValue(), learn_us=40, version="new"),
    _rule("single", timespan_us=0, version="single"),
    _rule(thresholds=(Threshold("quota", 4),), own=Quota("day"), timespan_us=DAY, version="quota"),
    None,
]


@st.composite
def keyed(draw: st.DrawFn) -> list[tuple[str, Row]]:
    """Rows of two keys, in order, their times close enough to overlap and to tie."""
    times = sorted(draw(st.lists(st.integers(0, 300), min_size=1, max_size=30)))
    return [
        (
            draw(st.sampled_from(KEYS)),
            Row(t, f"{i:04d}", draw(st.sampled_from("aab")), (draw(st.sampled_from("pqr")),), 1.0, "s", "g", i, "h",
                "{}", ()),
        )
        for i, t in enumerate(times)
    ]  # fmt: skip


def bucket_of(versions: Versions) -> Bucket:
    made = Bucket(versions[0][1], Judge(), hot_keys=1)
    for start, rules in versions[1:]:
        made.follow(start, rules)
    return made


def at(versions: Versions, t: int) -> Mapping[str, Rule]:
    return next(rules for start, rules in reversed(versions) if start <= t)


def judge(versions: Versions, portions: Sequence[Sequence[tuple[str, Row]]], *, restart: Sequence[bool]) -> Records:
    """Rows in portions; versions are announced before the first, the bucket is saved and restored where told."""
    bucket, out = bucket_of(versions), list[dict[str, Any]]()
    rows = [row for portion in portions for _, row in portion]
    earliest, left = min(row.t for row in rows), len(rows)
    ids = sorted({rule_id for _, rules in versions for rule_id in rules})
    for portion, again in zip(portions, restart, strict=True):
        out += bucket.take(
            KeyedRow(rule_id, key, late=False, row=row, input_row=0)
            for key, row in portion
            for rule_id in at(versions, row.t)
        )
        left -= len(portion)
        later = min((row.t for row in rows[-left:]), default=None) if left else None
        watermark = max(row.t for row in rows) if later is None else later
        out += bucket.advance(dict.fromkeys(ids, RuleTime(watermark, earliest)))
        if again:
            saved = msgspec.msgpack.decode(msgspec.msgpack.encode(bucket.save()))
            bucket = bucket_of(versions)
            assert bucket.load(saved) == []
    return out + bucket.advance(dict.fromkeys(ids, RuleTime(FOREVER, earliest)))


def last(records: Records) -> list[dict[str, Any]]:
    return sorted({r["id"]: r for r in records}.values(), key=lambda r: str(r["id"]))


@given(keyed(), st.lists(st.tuples(st.integers(-5, 320), st.sampled_from(NEXT)), min_size=1, max_size=3), st.data())
def test_order_portions_and_restarts_change_nothing_about_what_a_new_version_makes(
    rows: list[tuple[str, Row]], changes: list[tuple[int, Rule | None]], data: st.DataObject
) -> None:
    starts = sorted(changes, key=lambda change: change[0])
    versions: Versions = [(NEVER, {"r": many(3)})] + [(t, {} if r is None else {"r": r}) for t, r in starts]
    plain = judge(versions, [[row] for row in rows], restart=[False] * len(rows))
    order, portions = data.draw(st.permutations(rows)), list[list[tuple[str, Row]]]()
    while order:
        size = data.draw(st.integers(1, 9))
        portions.append(order[:size])
        order = order[size:]
    again = judge(versions, portions, restart=[data.draw(st.booleans()) for _ in portions])
    assert last(again) == last(plain)
    assert all(r["state"] == "closed" for r in last(plain)), "nothing stays open for ever when a rule has gone"


def slow(limits: Sequence[tuple[int, float]], rows: Sequence[Row]) -> list[tuple[Any, ...]]:
    """Instant by instant: what an event count finds whose limit changes."""
    episodes: list[list[Any]] = []
    inside, used, opened, taken = list[Row](), "", False, list[Row]()
    for now in range(max(row.t for row in rows) + SPAN + 2):
        limit = next(limit for start, limit in reversed(limits) if start <= now)
        coming = [row for row in rows if row.t == now]
        inside = [row for row in inside if row.t > now - SPAN]
        changed = any(start == now for start, _ in limits)
        if opened and (changed or not coming) and not len(inside) >= limit:
            opened, used = False, taken[-1].event_id
            episodes[-1] += [now, len(taken), taken[-1].event_id]
        for row in coming:
            inside.append(row)
            holds = len(inside) >= limit
            if opened and holds:
                taken.append(row)
            elif opened:
                opened, used = False, taken[-1].event_id
                episodes[-1] += [now, len(taken), taken[-1].event_id]
            elif holds:
                opened, taken = True, [r for r in inside if r.event_id > used]
                episodes.append([taken[0].event_id, now])
    return [tuple(e) for e in episodes]


@given(
    keyed(),
    st.lists(st.tuples(st.integers(0, 320), st.integers(1, 6)), min_size=1, max_size=3, unique_by=lambda c: c[0]),
)
def test_an_event_count_whose_limit_changes_equals_one_that_looks_at_every_instant(
    rows: list[tuple[str, Row]], changes: list[tuple[int, int]]
) -> None:
    limits: list[tuple[int, float]] = [(NEVER, 3), *sorted(changes)]
    versions: Versions = [(start, {"r": many(limit)}) for start, limit in limits]
    records = judge(versions, [[row] for row in rows], restart=[False] * len(rows))
    for key in KEYS:
        mine = [row for k, row in rows if k == key]
        found = [r for r in last(records) if r["group_key"] == msgspec.json.decode(key)]
        seen = sorted((r["opened_at"], r["closed_at"], r["count"], r["evidence"][-1]["event_id"]) for r in found)
        assert seen == [e[1:] for e in (slow(limits, mine) if mine else [])]


def _rows(*times: int, key: str = KEYS[0], rule: str = "r") -> list[KeyedRow]:
    return [
        KeyedRow(rule, key, late=False, row=Row(t, f"{t:04d}", "a", (), None, "s", "g", t, "h", "{}", ()), input_row=0)
        for t in times
    ]


def test_an_episode_goes_on_under_a_version_whose_limit_it_meets_and_ends_where_it_does_not() -> None:
    for limit, closed, count in ((3, 72, 5), (6, 30, 4)):
        bucket = Bucket({"r": many(4)}, Judge())
        bucket.follow(30, {"r": many(limit)})
        bucket.take(_rows(10, 11, 12, 13, 31))
        (record,) = last(bucket.advance({"r": RuleTime(FOREVER, 0)}))
        assert (record["closed_at"], record["count"]) == (closed, count)
        assert record["rule_version"] == (f"many {limit}" if limit == 3 else "many 4")


def test_a_rule_that_goes_closes_its_open_episodes_and_says_what_is_dropped() -> None:
    bucket = Bucket({"r": many(2), "s": many(2, name="s")}, Judge())
    bucket.follow(50, {"s": many(2, name="s")})
    bucket.take([*_rows(40, 41), *_rows(40, 41, rule="s")])
    records = bucket.advance(dict.fromkeys("rs", RuleTime(60, 0)))
    assert [(r["rule_id"], r["state"], r["closed_at"]) for r in records] == [
        ("r", "open", None), ("r", "closed", 50), ("s", "open", None),
    ]  # fmt: skip
    assert bucket.said == ["rule r is gone from 50 on: the state of 1 keys is dropped"]
    assert bucket.take(_rows(61)) == []
    assert bucket.counters.unknown_rule == 1


def test_a_rule_that_is_new_learns_from_the_time_on_that_it_is_in_force() -> None:
    """Its sources have been read for long: what it sees first is new to it, and no violation."""
    rule = _rule("new_value", timespan_us=0, own=NewValue(), learn_us=100)
    bucket = Bucket({}, Judge())
    bucket.follow(1_000, {"r": rule})
    bucket.take([*_rows(1_010, key='{"user_name":"a"}'), *_rows(1_120, key='{"user_name":"b"}')])
    records = bucket.advance({"r": RuleTime(FOREVER, earliest=0)})
    assert [r["group_key"] for r in records] == [{"user_name": "b"}]


def test_values_known_to_one_version_are_known_to_the_next() -> None:
    first = _rule("new_value", timespan_us=0, own=NewValue(), learn_us=10)
    bucket = Bucket({"r": first}, Judge())
    bucket.follow(50, {"r": replace(first, own=NewValue(frozenset({"z"})), version="2", title="another")})
    bucket.take([*_rows(1), *_rows(60)])
    assert bucket.advance({"r": RuleTime(FOREVER, earliest=0)}) == []


DENIED = """
title: Many
name: r
correlation: {type: event_count, rules: [d], group-by: [user_name], timespan: 10m, condition: {gte: 3}}
---
title: Denied
name: d
logsource: {category: proxy}
detection: {s: {event_action: denied}, c: {sc-status: 407}, condition: s}
"""
NARROWER = DENIED.replace("condition: s}", "condition: s and not c}")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (NARROWER, 0),
        (DENIED.replace("}}\n---", "}}\naupstream: {when: {hours: '08:00-09:00'}}\n---"), 0),
        (DENIED.replace("title: Many", "title: Very many\nlevel: high"), 1),
        (DENIED.replace("gte: 3", "gte: 2"), 1),
    ],
)
def test_nobody_is_accused_with_rows_that_the_rule_in_force_does_not_match(text: str, found: int) -> None:
    """Two rows before a change, which only the version before matched, and one behind it."""
    before, after = parse_rules(DENIED).rule("r"), parse_rules(text).rule("r")
    bucket = Bucket({"r": before}, Judge())
    bucket.follow(100, {"r": after})
    bucket.take(_rows(10, 20, 110))
    records = bucket.advance({"r": RuleTime(FOREVER)})
    assert len({r["id"] for r in records}) == found
    assert all(r["rule_version"] == after.version for r in records)
    assert bool(bucket.said) is not bool(found)
    restored = Bucket({"r": after}, Judge())
    saved = Bucket({"r": before}, Judge())
    saved.take(_rows(10, 20))
    dropped = "state of rule r dropped: 0 keys and 2 waiting rows, because it has another condition now"
    assert restored.load(saved.save()) == ([] if found else [dropped])


def test_a_state_of_the_release_before_which_knew_no_conditions_is_taken_back() -> None:
    rule = parse_rules(DENIED).rule("r")
    bucket = Bucket({"r": rule}, Judge())
    bucket.take(_rows(10, 20))
    saved = bucket.save()
    del saved["rules"]["r"]["shape"]["condition"]
    again = Bucket({"r": rule}, Judge())
    assert again.load(saved) == []
    again.take(_rows(30))
    assert again.advance({"r": RuleTime(FOREVER)})


def test_a_rule_over_one_that_opens_at_another_limit_begins_anew() -> None:
    text = DENIED + NARROWER[: NARROWER.index("---")].replace("name: r", "name: s").replace("[d]", "[r]")
    text = text.replace("condition: s}\n", "condition: s}\n---\n", 1)
    first, other, same = (
        parse_rules(t).rule("s") for t in (text, text.replace("gte: 3", "gte: 4", 1), text.replace("Many", "More"))
    )
    assert (first.shape == other.shape, first.shape == same.shape) == (False, True)


def test_a_key_that_is_not_expected_any_more_is_not_missed() -> None:
    rule = _rule("absence", own=Absence(frozenset(KEYS), within_us=100), timespan_us=100)
    bucket = Bucket({"r": rule}, Judge())
    bucket.follow(150, {"r": replace(rule, own=Absence(frozenset(KEYS[:1]), within_us=100), version="2")})
    bucket.take(_rows(10))
    found = last(bucket.advance({"r": RuleTime(400, earliest=0)}))
    assert [(r["group_key"]["user_name"], r["state"], r["closed_at"]) for r in found if r["state"] == "closed"] == [
        ("y", "closed", 150)
    ]
    assert [r["group_key"]["user_name"] for r in found if r["state"] == "open"] == ["x"]


def test_a_version_that_is_heard_of_too_late_takes_over_at_once() -> None:
    bucket = Bucket({"r": many(3)}, Judge())
    bucket.take(_rows(10, 20))
    bucket.advance({"r": RuleTime(100, 0)})
    bucket.follow(50, {"r": many(2)})
    bucket.take(_rows(110, 120))
    (record,) = last(bucket.advance({"r": RuleTime(FOREVER, 0)}))
    assert (record["first_seen"], record["rule_version"]) == (110, "many 2")


def test_a_chain_ends_in_the_version_that_its_episodes_open_in() -> None:
    inner = many(2, name="inner", root="outer")
    outer = _rule(name="outer", bases=("inner",), inner=frozenset({"inner"}), thresholds=(Threshold("many", 2),))
    changed = replace(outer, thresholds=(Threshold("many", 1),), version="2")
    bucket = Bucket({"inner": inner, "outer": outer}, Judge())
    bucket.follow(200, {"inner": inner, "outer": changed})
    bucket.take([*_rows(10, 11, 250, 251, rule="inner")])
    found = last(bucket.advance(dict.fromkeys(("inner", "outer"), RuleTime(FOREVER, 0))))
    assert [(r["first_seen"], r["rule_version"]) for r in found if r["rule_id"] == "outer"] == [(251, "2")]
