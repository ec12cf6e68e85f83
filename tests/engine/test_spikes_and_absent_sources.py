"""What nobody knows of a time in which a source was absent makes no spike."""

from __future__ import annotations

from fractions import Fraction

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from agents.engine.correlate import Bucket, RuleTime
from agents.engine.episodes import Judge, Records
from agents.engine.key import Setting
from agents.engine.periods import PeriodKey
from agents.engine.rows import KeyedRow, Row
from agents.rules.model import Rule, Threshold
from agents.rules.own import Spike
from schemas.headers import FOREVER
from tests.engine import own_oracle
from tests.engine.test_own_kinds_against_the_oracle import DAY, DENVER, KEYS, seen
from tests.engine.test_windows_against_the_oracle import _rule

RULE = _rule(
    "spike", own=Spike("", 4, 2, Fraction(2)), thresholds=(Threshold("spike", 3),), timespan_us=DAY, bases=("a",)
)


def _day(number: int, rows: int) -> list[Row]:
    times = [number * DAY + i * 1_000_000 for i in range(rows)]
    return [Row(t, f"{t:032x}", "a", (), None, "s", "g", t, f"{t:032x}", "{}", ()) for t in times]


def _judged(rule: Rule, counts: list[int], absent: range) -> tuple[Records, list[Row]]:
    """Day by day; on absent days nothing comes, and the watermark goes on without the source. Saved every day."""
    bucket, out, rows = Bucket({"r": rule}, Judge(), calendar=DENVER), list[dict[str, object]](), list[Row]()
    for number, count in enumerate(counts):
        blind = number in absent
        made = [] if blind else _day(number, count)
        rows += made
        out += bucket.take(KeyedRow("r", KEYS[0], late=False, row=r, input_row=0) for r in made)
        out += bucket.advance({"r": RuleTime((number + 1) * DAY, 0, incomplete=blind)})
        saved = msgspec.msgpack.decode(msgspec.msgpack.encode(bucket.save()))
        bucket = Bucket({"r": rule}, Judge(), calendar=DENVER)
        assert bucket.load(saved) == []
    return out + bucket.advance({"r": RuleTime(FOREVER, 0)}), rows


def test_days_on_which_the_source_was_absent_make_no_usual_day_a_spike() -> None:
    usual = [5] * 8
    assert _judged(RULE, usual, range(4, 7))[0] == []
    # The same days without anything, while the source was there: then five are many.
    assert len({r["id"] for r in _judged(RULE, [5, 5, 5, 5, 0, 0, 0, 5], range(0))[0]}) == 1


def test_a_spike_is_found_again_once_there_is_enough_of_a_past() -> None:
    found, _ = _judged(RULE, [5] * 10 + [20, 5], range(4, 7))
    assert {r["first_seen"] // DAY for r in found} == {10}


@given(st.lists(st.integers(0, 9), min_size=3, max_size=16), st.integers(0, 15), st.integers(0, 4))
def test_spikes_are_those_of_the_days_that_are_known(counts: list[int], begin: int, length: int) -> None:
    absent = range(begin, min(begin + length, len(counts)))
    found, rows = _judged(RULE, counts, absent)
    before = [r.t // DAY for r in rows if r.t // DAY < begin]
    left_out = frozenset(range(max(before, default=begin), absent.stop)) if absent else frozenset()
    assert seen(found, KEYS[0]) == own_oracle.spike(RULE, rows, DENVER.zone, left_out)


def test_state_of_a_release_that_left_nothing_out_is_read() -> None:
    before, after = (PeriodKey(Setting(RULE, Judge()), KEYS[0]) for _ in range(2))
    out: Records = []
    for row in (r for n in range(4) for r in _day(n, 5)):
        before.apply(row, out)
    after.from_state(before.to_state()[:8])
    for row in _day(4, 20):
        after.apply(row, out)
    assert [r["opened_at"] // DAY for r in out] == [4]
