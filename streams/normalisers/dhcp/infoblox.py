"""Infoblox NIOS' dhcpd to DHCP events: ISC's lines (`isc_dhcpd`) with what NIOS adds behind them.

Read behind the message: `TransID`, `relay`, `lease-duration`, `uid`, `(RENEW)`; and what only NIOS writes:
`DHCPEXPIRE`, DHCPv6 from `dhcpdv6` with the client's DUID in relayed requests, and `r-l-e:` lines.

Actions and outcomes are those of `isc_dhcpd`, and

- `renew`: an acknowledgement marked `(RENEW)` or `(REBIND)`;
- `details`: an `r-l-e:` line, which repeats a change of a lease for the reporting server with the lease's end;
  `event_reason` is its word (`Issued`, `Renewed`, `Fixed`, `Freed`, `Abandoned`, …).

Facts: the NIOS administrator guide ("Using a Syslog Server", "Viewing DHCP logs"), and messages that public parsers of
several vendors take for NIOS'.
"""

from __future__ import annotations

import re
from typing import Final

from streams.normalisers import addresses
from streams.normalisers.dhcp.identifiers import number
from streams.normalisers.dhcp.isc_dhcpd import IscDhcpdNormaliser
from streams.normalisers.lines import Taken, Unreadable
from streams.normalisers.reasons import Refused
from streams.normalisers.syslog import SyslogLine

ACTIONS: Final = (
    "discover",
    "offer",
    "request",
    "ack",
    "renew",
    "nak",
    "decline",
    "release",
    "inform",
    "no_free_leases",
    "expire",
    "bootp",
    "details",
)

# Behind the message, so that a client's host name, which stands before `via`, cannot say so.
_RENEWED = re.compile(r" lease-duration \d{1,10} \((?:RENEW|REBIND)\)(?: uid \S+)?\Z", re.ASCII)
# The host name is the client's and may hold commas: it is what stands between what the server writes.
_LEASE_EVENT = re.compile(
    r"r-l-e:([0-9A-Fa-f:.]{2,45}),([A-Za-z]{2,20}),(.*),((?:[0-9A-Fa-f]{1,2}:){5}[0-9A-Fa-f]{1,2}|),(\d{0,11}),(\d{0,11}),"
    r"[^,]*,?\$?\Z",
    re.DOTALL | re.ASCII,
)
_SECOND = 1_000_000


class InfobloxNormaliser(IscDhcpdNormaliser):
    """Lines of NIOS' dhcpd and dhcpdv6 through syslog."""

    type_name = "infoblox"
    DATASET = "infoblox"
    STATEMENTS = False
    NEVER = frozenset(
        {"dhcp_vendor_class", "dhcp_fingerprint", "dhcp_circuit_id", "dhcp_remote_id", "dhcp_vlan"}
    )  # NIOS has no log statements of a site's own

    def take(self, line: SyslogLine) -> Taken:
        """See `IscDhcpdNormaliser.take`."""
        message = line.message
        if message.startswith("r-l-e:"):
            return self._lease_event(message)
        taken = super().take(line)
        if type(taken) is not tuple:
            return taken
        action = "renew" if taken[1] == "ack" and _RENEWED.search(message) else taken[1]
        return (self.DATASET, action, *taken[2:])

    def _lease_event(self, message: str) -> Taken:
        found = _LEASE_EVENT.match(message)
        if found is None:
            return Unreadable(Refused.UNKNOWN_FORM, "a lease event of unknown form")
        address, word, name, client, start, end = found.groups()
        starts, ends = number(start, 2**40), number(end, 2**40)
        lasts = ends - starts if starts is not None and ends is not None and ends >= starts else None
        return self.row(
            {
                "event_action": "details",
                "event_outcome": "unknown",
                "event_reason": word,
                "source_ip": addresses.ip(address),
                "source_mac": addresses.mac(client),
                "host_name": name or None,
                "dhcp_lease_seconds": lasts,
                "dhcp_lease_expires": ends * _SECOND if ends else None,
            }
        )
