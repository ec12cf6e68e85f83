r"""Network Policy Server (NPS, formerly IAS) to login events: its log files, and its events in the security log.

Files, all with local times (the source's `timezone`), one record a line:

- database compatible (ODBC): a comma separated row of up to 68 columns in a fixed order, `"NPS1","IAS",03/01/2024,…`;
- IAS: `address,user,03/01/2024,07:30:00,IAS,NPS1,` and pairs of attribute number and value;
- DTS compliant: an `<Event>` of XML elements with a `data_type`; several elements of one name have the first counted.

The answer to a request repeats little of it: neither the device nor the access point. Where a line of the request with
the same Class was read before, its attributes stand in the answer's event too; the last `MAX_ASKED` unanswered requests
are kept.

- `login`: Access-Accept `success`, Access-Reject `failure`; 6272 `success`, 6273 `failure`.
- `login_step`: Access-Request and Access-Challenge: no verdict yet.
- `authentication`: 6276, 6277, 6278: the health check behind a 6272.
- `handshake_failed`: 6274, a request that was discarded. `attempts_exceeded`: 6279.
- `session_start`, `session_end`, `session_update`: accounting Start, Stop and Interim-Update, at the time of the record
  less its Acct-Delay-Time.

`event_reason` is the reason code in words, for a session's end its Acct-Terminate-Cause. `session_id` is the
Acct-Session-Id, where there is none the Class. `user_name` is what the client sent; where the log has only the
directory's path of the account, it is null.

Facts: see `nps_facts` and `nps_codes`; RFC 2865, 2866.
"""

from __future__ import annotations

import csv
import re
from collections import OrderedDict
from collections.abc import Mapping
from html import unescape
from typing import Any, Final

from schemas.kinds import EventKind
from streams.normalisers import moments
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.json_records import JsonNormaliser
from streams.normalisers.lines import Unreadable
from streams.normalisers.login.network_fields import delayed, stated
from streams.normalisers.login.nps_facts import EVENTS, file_fact, windows_fact
from streams.normalisers.login.windows_events import WinEvent, is_event, json_event, xml_events
from streams.normalisers.login.windows_text import text_event
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused
from streams.normalisers.records import Fact, Head, Read

ACTIONS: Final = (
    "login",
    "login_step",
    "authentication",
    "attempts_exceeded",
    "handshake_failed",
    "session_start",
    "session_end",
    "session_update",
)

MAX_ASKED = 1_000
"""Requests whose answer has not been read; beyond it the oldest is forgotten, and its answer tells less."""

_COLUMNS: Final = tuple(
    None if name == "-" else name
    for name in (
        "computer-name - record-date record-time packet-type user-name fully-qualified-user-name called-station-id "
        "calling-station-id - framed-ip-address nas-identifier nas-ip-address nas-port - client-ip-address "
        "client-friendly-name - - - - - - authentication-type - reason-code class - - - eap-friendly-name "
        "acct-status-type acct-delay-time - - acct-session-id - acct-session-time - - acct-terminate-cause - - - - - - "
        "- - tunnel-private-group-id"
    ).split()
)
"""Columns of a row as far as they are read: of 66 in all, ComputerName to MS-RAS-Client-Version."""

_NUMBERS: Final[Mapping[str, str]] = {
    "1": "user-name", "4": "nas-ip-address", "5": "nas-port", "8": "framed-ip-address", "25": "class",
    "30": "called-station-id", "31": "calling-station-id", "32": "nas-identifier", "40": "acct-status-type",
    "41": "acct-delay-time", "44": "acct-session-id", "46": "acct-session-time", "49": "acct-terminate-cause",
    "50": "acct-multi-session-id", "55": "event-timestamp", "61": "nas-port-type", "81": "tunnel-private-group-id",
    "87": "nas-port-id", "95": "nas-ipv6-address", "168": "framed-ipv6-address", "4108": "client-ip-address",
    "4127": "authentication-type", "4128": "client-friendly-name", "4129": "sam-account-name",
    "4130": "fully-qualified-user-name", "4132": "eap-friendly-name", "4136": "packet-type", "4142": "reason-code",
    "4149": "np-policy-name", "4154": "proxy-policy-name",
}  # fmt: skip
_SPELLED: Final[Mapping[str, str]] = {
    "fully-qualifed-user-name": "fully-qualified-user-name",  # so in the files themselves
    "tunnel-pvt-group-id": "tunnel-private-group-id",
}
_ODBC = re.compile(r'"[^"]{0,64}","?[A-Za-z]{2,12}"?,\d\d/\d\d/\d{4},\d\d:\d\d:\d\d,\d{1,3},', re.ASCII)
_IAS = re.compile(r'"?[0-9A-Fa-f.:]{3,45}"?,[^\r\n]{0,520}?,\d\d/\d\d/\d{4},\d\d:\d\d:\d\d,\w{2,12},', re.ASCII)
_DTS = re.compile(r"<([A-Za-z][\w.\-]{0,63}) data_type=[\"']\d{1,2}[\"']>([^<]*)</\1>", re.ASCII)
_KEPT = (
    "user-name", "sam-account-name", "fully-qualified-user-name", "calling-station-id", "called-station-id",
    "nas-identifier", "nas-ip-address", "nas-ipv6-address", "nas-port", "nas-port-id", "acct-session-id",
    "client-friendly-name", "client-ip-address", "authentication-type", "eap-friendly-name",
)  # fmt: skip
_REQUEST, _ANSWERS, _ACCOUNTING = "1", ("2", "3"), "4"


class NpsNormaliser(JsonNormaliser):
    """NPS's files and events."""

    kind = EventKind.LOGIN
    type_name = "nps"
    DATASET = "nps"
    fields = (
        "timestamp", "event_dataset", "event_action", "event_outcome", "event_reason", "observer_hostname",
        "process_name", "process_pid", "user_name", "user_domain", "user_known", "source_ip", "source_mac",
        "login_method", "service_name", "session_id", "session_seconds", "access_point", "network_ssid", "nas_ip",
        "nas_port", "host_name", "assigned_ip", "network_vlan", "event_code",
    )  # fmt: skip

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self._asked: OrderedDict[str, dict[str, str]] = OrderedDict()

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        message = head.message
        if message[:1] in ("{", "["):
            return super().read(head)
        if _ODBC.match(message):
            return self._row(message)
        if "<Event" in message:
            return self._xml(message)
        if _IAS.match(message):
            return self._pairs(message)
        event = text_event(message)
        if event is not None:
            return self._event(event)
        if head.stamp and head.program and not head.program.lower().startswith(("microsoft", "security", "ias", "nps")):
            return Ignored.OTHER_PROGRAM
        return Unreadable(Refused.UNKNOWN_FORM, "no record of NPS")

    def own(self, obj: dict[str, Any]) -> bool:
        """See `JsonNormaliser.own`."""
        return is_event(obj)

    def fact(self, obj: dict[str, Any], head: Head) -> Read:
        """See `JsonNormaliser.fact`."""
        del head
        event = json_event(obj) if is_event(obj) else None
        return Unreadable(Refused.UNKNOWN_FORM, "no event in the JSON") if event is None else self._event(event)

    def _xml(self, message: str) -> Read:
        if " data_type=" in message:
            said: dict[str, str] = {}
            for name, value in _DTS.findall(message):
                key = name.lower()
                text = stated(unescape(value) if "&" in value else value)
                if text is not None:
                    said.setdefault(_SPELLED.get(key, key), text)
            return self._record(said, said.get("timestamp", ""))
        events = xml_events(message)
        if not events:
            return Unreadable(Refused.BROKEN_PAYLOAD, "no well-formed event in the XML")
        taken = [self._event(event) for event in events]
        facts = [one for one in taken if isinstance(one, dict)]
        return facts or next(one for one in taken if not isinstance(one, dict))

    def _row(self, message: str) -> Read:
        values = _cells(message)
        if values is None:
            return Unreadable(Refused.BROKEN_PAYLOAD, "a quote is not closed")
        said: dict[str, str] = {}
        for name, value in zip(_COLUMNS, values, strict=False):
            if value and name is not None:
                text = stated(value)
                if text is not None:
                    said[name] = text
        return self._record(said, f"{said.get('record-date', '')} {said.get('record-time', '')}")

    def _pairs(self, message: str) -> Read:
        values = _cells(message)
        if values is None or len(values) < 6:
            return Unreadable(Refused.BROKEN_PAYLOAD, "a quote is not closed, or there are too few values")
        nas, name, day, time, source, computer = values[:6]
        ahead = {"nas-ip-address": nas, "user-name": name, "event-source": source, "computer-name": computer}
        said = {key: text for key, value in ahead.items() if (text := stated(value))}
        for number, value in zip(values[6::2], values[7::2], strict=False):
            text, key = stated(value), _NUMBERS.get(number)
            if key is not None and text is not None:
                said.setdefault(key, text)
        return self._record(said, f"{day} {time}")

    def _record(self, said: dict[str, str], stamp: str) -> Read:
        when = moments.numbers(stamp, self.clock, "mdy")
        if when is None:
            return Unreadable(Refused.BAD_TIME, f"no such time: {stamp[:40]}")
        packet, key = said.get("packet-type"), said.get("class")
        asked: Mapping[str, str] = {}
        if key is not None:
            if packet == _REQUEST:
                self._keep(key, said)
            elif packet in _ANSWERS:
                asked = self._asked.pop(key, {})
        fact = file_fact(said, asked)
        if fact is None:
            return Ignored.OTHER_RECORD
        fact["timestamp"] = delayed(when, said.get("acct-delay-time")) if packet == _ACCOUNTING else when
        return fact

    def _keep(self, key: str, said: Mapping[str, str]) -> None:
        self._asked.pop(key, None)
        self._asked[key] = {name: said[name] for name in _KEPT if name in said}
        if len(self._asked) > MAX_ASKED:
            self._asked.popitem(last=False)

    def _event(self, event: WinEvent) -> Fact | IgnoredReason | Unreadable:
        if event.number not in EVENTS or (event.provider is not None and "ecurity" not in event.provider):
            return Ignored.OTHER_RECORD
        fact = windows_fact(event.number, event.data)
        fact["event_code"] = str(event.number)
        if event.computer is not None:
            fact["observer_hostname"] = event.computer
        if event.stamp is not None:
            when = self.clock.micros(event.stamp) or moments.numbers(event.stamp, self.clock, "mdy")
            if when is None:
                return Unreadable(Refused.BAD_TIME, f"no such time: {event.stamp[:40]}")
            fact["timestamp"] = when
        return fact

    def remember(self) -> dict[str, Any]:
        """Requests without an answer."""
        return {"asked": list(self._asked.items())}

    def recall(self, saved: Mapping[str, Any]) -> None:
        """See `RecordNormaliser.recall`."""
        self._asked = OrderedDict(_asked_of(saved.get("asked", [])))


def _asked_of(saved: Any) -> list[tuple[str, dict[str, str]]]:
    if not isinstance(saved, list) or not all(len(one) == 2 and isinstance(one[1], dict) for one in saved):
        raise ValueError("requests of another form")
    return [(str(key), {str(name): str(value) for name, value in said.items()}) for key, said in saved]


def _cells(message: str) -> list[str] | None:
    """Values of a row; quotes inside quotes are doubled, and a comma inside quotes parts nothing."""
    if '"' not in message:
        return message.split(",")
    if '""' not in message:  # plain quotes: commas outside of them part the values
        parts = message.split('"')
        if len(parts) % 2 == 0:
            return None
        if not any("," in part for part in parts[1::2]):
            return message.replace('"', "").split(",")
    try:
        rows = list(csv.reader([message], strict=True))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None
