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
}
