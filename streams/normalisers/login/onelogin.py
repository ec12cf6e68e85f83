"""OneLogin's events to login events.

Read are events of the Events API and of the webhook broadcaster, which name the type by `event_type_id`, and records
that have its name beside it (`event_type_name`).

- `login`: 5 (logged into OneLogin), 6 (failed).
- `authentication`: 8 (logged into an application). `refused`: 90 (an application that is not the user's).
- `session_start`: 3 (assumed another user). `session_end`: 7 (logged out).

`event_outcome` is by the type. `user_name` is what OneLogin writes: the person's first and last name, no account.

Facts: OneLogin, "Event Resource and Types", "Get Event Types", "Event webhooks".
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

ACTIONS: Final = ("login", "authentication", "refused", "session_start", "session_end")

_TYPES: Final[Mapping[str, tuple[str, str]]] = {
    "3": ("session_start", "success"),
    "5": ("login", "success"),
    "6": ("login", "failure"),
    "7": ("session_end", "success"),
    "8": ("authentication", "success"),
    "90": ("refused", "failure"),
    "USER_ASSUMED_USER": ("session_start", "success"),
    "USER_LOGGED_INTO_ONELOGIN": ("login", "success"),
    "USER_FAILED_ONELOGIN_LOGIN": ("login", "failure"),
    "USER_LOGGED_OUT_OF_ONELOGIN": ("session_end", "success"),
    "USER_LOGGED_INTO_APP": ("authentication", "success"),
}


class OneloginNormaliser(JsonNormaliser):
    """Events by their types."""

    kind = EventKind.LOGIN
    type_name = "onelogin"
    DATASET = "onelogin"
    fields = tuple(
        "timestamp event_dataset event_action event_outcome event_reason event_code observer_hostname process_name "
        "process_pid "
        "user_name user_domain target_user_name source_ip login_factor service_name application_name device_id "
        "source_is_proxy".split()
    )

    def own(self, obj: dict[str, Any]) -> bool:
        """See `JsonNormaliser.own`."""
        return "event_type_id" in obj or "event_type_name" in obj

    def fact(self, obj: dict[str, Any], head: Head) -> Read:
        """See `JsonNormaliser.fact`."""
        del head
        if not self.own(obj):
            return Unreadable(Refused.UNKNOWN_FORM, "no event of OneLogin")
        known_as = _TYPES.get(str(obj.get("event_type_id"))) or _TYPES.get(str(obj.get("event_type_name")))
        if known_as is None:
            return CloudIgnored.ADMINISTRATION
        when = cloud.utc(obj.get("created_at") or obj.get("event_timestamp"))
        if when is None:
            return cloud.NO_TIME
        return _event(obj, when, *known_as)


def _event(obj: dict[str, Any], when: int, action: str, outcome: str) -> Fact:
    ip, _ = cloud.address(obj.get("ipaddr"))
    score, why = obj.get("risk_score"), None
    if outcome == "failure":
        why = obj.get("error_description") or obj.get("custom_message") or obj.get("notes")
    elif isinstance(score, int) and not isinstance(score, bool) and score > 0:
        why = f"risk score {score}"
    fact: Fact = {
        "timestamp": when,
        "event_action": action,
        "event_code": cloud.stated(obj.get("event_type_id")),
        "event_outcome": outcome,
        "event_reason": cloud.reason(why),
        "source_ip": ip,
        "login_factor": cloud.lower(obj.get("otp_device_name")),
        "service_name": "onelogin",
        "application_name": cloud.stated(obj.get("app_name")),
        "device_id": cloud.stated(obj.get("browser_fingerprint")),
        "source_is_proxy": True if cloud.stated(obj.get("proxy_ip")) is not None else None,
    }
    if action == "session_start":
        fact["target_user_name"] = cloud.stated(obj.get("user_name"))
        cloud.name_account(fact, cloud.stated(obj.get("actor_user_name")))
    else:
        cloud.name_account(fact, cloud.stated(obj.get("user_name") or obj.get("actor_user_name")))
    return fact
