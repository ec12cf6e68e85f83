"""Okta's System Log to login events.

- `login`: user.session.start, and a RADIUS agent's user.authentication.auth_via_radius, which has no session.
- `login_step`: factors, identity verification and the sign-on policy's verdict (ALLOW, CHALLENGE).
- `authentication`: what a directory, another identity provider or desktop SSO said, and single sign-on to applications.
- `refused`: the policy's DENY, and an application that is not assigned.
- `attempts_exceeded`: the account is locked.
- `session_start`: somebody is impersonated. `session_end`: signed out, session cleared or expired.

`event_outcome` is `outcome.result`: SUCCESS and ALLOW are success, FAILURE, DENY and ABANDONED failure, others
`unknown`. `event_reason` is `outcome.reason`. An actor whose id is `unknown` is a name that no account has.

Facts: Okta, "System Log API" (LogEvent object) and "Event Types".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from schemas.kinds import EventKind
from streams.normalisers.json_records import JsonNormaliser
from streams.normalisers.lines import Unreadable
from streams.normalisers.login import cloud
from streams.normalisers.login.reasons_cloud import CloudIgnored
from streams.normalisers.reasons import Refused
from streams.normalisers.records import Fact, Head, Read

ACTIONS: Final = (
    "login", "login_step", "authentication", "refused", "attempts_exceeded", "session_start", "session_end",
)  # fmt: skip

_ACTIONS: Final[Mapping[str, str]] = {
    "user.session.start": "login",
    "user.authentication.auth_via_radius": "login",
    "user.authentication.auth_via_mfa": "login_step",
    "user.authentication.verify": "login_step",
    "user.authentication.authenticate": "login_step",
    "user.authentication.auth_via_webauthn": "login_step",
    "user.mfa.okta_verify.deny_push": "login_step",
    "user.mfa.okta_verify.deny_push_upgrade_needed": "login_step",
    "user.mfa.attempt_bypass": "login_step",
    "system.push.send_factor_verify_push": "login_step",
    "policy.evaluate_sign_on": "login_step",
    "policy.auth_reevaluate.fail": "refused",
    "user.authentication.sso": "authentication",
    "user.authentication.auth": "authentication",
    "user.authentication.auth_via_AD_agent": "authentication",
    "user.authentication.auth_via_LDAP_agent": "authentication",
    "user.authentication.auth_via_IDP": "authentication",
    "user.authentication.auth_via_inbound_SAML": "authentication",
    "user.authentication.auth_via_inbound_delauth": "authentication",
    "user.authentication.auth_via_iwa": "authentication",
    "user.authentication.auth_via_social": "authentication",
    "user.authentication.auth_via_richclient": "authentication",
    "user.authentication.auth_unconfigured_identifier": "authentication",
    "user.session.access_admin_app": "authentication",
    "app.generic.unauth_app_access_attempt": "refused",
    "user.account.lock": "attempts_exceeded",
    "user.account.lock.limit": "attempts_exceeded",
    "user.session.impersonation.initiate": "session_start",
    "user.session.impersonation.end": "session_end",
    "user.session.end": "session_end",
    "user.session.expire": "session_end",
    "user.session.clear": "session_end",
    "user.authentication.slo": "session_end",
    "user.authentication.universal_logout": "session_end",
}
_FAILS: Final = frozenset({"refused", "attempts_exceeded"})
_OUTCOMES: Final[Mapping[str, str]] = {
    "SUCCESS": "success", "ALLOW": "success", "FAILURE": "failure", "DENY": "failure", "ABANDONED": "failure",
}  # fmt: skip
_CAMEL: Final[Mapping[str, str]] = {
    "eventtype": "eventType", "authenticationcontext": "authenticationContext", "securitycontext": "securityContext",
    "debugcontext": "debugContext", "displaymessage": "displayMessage", "legacyeventtype": "legacyEventType",
}  # fmt: skip
_NO_FACTOR: Final = frozenset({"password_as_factor", "password", "okta_password"})


class OktaNormaliser(JsonNormaliser):
    """LogEvent objects."""

    kind = EventKind.LOGIN
    type_name = "okta"
    DATASET = "okta"
    fields = tuple(
        "timestamp event_dataset event_action event_outcome event_reason event_code observer_hostname process_name "
        "process_pid "
        "user_name user_domain user_known source_ip login_method login_factor service_name session_id application_name "
        "device_id host_name target_user_name user_agent_original source_geo_country source_geo_region source_geo_city "
        "source_geo_latitude source_geo_longitude source_is_proxy event_details".split()
    )

    def own(self, obj: dict[str, Any]) -> bool:
        """See `JsonNormaliser.own`."""
        return "eventType" in obj or "eventtype" in obj

    def fact(self, obj: dict[str, Any], head: Head) -> Read:
        """See `JsonNormaliser.fact`."""
        del head
        if "eventType" not in obj:
            obj = {_CAMEL.get(name, name): value for name, value in obj.items()}
        event_type = obj.get("eventType")
        if not isinstance(event_type, str):
            return Unreadable(Refused.UNKNOWN_FORM, "no LogEvent")
        action = _ACTIONS.get(event_type)
        if action is None:
            return CloudIgnored.ADMINISTRATION
        when = cloud.utc(obj.get("published"))
        if when is None:
            return cloud.NO_TIME
        return _event(obj, event_type, action, when)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _event(obj: dict[str, Any], event_type: str, action: str, when: int) -> Fact:
    outcome = _object(obj.get("outcome"))
    result = _OUTCOMES.get(str(outcome.get("result")).upper(), "unknown")
    if event_type == "policy.evaluate_sign_on" and result == "failure":
        action = "refused"
    if action in _FAILS or event_type.startswith("user.mfa.okta_verify.deny"):
        result = "failure"
    client, context = _object(obj.get("client")), _object(obj.get("authenticationContext"))
    debug = _object(_object(obj.get("debugContext")).get("debugData"))
    device = _object(obj.get("device"))
    factor = cloud.lower(debug.get("factor"))
    credential = cloud.lower(context.get("credentialType"))
    proxy = _object(obj.get("securityContext")).get("isProxy")
    ip, _ = cloud.address(client.get("ipAddress"))
    fact: Fact = {
        "timestamp": when,
        "event_action": action,
        "event_code": event_type,
        "event_outcome": result,
        "event_reason": cloud.reason(outcome.get("reason")),
        "source_ip": ip,
        "login_method": "password" if factor in _NO_FACTOR else credential,
        "login_factor": None if factor in _NO_FACTOR else factor,
        "service_name": "okta",
        "session_id": cloud.stated(context.get("externalSessionId")),
        "application_name": _target(obj, ("AppInstance", "AppUser"), "displayName"),
        "device_id": cloud.stated(device.get("id")) or cloud.stated(debug.get("deviceFingerprint")),
        "host_name": cloud.stated(device.get("name")),
        "user_agent_original": cloud.stated(_object(client.get("userAgent")).get("rawUserAgent")),
        "source_is_proxy": proxy if isinstance(proxy, bool) else None,
    }
    fact["event_details"] = _details(obj, debug)
    _people(fact, obj, event_type)
    _where(fact, _object(client.get("geographicalContext")))
    return fact


def _details(obj: dict[str, Any], debug: dict[str, Any]) -> list[str]:
    address = debug.get("requestUri")  # its parameters may be tokens
    said = [("requestUri", address.partition("?")[0] if isinstance(address, str) else None)]
    said += [(name, obj.get(name)) for name in ("displayMessage", "legacyEventType")]
    return cloud.details([*said, *((name, debug.get(name)) for name in ("behaviors", "logOnlySecurityData"))])


def _people(fact: Fact, obj: dict[str, Any], event_type: str) -> None:
    """The account, and for an impersonation the one that it is about."""
    actor = _object(obj.get("actor"))
    person = actor.get("type") in ("User", None)
    target = _target(obj, ("User",), "alternateId")
    name = cloud.stated(actor.get("alternateId")) if person else None
    unknown = person and actor.get("id") == "unknown" and fact["event_outcome"] == "failure"
    if name is None or (target is not None and event_type in ("user.account.lock", "user.account.lock.limit")):
        name = target or name
    if "impersonation" in event_type and target != name:
        fact["target_user_name"] = target
    cloud.name_account(fact, name, unknown=unknown)


def _target(obj: dict[str, Any], kinds: tuple[str, ...], key: str) -> str | None:
    """A value of the first target of some type."""
    targets = obj.get("target")
    for target in targets if isinstance(targets, list) else ():
        if isinstance(target, dict) and target.get("type") in kinds:
            return cloud.stated(target.get(key))
    return None


def _where(fact: Fact, where: dict[str, Any]) -> None:
    fact["source_geo_city"] = cloud.stated(where.get("city"))
    fact["source_geo_region"] = cloud.stated(where.get("state"))
    fact["source_geo_country"] = cloud.stated(where.get("country"))
    point = _object(where.get("geolocation"))
    cloud.place(fact, point.get("lat"), point.get("lon"))
