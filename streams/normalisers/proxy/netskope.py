"""Netskope to proxy events: transaction events (W3C), page, application and alert events (JSON, CEF).

- Transaction events: files with a `#Fields:` line (formats 1 to 3 differ in their columns), values parted by blanks or
  tabs, in quotes where they hold blanks.
- JSON, an object a line, in lists or pages of the REST interfaces: `type` or `record_type` page (`connection`),
  application (`nspolicy`) and alert, as far as they are about web traffic that Netskope steered: not what a connector
  found stored.
- CEF of Cloud Log Shipper with the vendor's default mapping.

`event_action` is `denied` where the policy's action is one of blocking (`block`, `blocked`, `deny`, `drop`,
`quarantine`, …), else `allowed` (`allow`, `alert`, `useralert` with the user going on, `bypass`, none). `event_outcome`
is `failure` for what was denied and for a status of 400 and above, `success` below, `unknown` without a status, which
only transactions have.

Facts: Netskope, "Transaction Event Fields", "REST API Events and Alerts Response Descriptions", "Cloud Log Shipper".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.addresses import port
from streams.normalisers.json_records import JsonNormaliser, text
from streams.normalisers.lines import Unreadable
from streams.normalisers.moments import since_1970, zoned
from streams.normalisers.payload import cef
from streams.normalisers.proxy.appliance import RAW, Appliance
from streams.normalisers.proxy.facts import URL_FIELDS, whole_url
from streams.normalisers.proxy.reasons_appliances import ApplianceIgnored
from streams.normalisers.proxy.values import Values, column, stated, with_scheme
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused
from streams.normalisers.records import Fact, Head, Read
from streams.normalisers.tables import MAX_COLUMNS, cells
from streams.normalisers.times import SourceClock

ACTIONS: Final = ("allowed", "denied")

_ROW = re.compile(r"\d{4}-\d\d-\d\d[ \t]\d\d:\d\d:\d\d[ \t]|\d{10}(?:\.\d+)?[ \t]|\"")
_KEYS = frozenset(
    "timestamp type record_type alert alert_type access_method url page domain site app appcategory category action "
    "policy policy_name user ur_normalized userip srcip src_ip dstip dstport dst_port src_port hostname client_bytes "
    "server_bytes useragent user_agent referer resp_content_type conn_duration object object_type file_name md5 sha256 "
    "local_md5 local_sha256 malware_name malsite_category audit_log_event method".split()
)
_CEF_NAMES = {
    "suser": "user", "src": "srcip", "dst": "dstip", "dpt": "dstport", "spt": "src_port", "request": "url",
    "act": "action", "requestClientApplication": "useragent", "requestMethod": "method", "fname": "file_name",
    "sourceServiceName": "app", "fileHash": "md5", "rt": "timestamp", "shost": "hostname", "in": "server_bytes",
    "out": "client_bytes", "cat": "category", "start": "timestamp", "requestContext": "referer",
}  # fmt: skip
_W3C = {
    "cs-username": "user", "c-ip": "srcip", "x-cs-userip": "userip", "x-cs-src-ip": "userip", "s-ip": "dstip",
    "x-cs-dst-ip": "dstip", "x-cs-dst-port": "dstport", "cs-uri-port": "uri_port", "x-cs-src-port": "src_port",
    "cs-bytes": "client_bytes", "sc-bytes": "server_bytes", "time-taken": "milliseconds", "cs-method": "method",
    "cs-uri-scheme": "scheme", "cs-host": "host", "cs-uri": "uri", "cs-uri-query": "query", "sc-status": "status",
    "cs-user-agent": "useragent", "sc-content-type": "resp_content_type", "cs-referer": "referer", "x-cs-app": "app",
    "x-category": "category", "x-cs-timestamp": "timestamp", "x-policy-action": "action", "x-policy-name": "policy",
    "x-c-hostname": "hostname", "x-rs-file-sha256": "sha256", "x-rs-file-md5": "md5", "x-rs-file-name": "file_name",
    "x-file-name": "file_name", "x-malware-name": "malware_name", "x-cs-dns": "dns", "cs-dns": "dns",
}  # fmt: skip
_DENYING = ("block", "deny", "denied", "drop", "quarantine", "reset")
_PAGES = frozenset(("page", "connection"))
_APPS = frozenset(("application", "nspolicy"))
_WEB_ALERTS = frozenset(("policy", "dlp", "malsite", "malware", "ctep", "content", "ips"))
_OTHER: dict[str, IgnoredReason] = {
    "admin_audit_logs": ApplianceIgnored.CLOUD_AUDIT,
    "audit": ApplianceIgnored.CLOUD_AUDIT,
    "infrastructure": ApplianceIgnored.CLOUD_AUDIT,
    "clientstatus": ApplianceIgnored.CLOUD_AUDIT,
    "network": ApplianceIgnored.CLOUD_NETWORK,
}


class NetskopeNormaliser(Appliance, JsonNormaliser):
    """Records of a Netskope tenant; the newest `#Fields:` line is remembered."""

    type_name = "netskope"
    DATASET = "netskope.page"
    START = re.compile(r"CEF: ?\d+\||\{|\[\{")
    fields = (
        *("timestamp", "event_dataset", "event_action", "event_outcome", "observer_hostname", "source_ip"),
        *("source_port", "user_name", "user_domain", "host_name", "destination_ip", "destination_port"),
        *("http_request_method", *URL_FIELDS, "http_request_referrer", "user_agent_original", "http_request_bytes"),
        *("http_response_bytes", "http_response_mime_type", "http_response_status_code", "event_duration"),
        *("proxy_category", "proxy_policy", "proxy_threat", "proxy_result", "application_name", "file_name"),
        *("file_hash", "process_name", "process_pid"),
    )
    COLUMNS = (
        column("source_ip", "userip srcip src_ip", "ip"),
        column("source_port", "src_port", "port"),
        column("user_name", "user ur_normalized", "user"),
        column("host_name", "hostname"),
        column("destination_ip", "dstip", "ip"),
        column("destination_port", "dstport dst_port", "port"),
        column("http_request_method", "method"),
        column("http_request_referrer", "referer"),
        column("user_agent_original", "useragent user_agent"),
        column("http_request_bytes", "client_bytes", "count"),
        column("http_response_bytes", "server_bytes", "count"),
        column("http_response_mime_type", "resp_content_type"),
        column("http_response_status_code", "status", "status"),
        column("event_duration", "milliseconds", "milliseconds"),
        column("proxy_category", "category appcategory"),
        column("proxy_policy", "policy policy_name"),
        column("proxy_threat", "malware_name malsite_category"),
        column("proxy_result", "action"),
        column("application_name", "app"),
        column("file_name", "file_name"),
        column("file_hash", "sha256 local_sha256 md5 local_md5", "hash"),
    )

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self.names: tuple[str, ...] = ()
        self._plain: tuple[str, ...] = ()

    def _name(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._plain = tuple(_W3C.get(name, name) for name in names)

    def _head(self, text: str) -> Head:
        """A row's date and time are no syslog header's."""
        if text.startswith("#") or (_ROW.match(text) and (self.names or self.START.search(text) is None)):
            return Head("", None, None, None, text)
        return super()._head(text)

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        message = head.message
        if message.startswith(("{", "[")):
            return JsonNormaliser.read(self, head)
        if message.startswith("#"):
            if message.startswith("#Fields:"):
                self._name(message[8:].split()[:MAX_COLUMNS])
            return Ignored.HEADER
        if message.startswith("CEF:"):
            return self._cef(message)
        if head.program is not None or head.host is not None:
            return Ignored.OTHER_PROGRAM
        return self._row(message)

    def own(self, obj: dict[str, Any]) -> bool:
        """See `JsonNormaliser.own`."""
        return "timestamp" in obj and ("type" in obj or "record_type" in obj or "alert_type" in obj)

    def fact(self, obj: dict[str, Any], head: Head) -> Read:
        """See `JsonNormaliser.fact`."""
        del head
        values: dict[str, str] = {}
        for key, value in obj.items():
            if key in _KEYS:
                found = value if type(value) is str else _text(value)
                if found:
                    values[key] = found
        return self._event(values)

    def _event(self, values: dict[str, str]) -> Read:
        kind = (values.get("record_type") or values.get("type", "")).lower()
        alert = values.get("alert_type", "").lower()
        if kind in _OTHER or "audit_log_event" in values:
            return _OTHER.get(kind, ApplianceIgnored.CLOUD_AUDIT)
        if values.get("access_method") == "API Connector" or (alert and alert not in _WEB_ALERTS):
            return ApplianceIgnored.CLOUD_INCIDENT
        if not alert and kind not in _PAGES and kind not in _APPS and kind != "alert":
            return Ignored.OTHER_RECORD if kind else Unreadable(Refused.UNKNOWN_FORM, "no type of record")
        where = stated(values.get("url")) or stated(values.get("page")) or stated(values.get("domain"))
        if where is None:
            return ApplianceIgnored.CLOUD_INCIDENT
        dataset = "alert" if alert or kind == "alert" else "page" if kind in _PAGES else "application"
        fact = self._fact(values, f"netskope.{dataset}")
        if isinstance(fact, dict):
            insecure = port(values.get("dstport") or values.get("dst_port")) == 80
            fact["url_original"] = with_scheme(where, secure=not insecure)
            if "file_name" not in values and values.get("object_type") == "File":
                values["file_name"] = values.get("object", "")
        return fact

    def _row(self, message: str) -> Read:
        if not self.names:
            return Unreadable(Refused.NO_FIELDS, "no #Fields line before this one")
        row = cells(message, "\t" if "\t" in message else " ")
        if row is None:
            return Unreadable(Refused.BROKEN_PAYLOAD, "a quote is not closed")
        if len(row) != len(self.names):
            return Unreadable(Refused.UNKNOWN_FORM, f"{len(row)} values, {len(self.names)} columns")
        values = {name: value for name, value in zip(self._plain, row, strict=True) if value and value != "-"}
        if "timestamp" not in values:
            values["timestamp"] = f"{values.get('date', '')} {values.get('time', '')} UTC"
        fact = self._fact(values, "netskope.transaction")
        if isinstance(fact, dict):
            fact["url_original"] = _url(values)
        return fact

    def _cef(self, message: str) -> Read:
        record = cef(message)
        if record is None:
            return Unreadable(Refused.BROKEN_PAYLOAD, "a head of CEF that is not whole")
        values: dict[str, str] = {}
        for key, value in record.fields.items():
            if stated(value) is not None:
                values.setdefault(_CEF_NAMES.get(key, key), value)
        word = record.event_class.lower()
        if word in _WEB_ALERTS or word not in (*_PAGES, *_APPS, *_OTHER):
            values.setdefault("alert_type", word)
        else:
            values.setdefault("type", word)
        return self._event(values)

    def _fact(self, values: dict[str, str], dataset: str) -> Fact | Unreadable:
        when = values.get("timestamp", "")
        moment = self.local(when, _time)
        if when and moment is None:
            return Unreadable(Refused.BAD_TIME, "no such time")
        denied = values.get("action", "").lower().startswith(_DENYING)
        fact: Fact = {"event_dataset": dataset, "event_action": "denied" if denied else "allowed", RAW: values}
        if moment is not None:
            fact["timestamp"] = moment
        return fact

    def remember(self) -> dict[str, Any]:
        """The names of the columns."""
        return {"names": list(self.names)}

    def recall(self, saved: Mapping[str, Any]) -> None:
        """See `RecordNormaliser.recall`."""
        names = saved.get("names", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"names of columns are {names!r:.80}")
        self._name(names)


def _time(text: str, clock: SourceClock) -> int | None:
    del clock
    return since_1970(text) or zoned(text) or zoned(f"{text} UTC")


def _text(value: Any) -> str | None:
    """A value as text; of a list the texts, parted by commas."""
    if isinstance(value, list):
        return ",".join(found for item in value[:32] if (found := text(item)) is not None) or None
    return text(value)


def _url(values: Values) -> str | None:
    uri, query = stated(values.get("uri")), stated(values.get("query"))
    host = stated(values.get("host")) or stated(values.get("dns"))
    scheme = stated(values.get("scheme"))
    if query is not None and uri is not None and "?" in uri:
        query = None
    if uri is not None and not uri.startswith("/"):
        whole = with_scheme(uri, secure=scheme != "http")
        return f"{whole}?{query}" if query else whole
    return whole_url(scheme or "https", host, port(values.get("uri_port")), uri, query)
