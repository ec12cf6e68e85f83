"""What rows of our own kinds carry, and which the calendar lets in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from agents.context.calendar_settings import CalendarSettings
from agents.context.district import District, Site
from agents.context.inventory import Inventory
from agents.engine.detect import Detector
from agents.rules.examples import frame_of
from agents.rules.loader import parse_rules
from schemas.errors import Errors
from schemas.kinds import EventKind

LOGIN = """\
title: Login
name: logged-in
logsource: {category: authentication}
detection: {a: {event_action: login}, condition: a}
aupstream: {when: WHEN}
"""
SITES = [
    Site("north", ("10.1.0.0/16",), (), 39.74, -104.99),
    Site("south", ("10.2.0.0/16",)),
]
CALENDAR = CalendarSettings(
    holidays=("2026-03-04",), bell="08:00-15:00", duty="07:00-16:00", bell_by_site={"south": "09:00-15:00"}
)
DISTRICT = District.of("Example", "America/Denver", ["school.example"], SITES, CALENDAR)
TRAVEL = """\
title: Too fast
name: too-fast
correlation:
  type: value_count
  rules: [logged-in]
  group-by: [user_name]
  timespan: 4h
  condition: {field: source_ip, gte: 2}
aupstream: {kind: travel, travel: {proxies: [203.0.113.0/24]}}
---
""" + LOGIN.replace("aupstream: {when: WHEN}\n", "")


def rows(text: str, *events: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """User and values of each row that is found."""
    usual = {"log_source": "s", "log_generation": "g", "log_hash": "h", "late": False, "time_suspect": False}
    made = [
        usual
        | {"event_id": f"{i:032x}", "log_offset": i, "log_sub": 0, "event_action": "login", "user_name": f"u{i}"}
        | e
        for i, e in enumerate(events)
    ]
    found = Detector(parse_rules(text), DISTRICT, Inventory.none()).detect(
        frame_of(EventKind.LOGIN, made), EventKind.LOGIN
    )
    return [(key.split('"')[3], list(values)) for key, values in found.select("group_key", "values").iter_rows()]


def at(text: str, ip: str = "10.1.0.9") -> dict[str, Any]:
    return {"timestamp": datetime.fromisoformat(text).astimezone(UTC), "source_ip": ip}


@pytest.mark.parametrize(
    ("when", "inside"),
    [
        ('{hours: "08:00-16:00"}', ["u0", "u2", "u4"]),
        ('{hours: "08:00-16:00", outside: true}', ["u1", "u3"]),
        ("{hours: bell}", ["u0", "u4"]),
        ("{hours: duty}", ["u0", "u1", "u2", "u4"]),
        ("{school-days: true}", ["u0", "u1", "u2", "u3"]),
        ("{days: [wed], zone: district}", ["u4"]),
        ('{hours: "14:00-16:00", zone: UTC}', ["u1", "u2"]),
    ],
)
def test_the_calendar_lets_rows_in_by_their_own_time(when: str, inside: list[str]) -> None:
    events = [
        at("2026-03-02T09:00:00-07:00"),
        at("2026-03-02T07:59:59-07:00"),
        at("2026-03-02T08:30:00-07:00", "10.2.0.9"),
        at("2026-03-02T16:00:00-07:00"),
        at("2026-03-04T10:00:00-07:00"),
    ]
    assert [user for user, _ in rows(LOGIN.replace("WHEN", when), *events)] == inside


def test_the_place_is_the_one_that_was_logged_else_the_sites_and_none_for_a_proxy() -> None:
    geo = {"source_geo_latitude": 51.5, "source_geo_longitude": -0.125}
    now = "2026-03-02T09:00:00-07:00"
    found = rows(
        TRAVEL,
        at(now, "198.51.100.1") | geo,
        at(now),
        at(now, "10.2.0.9"),
        at(now, "203.0.113.8") | geo,
        at(now, "198.51.100.1") | geo | {"source_is_proxy": True},
        at(now, "198.51.100.1") | geo | {"source_is_proxy": False},
        at(now, "198.51.100.1") | {"source_geo_latitude": 51.5},
    )
    london = ["51.5", "-0.125", "198.51.100.1"]
    assert found == [("u0", london), ("u1", ["39.74", "-104.99", "10.1.0.9"]), ("u5", london)]


def test_what_is_not_on_earth_and_what_nobody_knows_is_no_place() -> None:
    junk = [(95.0, 10.0), (10.0, 400.0), (0.0, 0.0), (-90.5, 0.0)]
    real = [(0.0, 10.0), (-90.0, 180.0), (51.5, 0.0)]
    geo = ("source_geo_latitude", "source_geo_longitude")
    events = [
        {
            "timestamp": datetime(2026, 3, 2, 9, i, tzinfo=UTC),
            "source_ip": "192.0.2.1",
            **dict(zip(geo, at, strict=True)),
        }
        for i, at in enumerate(junk + real)
    ]
    found = [values[:2] for _, values in rows(TRAVEL, *events)]
    assert found == [[repr(latitude), repr(longitude)] for latitude, longitude in real]


def test_a_calendar_that_cannot_be_read_is_told_key_by_key() -> None:
    wrong = CalendarSettings(holidays=("2026-02-30", "2026-03-04/2026-03-01"), bell="8", bell_by_site={"x": "9-10"})
    with pytest.raises(Errors) as raised:
        District.of("Example", "UTC", [], [Site("a", latitude=91.0, longitude=0.0), Site("b", latitude=1.0)], wrong)
    assert [e.where for e in raised.value.errors] == [
        "[district].sites[0].latitude",
        "[district].sites[1].latitude",
        "[district].calendar.holidays",
        "[district].calendar.holidays",
        "[district].calendar.bell",
        "[district].calendar.bell_by_site.x",
    ]
