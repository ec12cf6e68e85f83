"""Duo Security's logs to login events.

Read are the authentication log of the Admin API (versions 1 and 2), also as Duo Log Sync writes it, the logins of the
administrator and activity logs, and authevents.log of the Duo Authentication Proxy.

- `login`: the verdict on a second factor, which ends the attempt: success, denied, fraud. Of the proxy: the secondary
  authentication, and a primary one that was rejected. An administrator's login.
- `refused`: turned away by a policy, whatever the factor: place, device, certificate, not enrolled, disabled.
- `authentication`: the proxy's primary authentication that passed; the second factor follows.
- `login_step`: an administrator's second factor failed.
- `attempts_exceeded`: an administrator was locked out.

`event_outcome` is failure for denied, fraud and error. `event_reason` is Duo's own word, `fraud` before it where the
user said so. `login_factor` is the factor; Duo sees no password: `login_method` is only the administrators'.

Facts: Duo, "Admin API: Logs" (authentication, administrator and activity), "Duo Log Sync", "Authentication Proxy
Reference: authevents.log".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from schemas.kinds import EventKind
from streams.normalisers.json_records import JsonNormaliser, decoded
from streams.normalisers.lines import Unreadable
from streams.normalisers.login import cloud
from streams.normalisers.login.reasons_cloud import CloudIgnored
from streams.normalisers.reasons import Refused
from streams.normalisers.records import Fact, Head, Read

ACTIONS: Final = ("login", "refused", "authentication", "login_step", "attempts_exceeded")

_POLICY: Final = frozenset(
    "location_restricted factor_restricted platform_restricted version_restricted rooted_device no_screen_lock "
    "touch_id_disabled no_disk_encryption anonymous_ip out_of_date denied_by_policy denied_network software_restricted "
    "no_duo_certificate_present user_provided_invalid_certificate could_not_determine_if_endpoint_was_trusted "
    "invalid_management_certificate_collection_state no_referring_hostname_provided "
    "invalid_referring_hostname_provided no_web_referer_match endpoint_failed_google_verification "
    "endpoint_is_not_trusted invalid_device "
    "endpoint_is_not_in_management_system no_activated_duo_mobile_account user_not_in_permitted_group "
    "deny_unenrolled_user user_disabled endpoint_is_not_healthy".split()
)
_OUTCOMES: Final[Mapping[str, str]] = {
    "success": "success", "allow": "success", "denied": "failure", "deny": "failure", "reject": "failure",
    "failure": "failure", "fraud": "failure", "error": "failure",
}  # fmt: skip
_ADMIN: Final[Mapping[str, tuple[str, str]]] = {
    "admin_login": ("login", "success"),
    "admin_login_error": ("login", "failure"),
    "admin_2fa_error": ("login_step", "failure"),
    "admin_lockout": ("attempts_exceeded", "failure"),
}


class DuoNormaliser(JsonNormaliser):
    """Objects of Duo's logs."""

    kind = EventKind.LOGIN
    type_name = "duo"
    DATASET = "duo"
    WRAPPERS = (*JsonNormaliser.WRAPPERS, "response", "duo")
    fields = tuple(
        "timestamp event_dataset event_action event_outcome event_reason event_code observer_hostname process_name "
        "process_pid "
        "user_name user_domain source_ip login_method login_factor service_name session_id application_name device_id "
        "host_name user_agent_original source_geo_country source_geo_region source_geo_city source_is_proxy".split()
    )

    def own(self, obj: dict[str, Any]) -> bool:
        """See `JsonNormaliser.own`."""
        return (
            "factor" in obj or "auth_stage" in obj or "access_device" in obj or ("action" in obj and "username" in obj)
        )

    def fact(self, obj: dict[str, Any], head: Head) -> Read:
        """See `JsonNormaliser.fact`."""
        del head
        when = cloud.utc(obj.get("isotimestamp") or obj.get("timestamp") or obj.get("ts"))
        if "auth_stage" in obj:
            return _proxied(obj) if when is not None else cloud.NO_TIME
        action = obj.get("action")
        action = action.get("name") if isinstance(action, dict) else action
        if isinstance(action, str):
            known_as = _ADMIN.get(action)
            if known_as is None:
                return CloudIgnored.ADMINISTRATION
            return cloud.NO_TIME if when is None else _administrator(obj, when, action, *known_as)
        if "factor" not in obj and "result" not in obj:
            return Unreadable(Refused.UNKNOWN_FORM, "no record of Duo")
        if str(obj.get("event_type") or obj.get("eventtype") or "authentication") != "authentication":
            return CloudIgnored.ADMINISTRATION
        return cloud.NO_TIME if when is None else _authentication(obj, when)


def _object(value: Any) -> dict[str, Any]:
    if isinstance(value, str) and value[:1] == "{":
        try:
            value = decoded(value)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}


def _authentication(obj: dict[str, Any], when: int) -> Read:
    result = str(obj.get("result")).lower()
    outcome = _OUTCOMES.get(result)
    if outcome is None:
        return Unreadable(Refused.BAD_FIELD, "a result that is unknown")
    why = cloud.reason(obj.get("reason"))
    word = (why or "").lower().replace(" ", "_")
    device, application, user = (_object(obj.get(key)) for key in ("access_device", "application", "user"))
    ip, _ = cloud.address(device.get("ip") or obj.get("ip"))
    fact: Fact = {
        "timestamp": when,
        "event_code": cloud.stated(obj.get("event_type")),
        "event_action": "refused" if outcome == "failure" and word in _POLICY else "login",
        "event_outcome": outcome,
        "event_reason": f"fraud: {why}" if result == "fraud" and why and "fraud" not in why else why or _said(result),
        "source_ip": ip,
        "login_factor": cloud.lower(obj.get("factor")),
        "service_name": "duo",
        "session_id": cloud.stated(obj.get("txid")),
        "application_name": cloud.stated(application.get("name") or obj.get("integration")),
        "device_id": cloud.stated(device.get("epkey")),
        "host_name": cloud.stated(device.get("hostname")),
        "user_agent_original": cloud.agent(
            _joined(device.get("browser"), device.get("browser_version")),
            _joined(device.get("os"), device.get("os_version")),
        ),
        "source_is_proxy": True if word == "anonymous_ip" else None,
    }
    where = _object(device.get("location") or obj.get("location"))
    fact["source_geo_city"] = cloud.stated(where.get("city"))
    fact["source_geo_region"] = cloud.stated(where.get("state"))
    fact["source_geo_country"] = cloud.stated(where.get("country"))
    cloud.name_account(fact, cloud.stated(user.get("name") or obj.get("username") or obj.get("email")))
    return fact


def _said(result: str) -> str | None:
    return result if result in ("fraud", "error") else None


def _joined(name: Any, version: Any) -> str | None:
    said, number = cloud.stated(name), cloud.stated(version)
    return said if said is None or number is None else f"{said} {number}"


def _administrator(obj: dict[str, Any], when: int, name: str, action: str, outcome: str) -> Fact:
    about = _object(obj.get("description"))
    actor, device = _object(obj.get("actor")), _object(obj.get("access_device"))
    place = device.get("ip")
    address = about.get("ip_address") or (place.get("address") if isinstance(place, dict) else place)
    ip, _ = cloud.address(address)
    fact: Fact = {
        "timestamp": when,
        "event_action": action,
        "event_code": name,
        "event_outcome": outcome,
        "event_reason": cloud.reason(about.get("error") or about.get("message")) if outcome == "failure" else None,
        "source_ip": ip,
        "login_method": cloud.lower(about.get("primary_auth_method")),
        "login_factor": cloud.lower(about.get("factor")),
        "service_name": "duo admin panel",
        "user_agent_original": cloud.agent(_joined(device.get("browser"), device.get("browser_version"))),
    }
    cloud.name_account(fact, cloud.stated(about.get("email") or obj.get("username") or actor.get("name")))
    return fact


def _proxied(obj: dict[str, Any]) -> Read:
    """A line of the Authentication Proxy's authevents.log."""
    outcome = _OUTCOMES.get(str(obj.get("status")).lower())
    if outcome is None:
        return Unreadable(Refused.BAD_FIELD, "a status that is unknown")
    primary = str(obj.get("auth_stage")).lower().startswith("primary")
    ip, _ = cloud.address(obj.get("client_ip"))
    fact: Fact = {
        "timestamp": cloud.utc(obj.get("timestamp")),
        "event_action": "authentication" if primary and outcome == "success" else "login",
        "event_outcome": outcome,
        "event_reason": cloud.reason(obj.get("msg")) if outcome == "failure" else None,
        "source_ip": ip,
        "login_method": "password" if primary else None,
        "login_factor": None if primary else cloud.lower(obj.get("factor")),
        "service_name": "duo authentication proxy",
        "application_name": cloud.stated(obj.get("server_section")),
        "observer_hostname": cloud.stated(obj.get("hostname")),
    }
    cloud.name_account(fact, cloud.stated(obj.get("username")))
    return fact
