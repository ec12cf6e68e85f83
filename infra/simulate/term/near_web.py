"""Pages just below a rule's limit: one less within its time, or as many as it takes, but not within its time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from infra.simulate.scene import LATEST
from infra.simulate.term.hosts import LISTS
from infra.simulate.term.pen import Page, Pen
from infra.simulate.term.sites import FIREWALL, proxy_of
from infra.simulate.term.town import Member

_BELOW, _EDGE = "just-below", "across-the-edge"
_HOUR = 3600
_LONG = LATEST - 2 * _HOUR  # last second at which what takes two hours may begin
_DUTY_ENDS = 16 * _HOUR + 1800
_FRIDAY = 4


def _pages(pen: Pen, who: Member, category: str, at: int, after: Sequence[int], *, denied: bool = False) -> None:
    """A different page each so many seconds after `at`."""
    for i, wait in enumerate(after):
        host = LISTS[category][i % len(LISTS[category])]
        pen.visit(who, at + wait, Page(f"http://{host}/{pen.draw.digits(5)}/{i}", status=403 if denied else 200))


def _minutes(pen: Pen, who: Member, category: str, at: int, count: int) -> None:
    """A page in each of so many minutes one after the other."""
    _pages(pen, who, category, at // 60 * 60, [60 * i + pen.draw.below(55) for i in range(count)])


def _measured(pen: Pen) -> Member:
    """Somebody of the staff whose proxy says how much and what was loaded."""
    return pen.staff(site=pen.draw.choice([s for s in pen.town.sites if proxy_of(s) != FIREWALL]))


def _sharing_over_the_edge(pen: Pen) -> None:
    who = pen.anybody()
    _pages(pen, who, "filesharing", pen.start(), (0, 320, 660))
    pen.innocent(_EDGE, "file-sharing", who, "three pages of file sharing in eleven minutes")


def _peers(pen: Pen) -> None:
    for kind, count, gap, why in (
        (_BELOW, 19, 12, "nineteen computers in ten minutes"),
        (_EDGE, 34, 35, "thirty-four computers in twenty minutes, at most eighteen in ten"),
    ):
        who, at = pen.anybody(), pen.start()
        for i in range(count):
            pen.visit(who, at + gap * i, Page(f"198.51.100.{i + 1}:51413", method="CONNECT", mime="-"))
        pen.innocent(kind, "peer-fan-out", who, f"{why} asked for by their addresses")


def _four_and_a_pause(pen: Pen) -> None:
    for category, rule in (("adult", "adult-pages"), ("gambling", "illegal-pages")):
        who = pen.anybody()
        _pages(pen, who, category, pen.start(), (0, 60, 120, 180))
        pen.innocent(_BELOW, rule, who, "four pages in three minutes")
        who = pen.anybody()
        _pages(pen, who, category, pen.start(), (0, 70, 140, 460, 530, 600))
        pen.innocent(_EDGE, rule, who, "three pages, a pause of more than five minutes, three pages")


def _bypass(pen: Pen) -> None:
    who = pen.anybody()
    _pages(pen, who, "bypass", pen.start(), (0, 100, 200, 300), denied=pen.draw.chance(50))
    pen.innocent(_BELOW, "filter-bypass", who, "four pages in five minutes")
    who = pen.anybody()
    _pages(pen, who, "bypass", pen.start(), range(0, 1500, 190))
    pen.innocent(_EDGE, "filter-bypass", who, "eight pages in twenty-two minutes, at most four in ten")


def _mining(pen: Pen) -> None:
    for kind, after, status, why in (
        (_BELOW, (0, 900), 200, "two visits to a pool of miners in an hour"),
        (
            _EDGE,
            (0, 1860, 3720, 5580),
            200,
            "four visits to a pool in an hour and a half, at most two in one",
        ),
        ("denied", tuple(range(0, 3000, 240)), 403, "a page's miner, whose pool was denied again and again"),
    ):
        who, at = pen.anybody(), pen.start(_LONG)
        for wait in after:
            pen.visit(who, at + wait, Page("pool-of-coins.example:443", method="CONNECT", mime="-", status=status))
        pen.innocent(kind, "crypto-mining", who, why)


def _programmes(pen: Pen) -> None:
    who, at = pen.anybody(), pen.start(_LONG)
    for i, wait in enumerate((0, 2100, 3700)):
        pen.visit(who, at + wait, Page(f"http://loads{i}.example/t{i}.exe", mime="application/x-msdownload"))
    pen.innocent(_EDGE, "loaded-programs", who, "three programmes in more than an hour")


def _selling(pen: Pen) -> Iterator[int]:
    who = pen.staff()
    _minutes(pen, who, "selling", 8 * _HOUR + pen.draw.below(_HOUR), 119)
    pen.innocent(_BELOW, "selling", who, "119 minutes of a week in the console of a seller")
    while pen.day.date.weekday() != _FRIDAY:
        yield 1
    who = pen.staff()
    pen.innocent(_EDGE, "selling", who, "100 minutes on a Friday and 100 after the week-end")
    for wait in (1, 0):
        _minutes(pen, who, "selling", 8 * _HOUR + pen.draw.below(_HOUR), 100)
        if wait:
            yield 1


def _private_time(pen: Pen) -> Iterator[int]:
    who = pen.staff()
    _minutes(pen, who, "shopping", 9 * _HOUR + pen.draw.below(3 * _HOUR), 59)
    pen.innocent(_BELOW, "personal-time", who, "59 minutes of private pages in duty hours")
    who = pen.staff()
    _minutes(pen, who, "sports", _DUTY_ENDS - 55 * 60, 80)
    pen.innocent(_EDGE, "personal-time", who, "80 minutes of private pages, 25 of them after duty")
    who = pen.staff()
    pen.innocent(_EDGE, "personal-time", who, "40 minutes of private pages on a day and 40 on the next")
    for wait in (1, 0):
        _minutes(pen, who, "social", 9 * _HOUR, 40)
        if wait:
            yield 1


def _private_volume(pen: Pen) -> None:
    who = _measured(pen)
    _films(pen, who, 9 * _HOUR, 9, 55_400_000)
    pen.innocent(_BELOW, "personal-volume", who, "498.6 MB of films in duty hours")
    who = _measured(pen)
    _films(pen, who, _DUTY_ENDS - 1500, 12, 50_000_000)
    pen.innocent(_EDGE, "personal-volume", who, "600 MB of films, half of them after duty")


def _films(pen: Pen, who: Member, at: int, count: int, size: int) -> None:
    for i in range(count):
        page = Page(f"http://evening-reels.example/film/{i}.mp4", mime="video/mp4", size=size)
        pen.visit(who, at + 240 * i, page)


DEEDS = ()
LOOKALIKES = (
    _sharing_over_the_edge,
    _peers,
    _four_and_a_pause,
    _bypass,
    _mining,
    _programmes,
    _selling,
    _private_time,
    _private_volume,
)
