"""Mail: clauses 3, 5, 6, 7, 10 and 11, and what only looks like them. See `web_deeds` for what a deed is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from infra.simulate.postfix import Route
from infra.simulate.term.hosts import LISTS
from infra.simulate.term.pen import Page, Pen
from infra.simulate.term.town import Member

_HOUR, _DAY = 3600, 86_400
_EVENING = 18 * _HOUR


def _a_class(member: Member) -> str:
    return member.classes[0] if member.classes else f"{member.site.prefix}-c0"


def _private_mail(pen: Pen) -> Iterator[int]:
    teacher = pen.staff()
    student = pen.student(teacher.site, (f"{teacher.site.prefix}-other",))
    at = _EVENING + pen.draw.below(_HOUR)
    pen.expect("private-mail-to-student", teacher, at, "a dozen mails to one student", status="informational")
    yield from _evenings(pen, teacher.address, [student.address], at)


def _evenings(pen: Pen, sender: str, to: list[str], at: int) -> Iterator[int]:
    for evening in range(3):
        if evening:
            yield 1
        for i in range(5):
            pen.mail(at + 400 * i, sender, to, f"note {evening}{i}")


def _coach(pen: Pen) -> Iterator[int]:
    who, student = pen.staff("coach"), pen.student()
    pen.innocent("duty", "private-mail-to-student", who, "a coach")
    yield from _evenings(pen, who.address, [student.address], _EVENING)


def _own_class(pen: Pen) -> Iterator[int]:
    teacher = next(m for m in pen.town.members if m.classes and m.role == "teacher" and m.site is not pen.town.sites[0])
    student = pen.student(teacher.site, (_a_class(teacher),))
    pen.innocent("own-class", "private-mail-to-student", teacher, "the student's own teacher")
    yield from _evenings(pen, teacher.address, [student.address], _EVENING)


def _parent(pen: Pen) -> Iterator[int]:
    who = pen.staff()
    child = pen.town.hire("student", who.site, guardians=(who.user,))
    pen.innocent("parent", "private-mail-to-student", who, "a parent of the student")
    yield from _evenings(pen, who.address, [child.address], _EVENING)


def _in_duty_hours(pen: Pen) -> Iterator[int]:
    who, student = pen.staff(), pen.student()
    pen.innocent("duty-hours", "private-mail-to-student", who, "mails in duty hours")
    yield from _evenings(pen, who.address, [student.address], 10 * _HOUR)


def _to_a_group(pen: Pen) -> Iterator[int]:
    who = pen.staff()
    group = [pen.student(who.site).address for _ in range(3)]
    pen.innocent("group", "private-mail-to-student", who, "mails to three students together")
    yield from _evenings(pen, who.address, group, _EVENING)


def _soliciting(pen: Pen) -> None:
    who, at = pen.staff(), pen.start(13 * _HOUR)
    pen.visit(who, at, Page(f"http://{pen.draw.choice(LISTS['fundraising'])}/causes/{pen.draw.digits(4)}"))
    people = pen.mailboxes(30)
    for i in range(3):
        pen.mail(at + 600 + 500 * i, who.address, people[10 * i : 10 * i + 10], "A good cause needs you")
    pen.expect("soliciting", who, at, "one subject to thirty people, beside a page that collects money")


def _newsletter(pen: Pen, who: Member, at: int) -> None:
    people = pen.mailboxes(30)
    for i in range(3):
        pen.mail(at + 500 * i, who.address, people[10 * i : 10 * i + 10], f"News of the week {pen.number}")


def _weekly_news(pen: Pen) -> None:
    who = pen.staff()
    _newsletter(pen, who, pen.start())
    pen.innocent("newsletter", "soliciting", who, "a weekly_news, and no page that collects money")


def _association(pen: Pen) -> None:
    who, at = pen.staff("association"), pen.start(13 * _HOUR)
    pen.visit(who, at, Page("http://cause-jar.example/parents/1"))
    _newsletter(pen, who, at + 600)
    pen.innocent("duty", "soliciting", who, "the parents' association")


def _a_look(pen: Pen) -> None:
    who, at = pen.staff(), pen.start()
    for i in range(4):
        pen.visit(who, at + 60 * i, Page(f"http://give-a-hand.example/story/{i}"))
    pen.innocent("a-look", "soliciting", who, "pages that collect money, and no mail")


def _permitted_fund_raiser(pen: Pen) -> None:
    who, at = pen.staff(), pen.start(13 * _HOUR)
    pen.permit(
        who.user, 5, at - _HOUR, at + 8 * _HOUR, pen.town.principal(who.site).user, "the school's own collection"
    )
    pen.visit(who, at, Page("http://cause-jar.example/school/1"))
    _newsletter(pen, who, at + 600)
    pen.expect("soliciting", who, at, "a collection with a permit", status="permitted")
    pen.innocent("permit", "soliciting", who, "a collection of the school's own, with a permit")


def _addresses(pen: Pen) -> None:
    who, at = pen.staff(), pen.start()
    pen.mail(at, who.address, [*pen.mailboxes(13), f"buyer@mailing-lists{pen.number}.example"], "our staff")
    pen.expect("addresses-given-away", who, at, "thirteen of the district's addresses in a message to one outside")


def _partner(pen: Pen) -> None:
    who, at = pen.staff(), pen.start()
    pen.mail(at, who.address, [*pen.mailboxes(15), "support@partner.example"], "accounts for the new system")
    pen.innocent("partner", "addresses-given-away", who, "a vendor of the district")


def _invitation(pen: Pen) -> None:
    who, at = pen.staff(), pen.start()
    pen.mail(at, who.address, [*pen.mailboxes(6), *pen.strangers(1)], "Invitation: meeting")
    pen.innocent("invitation", "addresses-given-away", who, "an invitation to six colleagues and a guest")


def _one_by_one(pen: Pen) -> None:
    who, at = pen.staff(), pen.start(13 * _HOUR)
    guest = pen.strangers(1)
    for i, one in enumerate(pen.mailboxes(14)):
        pen.mail(at + 30 * i, who.address, [one], "invitation")
    pen.mail(at + 900, who.address, guest, "invitation")
    pen.innocent("one-by-one", "addresses-given-away", who, "a message to each, which shows nobody the others")


def _front_office(pen: Pen) -> None:
    who, at = pen.staff("office"), pen.start()
    pen.mail(at, who.address, [*pen.mailboxes(14), *pen.strangers(1)], "minutes")
    pen.innocent("duty", "addresses-given-away", who, "the school's office")


def _media(pen: Pen) -> None:
    who, at = pen.staff(), pen.start(12 * _HOUR)
    _to_media(pen, who, at)
    pen.expect("mail-to-media", who, at, "mail to six newspapers in a day", status="informational")


def _to_media(pen: Pen, who: Member, at: int) -> None:
    for i, domain in enumerate(LISTS["news"]):
        pen.mail(at + 600 * i, who.address, [f"editor@{domain}"], "a letter")


def _communications(pen: Pen) -> None:
    for role in ("communications", "union", "student"):
        who = pen.student() if role == "student" else pen.staff(role)
        _to_media(pen, who, pen.start(12 * _HOUR))
        pen.innocent("duty", "mail-to-media", who, f"{role}: who may speak")


def _attachment(pen: Pen) -> Iterator[int]:
    who, at, name = pen.staff(), pen.start(), f"invoice-{pen.draw.digits(4)}.exe"
    pen.mail(at, *_stranger(pen, who), "your invoice", attachments=(name,), inbound=True)
    pen.expect("attachment-passed-on", who, at, "a stranger's programme, passed on the next day")
    if pen.day.date.weekday() < 4:  # not over a week-end: 72 hours may pass
        yield 1
    pen.mail(at + 900, who.address, pen.mailboxes(2), "look at this", attachments=("notes.pdf", name))


def _stranger(pen: Pen, who: Member) -> tuple[str, list[str]]:
    return pen.strangers(1)[0], [who.address]


def _reported(pen: Pen) -> None:
    who, at, name = pen.staff(), pen.start(), f"parcel-{pen.draw.digits(4)}.exe"
    pen.mail(at, *_stranger(pen, who), "your parcel", attachments=(name,), inbound=True)
    pen.mail(at + 900, who.address, ["phishing@example-schools.org"], "is this real?", attachments=(name,))
    pen.innocent("report", "attachment-passed-on", who, "a report to the mailbox for phishing")


def _known_sender(pen: Pen) -> None:
    who, at, name = pen.staff(), pen.start(), f"plugin-{pen.draw.digits(4)}.msi"
    pen.mail(at, "service@known.example", [who.address], "the new version", attachments=(name,), inbound=True)
    pen.mail(at + 900, who.address, pen.mailboxes(2), "the new version", attachments=(name,))
    pen.innocent("known-sender", "attachment-passed-on", who, "a sender whom the district knows")


def _papers(pen: Pen) -> None:
    who, at, name = pen.staff(), pen.start(), f"form-{pen.draw.digits(4)}.pdf"
    pen.mail(at, *_stranger(pen, who), "a form", attachments=(name,), inbound=True)
    pen.mail(at + 900, who.address, pen.mailboxes(2), "a form", attachments=(name,))
    pen.innocent("papers", "attachment-passed-on", who, "no programme")


def _kept(pen: Pen) -> None:
    who, at = pen.staff(), pen.start()
    pen.mail(at, *_stranger(pen, who), "photos", attachments=("photos.scr",), inbound=True)
    pen.mail(at + 900, who.address, pen.mailboxes(2), "the plan", attachments=("plan.docx",))
    pen.innocent("kept", "attachment-passed-on", who, "a programme that was not passed on")


def _to_many(pen: Pen) -> None:
    who, at = pen.anybody(), pen.start()
    first = pen.postfix.send(
        at, pen.sender(who), pen.mailboxes(pen.draw.between(55, 70)), Route(copies=pen.draw.below(3))
    )
    pen.expect("mass-mail", who, first, "one message to more than fifty people")


def _to_many_in_the_office(pen: Pen) -> None:
    who, at = pen.staff(), pen.start(13 * _HOUR)
    for i in range(2):
        pen.trace.send(at + 900 * i, who.address, pen.mailboxes(60))
    pen.expect("mass-mail", who, at, "120 people within an hour, by the office's mail service")


def _list_in_the_office(pen: Pen) -> None:
    who, members = pen.staff(), pen.mailboxes(70)
    pen.trace.send(pen.start(), who.address, members, through=pen.mailing_list(who, members))
    pen.innocent("list-owner", "mass-mail", who, "the owner of a list, by the office's mail service")


def _again_and_again(pen: Pen) -> None:
    who, at = pen.staff(), pen.start(13 * _HOUR)
    if pen.draw.chance(50):
        sent = [pen.postfix.send(at + 600 * i, pen.sender(who), pen.mailboxes(28)) for i in range(4)]
    else:
        sent = [pen.postfix.send(at + 600 * i, pen.sender(who), pen.strangers(15)) for i in range(4)]
    pen.expect("mass-mail", who, min(sent), "more than a hundred inside or fifty outside within an hour")


def _exceeding(pen: Pen) -> None:
    """A permit for fewer, one that ended, one that was taken back, and one by who may not."""
    who, at, form = pen.staff(), pen.start(), pen.draw.below(4)
    chief, more = pen.town.principal(who.site).user, {}
    start, stop = at - _HOUR, at + 3 * _HOUR
    if form == 0:
        more = {"recipients": "52"}
    elif form == 1:
        start, stop = at - 5 * _HOUR, at - 1800
    elif form == 2:
        more = {"revoked": pen.day.local(at - 600), "revoked_by": chief}
    else:
        chief = who.user
    pen.permit(who.user, 11, start, stop, chief, "an invitation", **more)
    first = pen.postfix.send(at, pen.sender(who), pen.mailboxes(66))
    whys = (
        "a permit for fewer people",
        "a permit that had ended",
        "a permit that was taken back",
        "a permit by oneself",
    )
    pen.expect("mass-mail", who, first, f"one message to 66 people, and {whys[form]}")


def _permitted_mailing(pen: Pen) -> None:
    who, at = pen.staff(), pen.start()
    chief = pen.town.principal(who.site).user
    pen.permit(who.user, 11, at - _HOUR, at + 3 * _HOUR, chief, "the open day", recipients="90")
    first = pen.postfix.send(at, pen.sender(who), pen.mailboxes(80))
    pen.expect("mass-mail", who, first, "one message to 80 people with a permit for 90", status="permitted")
    pen.innocent("permit", "mass-mail", who, "with a permit")


def _notifier(pen: Pen) -> None:
    who = pen.staff("service")
    pen.postfix.send(pen.start(), pen.sender(who), pen.strangers(120))
    pen.innocent("notifier", "mass-mail", who, "the attendance system, which writes to parents")


def _standing_permit(pen: Pen) -> None:
    who, at = pen.staff("secretary"), pen.start()
    pen.permit(who.user, 11, at - 10 * _HOUR, at + 90 * _DAY, pen.town.principal(who.site).user, "the weekly letter")
    first = pen.postfix.send(at, pen.sender(who), pen.strangers(120))
    pen.expect("mass-mail", who, first, "a secretary writes to parents", status="permitted")
    pen.innocent("permit", "mass-mail", who, "with a standing permit")


def _list_owner(pen: Pen) -> None:
    who, at = pen.staff(), pen.start()
    members = pen.mailboxes(70)
    route = Route(typed=pen.mailing_list(who, members), copies=pen.draw.below(2))
    pen.postfix.send(at, pen.sender(who), members, route)
    pen.innocent("list-owner", "mass-mail", who, "the owner of a list, who writes to it")


def _to_others_list(pen: Pen) -> None:
    who, at = pen.anybody(), pen.start()
    members = pen.mailboxes(70)
    route = Route(typed=pen.mailing_list(pen.staff(), members), copies=pen.draw.below(2))
    first = pen.postfix.send(at, pen.sender(who), members, route)
    pen.expect("mass-mail", who, first, "a message to 70 people by somebody else's list")


def _list_software(pen: Pen) -> None:
    owner = pen.staff()
    members = pen.mailboxes(80)
    local, _, domain = pen.mailing_list(owner, members).partition("@")
    sender = replace(pen.sender(owner), address=f"{local}-bounces@{domain}", host="lists.example-schools.org", login="")
    pen.postfix.send(pen.start(), sender, members)
    pen.innocent("list-software", "mass-mail", owner, "what a list sends on in its own name")


def _thread(pen: Pen) -> None:
    people = [pen.staff() for _ in range(8)]
    at = pen.start(13 * _HOUR)
    for i, who in enumerate(people):
        pen.postfix.send(at + 200 * i, pen.sender(who), [p.address for p in people if p is not who])
        pen.innocent("thread", "mass-mail", who, "a thread in which everybody answers to all")


def _filtered(pen: Pen) -> None:
    who, at = pen.staff(), pen.start()
    for i in range(2):
        pen.postfix.send(at + 900 * i, pen.sender(who), pen.mailboxes(30), Route(copies=1 + i))
    pen.innocent("filter", "mass-mail", who, "60 deliveries, each of them logged twice")


def _tried_again(pen: Pen) -> None:
    who, at = pen.staff(), pen.start(13 * _HOUR)
    route = Route(slow=15, retries=(at + 400, at + 1000), bounced=4)
    pen.postfix.send(at, pen.sender(who), pen.mailboxes(49), route)
    pen.innocent("retries", "mass-mail", who, "49 people, fifteen of whom took three tries")


def _over_the_day(pen: Pen) -> None:
    who = pen.staff()
    for hour in (8, 10, 12, 14):
        pen.postfix.send(hour * _HOUR + 1200, pen.sender(who), pen.mailboxes(45))
    pen.innocent("over-the-day", "mass-mail", who, "180 deliveries of a day, at most 45 in an hour")


DEEDS = (
    _private_mail,
    _soliciting,
    _addresses,
    _media,
    _attachment,
    _to_many,
    _to_others_list,
    _to_many_in_the_office,
    _again_and_again,
    _exceeding,
    _soliciting,
    _attachment,
)
LOOKALIKES = (
    _coach,
    _own_class,
    _parent,
    _in_duty_hours,
    _to_a_group,
    _weekly_news,
    _association,
    _a_look,
    _permitted_fund_raiser,
    _partner,
    _invitation,
    _one_by_one,
    _front_office,
    _communications,
    _reported,
    _known_sender,
    _papers,
    _kept,
    _permitted_mailing,
    _notifier,
    _standing_permit,
    _list_owner,
    _list_in_the_office,
    _list_software,
    _thread,
    _filtered,
    _tried_again,
    _over_the_day,
)
