"""MikroTik RouterOS' DHCP server log to events, of RouterOS 6 and 7.

Read from remote syslog (with `bsd-syslog=yes`, RFC 5424 or CEF), and from files that the router writes itself
(`mar/01/2024 08:00:00 dhcp,info …`, `2024-03-01 08:00:00 dhcp,info …`), with a prefix in front of the message or not.

- `ack`: `assigned`; a renewal is not logged. `expire`: `deassigned`: the lease ended, given back or run out.
- `offer` with outcome `failure`: offered without success: the client took another, or is gone.
- `no_free_leases`: the pool is empty. `decline`: the address was found in use, by the device in `source_mac`.
- `other_server`: another DHCP server, seen by `/ip dhcp-server alert` or on an untrusted port of a bridge with
  `dhcp-snooping`; `dhcp_server_ip` and `source_mac` are that server's.

`event_outcome` is `success` for `ack`, `failure` for `offer`, `no_free_leases` and `decline`, else `unknown`.
`dhcp_network` is the server's name on the router (or the empty pool's).

Facts: MikroTik's documentation: "Log", "DHCP" (server, alerts), "Bridging and Switching" (DHCP snooping).
"""

from __future__ import annotations

import re
from datetime import date
from typing import Any, ClassVar, Final

from schemas.kinds import EventKind
from streams.normalisers import addresses
from streams.normalisers.dhcp.identifiers import address_and_length, duid
from streams.normalisers.lines import MAX_MESSAGE, Unreadable
from streams.normalisers.payload import cef
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.records import Fact, Head, Read, RecordNormaliser
from streams.normalisers.times import MONTHS

ACTIONS: Final = ("ack", "expire", "offer", "no_free_leases", "decline", "other_server")

Row = dict[str, Any]

_TOPICS = re.compile(r"(?:\A|(?<=[\s:]))([a-z][a-z0-9\-]{1,30}(?:,!?[a-z][a-z0-9\-]{0,30}){1,8})(?: +|\Z)", re.ASCII)
_MAX_PREFIX = 200
_WITH_TOPICS = r"([a-z][a-z0-9\-]{1,30}(?:,[a-z0-9!\-]{1,30}){1,8} .*)\Z"
_FILE = re.compile(
    rf"(?:([a-z]{{3}})/(\d\d)/(\d{{4}})|(\d{{4}}-\d\d-\d\d)) (\d\d:\d\d:\d\d) {_WITH_TOPICS}", re.DOTALL | re.ASCII
)
_SYSLOG = re.compile(
    rf"(?:<\d{{1,3}}>)?([A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d) (\S+) {_WITH_TOPICS}", re.DOTALL | re.ASCII
)  # no tag: what the syslog splitter tries last
# The client's host name stands last, so that the first words that fit are the router's.
_LEASE = re.compile(
    r"(?:(.{1,64}?) )?(assigned|deassigned) ([0-9A-Fa-f:.]{2,45}(?:/\d{1,3})?) (?:to|for|from) "
    r"((?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}|(?:0x)?[0-9A-Fa-f]{12,260})(?: +(.*))?\Z",
    re.DOTALL | re.ASCII,
)
_OFFER = re.compile(
    r"(?:(.{1,64}?) )?offering lease ([0-9.]{7,15}) (?:to|for) ((?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2})(.*)"
    r" without success",
    re.DOTALL | re.ASCII,
)
_EMPTY = re.compile(r"(?:(.{1,64}?):? )?failed to give out IP address: pool <([^>]{1,64})> is empty", re.DOTALL)
_CONFLICT = re.compile(
    r"(?:(.{1,64}?):? )?detected (?:IP )?conflict\b.{0,40}?([0-9]{1,3}(?:\.[0-9]{1,3}){3})"
    r"(?: (?:from|by|with) ((?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}))?",
    re.DOTALL | re.ASCII,
)
_ALERT = re.compile(
    r"dhcp alert on (\S+): discovered unknown dhcp server, mac ((?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}),"
    r" ip ([0-9.]{7,15})",
    re.ASCII,
)
_UNTRUSTED = re.compile(
    r"(\S{1,64}?):? received DHCP server message on untrusted port from source IP ([0-9A-Fa-f:.]{2,45}),"
    r" MAC ((?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2})",
    re.ASCII,
)


class MikrotikNormaliser(RecordNormaliser):
    """Lines of RouterOS with the topic `dhcp`, and a bridge's about DHCP servers."""

    kind = EventKind.DHCP
    type_name = "mikrotik"
    DATASET = "mikrotik"
    fields: ClassVar[tuple[str, ...]] = (
        "timestamp", "event_dataset", "event_action", "event_outcome", "event_reason", "observer_hostname",
        "process_name", "process_pid", "source_ip", "source_mac", "host_name", "dhcp_interface", "dhcp_server_ip",
        "dhcp_network", "dhcp_duid", "dhcp_prefix_length",
    )  # fmt: skip

    def _head(self, text: str) -> Head:
        usual = _SYSLOG.match(text)
        if usual is not None:
            return Head(usual[1], usual[2], None, None, usual[3])
        own = _FILE.match(text)
        if own is None:
            return super()._head(text)
        name, day, year, whole, of_day, message = own.groups()
        stamp = f"{whole or _iso_day(name, day, year)} {of_day}"
        return Head(stamp, None, None, None, message)

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        message = head.message
        if len(message) > MAX_MESSAGE:
            return Unreadable(Refused.LINE_TOO_LONG, f"a message of {len(message)} characters")
        host = None
        record = cef(message) if "CEF:" in message[:_MAX_PREFIX] else None
        if record is not None:
            message, host = f"{record.name} {record.fields.get('msg', '')}", record.fields.get("dvchost")
        elif head.program is not None and "," in head.program:  # RFC 5424: the topics are the application's name
            message = f"{head.program} {message}"
        taken = _taken(message)
        if isinstance(taken, dict):
            if host is not None:
                taken["observer_hostname"] = host
            if head.program is not None and "," in head.program:
                taken["process_name"] = None
        return taken


def _iso_day(name: str, day: str, year: str) -> str:
    month = MONTHS.get(name.title(), 13)  # no month: a day that does not exist
    return f"{year}-{month:02d}-{day}" if month <= 12 and 1 <= int(day) <= 31 else f"{date.max.year}-99-99"


def _taken(message: str) -> Fact | Ignored | Unreadable:
    topics, body = _topics(message)
    if topics and not topics & {"dhcp", "bridge"}:
        return Ignored.OTHER_PROGRAM
    if "debug" in topics:
        return Ignored.DEBUG
    row = _row(body)
    if row is not None:
        return row
    if not topics:
        return Ignored.OTHER_PROGRAM
    if " assigned " in body or " deassigned " in body:
        return Unreadable(Refused.UNKNOWN_FORM, "a lease of unknown form")
    return Ignored.OTHER_RECORD


def _topics(message: str) -> tuple[frozenset[str], str]:
    """Topics of a message, and what stands behind them; none where the router does not send them."""
    told = message.find("assigned ", 0, _MAX_PREFIX)  # behind it stands what a client may have chosen
    found = _TOPICS.search(message, 0, _MAX_PREFIX if told < 0 else told)
    if found is None:
        return frozenset(), message
    return frozenset(found[1].split(",")), message[found.end() :]


def _row(body: str) -> Row | None:
    found = _LEASE.match(body)
    if found is not None:
        return _lease(found)
    found = _OFFER.match(body)
    if found is not None:
        return {
            "event_action": "offer",
            "event_outcome": "failure",
            "event_reason": "without success",
            "source_ip": addresses.ip(found[2]),
            "source_mac": addresses.mac(found[3]),
            "host_name": found[4].strip(" ()") or None,
            "dhcp_network": found[1],
        }
    return _trouble(body)


def _lease(found: re.Match[str]) -> Row | None:
    server, verb, place, client, name = found.groups()
    address, length = address_and_length(place)
    if address is None:
        return None
    given = verb == "assigned"
    mac = addresses.mac(client)
    return {
        "event_action": "ack" if given else "expire",
        "event_outcome": "success" if given else "unknown",
        "event_reason": None if given else "deassigned",
        "source_ip": address,
        "dhcp_prefix_length": length,
        "source_mac": mac,
        "dhcp_duid": duid(client) if mac is None else None,
        "host_name": (name or "").strip() or None,
        "dhcp_network": server.rpartition(": ")[2] if server else None,
    }


def _trouble(body: str) -> Row | None:
    """An empty pool, an address in use, another server; None for anything else."""
    found = _EMPTY.match(body)
    if found is not None:
        return {
            "event_action": "no_free_leases",
            "event_outcome": "failure",
            "event_reason": "pool is empty",
            "dhcp_network": found[2],
        }
    found = _ALERT.search(body)
    if found is not None:
        return _other_server(found[1], found[3], found[2], "unknown dhcp server")
    found = _UNTRUSTED.search(body)
    if found is not None:
        return _other_server(found[1], found[2], found[3], "on untrusted port")
    found = _CONFLICT.match(body)
    if found is None:
        return None
    return {
        "event_action": "decline",
        "event_outcome": "failure",
        "event_reason": "conflict",
        "source_ip": addresses.ip(found[2]),
        "source_mac": addresses.mac(found[3]) if found[3] else None,
        "dhcp_network": found[1],
    }


def _other_server(interface: str, address: str, mac: str, reason: str) -> Row:
    return {
        "event_action": "other_server",
        "event_outcome": "unknown",
        "event_reason": reason,
        "dhcp_interface": interface,
        "dhcp_server_ip": addresses.ip(address),
        "source_mac": addresses.mac(mac),
    }
