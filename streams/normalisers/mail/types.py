"""Mail servers and mail services."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from schemas.kinds import EventKind
from streams.normalisers.types import NormaliserType, enveloped

TYPES: Final[Mapping[str, NormaliserType]] = {
    "amavis": NormaliserType(
        EventKind.MAIL,
        "streams.normalisers.mail.amavis:AmavisNormaliser",
        "amavis (amavisd-new, Zimbra's zimbra.log) through syslog: verdict, recipients, score",
        needs="$log_level = 0 or higher and $log_templ as it comes; $do_syslog = 1",
        claims=re.compile(
            rb"(?:^|[\s/])amavis(?:d|d-new|-new)?(?:\[\d{1,10}\])?: " + enveloped("amavis(?:d|d-new|-new)?")
        ),
    ),
    "exchange_smtp": NormaliserType(
        EventKind.MAIL,
        "streams.normalisers.mail.exchange_smtp:ExchangeSmtpNormaliser",
        "Exchange SMTP receive protocol log: refusals, authentication, messages taken",
        needs="Set-ReceiveConnector -ProtocolLoggingLevel Verbose on every connector",
        claims=re.compile(
            rb"^\d{4}-\d\d-\d\dT[\d:.]{8,16}Z,[^,]{1,256}\\[^,]{1,256},[0-9A-Fa-f]{16},\d{1,9},[^,]{0,64},[^,]{0,64},[+\-<>*],"
        ),
        preamble=re.compile(rb"(?:\xef\xbb\xbf)?#(?:Software|Version|Log-type|Date|Fields): "),
    ),
    "exchange_tracking": NormaliserType(
        EventKind.MAIL,
        "streams.normalisers.mail.exchange_tracking:ExchangeTrackingNormaliser",
        "Exchange message tracking log (2000 to 2019), and Get-MessageTrackingLog as CSV or JSON",
        needs="Set-TransportService -MessageTrackingLogEnabled $true; all MSGTRK*.LOG of all servers",
        claims=re.compile(
            rb",(?:STOREDRIVER|SMTP|ROUTING|AGENT|DSN|MAILBOXRULE|PICKUP|GATEWAY|ADMIN|QUEUE|RESOLVER|APPROVAL),"
            rb"(?:DELIVER|SEND|FAIL|RECEIVE|SUBMIT|EXPAND|REDIRECT|RESOLVE|DEFER|DROP|DSN|BADMAIL|TRANSFER|AGENTINFO"
            rb"|INITMESSAGECREATED|MODERATOR\w{4,12}|HA\w{4,12}),"
            rb"|^[\d-]{8,10}\t[\d:]{7,8} GMT\t[^\t]{0,64}(?:\t[^\t]{0,512}){5}\t10\d\d\t"
            rb'|"EventId" ?: ?"[A-Z]{3,24}".{0,200}"MessageId"'
        ),
        preamble=re.compile(
            rb"(?:\xef\xbb\xbf)?#(?:Software|Version|Log-type|Date|Fields| Message Tracking| Exchange System| Date\t)"
        ),
        options={"date_order": "order of numbers in the times of a cmdlet: mdy (the default), dmy or ymd"},
    ),
    "exim": NormaliserType(
        EventKind.MAIL,
        "streams.normalisers.mail.exim:EximNormaliser",
        "Exim's main log, as a file or through syslog: mail, joined by message id",
        needs="log_selector = +received_recipients +subject +smtp_confirmation +millisec, log_timezone = true",
        claims=re.compile(
            rb"(?:^|\s)exim\d?(?:\[\d{1,10}\])?: "
            rb"|^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?(?: [+-]\d{4})?(?: \[\d{1,18}\])? "
            rb"(?:[0-9A-Za-z]{6}-[0-9A-Za-z]{6,11}-[0-9A-Za-z]{2,4} (?:<=|[=-]>|>>|\*[>*]|==|Completed)"
            rb"|(?:H=|U=)\S.{0,512}(?:rejected|sender verify) |\S{1,128} authenticator failed for )"
            + enveloped(r"exim\d?")
        ),
    ),
    "google_mail_log": NormaliserType(
        EventKind.MAIL,
        "streams.normalisers.mail.google_mail_log:GoogleMailLogNormaliser",
        "Google Workspace mail log: Reports API (gmail), BigQuery export, Email Log Search and Gmail log events as CSV",
        needs="Gmail logs exported to BigQuery, from there as JSON lines; or activities.list of applicationName=gmail",
        claims=re.compile(rb'"applicationName" ?: ?"gmail"|"(?:message_info|rfc2822_message_id)" ?:'),
        preamble=re.compile(
            rb'(?:\xef\xbb\xbf)?"?(?:Message ID"?,"?(?:Start date|Date)|Date"?,"?(?:Message ID|Subject|Event))'
        ),
    ),
    "m365_trace": NormaliserType(
        EventKind.MAIL,
        "streams.normalisers.mail.m365_trace:M365TraceNormaliser",
        "Exchange Online message trace: cmdlets, reporting service, Graph, summary reports, as CSV or JSON",
        needs="the trace fetched at least every hour, all pages: Get-MessageTraceV2, Graph, or a scheduled report",
        claims=re.compile(rb'"MessageTraceId" ?:|exchangeMessageTrace|##(?:Receive|Deliver|Send|Submit)\b'),
        preamble=re.compile(
            rb'(?:\xef\xbb\xbf)?(?:#TYPE |"?(?:PSComputerName|Organization|MessageId|origin_timestamp_utc)"?,)'
        ),
        options={"date_order": "order of numbers in the times of a CSV file: mdy (the default), dmy or ymd"},
    ),
    "postfix": NormaliserType(
        EventKind.MAIL,
        "streams.normalisers.mail.postfix:PostfixNormaliser",
        "Postfix through syslog: mail, joined by queue id",
        claims=re.compile(
            rb"(?:^|\s)postfix[\w.\-]*/[\w/\-]+(?:\[\d+\])?:" + enveloped(r"postfix[\w.\-]{0,64}/[\w/\-]{1,64}")
        ),
    ),
    "sendmail": NormaliserType(
        EventKind.MAIL,
        "streams.normalisers.mail.sendmail:SendmailNormaliser",
        "sendmail through syslog: mail, joined by queue id",
        needs="LogLevel 9 or higher in sendmail.cf (O LogLevel=9, the default)",
        claims=re.compile(
            rb"(?:^|[\s>])(?:sendmail|sm-mta|sm-msp-queue|sm-client)(?:\[\d{1,10}\])?: "
            + enveloped("sm-mta|sm-msp-queue|sm-client")  # `sendmail` in RFC 5424 is as likely Proofpoint's
        ),
    ),
}
