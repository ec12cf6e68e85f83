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
        "Google Workspace login audit: Reports API, BigQuery export, Google Cloud's audit log, forwarders",
        needs="the activities of the applications login and saml, by the Reports API or an export to BigQuery",
        claims=re.compile(
            rb'"applicationName" ?: ?"(?:login|saml|context_aware_access)"|"record_type" ?: ?"login"|'
            rb'"login\.googleapis\.com"'
        ),
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
    "okta": NormaliserType(
        EventKind.LOGIN,
        f"{_HERE}.okta:OktaNormaliser",
        "Okta System Log",
        needs="an API token or OAuth scope okta.logs.read for /api/v1/logs, or a log stream",
        claims=re.compile(
            rb'"event[Tt]ype" ?: ?"(?:user\.(?:session|authentication|account|mfa)|policy|app\.generic|system)\.'
        ),
    ),
    "auth0": NormaliserType(
        EventKind.LOGIN,
        f"{_HERE}.auth0:Auth0Normaliser",
        "Auth0 tenant log: Management API, log streams, EventBridge",
        needs="a log stream, or the scope read:logs of the Management API",
        claims=re.compile(
            rb'"log_id" ?: ?"90\d{10,}|aws\.partner/auth0\.com|"\$event_schema"|'
            rb'"type" ?: ?"(?:s|f|fp|fu|slo|seccft|seacft|limit_wc|pwd_leak)"'
        ),
    ),
    "duo": NormaliserType(
        EventKind.LOGIN,
        f"{_HERE}.duo:DuoNormaliser",
        "Duo: authentication log (Admin API v1, v2, Log Sync), administrators' logins, authevents.log of the proxy",
        needs="an Admin API application with Grant read log; log_auth_events = true for authevents.log",
        claims=re.compile(
            rb'"access_device" ?: ?\{|"auth_device" ?: ?\{|"auth_stage" ?: ?"|"action" ?: ?"admin_(?:login|lockout|2fa)'
        ),
    ),
    "onelogin": NormaliserType(
        EventKind.LOGIN,
        f"{_HERE}.onelogin:OneloginNormaliser",
        "OneLogin events: Events API, webhook",
        needs="an API credential pair with Read All, or an event webhook (format: JSON, a line an event)",
        claims=re.compile(rb'"event_type_id" ?:'),
    ),
    "cas": NormaliserType(
        EventKind.LOGIN,
        f"{_HERE}.cas:CasNormaliser",
        "Apereo CAS audit log: single line, several lines, JSON",
        needs="cas.audit.slf4j.use-single-line=true, or audit-format=JSON",
        claims=re.compile(
            rb"inspektr\.audit\.|\|CAS\|.{0,2000}\|(?:AUTHENTICATION|TICKET|SERVICE_TICKET)_[A-Z_]{2,40}\|"
            rb'|"actionPerformed" ?:|"action" ?: ?"(?:AUTHENTICATION|TICKET_GRANTING|SERVICE_TICKET)_'
        ),
    ),
    "keycloak": NormaliserType(
        EventKind.LOGIN,
        f"{_HERE}.keycloak:KeycloakNormaliser",
        "Keycloak: events in the server's log (text or JSON), or of the event store",
        needs="--spi-events-listener-jboss-logging-success-level=info (successes are logged at debug)",
        claims=re.compile(rb'type=\\?"?[A-Z][A-Z_]{2,40}\\?"?, realm(?:Id|Name)=|org\.keycloak\.events'),
    ),
    "shibboleth": NormaliserType(
        EventKind.LOGIN,
        f"{_HERE}.shibboleth:ShibbolethNormaliser",
        "Shibboleth: idp-process.log, idp-audit.log, shibd.log, transaction.log",
        needs="idp-process.log with net.shibboleth.idp.authn at INFO, for the verdicts",
        claims=re.compile(
            rb"\[net\.shibboleth\.idp\.|^\d{8}T\d{6}Z\|urn:|Shibboleth-TRANSACTION|Shibboleth\.SessionCache|"
            rb"\|urn:oasis:names:tc:SAML:2\.0:ac:classes:"
        ),
        options={
            "audit_format": "format of idp-audit.log where it is none of Shibboleth's own, e.g. %T|%u|%SP|%a",
            "audit_logins": "true: entries of idp-audit.log with a fresh authentication are logins",
        },
    ),
}
