r"""Forcepoint Web Security (before: Websense) to proxy events: key=value, CEF and LEEF through syslog, the cloud's CSV.

- The SIEM integration's predefined formats: "syslog/key-value pairs" (`vendor=Websense …` or `vendor=Forcepoint …`),
  "syslog/CEF (ArcSight)", "syslog/LEEF (QRadar)". Pairs are not quoted there: what a client wrote ends at its user
  agent, so that keys up to it count where they come first, those behind it where they come last.
- Files of the cloud's SIEM log export: CSV with or without a line of names; without one the columns are those that the
  export tool starts with. Dates are day first unless the option `date_order` says otherwise.

`event_action` is `denied` for `blocked` (and what else begins so: `Blocked by …`), `denied` and `refused`, else
`allowed` (`permitted`, `Allowed`, `Confirmed`, …). `event_outcome` is `failure` for what was denied and for a status of
400 and above, `success` below, `unknown` without a status.

The user is `loginID` where it is stated, else the last part of the path (`LDAP://host OU=…,DC=example,DC=org/Name`),
whose `DC`s are the domain. Categories are numbers in the SIEM formats, names in the cloud's.

Facts: Forcepoint, "SIEM Solutions: Web Protection Solutions" 7.7 to 8.5 (format strings, keys), "Web Security Cloud
Help: Exporting data to a third-party SIEM tool"; IBM QRadar DSM guide, "Forcepoint V-Series Content Gateway".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from schemas.errors import ConfigError
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.addresses import port
from streams.normalisers.lines import Unreadable
from streams.normalisers.moments import Order, numbers, since_1970, zoned
from streams.normalisers.payload import cef, leef
from streams.normalisers.proxy.appliance import RAW, Appliance
from streams.normalisers.proxy.facts import URL_FIELDS
from streams.normalisers.proxy.unquoted import Unquoted
from streams.normalisers.proxy.values import column, stated, with_scheme
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.records import Fact, Head, Read
from streams.normalisers.tables import MAX_COLUMNS, cells
from streams.normalisers.times import SourceClock

ACTIONS: Final = ("allowed", "denied")

_FIRST = (
    "vendor product product_version action severity category user loginID src_host src_port dst_host dst_ip dst_port "
    "bytes_out bytes_in http_response http_method http_content_type http_user_agent"
).split()
_LAST = (
    "http_proxy_status_code reason disposition policy role duration url logRecordSource cloud_app cloudAppName "
    "file_name"
).split()
_PASSED_OVER = "vendor product product_version severity role duration logRecordSource".split()
_START = re.compile(r"CEF: ?\d+\||LEEF: ?\d|(?<![^\s>])vendor=(?:Websense|Forcepoint)\b")
_CEF_NAMES = {
    "act": "action", "app": "protocol", "dst": "dst_ip", "dhost": "dst_host", "dpt": "dst_port", "src": "src_host",
    "spt": "src_port", "suser": "user", "loginID": "loginID", "rt": "time", "in": "bytes_in", "out": "bytes_out",
    "requestMethod": "http_method", "requestClientApplication": "http_user_agent", "reason": "reason", "cs1": "policy",
    "cs3": "http_content_type", "cn1": "disposition", "request": "url", "cat": "category", "shost": "workstation",
}  # fmt: skip
_LEEF_NAMES = {
    "cat": "category", "usrName": "user", "loginID": "loginID", "src": "src_host", "srcPort": "src_port",
    "srcBytes": "bytes_out", "dstBytes": "bytes_in", "dst": "dst_ip", "dstPort": "dst_port",
    "proxyStatus-code": "http_proxy_status_code", "serverStatus-code": "http_response", "method": "http_method",
    "disposition": "disposition", "contentType": "http_content_type", "reason": "reason", "policy": "policy",
    "userAgent": "http_user_agent", "url": "url", "devTime": "time",
}  # fmt: skip
_CLOUD = (
    *("date", "time", "user", "workstation", "category", "action", "risk_class", "policy", "url", "connection_ip"),
    *("dst_ip", "src_host", "threat_type", "threat", "http_user_agent", "http_proxy_status_code", "http_method"),
)
_CLOUD_NAMES = {
    "policy_name": "policy", "destination_ip": "dst_ip", "source_ip": "src_host", "threat_name": "threat",
    "user_agent": "http_user_agent", "user_agent_string": "http_user_agent",
    "http_status_code": "http_proxy_status_code",
    "status_code": "http_proxy_status_code", "http_request_method": "http_method", "request_method": "http_method",
    "method": "http_method", "bytes_sent": "bytes_out", "bytes_received": "bytes_in", "date_and_time": "date_time",
    "date_time": "date_time", "content_type": "http_content_type", "mime_type": "http_content_type",
    "cloud_app_name": "cloud_app", "cloud_application": "cloud_app", "filename": "file_name", "url_full": "url",
    "port": "dst_port", "categories": "category", "user_name": "user", "blocked_reason": "reason",
}  # fmt: skip
_NO_LETTERS = re.compile(r"[^a-z0-9]+")
_PATH = re.compile(r"(?:LDAP|WinNT|NTLM|Radius|NDS)://", re.IGNORECASE)
_DC = re.compile(r"DC\\?=([^,/\\]+)", re.IGNORECASE)
_ESCAPED = re.compile(r"\\(.)")
_DENYING = ("block", "den", "refus")


class ForcepointNormaliser(Appliance):
    """Records of Forcepoint Web Security; the newest line of names is remembered."""

    type_name = "forcepoint"
    DATASET = "forcepoint.web"
    START = _START
    fields = (
        *("timestamp", "event_dataset", "event_action", "event_outcome", "event_reason", "observer_hostname"),
        *("source_ip", "source_port", "user_name", "user_domain", "host_name", "destination_ip", "destination_port"),
        *("http_request_method", *URL_FIELDS, "user_agent_original", "http_request_bytes", "http_response_bytes"),
        *("http_response_mime_type", "http_response_status_code", "proxy_category", "proxy_policy", "proxy_threat"),
        *("application_name", "file_name", "proxy_result", "process_name", "process_pid"),
    )
    COLUMNS = (
        column("event_reason", "reason"),
        column("source_ip", "src_host connection_ip", "ip"),
        column("source_port", "src_port", "port"),
        column("host_name", "workstation"),
        column("destination_ip", "dst_ip", "ip"),
        column("destination_port", "dst_port", "port"),
        column("user_agent_original", "http_user_agent"),
        column("http_request_bytes", "bytes_out", "count"),
        column("http_response_bytes", "bytes_in", "count"),
        column("http_response_mime_type", "http_content_type"),
        column("http_response_status_code", "http_proxy_status_code http_response", "status"),
        column("proxy_result", "disposition"),
        column("proxy_category", "category"),
        column("proxy_policy", "policy"),
        column("proxy_threat", "threat"),
        column("application_name", "cloud_app cloudAppName"),
        column("file_name", "file_name"),
    )

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        order = settings.options.get("date_order", "dmy")
        if order not in ("dmy", "mdy", "ymd"):
            raise ConfigError(f"no such order: {order!r}", where="options.date_order", hint="known are: dmy, mdy, ymd")
        self._order: Order = order
        self._unquoted = Unquoted(_FIRST, _LAST, _PASSED_OVER)
        self.names: tuple[str, ...] = ()

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        message = head.message
        if message.startswith("vendor="):
            return self._event(self._unquoted.pairs(message), None)
        if message.startswith("CEF:"):
            return self._cef(message)
        if message.startswith("LEEF:"):
            return self._leef(message)
        if head.program is not None or head.host is not None:
            return Ignored.OTHER_PROGRAM
        return self._row(message)

    def _cef(self, message: str) -> Read:
        record = cef(message)
        if record is None:
            return Unreadable(Refused.BROKEN_PAYLOAD, "a head of CEF that is not whole")
        if "act" not in record.fields and not record.name.startswith("Transaction"):
            return Ignored.OTHER_RECORD
        values = {_CEF_NAMES[key]: value for key, value in record.fields.items() if key in _CEF_NAMES}
        values.setdefault("category", record.event_class)
        values.setdefault("action", record.name.rpartition(" ")[2])
        return self._event(values, values.get("time"))

    def _leef(self, message: str) -> Read:
        record = leef(message)
        if record is None:
            return Unreadable(Refused.BROKEN_PAYLOAD, "a head of LEEF that is not whole")
        kind, _, action = record.event_id.partition(":")
        if kind != "transaction":
            return Ignored.OTHER_RECORD
        values = {_LEEF_NAMES[key]: value for key, value in record.fields.items() if key in _LEEF_NAMES}
        values["action"] = action
        values["url"] = values.get("url", "").partition(" logRecordSource=")[0]
        return self._event(values, values.get("time"))

    def _row(self, message: str) -> Read:
        row = cells(message)
        if row is None:
            return Unreadable(Refused.BROKEN_PAYLOAD, "a quote is not closed")
        if len(row) < 4:
            return Unreadable(Refused.UNKNOWN_FORM, "no form of Forcepoint's logs")
        if "://" not in message and "action" in message.lower():
            words = [_NO_LETTERS.sub("_", cell.lower()).strip("_") for cell in row[:MAX_COLUMNS]]
            if "url" in words and "action" in words:
                self.names = tuple(_CLOUD_NAMES.get(word, word) for word in words)
                return Ignored.HEADER
        names = self.names or (_CLOUD if len(row) == len(_CLOUD) else ())
        if not names:
            return Unreadable(Refused.NO_FIELDS, "no line before this one names the columns")
        if len(row) > len(names) and any(row[len(names) :]):
            return Unreadable(Refused.UNKNOWN_FORM, f"{len(row)} values, {len(names)} columns")
        values = dict(zip(names, row, strict=False))
        when = values.get("date_time") or f"{values.get('date', '')} {values.get('time', '')}"
        moment = self.local(when, self._ordered)
        return self._event(values, when) if moment is None else self._event(values, None, moment)

    def _ordered(self, text: str, clock: SourceClock) -> int | None:
        return numbers(text, clock, self._order)

    def _event(self, values: dict[str, str], when: str | None, moment: int | None = None) -> Fact | Unreadable:
        fact: Fact = {}
        if when is not None:
            moment = since_1970(when) or zoned(when)
            if moment is None:
                return Unreadable(Refused.BAD_TIME, "no such time")
        if moment is not None:
            fact["timestamp"] = moment
        fact["user_name"], fact["user_domain"] = _user(values.get("user"), values.get("loginID"))
        fact["event_action"] = "denied" if values.get("action", "").lower().startswith(_DENYING) else "allowed"
        method = stated(values.get("http_method"))
        fact["http_request_method"] = method.upper() if method else None
        url = stated(values.get("url"))
        if url is not None:
            secure = method is not None and method.upper() == "CONNECT"
            secure = secure or port(values.get("dst_port")) == 443 or values.get("protocol") == "https"
            fact["url_original"] = with_scheme(url, secure=secure)
        fact[RAW] = values
        return fact

    def remember(self) -> dict[str, Any]:
        """The names of the columns."""
        return {"names": list(self.names)}

    def recall(self, saved: Mapping[str, Any]) -> None:
        """See `RecordNormaliser.recall`."""
        names = saved.get("names", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"names of columns are {names!r:.80}")
        self.names = tuple(names)


@lru_cache(maxsize=4096)
def _user(path: str | None, login: str | None) -> tuple[str | None, str | None]:
    path, login = stated(path), stated(login)
    if path is not None and _PATH.match(path):
        domain: str | None = ".".join(_DC.findall(path)).lower() or None
        name = _ESCAPED.sub(r"\1", path.rpartition("/")[2]) or None
        if domain is None:
            domain = path.partition("://")[2].partition("/")[0].strip() or None if path[:5] == "WinNT" else None
    else:
        name, domain = _parted(path)
    if login is None:
        return name, domain
    login_name, login_domain = _parted(login)
    return login_name, login_domain or domain


def _parted(text: str | None) -> tuple[str | None, str | None]:
    r"""`DOMAIN\name`, `DOMAIN/name`, `name@domain`; of the cloud's `DOMAIN\name@mail.domain` the mail's domain."""
    if text is None or text.lower() == "anonymous":  # the cloud's word for nobody known
        return None, None
    name, at, domain = text.rpartition("@")
    if at and name and domain:
        return name.rpartition("\\")[2], domain.lower()
    for sign in ("\\", "/"):
        domain, found, name = text.partition(sign)
        if found and domain and name:
            return name.removeprefix("\\"), domain
    return text, None
