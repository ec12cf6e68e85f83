"""Cisco Meraki's URL and content filtering messages to proxy events.

Read are messages of MX appliances through syslog, `<134>1 1709299800.123 MX84 urls src=… dst=… mac=… request: GET http://…`,
with the seconds since 1970 where RFC 5424 has its time, or behind another syslog header. Events are

- `urls`: a request, of an HTTPS one the host only; `agent` where the appliance logs it;
- `events content_filtering_block` (also `type=content_filtering_block`): a site that the content filter refused;
- `security_event security_filtering_file_scanned` and `security_filtering_disposition_change`: a download that the
  malware scanner judged (`security_filtering`).

`event_action` is `denied` for what the content filter or the malware scanner blocked, `allowed` for everything else: a
`urls` message is written for a request that was let through. `event_outcome` is `failure` for what was denied, else
`unknown`: there is no status. Flows, IDS alerts, wireless, DHCP, VPN and switch messages are ignored by name.

Facts: Cisco Meraki, "Syslog Event Types and Log Samples", "Syslog Server Overview and Configuration".
"""

from __future__ import annotations

import re
from typing import Final

from streams.normalisers.lines import Unreadable
from streams.normalisers.payload import pairs
from streams.normalisers.proxy.appliance import RAW, Appliance
from streams.normalisers.proxy.facts import URL_FIELDS
from streams.normalisers.proxy.reasons_appliances import ApplianceIgnored
from streams.normalisers.proxy.values import column, host_and_port, stated, with_scheme
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused
from streams.normalisers.records import Fact, Head, Read

ACTIONS: Final = ("allowed", "denied")

_KINDS = (
    "urls|flows|ip_flow_start|ip_flow_end|firewall|vpn_firewall|cellular_firewall|l7_firewall|"
    "bridge_anyconnect_client_vpn_firewall|events|security_event|ids-alerts|airmarshal_events|security_filtering"
)
_START = re.compile(rf"(?<!\S)(?:{_KINDS}) (?=\S)")
_STAMP = re.compile(r"(?:\A|[\s>])(?:1 )?(\d{9,11}\.\d{1,9}) +(\S+) *\Z", re.ASCII)
_URLS = re.compile(
    r"urls src=(\S+) dst=(\S+)(?: mac=(\S+))?(?: name='([^']*)')?(?: agent='(.*)')? request: ?(\S+) (\S.*)\Z",
    re.DOTALL | re.ASCII,
)
_METHOD = re.compile(r"[A-Z]{2,16}\Z")
_OTHER: dict[str, IgnoredReason] = {
    "airmarshal_events": ApplianceIgnored.WIRELESS,
    "ids-alerts": ApplianceIgnored.THREAT_OTHER,
    "security_event": ApplianceIgnored.THREAT_OTHER,
    "events": ApplianceIgnored.FIREWALL_SYSTEM,
}
_WIRELESS = re.compile(
    r"events type=(?:association|disassociation|wpa_\w+|8021x_\w+|aps_\w+|dfs_event|splash_auth|wired_\w+)", re.ASCII
)
_LOGINS = re.compile(r"events (?:type=)?'?(?:anyconnect_vpn|client_vpn|vpn_)\w*", re.ASCII)


class MerakiNormaliser(Appliance):
    """Messages of an MX appliance, access point or switch."""

    type_name = "meraki"
    DATASET = "meraki.urls"
    START = _START
    fields = (
        *("timestamp", "event_dataset", "event_action", "event_outcome", "observer_hostname", "source_ip"),
        *("source_port", "source_mac", "destination_ip", "destination_port", "http_request_method", *URL_FIELDS),
        *("user_agent_original", "proxy_category", "proxy_threat", "proxy_result", "file_hash"),
        *("process_name", "process_pid"),
    )
    COLUMNS = (
        column("source_ip", "src", "ip"),
        column("source_port", "sport", "port"),
        column("source_mac", "mac client_mac", "mac"),
        column("destination_ip", "dst", "ip"),
        column("destination_port", "dport", "port"),
        column("user_agent_original", "agent"),
        column("proxy_category", "category0 category"),
        column("proxy_threat", "threat"),
        column("proxy_result", "disposition"),
        column("file_hash", "sha256", "hash"),
    )

    def envelope(self, prefix: str) -> Head:
        """Meraki's time in place of RFC 5424's; where a relay has set its header before it, the later counts."""
        found = _STAMP.search(prefix)
        return super().envelope(prefix) if found is None else Head(f"@{found[1]}", found[2], None, None, "")

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        message = head.message
        kind = message.partition(" ")[0]
        if kind == "urls":
            return _request(message)
        if message.startswith("events ") and "content_filtering_block" in message[:64]:
            return _blocked(message)
        if kind == "security_filtering" or message.startswith("security_event security_filtering_"):
            return _scanned(message)
        if self.START.match(message) is None:
            if head.program is not None or head.host is not None:
                return Ignored.OTHER_PROGRAM
            return Unreadable(Refused.UNKNOWN_FORM, "no message of Meraki's")
        if kind == "events" and _WIRELESS.match(message):
            return ApplianceIgnored.WIRELESS
        if kind == "events" and _LOGINS.match(message):
            return ApplianceIgnored.FIREWALL_LOGIN
        return _OTHER.get(kind, ApplianceIgnored.FIREWALL_TRAFFIC)


def _request(message: str) -> Read:
    found = _URLS.match(message)
    if found is None:
        return Unreadable(Refused.UNKNOWN_FORM, "starts like a request, goes on differently")
    source, destination, mac, _, agent, method, url = found.groups()
    (src, sport), (dst, dport) = host_and_port(source), host_and_port(destination)
    values = {"src": src or "", "dst": dst or "", "mac": mac or "", "agent": agent or ""}
    fact: Fact = {
        "event_dataset": "meraki.urls",
        "event_action": "allowed",
        "source_port": sport or None,
        "destination_port": dport or None,
        "http_request_method": method if _METHOD.match(method) and method != "UNKNOWN" else None,
        "url_original": with_scheme(url.removesuffix("..."), secure=dport == 443),
        RAW: values,
    }
    return fact


def _blocked(message: str) -> Read:
    values = pairs(message)
    url = stated(values.get("url"))
    if url is None:
        return Unreadable(Refused.UNKNOWN_FORM, "a block of the content filter without a URL")
    server, port = host_and_port(values.get("server"))
    source, _ = host_and_port(values.get("client_ip") or values.get("src"))
    values["dst"], values["src"] = server or "", source or ""
    values["disposition"] = "content_filtering_block"
    secure = port == 443
    return {
        "event_dataset": "meraki.content_filtering",
        "event_action": "denied",
        "destination_port": port or None,
        "url_original": with_scheme(url.removesuffix("..."), secure=secure),
        RAW: values,
    }


def _scanned(message: str) -> Read:
    values = pairs(message)
    url = stated(values.get("url"))
    if url is None:
        return ApplianceIgnored.THREAT_OTHER
    (source, sport), (server, port) = host_and_port(values.get("src")), host_and_port(values.get("dst"))
    values["src"], values["dst"] = source or "", server or ""
    disposition = values.get("disposition", "").lower()
    if disposition == "malicious":
        values["threat"] = values.get("name") or disposition
    return {
        "event_dataset": "meraki.security_filtering",
        "event_action": "denied" if values.get("action", "").lower() == "block" else "allowed",
        "source_port": sport or None,
        "destination_port": port or None,
        "url_original": with_scheme(url, secure=port == 443),
        RAW: values,
    }
