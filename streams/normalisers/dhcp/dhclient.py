"""ISC dhclient's log to DHCP events: what a client was offered and given, and by which server.

A client's own log shows a second server on its network (`dhcp_server_ip`), and leases that no server's log is there
for. It is the client's word.

- `discover`, `request`, `decline`, `release`: what the client sends. `discover` with outcome `failure`: no offers.
- `offer`, `ack`, `nak`: what a server answers. `bound`: the client took the lease; old versions name the address here
  only.

`event_outcome` is `success` for `offer`, `ack`, `bound` and `release`, `failure` for `nak` and `decline`, else
`unknown`. `dhcp_interface` is the client's. Its hardware address is told at the start (`Listening on LPF/eth0/MAC`) and
is in the events of that interface and host that follow.

Facts: `client/dhclient.c` of ISC DHCP 3.0 to 4.4, FreeBSD's and OpenBSD's dhclient; dhclient(8).
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from schemas.kinds import EventKind
from streams.normalisers import addresses
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.lines import MAX_MESSAGE, Unreadable
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.records import Fact, Head, Read, RecordNormaliser

ACTIONS: Final = ("discover", "request", "offer", "ack", "nak", "decline", "release", "bound")

_VERBS: Final[Mapping[str, tuple[str, str]]] = {
    "DISCOVER": ("discover", "unknown"),
    "REQUEST": ("request", "unknown"),
    "OFFER": ("offer", "success"),
    "ACK": ("ack", "success"),
    "NAK": ("nak", "failure"),
    "NACK": ("nak", "failure"),
    "DECLINE": ("decline", "failure"),
    "RELEASE": ("release", "success"),
}
_MESSAGE = re.compile(
    r"DHCP([A-Z]{3,8})(?: (?:of|for) ([0-9.]{7,15}))?(?: on (\S{1,32}))?(?: (?:to|from) ([0-9.]{7,15}))?"
    r"(?: port \d{1,5})?(?: interval \d{1,9})?(?: \(xid=0x([0-9a-f]{1,8})\))?(?: .*)?\Z",
    re.ASCII | re.DOTALL,
)
_BOUND = re.compile(r"bound to ([0-9.]{7,15})(?: -- renewal in (\d{1,10}) seconds)?", re.ASCII)
_INTERFACE = re.compile(
    r"(?:Listening on|Sending on) {1,3}[A-Z]{2,8}/([^/\s]{1,32})/((?:[0-9a-f]{1,2}:){5}[0-9a-f]{1,2})", re.ASCII
)
_BROADCAST = "255.255.255.255"
_MAX_HOSTS = 1_024  # beyond it the oldest is forgotten, and its events lack the hardware address


class DhclientNormaliser(RecordNormaliser):
    """Lines of dhclient through syslog."""

    kind = EventKind.DHCP
    type_name = "dhclient"
    DATASET = "dhclient"
    fields: ClassVar[tuple[str, ...]] = (
        "timestamp", "event_dataset", "event_action", "event_outcome", "event_reason", "observer_hostname",
        "process_name", "process_pid", "source_ip", "source_mac", "host_name", "dhcp_transaction_id", "dhcp_interface",
        "dhcp_server_ip",
    )  # fmt: skip

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self._hosts: OrderedDict[str, dict[str, str]] = OrderedDict()  # by host: the interface asked on, its MACs

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        if head.program is not None and not head.program.startswith("dhclient"):
            return Ignored.OTHER_PROGRAM
        message = head.message
        if len(message) > MAX_MESSAGE:
            return Unreadable(Refused.LINE_TOO_LONG, f"a message of {len(message)} characters")
        known = self._of(head.host or "")
        found = _INTERFACE.match(message)
        if found is not None:
            known[f"mac {found[1]}"] = addresses.mac(found[2]) or ""
            return Ignored.SERVICE_STATE
        if message.startswith("DHCP"):
            taken = _message(message)
        elif message.startswith("bound to "):
            taken = _bound(message)
        elif message.startswith("No DHCPOFFERS received"):
            taken = {"event_action": "discover", "event_outcome": "failure", "event_reason": "No DHCPOFFERS received"}
        else:
            return Ignored.OTHER_RECORD
        if isinstance(taken, Unreadable):
            return taken
        return self._with_client(taken, known, head.host)

    def _of(self, host: str) -> dict[str, str]:
        known = self._hosts.get(host)
        if known is None:
            if len(self._hosts) >= _MAX_HOSTS:
                self._hosts.popitem(last=False)
            known = self._hosts[host] = {}
        return known

    def _with_client(self, fact: Fact, known: dict[str, str], host: str | None) -> Fact:
        """The event with the client's interface, hardware address and name; answers name no interface."""
        interface = fact.get("dhcp_interface")
        if interface is not None:
            known["interface"] = interface
        else:
            fact["dhcp_interface"] = interface = known.get("interface")
        fact["source_mac"] = known.get(f"mac {interface}") or None
        fact["host_name"] = host
        return fact

    def remember(self) -> dict[str, Any]:
        """Interfaces and hardware addresses by host."""
        return {"hosts": list(self._hosts.items())}

    def recall(self, saved: Mapping[str, Any]) -> None:
        """See `RecordNormaliser.recall`."""
        hosts: OrderedDict[str, dict[str, str]] = OrderedDict()
        for host, known in saved.get("hosts", []):
            if not isinstance(host, str) or not isinstance(known, dict):
                raise TypeError("what is known of a host is no object")
            hosts[host] = known
        self._hosts = hosts


def _message(message: str) -> Fact | Unreadable:
    found = _MESSAGE.match(message)
    if found is None or found[1] not in _VERBS:
        return Unreadable(Refused.UNKNOWN_FORM, "a message of unknown form")
    verb, address, interface, server, transaction = found.groups()
    action, outcome = _VERBS[verb]
    return {
        "event_action": action,
        "event_outcome": outcome,
        "source_ip": addresses.ip(address) if address else None,
        "dhcp_server_ip": addresses.ip(server) if server and server != _BROADCAST else None,
        "dhcp_interface": interface,
        "dhcp_transaction_id": transaction,
    }


def _bound(message: str) -> Fact | Unreadable:
    found = _BOUND.match(message)
    address = addresses.ip(found[1]) if found is not None else None
    if address is None:
        return Unreadable(Refused.BAD_FIELD, "the address that the client is bound to is none")
    return {"event_action": "bound", "event_outcome": "success", "source_ip": address}
