"""Whom a page is put down to: the login of the proxy, a session on the network, the owner of the device; or nobody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agents.context.district import District
from agents.context.inventory import Inventory
from agents.engine.attribution import whose
from agents.engine.enrich import Enricher
from agents.engine.identity import FactIndex, facts_of
from agents.rules.examples import frame_of
from schemas.errors import Errors
from schemas.kinds import EventKind

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
STAMPS = {"late": False, "time_suspect": False, "log_source": "x", "event_id": "0" * 32}
LAPTOP, PHONE, CART, PRINTER = (f"3c:52:82:00:00:0{i}" for i in range(1, 5))
INVENTORY = Inventory.parse(
    "mac,owner,kind,site,host,addresses\n"
    f"{LAPTOP},anna,laptop,,LT-1.school.example,\n{CART},,cart,,cart-1,\n{PRINTER},,printer,,,10.1.0.200;10.1.0.201\n",
    "inventory.csv",
)
DISTRICT = District.of("Example", "UTC", ["school.example"])


def _person(page: dict[str, Any], session: str | None = None, mac: str = LAPTOP) -> tuple[str | None, str | None]:
    """Device and person of a page, with a session that began a minute before on the device."""
    facts = FactIndex()
    leases = [
        {**STAMPS, "timestamp": AT, "event_action": "ack", "source_ip": f"10.1.0.{i}", "source_mac": device}
        for i, device in enumerate((LAPTOP, PHONE, CART), 1)
    ]
    facts.add(facts_of(frame_of(EventKind.DHCP, leases), EventKind.DHCP))
    if session is not None:
        login = {
            **STAMPS, "timestamp": AT, "event_action": "login", "event_outcome": "success", "user_name": session,
            "event_dataset": "freeradius", "source_mac": mac,
        }  # fmt: skip
        facts.add(facts_of(frame_of(EventKind.LOGIN, [login]), EventKind.LOGIN))
    row = {**STAMPS, "timestamp": AT + timedelta(minutes=1), "event_dataset": "squid", **page}
    frame = whose(frame_of(EventKind.PROXY, [row]), INVENTORY, facts, names=True)
    made = Enricher(DISTRICT, INVENTORY).add(frame, EventKind.PROXY, ["person"])
    return made["source_mac"][0], made["person"][0]


@pytest.mark.parametrize(
    ("page", "session", "mac", "person"),
    [
        ({"source_ip": "10.1.0.1"}, None, LAPTOP, "anna"),
        ({"source_ip": "10.1.0.1"}, "Anna", LAPTOP, "anna"),
        ({"source_ip": "10.1.0.1"}, "ben", LAPTOP, None),
        ({"source_ip": "10.1.0.1", "user_name": "cleo"}, "ben", LAPTOP, "cleo"),
        ({"source_ip": "10.1.0.2"}, None, PHONE, None),
        ({"source_ip": "10.1.0.2"}, "SCHOOL\\ben", PHONE, "ben"),
        ({"source_ip": "10.1.0.2"}, "ben@school.example", PHONE, "ben"),
        ({"source_ip": "10.1.0.2"}, "host/lt-1.school.example", PHONE, None),
        ({"source_ip": "10.1.0.3"}, "ben", CART, None),
        ({"source_ip": "10.9.0.9", "host_name": "lt-1"}, None, LAPTOP, "anna"),
        ({"source_ip": "10.1.0.2", "host_name": "lt-1"}, None, PHONE, None),
        ({"source_ip": "10.1.0.201"}, None, PRINTER, None),
    ],
)
def test_a_page_is_put_down_to(page: dict[str, Any], session: str | None, mac: str, person: str | None) -> None:
    assert _person(page, session, mac) == (mac, person)


def test_a_name_or_an_address_of_two_devices_is_of_none() -> None:
    text = "mac,owner,kind,site,host,addresses\n" + "".join(f"{mac},,,,same,10.1.0.9\n" for mac in (LAPTOP, PHONE))
    assert Inventory.parse(text, "i.csv").mac_of("10.1.0.9", "same") is None


def test_an_address_that_is_none_is_told() -> None:
    with pytest.raises(Errors, match=r"i\.csv:2: '10\.1' is no IP address"):
        Inventory.parse(f"mac,owner,kind,site,addresses\n{LAPTOP},,,,10.1\n", "i.csv")
