"""Palo Alto Networks' URL filtering and threat logs to proxy events: CSV, CEF and LEEF, PAN-OS 7 to 11.

An event is every THREAT record of subtype `url`, and those of `file`, `virus`, `wildfire`, `spyware`, `vulnerability`
and `data` (and their variants) that are about web traffic: they name the file or threat. Mail, file shares, DNS and
the like are no web requests.

`event_action` is `denied` for `block-url`, `block-continue` (the warning page was shown), `block-override`, `deny`,
`drop`, `reset-…`, `sinkhole`, `override-lockout`; `allowed` for `alert`, `allow`, `continue` and `override` (the user
went on). `event_outcome` is `failure` for what was denied, else `unknown`: there is no status.

Fields of the CSV form are told by their place, which releases only ever added to at the end; so a record of 46 fields
(7.0) is read as well as one of 122 (11.2). Where the direction is `server-to-client`, PAN-OS writes the server as
source: here the client always is. The time is the high resolution one (10.0), else when it was generated, else when it
was received.

Facts: Palo Alto Networks, "Syslog Field Descriptions: Threat Log Fields, URL Filtering Log Fields" of the PAN-OS
Administrator's Guides 7.1 to 11.1; "CEF Configuration Guide" 6.0 to 10.0; IBM QRadar DSM guide for PA Series (LEEF);
"Strata Logging Service Log Reference".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import itemgetter
from typing import Any, Final

from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.addresses import port
from streams.normalisers.lines import Unreadable
from streams.normalisers.moments import month_first, numbers, since_1970, zoned
from streams.normalisers.payload import cef, leef
from streams.normalisers.proxy.appliance import RAW, Appliance
from streams.normalisers.proxy.facts import URL_FIELDS
from streams.normalisers.proxy.reasons_appliances import ApplianceIgnored
from streams.normalisers.proxy.values import Values, column, stated, with_scheme
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused
from streams.normalisers.records import Fact, Head, Read
from streams.normalisers.tables import cells, cells_of_csv
from streams.normalisers.times import SourceClock

ACTIONS: Final = ("allowed", "denied")

_TYPES: dict[str, IgnoredReason] = {
    "TRAFFIC": ApplianceIgnored.FIREWALL_TRAFFIC,
    "START": ApplianceIgnored.FIREWALL_TRAFFIC,
    "END": ApplianceIgnored.FIREWALL_TRAFFIC,
    "TUNNEL": ApplianceIgnored.FIREWALL_TRAFFIC,
    "GTP": ApplianceIgnored.FIREWALL_TRAFFIC,
    "SCTP": ApplianceIgnored.FIREWALL_TRAFFIC,
    "DECRYPTION": ApplianceIgnored.FIREWALL_TRAFFIC,
    "SYSTEM": ApplianceIgnored.FIREWALL_SYSTEM,
    "CONFIG": ApplianceIgnored.FIREWALL_SYSTEM,
    "AUDIT": ApplianceIgnored.FIREWALL_SYSTEM,
    "IPTAG": ApplianceIgnored.FIREWALL_SYSTEM,
    "HIPMATCH": ApplianceIgnored.FIREWALL_LOGIN,
    "HIP-MATCH": ApplianceIgnored.FIREWALL_LOGIN,
    "USERID": ApplianceIgnored.FIREWALL_LOGIN,
    "GLOBALPROTECT": ApplianceIgnored.FIREWALL_LOGIN,
    "AUTHENTICATION": ApplianceIgnored.FIREWALL_LOGIN,
    "AUTH": ApplianceIgnored.FIREWALL_LOGIN,
    "CORRELATION": ApplianceIgnored.THREAT_OTHER,
}
_NAMES = "|".join(["THREAT", *_TYPES])
_START = re.compile(rf"CEF: ?\d+\||LEEF: ?\d|(?<!\S)[^,\s]{{0,20}},[^,]{{0,40}},[^,]{{0,40}},(?:{_NAMES}),", re.ASCII)
_PLACES = {
    "serial": 2, "type": 3, "subtype": 4, "received": 1, "generated": 6, "src": 7, "dst": 8, "rule": 11, "srcuser": 12,
    "dstuser": 13, "app": 14, "logged": 21, "sport": 24, "dport": 25, "action": 30, "misc": 31, "threatid": 32,
    "category": 33, "direction": 35, "contenttype": 41, "filedigest": 43, "agent": 46, "referer": 49, "device": 59,
    "method": 63, "src_host": 86, "src_mac": 87, "dst_host": 94, "dst_mac": 95, "precise": 107, "reason": 108,
}  # fmt: skip
_LEAST = 36  # fields up to the direction
_CEF_NAMES = {
    "rt": "received", "start": "generated", "src": "src", "dst": "dst", "cs1": "rule", "suser": "srcuser",
    "duser": "dstuser", "app": "app", "spt": "sport", "dpt": "dport", "act": "action", "request": "misc",
    "cs2": "category", "flexString2": "direction", "requestContext": "contenttype", "fileHash": "filedigest",
    "requestClientApplication": "agent", "PanOSReferer": "referer", "dvchost": "device", "requestMethod": "method",
    "PanSrcHostname": "src_host", "PanSrcMac": "src_mac", "PanOSSourceDeviceHost": "src_host", "shost": "src_host",
    "PanOSSourceDeviceMac": "src_mac", "smac": "src_mac", "PanOSURLCategory": "category", "PanOSFileHash": "filedigest",
    "filename": "file", "fname": "file", "PanOSReason": "reason", "PanOSThreatID": "threatid",
}  # fmt: skip
_LEEF_NAMES = {
    "cat": "type", "Type": "type", "LogType": "type", "Subtype": "subtype", "SubType": "subtype", "devTime": "received",
    "ReceiveTime": "logged", "TimeReceived": "logged", "src": "src", "dst": "dst", "RuleName": "rule", "Rule": "rule",
    "SourceUser": "srcuser", "usrName": "srcuser", "DestinationUser": "dstuser", "Application": "app",
    "srcPort": "sport", "dstPort": "dport", "action": "action", "Action": "action", "Miscellaneous": "misc",
    "URL": "misc", "ThreatID": "threatid", "URLCategory": "category", "Direction": "direction",
    "ContentType": "contenttype", "FileDigest": "filedigest", "UserAgent": "agent", "Referer": "referer",
    "DeviceName": "device", "RequestMethod": "method", "HTTPMethod": "method",
}  # fmt: skip
_BESIDE = ("file", "virus", "wildfire", "ml-virus", "spyware", "vulnerability", "data", "dlp")
_NEEDS_URL = ("spyware", "vulnerability", "data", "dlp")
_NO_WEB = re.compile(
    r"(?:smtp|pop3|imap|ms-ds-smb|msrpc|netbios|dns|ssh|ftp|tftp|ldap|kerberos|ntp|ping|icmp|snmp|sip|rtp|ms-rdp|telnet"
    r"|mssql|mysql|oracle|unknown-udp)(?:-|\Z)"
)
_DENYING = ("block", "deny", "denied", "drop", "reset", "sinkhole", "override-lockout", "random-drop")
_URL_ID = re.compile(r"(?:URL-filtering|9999)?\(?9999\)?\Z")
_FILES = ("file", "virus", "wildfire", "ml-virus", "data", "dlp")
_SWAPPED = {"src": "dst", "dst": "src", "sport": "dport", "dport": "sport", "srcuser": "dstuser", "dstuser": "srcuser",
            "src_host": "dst_host", "src_mac": "dst_mac"}  # fmt: skip


class PaloaltoNormaliser(Appliance):
    """Records of a PAN-OS firewall, of Panorama, or of Strata Logging Service."""

    type_name = "paloalto"
    DATASET = "paloalto.url"
    START = _START
    fields = (
        *("timestamp", "event_dataset", "event_action", "event_outcome", "event_reason", "observer_hostname"),
        *("source_ip", "source_port", "source_mac", "user_name", "user_domain", "host_name"),
        *("destination_ip", "destination_port", "http_request_method", *URL_FIELDS, "http_request_referrer"),
        *("user_agent_original", "http_response_mime_type", "proxy_category", "proxy_policy", "proxy_threat"),
        *("application_name", "file_name", "file_hash", "proxy_result", "process_name", "process_pid"),
    )
    COLUMNS = (
        column("event_reason", "reason"),
        column("source_ip", "src", "ip"),
        column("source_port", "sport", "port"),
        column("source_mac", "src_mac", "mac"),
        column("host_name", "src_host"),
        column("user_name", "srcuser", "user"),
        column("destination_ip", "dst", "ip"),
        column("destination_port", "dport", "port"),
        column("http_request_referrer", "referer"),
        column("user_agent_original", "agent"),
        column("http_response_mime_type", "contenttype"),
        column("proxy_result", "action"),
        column("proxy_policy", "rule"),
        column("application_name", "app"),
        column("file_hash", "filedigest", "hash"),
    )

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self._takers: dict[int, tuple[tuple[str, ...], Callable[[list[str]], tuple[Any, ...]]]] = {}

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        message = head.message
        values = self._values(message)
        if values is None:
            return _foreign(head, message)
        if isinstance(values, Unreadable):
            return values
        kind, subtype = values.get("type", "").upper(), values.get("subtype", "").lower()
        if kind != "THREAT":
            return _TYPES.get(kind, Ignored.OTHER_RECORD)
        if subtype != "url" and not _is_web(values, subtype):
            return ApplianceIgnored.THREAT_OTHER
        return self._event(values, subtype, head)

    def _values(self, message: str) -> dict[str, str] | Unreadable | None:
        if message.startswith("CEF:"):
            return _of_cef(message)
        if message.startswith("LEEF:"):
            return _of_leef(message)
        kind = message.split(",", 4)
        if len(kind) < 5 or (kind[3] != "THREAT" and kind[3] not in _TYPES):
            return None
        if kind[3] != "THREAT":
            return {"type": kind[3]}
        # Empty cells have no quotes here: two in a row are one inside a value.
        found = cells_of_csv(message) if '""' in message and "\r" not in message else cells(message)
        if found is None:
            return Unreadable(Refused.BROKEN_PAYLOAD, "a quote is not closed")
        if len(found) < _LEAST:
            return Unreadable(Refused.UNKNOWN_FORM, f"a threat record of {len(found)} fields")
        size = min(len(found), 128)
        taker = self._takers.get(size)
        if taker is None:
            places = {name: place for name, place in _PLACES.items() if place < size}
            taker = self._takers[size] = (tuple(places), itemgetter(*places.values()))
        return dict(zip(taker[0], taker[1](found), strict=True))

    def _event(self, values: dict[str, str], subtype: str, head: Head) -> Fact | Unreadable:
        if values.get("direction", "") in ("server-to-client", "server to client", "1"):
            values = {**values, **{name: values.get(other, "") for name, other in _SWAPPED.items()}}
        fact: Fact = {"event_dataset": "paloalto.url" if subtype == "url" else f"paloalto.{subtype}"}
        moment = self._moment(values)
        if moment is not None:
            fact["timestamp"] = moment
        action, category, method = (
            values.get("action", "").lower(),
            stated(values.get("category")),
            values.get("method"),
        )
        fact["event_action"] = "denied" if action.startswith(_DENYING) else "allowed"
        verdict = category if subtype.startswith("wildfire") else None
        fact["proxy_category"] = None if category in ("any", verdict) else category
        fact["http_request_method"] = method.upper() if method and stated(method) not in (None, "unknown") else None
        misc = (values.get("misc") or "").strip('"')
        if subtype == "url" or "/" in misc:
            fact["url_original"] = _url(misc, values)
        if subtype != "url":
            fact["proxy_threat"] = _threat(values, subtype) if verdict in (None, "any") else verdict
        if verdict == "benign":
            fact["proxy_threat"] = None
        if subtype.startswith(_FILES):
            fact["file_name"] = stated(values.get("file") or misc.partition("?")[0].rpartition("/")[2])
        if head.host is None and stated(values.get("device")):
            fact["observer_hostname"] = values["device"]
        fact[RAW] = values
        return fact

    def _moment(self, values: Values) -> int | None:
        """The first of the times that is one; None where none is, and the header's counts."""
        precise = values.get("precise")
        found = zoned(precise) if precise else None
        if found is not None:
            return found
        for name in ("generated", "received", "logged"):
            text = values.get(name)
            if text:
                found = self.local(text, _time)
                if found is not None:
                    return found
        return None


def _time(text: str, clock: SourceClock) -> int | None:
    found = numbers(text, clock)
    return found if found is not None else month_first(text, clock) or zoned(text) or since_1970(text)


def _foreign(head: Head, message: str) -> IgnoredReason | Unreadable:
    if head.program is not None and ",THREAT," not in message:
        return Ignored.OTHER_PROGRAM
    return Unreadable(Refused.UNKNOWN_FORM, "no record of PAN-OS")


def _of_cef(message: str) -> dict[str, str] | Unreadable:
    """Head: `…|subtype|type|…` in older guides, `…|threat id|type|…` in newer ones, `…|TYPE|subtype|…` in the cloud."""
    record = cef(message)
    if record is None:
        return Unreadable(Refused.BROKEN_PAYLOAD, "a head of CEF that is not whole")
    values = {_CEF_NAMES[key]: value for key, value in record.fields.items() if key in _CEF_NAMES}
    first, second = record.event_class, record.name
    if first.upper() in _TYPES or first.upper() == "THREAT":
        values["type"], values["subtype"] = first, second
    else:
        values["type"], values["subtype"] = second, first
    fields = record.fields
    if not values["subtype"].isalpha() and values["type"].upper() == "THREAT":
        values.setdefault("threatid", first)
        values["subtype"] = "url" if _URL_ID.search(first) else fields.get("PanOSThreatCategory") or "vulnerability"
        if fields.get("cs2Label") != "URL Category":
            values.pop("category", None)
    values.setdefault("threatid", fields.get("cat", ""))
    if fields.get("dtz") == "UTC":  # the cloud's times name their zone apart
        for name in ("received", "generated"):
            if name in values:
                values[name] = f"{values[name].removesuffix(' UTC')} UTC"
    return values


def _of_leef(message: str) -> dict[str, str] | Unreadable:
    record = leef(message)
    if record is None:
        return Unreadable(Refused.BROKEN_PAYLOAD, "a head of LEEF that is not whole")
    values: dict[str, str] = {}
    for key, value in record.fields.items():
        name = _LEEF_NAMES.get(key)
        if name is not None and (value or name not in values):
            values[name] = value
    values.setdefault("threatid", record.event_id)
    return values


def _is_web(values: Values, subtype: str) -> bool:
    if not subtype.startswith(_BESIDE) or _NO_WEB.match(values.get("app", "")):
        return False
    return not subtype.startswith(_NEEDS_URL) or "/" in values.get("misc", "")


def _threat(values: Values, subtype: str) -> str | None:
    threat = stated(values.get("threatid"))
    return None if threat is None or subtype == "file" else threat


def _url(misc: str, values: Values) -> str | None:
    if stated(misc) is None:
        return None
    secure = port(values.get("dport")) == 443 or values.get("app") in ("ssl", "quic")
    return with_scheme(misc, secure=secure)
