"""FortiGate's web filter to proxy events: `key=value`, CSV, CEF and JSON, of FortiOS 5 to 7.

An event is every record of the web filter (`type=utm subtype=webfilter`, `type=webfilter` of old), and what the other
profiles refused or found in a web request, which no record of the web filter says: `app-ctrl`, `virus`, `file-filter`,
`dlp` with a host or URL. What they let pass is the web filter's to tell, and ignored. DNS look-ups are no visits.

`event_action` is `denied` where the action is one of blocking (`blocked`, `block`, `deny`, `dropped`, `reset`, …),
else `allowed`: `passthrough`, `pass`, `exempt`, `filtered` (parts were taken out), `monitored`, `detected`.
`event_outcome` is `failure` for what was denied; FortiOS logs no status, so that it is `unknown` for what was not.

What led to a page is `referralurl`, where `reqtype` is `referral`; `direct` is asked for without a referrer. Without
reading what is encrypted, all is `direct` and the URL is the host.

The time is `eventtime` (seconds, later nanoseconds since 1970), else `date`, `time` and `tz`.

Facts: Fortinet, "FortiOS Log Message Reference" 5.0 to 7.6 (web filter, application control, antivirus, file filter,
data leak prevention; "CEF support"; "Log field format").
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.addresses import port
from streams.normalisers.json_records import decoded, text
from streams.normalisers.lines import Unreadable
from streams.normalisers.moments import since_1970, zoned
from streams.normalisers.payload import cef
from streams.normalisers.proxy.appliance import RAW, Appliance, Shapes
from streams.normalisers.proxy.facts import URL_FIELDS, whole_url
from streams.normalisers.proxy.reasons_appliances import ApplianceIgnored
from streams.normalisers.proxy.values import Values, column, host_and_port, stated, with_scheme
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused
from streams.normalisers.records import Fact, Head, Read

ACTIONS: Final = ("allowed", "denied")

_START = re.compile(r"CEF: ?\d+\||\{\"|(?<![\w.\-])(?:date|logver|logid|timestamp|eventtime|itime|devname)=")
_WANTED = frozenset(
    "date time tz eventtime logid type subtype eventtype devname user unauthuser srcip srcport srcmac mastersrcmac "
    "srcname dstip dstport service hostname url action status sentbyte rcvdbyte catdesc cat profile policyname "
    "policyid msg app appcat virus filename analyticscksum filehash checksum agent referralurl httpmethod contenttype "
    "httpcode transid".split()
)
_CEF_NAMES = {
    "duser": "user", "suser": "user", "src": "srcip", "spt": "srcport", "smac": "srcmac", "shost": "srcname",
    "dst": "dstip", "dpt": "dstport", "app": "service", "dhost": "hostname", "request": "url", "act": "action",
    "out": "sentbyte", "in": "rcvdbyte", "requestContext": "catdesc", "fname": "filename", "dvchost": "devname",
    "requestClientApplication": "agent", "requestMethod": "httpmethod", "fileHash": "filehash",
}  # fmt: skip
_BLOCKING = ("block", "deny", "denied", "drop", "reset", "quarantine", "ban")
_BESIDE = frozenset(("app-ctrl", "virus", "file-filter", "dlp"))
_QUOTA = frozenset(("ftgd_quota_counting", "ftgd_quota"))
_WEB = ("HTTP", "PROXY", "SSL", "QUIC", "WEB")
_OTHER_TYPES: dict[str, IgnoredReason] = {
    "traffic": ApplianceIgnored.FIREWALL_TRAFFIC,
    "event": ApplianceIgnored.FIREWALL_SYSTEM,
    "dns": ApplianceIgnored.FILTER_DNS,
}
_OTHER_SUBTYPES: dict[str, IgnoredReason] = {
    "dns": ApplianceIgnored.FILTER_DNS,
    "app-ctrl": ApplianceIgnored.APP_CONTROL,
}


class FortigateNormaliser(Appliance):
    """Records of a FortiGate, or of a FortiAnalyzer that hands them on."""

    type_name = "fortigate"
    DATASET = "fortigate.webfilter"
    START = _START
    fields = (
        *("timestamp", "event_dataset", "event_action", "event_outcome", "event_reason", "observer_hostname"),
        *("source_ip", "source_port", "source_mac", "user_name", "user_domain", "host_name"),
        *("destination_ip", "destination_port", "http_request_method", *URL_FIELDS, "http_request_referrer"),
        *("user_agent_original", "http_request_bytes", "http_response_bytes", "http_response_mime_type"),
        *("http_response_status_code", "proxy_category", "proxy_policy", "proxy_threat", "application_name"),
        *("file_name", "file_hash", "proxy_result", "process_name", "process_pid"),
    )

    COLUMNS = (
        column("event_reason", "msg"),
        column("source_ip", "srcip", "ip"),
        column("source_port", "srcport", "port"),
        column("source_mac", "srcmac mastersrcmac", "mac"),
        column("host_name", "srcname"),
        column("user_name", "user unauthuser", "user"),
        column("destination_ip", "dstip", "ip"),
        column("destination_port", "dstport", "port"),
        column("http_request_method", "httpmethod"),
        column("http_request_referrer", "referralurl"),
        column("user_agent_original", "agent"),
        column("http_request_bytes", "sentbyte", "count"),
        column("http_response_bytes", "rcvdbyte", "count"),
        column("http_response_mime_type", "contenttype"),
        column("http_response_status_code", "httpcode", "status"),
        column("proxy_result", "eventtype"),
        column("proxy_category", "catdesc appcat cat"),
        column("proxy_policy", "profile policyname policyid"),
        column("proxy_threat", "virus"),
        column("application_name", "app"),
        column("file_name", "filename"),
        column("file_hash", "analyticscksum filehash checksum", "hash"),
    )

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self._shapes = Shapes(_WANTED)

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        values = self._values(head.message)
        if isinstance(values, Unreadable):
            return values
        kind, subtype = values.get("type", ""), values.get("subtype", "")
        if not kind:
            return _foreign(head, head.message)
        if kind not in ("utm", "webfilter"):
            return _OTHER_TYPES.get(kind, Ignored.OTHER_RECORD)
        if kind == "webfilter" or subtype == "webfilter":
            if values.get("eventtype") in _QUOTA:
                return ApplianceIgnored.FILTER_QUOTA
            return self._event(values, "fortigate.webfilter", head)
        if subtype not in _BESIDE or not _is_web(values):
            return _OTHER_SUBTYPES.get(subtype, ApplianceIgnored.THREAT_OTHER)
        if not _is_denied(values) and not stated(values.get("virus")):
            return ApplianceIgnored.APP_CONTROL if subtype == "app-ctrl" else ApplianceIgnored.THREAT_OTHER
        return self._event(values, f"fortigate.{subtype}", head)

    def _values(self, message: str) -> dict[str, str] | Unreadable:
        if message.startswith("CEF:"):
            return _of_cef(message) or Unreadable(Refused.BROKEN_PAYLOAD, "a head of CEF that is not whole")
        if message.startswith("{"):
            try:
                return _of_json(message)
            except ValueError as error:
                return Unreadable(Refused.BROKEN_PAYLOAD, f"no JSON: {error}"[:200])
        return self._shapes.pairs(message)

    def _event(self, values: Values, dataset: str, head: Head) -> Fact | Unreadable:
        fact: Fact = {
            "event_dataset": dataset,
            "event_action": "denied" if _is_denied(values) else "allowed",
            "url_original": _url(values),
            RAW: values,
        }
        if "eventtime" in values or "date" in values:
            moment = self._moment(values)
            if moment is None:
                return Unreadable(Refused.BAD_TIME, "no such date, time or eventtime")
            fact["timestamp"] = moment
        if head.host is None and "devname" in values:
            fact["observer_hostname"] = stated(values["devname"])
        return fact

    def _moment(self, values: Values) -> int | None:
        absolute = values.get("eventtime")
        if absolute:
            if len(absolute) == 19 and absolute.isascii() and absolute.isdigit():  # nanoseconds, as most lines have it
                return int(absolute) // 1_000
            found = since_1970(absolute)
            if found is not None:
                return found
        when, zone = f"{values.get('date', '')} {values.get('time', '')}", values.get("tz", "")
        found = zoned(f"{when}{zone.removeprefix('UTC')}") if zone else None
        return self.local(when) if found is None else found


def _foreign(head: Head, message: str) -> IgnoredReason | Unreadable:
    if head.program is not None and "=" not in message:
        return Ignored.OTHER_PROGRAM
    return Unreadable(Refused.UNKNOWN_FORM, "no record of a FortiGate: it has no type")


def _of_json(message: str) -> dict[str, str]:
    """A record of `set format json`; `ValueError` where it is no JSON."""
    record = decoded(message)
    if not isinstance(record, dict):
        return {}
    return {key: found for key, value in record.items() if key in _WANTED and (found := text(value)) is not None}


def _of_cef(message: str) -> dict[str, str] | None:
    """A record of CEF under FortiOS' own names. `cat` is `type:subtype` there, and the head's name says it again."""
    record = cef(message)
    if record is None:
        return None
    values: dict[str, str] = {}
    for key, value in record.fields.items():
        values.setdefault(_cef_name(key), value)
    said = record.fields.get("cat", "")
    kind, _, subtype = (said if ":" in said else record.name.partition(" ")[0]).partition(":")
    values["type"] = kind or values.get("type", "")
    values.setdefault("subtype", subtype)
    if said == values.get("cat"):
        del values["cat"]
    if "FTNTFGTcat" in record.fields:
        values["cat"] = record.fields["FTNTFGTcat"]
    return values


@lru_cache(maxsize=1024)
def _cef_name(key: str) -> str:
    return _CEF_NAMES.get(key) or key.removeprefix("ad.").removeprefix("FTNTFGT")


def _is_denied(values: Values) -> bool:
    action = values.get("action") or values.get("status") or ""
    return action.lower().startswith(_BLOCKING)


def _is_web(values: Values) -> bool:
    service = values.get("service", "").upper()
    return bool(values.get("hostname") or values.get("url")) and service.startswith(_WEB)


def _url(values: Values) -> str | None:
    """FortiOS 5 and 6 log the path alone, 7 the whole URL."""
    url = stated(values.get("url"))
    if url and url.startswith(("https://", "http://")):
        return url
    secure = values.get("service", "").upper().startswith(("HTTPS", "SSL", "QUIC"))
    if url and not url.startswith("/"):
        return with_scheme(url, secure=secure)
    host, named = host_and_port(values.get("hostname"))
    where = named or port(values.get("dstport"))
    path, _, query = (url or "/").partition("?")
    return whole_url("https" if secure or where == 443 else "http", host, where, path, query)
