"""Logins in the unified audit log of Microsoft 365.

Read are records of the Management Activity API and of Microsoft Graph, the `AuditData` of Search-UnifiedAuditLog's
objects and CSV exports, and the CEF records of Microsoft Defender for Cloud Apps' SIEM agent.

- `login`: UserLoggedIn and UserLoginFailed, and the older PasswordLogon… and ForeignRealm… operations.
- `authentication`: UserLoggedIn for a token (`OAuth2:Token`): a client fetched it for somebody who is signed in.
- `login_step`: UserLoginFailed with a code of an interrupted sign-in (`entra_codes.STEPS`).
- `refused`: UserLoginFailed with a code of a policy (`entra_codes.POLICY`).
- `session_start`: MailboxLogin, SharePoint's SignInEvent, TeamsSessionStarted: the sign-in itself has a record above.
- `session_end`: signed out.

`event_outcome` is by the operation, for MailboxLogin by `ResultStatus`. `event_reason` is `LogonError`.

Facts: Microsoft, "Office 365 Management Activity API schema" (Common, Azure Active Directory STS logon, Exchange
mailbox schemas) and "Audit log activities"; "Generic SIEM integration" of Defender for Cloud Apps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from schemas.kinds import EventKind
from streams.normalisers.json_records import JsonNormaliser
from streams.normalisers.lines import Unreadable
from streams.normalisers.login import cloud
from streams.normalisers.login.entra_codes import NO_ACCOUNT, PASSWORD, POLICY, STEPS
from streams.normalisers.login.json_or_table import JsonOrTableNormaliser
from streams.normalisers.login.reasons_cloud import CloudIgnored
from streams.normalisers.payload import cef
from streams.normalisers.reasons import Refused
from streams.normalisers.records import Fact, Head, Read

ACTIONS: Final = ("login", "authentication", "login_step", "refused", "session_start", "session_end")

_LOGINS: Final[Mapping[str, tuple[str, str]]] = {
    "userloggedin": ("login", "success"),
    "userloginfailed": ("login", "failure"),
    "mailboxlogin": ("session_start", "success"),
    "signinevent": ("session_start", "success"),
    "teamssessionstarted": ("session_start", "success"),
    "teamsuserloggedin": ("session_start", "success"),
    "userloggedoff": ("session_end", "success"),
    "userloggedout": ("session_end", "success"),
    "passwordlogoninitialauthusingpassword": ("login", "success"),
    "passwordlogoninitialauthusingadfsfederatedtoken": ("login", "success"),
    "foreignrealmindexlogoninitialauthusingadfsfederatedtoken": ("login", "success"),
    "foreignrealmindexlogoninitialauthusingdatoken": ("login", "success"),
    "passwordlogoncookiecopyusingdatoken": ("authentication", "success"),
    "foreignrealmindexlogoncookiecopyusingdatoken": ("authentication", "success"),
}
_CEF: Final[Mapping[str, tuple[str, str]]] = {
    "EVENT_CATEGORY_LOGIN": ("login", "success"),
    "EVENT_CATEGORY_FAILED_LOGIN": ("login", "failure"),
    "EVENT_CATEGORY_LOGOUT": ("session_end", "success"),
}
_WORDS: Final[Mapping[str, int]] = {
    "useraccountnotfound": 50034,
    "invalidusernameorpassword": 50126,
    "userstrongauthclientauthnrequired": 50074,
    "userstrongauthclientauthnrequiredinterrupt": 50074,
    "userstrongauthenrollmentrequired": 50079,
    "userstrongauthenrollmentrequiredinterrupt": 50072,
    "ssouseraccountnotfoundinresourcetenant": 16003,
    "blockedbyconditionalaccess": 53003,
    "devicenotcompliant": 53000,
    "devicenotdomainjoined": 53001,
    "userinformationnotprovided": 50058,
    "keepmesignedininterrupt": 50140,
}
"""Codes of `LogonError` words, for records without `ErrorNumber`."""


class M365AuditNormaliser(JsonOrTableNormaliser):
    """Records of the unified audit log."""

    kind = EventKind.LOGIN
    type_name = "m365_audit"
    DATASET = "m365_audit"
    WRAPPERS = (*JsonOrTableNormaliser.WRAPPERS, "AuditData", "auditData", "o365", "audit")
    KEY_COLUMNS = (frozenset({"auditdata", "operations"}), frozenset({"auditdata", "operation"}))
    fields = tuple(
        "timestamp event_dataset event_action event_outcome event_reason event_code observer_hostname process_name "
        "process_pid "
        "user_name user_domain user_known source_ip source_port login_method login_type service_name session_id "
        "application_name device_id host_name user_agent_original".split()
    )

    def own(self, obj: dict[str, Any]) -> bool:
        """See `JsonNormaliser.own`."""
        return "Operation" in obj and "AuditData" not in obj

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        return _cloud_apps(head.message) if head.message.startswith("CEF:") else super().read(head)

    def row(self, values: Mapping[str, str], head: Head) -> Read:
        """See `TableNormaliser.row`: the record is in the column AuditData."""
        return JsonNormaliser.read(self, head._replace(message=values.get("auditdata") or ""))

    def fact(self, obj: dict[str, Any], head: Head) -> Read:
        """See `JsonNormaliser.fact`."""
        del head
        operation = obj.get("Operation")
        if not isinstance(operation, str):
            known = "evidence" in obj or "alertWebUrl" in obj or "serviceSource" in obj  # alerts of Microsoft Graph
            return CloudIgnored.ADMINISTRATION if known else Unreadable(Refused.UNKNOWN_FORM, "no audit record")
        known_as = _LOGINS.get(operation.lower())
        if known_as is None:
            return CloudIgnored.ADMINISTRATION
        when = cloud.utc(obj.get("CreationTime"))
        if when is None:
            return cloud.NO_TIME
        return _login(obj, when, *known_as)


def _login(obj: dict[str, Any], when: int, action: str, outcome: str) -> Fact:
    extended = _named(obj.get("ExtendedProperties"))
    device = _named(obj.get("DeviceProperties"))
    error = cloud.stated(obj.get("LogonError")) or cloud.stated(extended.get("ErrorMessage"))
    code = _code(obj, error) if outcome == "failure" else 0
    action, outcome = _judged(action, outcome, code, obj, extended)
    ip, port = cloud.address(obj.get("ClientIP") or obj.get("ActorIpAddress") or obj.get("ClientIPAddress"))
    fact: Fact = {
        "timestamp": when,
        "event_action": action,
        "event_code": cloud.stated(obj.get("Operation")),
        "event_outcome": outcome,
        "event_reason": (cloud.reason(error) or (f"error code {code}" if code else None))
        if outcome != "success"
        else None,
        "source_ip": ip,
        "source_port": port,
        "login_method": "password" if code in PASSWORD else None,
        "login_type": cloud.lower(extended.get("RequestType")),
        "service_name": cloud.lower(obj.get("Workload")) or "azureactivedirectory",
        "session_id": cloud.stated(device.get("SessionId")) or cloud.stated(obj.get("SessionId")),
        "application_name": cloud.stated(obj.get("ApplicationDisplayName") or obj.get("ApplicationId")),
        "device_id": cloud.stated(device.get("Id") or obj.get("DeviceId")),
        "host_name": cloud.stated(device.get("DisplayName")),
        "user_agent_original": cloud.stated(extended.get("UserAgent") or obj.get("ClientInfoString"))
        or cloud.agent(device.get("BrowserType"), device.get("OS"))
        or cloud.stated(obj.get("UserAgent")),
    }
    cloud.name_account(fact, _user(obj), unknown=code in NO_ACCOUNT)
    return fact


def _judged(action: str, outcome: str, code: int, obj: dict[str, Any], extended: dict[str, Any]) -> tuple[str, str]:
    if action == "session_start":
        return action, "failure" if str(obj.get("ResultStatus")).lower() in ("failed", "failure", "false") else outcome
    if outcome == "failure":
        if code in STEPS:
            return "login_step", "unknown"
        return ("refused", outcome) if code in POLICY else (action, outcome)
    if action == "login" and extended.get("RequestType") == "OAuth2:Token":
        return "authentication", outcome
    return action, outcome


def _code(obj: dict[str, Any], error: str | None) -> int:
    """Error code of a failed sign-in; 0 where the record has none."""
    number = str(obj.get("ErrorNumber") or "")
    if number.isascii() and number.isdigit() and len(number) < 10 and int(number):
        return int(number)
    return _WORDS.get((error or "").lower(), 0)


def _named(properties: Any) -> dict[str, Any]:
    """`[{"Name": "UserAgent", "Value": …}]` as an object; of equal names the first counts."""
    if not isinstance(properties, list):
        return {}
    return {
        item["Name"]: item.get("Value")
        for item in reversed(properties)
        if isinstance(item, dict) and isinstance(item.get("Name"), str)
    }


def _user(obj: dict[str, Any]) -> str | None:
    """The account: UserId, or the actor of type 5 (its principal name)."""
    name = cloud.stated(obj.get("UserId")) or cloud.stated(obj.get("MailboxOwnerUPN"))
    if name is not None and ("@" in name or "\\" in name):
        return name.rpartition("|")[2]  # SharePoint's i:0h.f|membership|bob@example.org
    actors = obj.get("Actor")
    for actor in actors if isinstance(actors, list) else ():
        if isinstance(actor, dict) and actor.get("Type") == 5:
            return cloud.stated(actor.get("ID")) or name
    return name


def _cloud_apps(message: str) -> Read:
    record = cef(message)
    if record is None:
        return Unreadable(Refused.BROKEN_PAYLOAD, "no CEF record")
    known_as = _CEF.get(record.event_class)
    if known_as is None:
        return CloudIgnored.ADMINISTRATION
    when = cloud.utc(record.fields.get("rt"))
    if when is None:
        return cloud.NO_TIME
    ip, _ = cloud.address(record.fields.get("dvc") or record.fields.get("c6a1"))
    fact: Fact = {
        "timestamp": when,
        "event_action": known_as[0],
        "event_code": record.event_class,
        "event_outcome": known_as[1],
        "event_reason": cloud.reason(record.fields.get("msg")) if known_as[1] == "failure" else None,
        "source_ip": ip,
        "service_name": "defender for cloud apps",
        "application_name": cloud.stated(record.fields.get("destinationServiceName")),
        "user_agent_original": cloud.stated(record.fields.get("requestClientApplication")),
    }
    cloud.name_account(fact, cloud.stated(record.fields.get("suser")))
    return fact
