"""Who had an address when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from agents.engine.identity import FactIndex, facts_of
from agents.rules.examples import frame_of
from schemas.kinds import EventKind

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
IP, MAC = "10.1.0.5", "3c:52:82:00:00:01"


def holder_after(action: str, reason: str | None) -> str | None:
    stamps = {"late": False, "time_suspect": False, "log_source": "dhcp"}
    shared = {"source_ip": IP, "source_mac": MAC, **stamps}
    ack = {**shared, "timestamp": START, "event_id": "a" * 32, "event_action": "ack"}
    end = {"timestamp": START + timedelta(minutes=5), "event_id": "b" * 32, "event_action": action}
    index = FactIndex()
    index.add(facts_of(frame_of(EventKind.DHCP, [ack, {**shared, **end, "event_reason": reason}]), EventKind.DHCP))
    return index.mac_of(IP, int((START + timedelta(minutes=6)).timestamp() * 1_000_000))[0]


def test_a_lease_that_is_given_back_ends() -> None:
    assert holder_after("request", None) == MAC
    assert holder_after("release", "(found)") is None
    assert holder_after("release", None) is None
    assert holder_after("decline", "abandoned") is None


def test_what_is_given_back_by_one_who_has_it_not_changes_nothing() -> None:
    assert holder_after("release", "(not found)") == MAC
    assert holder_after("decline", "not found") == MAC


def held_at(hours: float, **renewal: object) -> str | None:
    """Who has the address some hours after a grant of one hour that was renewed half an hour later."""
    stamps = {"late": False, "time_suspect": False, "log_source": "dhcp", "source_ip": IP, "source_mac": MAC}
    grant = {"timestamp": START, "event_id": "a" * 32, "event_action": "ack", "dhcp_lease_seconds": 3_600}
    again = {"timestamp": START + timedelta(minutes=30), "event_id": "b" * 32, "event_action": "renew", **renewal}
    index = FactIndex()
    index.add(facts_of(frame_of(EventKind.DHCP, [{**stamps, **grant}, {**stamps, **again}]), EventKind.DHCP))
    return index.mac_of(IP, int((START + timedelta(hours=hours)).timestamp() * 1_000_000))[0]


def test_a_renewal_goes_on_with_the_lease() -> None:
    assert held_at(1.4, dhcp_lease_seconds=3_600) == MAC
    assert held_at(1.6, dhcp_lease_seconds=3_600) is None


def test_a_lease_ends_when_the_server_says_so() -> None:
    assert held_at(2.9, dhcp_lease_expires=START + timedelta(hours=3)) == MAC
    assert held_at(3.0, dhcp_lease_expires=START + timedelta(hours=3)) is None
    assert held_at(20) == MAC
