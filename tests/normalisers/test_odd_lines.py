"""Lines that pass for what they are not."""

from __future__ import annotations

from streams.normalisers.abstract import LineChunk, Normalised
from streams.normalisers.registry import make
from tests.normalisers.golden_files import SETTINGS


def one(type_name: str, line: str) -> Normalised:
    return make(type_name, SETTINGS).normalise(LineChunk([line.encode()], [0]))


def test_a_combined_line_with_a_column_before_the_client_is_not_read_as_if_it_were_shifted() -> None:
    rest = (
        '10.0.0.1 - - [10/Oct/2024:13:55:36 -0700] "GET http://x.example/ HTTP/1.1" 200 1 "-" "-" TCP_MISS:HIER_DIRECT'
    )
    assert one("squid", rest).events["source_ip"].to_list() == ["10.0.0.1"]
    assert [r.reason for r in one("squid", f"proxy2.school.example {rest}").rejects] == ["unknown_form"]


def test_a_hardware_address_of_eight_octets_is_no_ipv6_address() -> None:
    line = "Mar  3 10:11:13 d dhcpd: DHCPDISCOVER from 00:11:22:33:44:55:66:77 (ib) via ib0"
    (row,) = one("isc_dhcpd", line).events.to_dicts()
    assert (row["source_ip"], row["source_mac"]) == (None, None)
    assert row["dhcp_client_id"] == "00:11:22:33:44:55:66:77"
