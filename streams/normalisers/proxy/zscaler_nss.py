"""Zscaler Internet Access, web log feeds of the Nanolog Streaming Service, to proxy events.

Read are the feed formats that Zscaler offers: name=value separated by tabs (Splunk), JSON (Cloud NSS: an object a
line, an array, or in an envelope `event`), CEF (ArcSight), LEEF (QRadar), and quoted CSV or tab-separated values in
Zscaler's own order or in that of the option `fields`. The time is `epochtime`, else the written one, in the zone that
`tz` names or else the source's.

`event_action` is `denied` where the action is Blocked, else `allowed` (so Cautioned and Isolated, which go on).
`event_outcome` is `failure` for what was denied and for status 400 and above, `success` below, `unknown` without a
status.

Facts: Zscaler, "NSS Feed Output Format: Web Logs", "General Guidelines for NSS Feeds and Feed Formats", "Adding Cloud
NSS Feeds for Web Logs"; its deployment guides for Splunk, QRadar and ArcSight.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from schemas.errors import ConfigError
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.json_records import decoded, text
from streams.normalisers.lines import Unreadable
from streams.normalisers.moments import since_1970
from streams.normalisers.payload import cef, labelled, leef
from streams.normalisers.proxy.appliance import RAW, RawFacts
from streams.normalisers.proxy.facts import URL_FIELDS, whole_url
from streams.normalisers.proxy.reasons_logs import LogIgnored
from streams.normalisers.proxy.values import column, stated
from streams.normalisers.proxy.w3c_rows import quoted_cells
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused
from streams.normalisers.records import Fact, Head, Read, RecordNormaliser
from streams.normalisers.times import SourceClock

ACTIONS: Final = ("allowed", "denied")

ORDER: Final = (
    "time login proto eurl action appname appclass reqsize respsize stime ctime urlclass urlsupercat urlcat "
    "malwarecat threatname riskscore dlpeng dlpdict location dept cip sip reqmethod respcode ua ereferer ruletype "
    "rulelabel contenttype unscannabletype deviceowner devicehostname keyprotectiontype"
).split()
"""Fields of the CSV and tab-separated feeds, in Zscaler's own order."""

_PAIRS = re.compile(r"(?:<\d{1,3}>)?(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)?[^\t=]{0,64}?\t?(?=[A-Za-z_]\w{1,40}=)", re.ASCII)
_ZPA = re.compile(
    r'"(?:ConnectionID|SessionID|ConnectorGroup|ZENBytes\w+|TimestampRequestReceiveStart|ZEN|CPUUtilization)"\s*:'
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]{1,15}://", re.ASCII)
_HOST_PORT = re.compile(r"[^/?#\s]{1,255}:\d{1,5}\Z", re.ASCII)
_CEF_NAMES = {"cat": "urlcategory", "app": "protocol"}
_LEEF_NAMES = {"cat": "action", "policy": "reason", "appproto": "protocol"}
_FACT_KEYS = (  # of a feed of names, what makes the verdict, the time and the URL
    *("action", "epochtime", "rt", "devTime", "time", "datetime", "recordtime", "tz", "url", "eurl", "request"),
    *("protocol", "proto", "requestmethod", "reqmethod", "requestMethod", "hostname", "ehost", "dhost", "host"),
)
_MOST_NAMES, _MAX_ALIKE, _LEARNT_ALWAYS = 256, 6, 256
_WEB_KEYS = ("url", "eurl", "request", "hostname", "ehost", "dhost", "host")


class _Order(NamedTuple):
    """Names of a feed in their order.

    Attributes:
        match: Matches a line of these names, a group for every value that is read.
        names: Those that a fact itself is made of.
        few: Their values, from the groups and a None behind them.
        whole: The values of `KEYS`, from the same.
        web: Whether such a line is a web record.
    """

    match: Callable[[str, int], re.Match[str] | None]
    names: tuple[str, ...]
    few: Callable[[Sequence[str | None]], tuple[Any, ...]]
    whole: Callable[[Sequence[str | None]], tuple[str | None, ...]]
    web: bool


class ZscalerNormaliser(RawFacts, RecordNormaliser):
    """Records of a web feed; every one is decided by itself.

    Args:
        settings: What the source's configuration tells; its option `fields` names the values of a feed without names.

    Raises:
        ConfigError: the option is none.
    """

    type_name = "zscaler_nss"
    DATASET = "zscaler.web"
    fields = (
        *("timestamp", "event_dataset", "event_action", "event_outcome", "event_reason", "observer_hostname"),
        *("process_name", "process_pid", "source_ip", "user_name", "user_domain", "http_request_method", *URL_FIELDS),
        *("http_response_status_code", "http_response_bytes", "http_request_bytes", "http_response_mime_type"),
        *("http_request_referrer", "user_agent_original", "destination_ip", "proxy_category", "host_name"),
        *("application_name", "proxy_policy", "proxy_threat", "file_name", "file_hash"),
    )
    COLUMNS = (
        column("source_ip", "ClientIP cip src", "ip"),
        column("user_name", "user login suser usrName", "user"),
        column("http_request_method", "requestmethod reqmethod requestMethod"),
        column("http_response_status_code", "status respcode outcome", "status"),
        column("http_response_bytes", "responsesize respsize in dstBytes", "count"),
        column("http_request_bytes", "requestsize reqsize out srcBytes", "count"),
        column("http_response_mime_type", "contenttype"),
        column("http_request_referrer", "refererURL ereferer referer"),
        column("user_agent_original", "useragent ua eua requestClientApplication"),
        column("destination_ip", "serverip sip dst", "ip"),
        column("proxy_category", "urlcategory urlcat"),
        column("application_name", "appname destinationServiceName"),
        column("proxy_policy", "rulelabel"),
        column("proxy_threat", "threatname"),
        column("host_name", "devicehostname devicename"),
        column("file_name", "filename upload_filename"),
        column("file_hash", "sha256 bamd5 md5 md5hash", "hash"),
        column("event_reason", "reason"),
    )

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self._utc = SourceClock(replace(settings, timezone=ZoneInfo("UTC")))
        names = settings.options.get("fields", ORDER)
        names = names.replace(",", " ").split() if isinstance(names, str) else names
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise ConfigError("fields is no list of names", where="options.fields", hint="give NSS' names, in order")
        self._orders: dict[int, list[_Order]] = {}
        self._missed = 0
        self._order = [re.sub(r"^%0?\d*[sd]\{(\w+)\}$", r"\1", name) for name in names]

    def _head(self, text: str) -> Head:
        if "\t" in text[:40] and (text[:1] in "<\t" or text[:1].isdigit()):
            return Head("", None, None, None, text)  # a feed's own time is no syslog header
        return super()._head(text)

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        message = head.message
        first = message.lstrip()[:1]
        if first in ("{", "["):
            return self._json(message)
        if "CEF:" in message[:200]:
            record = cef(message)
            if record is not None:
                return self._cef(record.vendor, record.product, {**record.fields, **labelled(record.fields)})
        if "LEEF:" in message[:200]:
            found = leef(message)
            if found is not None:
                names = {_LEEF_NAMES.get(key, key): value for key, value in found.fields.items()}
                return self._fact(names) if found.vendor == "Zscaler" else Ignored.OTHER_RECORD
        if first == '"' and '","' in message and _ZPA.search(message[:4000]) is None:
            return self._row(message)
        if "\t" in message:
            return self._tabs(message)
        return _foreign(head)

    def _json(self, message: str) -> Read:
        try:
            value = decoded(message)
        except ValueError as error:
            return Unreadable(Refused.BROKEN_PAYLOAD, f"no JSON: {error}"[:200])
        facts: list[Fact] = []
        other: IgnoredReason | Unreadable = Unreadable(Refused.UNKNOWN_FORM, "no record in the JSON of the line")
        for record in value if isinstance(value, list) else [value]:
            taken = self._object(record)
            if isinstance(taken, dict):
                facts.append(taken)
            elif isinstance(taken, (IgnoredReason, Unreadable)):
                other = taken
        return facts or other

    def _object(self, record: Any) -> Fact | IgnoredReason | Unreadable:
        if not isinstance(record, dict):
            return Unreadable(Refused.UNKNOWN_FORM, "no object")
        inner = record.get("event")
        source = str(record.get("sourcetype", ""))
        if "nss" in source and "web" not in source:
            return LogIgnored.FILTER_NETWORK
        record = inner if isinstance(inner, dict) else record
        if not any(key in record for key in _WEB_KEYS) or "action" not in record:
            zpa = {"ConnectionID", "SessionID", "Connector", "ConnectorGroup", "ZEN"} & record.keys()
            return LogIgnored.ZPA_RECORD if zpa else Ignored.OTHER_RECORD
        values = {key: value if type(value) is str else text(value) or "" for key, value in record.items()}
        return self._fact(values)

    def _cef(self, vendor: str, product: str, values: dict[str, str]) -> Read:
        if vendor != "Zscaler":
            return Ignored.OTHER_RECORD
        if "web" not in product.lower() and "request" not in values:
            return LogIgnored.FILTER_NETWORK
        values = {_CEF_NAMES.get(key, key): value for key, value in values.items()}
        values.setdefault("action", values.get("act", ""))
        values.setdefault("threatname", values.get("cs5", ""))
        values.setdefault("md5hash", values.get("cs6", ""))
        return self._fact(values)

    def _row(self, message: str) -> Read:
        row = quoted_cells(message)
        return Unreadable(Refused.BROKEN_PAYLOAD, "a quote is not closed") if row is None else self._values(row)

    def _tabs(self, message: str) -> Read:
        start = _PAIRS.match(message)
        if start is None:
            return self._values(message.split("\t"))
        taken = self._known(message, start)
        if taken is not None:
            return taken
        parts = message[start.end() :].split("\t")
        values = dict(part.split("=", 1) for part in parts if "=" in part)
        if len(values) == len(parts) <= _MOST_NAMES:  # all are pairs, and no name comes twice
            self._learn(list(values))
        if '="' in message:
            values = {key: value.strip('"') for key, value in values.items()}
        if start[1]:
            values.setdefault("time", start[1])
        if not any(key in values for key in _WEB_KEYS) or "action" not in values:
            return LogIgnored.FILTER_NETWORK
        return self._fact(values)

    def _known(self, message: str, start: re.Match[str]) -> Read | None:
        """A line of names in an order seen before, read by one expression; None for any other.

        Of equal names the last counts, so that a line where one comes twice is of no order.
        """
        for order in self._orders.get(message.count("\t", start.end()), ()):
            found = order.match(message, start.end())
            if found is not None:
                break
        else:
            return None
        if not order.web:
            return LogIgnored.FILTER_NETWORK
        given: tuple[str, ...] = found.groups()
        if '="' in message:
            given = tuple(value.strip('"') for value in given)
        groups = (*given, None)
        values = dict(zip(order.names, order.few(groups), strict=True))
        if start[1]:
            values.setdefault("time", start[1])
        return self._fact(values, order.whole(groups))

    def _learn(self, names: list[str]) -> None:
        self._missed += 1
        if self._missed <= _LEARNT_ALWAYS or self._missed % 16 == 0:  # learning costs more than one line can bring
            alike = self._orders.setdefault(len(names) - 1, [])
            alike.insert(0, self._order_of(names))
            del alike[_MAX_ALIKE:]

    def _order_of(self, names: list[str]) -> _Order:
        read = {*self.KEYS, *_FACT_KEYS}
        taken = [name for name in names if name in read]
        expression = "\t".join(f"{re.escape(name)}=" + ("([^\t]*+)" if name in read else "[^\t]*+") for name in names)
        few = [name for name in _FACT_KEYS if name in taken]
        # one more than there are, so that `itemgetter` gives a tuple; it stands for None
        return _Order(
            re.compile(rf"{expression}\Z").match,
            (*few, ""),
            itemgetter(*map(taken.index, few), len(taken)),
            itemgetter(*(taken.index(key) if key in taken else len(taken) for key in self.KEYS)),
            any(key in names for key in _WEB_KEYS) and "action" in names,
        )

    def _values(self, row: list[str]) -> Read:
        if len(row) < 10 or len(row) > len(self._order) + 20:
            return Unreadable(Refused.UNKNOWN_FORM, f"{len(row)} values, {len(self._order)} fields")
        values = dict(zip(self._order, row, strict=False))
        if "action" not in values or not re.match(r"(?i)allow|block|caution|isolat", values["action"]):
            return Unreadable(Refused.UNKNOWN_FORM, "the values do not stand in the order of the fields")
        return self._fact(values)

    def _fact(self, values: Mapping[str, str], kept: tuple[str | None, ...] | None = None) -> Fact | Unreadable:
        fact: Fact = {
            "event_action": "denied" if values.get("action", "").lower().startswith("block") else "allowed",
            "url_original": _url(values),
            RAW: tuple(map(values.get, self.KEYS)) if kept is None else kept,
        }
        when = values.get("epochtime") or values.get("rt") or values.get("devTime") or values.get("time")
        when = when or values.get("datetime") or values.get("recordtime")
        if when:
            micros = self._micros(when, values.get("tz", ""))
            if micros is None:
                return Unreadable(Refused.BAD_TIME, f"no such time: {when}"[:100])
            fact["timestamp"] = micros
        return fact

    def _micros(self, when: str, zone: str) -> int | None:
        if when[:10].isdigit():
            return since_1970(when)
        if when.endswith((" GMT", " UTC")):
            when, zone = when[:-4], "GMT"
        return (self._utc if zone in ("GMT", "UTC") else self.clock).micros(when)


def _url(values: Mapping[str, str]) -> str | None:
    """The URL with its scheme, which NSS leaves out; for CONNECT host:port."""
    url = stated(values.get("url") or values.get("eurl") or values.get("request"))
    if url is not None and url.startswith(("http://", "https://")):
        return url
    protocol = (values.get("protocol") or values.get("proto") or "").upper()
    method = values.get("requestmethod") or values.get("reqmethod") or values.get("requestMethod") or ""
    scheme = "https" if "HTTPS" in protocol or "SSL" in protocol else "ftp" if protocol.startswith("FTP") else "http"
    if url is None:
        host = stated(values.get("hostname") or values.get("ehost") or values.get("dhost") or values.get("host"))
        return whole_url(scheme, host, None, None, None)
    if _SCHEME.match(url) or (method == "CONNECT" and _HOST_PORT.match(url)):
        return url
    return f"{scheme}://{url}"


def _foreign(head: Head) -> IgnoredReason | Unreadable:
    """A line that holds no record of a feed."""
    if _ZPA.search(head.message[:4000]):
        return LogIgnored.ZPA_RECORD
    if head.program is not None:
        return Ignored.SERVICE_STATE if "zscaler" in head.program.lower() else Ignored.OTHER_PROGRAM
    return Unreadable(Refused.UNKNOWN_FORM, "no record of a web feed")
