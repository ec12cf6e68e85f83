"""FreeRADIUS' detail files to login events: records of several lines, one an attribute.

A record is a line with its time, then indented `Attribute = value` lines, then a blank line. Its event stands at the
`Timestamp` line, which FreeRADIUS writes last; without one at the blank line, or at the next record's first line. The
record's other lines are ignored (`record_part`) as they are read, so that each line is decided at once.

- `session_start`, `session_end`, `session_update`: Acct-Status-Type Start, Stop, Interim-Update (Alive); the time is
  the record's less Acct-Delay-Time.
- `login`: replies that a detail module of post-auth wrote: Access-Accept `success`, Access-Reject `failure`. Read
  either these or radius.log (type `freeradius`), or an attempt counts twice.
- `login_step`: Access-Request and Access-Challenge.

Passwords in requests are never kept. `Timestamp` is seconds since 1970; the first line is local time.

Facts: `rlm_detail.c` of FreeRADIUS 1.1 to 3.2 and its `mods-available/detail`; RFC 2865, 2866, 2868.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from schemas.kinds import EventKind
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.lines import Unreadable
from streams.normalisers.login.network_fields import delayed, is_mac_name, method, radius, stated, user, whole
from streams.normalisers.login.nps_codes import end_reason
from streams.normalisers.login.reasons_network import NetworkIgnored
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.records import Fact, Gathered, Head, Read, RecordNormaliser

ACTIONS: Final = ("login", "login_step", "session_start", "session_end", "session_update")

_TIME = re.compile(
    r"([A-Z][a-z]{2} [A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d:\d\d \d{4}"
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:?\d\d)?)\s*\Z",
    re.ASCII,
)
_ATTRIBUTE = re.compile(r"[ \t]+&?([A-Za-z0-9][\w.\-]{0,63}(?::\d{1,2})?) [:+]?= (.*)\Z", re.DOTALL | re.ASCII)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_WANTED = frozenset({
    "packet-type", "user-name", "stripped-user-name", "realm", "calling-station-id", "called-station-id",
    "nas-ip-address", "nas-ipv6-address", "nas-identifier", "nas-port", "nas-port-id", "framed-ip-address",
    "framed-ipv6-address", "acct-status-type", "acct-session-id", "acct-session-time", "acct-terminate-cause",
    "acct-delay-time", "tunnel-private-group-id", "aruba-user-vlan", "eap-type", "reply-message",
    "aruba-essid-name", "airespace-wlan-ssid", "ruckus-ssid", "cisco-wlan-ssid", "wlan-ssid", "fb-wlan-ssid",
})  # fmt: skip
_SSIDS = ("aruba-essid-name", "airespace-wlan-ssid", "ruckus-ssid", "cisco-wlan-ssid", "wlan-ssid")
_STATUS: Final[Mapping[str, str]] = {
    "start": "session_start", "1": "session_start", "stop": "session_end", "2": "session_end",
    "interim-update": "session_update", "alive": "session_update", "3": "session_update",
}  # fmt: skip
_PACKETS: Final[Mapping[str, tuple[str, str]]] = {
    "access-request": ("login_step", "unknown"),
    "access-challenge": ("login_step", "unknown"),
    "access-accept": ("login", "success"),
    "access-reject": ("login", "failure"),
}
_END = "timestamp"
_NO_HEAD = Head("", None, None, None, "")


class FreeradiusDetailNormaliser(RecordNormaliser):
    """Records of detail files."""

    kind = EventKind.LOGIN
    type_name = "freeradius_detail"
    DATASET = "freeradius_detail"
    ALONE = True
    joins = True  # a line says nothing without those before it
    fields = (
        "timestamp", "event_dataset", "event_action", "event_outcome", "event_reason", "user_name", "user_domain",
        "source_ip", "source_mac", "login_method", "service_name", "session_id", "session_seconds", "access_point",
        "network_ssid", "nas_ip", "nas_port", "assigned_ip", "network_vlan",
    )  # fmt: skip

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self._open: dict[str, str] | None = None  # attributes of the record that has begun
        self._stamp = ""  # of its first line

    def _line(self, out: Gathered, index: int, raw: bytes) -> None:
        if self._open is None or raw.strip():
            super()._line(out, index, raw)
            return
        taken = self._complete("")
        if isinstance(taken, dict):
            self._add(out, index, raw, [taken], _NO_HEAD, None)
        elif isinstance(taken, Unreadable):
            self._refuse(out, index, raw, taken, None)
        else:
            out.ignored.append((index, Ignored.BLANK_LINE))

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        line = head.message
        if line[:1] in (" ", "\t"):
            return self._attribute(line)
        begun = _TIME.match(line)
        if begun is None:
            return Unreadable(Refused.UNKNOWN_FORM, "neither the time of a record nor one of its attributes")
        before = self._complete("") if self._open is not None else None
        self._open, self._stamp = {}, begun[1]
        return before if isinstance(before, (dict, Unreadable)) else NetworkIgnored.RECORD_PART

    def _attribute(self, line: str) -> Read:
        found = _ATTRIBUTE.match(line)
        if found is None:
            return Unreadable(Refused.UNKNOWN_FORM, "an attribute of unknown form")
        name = found[1].lower()
        if self._open is None:
            if name == "request-authenticator":  # of a record of version 1, behind its Timestamp
                return NetworkIgnored.RECORD_PART
            self._open, self._stamp = {}, ""  # the file begins within a record
        if name == _END:
            return self._complete(found[2].strip())
        plain = name.partition(":")[0]
        if plain in _WANTED and plain not in self._open:
            text = stated(_value(found[2]))
            if text is not None:
                self._open[plain] = text
        return NetworkIgnored.RECORD_PART

    def _complete(self, seconds: str) -> Read:
        """The record that is open, which ends here."""
        said, stamp = self._open or {}, self._stamp
        self._open = None
        fact = _fact(said)
        if fact is None:
            return Ignored.OTHER_RECORD
        number = whole(seconds, 10**11)
        when = self.clock.seen(number * 1_000_000) if number is not None else self.clock.micros(stamp)
        if when is None:
            return Unreadable(Refused.BAD_TIME, f"no such time: {seconds[:20] or stamp}")
        accounting = "acct-status-type" in said
        fact["timestamp"] = delayed(when, said.get("acct-delay-time")) if accounting else when
        return fact

    def remember(self) -> dict[str, Any]:
        """The record that is open."""
        return {"open": self._open, "stamp": self._stamp}

    def recall(self, saved: Mapping[str, Any]) -> None:
        """See `RecordNormaliser.recall`."""
        said = saved.get("open")
        self._open = None if said is None else {str(name): str(value) for name, value in dict(said).items()}
        self._stamp = str(saved.get("stamp", ""))


def _value(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1]
        return _ESCAPED.sub(r"\1", text) if '\\"' in text or "\\\\" in text else text
    return text


def _fact(said: Mapping[str, str]) -> Fact | None:
    """What a record says; None where it is no session and no login."""
    status, packet = said.get("acct-status-type"), said.get("packet-type", "").lower()
    if status is not None:
        action, outcome = _STATUS.get(status.lower()), "unknown"
    else:
        action, outcome = _PACKETS.get(packet, (None, ""))
    if action is None:
        return None
    fact: Fact = {"event_action": action, "event_outcome": outcome, "service_name": "radius"}
    name = said.get("user-name") or said.get("stripped-user-name")
    user(fact, name)
    radius(fact, said)
    for key in _SSIDS:
        if key in said:
            fact["network_ssid"] = said[key]
    eap = said.get("eap-type")
    if eap is not None:
        fact["login_method"] = method(f"eap-{eap}" if not eap.lower().startswith("eap") else eap)
    elif is_mac_name(name):
        fact["login_method"] = "mab"
    if "aruba-user-vlan" in said:
        fact.setdefault("network_vlan", said["aruba-user-vlan"])
    if action == "session_end":
        fact["event_reason"] = end_reason(said.get("acct-terminate-cause"))
    elif outcome == "failure":
        fact["event_reason"] = said.get("reply-message")
    if status is not None:
        fact["session_seconds"] = whole(said.get("acct-session-time"))
    return fact
