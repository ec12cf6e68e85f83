"""What is done on days without school, and what only looks like it. See `web_deeds` for what a deed is."""

from __future__ import annotations

from infra.simulate.term.hosts import LISTS
from infra.simulate.term.pen import Page, Pen
from infra.simulate.term.town import Member

_EARLIEST, _LATEST = 9 * 3600, 14 * 3600


def _here(pen: Pen, role: str) -> tuple[Member, int]:
    """Somebody of the staff who is at school today, and when they begin."""
    who, at = pen.staff(role), pen.draw.between(_EARLIEST, _LATEST)
    device = pen.here(who.device)
    pen.lease(device, at - 900)
    pen.sign_on(at - 880, who.user, device)
    return who, at


def _adult_on_a_day_off(pen: Pen) -> None:
    who, at = _here(pen, "custodian")
    for i in range(8):
        host = LISTS["adult"][i % 3]
        pen.visit(who, at + 40 * i, Page(f"http://{host}/{pen.draw.digits(5)}/{i}"))
    pen.expect("adult-pages", who, at, "pages of sexual content on a day without school")


def _mailing_on_a_day_off(pen: Pen) -> None:
    who, at = _here(pen, "teacher")
    first = pen.postfix.send(at, pen.sender(who), pen.mailboxes(60))
    pen.expect("mass-mail", who, first, "one message to sixty people on a day without school")


def _shopping_on_a_day_off(pen: Pen) -> None:
    who, at = _here(pen, "coach")
    for i in range(80):
        pen.visit(who, at + 60 * i, Page(f"http://basket-street.example/{pen.draw.digits(5)}/{i}"))
    pen.innocent("day-off", "personal-time", who, "private pages at a match on a day without school")


def _coach_on_a_day_off(pen: Pen) -> None:
    who, at = _here(pen, "coach")
    student = pen.student(who.site)
    for i in range(12):
        pen.mail(at + 300 * i, who.address, [student.address], f"match {i}")
    pen.innocent("duty", "private-mail-to-student", who, "a coach who writes to a player on a match's day")


def _nine_on_a_day_off(pen: Pen) -> None:
    who, at = _here(pen, "teacher")
    student = pen.student(who.site, (f"{who.site.prefix}-other",))
    for i in range(9):
        pen.mail(at + 300 * i, who.address, [student.address], f"play {i}")
    pen.innocent("just-below", "private-mail-to-student", who, "nine mails to one student")


DEEDS = (_adult_on_a_day_off, _mailing_on_a_day_off)
LOOKALIKES = (_shopping_on_a_day_off, _coach_on_a_day_off, _nine_on_a_day_off)
