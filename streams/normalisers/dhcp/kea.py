"""Kea's logs to DHCP events: logger lines of kea-dhcp4 and kea-dhcp6, the forensic log, lease files.

The three may stand in sources of their own or mixed behind one syslog. `kea_messages`, `kea_legal` and `kea_leases` say
what each is read from.

- `offer`, `ack`, `release`, `decline`, `expire`: a lease offered, granted, given back, found in use (by the client, or
  by the server's own ping), run out. `renew`: the server says that the client had the lease already.
- `nak`: a request refused. `discover` with outcome `failure`: nothing was offered. `no_free_leases`: no address was
  left; one event a failed attempt, though Kea writes up to three lines.
- `discover`, `request`, `inform`, `bootp`: what clients ask; at debug level only. `request` with outcome `failure`: for
  another server's offer.

`event_outcome` is `failure` for `nak`, `decline`, `no_free_leases` and what could not be done. A client that gives back
what it has not has that address in `dhcp_requested_ip`, not in `source_ip`, so that nobody's lease ends.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from schemas.kinds import EventKind
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.dhcp.kea_leases import V6, is_row, read_row, served_at
from streams.normalisers.dhcp.kea_legal import STARTS, read_legal
from streams.normalisers.dhcp.kea_messages import read_message
from streams.normalisers.lines import Unreadable
from streams.normalisers.reasons import Ignored, Refused
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
)

_LEVELS = "FATAL|ERROR|WARN|INFO|DEBUG"
_OWN = re.compile(rf"(\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d(?:[.,]\d{{1,9}})?) +((?:{_LEVELS}) .*)\Z", re.DOTALL | re.ASCII)
_LEGAL = re.compile(
    r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?)(?: ([A-Z]{1,5}|[+-]\d\d(?::?\d\d)?))?[ -]"
    r"((?:Address: |Prefix: |Administrator |HA partner ).*)\Z",
    re.DOTALL | re.ASCII,
)
_MESSAGE = re.compile(
    rf"({_LEVELS}) +\[([^\]\s]{{1,100}})\] ([A-Z][A-Z0-9_]{{3,80}})(?: (.*))?\Z", re.DOTALL | re.ASCII
)
_LOGGER = re.compile(r"([\w-]{1,40})(?:\.[\w-]{1,60})*?/(\d{1,10})(?:\.|\Z)", re.ASCII)
_STATE = re.compile(
    r"(?:DHCP[46]|DHCPSRV|LEGAL_LOG|HOOKS|COMMAND|CTRL|DCTL|HOSTS|LEASE|DATABASE|MYSQL|PGSQL|HA|PING_CHECK|DHCP)_\w*?"
    r"(?:START|SHUTDOWN|CONFIG|OPEN|CLOSE|LISTEN|LOAD|RECONFIG|INFO|CFGMGR|SOCKET|COMMAND|STOP|INIT|RECEIVED|BACKEND)"
)
_CONTINUED = re.compile(
    r"\s+\S|local_address=|remote_address=|options:|Type: |Address: +[0-9A-Fa-f:.]+\Z|Preflength|IAID: |Pref life|"
    r"Valid life|Cltt|DUID: |Hardware addr|Subnet ID|Pool ID|State: |Client id|Remote ID|Relay ID|type=\d|User context",
    re.ASCII,
)
_UTC = frozenset({"UTC", "GMT", "Z"})
_REMEMBERED = 64  # attempts that found no lease, whose further lines are told apart by their labels
_FAILED = "ALLOC_FAIL"


class KeaNormaliser(RecordNormaliser):
    """Lines of Kea's DHCP servers, its forensic log and its lease files."""

    kind = EventKind.DHCP
    type_name = "kea"
    DATASET = "kea"
    fields: ClassVar[tuple[str, ...]] = (
        "timestamp", "event_dataset", "event_action", "event_outcome", "event_reason", "observer_hostname",
        "process_name", "process_pid", "source_ip", "source_mac", "host_name", "dhcp_client_id", "dhcp_transaction_id",
        "dhcp_relay_ip", "dhcp_interface", "dhcp_lease_seconds", "dhcp_requested_ip", "dhcp_network", "dhcp_circuit_id",
        "dhcp_remote_id", "dhcp_duid", "dhcp_iaid", "dhcp_prefix_length", "dhcp_lease_expires",
    )  # fmt: skip

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self._names: list[str] = []  # columns of the lease file, where its first line was read
        self._newest: int | None = None  # when a client was last served in the lease file, seconds since 1970
        self._failed: deque[str] = deque(maxlen=_REMEMBERED)  # labels of attempts that found no lease

    def _head(self, text: str) -> Head:
        if text[4:5] == "-" and text[:4].isdigit():
            own = _OWN.match(text)
            if own is not None:
                return Head(own[1], None, None, None, own[2])
            legal = _LEGAL.match(text)
            if legal is not None:
                stamp, zone, sentence = legal.groups()
                return Head(stamp + _offset(zone), None, None, None, sentence)
        if text.startswith("address,") or is_row(text):
            return Head("", None, None, None, text)
        return super()._head(text)

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        message = head.message
        if head.program is not None and "kea" not in head.program:
            return Ignored.OTHER_PROGRAM
        if head.stamp and message[:4].isdigit():  # standard output in the journal or behind syslog: two times
            own = _OWN.match(message)
            message = own[2] if own is not None else message
        found = _MESSAGE.match(message)
        if found is not None:
            return self._logged(found, head)
        if message.startswith(STARTS) and not _CONTINUED.match(message):
            return read_legal(message) if head.stamp else self._stray(message)
        if not head.stamp:
            return self._file(message)
        return Ignored.OTHER_RECORD

    def _logged(self, found: re.Match[str], head: Head) -> Read:
        level, logger, name, text = found.groups()
        text = text or ""
        if "dhcp" not in logger and "legal" not in logger:
            return Ignored.OTHER_PROGRAM  # the control agent, dynamic DNS
        taken = read_legal(text) if name == "LEGAL_LOG_SYSLOG" else read_message(name, text)
        if isinstance(taken, dict):
            if taken["event_action"] == "no_free_leases" and self._told(name, text):
                return Ignored.REPEATED_OTHER
            return _with_process(taken, logger, head)
        if taken is not None:
            return taken
        if level == "DEBUG":
            return Ignored.DEBUG
        return Ignored.SERVICE_STATE if _STATE.match(name) else Ignored.OTHER_RECORD

    def _told(self, name: str, text: str) -> bool:
        """Whether another line has told of the same attempt. A bare `ALLOC_FAIL` follows one that names the network."""
        label, _, _ = text.partition(": ")
        if label in self._failed and name.endswith((_FAILED, "NO_POOLS")):
            return True
        self._failed.append(label)
        return False

    def _file(self, message: str) -> Read:
        if message.startswith("address,"):
            self._names = message.rstrip(",").split(",")[: len(V6)]
            return Ignored.HEADER
        if not is_row(message):
            return self._stray(message)
        fits = bool(self._names) and (("duid" in self._names) == (":" in message.partition(",")[0]))
        taken = read_row(self._names if fits else [], message, self._newest)
        if isinstance(taken, dict):
            self._newest = served_at(taken, self._newest)
        return taken

    def _stray(self, message: str) -> Read:
        if _CONTINUED.match(message):
            return Ignored.DEBUG  # further lines of a packet or lease that is printed whole
        return Unreadable(Refused.NO_HEADER, "neither a line of Kea's logger nor a row of its lease file")

    def remember(self) -> dict[str, Any]:
        """The lease file's columns and newest time, and attempts that found no lease."""
        return {"names": self._names, "newest": self._newest, "failed": list(self._failed)}

    def recall(self, saved: Mapping[str, Any]) -> None:
        """See `RecordNormaliser.recall`."""
        names, newest, failed = saved.get("names", []), saved.get("newest"), saved.get("failed", [])
        lists = isinstance(names, list) and isinstance(failed, list)
        if not lists or not all(isinstance(text, str) for text in [*names, *failed]):
            raise ValueError("columns or labels are no texts")
        if newest is not None and not isinstance(newest, int):
            raise ValueError(f"a time is {newest!r:.80}")
        self._names, self._newest = names, newest
        self._failed = deque(failed, maxlen=_REMEMBERED)


def _offset(zone: str | None) -> str:
    """A zone as `SourceClock` reads it; an abbreviation other than UTC's says nothing that is sure."""
    if zone is None:
        return ""
    if zone in _UTC:
        return "Z"
    return "" if zone.isalpha() else zone.ljust(5, "0")


def _with_process(fact: Fact, logger: str, head: Head) -> Fact:
    if head.program is None:
        named = _LOGGER.match(logger)
        fact["process_name"] = named[1] if named else logger.partition(".")[0]
        fact["process_pid"] = int(named[2]) if named else None
    return fact
