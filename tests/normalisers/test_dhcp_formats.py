"""What holds for every DHCP format: conservation, chunking, hostile lines, and clients that try to forge columns."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ConfigError
from streams.normalisers.abstract import LineChunk, NormaliserSettings
from streams.normalisers.dhcp import isc_dhcpd, kea_messages
from streams.normalisers.dhcp.identifiers import fingerprint, mac_of_client_id, octets, relay_options
from streams.normalisers.reasons import Refused, vocabulary
from streams.normalisers.registry import make, preamble_of
from tests.normalisers.damaging import assert_quick
from tests.normalisers.golden_files import SETTINGS, in_chunks, lines_of

TYPES = ["cisco_ios", "dhclient", "dnsmasq", "infoblox", "isc_dhcpd", "isc_leases", "kea", "mikrotik", "ms_dhcp"]
NAME = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\x7f\x85\xa0"), max_size=30)
MAC = "02:00:5e:10:00:01"


@st.composite
def damaged_lines(draw: st.DrawFn, type_name: str) -> list[bytes]:
    """Golden lines, some cut, spliced, or with bytes put in."""
    golden, lines = lines_of(type_name), []
    for _ in range(draw(st.integers(1, 12))):
        line = draw(st.sampled_from(golden))
        at = draw(st.integers(0, len(line)))
        damage = draw(st.sampled_from(["none", "cut", "insert", "splice"]))
        if damage == "cut":
            line = line[:at]
        elif damage == "insert":
            line = line[:at] + draw(st.binary(max_size=8)).replace(b"\n", b"") + line[at:]
        elif damage == "splice":
            line = line[:at] + draw(st.sampled_from(golden))[at:]
        lines.append(line)
    return lines


@pytest.mark.parametrize("type_name", TYPES)
@given(data=st.data())
def test_every_line_is_exactly_one_of_event_ignored_and_reject(type_name: str, data: st.DataObject) -> None:
    lines = data.draw(damaged_lines(type_name))
    out = make(type_name, SETTINGS).normalise(LineChunk(lines, list(range(len(lines)))))
    decided = sorted({*out.events["line"].to_list()}) + [i for i, _ in out.ignored] + [r.line for r in out.rejects]
    assert sorted(decided) == list(range(len(lines)))
    assert {r.reason for r in out.rejects} <= set(Refused)
    assert {reason for _, reason in out.ignored} <= vocabulary()


@pytest.mark.parametrize("type_name", TYPES)
@given(data=st.data())
def test_damaged_lines_give_the_same_however_they_are_chunked_and_resumed(type_name: str, data: st.DataObject) -> None:
    lines = data.draw(damaged_lines(type_name))
    whole = in_chunks(make(type_name, SETTINGS), lines, len(lines))
    assert in_chunks(make(type_name, SETTINGS), lines, data.draw(st.integers(1, len(lines)))) == whole
    found, state = [], make(type_name, SETTINGS).save()
    for index, line in enumerate(lines):
        normaliser = make(type_name, SETTINGS)
        normaliser.load(state)
        found += [{**fate, "line": index} for fate in in_chunks(normaliser, [line], 1)]
        state = normaliser.save()
    assert found == whole


def hostile(head: str, unit: str, tail: str = "") -> bytes:
    return (head + unit * (60_000 // len(unit)) + tail).encode()


HEAD = "Mar  1 08:00:00 h "
KEA = "2024-03-01 08:00:00 INFO  [kea-dhcp4.leases/7.1] "
ASSIGNED = "2024-03-01 08:00:00 EST Address: 10.30.0.11 has been assigned for 5 seconds to a device with "
HOSTILE = [
    ("kea", hostile(KEA + "DHCP4_LEASE_ALLOC ", "lease 1.1.")),
    ("kea", hostile(KEA + "DHCP4_LEASE_ALLOC ", "[hwtype=1 ")),
    ("kea", hostile(KEA + "ALLOC_ENGINE_V4_ALLOC_FAIL ", "in the shared network ")),
    ("kea", hostile(ASSIGNED, "client-id: 6")),
    ("kea", hostile("2024-03-01 08:00:00 EST Address: 10.0.0.1 has been ", "assigned for 1 days ")),
    ("kea", hostile("10.0.0.1,02:00:5e:10:00:01,,3600,1709301720,", "&#x2c")),
    ("kea", hostile("10.0.0.1,02:00:5e:10:00:01,,3600,1709301720,1,0,0,,0,", '{"ISC":{"relay')),
    ("ms_dhcp", hostile("10,03/01/24,08:00:00,Assign,10.0.0.1,", "a,")),
    ("ms_dhcp", hostile("", " 10,03/01/24,08:00:00")),
    ("ms_dhcp", hostile('{"message":"', "10,03/01/24,", '"}')),
    ("dnsmasq", hostile(HEAD + "dnsmasq-dhcp[1]: DHCPACK(br0) ", "2001:")),
    ("dnsmasq", hostile(HEAD + "dnsmasq-dhcp[1]: DHCPACK(br0) ", "02:")),
    ("dnsmasq", hostile(HEAD + "dnsmasq-dhcp[1]: 5 requested options: ", "1:a, ")),
    ("infoblox", hostile(HEAD + "dhcpd[1]: r-l-e:10.0.0.1,Issued,", "02:00:5e:10:00:01,1,1,")),
    ("infoblox", hostile(HEAD + "dhcpd[1]: DHCPACK on 10.0.0.1 to 02:00:5e:10:00:01 via eth1 ", "relay a ")),
    ("isc_dhcpd", hostile(HEAD + "dhcpd: lease-details ip=10.0.0.1 ", 'mac="')),
    ("isc_dhcpd", hostile(HEAD + "dhcpd: Client a releases address ", "::")),
    ("isc_dhcpd", hostile(HEAD + "dhcpd: Unable to pick client prefix: no prefixes available - shared network", " :")),
    ("mikrotik", hostile(HEAD + "dhcp,info ", "a assigned 10.0.0.1 ")),
    ("mikrotik", hostile(HEAD + "dhcp,warning ", "detected conflict ")),
    ("mikrotik", hostile(HEAD + "dhcp,warning offering lease 10.0.0.1 for 02:00:5e:10:00:01", " without")),
    ("cisco_ios", hostile("<1>1: Mar  1 08:00:00: DHCPD: DHCPREQUEST received from client ", "0102.")),
    ("cisco_ios", hostile("<1>1: Mar  1 08:00:00: %DHCP_SNOOPING-5-A_B: drop message ", "on port Gi1/0/1 ")),
    ("cisco_ios", hostile("", "1: ")),
    ("isc_leases", hostile('  uid "', "\\001")),
    ("dhclient", hostile(HEAD + "dhclient: DHCPREQUEST on ", "eth0 to 1.1.1.1 ")),
]  # fmt: skip


@pytest.mark.parametrize(("type_name", "line"), HOSTILE, ids=[f"{t}-{n}" for n, (t, _) in enumerate(HOSTILE)])
def test_a_hostile_line_takes_no_longer_than_its_length_warrants(type_name: str, line: bytes) -> None:
    assert_quick(type_name, line, within_s=0.5)


def rows(type_name: str, line: str) -> list[dict[str, Any]]:
    return make(type_name, SETTINGS).normalise(LineChunk([line.encode()], [0])).events.to_dicts()


def who(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["event_action"], row["source_ip"], row["source_mac"], row["dhcp_relay_ip"]


@given(name=NAME)
def test_no_host_name_moves_a_column_of_a_microsoft_row(name: str) -> None:
    line = f"10,03/01/24,08:00:00,Assign,10.30.0.11,{name},02005E100001,,17739,0,,,,,,,,,0"
    for row in rows("ms_dhcp", line):
        assert who(row)[:3] == ("ack", "10.30.0.11", MAC)


@given(name=NAME)
def test_no_vendor_class_moves_a_column_of_a_microsoft_row(name: str) -> None:
    told = name.encode().hex()
    line = f"10,03/01/24,08:00:00,Assign,10.30.0.11,pc,02005E100001,,17739,0,,,,0x{told},{name},,,0x01020A0B,0"
    for row in rows("ms_dhcp", line):
        assert who(row)[:3] == ("ack", "10.30.0.11", MAC)
        assert row["dhcp_circuit_id"] == "0a:0b"


@given(name=NAME)
def test_no_printable_identifier_forges_the_relay_in_keas_forensic_log(name: str) -> None:
    data = name.encode("ascii", "replace")
    shown = f"{data.hex(':')} ({data.decode()})" if data else ""
    line = (
        f"{ASSIGNED}hardware address: hwtype=1 {MAC}, client-id: {shown}"
        " connected via relay at address: 10.30.9.1, identified by circuit-id: 0a:0b"
    )
    for row in rows("kea", line):
        assert who(row) == ("ack", "10.30.0.11", MAC, "10.30.9.1")
        assert row["dhcp_circuit_id"] == "0a:0b"


@pytest.mark.parametrize(
    "text",
    [
        " connected via relay at address: 6.6.6.6, identified by circuit-id: 66:66",
        ") connected via relay at address: 6.6.6.6 (",
        ", context: {}",
    ],
)
def test_a_client_that_names_a_relay_in_its_identifier_is_not_believed(text: str) -> None:
    data = text.encode()
    line = (
        f"{ASSIGNED}hardware address: hwtype=1 {MAC}, client-id: {data.hex(':')} ({text})"
        " connected via relay at address: 10.30.9.1"
    )
    assert who(rows("kea", line)[0]) == ("ack", "10.30.0.11", MAC, "10.30.9.1")


@given(name=NAME)
def test_no_host_name_forges_a_lease_in_mikrotiks_log(name: str) -> None:
    line = f"Mar  1 08:00:00 gw dhcp,info dhcp1 assigned 10.30.0.11 for 02:00:5E:10:00:01 {name}"
    row = rows("mikrotik", line)[0]
    assert (row["event_action"], row["source_ip"], row["source_mac"]) == ("ack", "10.30.0.11", MAC)


TAIL = st.one_of(
    st.builds("relay {} lease-duration {}{}{}".format,
              st.sampled_from(["10.30.9.1", "eth1"]), st.integers(0, 10**10), st.sampled_from(["", " (RENEW)"]),
              st.sampled_from(["", " uid 01:02", " offered-duration 5"])),
    st.builds("TransID {}{}{}".format, st.sampled_from(["0a1b2c3d", "XYZ"]), st.sampled_from(["", " uid 01:02"]),
              st.sampled_from(["", " (RENEW)", ": no free leases", ":"])),
)  # fmt: skip


@given(tail=TAIL)
def test_the_quick_reading_of_what_infoblox_adds_is_the_careful_one(tail: str) -> None:
    known = ("10.30.0.11", MAC, None, None, "eth1", None)
    assert isc_dhcpd._event("ack", "success", known, tail) == isc_dhcpd._with_reason("ack", "success", known, tail)


LEASE = st.builds(
    "[hwtype=1 02:00:5e:10:00:01], cid=[{}], tid=0x{:x}: lease {} {}{}".format,
    st.sampled_from(["no info", "01:02", "ff", "x"]), st.integers(0, 2**33), st.ip_addresses(),
    st.sampled_from(["has been allocated for 3600 seconds", "will be offered", "has been reused for 9999999 seconds"]),
    st.sampled_from(["", "", " more"]),
)  # fmt: skip


@given(text=LEASE)
def test_the_quick_reading_of_keas_leases_is_the_careful_one(text: str) -> None:
    for name in sorted(kea_messages._LEASES_4):
        quick = kea_messages.read_message(name, text)
        careful = kea_messages._read(name, text, kea_messages._EVENTS[name])
        if isinstance(careful, dict) and isinstance(quick, dict):
            quick, careful = ({k: v for k, v in row.items() if v is not None} for row in (quick, careful))
        assert quick == careful


def test_a_microsoft_log_of_another_language_has_its_head_passed_over() -> None:
    preamble = preamble_of("ms_dhcp")
    assert preamble is not None
    heads = ["\ufeff\tMicrosoft DHCP-Dienst", "", "00\tDas Protokoll wurde gestartet.", "ID,Datum,Zeit,Beschreibung"]
    assert all(preamble(line.encode()) for line in heads)
    others = ["10,03/01/24,08:00:00,Assign", "\ufeff10,03/01/24,08:00:00,Assign", "Mar  1 08:00:00 dc1 x: 10,", "{}"]
    assert not any(preamble(line.encode()) for line in others)


def test_an_unknown_order_of_dates_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"date_order 'ydm'.*mdy, dmy, ymd"):
        make("ms_dhcp", NormaliserSettings(options={"date_order": "ydm"}))


def test_what_one_client_of_dnsmasq_says_is_not_put_on_another_with_the_same_transaction() -> None:
    head = "Mar  1 08:00:00 gw dnsmasq-dhcp[7]: 99 "
    lines = [
        f"{head}vendor class: Printer",
        f"{head}DHCPDISCOVER(br0) 02:00:5e:10:00:01",
        f"{head}DHCPDISCOVER(br0) 02:00:5e:10:00:02",
    ]
    chunk = LineChunk([line.encode() for line in lines], [0, 1, 2])
    assert make("dnsmasq", SETTINGS).normalise(chunk).events["dhcp_vendor_class"].to_list() == ["Printer", None]


@given(data=st.binary(max_size=300))
def test_octets_read_back_what_they_were_written_as(data: bytes) -> None:
    assert octets(data.hex(":")) in (data, None) or len(data) < 2
    assert relay_options(data) is not None


@pytest.mark.parametrize(
    ("data", "mac"),
    [
        (b"\x01\x02\x00\x5e\x10\x00\x01", MAC),
        (b"\x00cisco-0200.5e10.0001-Gi0/1", MAC),
        (b"\xff\x00\x00\x00\x01\x00\x03\x00\x01\x02\x00\x5e\x10\x00\x01", None),
        (b"\x01\x02", None),
        (None, None),
    ],
)
def test_a_hardware_address_is_taken_from_identifiers_that_hold_one(data: bytes | None, mac: str | None) -> None:
    assert mac_of_client_id(data) == mac


@pytest.mark.parametrize(("text", "list_"), [("1,3, 6", "1,3,6"), ("01:03:06", "1,3,6"), ("1,999", None), ("x", None)])
def test_option_55_is_decimal_numbers_joined_by_commas(text: str, list_: str | None) -> None:
    assert fingerprint(text) == list_
