"""Logins to identity providers and cloud services."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from schemas.kinds import EventKind
from streams.normalisers.types import NormaliserType

_HERE = "streams.normalisers.login"

TYPES: Final[Mapping[str, NormaliserType]] = {
    "entra_signin": NormaliserType(
        EventKind.LOGIN,
        f"{_HERE}.entra_signin:EntraSigninNormaliser",
        "Microsoft Entra ID (Azure AD) sign-in logs: Graph, Azure Monitor, Log Analytics, the portal's CSV",
        needs="a diagnostic setting with SignInLogs and NonInteractiveUserSignInLogs, or signIns of Microsoft Graph",
        claims=re.compile(
            rb'"(?:[Cc]ategory|Type)" ?: ?"(?:AAD)?(?:NonInteractiveUser|(?:Microsoft)?ServicePrincipal|ADFS|'
            rb'ManagedIdentity)?Sign[Ii]nLogs"|"conditionalAccessStatus" ?:|"isInteractive" ?:'
        ),
        preamble=re.compile(rb"(?:\xef\xbb\xbf)?\"?Date(?: \(UTC\))?\"?,\"?Request ID"),
    ),
    "google_login": NormaliserType(
        EventKind.LOGIN,
        f"{_HERE}.google_login:GoogleLoginNormaliser",
        "Google Workspace login audit: Reports API, BigQuery export, forwarders",
        needs="the activities of the applications login and saml, by the Reports API or an export to BigQuery",
        claims=re.compile(rb'"applicationName" ?: ?"(?:login|saml|context_aware_access)"|"record_type" ?: ?"login"'),
    ),
    "m365_audit": NormaliserType(
        EventKind.LOGIN,
        f"{_HERE}.m365_audit:M365AuditNormaliser",
        "Microsoft 365 unified audit log: sign-ins (UserLoggedIn, UserLoginFailed, MailboxLogin …)",
        needs="auditing turned on (Purview); content type Audit.AzureActiveDirectory of the Management Activity API",
        claims=re.compile(
            rb'"Operation"" ?: ?""[A-Za-z]|"Operation" ?: ?"(?:UserLog|MailboxLogin|SignInEvent)'
            rb'|\\"Operation\\" ?: ?\\"|CEF:0\|MCAS\|'
        ),
        preamble=re.compile(rb"(?:\xef\xbb\xbf)?\"?(?:RecordId\"?,\"?CreationDate|CreationDate\"?,\"?UserIds)"),
    ),
}
