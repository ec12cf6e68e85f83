"""What everybody does on a school day, and the little that goes on without school; far below every limit."""

from __future__ import annotations

from collections.abc import Sequence

from infra.simulate import names, postfix_background
from infra.simulate.draw import Draw
from infra.simulate.logins import Sshd
from infra.simulate.term.hosts import LISTS, VPN
from infra.simulate.term.pen import Page, Pen
from infra.simulate.term.sites import AUTH
from infra.simulate.term.town import Member
from infra.simulate.world import Person, World

HOME = (40.6, -111.9)
_MAIL_SHARE = 25  # one line of so many is the mail server's
_SERVICE_SHARE = 400  # one message of a mail service for so many lines
_MOST_EACH = 2  # messages that somebody writes a day by it at most
_OFF_DAY_STAFF = 12  # one of so many is at work, from home, on a day off
_SUBJECTS = (
    "the field trip",
    "room 12",
    "Re: the field trip",
    "grades",
    "Fwd: lunch menu",
    "AW: room 12",
    "a question",
)


def school_day(pen: Pen, draw: Draw, budget: int, settled: int) -> None:
    """Leases, logins, mail and the pages that are of some category but of no interest.

    Args:
        pen: Of the day.
        draw: Chance.
        budget: Lines of the day, about.
        settled: So many of the members, the first ones, were there before today. Only they write and look at pages:
            whoever came for a deed is to do that, and no more that would count.
    """
    _leases(pen, draw)
    crowd = [m for m in pen.town.members if m.role != "service"]
    _wireless(pen, draw, crowd)
    known = [m for m in pen.town.members[:settled] if m.role != "service"]
    staff = [Person(m.user, m.address, m.site, pen.here(m.device)) for m in known if not m.is_student]
    students = [Person(m.user, m.address, m.site, pen.here(m.device)) for m in known if m.is_student]
    world = World(draw, staff=staff, students=students)
    postfix_background.background(pen.postfix, world, len(pen.postfix.log) + budget // _MAIL_SHARE)
    for member in known[:: len(known) * 40 // budget + 1]:  # fewer where there is no room for everybody's
        _pages(pen, draw, member)
    here = known[:: len(known) * _SERVICE_SHARE // (4 * budget) + 1]
    _services(pen, draw, here)
    _letters(pen, draw, known, min(budget // _SERVICE_SHARE, _MOST_EACH * len(known)))


def _pages(pen: Pen, draw: Draw, member: Member) -> None:
    """A few private ones, and what pages and programmes load by themselves."""
    at = 9 * 3600 + draw.below(5 * 3600)
    category = draw.choice(("shopping", "social", "sports", "news", "streaming"))
    for i in range(draw.below(4)):
        pen.visit(member, at + 50 * i, Page(f"http://{draw.choice(LISTS[category])}/{draw.digits(4)}"))
    pen.visit(member, at, Page("http://banner-yard.example/b.gif", mime="image/gif", size=43))
    pen.visit(member, at, Page("http://app-refresh.example/r.exe", mime="application/x-msdownload", size=800_000))


def _leases(pen: Pen, draw: Draw) -> None:
    for device in pen.town.devices:
        here = pen.here(device)
        pen.lease(here, here.arrives, answer_after=draw.below(2))
        pen.renew(here, 11 * 3600 + draw.below(3600))


def _wireless(pen: Pen, draw: Draw, crowd: Sequence[Member]) -> None:
    for member in crowd:
        device = pen.here(member.device)
        pen.sign_on(device.arrives + 20, member.user, device)
    pupils: dict[str, list[str]] = {}
    for member in crowd:
        if member.is_student:
            pupils.setdefault(member.site.name, []).append(member.user)
    for device in pen.town.devices:
        near = pupils.get(device.site.name)
        for hour in (8, 11, 14) if near and device.kind == "shared" else ():
            at, user = hour * 3600 + 3600 + draw.below(1800), draw.choice(near or ())
            pen.sign_on(at, user, pen.here(device))


def _services(pen: Pen, draw: Draw, people: Sequence[Member]) -> None:
    """Logins to the cloud from school, and to the file server; now and then a wrong password before."""
    for member in people:
        at, device = 8 * 3600 + draw.below(8 * 3600), pen.here(member.device)
        pen.cloud(at, member, HOME, f"203.0.113.{100 + member.site.net % 100}")
        if draw.chance(10):
            pen.windows.logon(at + 31, member.user, device.ip, good=False)
        pen.windows.logon(at + 40, member.user, device.ip, good=True)


def _letters(pen: Pen, draw: Draw, people: Sequence[Member], count: int) -> None:
    """Mail by the services in the cloud and the schools' server, in duty hours, to a few people each."""
    for i in range(count):
        member = people[i * 7 % len(people)]
        at = 8 * 3600 + draw.below(8 * 3600)
        to = [people[j].address for j in draw.sample(len(people), draw.between(1, 3))]
        if draw.chance(20):
            to.append(names.outside_address(draw.below(20_000)))
        subject = f"{draw.choice(_SUBJECTS)} {draw.digits(3)}"
        if i % 3:
            pen.mail(at, member.address, to, subject)
        else:
            pen.trace.send(at, member.address, to)


def off_day(pen: Pen, draw: Draw) -> None:
    """Carts that load updates in their cupboards, and a few of the staff who work from home by VPN."""
    for device in [d for d in pen.town.devices if d.kind == "shared"]:
        here = pen.here(device)
        pen.lease(here, here.arrives)
        pen.renew(here, here.arrives + 4 * 3600)
        for i in range(draw.below(4)):
            host = draw.choice(("system-updates.example", "app-refresh.example"))
            page = Page(f"http://{host}/u{i}.exe", mime="application/x-msdownload", size=4_000_000)
            pen.visit(device, here.arrives + 300 + 60 * i, page)
    sshd = Sshd(pen.day, draw, pen.logs[AUTH])
    staff = [m for m in pen.town.members if not m.is_student and m.role != "service"]
    for member in staff[draw.below(_OFF_DAY_STAFF) :: _OFF_DAY_STAFF]:
        at = 9 * 3600 + draw.below(7 * 3600)
        sshd.accept(at, member.user, f"{VPN}.{draw.between(2, 250)}")
        pen.cloud(at + 60, member, HOME, f"198.51.100.{draw.between(2, 250)}")
        pen.mail(at + 600, member.address, [draw.choice(staff).address], f"monday {draw.digits(3)}")
