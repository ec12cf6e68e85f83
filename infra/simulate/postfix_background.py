"""Ordinary mail of a day: far below every limit, by construction.

Senders take turns. A sender of the district's staff writes at most 20 messages a day of at most 5 recipients, which at
the busiest hour is some 4 messages: a fifth of what 100 internal or 50 outside recipients an hour would take.
"""

from __future__ import annotations

from infra.simulate import names
from infra.simulate.day import CLOSES, OPENS, Day
from infra.simulate.draw import Draw
from infra.simulate.postfix import PLAIN, Postfix, Route, Sender
from infra.simulate.world import Person, World

_LINES_A_MESSAGE = 9
_SHORT = 400  # budget below which the server reports less often
_TURNS = 20  # messages a member of staff writes at most


def person_sender(person: Person) -> Sender:
    """Somebody of the district at their own device."""
    device = person.device
    return Sender(person.address, f"{device.host}.example-schools.org", device.ip, person.user)


def outside_sender(draw: Draw) -> Sender:
    """Somebody outside the district, through their own mail server."""
    address = names.outside_address(draw.below(20_000))
    return Sender(address, f"mx1.{address.rpartition('@')[2]}", f"198.51.100.{draw.between(20, 219)}")


def background(postfix: Postfix, world: World, budget: int) -> None:
    """Mail up to about `budget` lines in the log."""
    draw, day = postfix.draw, postfix.day
    for report in range(OPENS, CLOSES, 1800 if budget > _SHORT else 7200):
        postfix.cron(report + 1)
    turns = draw.sample(len(world.staff), len(world.staff))
    messages = max(budget - len(postfix.log), 0) // _LINES_A_MESSAGE
    times = _times(day, draw, messages)
    written = 0
    for i, at in enumerate(times):
        if len(postfix.log) >= budget:
            return
        kind = draw.below(100)
        if kind < 65 and written < _TURNS * len(turns):
            _write(postfix, world, world.staff[turns[written % len(turns)]], at)
            written += 1
        elif kind < 92:
            _receive(postfix, world, at)
        else:
            postfix.refuse(at, outside_sender(draw), names.outside_address(i % 20_000))


def _times(day: Day, draw: Draw, messages: int) -> list[int]:
    """Seconds, none so late that a retry would fall outside the day."""
    return [min(t // 1000, CLOSES - 1800) for t in day.spread(draw, 0, messages, messages).tolist()]


def _write(postfix: Postfix, world: World, person: Person, at: int) -> None:
    draw = postfix.draw
    recipients = world.mailboxes(draw, draw.between(1, 4))
    if draw.chance(25):
        recipients.append(names.outside_address(draw.below(20_000)))
    postfix.send(at, person_sender(person), recipients, _route(draw, at, len(recipients)))


def _receive(postfix: Postfix, world: World, at: int) -> None:
    draw = postfix.draw
    recipients = world.mailboxes(draw, draw.between(1, 3))
    postfix.send(at, outside_sender(draw), recipients, _route(draw, at, len(recipients)))


def _route(draw: Draw, at: int, recipients: int) -> Route:
    kind = draw.below(100)
    if kind < 30:
        return Route(copies=1)
    if kind < 34:
        return Route(slow=1, retries=(at + draw.between(300, 600), at + draw.between(900, 1700)))
    if kind < 37 and recipients > 1:
        return Route(bounced=1)
    return PLAIN
