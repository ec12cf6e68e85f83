"""ISC dhcpd's lines about DHCPv6 (`dhcpd -6`), and Infoblox' additions to them.

A lease is told when it is offered (`Advertise NA: …`), granted (`Reply NA: …`; NA an address, TA a temporary one, PD a
prefix), released and declined. What a client asks is told without the client's DUID; Infoblox names it. Renewals are
`Reply NA` like grants: the log does not tell them apart.

Facts: the format strings of `server/dhcpv6.c` of ISC DHCP 4.1 to 4.4.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from streams.normalisers import addresses
from streams.normalisers.dhcp.identifiers import duid, number, prefix_length
from streams.normalisers.lines import Unreadable
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused

Row = dict[str, Any]

_ASKED: Mapping[str, tuple[str, str]] = {
    "Solicit": ("discover", "unknown"),
    "Request": ("request", "unknown"),
    "Renew": ("request", "unknown"),
    "Rebind": ("request", "unknown"),
    "Confirm": ("request", "unknown"),
    "Information-request": ("inform", "unknown"),
}
_MESSAGE = re.compile(
    r"(Encapsulated )?([A-Z][a-z]{2,15}(?:-request)?) message from (\S{2,60}?)(?: port \d{1,5})?"
    r"(?: from client DUID (\S+))?, transaction ID 0x([0-9A-Fa-f]{1,8})\Z",
    re.ASCII,
)
_LEASE = re.compile(
    r"(Advertise|Reply) (NA|TA|PD): (?:address|prefix) ([0-9A-Fa-f:.]{2,45})(?:/(\d{1,3}))?"
    r" to client with duid (\S+) iaid = (-?\d{1,10})(?: valid for (\d{1,10}) seconds| static)?\Z",
    re.ASCII,
)
_CLIENT = re.compile(
    r"Client (\S+) (releases|reports|declines) (?:address|prefix) ([0-9A-Fa-f:.]{2,45})(?:/(\d{1,3}))?,?(?: (.*))?\Z",
    re.ASCII | re.DOTALL,
)
_ROAMED = re.compile(
    r"Client: (\S+) roamed to new network, releasing lease: ([0-9A-Fa-f:.]{2,45})(?:/(\d{1,3}))?\Z", re.ASCII
)
_FULL = re.compile(
    r"Unable to pick client (?:address|prefix): (no (?:addresses|prefixes) available)"
    r"(?:  ?- shared network (.*?): .*)?\Z",
    re.DOTALL,
)


def read_v6(message: str) -> Row | IgnoredReason | Unreadable | None:
    """What a line about DHCPv6 says: columns by name; None where it is no such line."""
    for pattern, read in _FORMS:
        if message.startswith(pattern):
            return read(message)
    found = _MESSAGE.match(message)
    return None if found is None else _asked(found)


def _asked(found: re.Match[str]) -> Row | IgnoredReason:
    inner, verb, sender, client, transaction = found.groups()
    if verb not in _ASKED:
        return Ignored.DHCP_V6  # a release or decline: the line that names its address tells it
    action, outcome = _ASKED[verb]
    address = addresses.ip(sender)
    # Inside a relayed message the sender is the relay; else it is the client, by its link-local address mostly.
    return {
        "event_action": action,
        "event_outcome": outcome,
        "source_ip": None if inner else address,
        "dhcp_relay_ip": address if inner else None,
        "dhcp_duid": duid(client),
        "dhcp_transaction_id": transaction.lower(),
    }


def _lease(message: str) -> Row | IgnoredReason | Unreadable:
    found = _LEASE.match(message)
    if found is None:
        return Unreadable(Refused.UNKNOWN_FORM, "a DHCPv6 lease of unknown form")
    verb, _, address, length, client, iaid, seconds = found.groups()
    source_ip = addresses.ip(address)
    if source_ip is None:
        return Unreadable(Refused.BAD_FIELD, "the leased address is none")
    return {
        "event_action": "offer" if verb == "Advertise" else "ack",
        "event_outcome": "success",
        "source_ip": source_ip,
        "dhcp_prefix_length": prefix_length(length),
        "dhcp_duid": duid(client),
        "dhcp_iaid": iaid,
        "dhcp_lease_seconds": number(seconds),
    }


def _given_back(message: str) -> Row | IgnoredReason | Unreadable:
    found = _CLIENT.match(message)
    if found is None:
        return Ignored.DHCP_V6
    client, verb, address, length, rest = found.groups()
    in_vain = rest is not None and rest.startswith("which is not")
    return _ended("release" if verb == "releases" else "decline", (client, address, length), rest, in_vain=in_vain)


def _roamed(message: str) -> Row | IgnoredReason | Unreadable:
    found = _ROAMED.match(message)
    if found is None:
        return Ignored.DHCP_V6
    return _ended("release", (found[1], found[2], found[3]), "roamed to new network", in_vain=False)


def _ended(action: str, known: tuple[str, str, str | None], reason: str | None, *, in_vain: bool) -> Row | Unreadable:
    """A lease given back; `known` is (DUID, address, prefix length). In vain: it has it not, so nobody's lease ends."""
    client, address, length = known
    found = addresses.ip(address)
    if found is None:
        return Unreadable(Refused.BAD_FIELD, "the address given back is none")
    return {
        "event_action": action,
        "event_outcome": "success" if action == "release" and not in_vain else "failure",
        "event_reason": reason.strip(" .!") if reason else None,
        "source_ip": None if in_vain else found,
        "dhcp_requested_ip": found if in_vain else None,
        "dhcp_prefix_length": prefix_length(length),
        "dhcp_duid": duid(client),
    }


def _full(message: str) -> Row | IgnoredReason | Unreadable:
    found = _FULL.match(message)
    if found is None:
        return Ignored.DHCP_V6
    return {
        "event_action": "no_free_leases",
        "event_outcome": "failure",
        "event_reason": found[1],
        "dhcp_network": found[2],
    }


_FORMS = (
    (("Advertise NA:", "Advertise TA:", "Advertise PD:", "Reply NA:", "Reply TA:", "Reply PD:"), _lease),
    ("Client: ", _roamed),
    ("Client ", _given_back),
    ("Unable to pick client ", _full),
)
