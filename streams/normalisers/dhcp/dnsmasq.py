"""dnsmasq's DHCP log to events, both versions, with or without `log-dhcp`.

Every packet's line is one event: `discover`, `offer`, `request`, `ack`, `nak`, `decline`, `release`, `inform`, `bootp`,
or `no_free_leases` where the server says so. `details` is said of a lease beside its `ack`: with log-dhcp, once an
acknowledgement, at the line that tells the lease's length, with fingerprint (option 55), vendor class, and name; and an
IPv6 address that a client made itself and answers at (`SLAAC-CONFIRM`). `expire` is a lease that the server gave up for
another of the same client.

With log-dhcp, lines of a transaction carry its number; what they have said of the client before (vendor class, name,
hardware address of a DHCPv6 client, option 55 asked for earlier) is in the events that follow. No line is held back.
DHCPv6 acknowledges renewals like grants.

`event_outcome` is `failure` for `nak`, `decline`, `no_free_leases` and what the server ignores or refuses. A client
that gives back what it has not has that address in `dhcp_requested_ip`, so that nobody's lease ends.

Facts: see `dnsmasq_lines`; dnsmasq(8), `--log-dhcp`, `--quiet-dhcp`.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from schemas.kinds import EventKind
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.dhcp.dnsmasq_lines import (
    Detail,
    client_mac,
    joined,
    lease_seconds,
    options,
    read_detail,
    read_notice,
    read_packet,
)
from streams.normalisers.dhcp.reasons_dnsmasq import DnsmasqIgnored
from streams.normalisers.lines import MAX_MESSAGE, MAX_REPEATS, Unreadable, starts_with_any
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused
from streams.normalisers.records import Fact, Head, Read, RecordNormaliser

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
    "bootp",
    "details",
)

_PROGRAM = re.compile(r"(?:.*/)?dnsmasq(?:-dhcp)?\Z")
_MAX_TRANSACTIONS = 256  # remembered at most; beyond it the oldest is forgotten, and its events lack what it told
_MAX_NUMBERS = 255
_STARTS = re.compile(r"(?:\d{1,10} )?(?:DHCP[A-Z\-]+|BOOTP|PXE|SLAAC-CONFIRM|RTR-[A-Z]+)\(")
_REPEATED = re.compile(r"message repeated (\d{1,9}) times: \[ ?(.*?)\]?\Z", re.DOTALL | re.ASCII)
_KNOWS: Final = ("dhcp_vendor_class", "host_name", "source_mac", "dhcp_fingerprint")
_OF_LEASE: Final = ("source_ip", "source_mac", "dhcp_interface", "dhcp_duid")
_CHATTER = starts_with_any(
    {
        Ignored.DHCP_POOL: "disabling DHCP static|not using configured address|not giving name|duplicate|Ignoring",
        Ignored.DHCP_NETWORK: "DHCP relay|DHCP packet received|ARP-cache|Cannot multicast|cannot send|failed to",
        Ignored.SERVICE_STATE: "DHCP, |DHCPv6, |DHCPv4-derived|read /|router advertisement|stateless|IPv6 router|bad ",
    }
)


class DnsmasqNormaliser(RecordNormaliser):
    """Lines of dnsmasq-dhcp through syslog, or of the file that `log-facility` names."""

    kind = EventKind.DHCP
    type_name = "dnsmasq"
    DATASET = "dnsmasq"
    fields: ClassVar[tuple[str, ...]] = (
        "timestamp", "event_dataset", "event_action", "event_outcome", "event_reason", "observer_hostname",
        "process_name", "process_pid", "source_ip", "source_mac", "host_name", "dhcp_client_id", "dhcp_transaction_id",
        "dhcp_relay_ip", "dhcp_interface", "dhcp_lease_seconds", "dhcp_requested_ip", "dhcp_vendor_class",
        "dhcp_fingerprint", "dhcp_duid",
    )  # fmt: skip

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self._known: OrderedDict[str, dict[str, Any]] = OrderedDict()  # what a transaction has told, by its number

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        message = head.message
        if head.program is not None and not _PROGRAM.match(head.program):
            return Ignored.OTHER_PROGRAM
        if len(message) > MAX_MESSAGE:
            return Unreadable(Refused.LINE_TOO_LONG, f"a message of {len(message)} characters")
        if message.startswith("message repeated "):
            return self._repeated(message)
        return self._message(message)

    def _repeated(self, message: str) -> Read:
        found = _REPEATED.match(message)
        if found is None:
            return Ignored.REPEATED_OTHER
        taken = self._message(found[2])
        if isinstance(taken, dict):
            return [dict(taken) for _ in range(max(1, min(int(found[1]), MAX_REPEATS)))]
        return taken

    def _message(self, message: str) -> Fact | IgnoredReason | Unreadable:
        if _STARTS.match(message):
            return self._packet(message)
        if message[:1].isdigit():
            detail = read_detail(message)
            return DnsmasqIgnored.DNSMASQ_DNS if detail is None else self._detail(detail)
        return read_notice(message) or _CHATTER(message) or DnsmasqIgnored.DNSMASQ_DNS

    def _packet(self, message: str) -> Fact | IgnoredReason | Unreadable:
        row = read_packet(message)
        if isinstance(row, str):
            return DnsmasqIgnored.ROUTER_ADVERTISEMENT if row == "router" else DnsmasqIgnored.DNSMASQ_DETAIL
        if row is None:
            return Unreadable(Refused.UNKNOWN_FORM, "a packet of unknown form")
        transaction = row.get("dhcp_transaction_id")
        if transaction is not None:
            self._join(self._of(transaction), row)
        return row

    def _join(self, known: dict[str, Any], row: Fact) -> None:
        """Put what a transaction has told into an event; a number that another client uses as well starts anew."""
        client = row.get("source_mac") or row.get("dhcp_duid") or row.get("dhcp_client_id")
        if known.setdefault("client", client) != client:
            known.clear()
            known["client"] = client
        for name in _KNOWS:
            if name in known and row.get(name) is None:
                row[name] = known[name]
        if row["event_action"] in ("ack", "offer"):
            known["lease"] = row["event_action"]
            known["row"] = {name: row.get(name) for name in _OF_LEASE}

    def _of(self, transaction: str) -> dict[str, Any]:
        known = self._known.get(transaction)
        if known is None:
            if len(self._known) >= _MAX_TRANSACTIONS:
                self._known.popitem(last=False)
            known = self._known[transaction] = {}
        return known

    def _detail(self, detail: Detail) -> Fact | IgnoredReason:
        known, text = self._of(detail.transaction), detail.text.strip()
        if detail.about == "vendor class" and text:
            known["dhcp_vendor_class"] = text
        elif detail.about == "client provides name" and text:
            known["host_name"] = text
        elif detail.about == "client MAC address":
            known["source_mac"] = client_mac(text)
        elif detail.about == "requested options":
            self._requested(known, text)
        elif detail.about == "sent size" and known.get("lease") == "ack":
            seconds = lease_seconds(detail.text)
            if seconds is not None:
                return self._details(detail.transaction, known, seconds)
        return DnsmasqIgnored.DNSMASQ_DETAIL

    def _requested(self, known: dict[str, Any], text: str) -> None:
        """A list goes over several lines; a comma at the end says that it goes on."""
        numbers = [*known.get("numbers", []), *options(text)][:_MAX_NUMBERS]
        if text.endswith(","):
            known["numbers"] = numbers
        else:
            known.pop("numbers", None)
            known["dhcp_fingerprint"] = joined(numbers)

    def _details(self, transaction: str, known: dict[str, Any], seconds: int) -> Fact:
        known.pop("lease", None)
        told = {name: known[name] for name in _KNOWS if known.get(name) is not None}
        return {
            "event_action": "details",
            "event_outcome": "unknown",
            "dhcp_transaction_id": transaction,
            "dhcp_lease_seconds": seconds,
            **known.get("row", {}),
            **told,
        }

    def remember(self) -> dict[str, Any]:
        """What transactions have told."""
        return {"known": list(self._known.items())}

    def recall(self, saved: Mapping[str, Any]) -> None:
        """See `RecordNormaliser.recall`."""
        known: OrderedDict[str, dict[str, Any]] = OrderedDict()
        for number, told in saved.get("known", []):
            if not isinstance(number, str) or not isinstance(told, dict):
                raise TypeError("what a transaction has told is no object")
            known[number] = told
        self._known = known
