"""Shibboleth's logs to login events: the identity provider's process and audit log, the service provider's daemon.

- `login`: idp-process.log's `Login by 'bob' succeeded` and `failed`; with the option `audit_logins` the audit log's
  entries whose authentication was fresh (`%SSO` false), where that is the only log there is.
- `authentication`: an entry of idp-audit.log: somebody went to a service provider.
- `session_start`, `session_end`: the service provider's sessions, and the audit log's logout profiles.

`event_outcome` of an audit entry is failure where its status (`%S`) is not Success; `event_reason` then the status.

The audit log's format is told by its first value: a time alone is the one of version 3
(`%T|%b|%I|%SP|%P|%IDP|%bb|%III|%u|%ac|%attr|%n|%i|`), an address that of version 4 and later
(`%a|%ST|%T|%u|%SP|…|%UA`); the option `audit_format` names another.

Facts: Shibboleth wiki, IDP4/IDP5 "AuditLoggingConfiguration", IDP30 the same; shibd's transaction log (SP3).
"""

from __future__ import annotations

import re
from typing import Any, Final

from schemas.errors import ConfigError
from schemas.kinds import EventKind
from streams.normalisers import addresses
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.lines import Unreadable
from streams.normalisers.login import cloud
from streams.normalisers.login.reasons_cloud import CloudIgnored
from streams.normalisers.login.stamped import StampedNormaliser
from streams.normalisers.reasons import Refused
from streams.normalisers.records import Fact, Head, Read

ACTIONS: Final = ("login", "authentication", "session_start", "session_end")

_VERSION_3 = "%T|%b|%I|%SP|%P|%IDP|%bb|%III|%u|%ac|%attr|%n|%i|"
_VERSION_4 = "%a|%ST|%T|%u|%SP|%i|%ac|%t|%attr|%n|%f|%SSO|%XX|%XA|%b|%bb|%e|%S|%SS|%s|%UA"
_FIELD = re.compile(r"%\{?([A-Za-z]{1,4})\}?")
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z\Z", re.ASCII)
_PROCESS = re.compile(
    r"(?:([0-9A-Fa-f:.]{3,45}|) ?- )?(?:TRACE|DEBUG|INFO|WARN|ERROR) \[[^\]]{0,200}\](?: - |: )(.*)\Z",
    re.DOTALL | re.ASCII,
)
_VERDICT = re.compile(
    r".{0,200}?: (?:Login|Authentication|External authentication) by '(.*)' (succeeded|failed)\b", re.DOTALL
)
_NEW = re.compile(
    r".{0,80}?: New session \(ID: ([^)\s]{1,256})\) with \(applicationId: ([^)]{0,128})\) for principal from "
    r"\(IdP: ([^)]{0,512})\) at \(ClientAddress: ([^)]{0,64})\) with \(NameIdentifier: ([^)]{0,512})\)",
    re.ASCII,
)
_CREATED = re.compile(
    r".{0,80}?: new session created: ID \(([^)\s]{1,256})\) IdP \(([^)]{0,512})\) Protocol ?\([^)]{0,256}\) "
    r"Address \(([^)]{0,64})\)",
    re.ASCII,
)
_DESTROYED = re.compile(
    r".{0,80}?: (?:Destroyed session|destroyed session|removed session)\s?\(?(?:\(applicationId: ([^)]{0,128})\) )?"
    r"\(?ID:? ?\(?([^)\s]{1,256})\)",
    re.ASCII,
)
_AUTHN = re.compile(r":classes:(\w{1,64})\Z", re.ASCII)
_METHODS: Final = {"PasswordProtectedTransport": "password", "Password": "password", "Kerberos": "kerberos"}


class ShibbolethNormaliser(StampedNormaliser):
    """idp-process.log, idp-audit.log, shibd.log and transaction.log."""

    kind = EventKind.LOGIN
    type_name = "shibboleth"
    DATASET = "shibboleth"
    OWN = (
        re.compile(r"(?P<stamp>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) - (?P<rest>.*)\Z", re.DOTALL | re.ASCII),
        re.compile(
            r"(?P<stamp>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:,\d{3})? "
            r"(?P<rest>(?:DEBUG|INFO|WARN|ERROR|CRIT) (?:Shibboleth|OpenSAML|XMLTooling)\S* \[.*)\Z",
            re.DOTALL | re.ASCII,
        ),
    )
    fields = tuple(
        "timestamp event_dataset event_action event_outcome event_reason observer_hostname process_name process_pid "
        "user_name user_domain source_ip login_method service_name session_id application_name "
        "user_agent_original".split()
    )

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        given = settings.options.get("audit_format")
        if given is not None and (not isinstance(given, str) or "%u" not in given or "%T" not in given):
            raise ConfigError("an audit format has %u and %T", where="options.audit_format", hint=f"e.g. {_VERSION_3}")
        self._given = given.split("|") if isinstance(given, str) else None
        self._logins = settings.options.get("audit_logins") is True

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        message = head.message
        process = _PROCESS.match(message)
        if process is not None:
            return _process(process)
        if message[:64].find("Shibboleth") >= 0:
            return _service_provider(message)
        if "|" in message:
            return self._audit(message)
        return CloudIgnored.SHIBBOLETH_OTHER

    def _audit(self, message: str) -> Read:
        """An entry of idp-audit.log."""
        values = message.split("|")
        names = self._given
        if names is None:
            if _COMPACT.match(values[0]):
                names = _VERSION_3.split("|")
            elif len(values) >= 12 and (not values[0] or addresses.ip(values[0]) is not None):
                names = _VERSION_4.split("|")
            else:
                return CloudIgnored.SHIBBOLETH_OTHER
        if len(values) > len(names) and _token(names[-1]) == "UA":  # an agent may hold bars, and stands last
            values[len(names) - 1 :] = ["|".join(values[len(names) - 1 :])]
        if len(values) < min(len(names), 4) or len(values) > len(names):
            return Unreadable(Refused.UNKNOWN_FORM, f"{len(values)} values, {len(names)} in the format")
        entry = {_token(name): value for name, value in zip(names, values, strict=False)}
        when = _when(entry.get("T", ""))
        return cloud.NO_TIME if when is None else self._entry(entry, when)

    def _entry(self, entry: dict[str, str], when: int) -> Fact:
        status = entry.get("S") or ""
        good = not status or status.endswith(":Success")
        logout = "/logout" in (entry.get("P") or "").lower()
        fresh = self._logins and (entry.get("SSO") or "").lower() == "false"
        action = "session_end" if logout else "login" if fresh and entry.get("u") else "authentication"
        context = _AUTHN.search(entry.get("ac") or "")
        fact: Fact = {
            "timestamp": when,
            "event_action": action,
            "event_outcome": "success" if good else "failure",
            "event_reason": None if good else status.rpartition(":")[2][:200],
            "source_ip": addresses.ip(entry.get("a") or ""),
            "login_method": _METHODS.get(context[1], context[1].lower()) if context is not None else None,
            "service_name": "shibboleth idp",
            "session_id": cloud.stated(entry.get("s")),
            "application_name": cloud.stated(entry.get("SP")),
            "user_agent_original": cloud.stated(entry.get("UA")),
        }
        cloud.name_account(fact, cloud.stated(entry.get("u")))
        return fact


def _token(name: str) -> str:
    found = _FIELD.match(name)
    return found[1] if found is not None else ""


def _when(text: str) -> int | None:
    """`20240301T133000Z` or ISO 8601, always UTC where it does not say otherwise."""
    compact = _COMPACT.match(text)
    if compact is None:
        return cloud.utc(text)
    year, month, day, hour, minute, second = compact.groups()
    return cloud.utc(f"{year}-{month}-{day}T{hour}:{minute}:{second}Z")


def _process(process: re.Match[str]) -> Read:
    """A line of idp-process.log: the verdict on a password."""
    address, said = process.groups()
    verdict = _VERDICT.match(said)
    if verdict is None:
        return CloudIgnored.SHIBBOLETH_OTHER
    fact: Fact = {
        "event_action": "login",
        "event_outcome": "success" if verdict[2] == "succeeded" else "failure",
        "source_ip": addresses.ip(address or ""),
        "login_method": "password",
        "service_name": "shibboleth idp",
    }
    cloud.name_account(fact, verdict[1] or None)
    return fact


def _service_provider(message: str) -> Read:
    """A line of shibd.log or transaction.log."""
    values: dict[str, Any] = {"event_outcome": "success", "service_name": "shibboleth sp"}
    new = _NEW.match(message)
    if new is not None:
        session, application, _, address, name = new.groups()
        fact: Fact = {**values, "event_action": "session_start", "session_id": session}
        fact |= {"application_name": application or None, "source_ip": addresses.ip(address)}
        cloud.name_account(fact, cloud.stated(name))
        return fact
    created = _CREATED.match(message)
    if created is not None:
        return {
            **values, "event_action": "session_start", "session_id": created[1], "source_ip": addresses.ip(created[3]),
        }  # fmt: skip
    destroyed = _DESTROYED.match(message)
    if destroyed is not None:
        application = destroyed[1] or None
        return {**values, "event_action": "session_end", "session_id": destroyed[2], "application_name": application}
    return CloudIgnored.SHIBBOLETH_OTHER
