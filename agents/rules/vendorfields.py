"""What vendors' own field names are called here, by log format, for rules about that format alone.

Names are those of SigmaHQ's rules, which have them from the vendors' logs: Windows' security log, Microsoft Entra ID
(Azure Monitor and Graph), Okta's System Log, Google Workspace's Reports API, Microsoft 365's audit log. `event_code` is
the vendor's own code or name of what happened. Fields without a column of their own are looked for in `event_details`,
where each stands as `NAME=value`, with nothing behind the sign where the vendor left it empty. Fields that are nowhere
are left out: a rule that needs one is refused and says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from sigma.rule import SigmaDetection, SigmaDetectionItem
from sigma.types import SigmaBool, SigmaFieldReference, SigmaNull, SigmaNumber, SigmaString, SigmaType

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

DETAILS: Final = "event_details"
_IN_DETAILS: Final[Mapping[str, Fields]] = {
    "windows_security": {
        name: name
        for name in (
            "CertThumbprint ImpersonationLevel KeyLength LogonProcessName PreAuthType SubjectUserName SubjectUserSid "
            "TargetInfo TargetServerName TargetUserSid TicketEncryptionType TicketOptions"
        ).split()
    },
    "entra_signin": {
        "AuthenticationRequirement": "authenticationRequirement",
        "properties.authenticationRequirement": "authenticationRequirement",
        "conditionalAccessStatus": "conditionalAccessStatus",
        "RiskState": "riskState",
        "DeviceDetail.trusttype": "deviceDetail.trustType",
        "DeviceDetail.isCompliant": "deviceDetail.isCompliant",
        "NetworkLocationDetails": "networkLocationDetails",
        "ClientApp": "clientAppUsed",
        "properties.appId": "appId",
        "homeTenantId": "homeTenantId",
        "resourceTenantId": "resourceTenantId",
    },
    "okta": {
        "debugContext.debugData.requestUri": "requestUri",
        "displayMessage": "displayMessage",
        "debugContext.debugData.logOnlySecurityData": "logOnlySecurityData",
        "debugContext.debugData.behaviors": "behaviors",
        "legacyEventType": "legacyEventType",
    },
}
"""What each is called in `event_details`, by dataset and field name of a rule."""

_EXPLICIT: Final = {"SubjectUserName": "user_name", "TargetUserName": "target_user_name"}
"""Windows' 4648: the account that gave a program the credentials of another."""

_CODE = re.compile(r"(?:0[xX])?[0-9a-fA-F]{1,8}")


def fields_of(route: Route) -> Fields:
    """Vendors' field names of a rule's formats; none where it is about more than these formats."""
    if not route.only or not route.only <= VENDOR_FIELDS.keys():
        return {}
    return {name: column for dataset in sorted(route.only) for name, column in VENDOR_FIELDS[dataset].items()}


def details_of(route: Route) -> Fields:
    """Names in `event_details` by the field names of a rule about one format; none where it is about several."""
    return _IN_DETAILS.get(next(iter(route.only)), {}) if len(route.only) == 1 else {}


def codes_of(definition: object) -> frozenset[str]:
    """Windows' event numbers that the detection of a rule, as it was read, asks for."""
    if isinstance(definition, list):
        return frozenset().union(*map(codes_of, definition))
    if not isinstance(definition, dict):
        return frozenset()
    found: frozenset[str] = frozenset().union(*map(codes_of, definition.values()))
    named = definition.get("EventID", [])
    return found | {str(code) for code in (named if isinstance(named, list) else [named])}


def translate(definition: SigmaDetection, route: Route, codes: frozenset[str] = frozenset()) -> None:
    """Write a selection in the words of our columns, in place, before fields are mapped.

    Args:
        definition: The selection.
        route: Which events the rule is about.
        codes: `codes_of` the rule.
    """
    for item in definition.detection_items:
        if isinstance(item, SigmaDetection):
            translate(item, route, codes)
        else:
            _translate(item, route, codes)


def _translate(item: SigmaDetectionItem, route: Route, codes: frozenset[str]) -> None:
    if "windows_security" in route.only:
        if codes == {"4648"}:
            item.field = _EXPLICIT.get(item.field or "", item.field)
            item.value = [_explicit(value) for value in item.value]
        _windows(item)
    elif "google_login" in route.only and item.field in ("protoPayload.serviceName", "protoPayload.Servicename"):
        item.value = [_google(value) for value in item.value]
    elif "entra_signin" in route.only and item.field == "ActivityDetails":
        item.field, item.value = "event_dataset", [_activity(value) for value in item.value]
    name = details_of(route).get(item.field or "")
    # What is compared in other ways than as text stays what it was, and is refused for want of a column.
    found = [_detail(name, value) for value in item.value] if name is not None else []
    texts: list[SigmaType] = [text for text in found if text is not None]
    if texts and len(texts) == len(found):
        item.field, item.value = DETAILS, texts


def _detail(name: str, value: SigmaType) -> SigmaString | None:
    """A value as it stands among the details; None for what is no text."""
    if isinstance(value, SigmaNull):
        return SigmaString(f"{name}=")
    if isinstance(value, SigmaBool):
        return SigmaString(f"{name}={str(value.boolean).lower()}")
    if isinstance(value, SigmaNumber):
        return SigmaString(f"{name}={value.number}")
    return f"{name}=" + value if type(value) is SigmaString else None


def _explicit(value: SigmaType) -> SigmaType:
    if isinstance(value, SigmaFieldReference) and value.field in _EXPLICIT:
        value.field = _EXPLICIT[value.field]
    return value


def _activity(value: SigmaType) -> SigmaType:
    """Every event of the sign-in log is one of this."""
    return SigmaString("entra_signin") if str(value).lower() == "sign-ins" else value


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
