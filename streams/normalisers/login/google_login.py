"""Login audit of Google Workspace to login events.

Read are activities of the Admin SDK Reports API (applications `login`, `saml` and `context_aware_access`), alone, as a
page, or an event at a time as forwarders put them, rows of the BigQuery export, entries of Google Cloud's audit log.

- `login`: login_success, login_failure.
- `login_step`: login_challenge, login_verification: whether it is the person, and a second factor.
- `authentication`: a SAML application that somebody who is signed in went to.
- `refused`: context-aware access turned a device away; a sensitive action was blocked.
- `account_warning`: Google saw something suspicious, warns of an attack or disabled the account.
- `session_end`: logout.

`event_outcome` is by the event's name, for a challenge by its status. `event_reason` is the kind of failure, the
warning's name, or `suspicious` for a success that Google calls so.

Facts: Google, Reports API "Login Audit Activity Events", "SAML Audit Activity Events", "Context-aware access"; "Schema
for Google Workspace logs in BigQuery".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from schemas.kinds import EventKind
from streams.normalisers.json_records import JsonNormaliser, at
from streams.normalisers.lines import Unreadable
from streams.normalisers.login import cloud
from streams.normalisers.login.reasons_cloud import CloudIgnored
from streams.normalisers.reasons import IgnoredReason, Refused
from streams.normalisers.records import Fact, Head, Read

ACTIONS: Final = ("login", "login_step", "authentication", "refused", "account_warning", "session_end")

_ACTIONS: Final[Mapping[str, tuple[str, str]]] = {
    "login_success": ("login", "success"),
    "login_failure": ("login", "failure"),
    "login_challenge": ("login_step", "unknown"),
    "login_verification": ("login_step", "unknown"),
    "logout": ("session_end", "success"),
    "suspicious_login": ("account_warning", "unknown"),
    "suspicious_login_less_secure_app": ("account_warning", "unknown"),
    "suspicious_programmatic_login": ("account_warning", "unknown"),
    "user_signed_out_due_to_suspicious_session_cookie": ("account_warning", "unknown"),
    "gov_attack_warning": ("account_warning", "unknown"),
    "account_disabled_generic": ("account_warning", "unknown"),
    "account_disabled_hijacked": ("account_warning", "unknown"),
    "account_disabled_password_leak": ("account_warning", "unknown"),
    "account_disabled_spamming": ("account_warning", "unknown"),
    "account_disabled_spamming_through_relay": ("account_warning", "unknown"),
    "risky_sensitive_action_allowed": ("account_warning", "unknown"),
    "risky_sensitive_action_blocked": ("refused", "failure"),
    "access_deny_event": ("refused", "failure"),
}
_APPLICATIONS: Final = frozenset({"login", "saml", "context_aware_access"})
_METHODS: Final[Mapping[str, str]] = {"google_password": "password", "unknown": "", "reauth": ""}
_VALUES: Final = ("value", "multiValue", "boolValue", "multiStrValue", "strValue", "intValue", "multiIntValue")
_FIRST: Final = frozenset({"password", "none", "", "unknown", "other", "passkey"})
_PASSED: Final[Mapping[str, str]] = {"passed": "success", "challenge passed.": "success", "failed": "failure"}


class GoogleLoginNormaliser(JsonNormaliser):
    """Activities of Google Workspace."""

    kind = EventKind.LOGIN
    type_name = "google_login"
    DATASET = "google_login"
    WRAPPERS = (*JsonNormaliser.WRAPPERS, "jsonPayload", "protoPayload")
    fields = tuple(
        "timestamp event_dataset event_action event_outcome event_reason event_code observer_hostname process_name "
        "process_pid "
        "user_name user_domain source_ip login_method login_factor login_type service_name application_name device_id "
        "source_geo_country source_geo_region".split()
    )

    def own(self, obj: dict[str, Any]) -> bool:
        """See `JsonNormaliser.own`."""
        if "record_type" in obj or "protoPayload" in obj:
            return True
        return "id" in obj and ("events" in obj or "actor" in obj or "name" in obj)

    def fact(self, obj: dict[str, Any], head: Head) -> Read:
        """See `JsonNormaliser.fact`."""
        del head
        if "record_type" in obj:
            return _exported(obj)
        if "protoPayload" in obj:
            return _logged(obj)
        about = obj.get("id")
        if not isinstance(about, dict):
            return Unreadable(Refused.UNKNOWN_FORM, "no activity")
        application = about.get("applicationName")
        events = obj.get("events")
        if not isinstance(events, list):
            events = [obj.get("event") if isinstance(obj.get("event"), dict) else obj]
        return _together([_event(event, application, obj, about) for event in events if isinstance(event, dict)])


def _together(taken: list[Fact | IgnoredReason | Unreadable]) -> Read:
    """What the events of one activity say."""
    facts = [fact for fact in taken if isinstance(fact, dict)]
    if facts:
        return facts if len(facts) > 1 else facts[0]
    bad = next((one for one in taken if isinstance(one, Unreadable)), None)
    return bad or next(iter(taken), CloudIgnored.ADMINISTRATION)


def _logged(entry: dict[str, Any]) -> Read:
    """An entry of Google Cloud's audit log, where Workspace shares its data with it (`login.googleapis.com`)."""
    payload = entry.get("protoPayload")
    if not isinstance(payload, dict) or payload.get("serviceName") != "login.googleapis.com":
        return CloudIgnored.ADMINISTRATION
    activity = {
        "actor": {"email": at(payload, "authenticationInfo", "principalEmail")},
        "ipAddress": at(payload, "requestMetadata", "callerIp"),
    }
    about = {"time": entry.get("timestamp")}
    events = at(payload, "metadata", "event")
    return _together(
        [
            _event({"name": event.get("eventName"), "parameters": event.get("parameter")}, "login", activity, about)
            for event in (events if isinstance(events, list) else ())
            if isinstance(event, dict)
        ]
    )


def _event(
    event: dict[str, Any], application: Any, obj: dict[str, Any], about: dict[str, Any]
) -> Fact | IgnoredReason | Unreadable:
    name = event.get("name")
    if not isinstance(application, str) or application not in _APPLICATIONS:
        return CloudIgnored.ADMINISTRATION
    if not isinstance(name, str):
        return Unreadable(Refused.UNKNOWN_FORM, "an event without a name")
    known_as = _ACTIONS.get(name.lower())
    if known_as is None:
        return CloudIgnored.ADMINISTRATION
    when = cloud.utc(about.get("time"))
    if when is None:
        return cloud.NO_TIME
    parameters = _parameters(event.get("parameters"))
    actor = obj.get("actor")
    email = actor.get("email") if isinstance(actor, dict) else None
    network = obj.get("networkInfo")
    fact = _fact(known_as, name.lower(), application, parameters)
    fact["timestamp"] = when
    fact["source_ip"], _ = cloud.address(obj.get("ipAddress"))
    if isinstance(network, dict):
        fact["source_geo_country"] = cloud.stated(network.get("regionCode"))
        fact["source_geo_region"] = cloud.stated(network.get("subdivisionCode"))
    cloud.name_account(fact, cloud.stated(parameters.get("affected_email_address")) or cloud.stated(email))
    return fact


def _exported(row: dict[str, Any]) -> Read:
    """A row of the BigQuery export."""
    application, name = row.get("record_type"), row.get("event_name")
    known_as = _ACTIONS.get(str(name).lower())
    if not isinstance(application, str) or application not in _APPLICATIONS or known_as is None:
        return CloudIgnored.ADMINISTRATION
    when = cloud.utc(row.get("time_usec"))
    if when is None:
        return cloud.NO_TIME
    inner = row.get(application)
    parameters = inner if isinstance(inner, dict) else {}
    fact = _fact(known_as, str(name).lower(), application, parameters)
    fact["timestamp"] = when
    fact["source_ip"], _ = cloud.address(row.get("ip_address"))
    cloud.name_account(fact, cloud.stated(parameters.get("affected_email_address")) or cloud.stated(row.get("email")))
    return fact


def _parameters(given: Any) -> dict[str, Any]:
    """Parameters by name, whether they come as a list of typed values or as an object."""
    if isinstance(given, dict):
        return given
    found: dict[str, Any] = {}
    for item in reversed(given) if isinstance(given, list) else ():
        if isinstance(item, dict) and isinstance(item.get("name"), str):
            found[item["name"]] = next((item[key] for key in _VALUES if key in item), None)
    return found


def _fact(known_as: tuple[str, str], name: str, application: Any, parameters: dict[str, Any]) -> Fact:
    action, outcome = known_as
    if application == "saml" and action == "login":
        action = "authentication"
    if action == "login_step":
        outcome = _PASSED.get(str(parameters.get("login_challenge_status")).lower(), "unknown")
    challenges = parameters.get("login_challenge_method")
    steps = [str(step) for step in (challenges if isinstance(challenges, list) else [challenges]) if step]
    factors = [step for step in steps if step not in _FIRST]
    given = parameters.get("login_type")
    kind = str(given).lower() if isinstance(given, str) else ""
    method = _METHODS.get(kind, kind) or next((step for step in steps if step in ("password", "passkey")), None)
    return {
        "event_action": action,
        "event_code": name,
        "event_outcome": outcome,
        "event_reason": _reason(action, outcome, name, parameters),
        "login_method": method,
        "login_factor": ", ".join(factors) or None,
        "login_type": "reauthentication" if kind == "reauth" else None,
        "service_name": "google",
        "application_name": cloud.stated(parameters.get("application_name") or parameters.get("CAA_APPLICATION")),
        "device_id": cloud.stated(parameters.get("device_id") or parameters.get("CAA_DEVICE_ID")),
    }


def _reason(action: str, outcome: str, name: str, parameters: dict[str, Any]) -> str | None:
    if action in ("account_warning", "refused"):
        return cloud.reason(name)
    if outcome == "failure" or action == "login_step":
        for key in ("login_failure_type", "failure_type", "login_challenge_status"):
            said = cloud.reason(parameters.get(key))
            if said is not None:
                return said
    return "suspicious" if parameters.get("is_suspicious") in (True, "true") else None
