"""What is only recorded for people to look at: pages of what may be illegal, offers, answers to many, relayed mail."""

from __future__ import annotations

from dataclasses import replace

from infra.simulate.names import outside_address
from infra.simulate.term.hosts import LISTS
from infra.simulate.term.pen import Page, Pen
from infra.simulate.term.town import Member

_HOUR = 3600
_DOMAINS = 25  # outside the district, by `outside_address`


def _topic(pen: Pen, who: Member, at: int, *, size: int = 24_000, mime: str = "text/html", count: int = 8) -> None:
    category = pen.draw.choice(("drugs", "weapons", "gambling"))
    for i in range(count):
        ending = ".gif" if mime.startswith("image/") else ""
        url = f"http://{LISTS[category][i % 2]}/{pen.draw.digits(5)}/{i}{ending}"
        pen.visit(who, at + 45 * i, Page(url, mime=mime, size=size))


def _illegal_pages(pen: Pen) -> None:
    who, at = pen.anybody(), pen.start()
    _topic(pen, who, at)
    why = "pages of drugs, weapons or gambling for minutes"
    pen.expect("illegal-pages", who, at, why, status="informational")


def _counsellor(pen: Pen) -> None:
    who = pen.staff("counselor")
    _topic(pen, who, pen.start())
    pen.innocent("duty", "illegal-pages", who, "a counsellor who prepares a talk")


def _casino_adverts(pen: Pen) -> None:
    who = pen.anybody()
    _topic(pen, who, pen.start(), size=900, mime="image/gif", count=14)
    pen.innocent("adverts", "illegal-pages", who, "pictures of a casino's within other pages")


def _one_by_one(pen: Pen, who: Member, count: int, subject: str) -> int:
    """One mail each to so many domains."""
    first, at = pen.draw.below(700) * _DOMAINS, pen.start(13 * _HOUR)
    for i in range(count):
        pen.mail(at + 90 * i, who.address, [outside_address(first + i)], subject)
    return at


def _offers(pen: Pen) -> None:
    who = pen.staff()
    at = _one_by_one(pen, who, pen.draw.between(13, 18), "candles for every room")
    pen.expect("commercial-mail", who, at, "one subject to more than twelve domains", status="informational")


def _inquiries(pen: Pen) -> None:
    for role in ("procurement", "office"):
        who = pen.staff(role)
        _one_by_one(pen, who, 15, "an inquiry for chairs")
        pen.innocent("duty", "commercial-mail", who, f"{role}: inquiries to vendors")


def _answers_outside(pen: Pen) -> None:
    who = pen.staff()
    _one_by_one(pen, who, 15, "Re: your question")
    pen.innocent("answers", "commercial-mail", who, "answers to fifteen who had asked")


def _different_letters(pen: Pen) -> None:
    who, first, at = pen.staff(), pen.draw.below(700) * _DOMAINS, pen.start(13 * _HOUR)
    for i in range(15):
        pen.mail(at + 90 * i, who.address, [outside_address(first + i)], f"letter {i}")
    pen.innocent("different-letters", "commercial-mail", who, "a letter of its own to each of fifteen domains")


def _answer_to_all(pen: Pen) -> None:
    who, at = pen.staff(), pen.start(13 * _HOUR)
    if pen.draw.chance(50):
        pen.mail(at, who.address, pen.mailboxes(60), "Re: the picnic")
    else:
        for i in range(3):
            pen.mail(at + 900 * i, who.address, pen.mailboxes(40), "RE: the picnic")
    pen.expect("reply-all", who, at, "answers to more than fifty colleagues", status="informational")
    pen.innocent("thread", "mass-mail", who, "an answer to all of a long thread")


def _answers_below(pen: Pen) -> None:
    who, at = pen.staff(), pen.start(13 * _HOUR)
    for i in range(2):
        pen.mail(at + 900 * i, who.address, pen.mailboxes(49), "Re: lunch")
    pen.innocent("just-below", "reply-all", who, "two answers to 49 colleagues each")
    pen.innocent("thread", "mass-mail", who, "two answers to 49 colleagues each")
    who = pen.staff()
    for i in range(3):
        pen.mail(at + 2000 * i, who.address, pen.mailboxes(49), "Re: lunch")
    pen.innocent("across-the-edge", "reply-all", who, "three answers to 49 colleagues each, two in an hour")


def _answer_that_is_a_mailing(pen: Pen) -> None:
    """Anybody may write Re: before what answers nothing."""
    who, at = pen.staff(), pen.start(13 * _HOUR)
    pen.mail(at, who.address, pen.strangers(60), "Re: our summer sale")
    pen.expect("mass-mail", who, at, "a mailing to sixty people outside that calls itself an answer")


def _by_a_service(pen: Pen) -> None:
    who = pen.staff()
    first = _handed_in(pen, who, pen.start(), 66)
    why = "a service hands in 66 mails with somebody's address"
    pen.expect("mass-mail-relayed", who, first, why, status="informational")
    pen.innocent("relayed", "mass-mail", who, "what a service handed in with their address")


def _handed_in(pen: Pen, who: Member, at: int, count: int) -> int:
    """One message with somebody's address, by a service that logged in."""
    sender = replace(pen.sender(pen.staff("service")), address=who.address)
    return pen.postfix.send(at, sender, pen.mailboxes(count))


def _few_by_a_service(pen: Pen) -> None:
    for kind, waits in (("just-below", (0,)), ("across-the-edge", (0, 1200, 3700))):
        who, at = pen.staff(), pen.start(13 * _HOUR)
        for wait in waits:
            _handed_in(pen, who, at + wait, 49)
        why = f"{len(waits)} messages to 49 by a service, at most two in an hour"
        pen.innocent(kind, "mass-mail-relayed", who, why)


DEEDS = (_illegal_pages, _offers, _answer_to_all, _answer_that_is_a_mailing, _by_a_service)
LOOKALIKES = (
    _few_by_a_service,
    _counsellor,
    _casino_adverts,
    _inquiries,
    _answers_outside,
    _different_letters,
    _answers_below,
)
