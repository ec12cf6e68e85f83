"""Buckets judge as the slow, obvious way does, in whatever order and portions rows arrive."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from math import inf
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from agents.context.permit import Act
from agents.engine.correlate import Bucket, RuleTime
from agents.engine.episodes import Judge, Records
from agents.engine.rows import KeyedRow, Row
from agents.rules.model import VALUE_SEPARATOR, Rule, Threshold
from schemas.headers import FOREVER
from schemas.ids import violation_id
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
        kinds=frozenset({EventKind.LOGIN}),
        group_by=("user_name",),
        **{"timespan_us": SPAN, "bases": ("a", "b"), **extra},
    )


EVENT_COUNT = _rule("event_count", thresholds=(Threshold("many", 3),))
VALUE_COUNT = _rule(
    "value_count",
    value_field="values",
    thresholds=(Threshold("inside", 3, where="in"), Threshold("all", 5), Threshold("one", 3, per="message")),
)
SEQUENCE = _rule("sequence", counts=(3, 2))
RULES = [
    EVENT_COUNT,
    VALUE_COUNT,
    SEQUENCE,
    _rule("event_count", thresholds=(Threshold("some", 2, lte=4),)),
    _rule("event_count", thresholds=(Threshold("few", -inf, lte=2),)),
    _rule("value_sum", value_field="n", thresholds=(Threshold("much", 10.5),)),
    _rule("value_sum", value_field="n", thresholds=(Threshold("little", -inf, lte=3.25),)),
    _rule("value_avg", value_field="n", thresholds=(Threshold("high", 3.5, neq=4.0),)),
    _rule("value_median", value_field="n", thresholds=(Threshold("high", 3.0, lte=6.0),)),
    _rule("value_percentile", value_field="n", percentile=90.0, thresholds=(Threshold("high", 6.1),)),
    _rule("temporal"),
    _rule("temporal", bases=("a", "b", "c"), presence=("and", "a", ("or", "c", ("not", "b")))),
    _rule("temporal_ordered", bases=("a", "b", "c")),
    _rule("temporal_ordered", bases=("a", "a", "b")),
    _rule("sequence", bases=("a", "b", "c"), counts=(2, 1, 2)),
    _rule("event_count", thresholds=(Threshold("many", 3),), window="tumbling"),
    _rule("event_count", thresholds=(Threshold("any", 1),), window="tumbling"),
    _rule("value_count", value_field="v", thresholds=(Threshold("many", 3),), window="session", timespan_us=20),
    _rule("event_count", thresholds=(Threshold("any", 1),), window="session", timespan_us=15),
    _rule("temporal", window="session", timespan_us=30),
    _rule("event_count", thresholds=(Threshold("many", 2),), lasting_us=40),
    _rule("event_count", thresholds=(Threshold("many", 3),), suppress_us=120),
    _rule("event_count", thresholds=(Threshold("many", 3),), rearm_us=90),
    _rule("event_count", thresholds=(Threshold("many", 2),), rearm_us=30, suppress_us=200, timespan_us=40),
]


def _value(parts: tuple[str, int, int]) -> str:
    return VALUE_SEPARATOR.join(map(str, parts))


VALUES = st.lists(
    st.tuples(st.sampled_from(["in", "out"]), st.integers(0, 2), st.integers(0, 3)).map(_value), min_size=1, max_size=3
)


BASES = st.sampled_from("aabbc")
NUMBERS = st.one_of(st.integers(-3, 9).map(float), st.sampled_from([0.1, 0.2, 2.5, 1e-9, 7.25]))


@st.composite
def rows(draw: st.DrawFn) -> list[Row]:
    """Up to forty rows of one key, times close enough to overlap and to tie."""
    times = draw(st.lists(st.integers(0, 600), min_size=1, max_size=40))
    return [
        Row(
            t,
            f"{i:04d}",
            draw(st.sampled_from("aabbc")),
            tuple(draw(VALUES)),
            draw(NUMBERS),
            "s",
            draw(st.sampled_from("gggh")),  # the log was rotated, or another tells of the same second
            i,
            "h",
            "{}",
            (),
        )
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


@given(st.data(), rows(), st.sampled_from(RULES), st.booleans())
def test_episodes_are_those_of_the_oracle_however_rows_arrive(
    data: st.DataObject, given_rows: list[Row], rule: Rule, shuffle: bool
) -> None:
    arrivals, watermarks = _split(data.draw, given_rows, shuffle)
    assert _seen(_judge(rule, arrivals, watermarks)) == _expected(rule, given_rows)


@given(st.data(), rows(), st.sampled_from(RULES))
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
        def knows(self, clause: int) -> bool:
            return clause == EVENT_COUNT.clause

        def covering(self, who: Iterable[str], clause: int, t_us: int, act: Act) -> dict[str, Any] | None:
            del who, clause, act
            return {"who": "x"} if t_us < 5_000_000 else None

    def status(summary: str) -> str:
        bucket = Bucket({"r": EVENT_COUNT}, Judge(Monday()))
        row = Row(9_000_000, "", "a", (), None, "s", "g", 0, "h", summary, ())
        bucket.take(KeyedRow("r", KEY, late=False, row=row._replace(event_id=str(i)), input_row=0) for i in range(3))
        return str(bucket.advance({"r": RuleTime(FOREVER)})[-1]["status"])

    assert status('{"timestamp_first":"1970-01-01T00:00:01.000000Z"}') == "permitted"
    assert status("{}") == "violation"


def test_a_late_event_is_in_no_window_that_it_does_not_belong_to() -> None:
    """Elsewhere a late event was counted in whatever window was open when it came (Karib0u/rustinel issue 535)."""
    rows_in_time = [Row(t, f"{t:03d}", "a", (), None, "s", "g", t, "h", "{}", ()) for t in (0, 150, 160)]
    late = Row(40, "040", "a", (), None, "s", "g", 40, "h", "{}", ())  # comes last, belongs to the window of the first
    found = _judge(EVENT_COUNT, [rows_in_time, [late]], [0, FOREVER])
    assert found == []


def test_two_events_of_one_second_in_the_wrong_order_are_not_in_order() -> None:
    rule = _rule("temporal_ordered")
    first_b_then_a = [
        Row(5, "s:1", "b", (), None, "s", "g", 1, "h", "{}", ()),
        Row(5, "s:2", "a", (), None, "s", "g", 2, "h", "{}", ()),
    ]
    for arrivals in (first_b_then_a, first_b_then_a[::-1]):
        assert _judge(rule, [arrivals], [FOREVER]) == []
    again = [*first_b_then_a, first_b_then_a[0]._replace(event_id="s:3", offset=3)]
    assert [r["opened_at"] for r in _judge(rule, [again], [FOREVER])][:1] == [5]


def test_two_logs_that_tell_of_one_second_are_in_no_order() -> None:
    """Ids of events say nothing of the order between two logs, or of a log before and after its rotation."""
    rule = _rule("temporal_ordered")
    one, other = (Row(5, f"{i}", base, (), None, "s", "g", i, "h", "{}", ()) for i, base in enumerate("ab"))
    assert _judge(rule, [[one, other]], [FOREVER])
    for elsewhere in (other._replace(generation="h"), other._replace(source="t")):
        assert _judge(rule, [[one, elsewhere]], [FOREVER]) == []
        assert _judge(rule, [[one, elsewhere._replace(t=6)]], [FOREVER])


def test_a_row_whose_window_was_judged_before_it_came_is_counted_in_none() -> None:
    """Not stamped late, but its source had been told to be past it: what is judged stays."""
    bucket = Bucket({"r": EVENT_COUNT}, Judge())

    def rows_at(*times: int) -> list[KeyedRow]:
        made = [Row(t, f"{t:03d}", "a", (), None, "s", "g", t, "h", "{}", ()) for t in times]
        return [KeyedRow("r", KEY, late=False, row=row, input_row=0) for row in made]

    bucket.take(rows_at(100, 110))
    assert bucket.advance({"r": RuleTime(150)}) == []
    bucket.take(rows_at(120))
    assert bucket.advance({"r": RuleTime(FOREVER)}) == []
    assert (bucket.counters.behind, bucket.pending) == (1, 0)


def _chain() -> dict[str, Rule]:
    inner = _rule("event_count", thresholds=(Threshold("many", 3),), root="outer", root_by=("user_name",), silent=True)
    outer = _rule(
        "temporal", bases=("r", "c"), inner=frozenset({"r"}), root="outer", root_by=("user_name",), timespan_us=300
    )
    by_device = replace(inner, group_by=("device", "user_name"))
    return {"outer": replace(outer, id="outer"), "r": by_device}


@given(st.data(), rows())
def test_a_chain_is_judged_as_its_parts_one_after_the_other(data: st.DataObject, given_rows: list[Row]) -> None:
    """The inner rule by the oracle, its episodes as rows of the outer one, and that by the oracle again."""
    rules = _chain()
    devices = {r.event_id: data.draw(st.sampled_from("xy")) for r in given_rows}
    keys = {d: f'{{"device":"{d}","user_name":"u"}}' for d in "xy"}
    keyed = [
        KeyedRow("outer", '{"user_name":"u"}', late=False, row=r, input_row=0)
        if r.base == "c"
        else KeyedRow("r", keys[devices[r.event_id]], late=False, row=r, input_row=0)
        for r in given_rows
    ]
    arrivals, watermarks = _split(data.draw, given_rows, shuffle=True)
    by_id = {k.row.event_id: k for k in keyed}
    bucket, out = Bucket(rules, Judge()), list[dict[str, Any]]()
    for portion, watermark in zip(arrivals, watermarks, strict=True):
        out += bucket.take(by_id[r.event_id] for r in portion)
        out += bucket.advance(dict.fromkeys(rules, RuleTime(watermark)))
        saved = msgspec.msgpack.decode(msgspec.msgpack.encode(bucket.save()))
        bucket = Bucket(rules, Judge())
        assert bucket.load(saved) == []
    out += bucket.advance(dict.fromkeys(rules, RuleTime(FOREVER)))
    inner = [
        (e["opened_at"], violation_id("r", keys[d], e["first_id"]))
        for d in "xy"
        for e in episodes(rules["r"], [r for r in given_rows if r.base != "c" and devices[r.event_id] == d])
    ]
    behind = [Row(t, name, "r", (), None, "s", "g", 0, "h", "{}", ()) for t, name in inner]
    expected = _expected(rules["outer"], [*behind, *(r for r in given_rows if r.base == "c")])
    assert {r["rule_id"] for r in out} <= {"outer"}
    assert _seen(out) == expected
