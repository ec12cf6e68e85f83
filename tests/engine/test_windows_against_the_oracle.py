"""Buckets judge as the slow, obvious way does, in whatever order and portions rows arrive."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from agents.engine.correlate import Bucket, RuleTime
from agents.engine.episodes import Judge, Records
from agents.engine.rows import KeyedRow, Row
from agents.rules.model import VALUE_SEPARATOR, Rule, Threshold
from schemas.headers import FOREVER
from schemas.kinds import EventKind
from tests.engine.oracle import episodes

SPAN = 100
KEY = '{"user_name":"x"}'


def _rule(kind: str, **extra: Any) -> Rule:
    return Rule(
        id="r",
        version="v",
        title="t",
        description="d",
        clause=1,
        severity="low",
        kind=kind,
        bases=("a", "b"),
        kinds=frozenset({EventKind.LOGIN}),
        group_by=("user_name",),
        timespan_us=SPAN,
        **extra,
    )


EVENT_COUNT = _rule("event_count", thresholds=(Threshold("many", 3),))
VALUE_COUNT = _rule(
    "value_count",
    value_field="values",
    thresholds=(Threshold("inside", 3, where="in"), Threshold("all", 5), Threshold("one", 3, per="message")),
)
SEQUENCE = _rule("sequence", counts=(3, 2))


def _value(parts: tuple[str, int, int]) -> str:
    return VALUE_SEPARATOR.join(map(str, parts))


VALUES = st.lists(
    st.tuples(st.sampled_from(["in", "out"]), st.integers(0, 2), st.integers(0, 3)).map(_value), min_size=1, max_size=3
)


@st.composite
def rows(draw: st.DrawFn) -> list[Row]:
    """Up to forty rows of one key, times close enough to overlap and to tie."""
    times = draw(st.lists(st.integers(0, 600), min_size=1, max_size=40))
    return [
        Row(t, f"{i:04d}", draw(st.sampled_from("ab")), tuple(draw(VALUES)), None, "s", "g", i, "h", "{}", ())
        for i, t in enumerate(times)
    ]


def _judge(rule: Rule, arrivals: list[list[Row]], watermarks: list[int]) -> Records:
    bucket = Bucket({rule.id: rule}, Judge())
    out: Records = []
    for portion, watermark in zip(arrivals, watermarks, strict=True):
        out += bucket.take(KeyedRow(rule.id, KEY, late=False, row=r, input_row=0) for r in portion)
        out += bucket.advance({rule.id: RuleTime(watermark)})
        # A snapshot and restore at any point changes nothing.
        saved = msgspec.msgpack.decode(msgspec.msgpack.encode(bucket.save()))
        bucket = Bucket({rule.id: rule}, Judge())
        assert bucket.load(saved) == []
    return out + bucket.advance({rule.id: RuleTime(FOREVER)})


def _seen(records: Records) -> list[tuple[Any, ...]]:
    last = {r["id"]: r for r in records}
    return [
        (r["evidence"][0]["event_id"], r["opened_at"], r["closed_at"], r["count"], r["evidence"][-1]["event_id"])
        for r in last.values()
    ]


def _expected(rule: Rule, given_rows: list[Row]) -> list[tuple[Any, ...]]:
    return [
        (e["first_id"], e["opened_at"], e["closed_at"], e["count"], e["last_id"]) for e in episodes(rule, given_rows)
    ]


def _split(draw: Callable[[Any], Any], given_rows: list[Row], shuffle: bool) -> tuple[list[list[Row]], list[int]]:
    """Portions of any size whose watermark never passes a row still to come."""
    order = draw(st.permutations(given_rows)) if shuffle else sorted(given_rows, key=lambda r: (r.t, r.event_id))
    arrivals, watermarks, at = [], [], 0
    while at < len(order):
        size = draw(st.integers(1, 10))
        arrivals.append(order[at : at + size])
        at += size
        watermarks.append(min((r.t for r in order[at:]), default=FOREVER))
    return arrivals, watermarks


@given(st.data(), rows(), st.sampled_from([EVENT_COUNT, VALUE_COUNT, SEQUENCE]), st.booleans())
def test_episodes_are_those_of_the_oracle_however_rows_arrive(
    data: st.DataObject, given_rows: list[Row], rule: Rule, shuffle: bool
) -> None:
    arrivals, watermarks = _split(data.draw, given_rows, shuffle)
    assert _seen(_judge(rule, arrivals, watermarks)) == _expected(rule, given_rows)


@given(st.data(), rows(), st.sampled_from([EVENT_COUNT, VALUE_COUNT, SEQUENCE]))
def test_every_version_is_the_same_whatever_the_batches(data: st.DataObject, given_rows: list[Row], rule: Rule) -> None:
    one = _judge(rule, [given_rows], [FOREVER])
    arrivals, watermarks = _split(data.draw, given_rows, shuffle=True)
    other = _judge(rule, arrivals, watermarks)

    def by_version(records: Records) -> list[dict[str, Any]]:
        return sorted(records, key=lambda r: (r["id"], r["version"]))

    assert by_version(one) == by_version(other)


def test_a_late_row_enters_no_window_and_is_counted() -> None:
    bucket = Bucket({"r": EVENT_COUNT}, Judge())
    row = Row(1, "a", "a", (), None, "s", "g", 0, "h", "{}", ())
    late = [KeyedRow("r", KEY, True, row._replace(event_id=str(i)), 0) for i in range(9)]
    assert bucket.take(late) == []
    assert bucket.advance({"r": RuleTime(FOREVER)}) == []
    assert bucket.counters.late == 9


def test_a_later_episode_does_not_begin_with_an_event_of_an_earlier_one() -> None:
    # Three rows open it; the first leaves and it closes; one more row makes three again with two that were used.
    times = [0, 40, 60, 130]
    given_rows = [Row(t, f"{t:03d}", "a", (), None, "s", "g", t, "h", "{}", ()) for t in times]
    found = _seen(_judge(EVENT_COUNT, [given_rows], [FOREVER]))
    assert [first for first, *_ in found] == ["000", "130"]


def test_a_joined_event_is_permitted_by_the_time_at_which_it_began() -> None:
    class Monday:
        def covering(self, who: Iterable[str], clause: int, t_us: int) -> dict[str, Any] | None:
            del who, clause
            return {"who": "x"} if t_us < 5_000_000 else None

    def status(summary: str) -> str:
        bucket = Bucket({"r": EVENT_COUNT}, Judge(Monday()))
        row = Row(9_000_000, "", "a", (), None, "s", "g", 0, "h", summary, ())
        bucket.take(KeyedRow("r", KEY, late=False, row=row._replace(event_id=str(i)), input_row=0) for i in range(3))
        return str(bucket.advance({"r": RuleTime(FOREVER)})[-1]["status"])

    assert status('{"timestamp_first":"1970-01-01T00:00:01.000000Z"}') == "permitted"
    assert status("{}") == "violation"
