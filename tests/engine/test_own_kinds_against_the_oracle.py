"""Kinds that Sigma has no word for are judged as the slow, obvious way does, in whatever order rows arrive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.context.calendar import Calendar
from agents.engine import keystore, waiting
from agents.engine.correlate import Bucket, RuleTime
from agents.engine.episodes import Judge, Records
from agents.engine.rows import KeyedRow, Row
from agents.rules.model import Rule, Threshold
from agents.rules.own import Absence, Concurrent, NewValue, Quota, Spike, Travel, When
from schemas.headers import FOREVER, NEVER
from schemas.ids import violation_id
from tests.engine import own_oracle
from tests.engine.oracle import inside_of
from tests.engine.test_windows_against_the_oracle import EVENT_COUNT, RULES, SEQUENCE, VALUE_COUNT, _rule

KEYS = ['{"user_name":"x"}', '{"user_name":"y"}', '{"user_name":"z"}']
DENVER = Calendar(ZoneInfo("America/Denver"))
HOUR = 3_600_000_000
DAY = 24 * HOUR
MINUTE = 60_000_000
LOW = (Threshold("spike", 1),)
SPRING = 1_772_866_800_000_000  # 2026-03-07T00:00-07:00: the clock goes forward in the night to Sunday
SECOND = 1_000_000

CONCURRENT = _rule(
    "concurrent", bases=("a", "b"), value_field="v", thresholds=(Threshold("concurrent", 2),),
    own=Concurrent(frozenset({"b"}), "id", "seconds"), timespan_us=100 * SECOND,
)  # fmt: skip
TRAVEL = _rule(
    "travel", bases=("a",), timespan_us=4 * HOUR, own=Travel(150, 900), thresholds=(Threshold("km-per-h", 900),)
)
QUOTAS = [
    _rule(
        "value_sum", value_field="n", own=Quota("day"), thresholds=(Threshold("quota", 12.5),), timespan_us=24 * HOUR
    ),
    _rule("event_count", own=Quota("week"), thresholds=(Threshold("quota", 5),), timespan_us=168 * HOUR),
    _rule("value_count", value_field="v", own=Quota("day"), thresholds=(Threshold("quota", 3),), timespan_us=24 * HOUR),
]
SPIKES = [
    _rule("spike", own=Spike("", 4, 2, Fraction(2)), thresholds=(Threshold("spike", 3),), timespan_us=20 * HOUR),
    _rule("spike", own=Spike("day", 5, 1, None, Fraction(3, 2)), thresholds=(Threshold("spike", 2),), timespan_us=DAY),
    _rule("spike", own=Spike("week", 2, 1, Fraction(1), Fraction(1)), thresholds=LOW, timespan_us=7),
]  # fmt: skip
ABSENCE = _rule("absence", bases=("a",), own=Absence(frozenset(KEYS), 30 * MINUTE))
NEW_VALUES = [
    _rule("new_value", timespan_us=0, own=NewValue()),
    _rule("new_value", timespan_us=0, own=NewValue(frozenset({"y"})), learn_us=20 * HOUR),
    _rule("new_value", timespan_us=0, own=NewValue(frozenset(), 30 * HOUR)),
]
CITIES = [("39.74", "-104.99"), ("40.01", "-105.27"), ("51.51", "-0.13"), ("37.27", "-107.88")]
NETWORKS = ["192.0.2.1", "198.51.100.1", "2001:db8::1", ""]


@pytest.fixture(autouse=True, scope="module")
def _small_limits() -> Iterator[None]:
    """Keys are packed and forgotten, and rows are cut into slices, at the scale of the examples."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keystore, "SWEEP_SHIFT", 4)
        patch.setattr(waiting, "_SHIFT", 3)
        yield


@st.composite
def keyed(draw: st.DrawFn, scale: int, start: int = 0, most: int = 25) -> list[tuple[str, Row]]:
    """Rows of up to three keys, in order, their times close enough to tie."""
    times = sorted(draw(st.lists(st.integers(0, 40), min_size=1, max_size=most)))
    found = []
    for i, t in enumerate(times):
        place = draw(st.sampled_from(["n", "s", "w"]))
        values = (place, draw(st.sampled_from(["1", "2", "3", ""])))
        number = draw(st.sampled_from([None, 0.0, 2.0, 15.0, 500.0, 7.25, -3.0]))
        row = Row(
            start + t * scale,
            f"{i:032x}",
            draw(st.sampled_from("aab")),
            values,
            number,
            "s",
            "g",
            i,
            f"{i:032x}",
            "{}",
            (),
        )
        found.append((draw(st.sampled_from(KEYS)), row))
    return found


def judge(draw: Any, rule: Rule, rows: list[tuple[str, Row]], times: Any = None, hot: int = 1) -> Records:
    """All records, rows shuffled and in portions, with a snapshot and restore after each."""
    made: dict[str, Any] = {"calendar": DENVER, "hot_keys": hot}
    bucket, out = Bucket({rule.id: rule}, Judge(), **made), list[dict[str, Any]]()
    order = draw(st.permutations(rows))
    while order:
        size = draw(st.integers(1, 12))
        portion, order = order[:size], order[size:]
        out += bucket.take(KeyedRow(rule.id, key, late=False, row=row, input_row=0) for key, row in portion)
        watermark = min((row.t for _, row in order), default=max(row.t for _, row in rows))
        earliest = min(row.t for _, row in rows)
        out += bucket.advance({rule.id: RuleTime(watermark, earliest)})
        if draw(st.booleans()):
            saved = msgspec.msgpack.decode(msgspec.msgpack.encode(bucket.save()))
            bucket = Bucket({rule.id: rule}, Judge(), **made)
            assert bucket.load(saved) == []
    return out + bucket.advance({rule.id: times or RuleTime(FOREVER, min(row.t for _, row in rows))})


def seen(records: Records, key: str) -> list[tuple[Any, ...]]:
    """Last versions of a key's violations."""
    name = msgspec.json.decode(key)
    last = {r["id"]: r for r in records if r["group_key"] == name}
    return [
        (r["evidence"][0]["event_id"], r["opened_at"], r["closed_at"], r["count"], r["evidence"][-1]["event_id"])
        for r in last.values()
    ]


def of(rows: list[tuple[str, Row]], key: str) -> list[Row]:
    return [row for k, row in rows if k == key]


@given(st.data(), keyed(10 * SECOND))
def test_sessions_at_several_places(data: st.DataObject, rows: list[tuple[str, Row]]) -> None:
    found = judge(data.draw, CONCURRENT, rows)
    for key in KEYS:
        assert seen(found, key) == own_oracle.concurrent(CONCURRENT, of(rows, key))


@given(st.data(), keyed(10 * MINUTE))
def test_journeys(data: st.DataObject, rows: list[tuple[str, Row]]) -> None:
    placed = [
        (key, row._replace(values=(*data.draw(st.sampled_from(CITIES)), data.draw(st.sampled_from(NETWORKS)))))
        for key, row in rows
    ]
    # An address that is not known is of no network.
    placed = [(k, r._replace(values=(*r.values[:2], r.values[2] or f"203.0.{i}.9"))) for i, (k, r) in enumerate(placed)]
    found = judge(data.draw, TRAVEL, placed)
    for key in KEYS:
        mine = of(placed, key)
        opened = [
            row.t
            for i, row in enumerate(mine)
            if i and mine[i - 1].t > row.t - TRAVEL.timespan_us and own_oracle.fast(mine[i - 1], row, 150, 900)
        ]
        assert {r["opened_at"] for r in found if r["group_key"] == msgspec.json.decode(key)} <= set(opened)
        spans = [(f[1], f[2]) for f in seen(found, key)]
        assert all(any(a <= t < b for a, b in spans) for t in opened)
        for at in {t for row in mine for t in (row.t, row.t + TRAVEL.timespan_us - 1, row.t + TRAVEL.timespan_us)}:
            inside = inside_of(TRAVEL, mine, at)
            there = any(own_oracle.fast(a, b, 150, 900) for a, b in pairwise(inside))
            assert there == any(a <= at < b for a, b in spans)


@given(st.data(), keyed(HOUR, SPRING, most=40), st.sampled_from(QUOTAS))
def test_quotas_of_local_days_and_weeks(data: st.DataObject, rows: list[tuple[str, Row]], rule: Rule) -> None:
    found = judge(data.draw, rule, rows)
    for key in KEYS:
        expected = own_oracle.quota(rule, of(rows, key), DENVER.zone)
        assert seen(found, key) == expected
        per = rule.own.per if isinstance(rule.own, Quota) else ""
        starts = [own_oracle.local_start(e[1], DENVER.zone, per)[0] for e in expected]
        mine = {r["id"] for r in found if r["group_key"] == msgspec.json.decode(key)}
        assert mine == {violation_id("r", key, f"{per}:{start}") for start in starts}


@given(st.data(), keyed(7 * HOUR, SPRING, most=40), st.sampled_from(SPIKES))
def test_spikes_against_the_keys_own_past(data: st.DataObject, rows: list[tuple[str, Row]], rule: Rule) -> None:
    found = judge(data.draw, rule, rows)
    for key in KEYS:
        assert seen(found, key) == own_oracle.spike(rule, of(rows, key), DENVER.zone)


@given(st.data(), keyed(5 * MINUTE), st.integers(0, 300))
def test_absences_of_expected_keys(data: st.DataObject, rows: list[tuple[str, Row]], later: int) -> None:
    newest = max(row.t for _, row in rows) + later * MINUTE + 1  # past the last row too
    found = judge(data.draw, ABSENCE, rows, RuleTime(newest, min(row.t for _, row in rows)))
    for key in KEYS:
        last = {r["id"]: r for r in found if r["group_key"] == msgspec.json.decode(key)}
        expected = own_oracle.absence(ABSENCE, [r.t for r in of(rows, key)], rows[0][1].t, newest)
        assert [(r["opened_at"], r["closed_at"]) for r in last.values()] == expected
        assert list(last) == [violation_id("r", key, f"absent:{deadline}") for deadline, _ in expected]


@given(st.data(), keyed(HOUR), st.sampled_from(NEW_VALUES))
def test_new_values(data: st.DataObject, rows: list[tuple[str, Row]], rule: Rule) -> None:
    found = judge(data.draw, rule, rows)
    values = [(msgspec.json.decode(key)["user_name"], row) for key, row in rows]
    assert [r["evidence"][0]["event_id"] for r in found] == own_oracle.new_values(rule, values, rows[0][1].t)


@given(st.data(), keyed(20), st.sampled_from([*RULES, CONCURRENT, ABSENCE, *QUOTAS, *SPIKES]))
def test_packing_forgetting_and_portions_change_no_byte(
    data: st.DataObject, rows: list[tuple[str, Row]], rule: Rule
) -> None:
    if rule in (VALUE_COUNT, SEQUENCE, EVENT_COUNT):
        rows = [(key, row._replace(values=("in\x1f1\x1f2",))) for key, row in rows]
    rows = [(key, row._replace(number=row.number or 0.0)) for key, row in rows]
    end = RuleTime(10**9, rows[0][1].t)

    def in_order(records: Records) -> list[dict[str, Any]]:
        return sorted(records, key=lambda r: (r["id"], r["version"]))

    assert in_order(judge(data.draw, rule, rows, end)) == in_order(judge(data.draw, rule, rows, end, hot=100))


def row_at(t: int, base: str = "a") -> Row:
    return Row(t, f"{t:032x}", base, (), None, "s", "g", 0, "0" * 32, "{}", ())


def test_nothing_is_said_to_be_absent_while_a_source_was_and_the_gap_is_counted() -> None:
    bucket = Bucket({"r": replace(ABSENCE, own=Absence(frozenset(KEYS[:1]), 30 * MINUTE))}, Judge())
    bucket.take([KeyedRow("r", KEYS[0], late=False, row=row_at(0), input_row=0)])
    assert bucket.advance({"r": RuleTime(10 * MINUTE, 0)}) == []
    assert bucket.advance({"r": RuleTime(45 * MINUTE, 0, incomplete=True)}) == []
    assert bucket.limits == {("r", "coverage_gaps"): 1}
    # The next deadline, at 60 minutes, has blind time before it too; the one at 90 has not.
    assert bucket.advance({"r": RuleTime(89 * MINUTE, 0)}) == []
    assert bucket.limits == {("r", "coverage_gaps"): 2}
    (record,) = bucket.advance({"r": RuleTime(91 * MINUTE, 0)})
    assert (record["opened_at"], record["count"], record["incomplete"]) == (90 * MINUTE, 0, False)


def test_a_key_that_nobody_expects_is_never_absent_and_one_of_another_bucket_neither() -> None:
    bucket = Bucket({"r": ABSENCE}, Judge(), owns=lambda _, key: key == KEYS[1])
    bucket.take([KeyedRow("r", '{"user_name":"stranger"}', late=False, row=row_at(0), input_row=0)])
    found = bucket.advance({"r": RuleTime(31 * MINUTE, 0)})
    assert [r["group_key"] for r in found] == [{"user_name": "y"}]


@pytest.mark.parametrize(
    ("own", "when", "opened"),
    [
        (
            Absence(frozenset(KEYS[:1]), 0, 420),
            None,
            [30],
        ),  # 07:00 on the 8th is 30 hours after midnight of the 7th; the 9th's is met by the row
        (Absence(frozenset(KEYS[:1]), 2 * HOUR), When(hours=((480, 720),)), [10, 57]),
        (Absence(frozenset(KEYS[:1]), 2 * HOUR), When(days=frozenset({0})), [49]),
    ],
)
def test_an_absence_by_a_time_of_day_and_within_hours(own: Absence, when: When | None, opened: list[int]) -> None:
    bucket = Bucket({"r": replace(ABSENCE, own=own, when=when)}, Judge(), calendar=DENVER)
    found: Records = []
    for hour in range(58):
        if hour in (6, 33, 35):
            row = row_at(SPRING + hour * HOUR)
            bucket.take([KeyedRow("r", KEYS[0], late=False, row=row, input_row=0)] if hour != 33 or when else [])
        found += bucket.advance({"r": RuleTime(SPRING + hour * HOUR + 1, SPRING)})
    assert sorted({(r["opened_at"] - SPRING) // HOUR for r in found}) == opened


def test_a_rule_knows_so_many_values_and_then_reports_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.engine.newvalues.MAX_KNOWN", 2)
    bucket = Bucket({"r": NEW_VALUES[0]}, Judge())
    rows = [KeyedRow("r", f'{{"user_name":"{n}"}}', late=False, row=row_at(n), input_row=0) for n in range(5)]
    bucket.take(rows)
    assert len(bucket.advance({"r": RuleTime(FOREVER)})) == 2
    assert bucket.limits == {("r", "new_values_missed"): 3}


def test_what_changes_in_a_rule_decides_what_is_kept_of_its_state() -> None:
    bucket = Bucket({"r": EVENT_COUNT}, Judge())
    bucket.take([KeyedRow("r", KEYS[0], late=False, row=row_at(t), input_row=0) for t in (1, 2, 50)])
    bucket.advance({"r": RuleTime(10)})
    saved = bucket.save()

    def loaded(rule: Rule) -> tuple[list[str], int, int]:
        again = Bucket({"r": rule}, Judge())
        said = again.load(saved)
        return said, again.keys, again.pending

    assert loaded(replace(EVENT_COUNT, thresholds=(Threshold("few", 2),), suppress_us=5)) == ([], 1, 1)
    said, keys, pending = loaded(replace(EVENT_COUNT, timespan_us=50))
    assert (keys, pending) == (0, 1)
    assert said == ["state of rule r dropped: 1 keys, because it has another timespan now"]
    said, keys, pending = loaded(replace(EVENT_COUNT, group_by=("source_ip",)))
    assert (keys, pending) == (0, 0)
    assert "1 keys and 1 waiting rows, because it has another group-by now" in said[0]
    assert Bucket({}, Judge()).load(saved) == ["state of rule r dropped: the rule is gone"]


def test_state_of_the_first_release_is_read() -> None:
    row: list[Any] = [*row_at(1)[:3], [], None, "s", "g", 0, "h", "{}", []]
    plain: list[Any] = [[row], None, [NEVER, ""], False, False]
    rule = {"kind": "event_count", "span": 100, "pending": [], "known": {}, "passed": 5, "keys": {KEYS[0]: plain}}
    old = {"v": 1, "rules": {"r": rule}}
    bucket = Bucket({"r": EVENT_COUNT}, Judge())
    assert bucket.load(old) == []
    bucket.take([KeyedRow("r", KEYS[0], late=False, row=row_at(t), input_row=0) for t in (6, 7)])
    assert [r["count"] for r in bucket.advance({"r": RuleTime(FOREVER)})] == [3, 3]


def test_keys_are_expected_from_the_earliest_event_however_late_it_is_heard_of() -> None:
    def opened(earliest: list[int]) -> list[int]:
        bucket = Bucket({"r": ABSENCE}, Judge())
        records: Records = []
        for n, told in enumerate(earliest):
            records += bucket.advance({"r": RuleTime(5 * MINUTE + n, told)})
        records += bucket.advance({"r": RuleTime(300 * MINUTE, earliest[-1])})
        return sorted({r["opened_at"] for r in records})

    assert opened([9 * MINUTE, 7 * MINUTE]) == opened([7 * MINUTE])
