"""The stamps of whole arrays are those of the slow, obvious way, whatever the portions."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streams.stamps import StampState, cover, progress_of, stamp

LATENESS, JUMP = 10, 100

times = st.lists(
    st.one_of(st.integers(0, 60), st.integers(0, 1_000), st.sampled_from([5_000, 5_005, 9_999])), max_size=40
)


def row_by_row(rows: list[int], closing: int | None) -> list[tuple[bool, bool, int]]:
    """Late, suspect and running maximum of every row that can be decided."""
    out: list[tuple[bool, bool, int]] = []
    maximum: int | None = None
    for i, time in enumerate(rows):
        suspect = False
        if maximum is not None and time > maximum + JUMP:
            ayes = noes = 0
            for later in rows[i + 1 :]:
                if ayes < 3 and noes < 3:
                    ayes, noes = (ayes + 1, noes) if later >= time - LATENESS else (ayes, noes + 1)
            if ayes < 3 and noes < 3:
                if closing is None:
                    return out
                suspect = time > closing
            else:
                suspect = noes == 3
        late = maximum is not None and not suspect and time < maximum - LATENESS
        if not suspect:
            maximum = time if maximum is None else max(maximum, time)
        assert maximum is not None
        out.append((late, suspect, maximum))
    return out


def in_portions(rows: list[int], sizes: list[int], closing: int | None) -> list[tuple[bool, bool, int]]:
    out: list[tuple[bool, bool, int]] = []
    held: list[int] = []
    state, at = StampState(), 0
    while at < len(rows):
        size = sizes[len(out) % len(sizes)] if sizes else len(rows)
        held += rows[at : at + size]
        at += size
        last = closing if at >= len(rows) else None
        stamps = stamp(np.array(held, np.int64), state, lateness_us=LATENESS, jump_max_us=JUMP, closing=last)
        out += list(zip(stamps.late.tolist(), stamps.suspect.tolist(), stamps.running.tolist(), strict=True))
        state, held = stamps.state, held[len(stamps) :]
    return out


@given(times, st.lists(st.integers(1, 7), min_size=1, max_size=5), st.sampled_from([None, 0, 5_001, 10_000]))
def test_stamps_in_portions_equal_the_row_by_row_oracle(rows: list[int], sizes: list[int], closing: int | None) -> None:
    assert in_portions(rows, sizes, closing) == row_by_row(rows, closing)


@given(times)
def test_no_more_than_a_handful_of_rows_waits(rows: list[int]) -> None:
    stamps = stamp(np.array(rows, np.int64), StampState(), lateness_us=LATENESS, jump_max_us=JUMP)
    assert len(rows) - len(stamps) <= 5


@given(times, st.integers(0, 10_000))
def test_an_outcome_that_was_kept_is_given_again_with_more_rows_behind_it(rows: list[int], clock: int) -> None:
    first = stamp(np.array(rows, np.int64), StampState(), lateness_us=LATENESS, jump_max_us=JUMP, closing=clock)
    more = np.array([*rows, 0, 0, 0, 9_999, 9_999, 9_999], np.int64)
    again = stamp(more, StampState(), lateness_us=LATENESS, jump_max_us=JUMP, closing=0, decided=first.outcomes)
    assert again.suspect[: len(rows)].tolist() == first.suspect.tolist()
    assert again.late[: len(rows)].tolist() == first.late.tolist()


def test_the_first_row_ever_is_accepted_and_sets_the_maximum() -> None:
    stamps = stamp(np.array([10**15], np.int64), StampState(), lateness_us=LATENESS, jump_max_us=JUMP)
    assert stamps.state == StampState(10**15, 10**15)
    assert progress_of(stamps.state.maximum, LATENESS) == 10**15 - LATENESS


def test_a_row_exactly_at_the_lateness_is_not_late_and_one_before_is() -> None:
    stamps = stamp(np.array([100, 90, 89], np.int64), StampState(), lateness_us=LATENESS, jump_max_us=JUMP)
    assert stamps.late.tolist() == [False, False, True]


def test_a_suspect_moves_neither_maximum_nor_earliest() -> None:
    rows = np.array([100, 5_000, 101, 102, 103], np.int64)
    stamps = stamp(rows, StampState(), lateness_us=LATENESS, jump_max_us=JUMP)
    assert stamps.suspect.tolist() == [False, True, False, False, False]
    assert stamps.running.tolist() == [100, 100, 101, 102, 103]
    assert stamps.earliest.tolist() == [100] * 5


def test_covered_time_makes_older_rows_late_and_never_goes_back() -> None:
    state = cover(StampState(100, 100), 200)
    assert cover(state, 150) == state
    stamps = stamp(np.array([150], np.int64), state, lateness_us=LATENESS, jump_max_us=JUMP)
    assert stamps.late.tolist() == [True]


def test_a_late_row_is_no_begin_of_the_log() -> None:
    """Readers take the earliest time as the begin once progress is past it: then no row may change it any more."""
    rows = np.array([100, 95, 200, 50], np.int64)
    whole = stamp(rows, StampState(), lateness_us=LATENESS, jump_max_us=JUMP)
    assert whole.late.tolist() == [False, False, False, True]
    assert whole.earliest.tolist() == [100, 95, 95, 95]
    state = StampState()
    for one in rows:
        state = stamp(np.array([one], np.int64), state, lateness_us=LATENESS, jump_max_us=JUMP).state
    assert state == whole.state == StampState(200, 95)
