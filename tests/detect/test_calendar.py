"""Local days, school days and hours, over changes of the clock too."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.context.calendar import Calendar
from agents.rules.own import When

DENVER = Calendar(
    ZoneInfo("America/Denver"),
    holidays=((date(2026, 11, 25), date(2026, 11, 27)),),
    terms=((date(2026, 8, 17), date(2026, 12, 18)),),
    bell=(480, 900),
    bell_by_site={"north": (510, 930)},
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR = 3_600_000_000
ZONES = [
    "America/Denver",
    "Europe/Berlin",
    "America/Havana",
    "America/Santiago",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
]


def us(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("at", "hours"),
    [("2026-03-07T12:00:00-07:00", 24), ("2026-03-08T12:00:00-06:00", 23), ("2026-11-01T12:00:00-07:00", 25)],
)
def test_the_days_on_which_the_clock_changes_are_an_hour_shorter_or_longer(at: str, hours: int) -> None:
    start, end = DENVER.period(us(at), "day")
    assert end - start == hours * HOUR
    assert start == us(at[:10] + ("T00:00:00-06:00" if hours == 25 else "T00:00:00-07:00"))


def test_a_week_begins_on_monday_and_has_the_change_of_the_clock_in_it() -> None:
    start, end = DENVER.period(us("2026-03-08T23:59:59-06:00"), "week")
    assert (start, end) == (us("2026-03-02T00:00:00-07:00"), us("2026-03-09T00:00:00-06:00"))


@given(st.sampled_from(ZONES), st.integers(us("2015-01-01T00:00+00:00"), us("2027-01-01T00:00+00:00")), st.booleans())
def test_periods_join_without_gap_and_hold_the_times_of_their_own_dates(zone: str, t: int, weekly: bool) -> None:
    calendar, per = Calendar(ZoneInfo(zone)), "week" if weekly else "day"
    start, end = calendar.period(t, per)
    assert start <= t < end
    assert calendar.period(end, per)[0] == end
    assert calendar.period(start - 1, per)[1] == start

    def local(at: int) -> date:
        return (EPOCH + timedelta(microseconds=at)).astimezone(ZoneInfo(zone)).date()

    assert local(start) <= local(t) <= local(end - 1)
    assert (local(end) - local(start)).days == (7 if weekly else 1)


@pytest.mark.parametrize(
    ("at", "when", "inside"),
    [
        ("2026-11-24T08:00:00-07:00", When(hours=((480, 960),)), True),
        ("2026-11-24T07:59:59-07:00", When(hours=((480, 960),)), False),
        ("2026-11-24T16:00:00-07:00", When(hours=((480, 960),)), False),
        ("2026-11-24T23:00:00-07:00", When(hours=((1320, 360),)), True),
        ("2026-11-24T05:59:00-07:00", When(hours=((1320, 360),)), True),
        ("2026-11-24T06:00:00-07:00", When(hours=((1320, 360),)), False),
        ("2026-11-24T12:00:00-07:00", When(school_days=True), True),
        ("2026-11-25T12:00:00-07:00", When(school_days=True), False),
        ("2026-11-25T12:00:00-07:00", When(school_days=False), True),
        ("2026-11-21T12:00:00-07:00", When(school_days=True), False),
        ("2026-08-14T12:00:00-06:00", When(school_days=True), False),
        ("2026-11-24T12:00:00-07:00", When(days=frozenset({0, 2})), False),
        ("2026-11-24T12:00:00-07:00", When(days=frozenset({1})), True),
        ("2026-11-24T12:00:00-07:00", When(days=frozenset({1}), outside=True), False),
        ("2026-11-24T02:00:00+00:00", When(hours=((60, 180),), zone="UTC"), True),
        ("2026-11-24T08:15:00-07:00", When(named="bell"), True),
        ("2026-11-24T07:45:00-07:00", When(named="duty"), True),
    ],
)  # fmt: skip
def test_a_time_is_inside_or_outside(at: str, when: When, inside: bool) -> None:
    assert DENVER.inside(us(at), when) is inside


def test_a_site_may_have_bell_hours_of_its_own() -> None:
    at = us("2026-11-24T08:15:00-07:00")
    assert not DENVER.inside(at, When(named="bell"), "north")
    assert DENVER.inside(at, When(named="bell"), "south")


@pytest.mark.parametrize(
    ("roles", "inside"), [((), True), (("teacher",), True), (("custodian",), False), (("custodian", "early"), True)]
)
def test_a_role_may_have_duty_hours_of_its_own(roles: tuple[str, ...], *, inside: bool) -> None:
    calendar = replace(DENVER, duty_by_role={"custodian": (840, 1320), "early": (300, 500)})
    at, duty = us("2026-11-24T07:45:00-07:00"), When(named="duty")
    assert calendar.inside(at, duty, None, roles) is inside
    assert calendar.inside(at, When(named="duty", outside=True), None, roles) is not inside
    assert calendar.content() != DENVER.content()


WHENS = st.builds(
    When,
    hours=st.lists(st.tuples(st.integers(0, 1439), st.integers(0, 1440)), max_size=2).map(tuple),
    days=st.none() | st.frozensets(st.integers(0, 6), min_size=1),
    outside=st.booleans(),
)


@given(st.sampled_from(ZONES), st.integers(us("2026-01-01T00:00+00:00"), us("2026-12-30T00:00+00:00")), WHENS)
def test_between_a_time_and_the_next_change_nothing_changes_and_there_it_does(zone: str, t: int, when: When) -> None:
    calendar = Calendar(ZoneInfo(zone))
    change = calendar.next_change(t, when)
    now = calendar.inside(t, when)
    end = t + 9 * 24 * HOUR if change is None else change
    assert change is None or calendar.inside(change, when) is not now
    step = max((end - t) // 200, 1)
    assert all(calendar.inside(at, when) is now for at in [*range(t, end, step), end - 1])


@given(st.sampled_from(ZONES), st.integers(us("2026-01-01T00:00+00:00"), us("2026-12-30T00:00+00:00")))
def test_a_minute_of_the_day_comes_once_each_day(zone: str, t: int) -> None:
    moments = Calendar(ZoneInfo(zone)).daily(t, 150)
    first = [next(moments) for _ in range(5)]
    assert first[0] >= t
    assert all(22 * HOUR < b - a < 26 * HOUR for a, b in pairwise(first))
