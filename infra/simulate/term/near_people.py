"""Mail, devices and logins just below a rule's limit; see `near_web`."""

from __future__ import annotations

from collections.abc import Iterator

from infra.simulate.names import outside_address
from infra.simulate.scene import LATEST
from infra.simulate.term.hosts import LISTS
from infra.simulate.term.login_deeds import WAYS, port_key, tries, with_password
from infra.simulate.term.ordinary import HOME
from infra.simulate.term.pen import Page, Pen
from infra.simulate.term.sites import WINDOWS_DHCP, dhcp_of
from infra.simulate.truth import Lookalike

_BELOW, _EDGE = "just-below", "across-the-edge"
_HOUR = 3600
_EVENING = 18 * _HOUR
_LONG = LATEST - 2 * _HOUR
_MORE_THAN_A_WEEK = 6  # school days
_DOMAINS = 25  # outside the district, by `outside_address`


def _private_mail(pen: Pen) -> Iterator[int]:
    nine, ten = pen.staff(), pen.staff()
    pupils = [pen.student(who.site, (f"{who.site.prefix}-other",)).address for who in (nine, ten)]
    pen.innocent(_BELOW, "private-mail-to-student", nine, "nine mails to one student in a week")
    pen.innocent(_EDGE, "private-mail-to-student", ten, "ten mails to one student in more than a week")
    for i in range(5):
        pen.mail(_EVENING + 300 * i, nine.address, [pupils[0]], f"a {i}")
        pen.mail(_EVENING + 300 * i, ten.address, [pupils[1]], f"b {i}")
    yield 1
    for i in range(4):
        pen.mail(_EVENING + 300 * i, nine.address, [pupils[0]], f"c {i}")
    yield _MORE_THAN_A_WEEK - 1
    for i in range(5):
        pen.mail(_EVENING + 300 * i, ten.address, [pupils[1]], f"d {i}")


def _soliciting(pen: Pen) -> None:
    for kind, each, after, why in (
        (_BELOW, 12, (0, 1200), "one subject to 24 people, beside a page that collects money"),
        (_EDGE, 12, (0, 2400, 4200), "one subject to 36 people, at most 24 in an hour, beside such a page"),
    ):
        who, at = pen.staff(), pen.start(12 * _HOUR)
        pen.visit(who, at, Page(f"http://give-a-hand.example/causes/{pen.draw.digits(4)}"))
        people = pen.mailboxes(each * len(after))
        for i, wait in enumerate(after):
            pen.mail(at + 300 + wait, who.address, people[each * i : each * i + each], f"{kind} {pen.number}")
        pen.innocent(kind, "soliciting", who, why)
    who, at = pen.staff(), pen.start(10 * _HOUR)
    pen.visit(who, at, Page("http://cause-jar.example/causes/1"))
    pen.mail(at + 4 * _HOUR + 600, who.address, pen.mailboxes(30), "late news")
    pen.innocent(_EDGE, "soliciting", who, "one subject to 30 people, more than four hours after such a page")


def _addresses(pen: Pen) -> Iterator[int]:
    who, at = pen.staff(), pen.start(12 * _HOUR)
    pen.mail(at, who.address, [*pen.mailboxes(9), *pen.strangers(1)], "the trip")
    pen.innocent(_BELOW, "addresses-given-away", who, "nine of the district's addresses and a guest's")
    who, guest, people = pen.staff(), pen.strangers(1), pen.mailboxes(12)
    pen.innocent(_EDGE, "addresses-given-away", who, "six addresses on a day and six more on the next")
    pen.mail(at, who.address, [*people[:6], *guest], "one")
    yield 1
    pen.mail(at + 2 * _HOUR, who.address, [*people[6:], *guest], "two")


def _media(pen: Pen) -> Iterator[int]:
    who, domains, at = pen.staff(), LISTS["news"], pen.start(12 * _HOUR)
    for domain in domains[:4]:
        pen.mail(at, who.address, [f"editor@{domain}"], "a letter")
    pen.innocent(_BELOW, "mail-to-media", who, "mail to four newspapers in a day")
    who = pen.staff()
    pen.innocent(_EDGE, "mail-to-media", who, "mail to three newspapers on a day and three on the next")
    for domain in domains[:3]:
        pen.mail(at, who.address, [f"editor@{domain}"], "a letter")
    yield 1
    for domain in domains[3:]:
        pen.mail(at + 2 * _HOUR, who.address, [f"editor@{domain}"], "a letter")


def _offers(pen: Pen) -> Iterator[int]:
    first = pen.draw.below(700) * _DOMAINS
    who, at = pen.staff(), pen.start(12 * _HOUR)
    for i in range(11):
        pen.mail(at + 60 * i, who.address, [outside_address(first + i)], "an inquiry")
    pen.innocent(_BELOW, "commercial-mail", who, "one subject to eleven domains in a week")
    who = pen.staff()
    pen.innocent(_EDGE, "commercial-mail", who, "one subject to sixteen domains, eight in a week")
    for i in range(8):
        pen.mail(at + 60 * i, who.address, [outside_address(first + i)], "an inquiry")
    yield _MORE_THAN_A_WEEK
    for i in range(8, 16):
        pen.mail(at + 60 * i, who.address, [outside_address(first + i)], "an inquiry")


def _passed_on_late(pen: Pen) -> Iterator[int]:
    who, at, name = pen.staff(), pen.start(), f"order-{pen.draw.digits(4)}.exe"
    pen.mail(at, pen.strangers(1)[0], [who.address], "your order", attachments=(name,), inbound=True)
    pen.innocent(_EDGE, "attachment-passed-on", who, "a programme, passed on after four days")
    yield 4
    pen.mail(at, who.address, pen.mailboxes(2), "old", attachments=(name,))


def _mailings(pen: Pen) -> None:
    for kind, counts, after, outside, why in (
        (_BELOW, (49, 49, 1), (0, 1500, 3000), False, "99 people inside within an hour"),
        (_EDGE, (49, 49, 49), (0, 2000, 4000), False, "147 people inside, at most 98 within an hour"),
        (_BELOW, (25, 24), (0, 1500), True, "49 people outside within an hour"),
        (_EDGE, (25, 24, 25), (0, 2000, 4000), True, "74 people outside, at most 49 within an hour"),
    ):
        who, at = pen.staff(), pen.start(_LONG)
        for count, wait in zip(counts, after, strict=True):
            to = pen.strangers(count) if outside else pen.mailboxes(count)
            if pen.draw.chance(50):
                pen.postfix.send(at + wait, pen.sender(who), to)
            else:
                pen.mail(at + wait, who.address, to, f"news {pen.draw.digits(4)}")
        pen.innocent(kind, "mass-mail", who, why)


def _unknown_on_a_port(pen: Pen) -> None:
    site = next(s for s in pen.town.schools if dhcp_of(s) == WINDOWS_DHCP)
    for kind, count, gap in ((_BELOW, 4, 300), (_EDGE, 6, 1210)):
        at, port = pen.start(_LONG), pen.port()
        for i in range(count):
            device = pen.town.add_foreign(site, f"DESKTOP-{pen.draw.digits(5)}")
            pen.msdhcp.lease(pen.here(device), at + gap * i, port=port)
            pen.expect("new-device", device, at + gap * i, "one of a few unknown devices behind one port")
        why = f"{count} unknown devices behind one port, at most four in an hour"
        circuit = port_key(site, port)["dhcp_circuit_id"]
        pen.lookalikes.append(Lookalike(kind, "many-devices-on-a-port", circuit, why))


def _in_turn(pen: Pen) -> None:
    for kind, gap, count, why in (
        (_BELOW, 600, 1, "two accounts on one laptop"),
        (_EDGE, 1080, 2, "three accounts on one laptop within 36 minutes, two at most within thirty"),
    ):
        who, at = pen.staff(), pen.start(_LONG)
        pen.sign_on(at, who.user, pen.here(who.device))
        for i in range(count):
            pen.sign_on(at + gap * (i + 1), pen.staff(site=who.site).user, pen.here(who.device))
        pen.innocent(kind, "shared-device", who, why)


def _next_door(pen: Pen) -> None:
    who, at = pen.staff(), pen.start(_LONG)
    other = pen.draw.choice([s for s in pen.town.sites if s is not who.site])
    pen.sign_on(at, who.user, pen.here(who.device))
    pen.sign_on(at + 640, who.user, pen.here(pen.town.add_device(other, "shared", "")))
    pen.innocent(_EDGE, "two-sites", who, "a teacher at the school next door, eleven minutes later")


def _mistyped(pen: Pen) -> None:
    for kind, count, gap, why in (
        (_BELOW, 7, 20, "seven wrong passwords, then the right one"),
        (_EDGE, 14, 50, "fourteen wrong passwords, at most seven in five minutes, then the right one"),
    ):
        who, at, way, ip = pen.anybody(), pen.start(), pen.draw.choice(WAYS), pen.outside_ip()
        device = pen.staff(site=who.site).device
        with_password(pen, way, tries(pen, way, who, at, count, (ip, device), gap=gap), who, ip, device, good=True)
        pen.innocent(kind, "guessed-password", who, why)


def _travels(pen: Pen) -> None:
    who, at = pen.staff(), pen.start(12 * _HOUR)
    pen.cloud(at, who, HOME, pen.outside_ip())
    pen.cloud(at + 300, who, (HOME[0] + 1.3, HOME[1]), pen.outside_ip())
    pen.innocent(_BELOW, "impossible-travel", who, "a phone whose network is 145 km away")
    who = pen.staff()
    pen.cloud(at, who, HOME, pen.outside_ip())
    pen.cloud(at + 13_200, who, (40.7, -74.0), pen.outside_ip())
    pen.innocent(_EDGE, "impossible-travel", who, "a fast flight: 3,190 km in three hours and forty minutes")


DEEDS = ()
LOOKALIKES = (
    _private_mail,
    _soliciting,
    _addresses,
    _media,
    _offers,
    _passed_on_late,
    _mailings,
    _unknown_on_a_port,
    _in_turn,
    _next_door,
    _mistyped,
    _travels,
)
