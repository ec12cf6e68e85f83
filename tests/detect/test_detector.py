"""Detection rows: which, in which lane, with which key."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from agents.context.district import District, Site
from agents.context.inventory import Device, Inventory
from agents.engine.attribution import NoAttribution
from agents.engine.detect import Detector
from agents.engine.evidence import acted_at
from agents.engine.feeding import DETECTION_SCHEMA
from agents.rules.examples import frame_of
from agents.rules.loader import POLICY_FOLDER, load_rules, parse_rules
from schemas.kinds import EventKind
from schemas.registry import polars_schema

START = datetime(2026, 3, 2, 16, tzinfo=UTC)
DISTRICT = District.of("Example", "America/Denver", ["school.example"], [Site("north", ("10.1.0.0/16",))])
LAPTOP, CART = "3c:52:82:00:00:01", "3c:52:82:00:00:02"
INVENTORY = Inventory.of([Device(LAPTOP, "anna", "laptop"), Device(CART, "", "shared")])
RULES = load_rules()


class Leases(NoAttribution):
    """10.1.0.1 is the laptop, 10.1.0.2 the cart, nothing else is known."""

    def mac_of(self, ip: str, t_us: int) -> tuple[str | None, tuple[str, ...]]:
        """Device and fact of an address."""
        del t_us
        found = {"10.1.0.1": LAPTOP, "10.1.0.2": CART}.get(ip)
        return found, (f"fact of {ip}".replace(" ", "-"),) if found else ()


def _frame(kind: EventKind, *rows: dict[str, Any]) -> pl.DataFrame:
    usual = {"log_source": "s", "log_generation": "g", "log_hash": "h", "late": False, "time_suspect": False}
    return frame_of(
        kind,
        [
            usual
            | {"event_id": f"e{i}", "log_offset": 100 * i, "log_sub": 0, "timestamp": START + timedelta(seconds=i)}
            | r
            for i, r in enumerate(rows)
        ],
    )


def _login(user: str | None, **more: Any) -> dict[str, Any]:
    return {"event_action": "login", "event_outcome": "success", "user_name": user, "login_method": "password"} | more


def _found(rows: pl.DataFrame, rule: str) -> list[tuple[int, str]]:
    chosen = rows.filter(pl.col("rule_id") == rule)
    return list(chosen.select("row", "group_key").iter_rows())


def test_rows_have_the_columns_of_the_detection_schema_even_where_nothing_matches() -> None:
    detector = Detector(RULES, DISTRICT, INVENTORY)
    for kind in EventKind:
        for frame in (_frame(kind), _frame(kind, {"user_name": "x"} if kind is not EventKind.DHCP else {})):
            assert dict(detector.detect(frame, kind).schema) == dict(DETECTION_SCHEMA)


def test_the_columns_are_those_of_the_avro_schema() -> None:
    assert dict(DETECTION_SCHEMA) == polars_schema("detection")


AT_ONCE = """
title: Somebody logged in
id: 7d1c9a52-3b0e-4f57-9a41-5e2d8c6b1309
name: any-login
logsource: {category: authentication}
detection:
  login: {event_action: login}
  condition: login
level: low
"""


def test_the_lane_that_needs_no_identity_goes_at_once_and_the_other_once_the_device_is_known(tmp_path: Path) -> None:
    (tmp_path / "at-once.yml").write_text(AT_ONCE)
    detector = Detector(load_rules((POLICY_FOLDER, tmp_path)), DISTRICT, INVENTORY)
    frame = _frame(
        EventKind.LOGIN,
        _login("anna", source_ip="10.1.0.1"),
        _login("ben", source_ip="10.1.0.2"),
        _login("cleo", source_mac=LAPTOP),
        _login("dora", source_mac=CART),
        _login("emil", source_ip="10.1.0.3"),
        _login("finn"),
    )
    matched = detector.match(frame, EventKind.LOGIN)
    assert detector.waiting(matched)["row"].to_list() == [0, 1, 4]
    immediate = detector.rows(matched, "immediate")
    assert set(immediate["rule_id"]) == {"any-login"}
    attributed = detector.rows(matched, "attributed", Leases())
    assert _found(attributed, "shared-device") == [
        (i, json.dumps({"source_mac": LAPTOP}, separators=(",", ":"))) for i in (0, 2)
    ]
    of_devices = attributed.filter(pl.col("rule_id") == "shared-device")
    assert of_devices["values"].to_list() == [["anna"], ["cleo"]]
    assert of_devices["facts"].to_list() == [["fact-of-10.1.0.1"], []]
    assert detector.counters.missing_key == 2  # emil's address is nobody's, finn has none


def test_a_row_without_a_key_makes_no_row_and_is_counted() -> None:
    detector = Detector(RULES, DISTRICT, INVENTORY)
    rows = detector.detect(_frame(EventKind.LOGIN, _login(None), _login("(masked)"), _login("")), EventKind.LOGIN)
    assert rows.is_empty()
    assert detector.counters.missing_key == 6  # no user for guessed-password, no device for shared-device


def test_rows_stamped_late_or_suspect_are_detected_and_marked() -> None:
    detector = Detector(RULES, DISTRICT, INVENTORY)
    stamps = [{}, {"late": True}, {"time_suspect": True}]
    frame = _frame(EventKind.DHCP, *({"event_action": "ack", "source_mac": "e4:f0:42:00:00:01"} | s for s in stamps))
    assert detector.detect(frame, EventKind.DHCP)["late"].to_list() == [False, True, True]


def test_evidence_says_how_many_were_written_to_and_not_who() -> None:
    detector = Detector(RULES, DISTRICT, INVENTORY)
    mail = {
        "email_from_address": "Coach@school.example", "email_message_id": "m", "email_to_address": ["p@school.example"],
        "email_to_status": ["sent"], "email_to_filter": [False],
    }  # fmt: skip
    (row,) = detector.detect(_frame(EventKind.MAIL, mail), EventKind.MAIL).iter_rows(named=True)
    assert row["group_key"] == '{"email_from_address":"coach@school.example"}'
    assert "p@school" not in row["summary"]
    assert json.loads(row["summary"])["recipients_internal"] == 1


def test_evidence_of_a_joined_event_says_when_it_was_done() -> None:
    mail = {
        "email_from_address": "coach@school.example", "email_message_id": "m", "email_to_address": ["p@school.example"],
        "email_to_status": ["sent"], "email_to_filter": [False], "timestamp_first": START - timedelta(days=5),
    }  # fmt: skip
    found = Detector(RULES, DISTRICT, INVENTORY).detect(_frame(EventKind.MAIL, mail, mail), EventKind.MAIL)
    summary = found["summary"].to_list()[0]
    assert json.loads(summary)["timestamp_first"] == "2026-02-25T16:00:00.000000Z"
    assert acted_at(summary, 7) == int((START - timedelta(days=5)).timestamp()) * 1_000_000
    assert acted_at("{}", 7) == 7


def test_one_event_that_two_bases_match_makes_a_row_for_each() -> None:
    text = """
title: a
name: a
logsource: {category: authentication}
detection: {s: {event_action: login}, condition: s}
---
title: b
name: b
logsource: {category: authentication}
detection: {s: {user_name|startswith: an}, condition: s}
---
title: both
name: both
correlation: {type: temporal, rules: [a, b], group-by: [user_name, source_ip], timespan: 5m}
"""
    detector = Detector(parse_rules(text), DISTRICT, INVENTORY)
    rows = detector.detect(
        _frame(EventKind.LOGIN, _login("ben", source_ip="x"), _login("anna", source_ip="y")), EventKind.LOGIN
    )
    assert rows.select("row", "base", "group_key").rows() == [
        (0, "a", '{"source_ip":"x","user_name":"ben"}'),
        (1, "a", '{"source_ip":"y","user_name":"anna"}'),
        (1, "b", '{"source_ip":"y","user_name":"anna"}'),
    ]


LOGINS = st.lists(
    st.builds(
        _login,
        st.none() | st.sampled_from(["anna", "ANNA", "ben", "host/pc"]),
        event_outcome=st.sampled_from(["success", "failure"]),
        source_ip=st.none() | st.sampled_from(["10.1.0.1", "10.1.0.2", "10.9.0.1"]),
        source_mac=st.none() | st.sampled_from([LAPTOP, CART]),
        service_name=st.none() | st.sampled_from(["sshd", "sudo"]),
        login_method=st.none() | st.sampled_from(["password", "publickey"]),
    ),
    max_size=30,
)


@given(LOGINS, st.integers(1, 7))
def test_the_same_events_make_the_same_rows_whatever_the_size_of_the_batches(
    logins: list[dict[str, Any]], size: int
) -> None:
    frame = _frame(EventKind.LOGIN, *logins)
    whole = Detector(RULES, DISTRICT, INVENTORY).detect(frame, EventKind.LOGIN, Leases())
    detector = Detector(RULES, DISTRICT, INVENTORY)
    parts = [detector.detect(part, EventKind.LOGIN, Leases()) for part in frame.iter_slices(size)]
    together = pl.concat(parts) if parts else whole
    assert together.drop("row").equals(whole.drop("row"))
    assert detector.counters.detections == whole.height
