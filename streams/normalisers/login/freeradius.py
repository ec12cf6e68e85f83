"""FreeRADIUS' radius.log to login events: the verdicts that `auth = yes` writes.

Read are the forms of version 2 and 3, in radius.log's own layout (`Tue Mar  3 10:11:12 2020 : Auth: (12) Login OK: …`)
or behind a syslog header, with whatever `msg_goodpass` and `msg_badpass` add behind.

- `login`: `Login OK` and `Login incorrect`, `Invalid user`, `Rejected in post-auth`, `Multiple logins`.
- `authentication`: the same with `via TLS tunnel`: the inner half of an EAP login whose outer half is the `login`.

`event_reason` is what stands in brackets behind the verdict. What `auth_badpass` and `auth_goodpass` write behind the
user name is a password: it is never stored, and masked in dead letters. `<via Auth-Type = eap>` there is the method.

Facts: `src/main/auth.c` (`rad_authlog`) of FreeRADIUS 2.2 and 3.0 to 3.2, and radiusd.conf's `log` section.
"""

from __future__ import annotations

import re
from typing import Final

from schemas.kinds import EventKind
from streams.normalisers import addresses
from streams.normalisers.lines import Collected, Fields, LineNormaliser, Taken, Unreadable
from streams.normalisers.login.login_fields import LOGIN_COLUMNS, LoginFields, login_row
from streams.normalisers.masking import masked_user
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.syslog import SyslogLine

ACTIONS: Final = ("login", "authentication")

_OWN = re.compile(
    r"([A-Z][a-z]{2} [A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d:\d\d \d{4}"
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)"
    r" ?: (?:([A-Z][A-Za-z ]{2,24}): )?(.*)\Z",
    re.DOTALL | re.ASCII,
)
_CLASS = re.compile(r"(Auth|Info|Error|Warning|WARNING|ERROR|Debug|Proxy|Acct|Notice): (.*)\Z", re.DOTALL)
_NUMBER = re.compile(r"\(\d+\)\s+")
_VERDICT = re.compile(
    r"(Login OK|Login incorrect|Invalid user|Rejected in post-auth|Multiple logins \(max \d+\)(?: \[MPP attempt\])?) ?"
    r"(?: \((.*?)\))?: \[(.*)\] \(from client (\S+) port (\S+)(?: cli ([^)\s]*))?( via TLS tunnel)?\)(?: (.*))?\Z",
    re.DOTALL | re.ASCII,
)
_STARTS = ("Login OK", "Login incorrect", "Invalid user", "Rejected in post-auth", "Multiple logins")
_VIA = re.compile(r"<via Auth-Type = ([^>]{1,64})>\Z", re.IGNORECASE)
_NO_PASSWORD = re.compile(r"<[^>]{0,64}>\Z")


class FreeradiusNormaliser(LineNormaliser):
    """radius.log, or FreeRADIUS through syslog."""

    kind = EventKind.LOGIN
    type_name = "freeradius"
    COLUMNS = LOGIN_COLUMNS
    NEVER = frozenset("target_user_name key_fingerprint source_domain session_id source_port terminal_name".split())

    def _line(self, out: Collected, index: int, raw: bytes) -> None:
        text = raw.decode("utf-8", "backslashreplace")
        own = _OWN.match(text)
        if own is None:
            super()._line(out, index, raw)
            return
        timestamp = self._clock.micros(own[1])
        if timestamp is None:
            self._refuse(out, index, raw, Unreadable(Refused.BAD_TIME, f"no such time: {own[1]}"), None)
            return
        line = SyslogLine(own[1], None, None, None, own[3] if own[2] is None else f"{own[2]}: {own[3]}")
        self._add(out, index, raw, (timestamp, None, None, None), self._taken(line))

    def take(self, line: SyslogLine) -> Taken:
        """What a line says."""
        program, message = line.program, line.message
        if program is not None and "radius" not in program.lower():
            return Ignored.OTHER_PROGRAM
        tagged = _CLASS.match(message)
        if tagged is not None:
            if tagged[1] != "Auth":
                return Ignored.RADIUS_SERVER
            message = tagged[2]
        number = _NUMBER.match(message)
        if number is not None:
            message = message[number.end() :]
        if not message.startswith(_STARTS):
            return Ignored.RADIUS_OTHER if tagged is not None else Ignored.RADIUS_SERVER
        found = _VERDICT.match(message)
        if found is None:
            return Unreadable(Refused.UNKNOWN_FORM, "a verdict of unknown form")
        return _verdict(found)


def _verdict(match: re.Match[str]) -> Fields:
    word, reason, who, client, nas_port, station, tunnel, added = match.groups()
    good = word == "Login OK"
    name, method = _who(who)
    fields: LoginFields = {
        "event_reason": reason or (None if good or word == "Login incorrect" else word) or added or None,
        "login_method": method,
        "access_point": client,
        "nas_port": nas_port,
    }
    if word == "Invalid user":
        name, fields["user_known"] = masked_user(name), False
    fields["user_name"] = name or None
    if station:
        fields["source_mac"] = addresses.mac(station)
        fields["source_ip"] = addresses.ip(station) if fields["source_mac"] is None else None
    action = "authentication" if tunnel else "login"
    return login_row("freeradius", action, "success" if good else "failure", "radius", fields)


def _who(text: str) -> tuple[str, str | None]:
    """User name and method; a password behind the name is dropped. `host/…` is the name of a machine."""
    start = len("host/") if text.startswith("host/") else 0
    for mark in ("/<via ", "/<", "/"):
        cut = text.find(mark, start)
        if cut >= 0:
            break
    else:
        return text, None
    name, behind = text[:cut], text[cut + 1 :]
    via = _VIA.match(behind)
    if via is not None:
        return name, via[1].lower()
    if behind.upper().startswith("<CHAP"):
        return name, "chap"
    return name, None if _NO_PASSWORD.match(behind) else "password"
