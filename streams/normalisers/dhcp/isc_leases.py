"""ISC dhcpd's lease file (`dhcpd.leases`, `dhcpd6.leases`) to DHCP events: one a declaration of a lease.

- `ack`: binding state `active`, at `starts`, which dhcpd sets anew when it renews (version 6: at `cltt`, the client's
  last transaction).
- `expire`: `expired` or `free` with an end, at that end: the file does not tell run out from given back.
- `release`: `released`, at the lease's end, which is the release. `decline`: `abandoned`, at `starts`.

A declaration goes over several lines: its last one is the event, the others are ignored (`lease_file_statement`), and
so are leases that were never given out (`backup`, `free` without an end). dhcpd adds declarations as leases change, and
writes the file anew from time to time, so that leases come again. Times are UTC whatever the source's zone, or seconds
since 1970 (`db-time-format local`).

`event_outcome` is `success` for `ack` and `release`, `failure` for `decline`, else `unknown`.

Facts: dhcpd.leases(5) of ISC DHCP 4.1 to 4.4; `server/db.c`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from schemas.kinds import EventKind
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.dhcp.identifiers import address_and_length, duid, hardware, hexadecimal, mac_of_client_id
from streams.normalisers.dhcp.reasons_isc_leases import LeaseFileIgnored
from streams.normalisers.lines import Unreadable
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.records import Fact, Head, Read, RecordNormaliser
from streams.normalisers.times import micros_of

ACTIONS: Final = ("ack", "expire", "release", "decline")

_LEASE = re.compile(r"lease ([0-9.]{7,15}) \{\Z", re.ASCII)
_IA = re.compile(r'ia-(na|ta|pd) "((?:[^"\\]|\\.){4,1024})" \{\Z', re.ASCII)
_INNER = re.compile(r"iaaddr ([0-9A-Fa-f:.]{2,45}) \{\Z|iaprefix ([0-9A-Fa-f:.]{2,45}/\d{1,3}) \{\Z", re.ASCII)
_TIME = re.compile(
    r"(starts|ends|cltt|tstp|tsfp|atsfp) (?:\d (\d{4})/(\d\d)/(\d\d) (\d\d):(\d\d):(\d\d)|epoch (\d{1,11}))", re.ASCII
)
_VALUE = re.compile(
    r"(binding state|hardware ethernet|uid|client-hostname|max-life|set vendor-class-identifier =|"
    r"option agent\.circuit-id|option agent\.remote-id) (?:\"((?:[^\"\\]|\\.){0,1024})\"|([^;\"]{1,800}));",
    re.ASCII,
)
_ESCAPED = re.compile(r"\\(?:([0-7]{3})|(.))", re.DOTALL)
_STATES: Final[Mapping[str, tuple[str, str]]] = {
    "active": ("ack", "success"),
    "expired": ("expire", "unknown"),
    "free": ("expire", "unknown"),
    "released": ("release", "success"),
    "abandoned": ("decline", "failure"),
}
_SECOND = 1_000_000


class IscLeasesNormaliser(RecordNormaliser):
    """Lines of dhcpd's lease files."""

    kind = EventKind.DHCP
    type_name = "isc_leases"
    DATASET = "isc_leases"
    ALONE = True
    fields: ClassVar[tuple[str, ...]] = (
        "timestamp", "event_dataset", "event_action", "event_outcome", "source_ip", "source_mac", "host_name",
        "dhcp_client_id", "dhcp_lease_seconds", "dhcp_vendor_class", "dhcp_circuit_id", "dhcp_remote_id", "dhcp_duid",
        "dhcp_iaid", "dhcp_prefix_length", "dhcp_lease_expires",
    )  # fmt: skip

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self._lease: dict[str, Any] | None = None  # the declaration that is open
        self._ia: dict[str, Any] | None = None  # the identity association around it
        self._other = 0  # open blocks of something else

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        text = head.message.strip()
        if text.startswith("#"):
            return Ignored.HEADER
        if text == "}":
            return self._closed()
        if self._other:
            self._other += text.endswith("{")
            return LeaseFileIgnored.LEASE_FILE_STATEMENT
        if text.endswith("{"):
            return self._opened(text)
        block = self._lease if self._lease is not None else self._ia
        if block is not None:
            _statement(block, text)
            return LeaseFileIgnored.LEASE_FILE_STATEMENT
        if text.endswith(";"):
            return LeaseFileIgnored.LEASE_FILE_STATEMENT  # byte order, the server's own DUID
        return Unreadable(Refused.UNKNOWN_FORM, "nothing that a lease file has")

    def _opened(self, text: str) -> Read:
        lease = _LEASE.match(text)
        if lease is not None:
            self._lease, self._ia = {"place": lease[1]}, None
            return LeaseFileIgnored.LEASE_FILE_STATEMENT
        association = _IA.match(text)
        if association is not None:
            data = _octets(association[2])
            # The identity association's number in the byte order of the server's machine: little-endian nearly always.
            self._ia = {"dhcp_iaid": str(int.from_bytes(data[:4], "little")), "dhcp_duid": duid(data[4:].hex(":"))}
            return LeaseFileIgnored.LEASE_FILE_STATEMENT
        inner = _INNER.match(text)
        if inner is not None and self._ia is not None:
            self._lease = {"place": inner[1] or inner[2], **self._ia}
            return LeaseFileIgnored.LEASE_FILE_STATEMENT
        self._other = 1
        return LeaseFileIgnored.LEASE_FILE_STATEMENT

    def _closed(self) -> Read:
        if self._other:
            self._other -= 1
        elif self._lease is not None:
            lease, self._lease = self._lease, None
            return _fact(lease)
        else:
            self._ia = None
        return LeaseFileIgnored.LEASE_FILE_STATEMENT

    def remember(self) -> dict[str, Any]:
        """What is open."""
        return {"lease": self._lease, "ia": self._ia, "other": self._other}

    def recall(self, saved: Mapping[str, Any]) -> None:
        """See `RecordNormaliser.recall`."""
        lease, association, other = saved.get("lease"), saved.get("ia"), saved.get("other", 0)
        if not all(block is None or isinstance(block, dict) for block in (lease, association)):
            raise TypeError("an open declaration is no object")
        if not isinstance(other, int):
            raise TypeError("the number of open blocks is none")
        self._lease, self._ia, self._other = lease, association, other


def _statement(block: dict[str, Any], text: str) -> None:
    when = _TIME.match(text)
    if when is not None:
        block[when[1]] = _micros(when)
        return
    found = _VALUE.match(text)
    if found is not None:
        block.setdefault(found[1].removesuffix(" ="), found[2] if found[2] is not None else found[3])


def _micros(found: re.Match[str]) -> int | None:
    if found[8] is not None:
        return int(found[8]) * _SECOND
    try:
        return micros_of(datetime(*(int(part) for part in found.groups()[1:7]), tzinfo=UTC))  # type: ignore[misc,arg-type]
    except ValueError:
        return None


def _fact(lease: Mapping[str, Any]) -> Fact | LeaseFileIgnored | Unreadable:
    state = _STATES.get(lease.get("binding state", "active"))  # before failover there was no state
    starts, ends = lease.get("starts") or lease.get("cltt"), lease.get("ends")
    if state is None or (state[0] == "expire" and ends is None):
        return LeaseFileIgnored.LEASE_FILE_STATEMENT
    action, outcome = state
    timestamp = ends if action in ("expire", "release") else starts
    address, length = address_and_length(lease["place"])
    if address is None:
        return Unreadable(Refused.BAD_FIELD, "the leased address is none")
    if timestamp is None:
        return Unreadable(Refused.BAD_TIME, "a lease without its time")
    given = action == "ack"
    lasts = (ends - starts) // _SECOND if given and ends is not None and ends >= starts else None
    client = _octets(lease["uid"]) if "uid" in lease else None
    vendor = _octets(lease["set vendor-class-identifier"]) if "set vendor-class-identifier" in lease else b""
    return {
        "timestamp": timestamp,
        "event_action": action,
        "event_outcome": outcome,
        "source_ip": address,
        "source_mac": hardware(lease.get("hardware ethernet")) or mac_of_client_id(client),
        "host_name": _octets(lease.get("client-hostname", "")).decode("utf-8", "backslashreplace") or None,
        "dhcp_client_id": client.hex(":") if client else None,
        "dhcp_lease_seconds": lasts,
        "dhcp_lease_expires": ends if given else None,
        "dhcp_vendor_class": vendor.decode("utf-8", "backslashreplace") or None,
        "dhcp_circuit_id": _identifier(lease.get("option agent.circuit-id")),
        "dhcp_remote_id": _identifier(lease.get("option agent.remote-id")),
        "dhcp_duid": lease.get("dhcp_duid"),
        "dhcp_iaid": lease.get("dhcp_iaid"),
        "dhcp_prefix_length": length,
    }


def _identifier(text: str | None) -> str | None:
    """Circuit or remote id: octets parted by colons, or a quoted text; hexadecimal."""
    if text is None:
        return None
    return hexadecimal(text) if re.fullmatch(r"[0-9a-f:]+", text) else _octets(text).hex(":") or None


def _octets(quoted: str) -> bytes:
    r"""Octets of a quoted text: `\ooo` is an octal number, any other escaped character itself (`db.c`)."""
    parts, last = [], 0
    for found in _ESCAPED.finditer(quoted):
        parts.append(quoted[last : found.start()].encode("utf-8", "backslashreplace"))
        parts.append(bytes([int(found[1], 8) & 0xFF]) if found[1] else found[2].encode("utf-8", "backslashreplace"))
        last = found.end()
    parts.append(quoted[last:].encode("utf-8", "backslashreplace"))
    return b"".join(parts)
