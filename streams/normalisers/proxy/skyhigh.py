"""Skyhigh Secure Web Gateway (McAfee, Webwasher before) to proxy events.

- The appliance's access log and its other request logs (`accessdenied`): the columns that a line such as
  `#time_stamp "auth_user" src_ip status_code "req_line" …` names, else those of the default log handler.
- Through syslog: the same, `key="value"` pairs with `status="status/block id"` (as Splunk's add-on has it), CEF, LEEF.
- The cloud's CSV (Forensics API, versions 1 to 6 and what comes behind): columns by the first line, else by number.

`event_action` is `denied` where the gateway gives a block reason (a block id other than 0, a word, `result` DENIED),
else `allowed`. `event_outcome` is `failure` for what was denied and for a status of 400 and above, `success` below,
`unknown` without a status.

A user agent may hold quotes and pretend further columns: then what stands before it is read from the line's start,
what stands behind it from its end.

Facts: McAfee, "Web Gateway Product Guide" 7.1 to 12 (log handler, Access Log); Skyhigh, "Configure Syslog for your
SIEM", "Reporting Fields" (Forensics API), "Auto-discover log formats" of Content Security Reporter; Splunk Add-on for
McAfee Web Gateway.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.lines import Unreadable
from streams.normalisers.moments import common, month_first, numbers, since_1970, zoned
from streams.normalisers.payload import cef, labelled, leef
from streams.normalisers.proxy.appliance import RAW, Appliance, Shapes
from streams.normalisers.proxy.facts import URL_FIELDS, whole_url
from streams.normalisers.proxy.skyhigh_names import CEF, DEFAULT, LABELS, LEEF, NAMES, PAIRS, VERSIONS
from streams.normalisers.proxy.values import Values, column, number, stated, with_scheme
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.records import Fact, Head, Read
from streams.normalisers.tables import MAX_COLUMNS, cells

ACTIONS: Final = ("allowed", "denied")

_START = re.compile(r"CEF: ?\d+\||LEEF: ?\d|(?<![^\s>])status=\"\d{0,3}/|\[\d{1,2}/[A-Z][a-z]{2}/\d{4}[: ]")
_TOKEN = re.compile(r'"([^"]*)"(?= |\Z)|\[([^\]]*)\](?= |\Z)|(\S+)')
_QUOTED, _BRACKETED, _BARE = r'"([^"]*+)"', r"\[([^\]]*+)\]", r"([^\s\"\[]\S*+)"
_MOST_VALUES, _LEARNT_ALWAYS = 64, 256
_FRONT = re.compile(r'\[([^\]]{1,40})\] "([^"]*)" (\S+) (\S*) "')
_REQUEST_END = re.compile(r' HTTP/\d(?:\.\d)?" "')
_MIDDLE = re.compile(r'([^"]*)" "([^"]*)" "([^"]*)" (\S*) "')
_NAMED = re.compile(r'#? ?"?time_stamp"? ')
_ALLOWED_WORDS = frozenset(("0", "no", "false", "allowed", "not blocked", "observed"))


class SkyhighNormaliser(Appliance):
    """Records of a gateway or of its cloud; the newest line of names is remembered."""

    type_name = "skyhigh"
    DATASET = "skyhigh.access"
    START = _START
    fields = (
        *("timestamp", "event_dataset", "event_action", "event_outcome", "event_reason", "observer_hostname"),
        *("source_ip", "source_port", "user_name", "user_domain", "host_name", "destination_ip", "destination_port"),
        *("http_request_method", "http_version", *URL_FIELDS, "http_request_referrer", "user_agent_original"),
        *("http_request_bytes", "http_response_bytes", "http_response_mime_type", "http_response_status_code"),
        *("proxy_category", "proxy_policy", "proxy_threat", "application_name", "file_name", "proxy_result"),
        *("process_name", "process_pid"),
    )
    COLUMNS = (
        column("event_reason", "block_reason"),
        column("source_ip", "client_ip source_ip", "ip"),
        column("source_port", "source_port", "port"),
        column("user_name", "user", "user"),
        column("host_name", "device"),
        column("destination_ip", "destination_ip", "ip"),
        column("destination_port", "destination_port", "port"),
        column("http_request_method", "method"),
        column("http_version", "version"),
        column("http_request_referrer", "referrer"),
        column("user_agent_original", "agent"),
        column("http_request_bytes", "request_bytes", "count"),
        column("http_response_bytes", "response_bytes", "count"),
        column("http_response_mime_type", "media_type"),
        column("http_response_status_code", "status", "status"),
        column("proxy_category", "categories"),
        column("proxy_policy", "rule"),
        column("proxy_threat", "virus"),
        column("application_name", "application"),
        column("file_name", "file_name"),
        column("proxy_result", "block_id"),
    )

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self._shapes = Shapes(PAIRS)
        self._layout: re.Pattern[str] | None = None
        self._missed = 0
        self.names: tuple[str, ...] = ()

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        message = head.message
        if message.startswith("["):
            return self._access(message)
        if message.startswith('status="'):
            return self._event(_of_pairs(self._shapes.pairs(message)))
        if message.startswith("CEF:"):
            return self._cef(message)
        if message.startswith("LEEF:"):
            return self._leef(message)
        if _NAMED.match(message):
            self.names = tuple(_name(word) for word in message.lstrip("# ").split()[:MAX_COLUMNS])
            return Ignored.HEADER
        if message.startswith("#"):
            return Ignored.HEADER
        if head.program is not None or head.host is not None:
            return Ignored.OTHER_PROGRAM
        return self._row(message)

    def _access(self, message: str) -> Read:
        known = self._layout.match(message) if self._layout is not None else None
        found = list(known.groups()) if known is not None else self._tokens(message)
        for names in (self.names,) if "time" in self.names else (DEFAULT, DEFAULT[:-1]):
            whole = len(found) == len(names)
            values = dict(zip(names, found, strict=True)) if whole else _from_both_ends(message, names)
            # Where no line says how many columns there are, the block id must be where it belongs: a number.
            if values is not None and (names == self.names or values["block_id"].isdigit()):
                return self._event(values)
        return Unreadable(Refused.UNKNOWN_FORM, f"{len(found)} values in a line of the access log")

    def _tokens(self, message: str) -> list[str]:
        """Values of a line. Its layout is remembered: what is quoted, bracketed or bare, each parted by one blank."""
        found = _TOKEN.findall(message)
        forms = [_QUOTED if quoted else _BRACKETED if bracketed else _BARE for quoted, bracketed, bare in found]
        forms = [_QUOTED if not any(values) else form for values, form in zip(found, forms, strict=True)]
        self._missed += 1
        if len(found) <= _MOST_VALUES and (self._missed <= _LEARNT_ALWAYS or self._missed % 16 == 0):
            self._layout = _layout(tuple(forms))
        return [quoted or bracketed or bare for quoted, bracketed, bare in found]

    def _row(self, message: str) -> Read:
        row = cells(message)
        if row is None:
            return Unreadable(Refused.BROKEN_PAYLOAD, "a quote is not closed")
        if len(row) < 5:
            return Unreadable(Refused.UNKNOWN_FORM, "no form of Skyhigh's logs")
        if "user_id" in row and "http_action" in row:
            self.names = tuple(_name(word) for word in row[:MAX_COLUMNS])
            return Ignored.HEADER
        names = self.names or VERSIONS.get(len(row), ())
        if not names or "time" in names:
            return Unreadable(Refused.NO_FIELDS, "no line before this one names the columns")
        if len(row) > len(names) and any(row[len(names) :]):
            return Unreadable(Refused.UNKNOWN_FORM, f"{len(row)} values, {len(names)} columns")
        values = dict(zip(names, row, strict=False))
        agent = "/".join(part for part in (values.get("agent_product"), values.get("agent_version")) if part)
        comment = values.get("agent_comment")
        values["agent"] = f"{agent} {comment}" if comment else agent
        return self._event(values)

    def _cef(self, message: str) -> Read:
        record = cef(message)
        if record is None:
            return Unreadable(Refused.BROKEN_PAYLOAD, "a head of CEF that is not whole")
        fields = record.fields
        if "request" not in fields and "dhost" not in fields:
            return Ignored.OTHER_RECORD
        values = {CEF[key]: value for key, value in fields.items() if key in CEF}
        for label, value in labelled(fields).items():
            for name in _labelled(label):
                values.setdefault(name, value)
        values.setdefault("status", record.event_class)
        return self._event(values)

    def _leef(self, message: str) -> Read:
        record = leef(message)
        if record is None:
            return Unreadable(Refused.BROKEN_PAYLOAD, "a head of LEEF that is not whole")
        values = {LEEF[key]: value for key, value in record.fields.items() if key in LEEF}
        values.setdefault("status", record.event_id)
        return self._event(values) if "url" in values else Ignored.OTHER_RECORD

    def _event(self, values: dict[str, str]) -> Fact | Unreadable:
        fact: Fact = {}
        for name in ("time", "epoch"):
            text = stated(values.get(name))
            if text is not None:
                moment = self._moment(text.strip("[]"))
                if moment is None:
                    return Unreadable(Refused.BAD_TIME, "no such time")
                fact["timestamp"] = moment
        line = values.get("request_line", "")
        if line:
            _take_line(line, values)
        fact["event_action"] = "denied" if _is_denied(values) else "allowed"
        fact["url_original"] = _url(values)
        fact[RAW] = values
        return fact

    def _moment(self, text: str) -> int | None:
        found = common(text, self.clock)
        if found is None:
            found = since_1970(text) or zoned(text) or month_first(text, self.clock) or numbers(text, self.clock)
        return None if found is None else self.clock.seen(found)

    def remember(self) -> dict[str, Any]:
        """The names of the columns."""
        return {"names": list(self.names)}

    def recall(self, saved: Mapping[str, Any]) -> None:
        """See `RecordNormaliser.recall`."""
        names = saved.get("names", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"names of columns are {names!r:.80}")
        self.names = tuple(names)


@lru_cache(maxsize=256)
def _layout(forms: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(" ".join(forms) + r"\Z")


@lru_cache(maxsize=256)
def _labelled(label: str) -> tuple[str, ...]:
    return tuple(name for part, name in LABELS.items() if part in label.lower())


def _name(word: str) -> str:
    plain = word.strip('"#, ').lower()
    return NAMES.get(plain, plain)


def _from_both_ends(message: str, names: tuple[str, ...]) -> dict[str, str] | None:
    """Columns of the default handler where a quote stands in the URL or in the user agent."""
    start = _FRONT.match(message)
    end = _REQUEST_END.search(message, start.end()) if start is not None else None
    middle = _MIDDLE.match(message, end.end()) if end is not None else None
    before = DEFAULT.index("agent")
    if start is None or end is None or middle is None or names[: before + 1] != DEFAULT[: before + 1]:
        return None
    behind = len(names) - before - 1
    agent, *tail = message[middle.end() :].removesuffix('"').rsplit('" "', behind)
    if len(tail) != behind:
        return None
    request = message[start.end() : end.end() - 3]
    return dict(zip(names, (*start.groups(), request, *middle.groups(), agent, *tail), strict=True))


def _take_line(line: str, values: dict[str, str]) -> None:
    """`GET http://… HTTP/1.1`, put to method, URL and version."""
    method, _, rest = line.partition(" ")
    url, blank, version = rest.rpartition(" ")
    if blank and version.startswith("HTTP/"):
        values["version"] = version[5:]
    else:
        url = rest
    values["method"], values["url"] = method, url


def _of_pairs(found: Values) -> dict[str, str]:
    """Pairs, some of several numbers: `status="403/80"`, `bytes="from client/to server/from server/to client"`."""
    values = dict(found)
    values["status"], _, values["block_id"] = values.get("status", "").partition("/")
    sizes = values.pop("bytes", "").split("/")
    if len(sizes) == 4:
        values["request_bytes"], values["response_bytes"] = sizes[0], sizes[3]
    values["version"] = ""
    return values


def _is_denied(values: Values) -> bool:
    if stated(values.get("result")) is not None:
        return values["result"].upper() not in ("OBSERVED", "ALLOWED", "SUCCESS")
    block = values.get("block_id")
    if block:
        return block.strip().lower() not in _ALLOWED_WORDS and stated(block) is not None
    reason = stated(values.get("block_reason"))
    return reason is not None and reason.lower() not in _ALLOWED_WORDS


def _url(values: Values) -> str | None:
    url = stated(values.get("url"))
    if url is not None:
        if values.get("method") == "CONNECT" or "://" in url[:16]:
            return url
        return with_scheme(url, secure=values.get("scheme", "").lower() == "https")
    path, _, query = (values.get("path") or "/").partition("?")
    where = number(values.get("destination_port"), 65_535)
    return whole_url(stated(values.get("scheme")), stated(values.get("host")), where, path, query)
