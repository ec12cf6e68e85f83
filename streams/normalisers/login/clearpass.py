r"""Aruba ClearPass Policy Manager to login events: its syslog export filters, as pairs, CEF or LEEF.

- `login`: a session record (`Common.Login-Status`, Insight's `Auth.Login-Status`, `login_status` of a dashboard
  summary): `ACCEPT` success, `REJECT` failure; CEF and LEEF without a status by the event's name. TACACS+ and web too.
- `handshake_failed`: `TIMEOUT`: the client never finished.
- `session_start`, `session_update`, `session_end`: RADIUS accounting (`RADIUS.Acct-…`), by Acct-Status-Type; where an
  export has no such column, a record with an end (`Acct-Terminate-Cause`) is `session_end`, another `session_update`.

The columns are whoever made the export filter's choice; all names of the session and Insight templates are read.
`event_reason` is the alert, else the error code. `application_name` is the service that ClearPass matched.
Values are not quoted and may hold commas: a value ends where the next name begins. Of equal names the first counts, for
ClearPass writes the columns in alphabetical order and the user's name behind most of them; two different statuses in
one record are refused, because one of them may be part of a name that somebody typed.

Facts: Aruba's "ClearPass Policy Manager User Guide" (Syslog Export Filters, Insight and Session Log fields, CEF, LEEF).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from schemas.kinds import EventKind
from streams.normalisers import addresses, moments
from streams.normalisers.lines import Unreadable
from streams.normalisers.login.network_fields import is_mac_name, method, radius, reason, stated, user, whole
from streams.normalisers.login.nps_codes import end_reason
from streams.normalisers.login.reasons_network import NetworkIgnored
from streams.normalisers.login.segments import Piece, SegmentNormaliser
from streams.normalisers.masking import MASK
from streams.normalisers.payload import cef, leef
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.records import Fact, Head, Read

ACTIONS: Final = ("login", "handshake_failed", "session_start", "session_end", "session_update")

_STAMP = (
    r"(?:\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[^\s]{0,16}|[A-Z][a-z]{2} [ \d]\d(?: \d{4})? \d\d:\d\d:\d\d)(?: [A-Z]{3,4})?"
)
_HEAD = re.compile(
    rf"(?:<\d{{1,3}}>)? ?(?:{_STAMP} {{1,2}}\S{{1,255}} {{1,2}}(?={_STAMP} ))?(?:({_STAMP}) {{1,2}})?"
    r"(\S{1,255}) {1,2}([A-Za-z\[(][^=|{}]{0,100}?),? (\d{1,10}) (\d{1,3}) (\d{1,3}) +(.*)\Z",
    re.DOTALL | re.ASCII,
)
_KEY = re.compile(r"(?:^|,)\s*([A-Za-z][A-Za-z0-9_]{0,30}(?:\.[A-Za-z][\w\- ]{0,60})?) ?=", re.ASCII)
_NEXT_KEY = re.compile(_KEY.pattern.replace("(?:^|,)", ","), re.ASCII)  # faster, of a text with a comma before it
_PREFIXES: Final = ("common.", "radius.", "webauth.", "tacacs.", "auth.", "radiusacct.", "endpoint.", "cppm")
_ZONE_NAME = re.compile(r" [A-Z]{3,4}\Z")
_SPACES = re.compile(r"\s+")
_BROKEN_DATE = re.compile(r"-\s+")
_SESSION = re.compile(r"(?:Common|Auth|RADIUS|WEBAUTH|TACACS|RadiusAcct)\.|(?:^|,)login_status=")
_LOGIN_STATUS = re.compile(r"(?:^|,)\s*\w{0,16}\.?[Ll]ogin[-_][Ss]tatus ?=([^,]{0,64})", re.ASCII)
_STATUS: Final[Mapping[str, tuple[str, str]]] = {
    "accept": ("login", "success"),
    "reject": ("login", "failure"),
    "timeout": ("handshake_failed", "failure"),
}
_BY_NAME: Final = (
    ("accounting", "accounting"), ("failed", "reject"), ("authentication", "accept"), ("logged in", "accept"),
    ("guest access", "accept"), ("webauth", "accept"),
)  # fmt: skip
_REQUESTS: Final[Mapping[str, str]] = {"W": "webauth", "T": "tacacs"}
_ACCT: Final[Mapping[str, str]] = {
    "start": "session_start", "1": "session_start", "stop": "session_end", "2": "session_end",
    "interim-update": "session_update", "interim update": "session_update", "3": "session_update",
    "accounting-start": "session_start", "accounting-stop": "session_end",
}  # fmt: skip
_SAME: Final[Mapping[str, str]] = {
    name: canonical
    for canonical, names in {
        "user-name": "username acct-username duser usrname suser",
        "calling-station-id": "host-mac-address mac-address acct-calling-station-id dmac smac",
        "called-station-id": "acct-called-station-id ap-name",
        "nas-ip-address": "acct-nas-ip-address nas-ip",
        "nas-identifier": "nas-name",
        "nas-port": "acct-nas-port",
        "tunnel-private-group-id": "vlan",
        "framed-ip-address": "acct-framed-ip-address",
        "client-address": "host-ip-address remote-address src",
        "service": "service-name acct-service-name destinationservicename",
        "alerts": "alert reason",
        "request-id": "externalid",
    }.items()
    for name in names.split()
}
_UNKNOWN_USER = re.compile(r"not (?:present|found) in|unknown user|User not found", re.IGNORECASE)


class ClearpassNormaliser(SegmentNormaliser):
    """Records of ClearPass's syslog export filters."""

    kind = EventKind.LOGIN
    type_name = "clearpass"
    DATASET = "clearpass"
    fields = (
        "timestamp", "event_dataset", "event_action", "event_outcome", "event_reason", "observer_hostname",
        "process_name", "process_pid", "user_name", "user_domain", "user_known", "source_ip", "source_mac",
        "login_method", "service_name", "session_id", "session_seconds", "access_point", "network_ssid", "nas_ip",
        "nas_port", "host_name", "application_name", "assigned_ip", "network_vlan",
    )  # fmt: skip

    def _head(self, text: str) -> Head:
        """Pairs stand behind a head of ClearPass's own, which is looked for in the whole line."""
        if text[:1] == "{" or "CEF:" in text or "LEEF:" in text:
            return super()._head(text)
        return Head("", None, None, None, text)

    def piece(self, head: Head) -> Piece | Read:
        """See `SegmentNormaliser.piece`."""
        if "CEF:" in head.message or "LEEF:" in head.message:
            return self._enveloped_record(head)
        found = _HEAD.match(head.message)
        if found is None:
            line = self._splitter.split(head.message)
            if line is not None and line.program is not None:
                return Ignored.OTHER_PROGRAM
            return Unreadable(Refused.UNKNOWN_FORM, "no record of ClearPass")
        stamp, host, name, number, total, segment, text = found.groups()
        return Piece(f"{host}\n{stamp or ''}\n{name}\n{number}", int(total), int(segment), text)

    def message(self, key: str, text: str) -> Read:
        """See `SegmentNormaliser.message`."""
        host, stamp, _, _ = key.split("\n")
        if _SESSION.search(text) is None:
            return NetworkIgnored.CLEARPASS_OTHER
        if text.count("ogin-") + text.count("ogin_") > 1 and len(set(_LOGIN_STATUS.findall(text))) > 1:
            return Unreadable(Refused.BAD_FIELD, "two different statuses in one record")
        fact = self._fact(_pairs(text), "")
        if not isinstance(fact, dict):
            return fact
        fact["observer_hostname"] = host
        if "timestamp" not in fact and stamp:
            when = self.clock.micros(_ZONE_NAME.sub("", stamp).replace(",", "."))
            if when is not None:
                fact["timestamp"] = when
        return fact

    def _enveloped_record(self, head: Head) -> Read:
        record = cef(head.message)
        if record is not None:
            ours = "clearpass" in record.product.lower()
            return self._fact(record.fields, record.name) if ours else Ignored.OTHER_PROGRAM
        other = leef(head.message)
        if other is None:
            return Unreadable(Refused.UNKNOWN_FORM, "a CEF or LEEF head of unknown form")
        if "clearpass" not in other.product.lower():
            return Ignored.OTHER_PROGRAM
        return self._fact(other.fields, other.fields.get("cat", other.event_id))

    def _fact(self, fields: Mapping[str, str], name: str) -> Fact | Ignored | NetworkIgnored | Unreadable:
        said = _named(fields)
        kind = _kind(said, name)
        if kind is None:
            return NetworkIgnored.CLEARPASS_OTHER
        fact: Fact = {"event_action": kind[0], "event_outcome": kind[1]}
        when = self._time(said)
        if when is not None:
            fact["timestamp"] = when
        _network(fact, said)
        return fact

    def _time(self, said: Mapping[str, str]) -> int | None:
        for key in ("request-timestamp", "timestamp", "acct-timestamp", "rt", "devtime", "start", "write-timestamp"):
            text = said.get(key)
            if text is None:
                continue
            if "- " in text or not text.isprintable():
                text = _BROKEN_DATE.sub("-", text)
            when = moments.zoned(text) or self.clock.micros(text.replace(" IST", "")) or moments.since_1970(text)
            when = when or moments.common(text.replace(",", ""), self.clock)
            if when is not None:
                return self.clock.seen(when)
        return None


def _pairs(text: str) -> dict[str, str]:
    """Pairs whose values may hold commas; of equal names the first counts."""
    parts = _NEXT_KEY.split(f",{text}")
    words = parts[1::2]
    found = dict(zip(words, parts[2::2], strict=True))
    if len(found) == len(words) and all(map(_is_name, words)):  # most by far
        if words:
            found[words[-1]] = found[words[-1]].rstrip(", ")
        return found
    return _pairs_one_by_one(text)


@lru_cache(maxsize=4_096)
def _is_name(word: str) -> bool:
    return "." not in word or word.lower().startswith(_PREFIXES)


def _pairs_one_by_one(text: str) -> dict[str, str]:
    """Where a value holds what looks like a name, or a name comes twice."""
    found: dict[str, str] = {}
    name, behind = "", 0
    for key in _KEY.finditer(text):
        word = key[1]
        if not _is_name(word):
            continue
        if name and name not in found:
            found[name] = text[behind : key.start()]
        name, behind = word, key.end()
    if name:
        found.setdefault(name, text[behind:].rstrip(", "))
    return found


@lru_cache(maxsize=4_096)
def _canonical(name: str) -> str:
    """The name behind the template's prefix, in lower case with dashes, and one for all that mean the same."""
    plain = _SPACES.sub("", name).lower().rpartition(".")[2].replace("_", "-")
    return _SAME.get(plain, plain)


def _named(fields: Mapping[str, str]) -> dict[str, str]:
    """Values by canonical names; nothing but what is stated."""
    said: dict[str, str] = {}
    for name, value in zip(_canonical_names(tuple(fields)), fields.values(), strict=True):
        if value and (text := stated(value)) is not None and name not in said:
            said[name] = text
    return said


@lru_cache(maxsize=256)
def _canonical_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """`_canonical` of the columns of an export filter, which are the same in most of its records."""
    return tuple(map(_canonical, names))


def _kind(said: Mapping[str, str], name: str) -> tuple[str, str] | None:
    status = said.get("login-status") or said.get("outcome")
    if status is not None and status.lower() in _STATUS:
        return _STATUS[status.lower()]
    accounting = said.get("acct-status-type") or said.get("acct-status") or name
    if accounting.lower() in _ACCT:
        return _ACCT[accounting.lower()], "unknown"
    lower = name.lower()
    word = next((word for part, word in _BY_NAME if part in lower), "")
    if word == "accounting" or any(key.startswith("acct-") for key in said):
        ended = "acct-terminate-cause" in said or "acct-end-time" in said
        return ("session_end" if ended else "session_update"), "unknown"
    return _STATUS.get(word) if "audit" not in lower else None


def _network(fact: Fact, said: Mapping[str, str]) -> None:
    get = said.get
    alerts, name = get("alerts"), get("user-name")
    user(fact, name, unknown=alerts is not None and _UNKNOWN_USER.search(alerts) is not None)
    radius(fact, said)
    request = get("request-id") or get("session-id")
    if "session_id" not in fact and request is not None:
        fact["session_id"] = request
    address = get("client-address")
    if address is not None and (ip := addresses.ip(address)) is not None:
        fact["source_ip"] = ip
    if "ssid" in said:
        fact["network_ssid"] = said["ssid"]
    fact["host_name"] = get("hostname")
    fact["application_name"] = get("service") or get("cs1")
    how = get("auth-method") or get("auth-type") or get("protocol")
    fact["login_method"] = "mab" if how is None and is_mac_name(name) else method(how)
    asked = (get("protocol") or get("source") or get("req-source") or "").lower()
    fact["service_name"] = "tacacs" if "tacacs" in asked else _REQUESTS.get((request or "")[:1], "radius")
    fact["session_seconds"] = whole(get("acct-session-time"))
    if fact["event_outcome"] == "failure":
        if alerts is not None and name is not None and fact.get("user_name") == MASK:
            alerts = alerts.replace(name, MASK)
        code = get("error-code-details") or get("error-code")
        fact["event_reason"] = reason(alerts) or (f"error code {code}" if code not in (None, "0") else None)
    elif fact["event_action"] == "session_end":
        fact["event_reason"] = end_reason(get("acct-terminate-cause"))
