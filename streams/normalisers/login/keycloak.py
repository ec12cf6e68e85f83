"""Keycloak's events, as its log and its event store write them, to login events.

Read are lines of the logger `org.keycloak.events` (old and new quoting, Quarkus and WildFly, text and JSON), and the
objects of the admin interface `/events`.

- `login`: LOGIN, LOGIN_ERROR. `login_step`: something more is asked for.
- `handshake_failed`: LOGIN_ERROR for a client's fault or an expired page: nobody's credentials were looked at.
- `authentication`: tokens, other identity providers, service accounts.
- `attempts_exceeded`: brute force protection disabled the account.
- `session_start`: IMPERSONATE. `session_end`: LOGOUT and deleted sessions.

`event_outcome` is failure where the type ends with `_ERROR`; `event_reason` is `error`. `user_not_found` is a name that
no account has. `user_domain` is the realm where it has a name and the account none.

Facts: Keycloak's EventType and Errors, JBossLoggingEventListenerProvider (versions 4 to 26), EventRepresentation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from schemas.kinds import EventKind
from streams.normalisers.json_records import at, decoded
from streams.normalisers.lines import Unreadable
from streams.normalisers.login import cloud
from streams.normalisers.login.reasons_cloud import CloudIgnored
from streams.normalisers.login.stamped import StampedNormaliser
from streams.normalisers.reasons import Refused
from streams.normalisers.records import Fact, Head, Read

ACTIONS: Final = (
    "login", "login_step", "handshake_failed", "authentication", "attempts_exceeded", "session_start", "session_end",
)  # fmt: skip

_TOKENS = (
    "CODE_TO_TOKEN REFRESH_TOKEN TOKEN_EXCHANGE CLIENT_LOGIN OAUTH2_DEVICE_CODE_TO_TOKEN AUTHREQID_TO_TOKEN "
    "IDENTITY_PROVIDER_LOGIN IDENTITY_PROVIDER_FIRST_LOGIN IDENTITY_PROVIDER_POST_LOGIN FEDERATED_IDENTITY_LINK_LOGIN"
)
_ACTIONS: Final[Mapping[str, str]] = {
    "LOGIN": "login",
    "LOGOUT": "session_end",
    "USER_SESSION_DELETED": "session_end",
    "IMPERSONATE": "session_start",
    "RESTART_AUTHENTICATION": "login_step",
    "OAUTH2_DEVICE_AUTH": "login_step",
    "OAUTH2_DEVICE_VERIFY_USER_CODE": "login_step",
    "USER_DISABLED_BY_TEMPORARY_LOCKOUT": "attempts_exceeded",
    "USER_DISABLED_BY_PERMANENT_LOCKOUT": "attempts_exceeded",
    **dict.fromkeys(_TOKENS.split(), "authentication"),
}
_QUESTIONS: Final = frozenset(
    "INTROSPECT_TOKEN USER_INFO_REQUEST PERMISSION_TOKEN VALIDATE_ACCESS_TOKEN REVOKE_GRANT TOKEN_REVOCATION".split()
)
_CLIENT_FAULTS: Final = frozenset(
    "invalid_redirect_uri client_not_found expired_code invalid_code cookie_not_found session_expired invalid_request "
    "invalid_client client_disabled not_allowed invalid_signature invalid_authn_request unauthorized_client "
    "invalid_client_credentials already_logged_in expired_token user_session_not_found temporarily_unavailable "
    "different_user_authenticated invalid_saml_response invalid_token realm_disabled ssl_required "
    "rejected_by_user unsupported_nameid_format invalid_registration".split()
)
_ASKED: Final = frozenset({"login_required", "interaction_required", "authentication_expired"})
_PASSWORD: Final = frozenset({"invalid_user_credentials", "user_not_found", "user_temporarily_disabled"})
_BODY = re.compile(
    r'(?:^|[)\]:] )((?:type="?([A-Z][A-Z0-9_]{2,60})"?|operationType="?\w{1,32}"?), realm\w{0,8}=.*)\Z', re.DOTALL
)
_PAIR = re.compile(
    r"([A-Za-z_][\w.\-]*)=(?:\"((?:[^\"\\]|\\.)*)\"|'([^']*)'|(.*?))(?:, (?=[A-Za-z_][\w.\-]*=)|\Z)",
    re.DOTALL | re.ASCII,
)
_NEXT = re.compile(r", (?=[A-Za-z_][\w.\-]*=)", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.ASCII)


class KeycloakNormaliser(StampedNormaliser):
    """The server's log, or events of the event store."""

    kind = EventKind.LOGIN
    type_name = "keycloak"
    DATASET = "keycloak"
    OWN = (
        re.compile(
            r"(?P<stamp>\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.,]\d{3}(?:Z|[+-]\d\d:?\d\d)?) (?P<rest>[A-Z]{4,8} +\[.*)\Z",
            re.DOTALL | re.ASCII,
        ),
    )
    fields = tuple(
        "timestamp event_dataset event_action event_outcome event_reason observer_hostname process_name process_pid "
        "user_name user_domain user_known target_user_name source_ip login_method login_type service_name session_id "
        "application_name".split()
    )

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        message = head.message
        if message[:1] == "{":
            return self._json(message)
        body = _BODY.search(message)
        if body is None:
            return CloudIgnored.KEYCLOAK_OTHER
        if body[2] is None:
            return CloudIgnored.ADMINISTRATION
        return _event(body[2], _pairs(body[1]), None)

    def _json(self, message: str) -> Read:
        try:
            obj = decoded(message)
        except ValueError as error:
            return Unreadable(Refused.BROKEN_PAYLOAD, f"no JSON: {error}"[:200])
        event_type = obj.get("type") if isinstance(obj, dict) else None
        if isinstance(event_type, str) and ("realmId" in obj or "clientId" in obj):
            when = cloud.utc(obj.get("time"))
            details = obj.get("details")
            values = {**(details if isinstance(details, dict) else {}), **obj}
            return cloud.NO_TIME if when is None else _event(event_type, values, when)
        said = (obj.get("message") or obj.get("log")) if isinstance(obj, dict) else None  # log: a container's output
        body = _BODY.search(said.rstrip("\r\n")) if isinstance(said, str) else None
        if body is None or body[2] is None:
            return CloudIgnored.KEYCLOAK_OTHER if body is None else CloudIgnored.ADMINISTRATION
        when = cloud.utc(obj.get("timestamp") or obj.get("@timestamp") or obj.get("time"))
        if when is None:
            return cloud.NO_TIME
        taken = _event(body[2], _pairs(body[1]), when)
        host = cloud.stated(obj.get("hostName") or at(obj, "host.name"))
        if isinstance(taken, dict) and host is not None:
            taken["observer_hostname"] = host
        return taken


def _pairs(text: str) -> dict[str, Any]:
    """`type="LOGIN", realmId='a b', clientId=app, …`; of equal keys the first counts: what a client chose is behind."""
    found: dict[str, Any] = {}
    if not text.startswith("type="):
        return _pairs_one_by_one(text)
    for part in _NEXT.split(text):
        key, _, value = part.partition("=")
        sign = value[:1]
        if sign in {'"', "'"}:
            inner = value[1:-1]
            if len(value) < 2 or value[-1] != sign or sign in inner or "\\" in inner:
                return _pairs_one_by_one(text)
            value = inner
        if key not in found:
            found[key] = value
    return found


def _pairs_one_by_one(text: str) -> dict[str, Any]:
    """Where a value in quotes may hold what looks like the next key."""
    found: dict[str, Any] = {}
    for key, double, single, bare in _PAIR.findall(text):
        found.setdefault(key, double or single or bare)
    return found


def _event(event_type: str, values: Mapping[str, Any], when: int | None) -> Read:
    failed = event_type.endswith("_ERROR")
    name = event_type.removesuffix("_ERROR")
    action = _ACTIONS.get(name)
    if action is None:
        return CloudIgnored.KEYCLOAK_OTHER if name in _QUESTIONS else CloudIgnored.ADMINISTRATION
    error = cloud.stated(values.get("error"))
    outcome = "failure" if failed or action == "attempts_exceeded" else "success"
    if action == "login" and failed:
        if error in _ASKED:
            action, outcome = "login_step", "unknown"
        elif error in _CLIENT_FAULTS:
            action = "handshake_failed"
    ip, _ = cloud.address(values.get("ipAddress"))
    fact: Fact = {
        "event_action": action,
        "event_outcome": outcome,
        "event_reason": cloud.reason(error or values.get("reason"))
        if failed or action == "attempts_exceeded"
        else None,
        "source_ip": ip,
        "login_method": _method(values, error),
        "login_type": "service" if name == "CLIENT_LOGIN" else None,
        "service_name": "keycloak",
        "session_id": cloud.stated(values.get("sessionId")) or cloud.stated(values.get("code_id")),
        "application_name": cloud.stated(values.get("clientId")),
    }
    if when is not None:
        fact["timestamp"] = when
    _people(fact, values, action, unknown=error == "user_not_found")
    return fact


def _people(fact: Fact, values: Mapping[str, Any], action: str, *, unknown: bool) -> None:
    user = cloud.stated(values.get("username")) or cloud.stated(values.get("userId"))
    impersonator = cloud.stated(values.get("impersonator"))
    if action == "session_start" and impersonator is not None:
        fact["target_user_name"] = user
        user = impersonator
    cloud.name_account(fact, user, unknown=unknown)
    realm = cloud.stated(values.get("realmName")) or cloud.stated(values.get("realmId"))
    if user is not None and fact.get("user_domain") is None and realm is not None and _UUID.match(realm) is None:
        fact["user_domain"] = realm


def _method(values: Mapping[str, Any], error: str | None) -> str | None:
    provider = cloud.lower(values.get("identity_provider")) or cloud.lower(values.get("credential_type"))
    if provider is not None:
        return provider
    return "password" if error in _PASSWORD or values.get("grant_type") == "password" else None
