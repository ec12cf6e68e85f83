"""Firewalls and cloud filters that write one record a request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from schemas.kinds import EventKind
from streams.normalisers.types import NormaliserType

TYPES: Final[Mapping[str, NormaliserType]] = {
    "fortigate": NormaliserType(
        EventKind.PROXY,
        "streams.normalisers.proxy.fortigate:FortigateNormaliser",
        "FortiGate web filter, and what its other profiles refuse on the web: pairs, CSV, CEF or JSON through syslog",
        needs="a web filter profile with categories on monitor or block, log-all-url on, syslog to the collector",
        claims=re.compile(
            rb'[ ,]"?type"?[=:] ?"?(?:utm|webfilter)"?[ ,]|\|Fortinet\|Forti[^|]{1,20}\|[^|]{1,40}\|\d+\|utm:'
        ),
    ),
    "paloalto": NormaliserType(
        EventKind.PROXY,
        "streams.normalisers.proxy.paloalto:PaloaltoNormaliser",
        "Palo Alto Networks URL filtering and web threats: CSV, CEF or LEEF through syslog",
        needs="a URL filtering profile with categories on alert or block, and a log forwarding profile for threat logs",
        claims=re.compile(
            rb",THREAT,(?:url|file|virus|wildfire|ml-virus|data|spyware|vulnerability),"
            rb"|\|Palo Alto Networks\|[^|]{1,40}\|[^|]{0,20}\|(?:url\|THREAT|THREAT\|url|[^|]{0,80}\|THREAT)\|"
            rb"|\|Palo Alto Networks\|.{0,200}[|\t]cat=THREAT[|\t]"
        ),
    ),
    "forcepoint": NormaliserType(
        EventKind.PROXY,
        "streams.normalisers.proxy.forcepoint:ForcepointNormaliser",
        "Forcepoint (Websense) Web Security: key=value, CEF or LEEF through syslog, and the cloud's CSV files",
        needs="SIEM Integration switched on with one of its predefined formats; in the cloud, SIEM log export",
        claims=re.compile(
            rb"(?:^|\s)vendor=(?:Websense|Forcepoint) |\|(?:Websense|Forcepoint)\|(?:Web )?Security\|[^|]{0,20}\|"
            rb"(?:[^|]{0,40}\|Transaction |transaction:)"
        ),
        options={"date_order": "Order of a date's numbers in the cloud's files: dmy (the default), mdy or ymd."},
    ),
    "skyhigh": NormaliserType(
        EventKind.PROXY,
        "streams.normalisers.proxy.skyhigh:SkyhighNormaliser",
        "Skyhigh (McAfee) Web Gateway: access.log, pairs, CEF or LEEF through syslog, and the cloud's CSV",
        needs="nothing for access.log; a log handler rule for syslog; the Forensics API for the cloud's CSV",
        claims=re.compile(
            rb'(?:^|\s)status="\d{0,3}/\d{0,5}" srcip="|\|(?:McAfee|Skyhigh Security)\|Web ?Gateway\||'
            rb'\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "[^"]{0,100}" [0-9a-fA-F.:]{2,40} \d{3} "[A-Z]'
        ),
        preamble=re.compile(rb'#? ?"?time_stamp"? |"?user_id"?,"?username"?,'),
    ),
    "sophos": NormaliserType(
        EventKind.PROXY,
        "streams.normalisers.proxy.sophos:SophosNormaliser",
        "Sophos web filters: UTM httpproxy, Sophos Firewall (XG, XGS) content filtering, Web Appliance",
        needs="remote syslog of web filtering; Sophos Firewall: a web policy on the rule, content filtering logged",
        claims=re.compile(
            rb'(?:^|\s)(?:device="SFW" |device_name="SFW" )|sys="SecureWeb" sub="http" |'
            rb'(?:^|\s)h=[0-9a-fA-F.:]* u="[^"]{0,200}" s=\d'
        ),
    ),
    "netskope": NormaliserType(
        EventKind.PROXY,
        "streams.normalisers.proxy.netskope:NetskopeNormaliser",
        "Netskope: transaction events (W3C), page, application and alert events (JSON, CEF)",
        needs="transaction event streaming, or page and application events by the REST interface or Cloud Log Shipper",
        claims=re.compile(
            rb"CEF: ?\d\|Netskope\||^#Fields: .{0,400}x-cs-(?:app|timestamp|access-method)|"
            rb'"access_method": ?"(?:Client|GRE|IPSec|Secure Forwarder|Reverse Proxy|Explicit Proxy)"'
        ),
        preamble=re.compile(rb"#(?:Fields|Version|Date|Software)\b"),
    ),
    "meraki": NormaliserType(
        EventKind.PROXY,
        "streams.normalisers.proxy.meraki:MerakiNormaliser",
        "Cisco Meraki MX: URLs, blocks of the content filter, scanned downloads, through syslog",
        needs="Network-wide > General > Reporting: a syslog server with the roles URLs, appliance and security events",
        claims=re.compile(
            rb"(?:^|[\s>])urls src=\S{3,60} dst=\S{3,60} .{0,600}request: ?[A-Z]|"
            rb" events (?:type=)?content_filtering_block |security_event security_filtering_"
        ),
    ),
    "cloudflare_gateway": NormaliserType(
        EventKind.PROXY,
        "streams.normalisers.proxy.cloudflare_gateway:CloudflareGatewayNormaliser",
        "Cloudflare Gateway HTTP logs of Logpush (JSON)",
        needs="a Logpush job of the dataset gateway_http with all fields, to a bucket or an HTTP collector",
        claims=re.compile(rb'"(?:HTTPHost|UntrustedCertificateAction)": ?"'),
    ),
}
