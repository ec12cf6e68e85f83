"""Sophos' web filters to proxy events: UTM, SFOS (XG, XGS), Web Appliance; all are `key="value"` pairs.

- UTM: lines of `httpproxy` in its own layout (`2024:03:01-08:30:00 utm httpproxy[1]: id="0001" …`) or behind syslog.
- SFOS: `log_type="Content Filtering"` of the HTTP filter, in the device's standard format (`device="SFW" date=…`) and
  in Central Reporting's (`device_name="SFW" timestamp=…`); of antivirus and threat protection what names a URL.
- Web Appliance: `sophos_log` (`h=10.20.1.15 u="…" s=200 … act=1 …`).

`event_action` is `denied` for what was blocked and for what a warning was shown instead of (UTM `block`, `warn`; SFOS
`Denied`, `Warned`, `Blocked`, `Virus`, `Drop`; Web Appliance: negative action codes), else `allowed`, also where the
user went on from a warning. `event_outcome` is `failure` for what was denied and for a status of 400 and above,
`success` below, `unknown` without a status.

Facts: Sophos, "UTM 9 Administration Guide" and its log of httpproxy; "SFOS Logfile Guide" 17.5 and 18, "Sophos
Firewall Syslog Guide" 19 to 21; "Sophos Web Appliance: Interpreting Log Files".
"""

from __future__ import annotations

import re
from typing import Final

from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.lines import Unreadable
from streams.normalisers.moments import since_1970, zoned
from streams.normalisers.proxy.appliance import RAW, Appliance, Shapes
from streams.normalisers.proxy.facts import URL_FIELDS
from streams.normalisers.proxy.reasons_appliances import ApplianceIgnored
from streams.normalisers.proxy.values import Values, column, stated, with_scheme
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused
from streams.normalisers.records import Fact, Head, Read

ACTIONS: Final = ("allowed", "denied")

_START = re.compile(
    r"(?<![^\s>])(?:device=\"SFW\"|device_name=\"|id=\"\d{4}\" severity=\"|(?:ep=\d |sxl=\w )*h=[0-9a-fA-F.:]* u=\")"
)
_UTM_STAMP = re.compile(r"(?<!\S)(\d{4}):(\d\d):(\d\d)-(\d\d:\d\d:\d\d)(?= )", re.ASCII)
_KEYS = {
    "source_ip": "srcip src_ip sourceip h", "user": "user user_name u", "destination_ip": "dstip dst_ip destinationip "
    "target_ip", "method": "method meth", "referrer": "referer http_referer referer_url ref",
    "agent": "ua user_agent http_user_agent", "request_bytes": "sent_bytes bytes_sent in",
    "response_bytes": "size recv_bytes bytes_received out", "mime": "content-type contenttype content_type ctype",
    "statuscode": "statuscode status_code http_status s", "microseconds": "fullreqtime T",
    "categoryname": "categoryname http_category cat", "virus": "virus threatname threat", "reason": "reason rsn",
    "application": "application app_name app", "file_name": "filename download_file_name",
}  # fmt: skip
_AS_IT_IS = (
    "id sys sub name action ad_domain filteraction profile url category date time timezone timestamp log_type "
    "log_component log_subtype src_port dst_port src_mac upload_file_name web_policy web_policy_id fw_rule_id "
    "fw_rule_name av_policy_name sha256 t act req httpresponsecode type"
).split()
_WANTED = {
    **{key: key for key in _AS_IT_IS},
    **{key: name for name, keys in _KEYS.items() for key in keys.split()},
}
_DENYING = frozenset(("denied", "warned", "blocked", "virus", "drop", "pua", "dropped", "quota exceeded"))
_WEB = ("http", "web", "ftp over http")
_OTHER: dict[str, IgnoredReason] = {
    "firewall": ApplianceIgnored.FIREWALL_TRAFFIC,
    "ssl": ApplianceIgnored.FIREWALL_TRAFFIC,
    "ssl/tls inspection": ApplianceIgnored.FIREWALL_TRAFFIC,
    "idp": ApplianceIgnored.THREAT_OTHER,
    "anti-spam": ApplianceIgnored.THREAT_OTHER,
    "anti-virus": ApplianceIgnored.THREAT_OTHER,
    "atp": ApplianceIgnored.THREAT_OTHER,
    "waf": ApplianceIgnored.THREAT_OTHER,
    "sandbox": ApplianceIgnored.THREAT_OTHER,
    "sandstorm": ApplianceIgnored.THREAT_OTHER,
    "heartbeat": ApplianceIgnored.FIREWALL_SYSTEM,
    "system health": ApplianceIgnored.FIREWALL_SYSTEM,
    "wireless protection": ApplianceIgnored.FIREWALL_SYSTEM,
}


class SophosNormaliser(Appliance):
    """Records of Sophos' gateways."""

    type_name = "sophos"
    DATASET = "sophos.web"
    START = _START
    fields = (
        *("timestamp", "event_dataset", "event_action", "event_outcome", "event_reason", "observer_hostname"),
        *("source_ip", "source_port", "source_mac", "user_name", "user_domain", "destination_ip", "destination_port"),
        *("http_request_method", "http_version", *URL_FIELDS, "http_request_referrer", "user_agent_original"),
        *("http_request_bytes", "http_response_bytes", "http_response_mime_type", "http_response_status_code"),
        *("event_duration", "proxy_category", "proxy_policy", "proxy_threat", "application_name", "file_name"),
        *("file_hash", "proxy_result", "process_name", "process_pid"),
    )
    COLUMNS = (
        column("event_reason", "reason"),
        column("source_ip", "source_ip", "ip"),
        column("source_port", "src_port", "port"),
        column("source_mac", "src_mac", "mac"),
        column("user_name", "user", "user"),
        column("destination_ip", "destination_ip", "ip"),
        column("destination_port", "dst_port", "port"),
        column("http_request_method", "method"),
        column("http_version", "version"),
        column("http_request_referrer", "referrer"),
        column("user_agent_original", "agent"),
        column("http_request_bytes", "request_bytes", "count"),
        column("http_response_bytes", "response_bytes", "count"),
        column("http_response_mime_type", "mime type"),
        column("http_response_status_code", "statuscode httpresponsecode", "status"),
        column("event_duration", "microseconds", "microseconds"),
        column("proxy_category", "categoryname category"),
        column("proxy_policy", "filteraction web_policy av_policy_name fw_rule_name web_policy_id fw_rule_id"),
        column("proxy_threat", "virus"),
        column("application_name", "application"),
        column("file_name", "file_name upload_file_name"),
        column("file_hash", "sha256", "hash"),
        column("proxy_result", "action log_subtype act"),
    )

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self._shapes = Shapes(_WANTED)

    def envelope(self, prefix: str) -> Head:
        """UTM's own layout of a time made ISO 8601's; where a relay has set its header before it, the later counts."""
        found = _UTM_STAMP.search(prefix)
        if found is not None:
            prefix = "{}-{}-{}T{}".format(*found.groups()) + prefix[found.end() :]
        return super().envelope(prefix)

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        message = head.message
        if message.startswith("id="):
            return self._utm(self._shapes.pairs(message))
        if message.startswith("device"):
            values = self._shapes.pairs(message)
            return self._sfos(values) if "log_type" in values else _foreign(head)
        if message.startswith(("h=", "ep=", "sxl=")):
            return self._appliance(self._shapes.pairs(message))
        return _foreign(head)

    def _utm(self, values: dict[str, str]) -> Read:
        if values.get("sub") != "http":
            secure = values.get("sys") == "SecureNet"
            return ApplianceIgnored.FIREWALL_TRAFFIC if secure else Ignored.OTHER_RECORD
        if "url" not in values or "source_ip" not in values:
            return Ignored.SERVICE_STATE
        denied = values.get("action") in ("block", "warn")
        domain = stated(values.get("ad_domain"))
        fact: Fact = {"event_dataset": "sophos.utm", "event_action": "denied" if denied else "allowed"}
        if not stated(values.get("reason")) and (denied or "action" not in values):
            fact["event_reason"] = stated(values.get("name"))
        if domain is not None and stated(values.get("user")):
            fact["user_domain"] = domain
        url = values["url"]
        connect = values.get("method") == "CONNECT"
        fact["url_original"] = url if connect and "://" not in url else with_scheme(url, secure=False)
        if not stated(values.get("filteraction")):
            values["filteraction"] = values.get("profile", "")
        fact[RAW] = values
        return fact

    def _sfos(self, values: dict[str, str]) -> Read:
        kind, part = values["log_type"].lower(), values.get("log_component", "").lower()
        filtered = kind == "content filtering"
        if filtered and part == "application":
            return ApplianceIgnored.APP_CONTROL
        if not part.startswith(_WEB) or part == "web content policy" or not stated(values.get("url")):
            return ApplianceIgnored.FIREWALL_SYSTEM if kind == "event" else _OTHER.get(kind, Ignored.OTHER_RECORD)
        if not filtered and kind not in ("anti-virus", "atp"):
            return _OTHER.get(kind, Ignored.OTHER_RECORD)
        moment = self._moment(values)
        if moment is None:
            return Unreadable(Refused.BAD_TIME, "no such date, time or timestamp")
        denied = values.get("log_subtype", "").lower() in _DENYING
        fact: Fact = {
            "timestamp": moment,
            "event_dataset": "sophos.sfos",
            "event_action": "denied" if denied else "allowed",
            "url_original": with_scheme(values["url"], secure=values.get("dst_port") == "443"),
            RAW: values,
        }
        return fact

    def _appliance(self, values: dict[str, str]) -> Read:
        moment = since_1970(values.get("t", ""))
        if moment is None:
            return Unreadable(Refused.BAD_TIME, "no such time in t")
        request = stated(values.get("req")) or ""
        method, _, rest = request.partition(" ")
        url, blank, version = rest.rpartition(" ")
        if not blank or not version.startswith("HTTP/"):
            url, version = rest, ""
        values["version"] = version[5:]
        values.setdefault("method", method)
        fact: Fact = {
            "timestamp": self.clock.seen(moment),
            "event_dataset": "sophos.webappliance",
            "event_action": "denied" if values.get("act", "").startswith("-") and values["act"] != "-" else "allowed",
            RAW: values,
        }
        if url:
            fact["url_original"] = url if method == "CONNECT" else with_scheme(url, secure=False)
        return fact

    def _moment(self, values: Values) -> int | None:
        text = values.get("timestamp")
        if text:
            found = zoned(text)
            return found if found is None else self.clock.seen(found)
        text = f"{values.get('date', '')} {values.get('time', '')}"
        if values.get("timezone") in ("GMT", "UTC"):
            found = zoned(f"{text} UTC")
            return found if found is None else self.clock.seen(found)
        return self.local(text)


def _foreign(head: Head) -> IgnoredReason | Unreadable:
    if head.program is not None or head.host is not None:
        return Ignored.OTHER_PROGRAM
    return Unreadable(Refused.UNKNOWN_FORM, "no form of Sophos' logs")
