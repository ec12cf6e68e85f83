"""Cisco IOS and IOS XE: the router's DHCP server and the switches' DHCP snooping, to DHCP events.

System messages (`%DHCPD-…`, `%DHCP_SNOOPING-…`), and what `debug ip dhcp server events` and `… packet` print
(`DHCPD: …`).

- `discover`, `request`, `inform`: received packets. `offer`: `assigned IP address`, which IOS prints when it reserves
  one for an offer, and `Sending DHCPOFFER`. `ack`: `Sending DHCPACK`, or the notification of an assignment; where both
  are printed, the first counts. `nak`, `release`: likewise.
- `expire`: a lease that has ended or an address that went back to its pool. `decline`: an address in use, by the
  server's ping or the client's word. `no_free_leases`: no pool, or none with an address left.
- `details`: the vendor class in a notification of a discovery.
- `other_server`: a server's message that snooping dropped on an untrusted port; `source_mac` is that server's. What
  snooping drops of clients is their `discover`, `request`, … with outcome `failure`.

The hardware address comes from the client identifier where that holds one (type 1, or `cisco-MAC-port`).

Notifications go over several lines; the line that completes what is kept is the event, the others are ignored
(`cisco_dhcp_detail`). `event_outcome` is `failure` for `nak`, `decline`, `no_free_leases` and what is dropped.

Facts: see `cisco_header`; "System Message Guide" (DHCPD, DHCP_SNOOPING); "Debug Command Reference" (`debug ip dhcp
server`).
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from schemas.kinds import EventKind
from streams.normalisers import addresses
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.dhcp.cisco_header import MAX_HEADER, START, read_header
from streams.normalisers.dhcp.identifiers import dotted_octets, mac_of_client_id, number, octets
from streams.normalisers.dhcp.reasons_cisco import CiscoDhcpIgnored
from streams.normalisers.lines import MAX_MESSAGE, Unreadable
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused
from streams.normalisers.records import Head, Read, RecordNormaliser

ACTIONS: Final = (
    "discover",
    "offer",
    "request",
    "ack",
    "nak",
    "decline",
    "release",
    "inform",
    "no_free_leases",
    "expire",
    "details",
    "other_server",
)

Row = dict[str, Any]
Taken = Row | IgnoredReason | Unreadable

_CID = r"([0-9A-Fa-f]{1,4}(?:\.[0-9A-Fa-f]{1,4})*)"
_RECEIVED = re.compile(
    rf"DHCP(DISCOVER|REQUEST|RELEASE|DECLINE|INFORM) (?:message )?received from client {_CID}"
    r"(?: \(([0-9.]{7,15})\))?(?: on interface (\S+?))?(?: through relay ([0-9.]{7,15}?))?\.?\Z",
    re.ASCII,
)
_SENDING = re.compile(rf"Sending DHCP(OFFER|ACK|NAK) to client {_CID}(?: \(([0-9.]{{7,15}})\))?\.?\Z", re.ASCII)
_ASSIGNED = re.compile(rf"assigned IP address ([0-9.]{{7,15}}) to client {_CID}\.?(?: .*)?\Z", re.ASCII)
_EXPIRED = re.compile(r"the lease for address ([0-9.]{7,15}) has expired", re.ASCII)
_RETURNED = re.compile(r"returned ([0-9.]{7,15}) to address pool (\S+?)\.?\Z", re.ASCII)
_NO_POOL = re.compile(r"there is no (?:address )?pool for ([0-9.]{7,15}?)\.?\Z", re.ASCII)
_NOTIFIED = re.compile(r"Sending notification of ([A-Z_ ]{3,30}):", re.ASCII)
_LINES: Final = (
    ("address", re.compile(r"address ([0-9.]{7,15}) mask ", re.ASCII)),
    ("chaddr", re.compile(r"htype 1 chaddr ([0-9a-f.]{14})\Z", re.ASCII)),
    ("remote", re.compile(r"remote id ([0-9a-f]{2,510})\Z", re.ASCII)),
    ("circuit", re.compile(r"circuit id ([0-9a-f]{2,510})\Z", re.ASCII)),
    ("lease", re.compile(r"lease time remaining \(secs\) = (\d{1,10})\Z", re.ASCII)),
    ("flags", re.compile(r"reason flags: (\S+)", re.ASCII)),
    ("due", re.compile(r"due to: (.{1,60})\Z", re.ASCII)),
    ("class", re.compile(r"class id ([0-9a-f]{2,510})\Z", re.ASCII)),
    ("other", re.compile(r"(?:giaddr|interface) = (\S+)\Z", re.ASCII)),
)
_VERBS: Final[Mapping[str, tuple[str, str]]] = {
    "DISCOVER": ("discover", "unknown"),
    "REQUEST": ("request", "unknown"),
    "RELEASE": ("release", "success"),
    "DECLINE": ("decline", "failure"),
    "INFORM": ("inform", "unknown"),
    "OFFER": ("offer", "success"),
    "ACK": ("ack", "success"),
    "NAK": ("nak", "failure"),
}
_PINGED = re.compile(r"DHCP address conflict: +server pinged ([0-9.]{7,15}?)\.?\Z", re.ASCII)
_DECLINED = re.compile(rf"DHCP address conflict: +client {_CID} declined ([0-9.]{{7,15}}?)\.?\Z", re.ASCII)
_NO_LEASE = re.compile(rf"DHCP lease assignment failure, client {_CID} reason (.{{1,60}})\Z", re.ASCII)
_DROPPED = re.compile(
    r"(?:DHCP_SNOOPING )?drop message (.{2,120}?), message type: DHCP"
    r"(DISCOVER|REQUEST|RELEASE|DECLINE|INFORM|OFFER|ACK|NAK)"
    r"(?:, chaddr: ([0-9A-Fa-f.]{14}))?, MAC sa: ([0-9A-Fa-f.]{14})",
    re.ASCII,
)
_PLACE = re.compile(r"\b(?:on|port|interface)[: ]+([A-Z][A-Za-z\-]{1,24}\d[\d/.]{0,12})", re.ASCII)
_VLAN = re.compile(r"\bvlan[: ]+(\d{1,4})\b", re.IGNORECASE | re.ASCII)
_SERVER = re.compile(r"\b(?:server|src|source)(?: IP)?(?: address)?[: ]+([0-9]{1,3}(?:\.[0-9]{1,3}){3})", re.ASCII)
_MAX_HOSTS = 64  # devices of one source whose notifications may be open; beyond it the oldest starts anew


class CiscoIosNormaliser(RecordNormaliser):
    """Lines of IOS routers and switches."""

    kind = EventKind.DHCP
    type_name = "cisco_ios"
    DATASET = "cisco_ios"
    fields: ClassVar[tuple[str, ...]] = (
        "timestamp", "event_dataset", "event_action", "event_outcome", "event_reason", "observer_hostname",
        "source_ip", "source_mac", "dhcp_client_id", "dhcp_relay_ip", "dhcp_interface", "dhcp_server_ip",
        "dhcp_lease_seconds", "dhcp_network", "dhcp_vendor_class", "dhcp_circuit_id", "dhcp_remote_id", "dhcp_vlan",
    )  # fmt: skip

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self._open: OrderedDict[str, dict[str, str]] = OrderedDict()  # by host: the notification, what was told last

    def _head(self, text: str) -> Head:
        start = START.search(text, 0, MAX_HEADER)
        header = read_header(text[: start.start()], self.clock.year_of) if start is not None else None
        if start is None or header is None:
            return super()._head(text)
        return Head(header.stamp, header.host, None, None, text[start.start() :])

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        message = head.message
        start = START.match(message) or START.search(message, 0, MAX_HEADER)
        if start is None:
            return Ignored.OTHER_PROGRAM
        if len(message) > MAX_MESSAGE:
            return Unreadable(Refused.LINE_TOO_LONG, f"a message of {len(message)} characters")
        name, text = start[0], message[start.end() :].strip()
        if name.startswith("DHCPD"):
            return self._debugged(text, self._of(head.host or ""))
        return _system(name, text)

    def _of(self, host: str) -> dict[str, str]:
        known = self._open.get(host)
        if known is None:
            if len(self._open) >= _MAX_HOSTS:
                self._open.popitem(last=False)
            known = self._open[host] = {}
        return known

    def _debugged(self, text: str, known: dict[str, str]) -> Taken:
        notified = _NOTIFIED.match(text)
        if notified is not None:
            ended = known.get("ended", "")
            known.clear()
            known.update(kind=notified[1].replace(" ", "_"), ended=ended)
            return CiscoDhcpIgnored.CISCO_DHCP_DETAIL
        row = _packet(text)
        if row is None:
            return self._notification(text, known)
        return self._once(row, known)

    def _once(self, row: Row, known: dict[str, str]) -> Taken:
        """An event, unless its acknowledgement or end was told by a line just before."""
        action, address = row["event_action"], row.get("source_ip") or ""
        if action == "ack":
            if known.pop("acked", "") == address:
                return Ignored.REPEATED_OTHER
            known.pop("ended", None)
        elif action in ("expire", "release"):
            if known.pop("ended", "") == address and address:
                return Ignored.REPEATED_OTHER
            known["ended"] = address
        return row

    def _notification(self, text: str, known: dict[str, str]) -> Taken:
        for name, pattern in _LINES:
            found = pattern.match(text)
            if found is not None:
                known[name] = found[1]
                row = _notified(name, known) if "kind" in known else None
                if row is None:
                    return CiscoDhcpIgnored.CISCO_DHCP_DETAIL
                if row["event_action"] == "ack":
                    known["acked"] = row["source_ip"]
                    known.pop("ended", None)
                    return row
                return self._once(row, known)
        return Ignored.DEBUG

    def remember(self) -> dict[str, Any]:
        """Open notifications."""
        return {"open": list(self._open.items())}

    def recall(self, saved: Mapping[str, Any]) -> None:
        """See `RecordNormaliser.recall`."""
        found: OrderedDict[str, dict[str, str]] = OrderedDict()
        for host, known in saved.get("open", []):
            if not isinstance(host, str) or not isinstance(known, dict):
                raise TypeError("an open notification is no object")
            found[host] = known
        self._open = found


def _client(text: str) -> Row:
    """Columns of a client as IOS prints it: its hardware address, or its identifier in groups of four digits."""
    data = dotted_octets(text) or b""
    if len(data) == 6:
        return {"source_mac": data.hex(":")}
    return {"source_mac": mac_of_client_id(data), "dhcp_client_id": data.hex(":") or text.lower()}


def _packet(text: str) -> Row | None:
    """What a line of a packet, a reservation or an ended lease says; None for another line."""
    found = _RECEIVED.match(text)
    if found is not None:
        verb, client, address, interface, relay = found.groups()
        row = {"dhcp_interface": interface, "dhcp_relay_ip": addresses.ip(relay) if relay else None}
        return _event(_VERBS[verb], _client(client), address) | row
    found = _SENDING.match(text)
    if found is not None:
        return _event(_VERBS[found[1]], _client(found[2]), found[3])
    found = _ASSIGNED.match(text)
    if found is not None:
        return _event(("offer", "success"), _client(found[2]), found[1])
    found = _RETURNED.match(text)
    if found is not None:
        return _event(("expire", "unknown"), {"dhcp_network": found[2]}, found[1])
    found = _EXPIRED.match(text)
    if found is not None:
        return _event(("expire", "unknown"), {"event_reason": "has expired"}, found[1])
    found = _NO_POOL.match(text)
    if found is not None:
        return {
            "event_action": "no_free_leases",
            "event_outcome": "failure",
            "event_reason": "there is no address pool",
            "dhcp_relay_ip": addresses.ip(found[1]),
        }
    return None


def _event(verdict: tuple[str, str], columns: Row, address: str | None) -> Row:
    return {
        "event_action": verdict[0],
        "event_outcome": verdict[1],
        "source_ip": addresses.ip(address) if address else None,
        **columns,
    }


def _notified(name: str, known: Mapping[str, str]) -> Row | None:
    """The event that a line of a notification completes; None for the others."""
    kind, mac = known["kind"], addresses.mac(known.get("chaddr", ""))
    address = addresses.ip(known.get("address", ""))
    if name == "lease" and kind == "ASSIGNMENT" and address is not None:
        return {
            **_event(("ack", "success"), {"source_mac": mac}, address),
            "dhcp_lease_seconds": number(known["lease"]),
            "dhcp_circuit_id": _octets(known.get("circuit")),
            "dhcp_remote_id": _octets(known.get("remote")),
        }
    if name == "lease" and kind == "TERMINATION" and address is not None:
        released = known.get("flags") == "RELEASE"
        return {
            **_event(("release", "success") if released else ("expire", "unknown"), {"source_mac": mac}, address),
            "event_reason": None if released else known.get("flags"),
        }
    if name == "chaddr" and kind == "ASSIGNMENT_FAILURE" and "due" in known:
        full = "POOL" in known["due"] or "ADDRESS" in known["due"]
        return {
            "event_action": "no_free_leases" if full else "request",
            "event_outcome": "failure",
            "event_reason": known["due"],
            "source_mac": mac,
        }
    if name == "class" and kind == "DISCOVER":
        data = octets(known["class"]) or b""
        text = data.decode("latin-1")
        return {
            "event_action": "details",
            "event_outcome": "unknown",
            "source_mac": mac,
            "dhcp_vendor_class": text if text.isascii() and text.isprintable() else data.hex(":"),
        }
    return None


def _octets(text: str | None) -> str | None:
    data = octets(text) if text else None
    return data.hex(":") if data else None


def _system(name: str, text: str) -> Taken:
    """What a system message says."""
    if name.startswith("%DHCP_SNOOPING"):
        return _snooped(text)
    if not name.startswith("%DHCPD"):
        return Ignored.OTHER_RECORD if name.startswith("%DHCP") else Ignored.OTHER_PROGRAM
    found = _PINGED.match(text)
    if found is not None:
        return _event(("decline", "failure"), {"event_reason": "server pinged"}, found[1])
    found = _DECLINED.match(text)
    if found is not None:
        return _event(("decline", "failure"), {**_client(found[1]), "event_reason": "client declined"}, found[2])
    found = _NO_LEASE.match(text)
    if found is not None:
        return {
            "event_action": "no_free_leases",
            "event_outcome": "failure",
            "event_reason": found[2],
            **_client(found[1]),
        }
    if "CONFLICT" in name:
        return Unreadable(Refused.UNKNOWN_FORM, "an address conflict of unknown form")
    return Ignored.OTHER_RECORD


def _snooped(text: str) -> Taken:
    found = _DROPPED.match(text)
    if found is None:
        return Ignored.OTHER_RECORD
    reason, verb, _, sender = found.groups()
    of_server = verb in ("OFFER", "ACK", "NAK")
    place, vlan, server = _PLACE.search(text), _VLAN.search(text), _SERVER.search(text)
    return {
        "event_action": "other_server" if of_server else _VERBS[verb][0],
        "event_outcome": "unknown" if of_server else "failure",
        "event_reason": reason,
        "source_mac": addresses.mac(sender),
        "dhcp_interface": place[1] if place else None,
        "dhcp_vlan": vlan[1] if vlan else None,
        "dhcp_server_ip": addresses.ip(server[1]) if server and of_server else None,
    }
