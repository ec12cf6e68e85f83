"""Where logins came from: own devices, and sources."""

from __future__ import annotations

import polars as pl

from agents.context.district import District
from agents.context.inventory import Device, Inventory
from agents.engine.enrich import Enricher
from agents.rules.examples import frame_of
from schemas.kinds import EventKind

DISTRICT = District.of("Example", "America/Denver", ["school.example"], [])
OWN, ROOM, STRANGE = "3c:52:82:00:00:01", "3c:52:82:00:00:02", "3c:52:82:00:00:03"
INVENTORY = Inventory.of([Device(OWN, "Anna@school.example", "laptop"), Device(ROOM, "", "desktop")])


def _columns(**columns: list[str | None]) -> pl.DataFrame:
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    names = ["source_device_own", "login_source"]
    return Enricher(DISTRICT, INVENTORY).add(frame_of(EventKind.LOGIN, rows), EventKind.LOGIN, names)


def test_a_device_is_ones_own_however_owner_and_account_are_spelled() -> None:
    names = [
        "anna",
        "DISTRICT\\ANNA",
        "anna@school.example",
        "ben",
        None,
        "anna",
        "anna",
        "anna",
        "anna@elsewhere.example",
    ]
    macs = [OWN, OWN, OWN, OWN, OWN, ROOM, STRANGE, None, OWN]
    found = _columns(user_name=names, source_mac=macs)["source_device_own"].to_list()
    assert found == [True, True, True, False, False, False, False, None, False]


def test_a_source_is_the_device_else_the_network_and_a_private_address_by_itself() -> None:
    addresses = ["10.1.2.3", "198.51.100.7", "::ffff:198.51.100.9", "2001:db8:1:2::7", "fd00::7", "no address", None]
    macs: list[str | None] = [None] * len(addresses)
    found = _columns(source_ip=[*addresses, "10.1.2.3"], source_mac=[*macs, OWN])["login_source"].to_list()
    outside = ["198.51.100.0/24", "198.51.100.0/24", "2001:db8:1:2::/64"]
    assert found == ["10.1.2.3", *outside, "fd00::7", "unknown", "unknown", OWN]
