"""`aupstream whois` over small logs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import aupstream

MAC, CART = "3c:52:82:00:00:01", "3c:52:82:00:00:02"
DHCP = """\
Mar  2 08:00:00 dhcp1 dhcpd[1]: DHCPACK on 10.1.0.5 to 3c:52:82:00:00:01 (annas) via 10.1.0.1
Mar  2 09:00:00 dhcp1 dhcpd[1]: DHCPRELEASE of 10.1.0.5 from 3c:52:82:00:00:01 (annas) via 10.1.0.1 (found)
Mar  2 09:30:00 dhcp1 dhcpd[1]: DHCPACK on 10.1.0.5 to 3c:52:82:00:00:02 (cart) via 10.1.0.1
"""
CONFIG = """\
[district]
timezone = "America/Denver"
inventory = "inventory.csv"
shared_networks = ["10.9.0.0/16"]

[[sources]]
name = "dhcp"
type = "isc_dhcpd"
path = "dhcpd.log"
year = 2026
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "dhcpd.log").write_text(DHCP)
    (tmp_path / "inventory.csv").write_text(f"mac,owner,kind,site\n{MAC},anna,laptop,north\n{CART},,cart,north\n")
    (tmp_path / "aupstream.toml").write_text(CONFIG)
    return tmp_path / "aupstream.toml"


def _said(config: Path, asked: str, at: str) -> list[tuple[str, str, str]]:
    ran = aupstream("whois", asked, "--at", at, "-c", config, "--json")
    assert ran.code == 0, ran.err
    return [(s["what"], s["of"], s["value"]) for s in ran.objects]


def test_an_address_is_whose_it_was_then(config: Path) -> None:
    anna = [("address of device", "10.1.0.5", MAC), ("device is", MAC, "laptop"), ("device given to", MAC, "anna")]
    cart = [("address of device", "10.1.0.5", CART), ("device is", CART, "cart")]
    assert _said(config, "10.1.0.5", "2026-03-02T08:30") == anna
    assert _said(config, "10.1.0.5", "2026-03-02T15:59:59Z") == anna
    assert _said(config, "10.1.0.5", "2026-03-02T09:15") == []
    assert _said(config, "10.1.0.5", "2026-03-02T09:30") == cart, "a cart names nobody"
    assert _said(config, "10.1.0.5", "2026-03-02T07:59") == []
    assert _said(config, "10.9.3.4", "2026-03-02T09:30") == [("address is", "10.9.3.4", "many people's (10.9.0.0/16)")]


def test_a_device_and_a_person_are_asked_for_too_and_every_answer_has_its_event(config: Path) -> None:
    held = ("address of device", "10.1.0.5", MAC)
    assert _said(config, MAC.upper(), "2026-03-02T08:30")[-1] == held
    assert _said(config, "Anna", "2026-03-02T08:30") == [("device given to", MAC, "anna"), held]
    (*_, said) = aupstream("whois", "anna", "--at", "2026-03-02T08:30", "-c", config, "--json").objects
    assert (said["source"], len(said["event_id"]), said["since"]) == ("dhcp", 32, "2026-03-02T15:00:00+00:00")


def test_a_session_on_the_network_says_who_was_there_until_it_ended(config: Path) -> None:
    (config.parent / "radius.log").write_text(
        "Mon Mar  2 08:10:00 2026 : Auth: (1) Login OK: [ben] (from client ap-1 port 1 cli 3C-52-82-00-00-01)\n"
    )
    source = '\n[[sources]]\nname = "radius"\ntype = "freeradius"\npath = "radius.log"\n'
    config.write_text(config.read_text() + source)
    assert ("device used by", MAC, "ben") in _said(config, "10.1.0.5", "2026-03-02T08:30")
    assert ("device used by", MAC, "ben") not in _said(config, MAC, "2026-03-02T20:10")
    assert _said(config, "ben", "2026-03-02T08:30")[0] == ("device used by", MAC, "ben")


def test_where_several_people_were_none_of_them_is_named_and_a_computer_never_is(config: Path) -> None:
    line = "Mon Mar  2 {} 2026 : Auth: (1) Login OK: [{}] (from client ap-1 port 1 cli 3C-52-82-00-00-01)\n"
    logins = (("08:10:00", "host/lt1.school.example"), ("08:11:00", "ben"), ("08:15:00", "cleo"), ("09:20:00", "cleo"))
    (config.parent / "radius.log").write_text("".join(line.format(*one) for one in logins))
    source = '\n[[sources]]\nname = "radius"\ntype = "freeradius"\npath = "radius.log"\n'
    config.write_text(config.read_text() + source)
    assert _said(config, MAC, "2026-03-02T08:10:30")[-1] == ("address of device", "10.1.0.5", MAC)
    assert ("device used by", MAC, "ben") in _said(config, MAC, "2026-03-02T08:12")
    assert ("device used by", MAC, "several people") in _said(config, MAC, "2026-03-02T08:20")
    assert _said(config, "ben", "2026-03-02T08:20") == _said(config, "several people", "2026-03-02T08:20") == []
    assert ("device used by", MAC, "cleo") in _said(config, MAC, "2026-03-02T09:21")


def test_what_cannot_be_answered_is_said(config: Path) -> None:
    assert aupstream("whois", "10.1.0.5", "--at", "noon", "-c", config).code == 2
    config.write_text('[district]\ntimezone = "UTC"\n')
    ran = aupstream("whois", "10.1.0.5", "--at", "2026-03-02", "-c", config)
    assert (ran.code, "has no source" in ran.err) == (2, True)
