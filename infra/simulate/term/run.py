"""A term from a seed: day after day deeds and look-alikes among ordinary traffic."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from infra.simulate import broken, postfix_background
from infra.simulate.draw import Draw, Ints
from infra.simulate.folder import Folder
from infra.simulate.fortigate import Fortigate, Ratings
from infra.simulate.scene import EARLIEST, LATEST
from infra.simulate.squid import PIECE, Clients, Squid
from infra.simulate.squid_pools import Pools, make_pools
from infra.simulate.term import files, login_deeds, mail_deeds, web_deeds
from infra.simulate.term.clock import MOST_DAYS, school_days
from infra.simulate.term.hosts import LISTS
from infra.simulate.term.pen import AGENT, Page, Pen
from infra.simulate.term.sites import AUTH, BRANCH, DHCP, FIREWALL, MAIL, PROXIES, RADIUS, proxy_of
from infra.simulate.term.town import MOST_SCHOOLS, Town
from infra.simulate.truth import FILE, Broken, Truth
from infra.simulate.world import Device, Person, World
from schemas.errors import ConfigError

LEAST_DAYS = 10
_ROOM = 6  # days at the end on which nothing begins: what goes on for days ends within the term
_TORN_EACH = 4  # days, on one of which lines are broken
_MAIL_SHARE = 25  # one line of so many is the mail server's
_DEEDS = (*web_deeds.DEEDS, *mail_deeds.DEEDS, *login_deeds.DEEDS)
_LOOKALIKES = (*web_deeds.LOOKALIKES, *mail_deeds.LOOKALIKES, *login_deeds.LOOKALIKES)

Deed = Callable[[Pen], "Iterator[int] | None"]


def simulate_term(
    seed: int, schools: int, days: int, lines: int, folder: Path, *, progress: Callable[[int], None] | None = None
) -> Truth:
    """Write a term of a made-up district as raw logs.

    The same arguments give the same bytes. Memory is bounded by a day's lines.

    Args:
        seed: Any whole number.
        schools: 2 to 100.
        days: School days, 10 to 90, from 12 January 2026.
        lines: Lines of all logs together, about: what people do comes first, ordinary pages fill up.
        folder: Where to. Files of an earlier simulation are replaced, all at once at the end.
        progress: Told how many lines have been written so far.

    Returns:
        What is in the logs; also written to `truth.json`.

    Raises:
        ConfigError: a number is out of range.
        InputError: the folder holds files of such names that no simulation made, or cannot be written.
    """
    _check(schools, days, lines)
    calendar = school_days(days)
    town = Town.of(seed, schools)
    pen = Pen(town, Draw(seed, "deeds"), calendar[0])
    plan = _plan(Draw(seed, "plan"), days)
    with Folder.prepare(folder, (*files.paths(), FILE)) as target:
        pools = make_pools(Draw(seed, "pages"))
        writer = _Writer(target, seed, pools, Ratings.of_pools(pools, AGENT), progress)
        going: list[tuple[int, Iterator[int]]] = []
        for number, day in enumerate(calendar):
            pen.turn(day, number)
            going = _act(pen, plan[number], going)
            _ordinary(pen, Draw(seed, f"day {number}"), lines // days)
            if number % _TORN_EACH == 0:
                torn = Draw(seed, f"torn {number}")
                logs = {name: pen.logs[name] for name in (DHCP, MAIL, AUTH, RADIUS)}
                broken.put(torn, partial(torn.between, EARLIEST, LATEST), day.date.year, logs)
            writer.write(pen, (lines - writer.done) // (days - number))
        expected = tuple(sorted(pen.expected, key=lambda e: (e.first_seen, e.rule_id, *e.group_key.values())))
        dead = tuple(sorted(writer.broken, key=lambda b: (b.file, b.line)))
        truth = Truth(seed, writer.counts, dead, expected, tuple(pen.lookalikes))
        for name, text in files.texts(pen).items():
            target.text(name, text)
        target.text(FILE, truth.to_json())
    return truth


def _check(schools: int, days: int, lines: int) -> None:
    for what, value, least, most in (("schools", schools, 2, MOST_SCHOOLS), ("days", days, LEAST_DAYS, MOST_DAYS)):
        if not least <= value <= most:
            where = f"--{what}"
            raise ConfigError(
                f"a term of {value} {what} cannot be simulated", where=where, hint=f"give {least} to {most}"
            )
    least = 500 * schools * days
    if not least <= lines <= 500_000_000:
        hint = f"give {least:,} to 500,000,000 for so many schools and days"
        raise ConfigError(f"{lines:,} lines cannot be simulated", where="--lines", hint=hint)


def _plan(draw: Draw, days: int) -> list[list[Deed]]:
    """What begins on which day: every kind at least three times, and once more for every ten days."""
    plan: list[list[Deed]] = [[] for _ in range(days)]
    rounds = 2 + days // 10
    for deed in (*_DEEDS, *_LOOKALIKES):
        for _ in range(rounds):
            plan[draw.below(days - _ROOM)].append(deed)
    return plan


def _act(pen: Pen, begins: Sequence[Deed], going: list[tuple[int, Iterator[int]]]) -> list[tuple[int, Iterator[int]]]:
    """Begin what begins today and go on with what waited for it; returns what goes on later."""
    later = [(day, acts) for day, acts in going if day > pen.number]
    today = [acts for day, acts in going if day <= pen.number]
    for deed in begins:
        acts = deed(pen)
        if acts is not None:
            today.append(acts)
    for acts in today:
        wait = next(acts, None)
        if wait is not None:
            later.append((pen.number + wait, acts))
    return later


def _ordinary(pen: Pen, draw: Draw, budget: int) -> None:
    """Leases, logins, mail and the pages that are of some category but of no interest."""
    town = pen.town
    for device in town.devices:
        here = pen.here(device)
        pen.lease(here, here.arrives, answer_after=draw.below(2))
        pen.renew(here, 11 * 3600 + draw.below(3600))
    crowd = [m for m in town.members if m.role != "service"]
    for member in crowd:
        device = pen.here(member.device)
        pen.sign_on(device.arrives + 20, member.user, device)
    pupils: dict[str, list[str]] = {}
    for member in crowd:
        if member.is_student:
            pupils.setdefault(member.site.name, []).append(member.user)
    for device in town.devices:
        near = pupils.get(device.site.name)
        for hour in (8, 11, 14) if near and device.kind == "shared" else ():
            at, user = hour * 3600 + 3600 + draw.below(1800), draw.choice(near or ())
            pen.sign_on(at, user, pen.here(device))
    staff = [Person(m.user, m.address, m.site, pen.here(m.device)) for m in crowd if not m.is_student]
    students = [Person(m.user, m.address, m.site, pen.here(m.device)) for m in crowd if m.is_student]
    world = World(draw, staff=staff, students=students)
    postfix_background.background(pen.postfix, world, len(pen.postfix.log) + budget // _MAIL_SHARE)
    for member in crowd[:: len(crowd) * 40 // budget + 1]:  # fewer where there is no room for everybody's
        at = 9 * 3600 + draw.below(5 * 3600)
        category = draw.choice(("shopping", "social", "sports", "news", "streaming"))
        for i in range(draw.below(4)):
            pen.visit(member, at + 50 * i, Page(f"http://{draw.choice(LISTS[category])}/{draw.digits(4)}"))
        pen.visit(member, at, Page("http://banner-yard.example/b.gif", mime="image/gif", size=43))
        pen.visit(member, at, Page("http://app-refresh.example/r.exe", mime="application/x-msdownload", size=800_000))


@dataclass
class _Writer:
    """Appends day after day to the logs.

    Attributes:
        counts: Lines by log.
        broken: Broken lines so far.
    """

    folder: Folder
    seed: int
    pools: Pools
    ratings: Ratings
    told: Callable[[int], None] | None
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(files.LOGS, 0))
    broken: list[Broken] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Lines so far."""
        return sum(self.counts.values())

    def write(self, pen: Pen, budget: int) -> None:
        """Write a day: about so many lines."""
        before = self.done
        for name, log in pen.logs.items():
            for one in log.append(self.folder.path(name)):
                self.broken.append(replace(one, line=self.counts[name] + one.line))
            self.counts[name] += len(log)
        deeds = sum(len(lines) for lines in pen.web.values())
        rest = max(budget - (self.done - before) - deeds, 200)
        devices = [pen.here(d) for d in pen.town.devices if d.kind in ("laptop", "shared")]
        for name in PROXIES:
            there = [d for d in devices if proxy_of(d.site) == name]
            share = rest * len(there) // len(devices)
            self._web(name, pen, there, share)
        if self.told is not None:
            self.told(self.done)

    def _web(self, name: str, pen: Pen, devices: list[Device], lines: int) -> None:
        draw = Draw(self.seed, f"{name} {pen.number}")
        log: Squid | Fortigate
        if name == FIREWALL:
            asks = Squid(name, pen.day, draw, self.pools, Fortigate.known(devices))
            log = Fortigate(asks, self.ratings)
        else:
            known = [replace(d, owner="") for d in devices] if name == BRANCH else devices
            log = Squid(name, pen.day, draw, self.pools, Clients.of(known), combined=name == BRANCH)
        deeds = sorted(pen.web[name])
        with self.folder.path(name).open("ab") as out:
            for first in range(0, lines, PIECE):
                last = min(first + PIECE, lines)
                at, text = log.piece(first, last, lines)
                until = len(deeds) if last == lines else int(np.searchsorted([ms for ms, _ in deeds], int(at.max())))
                merged = _merged(at, text, deeds[:until])
                deeds = deeds[until:]
                merged.to_frame("line").write_csv(out, include_header=False, quote_style="never", line_terminator="\n")
        self.counts[name] += lines + len(pen.web[name])


def _merged(at: Ints, text: pl.Series, deeds: Sequence[tuple[int, str]]) -> pl.Series:
    """Lines with those of deeds among them; the former stay in their order."""
    if not deeds:
        return text
    places = np.concatenate([np.maximum.accumulate(at), np.array([ms for ms, _ in deeds], dtype=np.int64)])
    order = np.argsort(places, kind="stable")
    return pl.concat([text, pl.Series(text.name, [line for _, line in deeds])]).gather(pl.Series(order))
