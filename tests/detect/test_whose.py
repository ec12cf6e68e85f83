"""Whom a page is put down to: the login of the proxy, a session on the network, the owner of the device; or nobody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agents.context.district import District
from agents.context.inventory import Inventory
from agents.context.roster import Roster
from agents.engine.attribution import whose
from agents.engine.enrich import Enricher
from agents.engine.identity import FactIndex, facts_of
from agents.rules.examples import frame_of
from schemas.errors import Errors
from schemas.kinds import EventKind

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
STAMPS = {"late": False, "time_suspect": False, "log_source": "x", "event_id": "0" * 32}
LAPTOP, PHONE, CART, PRINTER = (f"3c:52:82:00:00:0{i}" for i in range(1, 5))
OWNED = "3c:52:82:00:00:05"
INVENTORY = Inventory.parse(
    "mac,owner,kind,site,host,addresses\n"
    f"{LAPTOP},anna,laptop,,LT-1.school.example,\n{CART},,cart,,cart-1,\n{PRINTER},,printer,,,10.1.0.200;10.1.0.201\n"
    f"{OWNED},Anna@school.example,laptop,,lt-5,10.1.0.1;10.1.0.9\n",
    "inventory.csv",
)
DISTRICT = District.of("Example", "UTC", ["school.example"])


def _person(page: dict[str, Any], session: str | None = None, mac: str = LAPTOP) -> tuple[str | None, str | None]:
    """Device and person of a page, with a session that began a minute before on the device."""
    leases = [(f"10.1.0.{i}", device) for i, device in enumerate((LAPTOP, PHONE, CART), 1)]
    return _put_down(
        {"minute": 1, **page}, leases, [] if session is None else [{"user_name": session, "source_mac": mac}]
    )


def _put_down(
    page: dict[str, Any], leases: list[tuple[str, str]], logins: list[dict[str, Any]], district: District = DISTRICT
) -> tuple[str | None, str | None]:
    """Device and person of a page, where it is said what was leased at nine and who logged in at which minute."""
    facts = FactIndex()
    grants = [
        {**STAMPS, "timestamp": AT, "event_action": "ack", "source_ip": ip, "source_mac": device}
        for ip, device in leases
    ]
    facts.add(facts_of(frame_of(EventKind.DHCP, grants), EventKind.DHCP))
    usual = {"event_action": "login", "event_outcome": "success", "event_dataset": "freeradius"}
    made = [{**STAMPS, **usual, **_at(login), "event_id": f"{n:032x}"} for n, login in enumerate(logins)]
    facts.add(facts_of(frame_of(EventKind.LOGIN, made), EventKind.LOGIN))
    row = {**STAMPS, "event_dataset": "squid", **_at(page)}
    spelled = district.account_of_login
    frame = whose(frame_of(EventKind.PROXY, [row]), INVENTORY, facts, names=True, spelled=spelled)
    found = Enricher(district, INVENTORY).add(frame, EventKind.PROXY, ["person"])
    return found["source_mac"][0], found["person"][0]


def _at(row: dict[str, Any]) -> dict[str, Any]:
    minute = row.get("minute", 0)
    return {"timestamp": AT + timedelta(minutes=minute), **{name: row[name] for name in row if name != "minute"}}


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
        ({"source_ip": "10.1.0.9"}, None, OWNED, "anna"),
        ({"source_ip": "10.1.0.9"}, "anna", OWNED, "anna"),
        ({"source_ip": "10.1.0.9"}, "ben", OWNED, None),
        ({"source_ip": "10.1.0.1"}, "anna@school.example", LAPTOP, "anna"),
        ({"source_ip": "10.1.0.1"}, "host/lt-1.school.example", LAPTOP, "anna"),
        ({"source_ip": "10.1.0.2"}, "anonymous@other.example", PHONE, None),
        ({"source_ip": "10.1.0.2"}, "3c-52-82-00-00-02", PHONE, None),
        ({"source_ip": "10.1.0.2", "user_name": "3c-52-82-00-00-02"}, None, PHONE, None),
        ({"source_ip": "10.1.0.2", "user_name": "anonymous@other.example"}, None, PHONE, None),
    ],
)
def test_a_page_is_put_down_to(page: dict[str, Any], session: str | None, mac: str, person: str | None) -> None:
    assert _person(page, session, mac) == (mac, person)


def test_who_owns_a_device_is_not_named_where_others_were_on_it() -> None:
    ben, cleo, anna = ({"user_name": name, "source_mac": LAPTOP} for name in ("ben", "cleo", "anna"))
    page = {"minute": 6, "source_ip": "10.1.0.1"}
    leases = [("10.1.0.1", LAPTOP)]
    assert _put_down(page, leases, []) == (LAPTOP, "anna")
    assert _put_down(page, leases, [ben]) == (LAPTOP, None)
    assert _put_down(page, leases, [ben, {**cleo, "minute": 5}]) == (LAPTOP, None)
    assert _put_down(page, leases, [ben, {**anna, "minute": 5}]) == (LAPTOP, None)
    assert _put_down({**page, "user_name": "dora"}, leases, [ben, {**cleo, "minute": 5}]) == (LAPTOP, "dora")
    assert _put_down({**page, "source_ip": "10.1.0.7", "source_mac": PHONE}, [], [
        {"user_name": name, "source_mac": PHONE, "minute": n} for n, name in enumerate(("ben", "cleo"))
    ]) == (PHONE, None)  # fmt: skip


@pytest.mark.parametrize("end", [{"event_action": "logout"}, {"user_name": "host/lt-1.school.example"}], ids=str)
@pytest.mark.parametrize(
    ("who", "minute", "person"), [("ben", 39, None), ("ben", 40, "anna"), ("anna", 11, "anna"), ("anna", 39, "anna")]
)
def test_who_owns_a_device_is_named_half_an_hour_after_somebody_else_left_it(
    end: dict[str, Any], who: str, minute: int, person: str | None
) -> None:
    login = {"user_name": who, "source_mac": LAPTOP}
    page = {"minute": minute, "source_ip": "10.1.0.1"}
    found = _put_down(page, [("10.1.0.1", LAPTOP)], [login, {**login, **end, "minute": 10}])
    assert found == (LAPTOP, person)


def test_who_left_a_device_that_is_nobodys_is_not_behind_it_any_more() -> None:
    login = {"user_name": "ben", "source_mac": PHONE}
    over = {**login, "event_action": "logout", "minute": 10}
    assert _put_down({"minute": 11, "source_ip": "10.1.0.2"}, [("10.1.0.2", PHONE)], [login, over]) == (PHONE, None)


def test_who_had_an_address_before_is_not_behind_it() -> None:
    anna = {"user_name": "anna", "event_action": "session_start", "source_mac": LAPTOP, "assigned_ip": "10.1.0.5"}
    page = {"minute": 125, "source_ip": "10.1.0.5"}
    assert _put_down(page, [], [anna]) == (None, "anna")
    assert _put_down(page, [("10.1.0.5", PHONE)], [{**anna, "minute": -120}]) == (PHONE, None)


def test_an_account_is_named_as_the_roster_names_it() -> None:
    roster = Roster.parse("account,roles,mail\njsmith,teacher,john.smith@school.example\n", "roster.csv")
    district, session = DISTRICT.knowing(roster), {"user_name": "John.Smith@school.example", "source_mac": PHONE}
    page = {"minute": 1, "source_ip": "10.1.0.2"}
    assert _put_down(page, [("10.1.0.2", PHONE)], [session], district) == (PHONE, "jsmith")
    said = {**page, "user_name": "john.smith@school.example"}
    assert _put_down(said, [("10.1.0.2", PHONE)], [], district) == (PHONE, "jsmith")


def test_a_lease_of_another_device_that_was_given_back_leaves_no_address_to_its_owner_by_the_inventory() -> None:
    facts = FactIndex()
    grant = {**STAMPS, "timestamp": AT, "event_action": "ack", "source_ip": "10.1.0.9", "source_mac": PHONE}
    back = {**grant, "timestamp": AT + timedelta(minutes=5), "event_action": "release", "event_id": "1" * 32}
    facts.add(facts_of(frame_of(EventKind.DHCP, [grant, back]), EventKind.DHCP))
    rows = [
        {**STAMPS, "timestamp": AT + timedelta(minutes=10), "event_dataset": "squid", "source_ip": "10.1.0.9", **more}
        for more in ({}, {"host_name": "lt-5"}, {"source_ip": "10.1.0.201"})
    ]
    frame = whose(frame_of(EventKind.PROXY, rows), INVENTORY, facts, names=True)
    assert frame["source_mac"].to_list() == [None, OWNED, PRINTER]


def test_a_name_or_an_address_of_two_devices_is_of_none() -> None:
    text = "mac,owner,kind,site,host,addresses\n" + "".join(f"{mac},,,,same,10.1.0.9\n" for mac in (LAPTOP, PHONE))
    assert Inventory.parse(text, "i.csv").mac_of("10.1.0.9", "same") is None


def test_an_address_that_is_none_is_told() -> None:
    with pytest.raises(Errors, match=r"i\.csv:2: '10\.1' is no IP address"):
        Inventory.parse(f"mac,owner,kind,site,addresses\n{LAPTOP},,,,10.1\n", "i.csv")
