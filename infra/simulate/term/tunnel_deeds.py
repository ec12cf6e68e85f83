"""Encrypted pages, of which a proxy logs the host alone. See `web_deeds` for what a deed is.

What people do has pauses that are not alike, many short ones and a few long; what programmes and open pages do has a
beat.
"""

from __future__ import annotations

from collections.abc import Sequence

from infra.simulate.scene import LATEST
from infra.simulate.term.hosts import LISTS
from infra.simulate.term.pen import Page, Pen
from infra.simulate.term.sites import FIREWALL, proxy_of
from infra.simulate.term.town import Member

_LONG = LATEST - 3 * 3600
_PAUSES = (12, 16, 21, 26, 37, 49, 58, 65, 86, 114, 50)  # seconds between connections of nine minutes


def _who(pen: Pen) -> Member:
    """Somebody of the staff, behind any proxy."""
    return pen.staff(site=pen.draw.choice(pen.town.sites))


def _connect(pen: Pen, who: Member, at: int, host: str, size: int = 90_000) -> None:
    pen.visit(who, at, Page(f"{host}:443", method="CONNECT", mime="-", size=size))


def _tunnels(pen: Pen, who: Member, category: str, at: int, count: int, longest: int) -> None:
    """So many connections of somebody who goes on at one site or to another of a category."""
    hosts, host = LISTS[category], ""
    for _ in range(count):
        host = pen.draw.choice(hosts) if not host or pen.draw.chance(30) else host
        _connect(pen, who, at, host)
        at += 9 + pen.draw.below(longest) * pen.draw.below(longest) // longest


def _nine_minutes(pen: Pen, who: Member, category: str, at: int) -> None:
    """Connections of somebody for nine minutes, each after another pause."""
    hosts, host = LISTS[category], 0
    _connect(pen, who, at, hosts[host])
    for n in pen.draw.sample(len(_PAUSES), len(_PAUSES)):
        at += _PAUSES[n] + pen.draw.below(3)
        host += pen.draw.chance(30)
        _connect(pen, who, at, hosts[host % len(hosts)])


def _beat(pen: Pen, who: Member, host: str, at: int, count: int, gap: int) -> None:
    """So many connections of a programme, or of a page that stands open."""
    for i in range(count):
        _connect(pen, who, at + gap * i, host, 8_000)


def _adult(pen: Pen) -> None:
    who, at = _who(pen), pen.start()
    _tunnels(pen, who, "adult", at, 20, 280)
    pen.expect("adult-pages", who, at, "encrypted pages of sexual content for half an hour")


def _bypass(pen: Pen) -> None:
    who, at = _who(pen), pen.start()
    _nine_minutes(pen, who, "bypass", at)
    pen.expect("filter-bypass", who, at, "encrypted ways around the filter, again and again within nine minutes")


def _sharing(pen: Pen) -> None:
    who, at = _who(pen), pen.start()
    _nine_minutes(pen, who, "filesharing", at)
    pen.expect("file-sharing", who, at, "encrypted pages of file sharing within ten minutes")


def _selling(pen: Pen) -> None:
    who, at = _who(pen), 8 * 3600 + pen.draw.below(3600)
    _tunnels(pen, who, "selling", at, 260, 150)
    pen.expect("selling", who, at, "more than two hours in the console of a seller, encrypted")


def _private_hour(pen: Pen) -> None:
    who, at = _who(pen), pen.draw.between(8 * 3600, 13 * 3600)
    _tunnels(pen, who, "social", at, 140, 150)
    pen.expect("personal-time", who, at, "more than an hour of private pages, encrypted", status="informational")


def _one_page_many_hosts(pen: Pen) -> None:
    who, at = _who(pen), pen.start() // 60 * 60
    for i in range(9):
        _connect(pen, who, at + 5 + 5 * i, LISTS["adult"][i % 3])
    pen.innocent("one-page", "adult-pages", who, "one page by mistake, which opened nine connections in a minute")


def _an_app(pen: Pen) -> None:
    who, at = _who(pen), pen.start(_LONG)
    _beat(pen, who, "veil-net.example", at, 40, 240)
    pen.innocent("vpn-app", "filter-bypass", who, "a programme that asks for its home every four minutes")


def _denied_app(pen: Pen) -> None:
    who, at = _who(pen), pen.start(_LONG)
    for i in range(60):
        page = Page("veil-net.example:443", method="CONNECT", mime="-", status=403, size=4_000)
        pen.visit(who, at + 60 * i, page)
    pen.innocent("denied", "filter-bypass", who, "a programme that is denied, and asks again each minute")


def _open_pages(pen: Pen) -> None:
    """Nobody need be there; a firewall and a proxy tell the same of it."""
    for category, rule, gap, why in (
        ("filesharing", "file-sharing", 150, "a page of file sharing that stands open and asks again"),
        ("bypass", "filter-bypass", 61, "a page of a proxy's that stands open and asks each minute"),
        ("adult", "adult-pages", 60, "a part of another page, loaded again each minute"),
        ("selling", "selling", 60, "a console left open for three hours, which asks each minute"),
        ("social", "personal-time", 62, "a social network left open for three hours, which asks each minute"),
    ):
        who = _who(pen)
        _beat(pen, who, LISTS[category][0], 9 * 3600 + pen.draw.below(3600), 3 * 3600 // gap, gap)
        pen.innocent("open-page", rule, who, why)


def _doors(pen: Pen, kind: str, ports: Sequence[int], count: int, gap: int, status: int, why: str) -> None:
    """Computers of a private network, each asked for by its address; a firewall's log of pages shows none."""
    who, at = pen.staff(site=pen.draw.choice([s for s in pen.town.sites if proxy_of(s) != FIREWALL])), pen.start()
    for i in range(count):
        door = f"192.168.77.{i % 30 + 1}:{ports[i % len(ports)]}"
        pen.visit(who, at + gap * i, Page(door, method="CONNECT", mime="-", status=status, size=3_900))
    if kind:
        pen.innocent(kind, "scanning", who, why)
    else:
        pen.expect("scanning", who, at, why)


def _scan(pen: Pen) -> None:
    _doors(pen, "", (22, 23, 445, 3389, 8080), pen.draw.between(40, 90), 2, 403, "doors tried one by one, all refused")


def _not_quite_a_scan(pen: Pen) -> None:
    for kind, port, count, gap, status, why in (
        ("just-below", 22, 19, 12, 403, "nineteen doors in ten minutes, all refused"),
        ("across-the-edge", 22, 30, 35, 403, "thirty doors in seventeen minutes, at most eighteen in ten"),
        ("cameras", 554, 30, 4, 200, "a wall of cameras, each by its address, which let in"),
        ("printers", 631, 30, 4, 403, "a programme that looks for printers and is refused"),
    ):
        _doors(pen, kind, (port,), count, gap, status, why)


DEEDS = (_adult, _bypass, _sharing, _selling, _private_hour, _scan)
LOOKALIKES = (_one_page_many_hosts, _an_app, _denied_app, _open_pages, _not_quite_a_scan)
