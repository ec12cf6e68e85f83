"""Logins to the network and its computers: Windows, RADIUS, 802.1X, VPN."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from schemas.kinds import EventKind
from streams.normalisers.types import NormaliserType

_NPS_ROW = rb'^"[^"]{0,64}","(?:IAS|RAS|NPS)",\d\d/\d\d/\d{4},|,\d\d/\d\d/\d{4},\d\d:\d\d:\d\d,(?:IAS|RAS|NPS),'
_WINDOWS_IDS = rb"(?:46(?:24|25|34|47|48)|47(?:40|68|69|71|76|77|78|79)|480[01])"

TYPES: Final[Mapping[str, NormaliserType]] = {
    "anyconnect": NormaliserType(
        EventKind.LOGIN,
        "streams.normalisers.login.anyconnect:AnyconnectNormaliser",
        "Cisco ASA and FTD: AnyConnect and clientless VPN, logins to the device",
        needs="logging class auth, webvpn, svc, vpn and vpnc at informational; logging timestamp; logging device-id",
        claims=re.compile(
            rb"%(?:ASA|FTD)-(?:[\w\-]{1,16}-)?[0-7]-(?:113\d{3}|716(?:00[12]|03[89])|722\d{3}|6111\d\d|60500[45])\b"
        ),
        options={
            "verdicts": '"sessions" (default): 716038, 716039, 605004 and 605005 are the logins; "aaa": 113004, '
            "113005, 113012 and 113015 are",
        },
    ),
    "cisco_ise": NormaliserType(
        EventKind.LOGIN,
        "streams.normalisers.login.cisco_ise:CiscoIseNormaliser",
        "Cisco ISE: passed and failed authentications, RADIUS accounting, administrators",
        needs="Logging > Remote Logging Targets, and in Logging Categories: Passed Authentications, Failed Attempts, "
        "RADIUS Accounting, Administrative and Operational Audit",
        claims=re.compile(
            rb"\b(?:CISE|CSCOacs)_[A-Za-z_]{1,64} (?:- - - )?(?:\d{10} \d{1,3} \d{1,3} |WARN|INFO|ERROR)"
        ),
    ),
    "clearpass": NormaliserType(
        EventKind.LOGIN,
        "streams.normalisers.login.clearpass:ClearpassNormaliser",
        "Aruba ClearPass: session, Insight and accounting records of syslog export filters; pairs, CEF, LEEF",
        needs="External Servers > Syslog Export Filters: Session Logs with the column groups Logged in users, "
        "Failed Authentications and RADIUS Accounting",
        claims=re.compile(
            rb" \d{1,10} \d{1,3} \d{1,3} +(?:Common|Auth|RADIUS|WEBAUTH|TACACS)\.[A-Z]| CPPM_[A-Za-z_]{1,40} \d"
            rb"|\|Aruba Networks\|ClearPass\|"
        ),
    ),
    "freeradius": NormaliserType(
        EventKind.LOGIN,
        "streams.normalisers.login.freeradius:FreeradiusNormaliser",
        "FreeRADIUS radius.log: 802.1X and VPN logins",
        needs="auth = yes in the log section of radiusd.conf; auth_badpass and auth_goodpass = no",
        claims=re.compile(
            rb"(?:radiusd?(?:\[\d{1,10}\])?: (?:Auth: )?|: Auth: |^<\d{1,3}>1 \S+ \S+ (?:free)?radiusd? .{0,512}?)"
            rb"(?:\(\d{1,10}\) {1,4})?(?:Login OK|Login incorrect|Invalid user|Rejected in post-auth|Multiple logins)"
        ),
    ),
    "freeradius_detail": NormaliserType(
        EventKind.LOGIN,
        "streams.normalisers.login.freeradius_detail:FreeradiusDetailNormaliser",
        "FreeRADIUS detail files: accounting sessions, requests and replies of several lines",
        needs="detail in the accounting section, one file of it; access points that send accounting",
        claims=re.compile(rb"^\t(?:Acct-|User-Name|NAS-|Called-|Calling-|Framed-|Packet-Type)[\w\-]{0,40} = "),
    ),
    "freeradius_linelog": NormaliserType(
        EventKind.LOGIN,
        "streams.normalisers.login.freeradius_linelog:FreeradiusLinelogNormaliser",
        "FreeRADIUS linelog: one line a login or session, in the module's own or the site's format",
        needs="linelog in post-auth, Post-Auth-Type REJECT and accounting, with a time (%S) in the format or syslog",
        claims=re.compile(
            rb"radiusd?(?:\[\d{1,10}\])?: (?:(?:Accepted|Rejected) user: |Sent challenge: |Requested access: "
            rb"|Rejected access: |(?:Disc|C)onnect: \[)|F-TICKS/"
        ),
        options={"formats": "format strings of mods-enabled/linelog, one or a list, tried before the usual ones"},
    ),
    "globalprotect": NormaliserType(
        EventKind.LOGIN,
        "streams.normalisers.login.globalprotect:GlobalprotectNormaliser",
        "Palo Alto GlobalProtect: VPN logins and sessions; fields, CEF, LEEF, JSON, SYSTEM messages before 9.1",
        needs="Device > Log Settings > GlobalProtect (and System before PAN-OS 9.1) forwarded to syslog",
        claims=re.compile(
            rb",GLOBALPROTECT,|,SYSTEM,globalprotect,|\|GLOBALPROTECT\|globalprotect\||\bcat=globalprotect\b"
            rb'|"LogType" ?: ?"GLOBALPROTECT"'
        ),
    ),
    "nps": NormaliserType(
        EventKind.LOGIN,
        "streams.normalisers.login.nps:NpsNormaliser",
        "Network Policy Server: IAS, database compatible and DTS log files, events 6272 to 6279",
        needs="NPS > Accounting > Configure local file logging, all of it",
        claims=re.compile(_NPS_ROW + rb"| data_type=[\"']\d{1,2}[\"']>"),
    ),
    "openvpn": NormaliserType(
        EventKind.LOGIN,
        "streams.normalisers.login.openvpn:OpenvpnNormaliser",
        "OpenVPN server log, by file or syslog, and OpenVPN Access Server",
        needs="verb 3 or 4; push-peer-info in the clients for their hardware address",
        claims=re.compile(
            rb" (?:openvpn|ovpn-)[\w\-()]{0,32}(?:\[\d{1,10}\])?: |Peer Connection Initiated with \["
            rb"|MULTI_sva: pool returned |\] received, client-instance (?:exiting|restarting)|TLS Auth Error: "
            rb"| \[OVPN \d{1,3}\] OUT: "
        ),
    ),
    "windows_security": NormaliserType(
        EventKind.LOGIN,
        "streams.normalisers.login.windows_security:WindowsSecurityNormaliser",
        "Windows security log: event XML, Winlogbeat, NXLog, Snare, Azure SecurityEvent, rendered text",
        needs="Advanced audit policy: Logon, Logoff, Account Lockout, Kerberos, Credential Validation; both outcomes",
        claims=re.compile(
            rb"<EventID[^>]{0,40}>" + _WINDOWS_IDS + rb"</EventID>"
            rb'|"(?:EventID|event_id|eventID)" ?: ?"?' + _WINDOWS_IDS + rb"\b|MSWinEventLog"
            rb"|Microsoft-Windows-Security-Auditing.{0,40}An? (?:account|logon)"
        ),
        options={
            "verdicts": '"hosts" (default): 4624 and 4625 are the logins; "domain": only domain controllers\' logs are '
            "read, and 4768, 4771 and 4776 are the logins",
        },
    ),
}
