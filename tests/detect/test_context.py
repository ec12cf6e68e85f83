"""What a district says of itself: read whole or refused whole."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import IPv4Address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.context.district import District, Site
from agents.context.inventory import Inventory
from agents.context.mac import is_randomised, normalise_mac
from agents.context.networks import NetworkIndex
from agents.context.permits import Permits
from schemas.errors import ConfigError, Errors

DISTRICT = District.of("Example", "America/Denver", ["School.example"], [])


def _us(text: str) -> int:
    return round(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1_000_000)


def _covers(permits: Permits, who: str, clause: int, moment: str) -> bool:
    found = permits.covering([who], clause, _us(moment))
    return found is not None and "refused" not in found


def _permits(*rows: str) -> Permits:
    return Permits.parse("\n".join(["who,clause,from,to,granted_by,reason", *rows]), "permits.csv", DISTRICT)


@pytest.mark.parametrize(
    "written", ["3c:52:82:0A:0b:0C", "3C-52-82-0A-0B-0C", "3c52.820a.0b0c", "3c52820a0b0c", " 3c:52:82:0a:0b:0c "]
)
def test_a_mac_address_has_one_notation(written: str) -> None:
    assert normalise_mac(written) == "3c:52:82:0a:0b:0c"


@pytest.mark.parametrize("written", ["", "3c:52:82:0a:0b", "3c:52:82:0a:0b:0c:0d", "zz:52:82:0a:0b:0c", "anna"])
def test_what_is_no_mac_address_is_none(written: str) -> None:
    assert normalise_mac(written) is None


@pytest.mark.parametrize(("octet", "random"), [("da", True), ("02", True), ("3c", False), ("01", False), ("03", False)])
def test_only_locally_administered_addresses_of_single_devices_are_randomised(octet: str, *, random: bool) -> None:
    assert is_randomised(f"{octet}:00:00:00:00:01") is random


def test_sub_domains_are_inside_and_look_alikes_are_not() -> None:
    inside = {a: DISTRICT.is_internal_address(a) for a in (
        "a@school.example", "A@SCHOOL.EXAMPLE", "a@north.school.example", "root", "a@notschool.example",
        "a@school.example.evil.example", "a@example", "", '"a@school.example"@evil.example',
    )}  # fmt: skip
    assert [a for a, yes in inside.items() if yes] == [
        "a@school.example", "A@SCHOOL.EXAMPLE", "a@north.school.example", "root",
    ]  # fmt: skip


def test_everything_wrong_with_a_district_is_told_at_once() -> None:
    sites = [Site("north", ("10.1.0.0/16", "10.0.0.300/8")), Site("south", ("10.1.0.0/16",)), Site("north"), Site("")]
    with pytest.raises(Errors) as raised:
        District.of("Example", "America/Nowhere", ["school example"], sites)
    places = [e.where for e in raised.value.errors]
    assert places == [
        "[district].domains", "[district].timezone", "[district].sites[0].networks", "[district].sites[1].networks",
        "[district].sites[2].name", "[district].sites[3].name",
    ]  # fmt: skip
    assert raised.value.exit_code == 2


NETWORKS = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "192.0.2.0/25", "2001:db8::/32", "2001:db8:1::/48", "0.0.0.0/0"]
NUMBERS = st.integers(0, 2**32 - 1)


@given(st.sets(st.sampled_from(NETWORKS)), NUMBERS | st.sampled_from([0x0A010203, 0x0A020304, 0xC0000201]))
def test_the_smallest_network_that_holds_an_address_counts(chosen: set[str], number: int) -> None:
    networks = [ip_network(n) for n in sorted(chosen)]
    index = NetworkIndex((n, str(n)) for n in networks)
    address = IPv4Address(number)
    holding = [n for n in networks if address in n]
    expected = str(max(holding, key=lambda n: n.prefixlen)) if holding else None
    assert index.name_of(str(address)) == expected
    assert index.name_of(f"::ffff:{address}") == expected


def test_an_access_point_is_found_by_glob_without_regard_to_case_or_by_its_address() -> None:
    sites = [Site("north", ("10.1.0.0/16",), ("NH-AP-*",)), Site("south", (), ("sh-ap-[0-9]",))]
    district = District.of("Example", "UTC", [], sites)
    names = ["nh-ap-12", "SH-AP-7", "sh-ap-77", "10.1.0.9", "10.2.0.9", ""]
    assert [district.site_of_access_point(n) for n in names] == ["north", "south", None, "north", None, None]


def test_an_inventory_is_read_in_any_order_of_columns() -> None:
    text = "\ufeff# made by hand\nkind,mac,site,owner\nLaptop,3C-52-82-00-00-01,north,anna\n\nshared,3c5282000002,,\n"
    inventory = Inventory.parse(text.removeprefix("\ufeff"), "inventory.csv")
    anna, cart = inventory.devices["3c:52:82:00:00:01"], inventory.devices["3c:52:82:00:00:02"]
    assert (anna.owner, anna.kind, anna.site, cart.kind, cart.owner) == ("anna", "laptop", "north", "shared", "")


def test_an_inventory_with_a_wrong_row_is_refused_whole_and_every_wrong_row_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "inventory.csv"
    path.write_text(
        "mac,owner,kind,site\n3c:52:82:00:00:01,anna,laptop,north\nnonsense,ben,laptop,north\n"
        '3c-52-82-00-00-01,cleo,laptop,north\n3c:52:82:00:00:03,dora\n"3c:52:82:00:00:04","two\nlines",x,y\nzz,e,e,e\n',
        encoding="utf-8",
    )
    with pytest.raises(Errors) as raised:
        Inventory.read(path)
    assert [e.where for e in raised.value.errors] == [f"{path}:{n}" for n in (3, 4, 5, 8)]
    assert all(e.hint for e in raised.value.errors)


@pytest.mark.parametrize(
    "content", [b"", b"mac,owner,kind\n", b"mac,owner,kind,site,extra\n", b'mac,owner,kind,site\n"x']
)
def test_an_inventory_without_its_columns_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "inventory.csv"
    path.write_bytes(content)
    with pytest.raises(Errors, match=r"inventory\.csv:\d"):
        Inventory.read(path)


@pytest.mark.parametrize("content", [None, b"mac,owner,kind,site\n\xff"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "inventory.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"inventory\.csv: file"):
        Inventory.read(path)


def test_a_permit_covers_from_its_first_moment_up_to_its_end() -> None:
    permits = _permits("coach,11,2026-03-02T08:00,2026-03-02T12:00:00-07:00,principal,season")
    moments = ["07:59:59", "08:00:00", "11:59:59", "12:00:00"]
    assert [_covers(permits, "coach@school.example", 11, f"2026-03-02T{m}-07:00") for m in moments] == [
        False,
        True,
        True,
        False,
    ]


def test_dates_mean_whole_local_days_across_daylight_saving() -> None:
    permits = _permits("anna,8,2026-03-07,2026-03-08,it,imaging")
    assert not _covers(permits, "anna", 8, "2026-03-06T23:59:59-07:00")
    assert _covers(permits, "anna", 8, "2026-03-07T00:00:00-07:00")
    assert _covers(permits, "anna", 8, "2026-03-08T23:59:59-06:00")
    assert not _covers(permits, "anna", 8, "2026-03-09T00:00:00-06:00")


@pytest.mark.parametrize(
    ("holder", "name", "covered"),
    [
        ("Coach", "coach@school.example", True),
        ("coach@SCHOOL.example", "Coach@school.example", True),
        ("coach", "coach@north.school.example", True),
        ("coach", "coach@elsewhere.example", False),
        ("coach@school.example", "coach", True),
        ("coach@elsewhere.example", "coach", False),
        ("coach", "coach", True),
        ("E4F0.4200.0002", "e4:f0:42:00:00:02", True),
        ("coach", "coach2@school.example", False),
    ],
)
def test_a_permit_matches_its_holder(holder: str, name: str, *, covered: bool) -> None:
    permits = _permits(f"{holder},11,2026-03-02,2026-03-02,principal,season")
    assert (permits.covering([name], 11, _us("2026-03-02T12:00-07:00")) is not None) is covered
    assert permits.covering([name], 12, _us("2026-03-02T12:00-07:00")) is None


def test_of_several_permits_the_longest_counts() -> None:
    permits = _permits("coach,11,2026-03-02,2026-03-02,a,short", "coach,11,2026-03-01,2026-03-05,b,long")
    found = permits.covering(["coach"], 11, _us("2026-03-02T12:00-07:00"))
    assert found == {
        "who": "coach", "clause": 11, "from": "2026-03-01T07:00:00Z", "to": "2026-03-06T07:00:00Z",
        "granted_by": "b", "reason": "long",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (",11,2026-03-02,2026-03-03,p,r", "names nobody"),
        ("a,0,2026-03-02,2026-03-03,p,r", "clause '0'"),
        ("a,14,2026-03-02,2026-03-03,p,r", "clause '14'"),
        ("a,eleven,2026-03-02,2026-03-03,p,r", "clause 'eleven'"),
        ("a,11,02.03.2026,2026-03-03,p,r", "`from` '02.03.2026'"),
        ("a,11,2026-03-02,,p,r", "`to` ''"),
        ("a,11,2026-03-03T10:00,2026-03-03T09:00,p,r", "ends before it starts"),
        ("a,11,2026-03-02,2026-03-03,,r", "nobody granted"),
        ("a,11,2026-03-02,2026-03-03,p,r,more", "7 cells"),
    ],
)
def test_a_wrong_permit_refuses_the_file_and_names_the_line(row: str, says: str) -> None:
    with pytest.raises(Errors) as raised:
        _permits("coach,11,2026-03-02,2026-03-02,principal,season", row)
    assert raised.value.exit_code == 2
    assert [e.where for e in raised.value.errors] == ["permits.csv:3"]
    assert says in str(raised.value)


def test_the_same_content_has_the_same_version_and_other_content_another() -> None:
    row = "coach,11,2026-03-02,2026-03-02,principal,season"
    assert _permits(row).version == _permits("", row).version
    assert _permits(row).version != _permits(row.replace("coach", "band")).version
    assert Inventory.none().version != Inventory.of([]).version
    assert DISTRICT.version != District.of("Example", "UTC", ["school.example"]).version
