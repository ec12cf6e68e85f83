"""Encrypted pages, of which a proxy logs the host alone. See `web_deeds` for what a deed is."""

from __future__ import annotations

from infra.simulate.scene import LATEST
from infra.simulate.term.hosts import LISTS
from infra.simulate.term.pen import Page, Pen
from infra.simulate.term.town import Member

_LONG = LATEST - 3 * 3600


def _who(pen: Pen) -> Member:
    """Somebody of the staff, behind any proxy."""
    return pen.staff(site=pen.draw.choice(pen.town.sites))


def _tunnels(pen: Pen, who: Member, category: str, at: int, count: int, gap: int) -> None:
    """So many connections to hosts of a category, one after the other."""
    hosts = LISTS[category]
    for i in range(count):
        pen.visit(who, at + gap * i, Page(f"{hosts[i % len(hosts)]}:443", method="CONNECT", mime="-", size=90_000))


def _adult(pen: Pen) -> None:
    who, at = _who(pen), pen.start()
    _tunnels(pen, who, "adult", at, 7, 65)
    pen.expect("adult-pages", who, at, "encrypted pages of sexual content in seven minutes one after the other")


def _bypass(pen: Pen) -> None:
    who, at = _who(pen), pen.start()
    _tunnels(pen, who, "bypass", at, 7, 65)
    pen.expect("filter-bypass", who, at, "encrypted ways around the filter, minute after minute")


def _sharing(pen: Pen) -> None:
    who, at = _who(pen), pen.start()
    _tunnels(pen, who, "filesharing", at, 5, 100)
    pen.expect("file-sharing", who, at, "encrypted pages of file sharing within ten minutes")


def _selling(pen: Pen) -> None:
    who, at = _who(pen), 8 * 3600 + pen.draw.below(3600)
    _tunnels(pen, who, "selling", at, 130, 61)
    pen.expect("selling", who, at, "more than two hours in the console of a seller, encrypted")


def _private_hour(pen: Pen) -> None:
    who, at = _who(pen), pen.draw.between(8 * 3600, 13 * 3600)
    _tunnels(pen, who, "social", at, 70, 62)
    pen.expect("personal-time", who, at, "more than an hour of private pages, encrypted", status="informational")


def _one_page_many_hosts(pen: Pen) -> None:
    who, at = _who(pen), pen.start() // 60 * 60
    _tunnels(pen, who, "adult", at + 5, 9, 5)
    pen.innocent("one-page", "adult-pages", who, "one page by mistake, which opened nine connections in a minute")


def _an_app(pen: Pen) -> None:
    who, at = _who(pen), pen.start(_LONG)
    for i in range(40):
        pen.visit(who, at + 240 * i, Page("veil-net.example:443", method="CONNECT", mime="-", size=4_000))
    pen.innocent("vpn-app", "filter-bypass", who, "a programme that asks for its home every four minutes")


def _denied_app(pen: Pen) -> None:
    who, at = _who(pen), pen.start(_LONG)
    for i in range(60):
        page = Page("veil-net.example:443", method="CONNECT", mime="-", status=403, size=4_000)
        pen.visit(who, at + 60 * i, page)
    pen.innocent("denied", "filter-bypass", who, "a programme that is denied, and asks again each minute")


DEEDS = (_adult, _bypass, _sharing, _selling, _private_hour)
LOOKALIKES = (_one_page_many_hosts, _an_app, _denied_app)
