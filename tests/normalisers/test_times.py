"""Year-less and zone-less times: New Year, leap days, daylight saving, clocks that start anew."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import StateError
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.times import SourceClock, micros_of

NEW_YORK = "America/New_York"
LORD_HOWE = "Australia/Lord_Howe"


def read(
    stamps: list[str], zone: str = "UTC", year: int | None = None, first_seen: str = "2024-12-31"
) -> list[str | None]:
    clock = SourceClock(NormaliserSettings(ZoneInfo(zone), year, date.fromisoformat(first_seen)))
    return [shown(clock.micros(stamp)) for stamp in stamps]


def shown(micros: int | None) -> str | None:
    if micros is None:
        return None
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)).strftime("%Y-%m-%dT%H:%M:%S")


def test_the_year_turns_at_new_year() -> None:
    assert read(["Dec 31 23:59:59", "Jan  1 00:00:00", "Jan  2 00:00:00"], year=2023) == [
        "2023-12-31T23:59:59", "2024-01-01T00:00:00", "2024-01-02T00:00:00",
    ]  # fmt: skip


def test_a_line_of_december_after_one_of_january_is_of_the_old_year() -> None:
    assert read(["Dec 31 23:59:58", "Jan  1 00:00:01", "Dec 31 23:59:59", "Jan  1 00:00:02"], year=2023) == [
        "2023-12-31T23:59:58", "2024-01-01T00:00:01", "2023-12-31T23:59:59", "2024-01-01T00:00:02",
    ]  # fmt: skip


def test_a_first_line_of_january_may_be_followed_by_a_late_one_of_december() -> None:
    assert read(["Jan  1 00:00:01", "Dec 31 23:59:59"], year=2024) == ["2024-01-01T00:00:01", "2023-12-31T23:59:59"]


@pytest.mark.parametrize(
    ("first_seen", "stamp", "expected"),
    [
        ("2024-03-01", "Mar  1 12:00:00", "2024-03-01T12:00:00"),
        ("2024-03-01", "Mar  2 12:00:00", "2024-03-02T12:00:00"),  # a day ahead: another zone
        ("2024-03-01", "Mar  3 12:00:00", "2023-03-03T12:00:00"),
        ("2024-01-01", "Dec 31 12:00:00", "2023-12-31T12:00:00"),
        ("2023-12-31", "Jan  1 12:00:00", "2024-01-01T12:00:00"),
        ("2026-03-01", "Feb 29 12:00:00", "2024-02-29T12:00:00"),
    ],
)
def test_the_first_line_is_of_the_newest_year_that_fits_the_first_sight(
    first_seen: str, stamp: str, expected: str
) -> None:
    assert read([stamp], first_seen=first_seen) == [expected]


def test_29_february_is_a_date_in_a_leap_year_only() -> None:
    assert read(["Feb 28 00:00:00", "Feb 29 00:00:00", "Mar  1 00:00:00"], year=2024)[1] == "2024-02-29T00:00:00"
    assert read(["Feb 28 00:00:00", "Feb 29 00:00:00", "Mar  1 00:00:00"], year=2023) == [
        "2023-02-28T00:00:00", None, "2023-03-01T00:00:00",
    ]  # fmt: skip
    assert read(["Feb 29 00:00:00"], year=2023) == [None]


def test_a_gap_of_many_months_goes_forward() -> None:
    assert read(["Feb  1 00:00:00", "Sep  1 00:00:00", "Sep  2 00:00:00", "Dec 30 00:00:00"], year=2024) == [
        "2024-02-01T00:00:00", "2024-09-01T00:00:00", "2024-09-02T00:00:00", "2024-12-30T00:00:00",
    ]  # fmt: skip


def test_a_clock_that_starts_at_1_january_does_not_drag_later_lines_into_the_next_year() -> None:
    stamps = ["Jun 15 00:00:00", "Jan  1 00:00:09", "Jan  1 00:00:10", "Jun 15 00:01:00", "Jun 16 00:00:00"]
    assert read(stamps, year=2024) == [
        "2024-06-15T00:00:00", "2025-01-01T00:00:09", "2025-01-01T00:00:10", "2024-06-15T00:01:00",
        "2024-06-16T00:00:00",
    ]  # fmt: skip


def test_local_times_are_put_to_utc_on_both_sides_of_daylight_saving() -> None:
    assert read(["Mar 10 01:59:59", "Mar 10 03:00:00", "Jul  1 12:00:00"], NEW_YORK, 2024) == [
        "2024-03-10T06:59:59", "2024-03-10T07:00:00", "2024-07-01T16:00:00",
    ]  # fmt: skip


def test_a_time_that_the_clocks_skip_goes_forward_by_what_they_skip() -> None:
    assert read(["Mar 10 02:30:00"], NEW_YORK, 2024) == ["2024-03-10T07:30:00"]  # 03:30 EDT


def test_an_hour_shown_twice_is_the_first_until_time_would_jump_back() -> None:
    stamps = [
        "Nov  3 00:59:59",
        "Nov  3 01:00:00",
        "Nov  3 01:59:59",
        "Nov  3 01:00:01",
        "Nov  3 01:50:00",
        "Nov  3 02:00:00",
    ]
    assert read(stamps, NEW_YORK, 2024) == [
        "2024-11-03T04:59:59", "2024-11-03T05:00:00", "2024-11-03T05:59:59",
        "2024-11-03T06:00:01", "2024-11-03T06:50:00", "2024-11-03T07:00:00",
    ]  # fmt: skip


def test_a_slightly_disordered_line_in_the_first_pass_stays_in_it() -> None:
    assert read(["Nov  3 01:30:00", "Nov  3 01:25:00"], NEW_YORK, 2024)[1] == "2024-11-03T05:25:00"


def test_half_an_hour_shown_twice_is_told_apart_too() -> None:
    stamps = ["Apr  7 01:29:00", "Apr  7 01:59:00", "Apr  7 01:30:00", "Apr  7 01:58:00", "Apr  7 02:00:00"]
    times = read(stamps, LORD_HOWE, 2024)
    assert times == [
        "2024-04-06T14:29:00", "2024-04-06T14:59:00", "2024-04-06T14:30:00", "2024-04-06T14:58:00",
        "2024-04-06T15:30:00",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2024-03-01T08:00:00.250000+01:00", "2024-03-01T07:00:00"),
        ("2024-03-01T08:00:00Z", "2024-03-01T08:00:00"),
        ("2024-03-01T08:00:00+0100", "2024-03-01T07:00:00"),
        ("2024-03-01 08:00:00", "2024-03-01T13:00:00"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00"),
        ("Fri Mar  1 08:00:00 2024", "2024-03-01T13:00:00"),
        ("Mar  1 2024 08:00:00", "2024-03-01T13:00:00"),
        ("2024 Mar  1 08:00:00", "2024-03-01T13:00:00"),
        ("Mar  1 08:00:60 2024", "2024-03-01T13:01:00"),
    ],
)
def test_times_with_year_or_offset_are_read_as_they_stand(stamp: str, expected: str) -> None:
    assert read([stamp], NEW_YORK, 1999) == [expected]


@pytest.mark.parametrize("stamp", ["", "-", "Feb 30 00:00:00", "Mar  1 24:00:00", "Mar  1 00:60:00", "Mrz  1 00:00:00",
                                   "2024-02-30T00:00:00Z", "2024-13-01T00:00:00Z", "0001-01-01T00:00:00"])  # fmt: skip
def test_what_is_no_time_is_none(stamp: str) -> None:
    assert read([stamp], "Asia/Tokyo", 2024) == [None]


def test_microseconds_are_exact() -> None:
    clock = SourceClock(NormaliserSettings(year=2024))
    assert clock.micros("Mar  1 08:00:00.123456") == micros_of(datetime(2024, 3, 1, 8, 0, 0, 123_456, tzinfo=UTC))
    assert clock.micros("2024-03-01T08:00:00.1Z") == micros_of(datetime(2024, 3, 1, 8, 0, 0, 100_000, tzinfo=UTC))


@given(
    moments=st.lists(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)), min_size=1, max_size=30),  # noqa: DTZ001
    cut=st.integers(0, 29),
    zone=st.sampled_from([NEW_YORK, LORD_HOWE, "UTC", "Asia/Kathmandu"]),
)
def test_saving_and_loading_anywhere_changes_no_time(moments: list[datetime], cut: int, zone: str) -> None:
    stamps = [moment.strftime("%b %d %H:%M:%S") for moment in moments]
    settings = NormaliserSettings(ZoneInfo(zone), 2024)
    whole, before, after = SourceClock(settings), SourceClock(settings), SourceClock(settings)
    expected = [whole.micros(stamp) for stamp in stamps]
    found = [before.micros(stamp) for stamp in stamps[:cut]]
    after.restore(json.loads(json.dumps(before.state())))
    assert found + [after.micros(stamp) for stamp in stamps[cut:]] == expected


@given(
    start=st.datetimes(datetime(2021, 1, 1), datetime(2024, 1, 1)),  # noqa: DTZ001
    steps=st.lists(st.integers(1, 1500), min_size=1, max_size=60),
    zone=st.sampled_from([NEW_YORK, "Europe/Berlin", "UTC"]),
)
def test_a_log_in_order_is_read_back_across_years_and_daylight_saving(
    start: datetime, steps: list[int], zone: str
) -> None:
    """Lines at most 25 minutes apart: then even an hour shown twice is never in doubt."""
    moment = start.replace(tzinfo=UTC, microsecond=0)
    local = moment.astimezone(ZoneInfo(zone))
    clock = SourceClock(NormaliserSettings(ZoneInfo(zone), local.year))
    ambiguous_start = local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset()
    if ambiguous_start:
        return  # a log that starts within the hour shown twice cannot be told
    for step in steps:
        assert clock.micros(moment.astimezone(ZoneInfo(zone)).strftime("%b %d %H:%M:%S")) == micros_of(moment)
        moment += timedelta(seconds=step)


@given(
    minutes=st.lists(st.integers(0, 300), min_size=1, max_size=20),
    ends=st.lists(
        st.sampled_from(["00", "59", "60", "07.125", "07,125", "07.125000", "07.12", "7", "07Z", "xx", "0٣"])
    ),
    zone=st.sampled_from([NEW_YORK, LORD_HOWE, "UTC", "Asia/Kathmandu"]),
)
def test_a_time_in_the_hour_of_the_line_before_is_read_as_if_it_stood_alone(
    minutes: list[int], ends: list[str], zone: str
) -> None:
    """Around the nights when New York's and Lord Howe's clocks change."""
    quick, slow = (SourceClock(NormaliserSettings(ZoneInfo(zone), 2024)) for _ in range(2))
    for start in (datetime(2024, 11, 2, 23), datetime(2024, 4, 6, 23), datetime(1, 1, 1), datetime(9999, 12, 31, 18)):  # noqa: DTZ001
        for minute, end in zip(minutes, [*ends, *["00"] * len(minutes)], strict=False):
            stamp = f"{(start + timedelta(minutes=minute)).strftime('%Y-%m-%d %H:%M').zfill(16)}:{end}"
            slow._iso_hour = ""
            assert quick.micros(stamp) == slow.micros(stamp), stamp


@pytest.mark.parametrize("state", [{"years": 3}, {"years": {"newest": "x"}}, {"years": {}, "previous": 1.5},
                                   {"years": {"newest": 0}}])  # fmt: skip
def test_a_state_that_is_none_is_refused(state: dict[str, object]) -> None:
    with pytest.raises(StateError, match="saved clock"):
        SourceClock(NormaliserSettings()).restore(state)
