"""The files beside the logs: a ready configuration, the inventory, the permits."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from infra.simulate import names
from infra.simulate.day import ZONE, Day
from infra.simulate.scene import Permit
from infra.simulate.world import SITES, Device

ACCESS, BRANCH, DHCP, MAIL, AUTH, RADIUS = (
    "access.log",
    "proxy-branch.log",
    "dhcpd.log",
    "mail.log",
    "auth.log",
    "radius.log",
)
LOGS = (ACCESS, BRANCH, DHCP, MAIL, AUTH, RADIUS)
CONFIG, INVENTORY, PERMITS = "aupstream.toml", "inventory.csv", "permits.csv"

_SOURCES = (
    ("proxy-main", "squid", ACCESS),
    ("proxy-branch", "squid", BRANCH),
    ("dhcp", "isc_dhcpd", DHCP),
    ("mail", "postfix", MAIL),
    ("logins", "openssh", AUTH),
    ("wireless", "freeradius", RADIUS),
)
_YEARLESS = (DHCP, MAIL, AUTH)


def config(day: Day) -> str:
    """`aupstream.toml`: the district and its sources, paths relative to the file itself."""
    domains = f'"{names.STAFF_DOMAIN}", "{names.STUDENT_DOMAIN}"'
    parts = [
        "# Made by `aupstream simulate`: a made-up district's day.",
        "[district]",
        f'name = "{names.DISTRICT}"',
        f'timezone = "{ZONE}"',
        f"domains = [{domains}]",
        f'inventory = "{INVENTORY}"',
        f'permits = "{PERMITS}"',
    ]
    for site in SITES:
        parts += ["", "[[district.sites]]", f'name = "{site.name}"']
        parts += [f'networks = ["10.{site.net}.0.0/16"]', f'access_points = ["{site.prefix}-ap-*"]']
    for name, kind, path in _SOURCES:
        parts += ["", "[[sources]]", f'name = "{name}"', f'type = "{kind}"', f'path = "{path}"', 'mode = "once"']
        parts += [f"year = {day.date.year}"] if path in _YEARLESS else []
        parts += [f'timezone = "{ZONE}"', "lateness_s = 30"]
    return "\n".join(parts) + "\n"


def inventory(devices: Iterable[Device]) -> str:
    """`inventory.csv`: listed devices; some addresses in capitals with dashes, as other tools export them."""
    rows = [
        (
            d.mac.upper().replace(":", "-") if i % 5 == 0 or d.host.startswith("DESKTOP") else d.mac,
            d.owner,
            d.kind,
            d.site.name,
        )
        for i, d in enumerate(devices)
        if d.listed
    ]
    return csv_text(("mac", "owner", "kind", "site"), rows)


def permits(given: Iterable[Permit]) -> str:
    """`permits.csv`."""
    rows = [(p.who, str(p.clause), p.start, p.stop, p.granted_by, p.reason) for p in given]
    return csv_text(("who", "clause", "from", "to", "granted_by", "reason"), rows)


def csv_text(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows as CSV, each ended by LF."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()
