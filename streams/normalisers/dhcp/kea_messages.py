"""Messages of kea-dhcp4 and kea-dhcp6: identifier and text to columns.

The identifier says what happened; client, address, lifetime and the rest stand in the text, behind or in front of the
client's label: `[hwtype=1 MAC], cid=[…], tid=0x…` in version 4, `duid=[…], [hwtype=1 MAC], tid=0x…` in version 6, and
`client-id …, hwaddr …` or `duid=…` before Kea 1.0. Nothing in these messages is text that a client chose.

Facts: the message files of Kea 0.9 to 3.1 (`dhcp4_messages.mes`, `dhcp6_messages.mes`, `alloc_engine_messages.mes`,
`bootp_messages.mes`), "Kea Messages Manual".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from streams.normalisers import addresses
from streams.normalisers.dhcp.identifiers import duid, hexadecimal, number, prefix_length
from streams.normalisers.dhcp.reasons_kea import KeaIgnored
from streams.normalisers.lines import MAX_MESSAGE, Unreadable
from streams.normalisers.reasons import IgnoredReason, Refused

Row = dict[str, Any]

_IN_VAIN = "in vain"  # gives back what the client has not, or what could not be given back

_EVENTS: Final[Mapping[str, tuple[str, str]]] = {
    "DHCP4_LEASE_OFFER": ("offer", "success"),
    "DHCP4_LEASE_ADVERT": ("offer", "success"),
    "DHCP4_LEASE_ALLOC": ("ack", "success"),
    "DHCP4_LEASE_REUSE": ("renew", "success"),
    "DHCP4_LEASE_ADVERT_FAIL": ("discover", "failure"),
    "DHCP4_LEASE_ALLOC_FAIL": ("nak", "failure"),
    "DHCP4_PACKET_NAK_0001": ("nak", "failure"),
    "DHCP4_PACKET_NAK_0002": ("nak", "failure"),
    "DHCP4_PACKET_NAK_0003": ("discover", "failure"),
    "DHCP4_PACKET_NAK_0004": ("nak", "failure"),
    "DHCP4_PACKET_NAK_0005": ("nak", "failure"),
    "DHCP4_PACKET_DROP_0003": ("request", "failure"),
    "DHCP4_RELEASE": ("release", "success"),
    "DHCP4_RELEASE_EXCEPTION": ("release", _IN_VAIN),
    "DHCP4_RELEASE_FAIL": ("release", _IN_VAIN),
    "DHCP4_RELEASE_FAIL_NOT_ASSIGNED": ("release", _IN_VAIN),
    "DHCP4_RELEASE_FAIL_NO_LEASE": ("release", _IN_VAIN),
    "DHCP4_RELEASE_FAIL_WRONG_CLIENT": ("release", _IN_VAIN),
    "DHCP4_RELEASE_FAIL_WRONG_CLIENT_ID": ("release", _IN_VAIN),
    "DHCP4_RELEASE_FAIL_WRONG_HWADDR": ("release", _IN_VAIN),
    "DHCP4_DECLINE_LEASE": ("decline", "failure"),
    "DHCP4_DECLINE_LEASE_MISMATCH": ("decline", _IN_VAIN),
    "DHCP4_DECLINE_LEASE_NOT_FOUND": ("decline", _IN_VAIN),
    "DHCP4_DECLINE_FAIL": ("decline", _IN_VAIN),
    "DHCP4_SERVER_INITIATED_DECLINE": ("decline", "failure"),
    "DHCP6_LEASE_ADVERT": ("offer", "success"),
    "DHCP6_PD_LEASE_ADVERT": ("offer", "success"),
    "DHCP6_LEASE_ADVERT_FAIL": ("discover", "failure"),
    "DHCP6_PD_LEASE_ADVERT_FAIL": ("discover", "failure"),
    "DHCP6_LEASE_ALLOC": ("ack", "success"),
    "DHCP6_PD_LEASE_ALLOC": ("ack", "success"),
    "DHCP6_LEASE_ALLOC_FAIL": ("nak", "failure"),
    "DHCP6_PD_LEASE_ALLOC_FAIL": ("nak", "failure"),
    "DHCP6_LEASE_RENEW": ("renew", "success"),
    "DHCP6_PD_LEASE_RENEW": ("renew", "success"),
    "DHCP6_LEASE_REUSE": ("renew", "success"),
    "DHCP6_PD_LEASE_REUSE": ("renew", "success"),
    "DHCP6_RELEASE": ("release", "success"),
    "DHCP6_RELEASE_NA": ("release", "success"),
    "DHCP6_RELEASE_PD": ("release", "success"),
    "DHCP6_RELEASE_FAIL": ("release", _IN_VAIN),
    "DHCP6_RELEASE_FAIL_WRONG_DUID": ("release", _IN_VAIN),
    "DHCP6_RELEASE_FAIL_WRONG_IAID": ("release", _IN_VAIN),
    "DHCP6_RELEASE_NA_FAIL": ("release", _IN_VAIN),
    "DHCP6_RELEASE_NA_FAIL_NOT_ASSIGNED": ("release", _IN_VAIN),
    "DHCP6_RELEASE_NA_FAIL_WRONG_DUID": ("release", _IN_VAIN),
    "DHCP6_RELEASE_NA_FAIL_WRONG_IAID": ("release", _IN_VAIN),
    "DHCP6_RELEASE_PD_FAIL": ("release", _IN_VAIN),
    "DHCP6_RELEASE_PD_FAIL_NOT_ASSIGNED": ("release", _IN_VAIN),
    "DHCP6_RELEASE_PD_FAIL_WRONG_DUID": ("release", _IN_VAIN),
    "DHCP6_RELEASE_PD_FAIL_WRONG_IAID": ("release", _IN_VAIN),
    "DHCP6_DECLINE_LEASE": ("decline", "failure"),
    "DHCP6_DECLINE_FAIL": ("decline", _IN_VAIN),
    "DHCP6_DECLINE_FAIL_DUID_MISMATCH": ("decline", _IN_VAIN),
    "DHCP6_DECLINE_FAIL_IAID_MISMATCH": ("decline", _IN_VAIN),
    "DHCP6_DECLINE_FAIL_LEASE_WITHOUT_DUID": ("decline", _IN_VAIN),
    "DHCP6_DECLINE_FAIL_NO_LEASE": ("decline", _IN_VAIN),
    "ALLOC_ENGINE_V4_LEASE_RECLAIM": ("expire", "unknown"),
    "ALLOC_ENGINE_V6_LEASE_RECLAIM": ("expire", "unknown"),
    "ALLOC_ENGINE_V6_REVOKED_ADDR_LEASE": ("expire", "unknown"),
    "ALLOC_ENGINE_V6_REVOKED_PREFIX_LEASE": ("expire", "unknown"),
    "ALLOC_ENGINE_V6_REVOKED_SHARED_ADDR_LEASE": ("expire", "unknown"),
    "ALLOC_ENGINE_V6_REVOKED_SHARED_PREFIX_LEASE": ("expire", "unknown"),
    "ALLOC_ENGINE_V4_ALLOC_FAIL": ("no_free_leases", "failure"),
    "ALLOC_ENGINE_V4_ALLOC_FAIL_NO_POOLS": ("no_free_leases", "failure"),
    "ALLOC_ENGINE_V4_ALLOC_FAIL_SUBNET": ("no_free_leases", "failure"),
    "ALLOC_ENGINE_V4_ALLOC_FAIL_SHARED_NETWORK": ("no_free_leases", "failure"),
    "ALLOC_ENGINE_V6_ALLOC_FAIL": ("no_free_leases", "failure"),
    "ALLOC_ENGINE_V6_ALLOC_FAIL_NO_POOLS": ("no_free_leases", "failure"),
    "ALLOC_ENGINE_V6_ALLOC_FAIL_SUBNET": ("no_free_leases", "failure"),
    "ALLOC_ENGINE_V6_ALLOC_FAIL_SHARED_NETWORK": ("no_free_leases", "failure"),
    "BOOTP_BOOTP_QUERY": ("bootp", "unknown"),
}

_RECEIVED: Final[Mapping[str, str]] = {
    "DHCPDISCOVER": "discover",
    "DHCPREQUEST": "request",
    "DHCPINFORM": "inform",
    "SOLICIT": "discover",
    "REQUEST": "request",
    "RENEW": "request",
    "REBIND": "request",
    "CONFIRM": "request",
    "INFORMATION_REQUEST": "inform",
}

_DETAIL = re.compile(
    r"DHCP4_RELEASE_(?:DELETED|EXPIRED)|DHCP6_RELEASE_(?:NA|PD)_(?:DELETED|EXPIRED)|ALLOC_ENGINE_V[46]_ALLOC_FAIL_CLASSES"
    r"|ALLOC_ENGINE_V[46]_DECLINED_RECOVERED|DHCP[46]_PACKET_SEND|DHCP[46]_CLIENT_|DHCP[46]_SUBNET_|DHCP[46]_HOOK_|"
    r"DHCP6_UNKNOWN_RELEASE|DHCP6_EXTEND_|DHCP[46]_PACKET_DROP_|DHCP6_REQUIRED_OPTIONS"
)

_LABEL = re.compile(
    r"(?:duid=\[([^\]]{0,400})\], )?\[([^\]]{0,100})\](?:, cid=\[([^\]]{0,800})\])?(?:, tid=0x([0-9a-f]{1,8}))?:? ?",
    re.ASCII,
)
_LEASES_4: Final = frozenset({"DHCP4_LEASE_ALLOC", "DHCP4_LEASE_OFFER", "DHCP4_LEASE_ADVERT", "DHCP4_LEASE_REUSE"})
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_LEASE_4 = re.compile(
    r"\[hwtype=1 ([0-9a-f]{2}(?::[0-9a-f]{2}){5})\], cid=\[(?:no info|([0-9a-f]{2}(?::[0-9a-f]{2}){1,254}))\],"
    rf" tid=0x([0-9a-f]{{1,8}}): lease ({_OCTET}(?:\.{_OCTET}){{3}})"
    r" (?:has been (?:allocated|reused) for (\d{1,10}) seconds|will be (?:offered|advertised))\Z",
    re.ASCII,
)
_LABEL_INSIDE = re.compile(
    r"(?:duid=\[[^\]]{0,400}\], )?\[(?:hwtype=|no hwaddr)[^\]]{0,100}\](?:, cid=\[[^\]]{0,800}\])?"
    r"(?:, tid=0x[0-9a-f]{1,8})?",
    re.ASCII,
)
_GAP = re.compile(r" (?=[ .,])")  # where a label was taken out
_OLD_CLIENT = re.compile(r"(?:client-id ([0-9A-Fa-f:]+|\S+), hwaddr (?:hwtype=\d+ )?([0-9A-Fa-f:]+))", re.ASCII)
_OLD_DUID = re.compile(r"\bduid=\[?([0-9A-Fa-f:]{8,400})", re.ASCII)
_ADDRESS = re.compile(
    r"\b(?:lease|address|addr|prefix)(?: lease)?(?: for)?(?: address| prefix)? "
    r"([0-9A-Fa-f]{0,4}[.:][0-9A-Fa-f.:]{1,44})(?:/(\d{1,3}))?",
    re.ASCII,
)
_NO_ADDRESS = "0.0.0.0"  # noqa: S104 - how a client says that it has none (RFC 2131 section 2)
_IAID = re.compile(r"\biaid=(\d{1,10})", re.ASCII)
_SECONDS = re.compile(r" for (\d{1,10}) seconds", re.ASCII)
_ASKED = re.compile(r"ciaddr ([0-9.]{7,15}|\S+), requested-ip-address ([0-9.]{7,15})?", re.ASCII)
_INTERFACE = re.compile(r"(?:on|from) interface ([^\s:,]+)")
_NETWORK = re.compile(r"in the (?:subnet ([0-9A-Fa-f:./]+)|shared network (.{1,256}?): \d)", re.ASCII)
_TYPE = re.compile(r"([A-Z_0-9]{3,40}) \(type \d", re.ASCII)
_NAK_TYPE = re.compile(r"type (\w+)", re.ASCII)
_REVOKED_FROM = re.compile(r"from client (?:duid=)?\[?([0-9A-Fa-f:]{8,400})", re.ASCII)


def read_message(name: str, text: str) -> Row | IgnoredReason | Unreadable | None:
    """What a message says: columns by name; None where it tells nothing of a client's lease."""
    known = _EVENTS.get(name)
    if name in _LEASES_4 and (usual := _LEASE_4.match(text)) is not None and known is not None:
        return _lease_4(known, usual)
    return _read(name, text, known)


def _lease_4(known: tuple[str, str], found: re.Match[str]) -> Row:
    """What most lines say: a lease of version 4, in the form of Kea 1.0 and later."""
    hardware, client_id, transaction, address, seconds = found.groups()
    row: Row = {
        "source_mac": addresses.mac(hardware),
        "dhcp_client_id": hexadecimal(client_id) if client_id else None,
        "dhcp_transaction_id": transaction,
        "source_ip": addresses.ip(address),
        "event_action": known[0],
        "event_outcome": known[1],
    }
    if seconds is not None and known[0] != "offer":
        row["dhcp_lease_seconds"] = number(seconds)
    return row


def _read(name: str, text: str, known: tuple[str, str] | None) -> Row | IgnoredReason | Unreadable | None:
    """See `read_message`; `known` is what `_EVENTS` has."""
    if known is None:
        if name in ("DHCP4_PACKET_RECEIVED", "DHCP6_PACKET_RECEIVED"):
            return _received(text)
        return KeaIgnored.KEA_DETAIL if _DETAIL.match(name) else None
    if len(text) > MAX_MESSAGE:
        return Unreadable(Refused.LINE_TOO_LONG, f"a message of {len(text)} characters")
    action, outcome = known
    row, rest = _client(text)
    if action == "expire" and name.startswith("ALLOC_ENGINE_V6_REVOKED"):
        row = {"dhcp_duid": duid(found[1]) if (found := _REVOKED_FROM.search(rest)) else None}
    row |= _place(action, rest)
    if name == "DHCP4_PACKET_NAK_0001":
        kind = _NAK_TYPE.search(rest)
        action = "discover" if kind is not None and kind[1] in ("DHCPDISCOVER", "1") else action
    if action in ("ack", "renew", "offer", "release", "expire") and row.get("source_ip") is None:
        return Unreadable(Refused.UNKNOWN_FORM, f"{name} without an address")
    if outcome == _IN_VAIN:
        row["dhcp_requested_ip"], row["source_ip"] = row.get("source_ip"), None
    row["event_action"], row["event_outcome"] = action, "failure" if outcome == _IN_VAIN else outcome
    if row["event_outcome"] == "failure" or (action == "expire" and "REVOKED" in name):
        if "[hwtype=" in rest or "[no hwaddr" in rest:
            rest = _GAP.sub("", _LABEL_INSIDE.sub("", rest))
        row["event_reason"] = rest.strip(" .:,") or None
    return row


def _client(text: str) -> tuple[Row, str]:
    """Columns of the client's label, and the text without it where it stands in front."""
    found = _LABEL.match(text)
    rest = text
    if found is not None:
        rest = text[found.end() :]
    else:
        inside = _LABEL_INSIDE.search(text) if "[hwtype=" in text or "[no hwaddr" in text else None
        found = _LABEL.match(text, inside.start()) if inside is not None else None
    if found is None:
        return _old_client(text), rest
    client, hardware, client_id, transaction = found.groups()
    return {
        "source_mac": addresses.mac(hardware.rpartition(" ")[2]) if hardware.startswith("hwtype=1 ") else None,
        "dhcp_client_id": hexadecimal(client_id) if client_id and client_id != "no info" else None,
        "dhcp_transaction_id": transaction,
        "dhcp_duid": duid(client),
    }, rest


def _old_client(text: str) -> Row:
    found = _OLD_CLIENT.search(text)
    if found is not None:
        named = hexadecimal(found[1])
        return {"source_mac": addresses.mac(found[2]), "dhcp_client_id": named if named and ":" in named else None}
    old = _OLD_DUID.search(text)
    return {"dhcp_duid": duid(old[1])} if old is not None else {}


def _place(action: str, rest: str) -> Row:
    """Address, prefix length, identity association, lifetime, interface and network in a text."""
    row: Row = {}
    found = _ADDRESS.search(rest)
    if found is not None:
        written = found[1].rstrip(".")  # a colon behind it may be the sentence's, or the end of 2001:db8::
        row["source_ip"] = addresses.ip(written) or addresses.ip(written.rstrip(":"))
        row["dhcp_prefix_length"] = prefix_length(found[2])
    if "iaid=" in rest and (iaid := _IAID.search(rest)):
        row["dhcp_iaid"] = iaid[1]
    if action in ("ack", "renew") and (seconds := _SECONDS.search(rest)):
        row["dhcp_lease_seconds"] = number(seconds[1])
    if action in ("nak", "discover") and (asked := _ASKED.search(rest)):
        row["source_ip"] = addresses.ip(asked[2] or "") or (addresses.ip(asked[1]) if asked[1] != _NO_ADDRESS else None)
    if action == "request" and (interface := _INTERFACE.search(rest)):
        row["dhcp_interface"] = interface[1]
    if action == "no_free_leases" and (network := _NETWORK.search(rest)):
        row["dhcp_network"] = (network[1] or network[2]).rstrip(",")
    return row


def _received(text: str) -> Row | IgnoredReason:
    row, rest = _client(text)
    kind, interface = _TYPE.match(rest), _INTERFACE.search(rest)
    if kind is None or kind[1] not in _RECEIVED:
        return KeaIgnored.KEA_DETAIL  # a release or decline: the line that says what became of it tells it
    action = _RECEIVED[kind[1]]
    return {
        **row,
        "event_action": action,
        "event_outcome": "unknown",
        "dhcp_interface": interface[1] if interface else None,
    }
