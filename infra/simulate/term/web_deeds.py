"""Pages: clauses 1, 2, 4, 9 and 12 and private time, and what only looks like them.

A deed is a function of the pen; one that goes on on another day is a generator that yields the number of school days to
wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from infra.simulate.term.hosts import LABS, LISTS, NAT
from infra.simulate.term.pen import Page, Pen
from infra.simulate.term.sites import BRANCH, FIREWALL, proxy_of
from infra.simulate.term.town import Member
from infra.simulate.world import Device

Who = Member | Device
_MINUTE = 60


def _logged(pen: Pen, role: str = "") -> Member:
    """Somebody whose proxy says what came of a request and how much: a firewall does not."""
    site = pen.draw.choice([s for s in pen.town.sites if proxy_of(s) != FIREWALL])
    if role or site is pen.town.sites[0] or not pen.draw.chance(40):
        return pen.staff(role or "teacher", site)
    return pen.student(site)


def _pages(pen: Pen, who: Who, category: str, at: int, count: int, gap: int, *, denied: bool = False) -> int:
    """So many different pages of a category; returns the second of the last one."""
    when = at
    for i in range(count):
        host = LISTS[category][i % len(LISTS[category])]
        page = Page(f"http://{host}/{pen.draw.digits(5)}/{i}", status=403 if denied else 200)
        pen.visit(who, when, page)
        when += gap + pen.draw.below(max(gap // 6, 1))
    return when


def _sharing(pen: Pen) -> None:
    pages, at = pen.draw.chance(50), pen.start()
    who = pen.anybody() if pages else _logged(pen)
    if pages:
        _pages(pen, who, "filesharing", at, pen.draw.between(4, 7), 80)
    else:
        for i in range(4):
            page = Page(f"http://films{i}.example/copy-{i}.torrent", mime="application/x-bittorrent", size=60_000)
            pen.visit(who, at + 100 * i, page)
    pen.expect("file-sharing", who, at, "pages of file sharing, or torrents, within ten minutes")


def _peers(pen: Pen) -> None:
    who, at = pen.anybody(), pen.start()
    for i in range(pen.draw.between(24, 40)):
        pen.visit(who, at + 12 * i, Page(f"198.51.100.{i + 1}:51413", method="CONNECT", mime="-", size=300_000))
    pen.expect("peer-fan-out", who, at, "dozens of peers asked for by their addresses")


def _a_meeting(pen: Pen) -> None:
    who, at = pen.anybody(), pen.start()
    for i in range(30):
        pen.visit(who, at + 10 * i, Page(f"198.51.100.{i % 6 + 1}:3478", method="CONNECT", mime="-"))
    pen.innocent("meeting", "peer-fan-out", who, "a meeting by six relays")


def _neighbours_updates(pen: Pen) -> None:
    who, at = pen.anybody(), pen.start()
    for i in range(40):
        pen.visit(who, at + 10 * i, Page(f"198.51.100.{i + 1}:7680", method="CONNECT", mime="-"))
    pen.innocent("neighbours", "peer-fan-out", who, "updates fetched from neighbours")


def _long_films(pen: Pen) -> None:
    who, at = _logged(pen, "teacher"), pen.draw.between(8 * 3600, 13 * 3600)
    for i in range(12):
        page = Page(f"http://evening-reels.example/film/{i}.mp4", mime="video/mp4", size=50_000_000)
        pen.visit(who, at + 240 * i, page)
    pen.expect("personal-volume", who, at, "600 MB of films in duty hours", status="informational")


def _two_sharing_pages(pen: Pen) -> None:
    who = pen.anybody()
    _pages(pen, who, "filesharing", pen.start(), 2, 90)
    pen.innocent("just-below", "file-sharing", who, "two pages of file sharing, one day")


def _system_images(pen: Pen) -> None:
    who, at = pen.staff(), pen.start()
    for i in range(5):
        url = f"http://free-images.example/image-{i}.torrent"
        pen.visit(who, at + 60 * i, Page(url, mime="application/x-bittorrent", size=90_000))
    pen.innocent("system-images", "file-sharing", who, "images of free systems from a catalogue")


def _peer_delivery(pen: Pen) -> None:
    who, at = pen.anybody(), pen.start()
    for i in range(20):
        pen.visit(who, at + 20 * i, Page(f"http://peer-delivery.example/piece/{i}", mime="application/octet-stream"))
    pen.innocent("peer-delivery", "file-sharing", who, "updates delivered from neighbours")


def _it_looks_at_sharing(pen: Pen) -> None:
    who = pen.staff("it")
    _pages(pen, who, "filesharing", pen.start(), 6, 60)
    pen.innocent("duty", "file-sharing", who, "IT staff who look at what is shared")


def _adult(pen: Pen) -> None:
    who, at = pen.anybody(), pen.start()
    _pages(pen, who, "adult", at, pen.draw.between(7, 10), 45, denied=pen.draw.chance(50))
    pen.expect("adult-pages", who, at, "pages of sexual content for minutes")


def _adult_on_cart(pen: Pen) -> None:
    """Nobody can be named: the device is shared."""
    site = next(s for s in pen.town.schools if proxy_of(s) == BRANCH)
    cart = next(d for d in pen.town.devices if d.kind == "shared" and d.site is site)
    at = pen.start()
    _pages(pen, cart, "adult", at, 8, 45)
    pen.expect("adult-pages", cart, at, "pages of sexual content on a cart's device: nobody's in particular")


def _address_changes_hands(pen: Pen) -> None:
    """Two phones have one address, one after the other, at a school whose proxy knows no users."""
    site, at = next(s for s in pen.town.schools if proxy_of(s) == BRANCH), pen.draw.between(13 * 3600, 15 * 3600)
    first, second = pen.student(site), pen.student(site)
    before, after = (pen.here(pen.town.add_device(site, "phone", one.user)) for one in (first, second))
    for i in range(4):
        pen.visit(before, at - 3 * 3600 + 90 * i, Page(f"http://word-lab.example/{i}"))
    pen.release(before, at - 2400)
    pen.lease(replace(after, ip=before.ip), at - 1800)
    for i in range(8):
        host = LISTS["adult"][i % 3]
        pen.visit(after, at + 45 * i, Page(f"http://{host}/{pen.draw.digits(5)}/{i}"), ip=before.ip)
    pen.expect("adult-pages", second, at, "pages of sexual content by an address that was another's until noon")
    pen.innocent("address-changed-hands", "adult-pages", first, "the address was theirs until noon")


def _adverts(pen: Pen) -> None:
    who, at = pen.anybody(), pen.start()
    for i in range(15):
        pen.visit(who, at + 20 * i, Page(f"http://banner-yard.example/adult/{i}", mime="image/gif", size=900))
        pen.visit(who, at + 20 * i, Page(f"http://velvet-hall.example/pixel/{i}.gif", mime="image/gif", size=43))
    pen.innocent("adverts", "adult-pages", who, "adverts and counting pictures within other pages")


def _few_adult_pages(pen: Pen) -> None:
    who = pen.anybody()
    _pages(pen, who, "adult", pen.start(), 3, 70)
    pen.innocent("few-pages", "adult-pages", who, "three pages, then no more")


def _redirected(pen: Pen) -> None:
    who = pen.anybody()
    _pages(pen, who, "adult", pen.start(), 8, 6)
    pen.innocent("redirected", "adult-pages", who, "a page that opened eight others in less than a minute")


def _nurse(pen: Pen) -> None:
    who = pen.staff("health")
    _pages(pen, who, "adult", pen.start(), 8, 50)
    pen.innocent("duty", "adult-pages", who, "health staff who prepare a lesson")


def _selling(pen: Pen) -> Iterator[int]:
    while pen.day.date.weekday() not in (1, 2):
        yield 1
    who, at = pen.staff(), pen.draw.between(8 * 3600, 10 * 3600)
    _pages(pen, who, "selling", at, 80, _MINUTE)
    pen.expect("selling", who, at, "more than two hours of a week in the console of a seller")
    yield 1
    _pages(pen, who, "selling", pen.draw.between(8 * 3600, 10 * 3600), 80, _MINUTE)


def _orders_in_the_break(pen: Pen) -> Iterator[int]:
    who = pen.staff()
    for _ in range(3):
        _pages(pen, who, "selling", 12 * 3600 + pen.draw.below(600), 25, _MINUTE)
        yield 1
    pen.innocent("breaks", "selling", who, "25 minutes in the console of a seller on three days")


def _procurement(pen: Pen) -> None:
    who = pen.staff("procurement")
    _pages(pen, who, "selling", 8 * 3600 + pen.draw.below(3600), 150, _MINUTE)
    pen.innocent("duty", "selling", who, "procurement")


def _open_console(pen: Pen) -> None:
    who, at = pen.staff(), 8 * 3600 + pen.draw.below(3600)
    _pages(pen, who, "selling", at, 3, _MINUTE)
    for i in range(200):
        page = Page(f"http://stall-console.example/poll?n={i}", mime="application/json", size=300)
        pen.visit(who, at + _MINUTE * i, page)
    pen.innocent("beacons", "selling", who, "a page left open that asks for news by itself")


def _business_class(pen: Pen) -> None:
    who, at = pen.staff(), 8 * 3600 + pen.draw.below(3600)
    _pages(pen, who, "selling", at, 140, _MINUTE)
    chief = pen.town.principal(who.site).user
    pen.permit(who.user, 4, at - 7200, at + 5 * 86_400, chief, "the class keeps a shop")
    pen.expect("selling", who, at, "a teacher with a permit for the class's shop", status="permitted")
    pen.innocent("permit", "selling", who, "the class keeps a shop, with a permit")


def _private_hour(pen: Pen) -> None:
    who, at = pen.staff(), pen.draw.between(8 * 3600, 13 * 3600)
    _pages(pen, who, pen.draw.choice(("shopping", "social", "streaming", "sports")), at, 80, 65)
    pen.expect("personal-time", who, at, "more than an hour of private pages in duty hours", status="informational")


def _private_evening(pen: Pen) -> None:
    who = pen.staff()
    _pages(pen, who, "shopping", 16 * 3600 + 40 * 60, 70, 60)
    pen.innocent("off-duty", "personal-time", who, "private pages after duty")


def _private_break(pen: Pen) -> None:
    who = pen.staff()
    _pages(pen, who, "social", 12 * 3600, 30, 60)
    pen.innocent("breaks", "personal-time", who, "half an hour in the break")


def _autoplay(pen: Pen) -> None:
    who, at = pen.staff(), pen.draw.between(8 * 3600, 12 * 3600)
    _pages(pen, who, "streaming", at, 2, 60)
    for i in range(120):
        pen.visit(
            who, at + 60 * i, Page(f"http://evening-reels.example/segment/{i}.ts", mime="video/mp2t", size=900_000)
        )
    pen.innocent("autoplay", "personal-time", who, "a film that plays on by itself")


def _programmes(pen: Pen) -> None:
    who, at = _logged(pen), pen.start()
    for i in range(pen.draw.between(4, 6)):
        ending = pen.draw.choice(("exe", "msi", "dmg", "apk"))
        page = Page(f"http://loads{i}.example/tool-{i}.{ending}", mime="application/octet-stream", size=5_000_000)
        pen.visit(who, at + 500 * i, page)
    pen.expect("loaded-programs", who, at, "four programmes or more within an hour")


def _two_programmes(pen: Pen) -> None:
    who, at = pen.anybody(), pen.start()
    for i in (0, 1, 1, 0):
        pen.visit(
            who, at + 200 * i, Page(f"http://loads.example/t{i}.exe", mime="application/x-msdownload", size=900_000)
        )
    pen.innocent("just-below", "loaded-programs", who, "two programmes, one of them twice")


def _updaters(pen: Pen) -> None:
    who, at = pen.anybody(), pen.start()
    for i in range(6):
        host = pen.draw.choice(("system-updates.example", "app-refresh.example", "campus-catalogue.example"))
        pen.visit(who, at + 90 * i, Page(f"http://{host}/p{i}.exe", mime="application/x-msdownload", size=9_000_000))
    pen.innocent("updaters", "loaded-programs", who, "updates, and programmes of the catalogue")


def _it_loads(pen: Pen) -> None:
    who, at = pen.staff("it"), pen.start()
    for i in range(6):
        pen.visit(who, at + 90 * i, Page(f"http://vendor{i}.example/i.msi", mime="application/x-msi", size=9_000_000))
    pen.innocent("duty", "loaded-programs", who, "IT staff")


def _stubs(pen: Pen) -> None:
    who, at = pen.anybody(), pen.start()
    for i in range(5):
        pen.visit(who, at + 90 * i, Page(f"http://sig{i}.example/check.exe", mime="text/html", size=1_200))
    pen.innocent("error-pages", "loaded-programs", who, "pages that say that there is no such file")


def _bypass(pen: Pen) -> None:
    who, at = pen.anybody(), pen.start()
    _pages(pen, who, "bypass", at, pen.draw.between(6, 9), 50, denied=pen.draw.chance(60))
    pen.expect("filter-bypass", who, at, "ways around the filter, again and again")


def _few_ways_around(pen: Pen) -> None:
    who = pen.anybody()
    _pages(pen, who, "bypass", pen.start(), 3, 90, denied=True)
    pen.innocent("few-pages", "filter-bypass", who, "three pages, and no more once they were denied")


def _security_staff(pen: Pen) -> None:
    who = pen.staff("security")
    _pages(pen, who, "bypass", pen.start(), 12, 30)
    _pages(pen, who, "mining", pen.start(), 5, 60)
    pen.innocent("duty", "filter-bypass", who, "security staff")


def _security_class(pen: Pen) -> None:
    """The class's network is among the shared ones."""
    device, at = pen.town.add_device(pen.school(), "shared", ""), pen.start()
    for i in range(9):
        pen.visit(device, at + 40 * i, Page(f"http://hidden-path.example/lesson/{i}"), ip=f"{LABS}.{20 + i % 3}")
    pen.innocent("security-class", "filter-bypass", device, "a class about security on its own laptops")


def _behind_nat(pen: Pen) -> None:
    """Of many people each looked at one page; together they are above every limit."""
    site = next(s for s in pen.town.schools if proxy_of(s) == BRANCH)
    ip, at = f"{NAT}.{pen.draw.between(2, 250)}", pen.start()
    for i in range(12):
        who = pen.staff(site=site)
        pen.visit(who, at + 40 * i, Page(f"http://hidden-path.example/{pen.draw.digits(5)}/{i}"), ip=ip)
        pen.visit(who, at + 40 * i + 9, Page(f"http://velvet-hall.example/{pen.draw.digits(5)}/{i}"), ip=ip)
        pen.innocent("nat", "filter-bypass", who, "one page of twelve people behind one address")
        pen.innocent("nat", "adult-pages", who, "one page of twelve people behind one address")


def _custodian_before_duty(pen: Pen) -> None:
    who = pen.staff("custodian")
    _pages(pen, who, "shopping", pen.draw.between(8 * 3600, 10 * 3600), 80, 65)
    pen.innocent("duty-of-the-role", "personal-time", who, "private pages before the evening's duty")


def _custodian_on_duty(pen: Pen) -> None:
    who, at = pen.staff("custodian"), pen.draw.between(17 * 3600, 19 * 3600)
    _pages(pen, who, "streaming", at, 80, 65)
    pen.expect("personal-time", who, at, "private pages in the evening's duty hours", status="informational")


def _vpn_app(pen: Pen) -> None:
    who, at = pen.anybody(), pen.start()
    for i in range(4):
        pen.visit(who, at + 170 * i, Page("veil-net.example:443", method="CONNECT", mime="-"))
    pen.innocent("vpn-app", "filter-bypass", who, "a programme that asks for its home at every start")


def _mining(pen: Pen) -> None:
    who, at = pen.anybody(), pen.start()
    for i in range(pen.draw.between(5, 12)):
        pen.visit(who, at + 240 * i, Page("pool-of-coins.example:443", method="CONNECT", mime="-"))
    pen.expect("crypto-mining", who, at, "a pool of miners was asked for again and again")


DEEDS = (
    _sharing,
    _peers,
    _long_films,
    _adult,
    _selling,
    _private_hour,
    _custodian_on_duty,
    _programmes,
    _bypass,
    _mining,
    _adult_on_cart,
    _address_changes_hands,
    _adult,
    _programmes,
)
LOOKALIKES = (
    _two_sharing_pages,
    _a_meeting,
    _neighbours_updates,
    _system_images,
    _peer_delivery,
    _it_looks_at_sharing,
    _adverts,
    _few_adult_pages,
    _redirected,
    _nurse,
    _orders_in_the_break,
    _procurement,
    _open_console,
    _business_class,
    _private_evening,
    _private_break,
    _autoplay,
    _two_programmes,
    _updaters,
    _it_loads,
    _stubs,
    _few_ways_around,
    _security_staff,
    _security_class,
    _behind_nat,
    _custodian_before_duty,
    _vpn_app,
)
