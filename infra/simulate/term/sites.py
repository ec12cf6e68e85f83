"""Which server logs what of which site. Two schools and the office have every kind between them."""

from __future__ import annotations

from infra.simulate.day import Day
from infra.simulate.world import Site

MAIN, BRANCH, FIREWALL = "access.log", "proxy-branch.log", "fortigate.log"
DHCP, KEA, WINDOWS_DHCP = "dhcpd.log", "kea.log", "DhcpSrvLog.log"
RADIUS, ISE, NPS = "radius.log", "ise.log", "IN*.log"  # NPS begins a file each month: IN2601.log
CLOUD, ENTRA = "okta.jsonl", "entra.jsonl"
MAIL, GMAIL, EXCHANGE, TRACE = "mail.log", "gmail.jsonl", "MSGTRK.LOG", "m365.jsonl"
AUTH, WINDOWS = "auth.log", "windows.xml"

PROXIES = (MAIN, BRANCH, FIREWALL)
SMALL = (
    *(DHCP, KEA, WINDOWS_DHCP, RADIUS, ISE, NPS, CLOUD, ENTRA, MAIL, GMAIL, EXCHANGE, TRACE, AUTH, WINDOWS),
)  # fmt: skip
BY_INTERFACE = (CLOUD, ENTRA, GMAIL, TRACE)
"""Logs that are fetched from a service, whose records come in no order of seconds."""
OFFICE_NET = 10


def file_of(log: str, day: Day) -> str:
    """File of a log on a day."""
    return log.replace("*", f"{day.date:%y%m}")


def _kind(site: Site) -> int:
    return (site.net - OFFICE_NET) % 3


def proxy_of(site: Site) -> str:
    """Log of the site's proxy. The branch's knows no users: its people are known by their devices only."""
    return PROXIES[_kind(site)]


def dhcp_of(site: Site) -> str:
    """Log of the site's DHCP server. Kea names no hosts; Microsoft's tells ports of switches."""
    return (DHCP, KEA, WINDOWS_DHCP)[_kind(site)]


def radius_of(site: Site) -> str:
    """Log of the site's RADIUS server."""
    return (RADIUS, ISE, NPS)[_kind(site)]


def mail_of(site: Site) -> str:
    """Log of the mail service of the site's people. Exchange's names no attachments."""
    return EXCHANGE if site.net % 2 else GMAIL


def cloud_of(site: Site) -> str:
    """Log of the sign-on of the site's people."""
    return CLOUD if site.net % 2 else ENTRA
