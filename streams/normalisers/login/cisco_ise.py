r"""Cisco Identity Services Engine (ISE) to login events: its syslog categories, also in pieces, and its local store.

- `login`: 5200, 5201, 5231 (guest) `success`; 5400, 5401, 5418 `failure`; an administrator's 51001 and 51000.
- `authentication`: 5236, authorisation alone, of somebody who is logged in.
- `attempts_exceeded`: 5434, 5449, which tell of several failures at once.
- `handshake_failed`: 5405, 5411, 5440, 5441, 5450 and the like: a request dropped, an EAP session left or begun anew.
- `session_start`, `session_end`, `session_update`: RADIUS accounting, at its time less Acct-Delay-Time.
- `session_end` also for an administrator's 51002 and 51003.

`event_reason` is the FailureReason without its number. `user_name` is null where ISE hides an unknown name (`INVALID`,
`USERNAME`); a MAC address as user name is a device let in by it (`login_method` is `mab`). `session_id` is the audit
session id (`CPMSessionID`), which authentication and accounting share, else the Acct-Session-Id.

A comma in a value is written `\,`, so that a name cannot pass for the attributes behind it.

Facts: Cisco's "Cisco ISE Syslogs" (message formats, RADIUS attributes), the message catalogue of ISE 2.x to 3.x.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from schemas.kinds import EventKind
from streams.normalisers import addresses, moments
from streams.normalisers.lines import Unreadable
from streams.normalisers.login.network_fields import delayed, method, radius, reason, stated, user, whole
from streams.normalisers.login.nps_codes import end_reason
from streams.normalisers.login.reasons_network import NetworkIgnored
from streams.normalisers.login.segments import Piece, SegmentNormaliser
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.records import Fact, Head, Read

ACTIONS: Final = (
    "login",
    "authentication",
    "attempts_exceeded",
    "handshake_failed",
    "session_start",
    "session_end",
    "session_update",
)

_HEAD = re.compile(
    r"(?:^|\s)(\S{1,255}) (?:CISE|CSCOacs)_([A-Za-z_]{1,64})(?: \S{1,32} \S{1,32} (?:-|\[[^\]]{0,512}\]))? (\d{1,10}) "
    r"(\d{1,3}) (\d{1,3}) +(.*)\Z",
    re.DOTALL | re.ASCII,
)  # between the category and the number stands the rest of an RFC 5424 header; ACS wrote as ISE does
_TAG = re.compile(r"(?:^|\s)(?:CISE|CSCOacs)_\w+ ", re.ASCII)
_BODY = re.compile(
    r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:[.:,]\d{1,6})?) ([+-]\d\d:?\d\d) (\d{1,12}) (\d{4,6}) (\w{1,10})"
    r" ([\w\- ]{1,64}): ([^,]{0,256})(?:,(.*))?\Z",
    re.DOTALL | re.ASCII,
)
_PAIR = re.compile(r"(?<![^,\s])([A-Za-z][\w.\- ]{0,63})=([^,\\]*+(?:\\.[^,\\]*+)*+)", re.DOTALL)
_VLAN = re.compile(r"Tunnel-Private-Group-ID=(?:\(tag=\d{1,2}\) ?)?([^;,\\]{1,64})", re.IGNORECASE)
_AV_PAIR = re.compile(r"cisco-av-pair=(audit-session-id|cisco-wlan-ssid)=([^,\\]{1,128})")
_NUMBERED = re.compile(r"\d{4,6} +")

_KINDS: Final[Mapping[int, tuple[str, str]]] = {
    5200: ("login", "success"),
    5201: ("login", "success"),
    5231: ("login", "success"),
    5236: ("authentication", "success"),
    5400: ("login", "failure"),
    5401: ("login", "failure"),
    5418: ("login", "failure"),
    5405: ("handshake_failed", "failure"),
    5411: ("handshake_failed", "failure"),
    5422: ("handshake_failed", "failure"),
    5434: ("attempts_exceeded", "failure"),
    5440: ("handshake_failed", "failure"),
    5441: ("handshake_failed", "failure"),
    5449: ("attempts_exceeded", "failure"),
    5450: ("handshake_failed", "failure"),
    51000: ("login", "failure"),
    51001: ("login", "success"),
    51002: ("session_end", "unknown"),
    51003: ("session_end", "unknown"),
    3000: ("session_start", "unknown"),
    3001: ("session_end", "unknown"),
    3002: ("session_update", "unknown"),
}
_ADMINISTRATORS = 51_000
_ACCOUNTING = frozenset({3000, 3001, 3002})
_COMMANDS = frozenset({5202, 5203, 5402, 5403, 3300, 3301, 3302, 3303})
_CATEGORIES = frozenset({
    "Passed_Authentications", "Failed_Attempts", "RADIUS_Accounting", "TACACS_Accounting",
    "Administrative_and_Operational_Audit", "Guest", "RADIUS_Diagnostics", "TACACS_Diagnostics",
})  # fmt: skip
_SKIPPED = frozenset({"Step", "StepData", "cisco-av-pair"})
_HIDDEN = frozenset({"INVALID", "USERNAME"})
_NO_SUBJECT = ("22056", "24415", "24416")  # not found in the identity stores


class CiscoIseNormaliser(SegmentNormaliser):
    """Messages of ISE."""

    kind = EventKind.LOGIN
    type_name = "cisco_ise"
    DATASET = "cisco_ise"
    fields = (
        "timestamp", "event_dataset", "event_action", "event_outcome", "event_reason", "observer_hostname",
        "user_name", "user_domain", "user_known", "source_ip", "source_mac", "login_method", "service_name",
        "session_id", "session_seconds", "access_point", "network_ssid", "nas_ip", "nas_port", "host_name",
        "application_name", "assigned_ip", "network_vlan", "event_code",
    )  # fmt: skip

    def _head(self, text: str) -> Head:
        """The line whole: ISE's own head is looked for in it, behind one or several headers."""
        return super()._head(text) if text[:1] == "{" else Head("", None, None, None, text)

    def piece(self, head: Head) -> Piece | Read:
        """See `SegmentNormaliser.piece`."""
        found = _HEAD.search(head.message)
        if found is None:
            if _BODY.match(head.message):
                return self.message("", head.message)
            return Ignored.OTHER_RECORD if _TAG.search(head.message) else self._foreign(head.message)
        host, category, number, total, segment, text = found.groups()
        if category not in _CATEGORIES:
            return Ignored.OTHER_RECORD
        return Piece(f"{host} {category} {number}", int(total), int(segment), text)

    def _foreign(self, message: str) -> Ignored | Unreadable:
        line = self._splitter.split(message)
        if line is not None and line.program is not None:
            return Ignored.OTHER_PROGRAM
        return Unreadable(Refused.UNKNOWN_FORM, "no message of ISE")

    def message(self, key: str, text: str) -> Read:
        """See `SegmentNormaliser.message`."""
        body = _BODY.match(text)
        if body is None:
            return Unreadable(Refused.UNKNOWN_FORM, "a message without its time and code")
        stamp, zone, _, code_text, _, _, _, rest = body.groups()
        code = int(code_text)
        kind = _KINDS.get(code)
        if kind is None:
            return NetworkIgnored.TACACS_COMMAND if code in _COMMANDS else Ignored.OTHER_RECORD
        when = moments.zoned(f"{stamp[:19]}{stamp[19:].replace(':', '.')} {zone}")
        if when is None:
            return Unreadable(Refused.BAD_TIME, f"no such time: {stamp} {zone}")
        said = _attributes(rest or "")
        fact: Fact = {"event_action": kind[0], "event_outcome": kind[1], "event_code": code_text}
        if key:
            fact["observer_hostname"] = key.partition(" ")[0]
        fact["timestamp"] = self.clock.seen(delayed(when, said.get("acct-delay-time")))
        if code >= _ADMINISTRATORS:
            return _administrator(fact, said)
        _network(fact, said, rest or "")
        if code in _ACCOUNTING:
            _accounting(fact, said)
        return fact


def _attributes(rest: str) -> dict[str, str]:
    """Attributes by their names in lower case; of those that come twice the first."""
    said: dict[str, str] = {}
    for name, value in _PAIR.findall(rest):
        if not value or name in _SKIPPED:
            continue
        key = name.lower().strip()
        if key not in said:
            text = stated(value.replace("\\,", ",").replace("\\\\", "\\") if "\\" in value else value)
            if text is not None:
                said[key] = text
    return said


def _who(fact: Fact, said: Mapping[str, str]) -> None:
    failure = said.get("failurereason", "")
    name = said.get("username")
    if name is None or name in _HIDDEN:
        names = (said.get("user-name"), said.get("originalusername"))
        name = next((name for name in names if name is not None and name not in _HIDDEN), None)
    unknown = failure.startswith(_NO_SUBJECT)
    if unknown:
        fact["user_known"] = False
    user(fact, name, unknown=unknown)


def _network(fact: Fact, said: Mapping[str, str], rest: str) -> None:
    _who(fact, said)
    values = {
        **said,
        "calling-station-id": said.get("calling-station-id") or said.get("endpointmacaddress"),
        "nas-ip-address": said.get("nas-ip-address") or said.get("device ip address"),
        "nas-identifier": said.get("networkdevicename") or said.get("nas-identifier"),
    }
    radius(fact, values)
    mac = addresses.mac(said.get("endpointmacaddress", ""))
    if mac is not None:
        fact.setdefault("source_mac", mac)
    client = said.get("tunnel-client-endpoint") or said.get("remote-address")
    if client is not None:
        address = addresses.ip(client.rpartition(" ")[2])
        if address is not None:
            fact["source_ip"] = address
    vlan = _VLAN.search(rest) if "tunnel-pr" in rest.lower() else None
    if vlan is not None:
        fact["network_vlan"] = vlan[1].strip()
    pairs = dict(_AV_PAIR.findall(rest))
    if "cisco-wlan-ssid" in pairs:
        fact.setdefault("network_ssid", pairs["cisco-wlan-ssid"])
    session = said.get("cpmsessionid") or pairs.get("audit-session-id")
    if session is not None:
        fact["session_id"] = session
    _how(fact, said)


def _how(fact: Fact, said: Mapping[str, str]) -> None:
    tacacs = said.get("protocol", "").lower().startswith("tacacs")
    fact["service_name"] = "tacacs" if tacacs else "radius"
    tunnel, inner, plain = said.get("eaptunnel"), said.get("eapauthentication"), said.get("authenticationmethod")
    if said.get("usecase") == "Host Lookup" or plain == "Lookup" or said.get("radiusflowtype", "").endswith("MAB"):
        fact["login_method"] = "mab"
    elif tunnel or inner:
        fact["login_method"] = method(tunnel or inner, inner)
    elif plain is not None:
        fact["login_method"] = method(plain.removesuffix("_ASCII"))
    failure = said.get("failurereason")
    if failure is not None and fact["event_outcome"] == "failure":
        fact["event_reason"] = reason(_NUMBERED.sub("", failure, count=1))
    machine = said.get("ad-host-dns-name") or said.get("host-name") or said.get("endpointhostname")
    if machine is not None:
        fact["host_name"] = machine
    portal = said.get("portalname")
    if portal is not None:
        fact["application_name"] = portal


def _accounting(fact: Fact, said: Mapping[str, str]) -> None:
    fact["session_seconds"] = whole(said.get("acct-session-time"))
    if fact["event_action"] == "session_end":
        fact["event_reason"] = end_reason(said.get("acct-terminate-cause"))


def _administrator(fact: Fact, said: Mapping[str, str]) -> Fact:
    """An administrator's own login to ISE."""
    user(fact, said.get("adminname"))
    address = said.get("adminipaddress")
    if address is not None:
        fact["source_ip"] = addresses.ip(address)
    fact["service_name"] = "ise"
    fact["application_name"] = said.get("admininterface")
    failure = said.get("failurereason") or said.get("operationmessagetext")
    if failure is not None and fact["event_outcome"] == "failure":
        fact["event_reason"] = reason(failure)
    return fact
