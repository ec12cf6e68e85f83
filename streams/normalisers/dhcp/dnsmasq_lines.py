"""Messages of dnsmasq's DHCP taken apart: `TYPE(interface) [address] client [text]`, and log-dhcp's further lines.

The client is a hardware address in version 4 and a DUID in version 6; the text is the client's host name where the
server took one (which has no blanks), or what the server says.

Facts: `log_packet`, `log6_packet`, `log_tags` and `do_options` in rfc2131.c, rfc3315.c and dhcp-common.c of dnsmasq
2.40 to 2.90; `print_mac` and `prettyprint_time` in util.c.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from streams.normalisers import addresses
from streams.normalisers.dhcp.identifiers import duid, fingerprint, hexadecimal

Row = dict[str, Any]

_PACKET = re.compile(
    r"(?:(\d{1,10}) )?((?:DHCP|BOOTP|PXE|SLAAC-CONFIRM|RTR-)[A-Z\-]*)\(([^()\s]{1,64})\) ?"
    r"(?:((?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]*?:[0-9A-Fa-f:.]{0,40}) (?=[0-9A-Fa-f<]))?"
    r"((?:[0-9A-Fa-f]{2}-)?[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){0,130}(?![^ ])|<null>)(?: (.*))?\Z",
    re.DOTALL | re.ASCII,
)
_CONFIRMED = re.compile(r"SLAAC-CONFIRM\(([^()\s]{1,64})\) (\S{2,60})(?: (\S+))?\Z", re.ASCII)
_DETAIL = re.compile(
    r"(\d{1,10}) (vendor class|user class|client provides name|client MAC address|requested options|tags|"
    r"sent size|available DHCP|next server|server name|bootfile name|broadcast response|nest size|prefix class|"
    r"reply delay|router advertisement)(?::? ?)(.*)\Z",
    re.DOTALL | re.ASCII,
)
_LEASE_TIME = re.compile(r" *\d{1,3} option: *51 lease-time +(\S+)", re.ASCII)
_TIME = re.compile(r"(\d{1,10})([dhms])", re.ASCII)
_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_OPTION = re.compile(r"(\d{1,3})(?=[:,\s]|\Z)", re.ASCII)
_NO_RANGE = re.compile(
    r"no address range available for DHCP(?:v6)? request (?:via|from relay at|with subnet selector) (\S+)\Z"
)
_ABANDONED = re.compile(r"abandoning lease to (\S+) of (\S+)\Z")

NO_LEASES: Final = re.compile(r"no address(?:es)? available|no leases left|no address configured|no address range")
_ACTIONS: Final[Mapping[str, tuple[str, str]]] = {
    "DHCPDISCOVER": ("discover", "unknown"),
    "DHCPOFFER": ("offer", "success"),
    "DHCPREQUEST": ("request", "unknown"),
    "DHCPACK": ("ack", "success"),
    "DHCPNAK": ("nak", "failure"),
    "DHCPDECLINE": ("decline", "failure"),
    "DHCPRELEASE": ("release", "success"),
    "DHCPINFORM": ("inform", "unknown"),
    "BOOTP": ("bootp", "success"),
    "DHCPSOLICIT": ("discover", "unknown"),
    "DHCPADVERTISE": ("offer", "success"),
    "DHCPREPLY": ("ack", "success"),
    "DHCPRENEW": ("request", "unknown"),
    "DHCPREBIND": ("request", "unknown"),
    "DHCPCONFIRM": ("request", "unknown"),
    "DHCPINFORMATION-REQUEST": ("inform", "unknown"),
}
_SAYS: Final = frozenset("ignored disabled success deprecated".split())  # texts of one word that are no host name
_NAMES: Final = frozenset("ack inform bootp".split())  # what carries the client's host name


class Detail(NamedTuple):
    """A further line of log-dhcp: transaction, what it is about, and the text."""

    transaction: str
    about: str
    text: str


def read_packet(message: str) -> Row | str | None:
    """What a packet's line says; the word behind which it is ignored (`router`, `detail`); None where it is none."""
    found = _PACKET.match(message)
    if found is None or found[2] not in _ACTIONS:
        if message.startswith("RTR-"):
            return "router"
        return _confirmed(message) if found is None or found[2].startswith("SLAAC") else "detail"
    transaction, kind, interface, address, client, text = found.groups()
    action, outcome = _ACTIONS[kind]
    text = (text or "").strip()
    source_ip = addresses.ip(address) if address else None
    row: Row = {
        "dhcp_transaction_id": transaction,
        "dhcp_interface": interface,
        "source_ip": source_ip,
        **_client(client, six=kind not in _VERSION_4 and (len(client) > 17 or ":" in (address or ""))),
    }
    if " " not in text and text not in _SAYS and text and (action in _NAMES or action == "offer"):
        row["host_name"] = text
    elif text:
        action, outcome = _judged(kind, action, outcome, text, row)
        row["event_reason"] = text
    if kind == "DHCPREPLY" and action == "ack" and source_ip is None:
        return "detail"  # a release received, addresses still on link: the line before tells it
    if kind == "DHCPADVERTISE" and action == "offer" and source_ip is None:
        return "detail"
    row["event_action"], row["event_outcome"] = action, outcome
    return row


_VERSION_4: Final = frozenset("DHCPDISCOVER DHCPOFFER DHCPACK DHCPNAK DHCPINFORM BOOTP".split())


def _judged(kind: str, action: str, outcome: str, text: str, row: Row) -> tuple[str, str]:
    """Action and outcome where the server says something."""
    if NO_LEASES.match(text) and action != "bootp":
        return "no_free_leases", "failure"
    if kind == "DHCPREPLY" and row["source_ip"] is None and text != "confirm failed":
        return action, outcome
    if text in ("success", "deprecated", "release received", "all addresses still on link"):
        return action, outcome
    if action == "release":  # `unknown lease`: gives back what it has not, so that nobody's lease ends
        row["dhcp_requested_ip"], row["source_ip"] = row["source_ip"], None
    return "nak" if kind == "DHCPREPLY" else action, "failure"


def _client(client: str, *, six: bool) -> Row:
    if six:
        return {"dhcp_duid": duid(client)}
    mac = addresses.mac(client)
    return {"source_mac": mac} if mac is not None or client == "<null>" else {"dhcp_client_id": client.lower()}


def _confirmed(message: str) -> Row | None:
    found = _CONFIRMED.match(message)
    if found is not None and addresses.ip(found[2]):
        return {
            "event_action": "details",
            "event_outcome": "success",
            "event_reason": "SLAAC-CONFIRM",
            "dhcp_interface": found[1],
            "source_ip": addresses.ip(found[2]),
            "host_name": found[3],
        }
    return None


def read_detail(message: str) -> Detail | None:
    """A further line of log-dhcp; None where it is none."""
    found = _DETAIL.match(message)
    return None if found is None else Detail(found[1], found[2], found[3])


def read_notice(message: str) -> Row | None:
    """What the server notes beside packets: no range for a request, a lease given up; None where it is neither."""
    found = _NO_RANGE.match(message)
    if found is not None:
        relay = addresses.ip(found[1])
        return {
            "event_action": "no_free_leases",
            "event_outcome": "failure",
            "event_reason": "no address range available",
            "dhcp_relay_ip": relay,
            "dhcp_interface": found[1] if relay is None else None,
        }
    found = _ABANDONED.match(message)
    if found is None or addresses.ip(found[2]) is None:
        return None
    return {
        "event_action": "expire",
        "event_outcome": "unknown",
        "event_reason": "abandoning lease",
        "source_ip": addresses.ip(found[2]),
        "source_mac": addresses.mac(found[1]),
    }


def lease_seconds(text: str) -> int | None:
    """The lifetime in a line about option 51: `1h30m`, `2d`, `infinite`; None in any other line."""
    found = _LEASE_TIME.match(text)
    if found is None:
        return None
    if found[1] == "infinite":
        return 2**32 - 1
    parts = _TIME.findall(found[1])
    return sum(int(amount) * _UNITS[unit] for amount, unit in parts) if parts else None


def options(text: str) -> list[str]:
    """Numbers in a line of requested options: `1:netmask, 3:router, 6:dns-server, `."""
    return [found[1] for part in text.split(",") if (found := _OPTION.match(part.strip()))]


def joined(numbers: list[str]) -> str | None:
    """Option 55 of the numbers of several lines; None where there are none."""
    return fingerprint(",".join(numbers))


def client_mac(text: str) -> str | None:
    """The hardware address that dnsmasq found of a DHCPv6 client."""
    return addresses.mac(hexadecimal(text.strip()) or "")
