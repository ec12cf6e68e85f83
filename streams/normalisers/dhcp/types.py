"""DHCP servers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from schemas.kinds import EventKind
from streams.normalisers.types import NormaliserType, program

TYPES: Final[Mapping[str, NormaliserType]] = {
    "isc_dhcpd": NormaliserType(
        EventKind.DHCP,
        "streams.normalisers.dhcp.isc_dhcpd:IscDhcpdNormaliser",
        "ISC dhcpd through syslog: leases",
        claims=program("dhcpd"),
    ),
}
