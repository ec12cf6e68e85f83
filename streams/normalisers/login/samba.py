"""Samba's authentication audit to login events: file servers and Active Directory domain controllers.

- `login`: an Authentication record: a logon that Samba decided (SMB, Kerberos, LDAP, NETLOGON).
- `session_start`: an Authorization record: a session was set up for somebody.

`event_outcome` is by the NT status; `event_reason` is its name. NT_STATUS_NO_SUCH_USER is `user_known` false. Of the
text form the line with `Auth:` is read; the debug header before it is ignored.

Facts: Samba's auth/auth_log.c (4.7 to 4.21); Samba wiki, "Setting up Audit Logging" (`log level = auth_audit:3
auth_json_audit:3`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from schemas.kinds import EventKind
from streams.normalisers import addresses
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.json_records import decoded
from streams.normalisers.lines import Unreadable
from streams.normalisers.login import cloud
from streams.normalisers.login.reasons_cloud import CloudIgnored
from streams.normalisers.moments import zoned
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.records import Fact, Head, Read, RecordNormaliser
from streams.normalisers.times import MONTHS, SourceClock

ACTIONS: Final = ("login", "session_start")

# What a client sends (user, workstation) stands between what Samba writes: a line with two verdicts is refused.
_AUTH = re.compile(
    r"Auth: \[([^,\]]{1,40}),([^\]]{0,80})\] user \[([^\]]{0,256})\]\\\[(.{0,1024})\] at \[([^\]]{10,60})\] "
    r"with \[([^\]]{0,40})\] status \[([A-Z0-9_]{1,80})\] workstation \[(.{0,256})\] remote host \[([^\]]{1,64})\]",
    re.DOTALL | re.ASCII,
)
_SUCCESS = re.compile(
    r"Successful AuthZ: \[([^,\]]{1,40}),([^\]]{0,80})\] user \[([^\]]{0,256})\]\\\[(.{0,1024})\] \[[^\]]{0,200}\] "
    r"at \[([^\]]{10,60})\] Remote host \[([^\]]{1,64})\]",
    re.DOTALL | re.ASCII,
)
_AT = re.compile(
    r"[A-Z][a-z]{2}, (\d{1,2}) ([A-Z][a-z]{2}) (\d{4}) (\d\d:\d\d:\d\d(?:\.\d{1,6})?) (\S{1,6})\Z", re.ASCII
)
_HOST = re.compile(r"ipv[46]:(.*):(\d{1,5})\Z", re.ASCII)
_UTC: Final = SourceClock(NormaliserSettings())
_UNKNOWN: Final = frozenset({"NT_STATUS_NO_SUCH_USER", "NT_STATUS_NO_SUCH_DOMAIN"})
_KINDS: Final[Mapping[str, str]] = {"Authentication": "login", "Authorization": "session_start"}


class SambaNormaliser(RecordNormaliser):
    """log.smbd, log.samba, or the audit through syslog."""

    kind = EventKind.LOGIN
    type_name = "samba"
    DATASET = "samba"
    fields = tuple(
        "timestamp event_dataset event_action event_outcome event_reason observer_hostname process_name process_pid "
        "user_name user_domain user_known source_ip source_port host_name login_method login_type service_name".split()
    )

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        message = head.message
        start = message.find('{"')
        if start >= 0 and "Auth: [" not in message[:start]:
            return _json(message[start:])
        start = message.find("Auth: [")
        if start >= 0:
            if message.count("] status [") > 1:
                return Unreadable(Refused.BAD_FIELD, "two verdicts in a line")
            found = _AUTH.match(message, start)
            return _text(found, self.clock) if found else Unreadable(Refused.UNKNOWN_FORM, "a verdict of unknown form")
        start = message.find("Successful AuthZ: [")
        found = _SUCCESS.match(message, start) if start >= 0 else None
        if found is not None:
            return _authorised(found, self.clock)
        if head.program is not None and head.program.rpartition("/")[2] not in ("smbd", "samba", "winbindd", "nmbd"):
            return Ignored.OTHER_PROGRAM
        return CloudIgnored.SAMBA_OTHER


def _when(text: str, clock: SourceClock) -> int | None:
    """`Thu, 14 Oct 2021 15:24:12.023984 UTC`; a zone by another name is the source's."""
    found = _AT.match(text)
    month = MONTHS.get(found[2]) if found is not None else None
    if found is None or month is None:
        return None
    stamp = f"{found[3]}-{month:02d}-{int(found[1]):02d} {found[4]}"
    return _UTC.micros(stamp) if found[5] in ("UTC", "GMT") else clock.micros(stamp)


def _from(fact: Fact, host: str) -> None:
    found = _HOST.match(host)
    if found is not None:
        fact["source_ip"], fact["source_port"] = addresses.ip(found[1]), addresses.port(found[2])


def _text(found: re.Match[str], clock: SourceClock) -> Read:
    service, about, domain, user, at, method, status, workstation, host = found.groups()
    when = _when(at, clock)
    if when is None:
        return cloud.NO_TIME
    good = status == "NT_STATUS_OK"
    fact: Fact = {
        "timestamp": when,
        "event_action": "login",
        "event_outcome": "success" if good else "failure",
        "event_reason": None if good else status,
        "host_name": cloud.stated(workstation.strip("()")),
        "login_method": method.lower() or None,
        "login_type": cloud.lower(about.strip("()")),
        "service_name": service.lower(),
    }
    _from(fact, host)
    _account(fact, user, domain, unknown=status in _UNKNOWN)
    return fact


def _authorised(found: re.Match[str], clock: SourceClock) -> Read:
    service, method, domain, user, at, host = found.groups()
    when = _when(at, clock)
    if when is None:
        return cloud.NO_TIME
    fact: Fact = {
        "timestamp": when,
        "event_action": "session_start",
        "event_outcome": "success",
        "login_method": cloud.lower(method),
        "service_name": service.lower(),
    }
    _from(fact, host)
    _account(fact, user, domain, unknown=False)
    return fact


def _account(fact: Fact, user: str | None, domain: str | None, *, unknown: bool) -> None:
    cloud.name_account(fact, cloud.stated((user or "").strip("()")), unknown=unknown)
    if fact.get("user_domain") is None and domain:
        fact["user_domain"] = cloud.stated(domain.strip("()"))


def _json(text: str) -> Read:
    try:
        obj = decoded(text)
    except ValueError as error:
        return Unreadable(Refused.BROKEN_PAYLOAD, f"no JSON: {error}"[:200])
    kind = obj.get("type") if isinstance(obj, dict) else None
    record = obj.get(kind) if isinstance(kind, str) else None
    if not isinstance(kind, str) or kind not in _KINDS or not isinstance(record, dict):
        return CloudIgnored.SAMBA_OTHER
    stamp = obj.get("timestamp")
    when = zoned(stamp) if isinstance(stamp, str) else None
    if when is None:
        return cloud.NO_TIME
    return _recorded(record, when, _KINDS[kind])


def _recorded(record: dict[str, Any], when: int, action: str) -> Fact:
    status = str(record.get("status") or "NT_STATUS_OK")
    good = status == "NT_STATUS_OK"
    fact: Fact = {
        "timestamp": when,
        "event_action": action,
        "event_outcome": "success" if good else "failure",
        "event_reason": None if good else cloud.reason(status),
        "host_name": cloud.stated(record.get("workstation")),
        "login_method": cloud.lower(record.get("passwordType") or record.get("authType")),
        "login_type": cloud.lower(record.get("authDescription")),
        "service_name": cloud.lower(record.get("serviceDescription")),
    }
    _from(fact, str(record.get("remoteAddress")))
    user = cloud.stated(record.get("clientAccount")) or cloud.stated(record.get("account"))
    domain = cloud.stated(record.get("clientDomain")) or cloud.stated(record.get("domain"))
    _account(fact, user, domain, unknown=status in _UNKNOWN)
    return fact
