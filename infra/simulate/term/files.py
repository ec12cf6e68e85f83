"""The files beside a term's logs: configuration, roster, inventory, permits, lists of sites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from infra.simulate import names
from infra.simulate.context import csv_text
from infra.simulate.day import ZONE, Day
from infra.simulate.term.clock import BELL, DUTY, HOLIDAYS
from infra.simulate.term.hosts import GUESTS, LABS, LISTS, NAT, SERVERS, VPN
from infra.simulate.term.pen import Pen
from infra.simulate.term.sites import (
    AUTH,
    BRANCH,
    CLOUD,
    DHCP,
    ENTRA,
    EXCHANGE,
    FIREWALL,
    GMAIL,
    ISE,
    KEA,
    MAIL,
    MAIN,
    NPS,
    RADIUS,
    TRACE,
    WINDOWS,
    WINDOWS_DHCP,
    file_of,
)

CONFIG, INVENTORY, ROSTER, PERMITS = "aupstream.toml", "inventory.csv", "roster.csv", "permits.csv"
MAIL_LISTS = "lists.csv"
_SOURCES = (
    ("proxy-main", "squid", MAIN),
    ("proxy-branch", "squid", BRANCH),
    ("firewall", "fortigate", FIREWALL),
    ("dhcp", "isc_dhcpd", DHCP),
    ("dhcp-kea", "kea", KEA),
    ("dhcp-windows", "ms_dhcp", WINDOWS_DHCP),
    ("mail", "postfix", MAIL),
    ("logins", "openssh", AUTH),
    ("wireless", "freeradius", RADIUS),
    ("wireless-ise", "cisco_ise", ISE),
    ("wireless-nps", "nps", NPS),
    ("cloud-logins", "okta", CLOUD),
    ("office-logins", "entra_signin", ENTRA),
    ("cloud-mail", "google_mail_log", GMAIL),
    ("school-mail", "exchange_tracking", EXCHANGE),
    ("office-mail", "m365_trace", TRACE),
    ("domain-logins", "windows_security", WINDOWS),
)
_YEARLESS = (DHCP, MAIL, AUTH)
_SUBJECTS = (GMAIL, EXCHANGE, TRACE)  # only these log subjects


def texts(pen: Pen) -> Mapping[str, str]:
    """Every such file by its path in the folder."""
    found = {CONFIG: _config(pen), INVENTORY: _inventory(pen), ROSTER: _roster(pen), PERMITS: _permits(pen)}
    found[MAIL_LISTS] = csv_text(("address", "owners", "members"), ((a, *of) for a, of in pen.lists.items()))
    return found | {f"categories/{name}/domains": "".join(f"{h}\n" for h in hosts) for name, hosts in LISTS.items()}


def logs(days: Sequence[Day]) -> list[str]:
    """Names of the logs' files over these days."""
    return list(dict.fromkeys(file_of(path, day) for _, _, path in _SOURCES for day in days))


def paths(days: Sequence[Day]) -> list[str]:
    """Names of all of them and of the logs."""
    return [
        *logs(days),
        CONFIG,
        INVENTORY,
        ROSTER,
        PERMITS,
        MAIL_LISTS,
        *(f"categories/{name}/domains" for name in LISTS),
    ]


def _config(pen: Pen) -> str:
    holidays = ", ".join(f'"{first}/{last}"' for first, last in HOLIDAYS)
    parts = [
        "# Made by `aupstream simulate --term`: a made-up district's term.",
        "[district]",
        f'name = "{names.DISTRICT}"',
        f'timezone = "{ZONE}"',
        f'domains = ["{names.STAFF_DOMAIN}", "{names.STUDENT_DOMAIN}"]',
        f'inventory = "{INVENTORY}"',
        f'roster = "{ROSTER}"',
        f'permits = "{PERMITS}"',
        f'lists = "{MAIL_LISTS}"',
        'categories = ["categories"]',
        f'shared_networks = ["{GUESTS}.0/24", "{LABS}.0/24", "{VPN}.0/24", "{NAT}.0/24"]',
        f'dhcp_servers = ["{SERVERS}.0/24"]',
        "",
        "[district.calendar]",
        f'duty = "{DUTY}"',
        'duty_by_role = { custodian = "14:00-22:00" }',
        f'bell = "{BELL}"',
        f"holidays = [{holidays}]",
    ]
    for site in pen.town.sites:
        parts += ["", "[[district.sites]]", f'name = "{site.name}"']
        parts += [f'networks = ["10.{site.net}.0.0/16"]', f'access_points = ["{site.prefix}-ap-*"]']
    for name, kind, path in _SOURCES:
        parts += ["", "[[sources]]", f'name = "{name}"', f'type = "{kind}"', f'path = "{path}"', 'mode = "once"']
        parts += [f"year = {pen.day.date.year}"] if path in _YEARLESS else []
        parts += [f'timezone = "{ZONE}"', "lateness_s = 30"]
        parts += ["keep_subject = true"] if path in _SUBJECTS else []
    return "\n".join(parts) + "\n"


def _inventory(pen: Pen) -> str:
    return csv_text(("mac", "owner", "kind", "site"), ((d.mac, d.owner, d.kind, d.site.name) for d in pen.town.devices))


def _roster(pen: Pen) -> str:
    rows = (
        (m.user, m.role, m.address, m.site.name, m.supervisor, ";".join(m.classes), ";".join(m.guardians))
        for m in pen.town.members
    )
    return csv_text(("account", "roles", "mail", "site", "supervisor", "classes", "guardians"), rows)


def _permits(pen: Pen) -> str:
    header = ("who", "clause", "from", "to", "granted_by", "reason", "recipients", "revoked", "revoked_by")
    rows = (
        (p.who, str(p.clause), p.start, p.stop, p.granted_by, p.reason, p.recipients, p.revoked, p.revoked_by)
        for p in pen.permits
    )
    return csv_text(header, rows)
