"""Cloudflare Gateway's HTTP logs (Logpush, dataset `gateway_http`) to proxy events: JSON, an object a line.

All generations of the dataset's fields are read; the job's form of time (RFC 3339, seconds or nanoseconds since 1970)
is told by itself. Records of `gateway_dns`, `gateway_network`, zero trust sessions and other datasets are ignored by
name.

`event_action` is `denied` for the actions `block`, `blocked`, `quarantine`, `denied` and `redirect` (the site was not
reached), and where a certificate that is not trusted was refused (`UntrustedCertificateAction` `block` or `error`);
`allowed` for `allow`, `bypass` (not inspected), `isolate` and the like. `event_outcome` is `failure` for what was
denied and for a status of 400 and above, `success` below, `unknown` without a status (0).

Facts: Cloudflare, "Logpush datasets: Gateway HTTP", "Gateway DNS", "Gateway Network", "Gateway activity logs".
"""

from __future__ import annotations

import re
from typing import Any, Final

from streams.normalisers.json_records import JsonNormaliser, text
from streams.normalisers.lines import Unreadable
from streams.normalisers.moments import since_1970, zoned
from streams.normalisers.proxy.appliance import RAW, Appliance
from streams.normalisers.proxy.facts import URL_FIELDS, whole_url
from streams.normalisers.proxy.reasons_appliances import ApplianceIgnored
from streams.normalisers.proxy.values import column, stated, with_scheme
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.records import Fact, Head, Read

ACTIONS: Final = ("allowed", "denied")

_KEYS = (
    *("SourceIP", "SourceInternalIP", "SourcePort", "Email", "DeviceName", "DestinationIP", "DestinationPort"),
    *("HTTPMethod", "HTTPVersion", "HTTPStatusCode", "Referer", "UserAgent", "PolicyName", "PolicyID", "Action"),
    *("BlockedFileName", "BlockedFileHash", "BlockedFileReason", "BlockedFileType"),
)
_LISTS = ("CategoryNames", "ApplicationNames", "DownloadedFileNames", "UploadedFileNames")
_DENYING = frozenset(("block", "blocked", "quarantine", "quarantined", "denied", "deny", "redirect"))
_NOBODY = "non_identity@"  # a device that is enrolled by a service token
_DNS = ("QueryName", "QueryType", "ResolverDecision")
_NETWORK = ("Transport", "SNI", "PolicyAction", "DetectedProtocol", "SessionEndTime")


class CloudflareGatewayNormaliser(Appliance, JsonNormaliser):
    """Objects of the dataset."""

    type_name = "cloudflare_gateway"
    DATASET = "cloudflare.gateway_http"
    START = re.compile(r"\{|\[\{")
    fields = (
        *("timestamp", "event_dataset", "event_action", "event_outcome", "event_reason", "observer_hostname"),
        *("source_ip", "source_port", "user_name", "user_domain", "host_name", "destination_ip", "destination_port"),
        *("http_request_method", "http_version", *URL_FIELDS, "http_request_referrer", "user_agent_original"),
        *("http_response_status_code", "proxy_category", "proxy_policy", "proxy_threat", "proxy_result"),
        *("application_name", "file_name", "file_hash", "process_name", "process_pid"),
    )
    COLUMNS = (
        column("event_reason", "BlockedFileReason"),
        column("source_ip", "SourceInternalIP SourceIP", "ip"),
        column("source_port", "SourcePort", "port"),
        column("user_name", "Email", "user"),
        column("host_name", "DeviceName"),
        column("destination_ip", "DestinationIP", "ip"),
        column("destination_port", "DestinationPort", "port"),
        column("http_request_method", "HTTPMethod"),
        column("http_version", "version"),
        column("http_request_referrer", "Referer"),
        column("user_agent_original", "UserAgent"),
        column("http_response_status_code", "HTTPStatusCode", "status"),
        column("proxy_category", "CategoryNames"),
        column("proxy_policy", "PolicyName PolicyID"),
        column("proxy_threat", "threat"),
        column("proxy_result", "Action"),
        column("application_name", "ApplicationNames"),
        column("file_name", "BlockedFileName DownloadedFileNames UploadedFileNames"),
        column("file_hash", "BlockedFileHash", "hash"),
    )

    def own(self, obj: dict[str, Any]) -> bool:
        """See `JsonNormaliser.own`."""
        return "Datetime" in obj or "SessionStartTime" in obj or ("HTTPHost" in obj and "Action" in obj)

    def fact(self, obj: dict[str, Any], head: Head) -> Read:
        """See `JsonNormaliser.fact`."""
        del head
        if "HTTPHost" not in obj and "URL" not in obj:
            if any(key in obj for key in _DNS):
                return ApplianceIgnored.FILTER_DNS
            if any(key in obj for key in _NETWORK):
                return ApplianceIgnored.CLOUD_NETWORK
            return Ignored.OTHER_RECORD if self.own(obj) else Unreadable(Refused.UNKNOWN_FORM, "no record of Gateway's")
        when = text(obj.get("Datetime")) or ""
        moment = since_1970(when) or zoned(when)
        if moment is None:
            return Unreadable(Refused.BAD_TIME, "no such time in Datetime")
        values: dict[str, str] = {}
        for key in _KEYS:
            value = obj.get(key)
            if value is not None and value != "":
                values[key] = value if type(value) is str else text(value) or ""
        if values.get("Email", "").startswith(_NOBODY):
            del values["Email"]
        for key in _LISTS:
            names = obj.get(key)
            if names:
                values[key] = names if isinstance(names, str) else ",".join(map(str, names[:32]))
        action = values.get("Action", "").lower()
        certificate = (text(obj.get("UntrustedCertificateAction")) or "").lower()
        values["version"] = values.get("HTTPVersion", "").removeprefix("HTTP/")
        if values.get("BlockedFileReason", "").lower() in ("malware", "virus", "av"):
            values["threat"] = values["BlockedFileReason"]
        fact: Fact = {
            "timestamp": moment,
            "event_action": "denied" if action in _DENYING or certificate in ("block", "error") else "allowed",
            "url_original": _url(obj),
            RAW: values,
        }
        return fact


def _url(obj: dict[str, Any]) -> str | None:
    url, host = stated(text(obj.get("URL"))), stated(text(obj.get("HTTPHost")))
    if url is None:
        return whole_url("https", host, None, None, None)
    if url.startswith("/") and host is not None:
        path, _, query = url.partition("?")
        return whole_url("https" if str(obj.get("DestinationPort")) != "80" else "http", host, None, path, query)
    return with_scheme(url, secure=str(obj.get("DestinationPort")) != "80")
