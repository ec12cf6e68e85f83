"""Sign-in logs of Microsoft Entra ID (Azure Active Directory) to login events.

Read are the records of Microsoft Graph (`signIn`), of Azure Monitor (diagnostic settings: an envelope with
`properties`; event hub, storage account), of the tables of Log Analytics, and the portal's CSV download.

- `login`: a person's attempt: interactive, or by a client that sends the password itself (mail protocols, ROPC).
- `authentication`: a token that a client fetched for somebody who is signed in (non-interactive), and service
  principals and managed identities.
- `login_step`: an interrupted sign-in (`entra_codes.STEPS`): a second factor, consent or a choice is asked for. One
  sign-in may have several before its `login`; none of them is a failure.
- `refused`: known, and turned away by conditional access or another policy.

`event_outcome` is `success` for code 0, `unknown` for a step, else `failure`; `event_reason` the failure's text, for a
success the risk where there is one. `login_type`: interactive, non_interactive, service_principal, managed_identity.

Facts: Microsoft Graph's "signIn resource type"; Azure Monitor's tables SigninLogs, AADNonInteractiveUserSignInLogs,
AADServicePrincipalSignInLogs and AADManagedIdentitySignInLogs; "Sign-in log schema in Azure Monitor".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from schemas.kinds import EventKind
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.json_records import decoded
from streams.normalisers.lines import Unreadable
from streams.normalisers.login import cloud
from streams.normalisers.login.entra_codes import NO_ACCOUNT, PASSWORD, POLICY, STEPS
from streams.normalisers.login.json_or_table import JsonOrTableNormaliser
from streams.normalisers.login.reasons_cloud import CloudIgnored
from streams.normalisers.moments import numbers
from streams.normalisers.reasons import Refused
from streams.normalisers.records import Fact, Head, Read
from streams.normalisers.times import SourceClock

ACTIONS: Final = ("login", "authentication", "login_step", "refused")

_CATEGORIES: Final[Mapping[str, str]] = {
    "signinlogs": "interactive",
    "aadnoninteractiveusersigninlogs": "non_interactive",
    "noninteractiveusersigninlogs": "non_interactive",
    "serviceprincipalsigninlogs": "service_principal",
    "aadserviceprincipalsigninlogs": "service_principal",
    "microsoftserviceprincipalsigninlogs": "service_principal",
    "managedidentitysigninlogs": "managed_identity",
    "aadmanagedidentitysigninlogs": "managed_identity",
    "adfssigninlogs": "interactive",
    "b2crequestlogs": "interactive",
}
_EVENT_TYPES: Final[Mapping[str, str]] = {
    "interactiveUser": "interactive",
    "nonInteractiveUser": "non_interactive",
    "servicePrincipal": "service_principal",
    "managedIdentity": "managed_identity",
}
_LEGACY: Final = frozenset(
    "other clients|imap4|pop3|authenticated smtp|exchange activesync|exchange web services|mapi over http|autodiscover|"
    "exchange online powershell|offline address book|outlook anywhere (rpc over http)|reporting web services|"
    "universal outlook|outlook service".split("|")
)
_OWN: Final = ("userPrincipalName", "servicePrincipalName", "servicePrincipalId", "appDisplayName", "isInteractive")
_CAMEL: Final[Mapping[str, str]] = {
    name.lower(): name
    for name in (
        "alternateSignInName appDisplayName appId authenticationDetails authenticationProtocol "
        "authenticationRequirement conditionalAccessStatus homeTenantId networkLocationDetails resourceTenantId "
        "riskState "
        "callerIpAddress category clientAppUsed createdDateTime deviceDetail errorCode failureReason ipAddress "
        "isInteractive location mfaDetail operationName properties resourceDisplayName resultDescription "
        "resultType riskEventTypes riskEventTypes_v2 riskLevelDuringSignIn servicePrincipalId servicePrincipalName "
        "sessionId signInEventTypes "
        "signInIdentifier status time userAgent userPrincipalName userId"
    ).split()
} | {
    "timegenerated": "time",
    "locationdetails": "locationDetails",
    "type": "category",
    "activitydatetime": "activityDateTime",
}
_SIGNS: Final = re.compile(r'[\[\]"]')
_SATISFIED: Final = frozenset({"previously satisfied", "none"})
_INTERRUPTED: Final = -2  # the portal says so, without a code
_STATUS: Final[Mapping[str, int]] = {"success": 0, "interrupted": _INTERRUPTED, "failure": -1}
_PROXY_RISKS: Final = ("anonymizedIPAddress", "anonymousIPAddress")


class EntraSigninNormaliser(JsonOrTableNormaliser):
    """Sign-in records, as JSON or as the portal's table."""

    kind = EventKind.LOGIN
    type_name = "entra_signin"
    DATASET = "entra_signin"
    KEY_COLUMNS = (frozenset({"date (utc)", "ip address"}), frozenset({"date", "sign-in error code"}))
    fields = tuple(
        "timestamp event_dataset event_action event_outcome event_reason event_code observer_hostname process_name "
        "process_pid "
        "user_name user_domain user_known source_ip source_port login_method login_type login_factor service_name "
        "session_id application_name device_id host_name user_agent_original source_geo_country source_geo_region "
        "source_geo_city source_geo_latitude source_geo_longitude source_is_proxy event_details".split()
    )

    def own(self, obj: dict[str, Any]) -> bool:
        """See `JsonNormaliser.own`."""
        return any(name in obj for name in _OWN) or not {"properties", "Properties"}.isdisjoint(obj) or _is_table(obj)

    def fact(self, obj: dict[str, Any], head: Head) -> Read:
        """See `JsonNormaliser.fact`."""
        del head
        outer = obj if "createdDateTime" in obj else _camel(obj)
        inner = outer.get("properties", outer)
        if isinstance(inner, str):
            try:
                inner = decoded(inner)
            except ValueError:
                return Unreadable(Refused.BROKEN_PAYLOAD, "the properties are no JSON")
        if not isinstance(inner, dict):
            return Unreadable(Refused.UNKNOWN_FORM, "no sign-in record")
        if "activityDateTime" in inner or "operationType" in inner:
            return CloudIgnored.ADMINISTRATION
        record = inner if inner is outer or "createdDateTime" in inner else _camel(inner)
        if not any(name in record for name in _OWN):
            known = "category" in outer or "operationName" in outer
            return CloudIgnored.ADMINISTRATION if known else Unreadable(Refused.UNKNOWN_FORM, "no sign-in record")
        return _signin(outer, record)

    def row(self, values: Mapping[str, str], head: Head) -> Read:
        """See `TableNormaliser.row`: a line of the portal's CSV."""
        del head
        stamp = values.get("date (utc)") or values.get("date") or ""
        record: dict[str, Any] = {name: values.get(column) or None for column, name in _COLUMNS.items()}
        region, _, country = (values.get("location") or "").rpartition(", ")
        city, _, region = region.partition(", ")
        status = (values.get("status") or "").lower()
        code = values.get("sign-in error code") or str(_STATUS.get(status, ""))
        record |= {
            "createdDateTime": stamp,
            "location": {"city": city, "state": region, "countryOrRegion": country},
            "status": {"errorCode": code, "failureReason": values.get("failure reason")},
            "deviceDetail": {
                "deviceId": values.get("device id"),
                "operatingSystem": values.get("operating system"),
                "browser": values.get("browser"),
                "trustType": values.get("join type"),
                "isCompliant": values.get("compliant"),
            },
            "mfaDetail": {"authMethod": values.get("multifactor authentication auth method")},
        }
        taken = _signin(record, record)
        if taken is cloud.NO_TIME:
            when = numbers(stamp, _UTC if "date (utc)" in values else self.clock, "mdy")
            taken = taken if when is None else _signin(record, record, when)
        return taken


_UTC: Final = SourceClock(NormaliserSettings())
_COLUMNS: Final[Mapping[str, str]] = {
    "username": "userPrincipalName",
    "sign-in identifier": "signInIdentifier",
    "service principal name": "servicePrincipalName",
    "managed identity name": "servicePrincipalName",
    "application": "appDisplayName",
    "ip address": "ipAddress",
    "client app": "clientAppUsed",
    "application id": "appId",
    "authentication requirement": "authenticationRequirement",
    "conditional access": "conditionalAccessStatus",
    "resource tenant id": "resourceTenantId",
    "home tenant id": "homeTenantId",
    "user agent": "userAgent",
    "session id": "sessionId",
    "authentication protocol": "authenticationProtocol",
}


def _is_table(obj: dict[str, Any]) -> bool:
    """A row of Log Analytics, whose names begin with a capital letter."""
    return "UserPrincipalName" in obj or "ServicePrincipalName" in obj or "ServicePrincipalId" in obj


def _camel(obj: dict[str, Any]) -> dict[str, Any]:
    """The same with the names of Microsoft Graph, whatever letters are capitals."""
    return {_CAMEL.get(name.lower(), name): value for name, value in obj.items()}


def _signin(outer: dict[str, Any], record: dict[str, Any], when: int | None = None) -> Read:
    """What a sign-in says."""
    when = when if when is not None else cloud.utc(record.get("createdDateTime") or outer.get("time"))
    if when is None:
        return cloud.NO_TIME
    code, words = _verdict(outer, record)
    if code is None:
        return Unreadable(Refused.BAD_FIELD, "neither an error code nor a result")
    kind = _login_type(outer, record)
    method, factor = _methods(record, code)
    ip, port = cloud.address(record.get("ipAddress") or outer.get("callerIpAddress"))
    kinds = _risk_kinds(record)
    risks = _risks(record, kinds)
    action, outcome = _judged(code, kind, record)
    fact: Fact = {
        "timestamp": when,
        "event_action": action,
        "event_code": str(code) if code >= 0 else None,  # less: a result without a number
        "event_outcome": outcome,
        "event_reason": cloud.reason(words) or (f"error code {code}" if code > 0 else None) if code else risks,
        "source_ip": ip,
        "source_port": port,
        "login_method": method,
        "login_type": kind,
        "login_factor": factor,
        "service_name": "entra",
        "session_id": cloud.stated(record.get("sessionId")),
        "application_name": cloud.stated(record.get("appDisplayName"))
        or cloud.stated(record.get("resourceDisplayName")),
        "source_is_proxy": True if any(name in kinds for name in _PROXY_RISKS) else None,
    }
    name = cloud.stated(record.get("userPrincipalName"))
    if name is None:
        name = next((said for key in _NAMES if (said := cloud.stated(record.get(key))) is not None), None)
    cloud.name_account(fact, name, unknown=code in NO_ACCOUNT)
    _device(fact, record)
    _where(fact, record.get("locationDetails") or record.get("location"), outer.get("location"))
    device = _object(record.get("deviceDetail"))
    devices = [(f"deviceDetail.{key}", device.get(key)) for key in ("trustType", "isCompliant")] if device else ()
    fact["event_details"] = cloud.details([*((name, record.get(name)) for name in _DETAILS), *devices], _TOLD_EMPTY)
    return fact


_DETAILS: Final = (
    "authenticationRequirement", "conditionalAccessStatus", "riskState", "networkLocationDetails", "clientAppUsed",
    "appId", "homeTenantId", "resourceTenantId",
)  # fmt: skip
_TOLD_EMPTY: Final = frozenset({"deviceDetail.trustType"})  # that a device is in no directory is what rules ask for
_NAMES: Final = (
    "alternateSignInName", "signInIdentifier", "servicePrincipalName", "userId", "servicePrincipalId",
)  # fmt: skip


def _object(value: Any) -> dict[str, Any]:
    """An object, or a text that holds one."""
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    if isinstance(value, str) and value[:1] == "{":
        try:
            value = decoded(value)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}


def _verdict(outer: dict[str, Any], record: dict[str, Any]) -> tuple[int | None, Any]:
    """Error code (-1: a failure without one; None: neither) and the words about it."""
    status = _object(record.get("status"))
    words = status.get("failureReason") or outer.get("resultDescription") or record.get("resultDescription")
    code = status.get("errorCode")
    if type(code) is int and code >= 0:
        return code, None if words == "Other." else words
    for said in (code, record.get("errorCode"), outer.get("resultType"), record.get("resultType")):
        digits = str(said)
        if digits.isascii() and digits.isdigit() and len(digits) < 10:
            return int(digits), None if words == "Other." else words
        if isinstance(said, str) and said.lower() in _STATUS:
            return _STATUS[said.lower()], words
        if digits in ("-1", "-2"):
            return int(digits), words
    return None, words


def _login_type(outer: dict[str, Any], record: dict[str, Any]) -> str:
    kinds = record.get("signInEventTypes")
    for name in kinds if isinstance(kinds, list) else ():
        if isinstance(name, str) and name in _EVENT_TYPES:
            return _EVENT_TYPES[name]
    category = outer.get("category")
    known = _CATEGORIES.get(category.lower()) if isinstance(category, str) else None
    if known is not None and known != "interactive":
        return known
    if "servicePrincipalId" in record and not record.get("userPrincipalName") and record.get("servicePrincipalId"):
        return "service_principal"
    return "non_interactive" if str(record.get("isInteractive")).lower() == "false" else "interactive"


def _judged(code: int, kind: str, record: dict[str, Any]) -> tuple[str, str]:
    """Action and outcome."""
    if code in STEPS or code == _INTERRUPTED:
        return "login_step", "unknown"
    outcome = "success" if code == 0 else "failure"
    if kind in ("service_principal", "managed_identity"):
        return "authentication", outcome
    if code in POLICY:
        return "refused", outcome
    by_person = (
        kind == "interactive"
        or code in PASSWORD
        or record.get("authenticationProtocol") == "ropc"
        or str(record.get("clientAppUsed")).lower() in _LEGACY
    )
    return "login" if by_person else "authentication", outcome


def _methods(record: dict[str, Any], code: int) -> tuple[str | None, str | None]:
    """First and second factor, in lower case."""
    details = record.get("authenticationDetails")
    if not details and code == 0 and "mfaDetail" not in record and "authenticationProtocol" not in record:
        return None, None
    if isinstance(details, str) and details[:1] == "[":
        try:
            details = decoded(details)
        except ValueError:
            details = None
    steps = [
        said
        for step in (details if isinstance(details, list) else ())
        if isinstance(step, dict) and (said := cloud.lower(step.get("authenticationMethod"))) not in (None, *_SATISFIED)
    ]
    mfa = _object(record.get("mfaDetail"))
    method = steps[0] if steps else None
    if method is None and (code in PASSWORD or record.get("authenticationProtocol") == "ropc"):
        method = "password"
    second = next((step for step in steps if step != method), None)
    return method, second or cloud.lower(mfa.get("authMethod"))


def _risk_kinds(record: dict[str, Any]) -> str:
    """What the service detected, parted by commas; it names that also where it tells no level, or found it harmless."""
    kinds = record.get("riskEventTypes_v2") or record.get("riskEventTypes")
    return ", ".join(str(kind) for kind in kinds) if isinstance(kinds, list) else _SIGNS.sub("", str(kinds or ""))


def _risks(record: dict[str, Any], named: str) -> str | None:
    """`risk high: anonymizedIPAddress` where the service saw a risk; None where it saw none."""
    level = record.get("riskLevelDuringSignIn")
    if level not in ("low", "medium", "high"):
        return None
    return f"risk {level}: {named}"[:200] if named else f"risk {level}"


def _device(fact: Fact, record: dict[str, Any]) -> None:
    device = _object(record.get("deviceDetail"))
    fact["device_id"] = cloud.stated(device.get("deviceId"))
    fact["host_name"] = cloud.stated(device.get("displayName"))
    fact["user_agent_original"] = cloud.stated(record.get("userAgent")) or cloud.agent(
        record.get("clientAppUsed"), device.get("browser"), device.get("operatingSystem")
    )


def _where(fact: Fact, location: Any, country: Any) -> None:
    where = _object(location)
    fact["source_geo_city"] = cloud.stated(where.get("city"))
    fact["source_geo_region"] = cloud.stated(where.get("state"))
    fact["source_geo_country"] = cloud.stated(where.get("countryOrRegion")) or (
        cloud.stated(country) if isinstance(country, str) and len(country) == 2 else None
    )
    point = _object(where.get("geoCoordinates"))
    cloud.place(fact, point.get("latitude"), point.get("longitude"))
