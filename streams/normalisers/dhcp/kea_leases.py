"""Rows of Kea's lease files (`kea-leases4.csv`, `kea-leases6.csv`), every version of their columns.

A row is written whenever a lease changes; the columns are named in the file's first line (versions 1.0 to 3.0 of the
version 4 file, 1.0 to 5.0 of the version 6 file). `expire` less `valid_lifetime` is when the client was last served:
the time of an `ack` or `decline`. A reclaimed lease (state 2) ended at `expire`. A row whose lifetime is 0 says that
the lease was taken out (released or deleted), and not when: it gets the newest time of the rows before it.

Facts: `csv_lease_file4.cc`, `csv_lease_file6.cc`, `csv_file.cc` (escapes) and `lease.h` (states) of Kea 0.9 to 3.1; the
Kea manual's chapters on memfile and on `store-extended-info`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from streams.normalisers import addresses
from streams.normalisers.dhcp.identifiers import duid, hexadecimal, number, octets, prefix_length, relay_options
from streams.normalisers.json_records import at, decoded
from streams.normalisers.lines import Unreadable
from streams.normalisers.reasons import Refused

Row = dict[str, Any]

V4: Final = (
    "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context,pool_id"
).split(",")
V6: Final = (
    "address,duid,valid_lifetime,expire,subnet_id,pref_lifetime,lease_type,iaid,prefix_len,fqdn_fwd,fqdn_rev,hostname,"
    "hwaddr,state,user_context,hwtype,hwaddr_source,pool_id"
).split(",")

_STATES: Final[Mapping[str, tuple[str, str]]] = {
    "0": ("ack", "success"),
    "1": ("decline", "failure"),
    "2": ("expire", "unknown"),
    "3": ("release", "success"),
    "4": ("inform", "success"),  # an address that the client made itself and registered (RFC 9686)
}
_SECOND = 1_000_000
_YEAR = 366 * 86_400
_ESCAPE = re.compile(r"&#x([0-9A-Fa-f]{2})", re.ASCII)
_PREFIX = "2"  # lease_type


def is_row(text: str) -> bool:
    """Whether a line may be a row: an address and a comma."""
    first, comma, _ = text[:46].partition(",")
    return bool(comma) and addresses.ip(first) is not None


def read_row(names: list[str], text: str, newest: int | None) -> Row | Unreadable:
    """What a row says: columns by name, `timestamp` among them.

    Args:
        names: Names of the columns; empty: by the kind of address, as the newest version has them.
        text: The row.
        newest: When a client was last served in the rows before, seconds since 1970.
    """
    cells = text.split(",")
    names = names or (V6 if ":" in cells[0] else V4)
    if len(cells) > len(names):
        return Unreadable(Refused.UNKNOWN_FORM, f"{len(cells)} values, {len(names)} columns")
    said = dict(zip(names, cells, strict=False))
    address = addresses.ip(said.get("address", ""))
    lasts, expires = number(said.get("valid_lifetime")), number(said.get("expire"), 2**43)
    if address is None or lasts is None or expires is None or lasts > expires:
        return Unreadable(Refused.BAD_FIELD, "address, valid_lifetime or expire is none")
    state = _STATES.get(said.get("state") or "0")
    if state is None:
        return Unreadable(Refused.BAD_FIELD, "no such state of a lease")
    action, outcome = state
    served = expires - lasts
    time, reason = served, None
    if lasts == 0:
        action, outcome = ("expire", "unknown") if action == "expire" else ("release", "success")
        time, reason = max(served, newest or served), "taken out of the lease file"
    elif action == "expire":
        time = expires
    return {
        "timestamp": time * _SECOND,
        "event_action": action,
        "event_outcome": outcome,
        "event_reason": reason,
        "source_ip": address,
        "dhcp_lease_seconds": lasts if lasts and action in ("ack", "inform") else None,
        "dhcp_lease_expires": expires * _SECOND if lasts and action in ("ack", "inform") else None,
        **_client(said),
    }


def served_at(row: Row, newest: int | None) -> int | None:
    """The newest time that a client was served, with a row more; one more than a year ahead is not believed."""
    if row["event_action"] not in ("ack", "inform"):
        return newest
    time: int = row["timestamp"] // _SECOND
    return time if newest is None or newest < time <= newest + _YEAR else newest


def _client(said: Mapping[str, str]) -> Row:
    client = said.get("duid", "")
    context = _context(said.get("user_context", ""))
    return {
        "source_mac": addresses.mac(said.get("hwaddr", "")),
        "host_name": _unescaped(said.get("hostname", "")) or None,
        "dhcp_client_id": hexadecimal(said.get("client_id")),
        "dhcp_duid": duid(client) if client != "00:00:00" else None,  # so written where there is no client
        "dhcp_iaid": said.get("iaid") or None,
        "dhcp_prefix_length": prefix_length(said.get("prefix_len")) if said.get("lease_type") == _PREFIX else None,
        "dhcp_network": said.get("subnet_id") or None,
        **context,
    }


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text) if "&#x" in text else text


def _context(text: str) -> Row:
    """Relay and option 82 where `store-extended-info` keeps them in the lease."""
    if "relay" not in text:
        return {}
    try:
        isc = at(decoded(_unescaped(text)), "ISC")
    except ValueError:
        return {}
    inner = at(isc, "relay-info", 0)
    if inner is not None:
        return {
            "dhcp_relay_ip": addresses.ip(str(at(inner, "link"))),
            "dhcp_remote_id": hexadecimal(_text(at(inner, "remote-id"))),
        }
    information = at(isc, "relay-agent-info")
    whole = information if isinstance(information, str) else _text(at(information, "sub-options"))
    circuit, remote = relay_options(octets(whole or ""))
    return {"dhcp_circuit_id": circuit, "dhcp_remote_id": remote}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
