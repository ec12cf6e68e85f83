"""Proxies and filters that write access logs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from schemas.kinds import EventKind
from streams.normalisers.types import NormaliserType

TYPES: Final[Mapping[str, NormaliserType]] = {
    "squid": NormaliserType(
        EventKind.PROXY,
        "streams.normalisers.proxy.squid:SquidNormaliser",
        "Squid access.log: native, combined, common or a logformat of the site's own, also behind a syslog header",
        claims=re.compile(
            rb"(?:squid|\(squid-\d+\))(?:\[\d+\])?: |^<\d+>1 \S+ \S+ squid |(?:TCP|UDP|NONE|TAG)_[A-Z_]+:[A-Z_]+$"
            rb"|^\d{9,11}\.\d{3} +\d+ \S+ [A-Z_]+/\d{3} \d+ [A-Z]+ \S+ \S+ [A-Z_]+/\S* \S+$"
        ),
        options={
            "logformat": "the site's own format: a line `logformat` of squid.conf, its format alone, or the name of a "
            "built-in one (squid, common, combined, referrer, useragent)"
        },
    ),
    "access_log": NormaliserType(
        EventKind.PROXY,
        "streams.normalisers.proxy.access_log:AccessLogNormaliser",
        "Access logs of Apache and nginx (common, combined, with a server's name, a format of the site's own), HAProxy",
        claims=re.compile(
            rb'^(?:\S{1,300} )?[0-9A-Fa-f.:]{3,45} - \S{1,100} \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "'
            rb'[A-Z]{3,10} /\S{0,4000} HTTP/\d(?:\.\d)?" \d{3} (?:\d+|-)(?: "[^"]*" "[^"]*")?$|haproxy\[\d+\]: '
        ),
        options={
            "log_format": "the site's own format: Apache's LogFormat or nginx' log_format, as a line of its "
            "configuration or the format alone"
        },
    ),
    "w3c": NormaliserType(
        EventKind.PROXY,
        "streams.normalisers.proxy.w3c:W3cNormaliser",
        "W3C extended logs by their #Fields: ProxySG, Secure Web Appliance, IIS, Forefront TMG, CloudFront, any other",
        needs="date, time, c-ip, the URL's fields, sc-status, and what the filter decided among the fields",
        claims=re.compile(
            rb"^(?:\xef\xbb\xbf)?#(?:Fields|Software|Version): | sc-filter-result=| splunk_format - "
            rb"|<Event .{0,300}Microsoft-Windows-IIS-Logging"
        ),
        preamble=re.compile(rb"(?:\xef\xbb\xbf)?#|\s*$"),
        options={
            "fields": "names of the fields, as a #Fields line would give them, for a log that has none",
            "local_time": "true where date and time are in the source's zone, not in UTC",
        },
    ),
    "squidguard": NormaliserType(
        EventKind.PROXY,
        "streams.normalisers.proxy.squidguard:SquidguardNormaliser",
        "squidGuard's block log, ufdbGuard's",
        needs="`log` in each destination or acl of squidGuard.conf",
        claims=re.compile(
            rb"\d\d:\d\d:\d\d \[\d+\] (?:Request\([^/()]{0,99}/[^()]{0,199}/[^/()]{0,99}\) "
            rb"|BLOCK +\S+ +[0-9A-Fa-f.:]+ )"
        ),
    ),
    "e2guardian": NormaliserType(
        EventKind.PROXY,
        "streams.normalisers.proxy.e2guardian:E2guardianNormaliser",
        "e2guardian's and DansGuardian's access log, logfileformat 1 to 8",
        claims=re.compile(
            rb'^(?:[A-Za-z]{3,12}: )?"?\d{4}\.\d{1,2}\.\d{1,2} \d{1,2}:\d\d:\d\d(?: \d{9,11}\.\d{3})?["\t ]'
            rb"|^\d{9,11}\.\d{3}\t[^\t]{0,255}\t[^\t]{0,255}\t[^\t]{0,255}\t"
        ),
        options={"logfileformat": "e2guardian.conf's number; needed for 3 (Squid's form), else told by the lines"},
    ),
    "cisco_wsa": NormaliserType(
        EventKind.PROXY,
        "streams.normalisers.proxy.cisco_wsa:CiscoWsaNormaliser",
        "Cisco Secure Web Appliance (WSA, IronPort): access log, from a file or by syslog push",
        needs="an access log subscription in the format `squid` with the scanning verdicts, user agent (%u) added",
        claims=re.compile(
            rb" [A-Z_]+/\d{3} \d+ [A-Z_]+ .{1,4000} [A-Z_]+_?\d*(?:-[^ <>]{1,60}){5,9} (?:<|&lt;)(?:"
            rb"\"?IW_|nc,|-,|\"?C_|ns,)|\d{3} \d+ [A-Z_]+ tunnel://\S+ \S+ \S+ \S+ \S+ [A-Z_]+_?\d*-"
        ),
    ),
    "umbrella": NormaliserType(
        EventKind.PROXY,
        "streams.normalisers.proxy.umbrella:UmbrellaNormaliser",
        "Cisco Umbrella and Secure Access: web (proxy) log in CSV, from a bucket",
        needs="Admin > Log Management: export to S3, folder proxylogs",
        claims=re.compile(rb'^"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"(?:, ?"[^"]*"){5}, ?"(?:ALLOWED|BLOCKED)"'),
        preamble=re.compile(rb'(?i)"?timestamp"?,'),
    ),
    "zscaler_nss": NormaliserType(
        EventKind.PROXY,
        "streams.normalisers.proxy.zscaler_nss:ZscalerNormaliser",
        "Zscaler Internet Access: web feed of NSS or Cloud NSS, name=value, JSON, CEF, LEEF, CSV or tab-separated",
        needs="an NSS feed for web logs with the client's address, user, URL, action and rule",
        claims=re.compile(rb"\tproduct=NSS\t|\|Zscaler\|NSS|zscalernss-web|\|Zscaler\|[^|]{0,40}[wW]eb"),
        options={"fields": "NSS' names of the values of a CSV or tab-separated feed that is not in Zscaler's order"},
    ),
}
