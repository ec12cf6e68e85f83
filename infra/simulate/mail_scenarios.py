"""Mass mail without permission (clause 11), with permission, and what only looks like it."""

from __future__ import annotations

from infra.simulate import names
from infra.simulate.postfix import PLAIN, Route, Sender
from infra.simulate.postfix_background import outside_sender, person_sender
from infra.simulate.scene import MAIL, Scene

HOUR = 3600
_DAY = 86_400


def violations(scene: Scene, number: int) -> None:
    """Violation number `number`, from 0: the forms take turns, the first of a day is left to chance."""
    forms = (_one_to_many, _same_people_again, _many_outside, _split_by_filter, _everything, _late_permit, _typed_list)
    forms[number % len(forms)](scene)


def _somebody(scene: Scene) -> Sender:
    return person_sender(scene.world.hire(scene.site()))


def _one_to_many(scene: Scene) -> None:
    sender, at = _somebody(scene), scene.start()
    count = scene.draw.between(50, 70)
    first = scene.postfix.send(at, sender, scene.world.mailboxes(scene.draw, count))
    scene.expect(MAIL, sender.address, first, f"one message to {count} people")


def _same_people_again(scene: Scene) -> None:
    """100 pairs of message and recipient, but only 25 recipients; within an hour, by a second."""
    sender, at = _somebody(scene), scene.start()
    people = scene.world.mailboxes(scene.draw, 25)
    times = (at, at + scene.draw.between(600, 1500), at + scene.draw.between(1600, 3000), at + HOUR - 1)
    first = min([scene.postfix.send(t, sender, people) for t in times])
    scene.expect(MAIL, sender.address, first, "four messages to the same 25 people: 100 deliveries within an hour")


def _many_outside(scene: Scene) -> None:
    sender, at = _somebody(scene), scene.start()
    people = names.outside_addresses(scene.draw, 52)
    first = min([scene.postfix.send(at + 700 * i, sender, people[13 * i : 13 * i + 13]) for i in range(4)])
    scene.expect(MAIL, sender.address, first, "four messages to 52 people outside within an hour")


def _split_by_filter(scene: Scene) -> None:
    """No queue entry that delivers has 50 recipients; the message has."""
    sender, at = _somebody(scene), scene.start()
    first = scene.postfix.send(at, sender, scene.world.mailboxes(scene.draw, 56), Route(copies=2))
    scene.expect(MAIL, sender.address, first, "one message to 56 people, which the content filter queued as two")


def _everything(scene: Scene) -> None:
    sender, at = _somebody(scene), scene.start()
    people = scene.world.mailboxes(scene.draw, 101) + names.outside_addresses(scene.draw, 51)
    first = scene.postfix.send(at, sender, people)
    scene.expect(MAIL, sender.address, first, "one message to 101 inside and 51 outside: every limit at once")


def _late_permit(scene: Scene) -> None:
    sender, at = _somebody(scene), scene.start()
    first = scene.postfix.send(at, sender, scene.world.mailboxes(scene.draw, 54))
    scene.permit(sender.address, 11, first - 2 * _DAY, first - _DAY, "a mailing of two days ago")
    scene.expect(MAIL, sender.address, first, "one message to 54 people; the permit ended the day before")


def _typed_list(scene: Scene) -> None:
    sender, at = _somebody(scene), scene.start()
    members, typed = scene.world.mailboxes(scene.draw, 50), f"everyone-{at}@{names.STAFF_DOMAIN}"
    first = scene.postfix.send(at, sender, members, Route(typed=typed))
    scene.expect(MAIL, sender.address, first, "one message to a list that expands to 50 people")


def permitted(scene: Scene) -> None:
    """A mailing with a supervisor's permission."""
    sender, at = _somebody(scene), scene.start()
    first = scene.postfix.send(at, sender, scene.world.mailboxes(scene.draw, 60))
    holder = sender.address if scene.draw.chance(50) else sender.login
    scene.permit(holder, 11, at - HOUR, at + 2 * HOUR, "invitation to the open day")
    why = "one message to 60 people with a permit for that time"
    scene.expect(MAIL, sender.address, first, why, status="permitted")
    scene.innocent("permitted-mailing", MAIL, sender.address, f"{why}: listed as permitted")


def _ninety_nine(scene: Scene) -> None:
    sender, at = _somebody(scene), scene.start()
    people = scene.world.mailboxes(scene.draw, 99)
    for i in range(3):
        scene.postfix.send(at + 1000 * i, sender, people[33 * i : 33 * i + 33])
    scene.innocent("ninety-nine-internal", MAIL, sender.address, "99 internal recipients within an hour")


def _forty_nine_outside(scene: Scene) -> None:
    sender, at = _somebody(scene), scene.start()
    people = names.outside_addresses(scene.draw, 49)
    for i in range(7):
        scene.postfix.send(at + 480 * i, sender, people[7 * i : 7 * i + 7])
    scene.innocent("forty-nine-outside", MAIL, sender.address, "49 recipients outside within an hour")


def _list_of_49(scene: Scene) -> None:
    sender, at = _somebody(scene), scene.start()
    typed = f"department-{at}@{names.STAFF_DOMAIN}"
    scene.postfix.send(at, sender, scene.world.mailboxes(scene.draw, 49), Route(typed=typed))
    scene.innocent("list-of-49", MAIL, sender.address, "one message to a list with 49 members")


def _through_filter(scene: Scene) -> None:
    sender, at = _somebody(scene), scene.start()
    for i in range(2):
        scene.postfix.send(at + 900 * i, sender, scene.world.mailboxes(scene.draw, 30), Route(copies=1 + i))
    why = "60 recipients, each logged twice: to the content filter, and from there to the person"
    scene.innocent("through-filter", MAIL, sender.address, why)


def _retries(scene: Scene) -> None:
    sender, at = _somebody(scene), scene.start()
    for i in range(2):
        start = at + 600 * i
        route = Route(slow=15, retries=(start + 400, start + 1000))
        scene.postfix.send(start, sender, scene.world.mailboxes(scene.draw, 40), route)
    scene.innocent("retries", MAIL, sender.address, "80 recipients, 30 of whom took three tries each")


def _spread(scene: Scene) -> None:
    """Exactly an hour from the first to the third: the window (t - 1 h, t] leaves the first out."""
    sender, at = _somebody(scene), scene.start()
    for gap in (0, 1800, HOUR):
        scene.postfix.send(at + gap, sender, scene.world.mailboxes(scene.draw, 40))
    scene.innocent("spread-over-an-hour", MAIL, sender.address, "120 recipients, but never more than 80 in any hour")


def _newsletter(scene: Scene) -> None:
    sender, at = outside_sender(scene.draw), scene.start()
    scene.postfix.send(at, sender, scene.world.mailboxes(scene.draw, 110), PLAIN)
    scene.innocent("newsletter", MAIL, sender.address, "110 recipients, but the sender is not of the district")


def _deferred(scene: Scene) -> None:
    sender, at = _somebody(scene), scene.start()
    route = Route(slow=10, retries=(at + 500, at + 1400), never=True)
    scene.postfix.send(at, sender, names.outside_addresses(scene.draw, 55), route)
    scene.innocent("deferred-recipients", MAIL, sender.address, "55 recipients, only 45 of whom were reached")


def _bounced(scene: Scene) -> None:
    sender, at = _somebody(scene), scene.start()
    scene.postfix.send(at, sender, scene.world.mailboxes(scene.draw, 55), Route(bounced=8))
    scene.innocent("bounced-recipients", MAIL, sender.address, "55 recipients, 8 of whom do not exist")


LOOKALIKES = (
    _ninety_nine,
    _forty_nine_outside,
    _list_of_49,
    _through_filter,
    _retries,
    _spread,
    _newsletter,
    _deferred,
    _bounced,
)
