"""What vendors' own field names are called here, by log format, for rules about that format alone.

Names are those of SigmaHQ's rules, which have them from the vendors' logs: Windows' security log, Microsoft Entra ID
(Azure Monitor and Graph), Okta's System Log, Google Workspace's Reports API, Microsoft 365's audit log. `event_code` is
the vendor's own code or name of what happened. Fields that no column holds are left out: a rule that needs one is
refused and says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from sigma.rule import SigmaDetection, SigmaDetectionItem
from sigma.types import SigmaNumber, SigmaString, SigmaType

from agents.rules.logsources import Route
from schemas.windows_codes import LOGON_TYPES, REASONS

Fields = Mapping[str, str]

_LOGON_TYPES: Final = {int(code): word for code, word in LOGON_TYPES.items()}

WINDOWS: Final[Fields] = {
    "EventID": "event_code",
    "LogonType": "login_type",
    "AuthenticationPackageName": "login_method",
    "LmPackageName": "login_method",
    "Status": "event_reason",
    "SubStatus": "event_reason",
    "FailureCode": "event_reason",
    "TargetDomainName": "user_domain",
    "TargetUserName": "user_name",
    "TargetOutboundUserName": "target_user_name",
    "TargetLogonId": "session_id",
    "IpAddress": "source_ip",
    "ClientAddress": "source_ip",
    "IpPort": "source_port",
    "WorkstationName": "host_name",
    "Workstation": "host_name",
    "ClientName": "host_name",
    "ProcessName": "application_name",
    "ServiceName": "application_name",
    "Computer": "observer_hostname",
    "ComputerName": "observer_hostname",
}
ENTRA: Final[Fields] = {
    "ResultType": "event_code",
    "resultType": "event_code",
    "status.errorCode": "event_code",
    "ResultDescription": "event_reason",
    "Resultdescription": "event_reason",
    "resultDescription": "event_reason",
    "properties.message": "event_reason",
    "Status": "event_outcome",
    "callerIpAddress": "source_ip",
    "ipAddress": "source_ip",
    "IPAddress": "source_ip",
    "location": "source_geo_country",
    "Location": "source_geo_country",
    "userAgent": "user_agent_original",
    "UserAgent": "user_agent_original",
    "DeviceDetail.deviceId": "device_id",
    "properties.deviceDetail.deviceId": "device_id",
    "UserPrincipalName": "user_name",
    "Username": "user_name",
    "AppDisplayName": "application_name",
    "ResourceDisplayName": "application_name",
}
OKTA: Final[Fields] = {
    "eventType": "event_code",
    "eventtype": "event_code",
    "outcome.reason": "event_reason",
    "outcome.result": "event_outcome",
    "actor.alternateId": "user_name",
    "client.ipAddress": "source_ip",
    "client.userAgent.rawUserAgent": "user_agent_original",
    "client.geographicalContext.country": "source_geo_country",
    "securityContext.isProxy": "source_is_proxy",
    "target.displayName": "application_name",
}
GOOGLE: Final[Fields] = {
    "eventName": "event_code",
    "protoPayload.metadata.event.eventName": "event_code",
    "protoPayload.serviceName": "service_name",
    "protoPayload.Servicename": "service_name",
    "actor.email": "user_name",
    "ipAddress": "source_ip",
}
M365: Final[Fields] = {
    "Operation": "event_code",
    "ClientIP": "source_ip",
    "UserId": "user_name",
    "UserAgent": "user_agent_original",
    "ResultStatus": "event_outcome",
    "LogonError": "event_reason",
}
VENDOR_FIELDS: Final[Mapping[str, Fields]] = {
    "windows_security": WINDOWS,
    "entra_signin": ENTRA,
    "okta": OKTA,
    "google_login": GOOGLE,
    "m365_audit": M365,
    "duo": {"event_type": "event_code", "reason": "event_reason"},
    "onelogin": {"event_type_id": "event_code"},
    "pam": {"USER": "target_user_name"},
}

_CODE = re.compile(r"(?:0[xX])?[0-9a-fA-F]{1,8}")


def fields_of(route: Route) -> Fields:
    """Vendors' field names of a rule's formats; none where it is about more than these formats."""
    if not route.only or not route.only <= VENDOR_FIELDS.keys():
        return {}
    return {name: column for dataset in sorted(route.only) for name, column in VENDOR_FIELDS[dataset].items()}


def translate(definition: SigmaDetection, route: Route) -> None:
    """Write the vendor's values of a selection in the words of our columns, in place, before fields are mapped."""
    for item in definition.detection_items:
        if isinstance(item, SigmaDetection):
            translate(item, route)
        elif "windows_security" in route.only:
            _windows(item)
        elif "google_login" in route.only and item.field in ("protoPayload.serviceName", "protoPayload.Servicename"):
            item.value = [_google(value) for value in item.value]


def _windows(item: SigmaDetectionItem) -> None:
    if item.field == "LogonType":
        item.value = [_worded(value, _LOGON_TYPES, 10) for value in item.value]
    elif item.field in ("Status", "SubStatus", "FailureCode"):
        codes = [_code(value, 16) for value in item.value]
        if codes and not any(code is None or code for code in codes):
            item.field, item.value = "event_outcome", [SigmaString("success")]
        else:
            item.value = [_worded(value, REASONS, 16) for value in item.value]


def _code(value: SigmaType, base: int) -> int | None:
    """The number that a value of a rule is; None for what is none."""
    if isinstance(value, SigmaNumber):
        return int(value.number)
    if not isinstance(value, SigmaString) or value.contains_special():
        return None
    text = str(value)
    return int(text, base) if _CODE.fullmatch(text) and (base == 16 or text.isdecimal()) else None


def _worded(value: SigmaType, words: Mapping[int, str], base: int) -> SigmaType:
    code = _code(value, base)
    if code is None:
        return value
    return SigmaString(words.get(code) or (f"code {code:#x}" if base == 16 else str(code)))


def _google(value: SigmaType) -> SigmaType:
    return SigmaString("google") if str(value) == "login.googleapis.com" else value
