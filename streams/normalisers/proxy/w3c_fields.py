"""What the fields of a W3C extended log are in a proxy event, and whose log it is.

Facts: W3C working draft WD-logfile ("Extended Log File Format"); Symantec's "ProxySG Log Fields and Substitutions";
Cisco's AsyncOS for Secure Web Appliance, "W3C Compliant Access Log Files"; Microsoft's "W3C Extended Log File Format
(IIS)", "Web proxy log fields" of ISA Server and Forefront TMG; Amazon's "Standard logging (access logs)" of
CloudFront.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

CAPTURES: Final[Mapping[str, str]] = {
    "client": "c-ip x-client-ip client-ip c-ip-address",
    "client_port": "c-port",
    "client_name": "c-dns c-host x-client-device-name x-client-hostname c-computername",
    "mac": "c-mac x-client-mac cs-mac",
    "account": "cs-username cs-userdn c-auth-id cs-user x-cs-auth-username cs-authenticated-user c-username",
    "method": "cs-method s-operation method",
    "whole_url": "cs-url c-url cs-uri url x-url",
    "u_scheme": "cs-uri-scheme cs-protocol",
    "host": "x-host-header cs-host cs(host) cs-uri-host urldesthost r-host",
    "port": "cs-uri-port r-port",
    "path": "cs-uri-path cs-uri-stem",
    "query": "cs-uri-query",
    "version": "cs-version cs-protocol-version",
    "status": "sc-status sc-http-status x-http-status",
    "result_status": "x-resultcode-httpstatus",
    "hierarchy_origin": "x-hierarchy-origin",
    "bytes": "sc-bytes bytes sc-http-bytes",
    "request_bytes": "cs-bytes",
    "mime": "rs(content-type) sc(content-type) cs-mime-type sc-content-type rs-content-type x-rs-content-type",
    "referrer": "cs(referer) cs(referrer) cs-referred cs-referer",
    "agent": "cs(user-agent) cs-user-agent c-agent c-user-agent",
    "server_ip": "s-ip",
    "server_port": "s-port",
    "peer": "r-ip r-supplier-ip s-supplier-ip cs-ip x-r-ip",
    "peer_name": "r-dns r-supplier-dns s-supplier-name r-supplier-name",
    "taken": "time-taken timetakenms x-elapsed-time x-elapsed",
    "result": "s-action x-result-code x-edge-result-type sc-result-code s-cache-info",
    "hierarchy": "s-hierarchy s-object-source sc-hierarchy s-hierarchy-code",
    "verdict": "sc-filter-result action x-policy-action",
    "event_reason": "x-exception-id",
    "proxy_category": (
        "cs-categories cs-category sc-filter-category x-webcat-code-full x-webcat-code-abbr x-bluecoat-category "
        "urlcategory cs-categories-external"
    ),
    "application_name": "x-bluecoat-application-name x-avc-app cs-application",
    "proxy_policy": "rule x-acltag x-rule-name x-policy-name",
    "proxy_threat": (
        "x-virus-id threatname x-mcafee-virus-name x-sophos-virus-name x-webroot-threat-name x-webroot-spyware-name "
        "x-as-malware-threat-name x-amp-malware-name x-threat-name"
    ),
    "file_name": "x-file-name x-amp-filename",
    "file_hash": "x-amp-sha x-file-sha256",
    "server_name": "s-computername x-bluecoat-appliance-name s-dns",
    "date": "date",
    "time": "time",
    "date_local": "date-local",
    "time_local": "time-local",
    "epoch": "timestamp x-timestamp",
    "bracketed": "gmttime localtime x-bluecoat-time",
}
"""Captures, and the fields that give them, in lower case: the first that is stated counts."""

_OF_FIELD = {name: capture for capture, names in CAPTURES.items() for name in names.split()}
SECONDS: Final = frozenset({"cloudfront.access"})
UNITLESS: Final = frozenset({"w3c.access"})
"""Where `taken` is in seconds, and where nobody knows: the draft says seconds, many products write milliseconds."""

_SECRET = re.compile(r"cookie|authorization|password", re.IGNORECASE)

IIS = "date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent)"
_SG = "date time time-taken c-ip"
_SG_URL = "cs-uri-scheme cs-host cs-uri-port cs-uri-path cs-uri-query"
_SG_MAIN = f"{_SG} sc-status s-action sc-bytes cs-bytes cs-method {_SG_URL} cs-username cs-auth-group s-hierarchy"
_SG_REPORTER = (
    f"{_SG} cs-username cs-auth-group x-exception-id sc-filter-result cs-categories cs(Referer) sc-status s-action "
    f"cs-method rs(Content-Type) {_SG_URL} cs-uri-extension cs(User-Agent) s-ip sc-bytes cs-bytes x-virus-id"
)
_ORACLE = "c-ip c-dns c-auth-id date time cs-method cs-uri sc-status bytes cs(Cookie) cs(Referrer) time-taken {}"
_END = "sc-status sc-substatus sc-win32-status"
LAYOUTS: Final = tuple(
    names.split()
    for names in (
        f"{IIS} cs(Referer) {_END} time-taken",
        f"{IIS} {_END} time-taken",
        f"{IIS} cs(Referer) {_END} sc-bytes cs-bytes time-taken",
        f"{IIS} cs(Referer) cs-host {_END} time-taken",
        f"{IIS} {_END}",
        f"{IIS} cs(Referer) cs-host {_END} sc-bytes cs-bytes time-taken",
        f"{IIS.replace('time', 'time s-sitename')} {_END}",
        (
            f"{IIS.replace('time', 'time s-sitename s-computername').replace('c-ip', 'c-ip cs-version')} cs(Cookie) "
            f"cs(Referer) cs-host {_END} sc-bytes cs-bytes time-taken"
        ),
        f"{IIS.replace('date time', 'date-local time-local')} cs(Referer) cs(Host) {_END} TimeTakenMS",
        _ORACLE.format("cs(User-Agent)"),
        f"{_SG_MAIN} s-supplier-name rs(Content-Type) cs(User-Agent) sc-filter-result cs-categories x-virus-id s-ip",
        _SG_REPORTER,
        f"{_SG_REPORTER} x-bluecoat-application-name x-bluecoat-application-operation",
    )
)
"""Usual sets of fields, for rows that come without a line that names them (shippers drop it, syslog has none)."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The fields of rows.

    Attributes:
        names: As written.
        software: What `#Software` says.
        tabs: Whether tabs separate values, not blanks.
    """

    names: tuple[str, ...]
    software: str = ""
    tabs: bool = False
    dataset: str = field(init=False, compare=False)
    wanted: Mapping[str, tuple[int, ...]] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "dataset", dataset_of(self.names, self.software))
        found: dict[str, list[int]] = {}
        lower = [name.lower() for name in self.names]
        for index in sorted(range(len(lower)), key=lambda i: _rank(lower[i])):
            capture = _OF_FIELD.get(lower[index])
            if capture is not None and lower.index(lower[index]) == index:
                found.setdefault(capture, []).append(index)
        object.__setattr__(self, "wanted", {capture: tuple(indices) for capture, indices in found.items()})

    @property
    def secret(self) -> bool:
        """Whether values hold secrets without their names."""
        return any(_SECRET.search(name) for name in self.names)


def _rank(name: str) -> int:
    capture = _OF_FIELD.get(name)
    return CAPTURES[capture].split().index(name) if capture else 0


def dataset_of(names: Sequence[str], software: str) -> str:
    """Whose log it is, by `#Software` and by fields that only one product has."""
    lower = {name.lower() for name in names}
    said = software.lower()
    if "sgos" in said or "blue coat" in said or "symantec" in said or {"sc-filter-result", "s-action"} <= lower:
        return "bluecoat.proxysg"
    if "asyncos" in said or "x-acltag" in lower or any(name.startswith("x-webcat") for name in lower):
        return "cisco_wsa.w3c"
    if "threat management gateway" in said or "security and acceleration" in said or "tmg" in said:
        return "microsoft.tmg"
    if {"cs-network", "sc-network"} & lower or "s-object-source" in lower:
        return "microsoft.tmg"
    if "x-edge-location" in lower or "x-edge-result-type" in lower:
        return "cloudfront.access"
    if "internet information" in said or "iis" in said or "sc-win32-status" in lower:
        return "iis.access"
    return "w3c.access"
