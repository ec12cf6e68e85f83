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
}
