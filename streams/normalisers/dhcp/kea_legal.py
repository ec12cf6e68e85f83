"""Kea's forensic ("legal") log: one sentence a lease given out, renewed or released.

`Address: A has been assigned for 1 hrs 0 mins 0 secs to a device with hardware address: hwtype=1 M, client-id: C
(text) connected via relay at address: R, identified by circuit-id: X (text) and remote-id: Y`; in version 6 `Prefix:
A/56`, the DUID, the link address and `connected at location interface-id: …`; and what administrators and a partner of
high availability did by command. Where octets are printable, Kea adds them as text, which a client may choose: it is
skipped by the number of the octets in front of it, so that no client can forge what follows.

Of a relayed DHCPv6 message the relay is the link address (the relay's own on the client's link); what Kea calls `relay
at address` is the address that the relay had the message from (RFC 8415 section 9). `dhcp_circuit_id` is the interface
identifier in version 6.

Facts: the Kea manual's chapter "libdhcp_legal_log.so: Forensic Logging", its hook's lease4_callouts.cc,
lease6_callouts.cc and command_callouts.cc (1.3 to 3.1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from streams.normalisers import addresses
from streams.normalisers.dhcp.identifiers import duid, number, octets, prefix_length
from streams.normalisers.lines import Unreadable
from streams.normalisers.reasons import Refused

Row = dict[str, Any]

STARTS: Final = ("Address: ", "Prefix: ", "Administrator ", "HA partner ")

_VERBS: Final[Mapping[str, tuple[str, str]]] = {
    "assigned": ("ack", "success"),
    "renewed": ("renew", "success"),
    "released": ("release", "success"),
    "declined": ("decline", "failure"),
}
_TIME = r"infinite duration|(?:\d{1,6} days?,? )?\d{1,10} (?:hrs|seconds)(?: \d{1,2} mins?(?: \d{1,2} secs?)?)?"
_LEASE = re.compile(
    rf"(?:Address|Prefix): ([0-9A-Fa-f:.]{{2,45}})(?:/(\d{{1,3}}))? has been (\w[\w-]{{2,20}})(?: for ({_TIME}))?"
    r"(?: (?:to|from) a device with )?",
    re.ASCII,
)
_COMMAND = re.compile(
    r"(Administrator|HA partner) (added a lease of|updated information on the lease of|deleted the lease for)"
    r" (?:address|prefix): ([0-9A-Fa-f:.]{2,45})(?:/(\d{1,3}))?(?: to a device with )?",
    re.ASCII,
)
_DELETED_BY = re.compile(r"(Administrator|HA partner) deleted a lease for a device identified by: (\S+) of (\S+)\Z")
_PART = re.compile(
    rf"[, ]{{0,2}}(?:(?:and|identified by|connected at location|for)(?= ) ?){{0,2}}"
    rf"(?:(hardware address|client-id|DUID|connected via relay at address|client on link address|hop count|circuit-id"
    r"|remote-id|subscriber-id|interface-id): (?:hwtype=\d{1,5} )?([0-9A-Fa-f:.]{0,800})(?: \(from [^)]{0,60}\))?"
    rf"|({_TIME}))",
    re.ASCII,
)
_MAX_PARTS = 16
_AMOUNT = re.compile(r"(\d+) (day|hrs|min|sec)")
_UNITS = {"day": 86_400, "hrs": 3_600, "min": 60, "sec": 1}


def read_legal(text: str) -> Row | Unreadable:
    """What a sentence says: columns by name."""
    found = _LEASE.match(text)
    if found is not None and found[3] in _VERBS:
        address, length, verb, lasts = found.groups()
        action, outcome = _VERBS[verb]
        row: Row = {"event_action": action, "event_outcome": outcome, "dhcp_lease_seconds": _seconds(lasts)}
        return _device(row, address, length, text[found.end() :])
    command = _COMMAND.match(text)
    if command is not None:
        who, did, address, length = command.groups()
        row = {
            "event_action": "expire" if did.startswith("deleted") else "ack",
            "event_outcome": "unknown" if did.startswith("deleted") else "success",
            "event_reason": f"{who} {did.rpartition(' ')[0]}",
        }
        return _device(row, address, length, text[command.end() :])
    deleted = _DELETED_BY.match(text)
    if deleted is None:
        return Unreadable(Refused.UNKNOWN_FORM, "an entry of the forensic log of unknown form")
    named = {"hw-address": "source_mac", "duid": "dhcp_duid", "client-id": "dhcp_client_id"}.get(deleted[2])
    row = {"event_action": "expire", "event_outcome": "unknown", "event_reason": f"{deleted[1]} deleted a lease"}
    if named is not None:
        row[named] = deleted[3].lower()
    return row


def _device(row: Row, address: str, length: str | None, rest: str) -> Row | Unreadable:
    source_ip = addresses.ip(address)
    if source_ip is None:
        return Unreadable(Refused.BAD_FIELD, "the leased address is none")
    said = _parts(rest)
    link = addresses.ip(said.get("client on link address", ""))
    relay = addresses.ip(said.get("connected via relay at address", ""))
    hardware = said.get("hardware address", "")
    return row | {
        "source_ip": source_ip,
        "dhcp_prefix_length": prefix_length(length),
        "source_mac": addresses.mac(hardware),
        "dhcp_client_id": said.get("client-id"),
        "dhcp_duid": duid(said.get("DUID")),
        "dhcp_relay_ip": link if link not in (None, "::") else relay,
        "dhcp_circuit_id": said.get("circuit-id") or said.get("interface-id"),
        "dhcp_remote_id": said.get("remote-id"),
        "dhcp_lease_seconds": row.get("dhcp_lease_seconds") or _seconds(said.get("")),
    }


def _parts(rest: str) -> dict[str, str]:
    """The labelled values of the second half of a sentence; what is printed as text beside its octets is skipped."""
    said: dict[str, str] = {}
    at = 0
    for _ in range(_MAX_PARTS):
        found = _PART.match(rest, at)
        if found is None:
            break
        key, value, lasts = found.groups()
        at = found.end()
        if lasts is not None:
            said.setdefault("", lasts)
            continue
        said.setdefault(key, value.lower())
        if rest.startswith(" (", at):
            data = octets(value)
            if data and rest.startswith(f" ({data.decode('latin-1')})", at):
                at += len(data) + 3
    return {key: value for key, value in said.items() if value}


def _seconds(lasts: str | None) -> int | None:
    if not lasts:
        return None
    if lasts == "infinite duration":
        return 2**32 - 1
    if lasts.endswith(" seconds"):
        return number(lasts.partition(" ")[0])
    return number(str(sum(int(amount) * _UNITS[unit] for amount, unit in _AMOUNT.findall(lasts))))
