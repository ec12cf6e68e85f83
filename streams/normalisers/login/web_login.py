"""Smaller sign-on products to login events: Authelia, authentik, LemonLDAP::NG, Mailu, Teleport.

Each line is told by its shape, and `event_dataset` is the product.

- `login`: a first factor's verdict; a login that the product calls one.
- `login_step`: a second factor's verdict. `unknown_user`: authentik's page that asks for a name; the verdict follows.
- `authentication`: authentik's applications. `attempts_exceeded`: banned, or too many attempts.
- `session_start`, `session_end`: Teleport's sessions, logouts, impersonation.

`event_outcome` is the product's word. Sympa, SecureAuth and all else that is told apart but says no verdict is ignored
(`web_login_other`).

Facts: Authelia's handlers/response.go and handler_firstfactor.go (4.33 to 4.39); authentik's EventAction and stages;
LemonLDAP::NG's Lib/Net/LDAP.pm, Main/Run.pm and Auth/*.pm; Mailu's internal/nginx.py and limiter.py; Teleport's audit
event codes.
"""

from __future__ import annotations

import re
from typing import Any, Final

from schemas.kinds import EventKind
from streams.normalisers import addresses
from streams.normalisers.json_records import at, decoded
from streams.normalisers.lines import Unreadable
from streams.normalisers.login import cloud
from streams.normalisers.login.reasons_cloud import CloudIgnored
from streams.normalisers.login.stamped import StampedNormaliser
from streams.normalisers.payload import pairs
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.records import Fact, Head, Read

ACTIONS: Final = (
    "login", "login_step", "unknown_user", "authentication", "attempts_exceeded", "session_start", "session_end",
)  # fmt: skip

_AUTHELIA = re.compile(
    r"(Successful|Unsuccessful) (\w[\w ]{0,40}?) authentication attempt (?:made )?by user "
    r"'(.*?)'(?:: (.*)| and (.*))?\Z",
    re.DOTALL,
)
_NO_DETAILS = re.compile(r"Error occurred getting details for user with username input '(.*)' which usually", re.DOTALL)
_LEMON = re.compile(r"(?:\[(\w{1,8})\] )?(?:Lemonldap::NG ?: )?(.*)\Z", re.DOTALL)
_LEMON_BAD = re.compile(r"Bad password for (.*) \(([0-9A-Fa-f:.]{2,45})\)\Z", re.DOTALL)
_LEMON_MISSING = re.compile(r"(.*) was not found in LDAP directory \(([0-9A-Fa-f:.]{2,45})\)\Z", re.DOTALL)
_LEMON_DONE = re.compile(r"Session granted for (.*) by (\w{1,40}) \(([0-9A-Fa-f:.]{2,45})\)\Z", re.DOTALL)
_LEMON_GONE = re.compile(r"User (.*) has been disconnected from (\w{1,40}) \(([0-9A-Fa-f:.]{2,45})\)\Z", re.DOTALL)
_MAILU_LIMIT = re.compile(
    r"WARNING in limiter: Authentication attempt from (\S{2,45}?) (?:for (.*) )?has been rate-limited\.", re.DOTALL
)
_MAILU = re.compile(
    r"\w{4,8} in \w{1,20}: Login attempt for: (.*)/(\w{1,20})/(\d{1,5}|None) from: "
    r"([0-9A-Fa-f:.]{2,45})/(\d{1,5}|None): (success|failed)(?:: (\w[\w ]{0,40}))?",
    re.DOTALL,
)
_AUTHENTIK: Final = {
    "login": ("login", "success"), "login_failed": ("login", "failure"), "logout": ("session_end", "success"),
    "invalid_identifier": ("unknown_user", "failure"), "authorize_application": ("authentication", "success"),
    "impersonation_started": ("session_start", "success"), "impersonation_ended": ("session_end", "success"),
}  # fmt: skip
_TELEPORT: Final = {
    "user.login": "login", "session.start": "session_start", "session.end": "session_end", "auth": "login_step",
}  # fmt: skip
_LEMON_PROGRAMS: Final = frozenset({"LLNG", "lemonldap-ng", "lemonldap", "llng"})


class WebLoginNormaliser(StampedNormaliser):
    """Lines of the products named in the module."""

    kind = EventKind.LOGIN
    type_name = "web_login"
    DATASET = "web_login"
    OWN = (
        re.compile(
            r"\[(?P<stamp>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3})\] (?P<rest>[A-Z]{4,8} in \w.*)\Z", re.DOTALL | re.ASCII
        ),
    )
    fields = tuple(
        "timestamp event_dataset event_action event_outcome event_reason observer_hostname process_name process_pid "
        "user_name user_domain user_known target_user_name source_ip source_port login_method login_factor "
        "service_name session_id application_name host_name user_agent_original source_geo_country source_geo_city "
        "source_geo_latitude source_geo_longitude".split()
    )

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        message = head.message
        if message[:1] == "{":
            return _json(message)
        if message.startswith('time="'):
            values = pairs(message)
            return _authelia(values) if "msg" in values else CloudIgnored.WEB_LOGIN_OTHER
        if head.program in _LEMON_PROGRAMS:
            return _lemonldap(message)
        if " in " in message[:40]:
            return _mailu(message)
        if head.program is not None and head.program != "wwsympa" and "SecureAuth" not in message[:80]:
            return Ignored.OTHER_PROGRAM
        return CloudIgnored.WEB_LOGIN_OTHER


def _json(message: str) -> Read:
    try:
        obj = decoded(message)
    except ValueError as error:
        return Unreadable(Refused.BROKEN_PAYLOAD, f"no JSON: {error}"[:200])
    if not isinstance(obj, dict):
        return CloudIgnored.WEB_LOGIN_OTHER
    if isinstance(obj.get("msg"), str):
        return _authelia(obj)
    if isinstance(obj.get("action"), str) and ("client_ip" in obj or "auth_via" in obj):
        return _authentik(obj)
    return _teleport(obj) if isinstance(obj.get("event"), str) else CloudIgnored.WEB_LOGIN_OTHER


def _authelia(values: dict[str, Any]) -> Read:
    said = str(values["msg"])
    attempt = _AUTHELIA.match(said)
    missing = _NO_DETAILS.match(said) if attempt is None else None
    if attempt is None and missing is None:
        return CloudIgnored.WEB_LOGIN_OTHER
    when = cloud.utc(values.get("time"))
    if when is None:
        return cloud.NO_TIME
    ip, _ = cloud.address(values.get("remote_ip"))
    fact: Fact = {"timestamp": when, "event_dataset": "authelia", "service_name": "authelia", "source_ip": ip}
    if missing is not None:
        fact |= {"event_action": "login", "event_outcome": "failure", "event_reason": "user not found"}
        cloud.name_account(fact, missing[1] or None, unknown=True)
        return fact
    word, factor, user, why, banned = attempt.groups() if attempt is not None else ("",) * 5
    first = factor == "1FA"
    reason = cloud.reason(why or banned or values.get("error"))
    action = "attempts_exceeded" if banned and "banned" in banned else "login" if first else "login_step"
    fact |= {
        "event_action": action,
        "event_outcome": "success" if word == "Successful" else "failure",
        "event_reason": reason if word == "Unsuccessful" else None,
        "login_method": "password" if first else None,
        "login_factor": None if first else factor.lower(),
    }
    cloud.name_account(fact, user or None, unknown=reason == "user not found")
    return fact


def _authentik(obj: dict[str, Any]) -> Read:
    known_as = _AUTHENTIK.get(str(obj["action"]))
    if known_as is None:
        return CloudIgnored.WEB_LOGIN_OTHER
    when = cloud.utc(obj.get("timestamp") or obj.get("created"))
    if when is None:
        return cloud.NO_TIME
    ip, port = cloud.address(obj.get("client_ip"))
    context = obj.get("context")
    context = context if isinstance(context, dict) else {}
    fact: Fact = {
        "timestamp": when,
        "event_dataset": "authentik",
        "event_action": known_as[0],
        "event_outcome": known_as[1],
        "source_ip": ip,
        "source_port": port,
        "login_method": cloud.lower(context.get("auth_method")) or _stage(at(context, "stage", "model_name")),
        "service_name": "authentik",
        "application_name": cloud.stated(at(context, "authorized_application", "name")),
        "source_geo_country": cloud.stated(at(context, "geo", "country")),
        "source_geo_city": cloud.stated(at(context, "geo", "city")),
    }
    cloud.place(fact, at(context, "geo", "lat"), at(context, "geo", "long"))
    unknown = known_as[0] == "unknown_user"
    typed = context.get("username") if known_as[1] == "failure" else None
    name = cloud.stated(obj.get("identifier") if unknown else typed or at(obj, "user", "username"))
    cloud.name_account(fact, name, unknown=unknown)
    return fact


def _stage(model: Any) -> str | None:
    return "password" if model == "passwordstage" else None


def _teleport(obj: dict[str, Any]) -> Read:
    action = _TELEPORT.get(str(obj["event"]))
    if action is None:
        return CloudIgnored.WEB_LOGIN_OTHER
    when = cloud.utc(obj.get("time"))
    if when is None:
        return cloud.NO_TIME
    ip, port = cloud.address(obj.get("addr.remote") or at(obj, "addr", "remote"))
    good = obj.get("success") is not False and not str(obj.get("code")).endswith("W")
    fact: Fact = {
        "timestamp": when,
        "event_dataset": "teleport",
        "event_action": action,
        "event_outcome": "success" if good else "failure",
        "event_reason": None if good else cloud.reason(obj.get("error")),
        "source_ip": ip,
        "source_port": port,
        "login_method": cloud.lower(obj.get("method")),
        "service_name": "teleport",
        "session_id": cloud.stated(obj.get("sid")),
        "application_name": cloud.stated(obj.get("cluster_name")),
        "user_agent_original": cloud.stated(obj.get("user_agent")),
    }
    if action in ("session_start", "session_end"):
        fact["target_user_name"] = cloud.stated(obj.get("login"))
        fact["host_name"] = cloud.stated(obj.get("server_hostname"))
    cloud.name_account(fact, cloud.stated(obj.get("user")))
    return fact


def _lemonldap(message: str) -> Read:
    body = _LEMON.match(message)
    said = body[2] if body is not None else message
    fact: Fact = {"event_dataset": "lemonldap", "service_name": "lemonldap", "event_action": "login"}
    bad = _LEMON_BAD.match(said)
    if bad is not None:
        fact |= {"event_outcome": "failure", "event_reason": "Bad password", "login_method": "password"}
        fact["source_ip"] = addresses.ip(bad[2])
        cloud.name_account(fact, bad[1])
        return fact
    missing = _LEMON_MISSING.match(said)
    if missing is not None:
        fact |= {"event_outcome": "failure", "event_reason": "not found in LDAP directory", "login_method": "password"}
        fact["source_ip"] = addresses.ip(missing[2])
        cloud.name_account(fact, missing[1], unknown=True)
        return fact
    done = _LEMON_DONE.match(said)
    gone = _LEMON_GONE.match(said) if done is None else None
    found = done or gone
    if found is None:
        return CloudIgnored.WEB_LOGIN_OTHER
    fact |= {"event_outcome": "success", "event_action": "login" if done is not None else "session_end"}
    fact |= {"login_method": found[2].lower() if done is not None else None, "source_ip": addresses.ip(found[3])}
    cloud.name_account(fact, found[1])
    return fact


def _mailu(message: str) -> Read:
    limit = _MAILU_LIMIT.match(message)
    if limit is not None:
        fact: Fact = {"event_dataset": "mailu", "service_name": "mailu", "event_action": "attempts_exceeded"}
        fact |= {"event_outcome": "failure", "event_reason": "rate-limited", "source_ip": addresses.ip(limit[1])}
        cloud.name_account(fact, limit[2] or None)
        return fact
    attempt = _MAILU.match(message)
    if attempt is None:
        return CloudIgnored.WEB_LOGIN_OTHER
    user, service, _, ip, port, word, why = attempt.groups()
    good = word == "success"
    fact = {"event_dataset": "mailu", "event_action": "login", "event_outcome": "success" if good else "failure"}
    fact |= {"event_reason": None if good else why, "login_method": why.lower() if good and why else None}
    fact |= {"service_name": service.lower(), "source_ip": addresses.ip(ip), "source_port": addresses.port(port)}
    cloud.name_account(fact, user or None)
    return fact
