"""Auth0's tenant log to login events.

Read are log events of the Management API, of log streams (`log_id`, `data`), and of EventBridge and other wrappers.

- `login`: s, f, fp, fu, fc, fens, sens and the password grant sepft, fepft.
- `login_step`: a second factor, a code or link that was sent, a device confirmation; nobody signed in (fsa).
- `authentication`: tokens exchanged (also by machines: seccft), silent and cross-origin authentication.
- `refused`: a leaked password (pwd_leak), a blocked origin (fco).
- `attempts_exceeded`: limit_wc, limit_mu, limit_sul and the limits of second factors.
- `session_end`: slo; flo could not.

`event_outcome` is by the type. `event_reason` is the description, `details.error.message` where that says more.
`fu` is a name that no account has.

Facts: Auth0, "Log Event Type Codes", "Log Streams", "auth0-log-schemas".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from schemas.kinds import EventKind
from streams.normalisers.json_records import JsonNormaliser, at
from streams.normalisers.lines import Unreadable
from streams.normalisers.login import cloud
from streams.normalisers.login.reasons_cloud import CloudIgnored
from streams.normalisers.reasons import Refused
from streams.normalisers.records import Fact, Head, Read

ACTIONS: Final = ("login", "login_step", "authentication", "refused", "attempts_exceeded", "session_end")

_CODES: Final[Mapping[tuple[str, str], str]] = {
    ("login", "success"): "s sens sepft",
    ("login", "failure"): "f fp fu fc fens fepft",
    ("login_step", "success"): "gd_auth_succeed gd_recovery_succeed gd_module_switch",
    (
        "login_step",
        "failure",
    ): "gd_auth_failed gd_auth_rejected gd_recovery_failed gd_recovery_rate_limit_exceed fdecc fdeac",
    (
        "login_step",
        "unknown",
    ): "mfar cls cs gd_start_auth gd_send_sms gd_send_voice gd_send_email gd_send_pn w fsa sdeac "
    "gd_auth_email_verification",
    ("authentication", "success"): "ssa scoa seacft seccft serft sertft sede seoobft seotpft sercft scoa_success",
    ("authentication", "failure"): "fcoa feacft feccft ferft ferrt fertft fede feoobft feotpft fercft",
    ("refused", "failure"): "pwd_leak fco",
    ("attempts_exceeded", "failure"): "limit_wc limit_mu limit_sul limit_delegation gd_otp_rate_limit_exceed "
    "gd_send_sms_rate_limit_exceed gd_send_voice_rate_limit_exceed gd_webauthn_challenge_failed",
    ("session_end", "success"): "slo",
    ("session_end", "failure"): "flo",
}
_TYPES: Final[Mapping[str, tuple[str, str]]] = {
    code: known_as for known_as, codes in _CODES.items() for code in codes.split()
}
_MACHINES: Final = frozenset({"seccft", "feccft"})
_PASSWORD: Final = frozenset({"fp", "fu", "fepft", "sepft", "limit_wc", "pwd_leak"})
_OURS: Final = (
    "tenant_name",
    "client_id",
    "log_id",
    "user_agent",
    "description",
    "$event_schema",
    "connection_id",
    "_id",
)


class Auth0Normaliser(JsonNormaliser):
    """Log events of a tenant."""

    kind = EventKind.LOGIN
    type_name = "auth0"
    DATASET = "auth0"
    fields = tuple(
        "timestamp event_dataset event_action event_outcome event_reason event_code observer_hostname process_name "
        "process_pid "
        "user_name user_domain user_known source_ip login_method login_type service_name session_id application_name "
        "user_agent_original source_geo_country source_geo_region source_geo_city source_geo_latitude "
        "source_geo_longitude".split()
    )

    def own(self, obj: dict[str, Any]) -> bool:
        """See `JsonNormaliser.own`."""
        return "type" in obj and "date" in obj and any(name in obj for name in _OURS)

    def fact(self, obj: dict[str, Any], head: Head) -> Read:
        """See `JsonNormaliser.fact`."""
        del head
        code = obj.get("type")
        if not isinstance(code, str) or not any(name in obj for name in _OURS):
            return Unreadable(Refused.UNKNOWN_FORM, "no log event of Auth0")
        known_as = _TYPES.get(code)
        if known_as is None:
            return CloudIgnored.ADMINISTRATION
        when = cloud.utc(obj.get("date"))
        return cloud.NO_TIME if when is None else _event(obj, when, code, *known_as)


def _event(obj: dict[str, Any], when: int, code: str, action: str, outcome: str) -> Fact:
    ip, _ = cloud.address(obj.get("ip") or obj.get("client_ip"))
    where = obj.get("location_info")
    where = where if isinstance(where, dict) else {}
    said = at(obj, "details", "error", "message") or obj.get("description")
    method = "password" if code in _PASSWORD or (action == "login" and obj.get("strategy") == "auth0") else None
    fact: Fact = {
        "timestamp": when,
        "event_action": action,
        "event_code": code,
        "event_outcome": outcome,
        "event_reason": cloud.reason(said) if outcome != "success" and isinstance(said, str) else None,
        "source_ip": ip,
        "login_method": method or cloud.lower(obj.get("strategy")),
        "login_type": "service" if code in _MACHINES else None,
        "service_name": "auth0",
        "session_id": cloud.stated(obj.get("session_id")),
        "application_name": cloud.stated(obj.get("client_name")),
        "user_agent_original": cloud.stated(obj.get("user_agent")),
        "source_geo_country": cloud.stated(where.get("country_code")),
        "source_geo_region": cloud.stated(where.get("subdivision_name")),
        "source_geo_city": cloud.stated(where.get("city_name")),
    }
    cloud.place(fact, where.get("latitude"), where.get("longitude"))
    name = cloud.stated(obj.get("user_name")) or cloud.stated(at(obj, "details", "request", "auth", "user", "email"))
    if name is None and code in _MACHINES:
        name = cloud.stated(obj.get("client_name")) or cloud.stated(obj.get("client_id"))
    cloud.name_account(fact, name or cloud.stated(obj.get("user_id")), unknown=code == "fu")
    if code == "fu":
        fact["event_reason"] = "unknown user"  # the description may repeat the name
    return fact
