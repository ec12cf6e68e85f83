"""Mail gateways and filters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from schemas.kinds import EventKind
from streams.normalisers.types import NormaliserType

_HERE = "streams.normalisers.mail"

TYPES: Final[Mapping[str, NormaliserType]] = {
    "mimecast": NormaliserType(
        EventKind.MAIL,
        f"{_HERE}.mimecast:MimecastNormaliser",
        "Mimecast: SIEM files with bars or in JSON, events of API 2.0, threat logs of the API",
        needs="Enhanced Logging (inbound, outbound, internal) on; the files fetched by the API, or its events",
        claims=re.compile(
            rb"datetime=\d{4}-\d\d-\d\dT[^|]{5,20}\|(?:aCode|acc)="
            rb'|"(?:aCode|aggregateId)": ?"[^"]{1,80}"|"Content-Disposition": ?"attachment; filename='
            rb'|"userEmailAddress": ?"[^"]{1,320}", ?"fromUserEmailAddress"'
        ),
    ),
    "fortimail": NormaliserType(
        EventKind.MAIL,
        f"{_HERE}.fortimail:FortimailNormaliser",
        "FortiMail: history with the deliveries of its SMTP events, antispam and antivirus findings",
        needs="Log & Report | Log Setting | Remote: history, mail event (SMTP), antispam and antivirus logs to syslog",
        claims=re.compile(
            rb"\bdevice_id=\"?F[EK]\w{4}"
            rb"|\blog_id=\"?\d{10}\"?[, ]+type=\"?(?:statistics|event|spam|virus|encrypt|kevent)\b"
        ),
    ),
    "cisco_esa": NormaliserType(
        EventKind.MAIL,
        f"{_HERE}.cisco_esa:CiscoEsaNormaliser",
        "Cisco ESA (Secure Email Gateway): text mail logs joined by MID, or consolidated event logs (CEF)",
        needs="a log subscription of Text Mail Logs (level Information) or Consolidated Event Logs, by syslog push",
        claims=re.compile(
            rb"(?:^|[ :])(?:Info|Warning): (?:(?:Start |Message (?:finished|aborted) )?MID \d+ |ICID \d+ "
            rb"|New SMTP [ID]CID \d+ |Message done DCID \d+ |(?:Bounced|Delayed): DCID \d+ )"
            rb"|\|ESA_CONSOLIDATED_LOG_EVENT\|"
        ),
    ),
    "proofpoint": NormaliserType(
        EventKind.MAIL,
        f"{_HERE}.proofpoint:ProofpointNormaliser",
        "Proofpoint: PPS filter and sendmail lines, message and maillog of on Demand, TAP's messages and clicks",
        needs="PPS: filter and MTA logs to syslog; on Demand: the Log Service; TAP: the SIEM API; a record a line",
        claims=re.compile(
            rb"\bfilter_instance\w{0,20}(?:\[\d{1,10}\])?: |\brprt s=\w{1,40} (?:m=|mod=)"
            rb"| ProofpointTAP \S+ (?:MSG|CLK)"
            rb'|"(?:messages(?:Blocked|Delivered)|clicks(?:Permitted|Blocked)|threatsInfoMap|impostorScore)" ?:'
            rb'|"sm" ?: ?\{|"clickIP" ?:|"routeDirection" ?:'
        ),
    ),
    "barracuda": NormaliserType(
        EventKind.MAIL,
        f"{_HERE}.barracuda:BarracudaNormaliser",
        "Barracuda: mail syslog of the Email Security Gateway, JSON records of Email Gateway Defense",
        needs="ESG: Advanced | Advanced Networking, mail syslog; Gateway Defense: Account Management, Syslog",
        claims=re.compile(
            rb" \d{9,10}-[\w\-]{3,64} \d{1,11} \d{1,11} (?:RECV|SCAN|SEND) "
            rb'|"(?:env_from|ptr_record|dst_domain)" ?:[^\n]{0,8000}"(?:recipients|delivery_detail|account_id)" ?:'
        ),
    ),
    "symantec_smg": NormaliserType(
        EventKind.MAIL,
        f"{_HERE}.symantec_smg:SymantecSmgNormaliser",
        "Symantec Messaging Gateway (Brightmail): message audit log, joined by audit ID",
        needs="Administration | Settings | Logs | Remote: syslog on, message audit logs enabled for every scanner",
        claims=re.compile(
            rb"(?:^|[ |])\d{9,10}\|[\w\-]{0,100}\|(?:ACCEPT|SENDER|ORCPTS|MSGID|SUBJECT|VERDICT|FIRED|UNTESTED|SOURCE"
            rb"|DELIVER|DELIVERY_FAILURE|IRCPTACTION|ATTACH|ATTACHFILTER|EHLO|LOGICAL_IP|MSG_SIZE|TRACKERID)\|"
        ),
    ),
}
