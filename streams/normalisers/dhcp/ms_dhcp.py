"""Microsoft DHCP server's audit log to DHCP events: `DhcpSrvLog-*.log` and `DhcpV6SrvLog-*.log`.

Rows of every version are read, of 7 to 19 values (version 4) and 12 and more (version 6): alone, behind a syslog header
(Snare, rsyslog), or in a shipper's JSON, as text (`message`, `Message`, `event.original`) or as fields by the columns'
names (NXLog). What stands before the first row and after each start of the service is the same in every file, in the
server's language, and is ignored (`header`).

- `ack` (10), `renew` (11), `release` (12), `decline` (13: the address was in use), `no_free_leases` (14), `nak` (15),
  `expire` (16, 17, 18, 23: deleted or run out), `bootp` (20, 21, 22), `request` with outcome `failure` (33: dropped by
  a network access policy), `other_server` (61, 62: another DHCP server was found; `dhcp_server_ip` where it is told).
- Version 6: `discover` (11000), `offer` (11001), `ack` (11002), `request` (11003), `renew` (11004, 11005), `decline`
  (11006, 11014, 11015), `release` (11007), `inform` (11008, 11032), `no_free_leases` (11009), `expire` (11016 to
  11018). Replies have no row of their own: the row of a request has the address given out, and an error code where
  none was, which makes it a `nak`.

`event_outcome` is `failure` for `decline`, `nak`, `no_free_leases` and an error code, `success` for what the server
gave or took back, else `unknown`.

Facts: the list of events at the head of the log itself; Microsoft Learn, "DHCP server events" and "Analyze DHCP server
log files".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, ClassVar, Final, cast

from schemas.errors import ConfigError
from schemas.kinds import EventKind
from streams.normalisers import addresses
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.dhcp.identifiers import duid, hexadecimal, octets, relay_options
from streams.normalisers.dhcp.ms_dhcp_rows import V4, V6, is_v6, row_in_json, values_of
from streams.normalisers.lines import Unreadable
from streams.normalisers.moments import Order
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused
from streams.normalisers.records import Fact, Head, Read, RecordNormaliser

ACTIONS: Final = (
    "discover",
    "offer",
    "request",
    "ack",
    "renew",
    "nak",
    "decline",
    "release",
    "inform",
    "no_free_leases",
    "expire",
    "bootp",
    "other_server",
)

_EVENTS: Final[Mapping[int, tuple[str, str]]] = {
    10: ("ack", "success"),
    11: ("renew", "success"),
    12: ("release", "success"),
    13: ("decline", "failure"),
    14: ("no_free_leases", "failure"),
    15: ("nak", "failure"),
    16: ("expire", "unknown"),
    17: ("expire", "unknown"),
    18: ("expire", "unknown"),
    20: ("bootp", "success"),
    21: ("bootp", "success"),
    22: ("bootp", "failure"),
    23: ("expire", "unknown"),
    33: ("request", "failure"),
    61: ("other_server", "unknown"),
    62: ("other_server", "unknown"),
    11000: ("discover", "unknown"),
    11001: ("offer", "success"),
    11002: ("ack", "success"),
    11003: ("request", "unknown"),
    11004: ("renew", "success"),
    11005: ("renew", "success"),
    11006: ("decline", "failure"),
    11007: ("release", "success"),
    11008: ("inform", "unknown"),
    11009: ("no_free_leases", "failure"),
    11014: ("decline", "failure"),
    11015: ("decline", "failure"),
    11016: ("expire", "unknown"),
    11017: ("expire", "unknown"),
    11018: ("expire", "unknown"),
    11032: ("inform", "unknown"),
}
_IGNORED: Final[Mapping[int, IgnoredReason]] = {
    **dict.fromkeys((24, 25, 11019, 11020, 11021, 11030, 11031), Ignored.DHCP_POOL),
    **dict.fromkeys((30, 31, 32, 34, 35, 11022, 11023, 11024, 11028, 11029), Ignored.DHCP_DNS),
    36: Ignored.DHCP_FAILOVER,  # the partner answers
}
_TELLS_WHY: Final = frozenset({"expire", "other_server"})
_NO_ADDRESS = "0.0.0.0"  # noqa: S104 - of a client that has none
_CONFLICT = "BAD_ADDRESS"  # the server's own name for an address in use; its number stands where the client's would
_QUARANTINE: Final[Mapping[str, str]] = {"1": "Quarantine", "2": "Drop Packet", "3": "Probation"}

_ROW = re.compile(r"(?:^|(?<=[\s\"]))(\d{2,5}),(\d{1,4}[/.\-]\d{1,2}[/.\-]\d{1,4}),(\d{1,2}:\d\d:\d\d),", re.ASCII)
_DATE = re.compile(r"(\d{1,4})[/.\-](\d{1,2})[/.\-](\d{1,4})\Z", re.ASCII)
_BEGUN = re.compile(r"\d{2,5},", re.ASCII)
_HEAD = re.compile(r"\ufeff?(?:[^,]*DHCP[^,]*\Z|\d{2,5}\+?[\t ]|Event ID|QResult:|ID,)", re.ASCII)
_MAX_HEAD = 600  # characters before a row, of whatever shipped it
_ORDERS: Final = ("mdy", "dmy", "ymd")
_MAX_DATES = 64
_V6 = 11_000  # events from here on are of the DHCPv6 log
_SHORT = 5  # values that every row has


class MsDhcpNormaliser(RecordNormaliser):
    """Rows of Microsoft's DHCP audit logs."""

    kind = EventKind.DHCP
    type_name = "ms_dhcp"
    DATASET = "ms_dhcp"
    fields: ClassVar[tuple[str, ...]] = (
        "timestamp", "event_dataset", "event_action", "event_outcome", "event_reason", "observer_hostname",
        "process_name", "process_pid", "source_ip", "source_mac", "host_name", "dhcp_client_id", "dhcp_transaction_id",
        "dhcp_server_ip", "dhcp_network", "dhcp_vendor_class", "dhcp_circuit_id", "dhcp_remote_id", "dhcp_duid",
    )  # fmt: skip

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        order = settings.options.get("date_order", "mdy")
        if order not in _ORDERS:
            raise ConfigError(
                f"date_order {order!r} is none", where="options.date_order", hint=f"known are {', '.join(_ORDERS)}"
            )
        self._order = cast("Order", order)
        self._in_head = True  # lines before the first row, or after a new title
        self._columns = 0  # of version 4's rows, where a line named them
        self._dates: dict[str, date | None] = {}
        self._when: tuple[str, str] = ("", "")  # the newest date and time, and
        self._at: int | None = None  # what they are, microseconds UTC

    def _head(self, text: str) -> Head:
        text = text.removeprefix("\ufeff")
        if _BEGUN.match(text) or text.startswith(("\t", "ID,")):
            return Head("", None, None, None, text)
        return super()._head(text)

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        message = head.message
        found = _ROW.search(message, 0, _MAX_HEAD)
        if message.startswith("{") and not _BEGUN.match(message):
            return self._json(message)
        if found is not None:
            self._in_head = False
            return self._row(message[found.start() :], 0 if head.stamp else self._columns)
        if _BEGUN.match(message):
            return Unreadable(Refused.BAD_TIME, "an event without a date and time as this format writes them")
        if message.startswith("ID,"):
            self._columns = len(message.split(",")) if "IPv6" not in message else self._columns
            return Ignored.HEADER
        if self._in_head or _HEAD.match(message):
            self._in_head = True
            return Ignored.HEADER
        return Ignored.OTHER_PROGRAM if head.stamp else Unreadable(Refused.UNKNOWN_FORM, "no event of a DHCP log")

    def _json(self, message: str) -> Read:
        text, values, host = row_in_json(message)
        if text is not None:
            found = _ROW.search(text, 0, _MAX_HEAD)
            taken: Read = Ignored.OTHER_RECORD if found is None else self._row(text[found.start() :], 0)
        elif values is not None:
            taken = self._event(values)
        else:
            return Ignored.OTHER_RECORD
        if isinstance(taken, dict) and host is not None:
            taken["observer_hostname"] = host
        return taken

    def _row(self, text: str, columns: int) -> Read:
        """A row, of so many columns where the file has named them (else 0)."""
        code = text.partition(",")[0]
        names = V6 if is_v6(code) else V4
        values = values_of(text, names, columns if names is V4 and columns else len(names))
        if values is None:
            return Unreadable(Refused.UNKNOWN_FORM, "more values than columns: one of them holds commas")
        return self._event(values)

    def _event(self, values: Mapping[str, str]) -> Read:
        code = values.get("ID", "")
        number = int(code) if code.isascii() and code.isdigit() and len(code) <= 5 else -1
        known = _EVENTS.get(number)
        if known is None:
            return _IGNORED.get(number, Ignored.SERVICE_STATE if number >= 0 else Ignored.OTHER_RECORD)
        when = (values.get("Date", ""), values.get("Time", ""))
        timestamp = self._at if when == self._when else self._time(*when)
        if timestamp is None:
            return Unreadable(Refused.BAD_TIME, f"no such time in the order {self._order}: see the option date_order")
        self._when, self._at = when, timestamp
        fact = _fact(values, known, v6=number >= _V6)
        fact["timestamp"] = timestamp
        return fact

    def _time(self, day_text: str, time_text: str) -> int | None:
        if day_text not in self._dates:
            if len(self._dates) >= _MAX_DATES:
                self._dates.clear()
            self._dates[day_text] = _day(day_text, self._order)
        day = self._dates[day_text]
        hour, _, rest = time_text.partition(":")
        minute, _, second = rest.partition(":")
        if day is None or not (hour.isdigit() and minute.isdigit() and second.isdigit()):
            return None
        of_day = (int(hour) * 60 + int(minute)) * 60 + int(second)
        if int(hour) > 23 or int(minute) > 59 or int(second) > 59:
            return None
        return self.clock.wall(day, of_day * 1_000_000)

    def remember(self) -> dict[str, Any]:
        """Where in the file's head it is, and how many columns there are."""
        return {"in_head": self._in_head, "columns": self._columns}

    def recall(self, saved: Mapping[str, Any]) -> None:
        """See `RecordNormaliser.recall`."""
        in_head, columns = saved.get("in_head", True), saved.get("columns", 0)
        if not isinstance(in_head, bool) or not isinstance(columns, int):
            raise TypeError("the head's end or the number of columns is none")
        self._in_head, self._columns = in_head, columns


def _day(text: str, order: Order) -> date | None:
    found = _DATE.match(text)
    if found is None:
        return None
    first, second, third = (int(part) for part in found.groups())
    if order == "ymd" or len(found[1]) == 4:
        year, month, day = first, second, third
    else:
        (month, day), year = ((first, second) if order == "mdy" else (second, first)), third
    try:
        return date(year + 2000 if year < 100 else year, month, day)
    except ValueError:
        return None


def _fact(said: Mapping[str, str], known: tuple[str, str], *, v6: bool) -> Fact:
    action, outcome = known
    reason = said.get("Description") if action in _TELLS_WHY or outcome == "failure" else None
    if v6 and (error := said.get("Error Code", "0")) not in ("0", "0x0"):
        action, outcome, reason = "nak" if action in ("ack", "renew") else action, "failure", f"error {error}"
    fact: Fact = {
        "event_action": action,
        "event_outcome": outcome,
        "event_reason": reason or _QUARANTINE.get(said.get("QResult", "")),
    }
    name, client = said.get("Host Name"), said.get("MAC Address")
    if name == _CONFLICT and action in ("decline", "expire"):  # else a client has chosen that name
        name = client = None
    if client is not None:
        fact["source_mac"] = mac = addresses.mac(client)
        if mac is None:
            fact["dhcp_client_id"] = hexadecimal(client)
    if name is not None and action != "other_server":
        fact["host_name"] = name
    address = addresses.ip(said.get("IP Address", _NO_ADDRESS))
    if address != _NO_ADDRESS:
        fact[_place(action, outcome)] = address
    if (transaction := said.get("TransactionID", "0")) != "0":
        fact["dhcp_transaction_id"] = transaction
    if v6:
        fact["dhcp_duid"] = duid(said.get("Duid Bytes(Hex)"))
        fact["dhcp_network"] = said.get("Subnet Prefix") or fact.get("dhcp_network")
    elif len(said) > _SHORT:  # newer versions, whose classes and relay are rarely all empty
        fact["dhcp_vendor_class"] = _text(said, "VendorClass")
        relay = said.get("RelayAgentInformation")
        if relay is not None:
            fact["dhcp_circuit_id"], fact["dhcp_remote_id"] = relay_options(octets(relay))
    return fact


def _place(action: str, outcome: str) -> str:
    """Which column the address of a row belongs to: the client's, a scope's or a server's."""
    if action == "no_free_leases" or (action == "bootp" and outcome == "failure"):
        return "dhcp_network"
    return "dhcp_server_ip" if action == "other_server" else "source_ip"


def _text(said: Mapping[str, str], name: str) -> str | None:
    """A class as text: its octets where they are given, for the text beside them may have lost some."""
    data = octets(said.get(f"{name}(Hex)", ""))
    if data is None:
        return said.get(f"{name}(ASCII)")
    text = data.decode("latin-1").rstrip("\0")
    return text if text.isprintable() and text.isascii() else said.get(f"{name}(ASCII)") or data.hex(":")
