"""A term from a seed: day after day deeds and look-alikes among ordinary traffic."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from infra.simulate import broken
from infra.simulate.draw import Draw, Ints
from infra.simulate.folder import Folder
from infra.simulate.fortigate import Fortigate, Ratings
from infra.simulate.scene import EARLIEST, LATEST
from infra.simulate.squid import PIECE, Clients, Squid
from infra.simulate.squid_pools import Pools, make_pools
from infra.simulate.term import (
    files,
    login_deeds,
    mail_deeds,
    near_people,
    near_web,
    off_deeds,
    ordinary,
    recorded_deeds,
    tunnel_deeds,
    web_deeds,
)
from infra.simulate.term.clock import MOST_DAYS, days_off, school_days
from infra.simulate.term.pen import AGENT, Pen
from infra.simulate.term.sites import (
    AUTH,
    BRANCH,
    BY_INTERFACE,
    DHCP,
    FIREWALL,
    MAIL,
    PROXIES,
    RADIUS,
    file_of,
    proxy_of,
)
from infra.simulate.term.town import MOST_SCHOOLS, Town
from infra.simulate.truth import FILE, Broken, Truth
from infra.simulate.world import Device
from schemas.errors import ConfigError

LEAST_DAYS = 10
_ROOM = 6  # days at the end on which nothing begins: what goes on for days ends within the term
_LEAST_PAGES = 200  # ordinary ones of a school day
_OFF_CHANCE = 33  # percent of the days off on which a deed of such a day is done
_MOST_LATE = 20  # seconds, of the 30 that the configuration allows
_TORN_EACH = 4  # days, on one of which lines are broken

Deed = Callable[[Pen], "Iterator[int] | None"]

_KINDS = (web_deeds, tunnel_deeds, mail_deeds, login_deeds, recorded_deeds, near_web, near_people)
_DEEDS: tuple[Deed, ...] = tuple(deed for kind in _KINDS for deed in kind.DEEDS)
_LOOKALIKES: tuple[Deed, ...] = tuple(deed for kind in _KINDS for deed in kind.LOOKALIKES)


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
    with Folder.prepare(folder, (*files.paths(calendar), FILE)) as target:
        pools = make_pools(Draw(seed, "pages"))
        counts = dict.fromkeys(files.logs(calendar), 0)
        writer = _Writer(target, seed, pools, Ratings.of_pools(pools, AGENT), progress, counts)
        going: list[tuple[int, Iterator[int]]] = []
        off = days_off(calendar)
        for number, day in enumerate(calendar):
            pen.turn(day, number)
            settled = len(town.members)
            going = _act(pen, plan[number], going)
            ordinary.school_day(pen, Draw(seed, f"day {number}"), lines // days, settled)
            if number % _TORN_EACH == 0:
                torn = Draw(seed, f"torn {number}")
                logs = {name: pen.logs[name] for name in (DHCP, MAIL, AUTH, RADIUS)}
                broken.put(torn, partial(torn.between, EARLIEST, LATEST), day.date.year, logs)
            writer.write(pen, (lines - writer.done) // (days - number))
            for free in off.get(day.date, ()):
                pen.turn(free, number)
                _off(pen, Draw(seed, f"off {pen.serial}"))
                writer.write(pen, 0)
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


def _off(pen: Pen, draw: Draw) -> None:
    """A day without school: each deed of such a day on one of three."""
    for deed in (*off_deeds.DEEDS, *off_deeds.LOOKALIKES):
        if draw.chance(_OFF_CHANCE):
            deed(pen)
    ordinary.off_day(pen, draw)


@dataclass
class _Writer:
    """Appends day after day to the logs.

    Attributes:
        counts: Lines by file.
        broken: Broken lines so far.
    """

    folder: Folder
    seed: int
    pools: Pools
    ratings: Ratings
    told: Callable[[int], None] | None
    counts: dict[str, int]
    broken: list[Broken] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Lines so far."""
        return sum(self.counts.values())

    def write(self, pen: Pen, budget: int) -> None:
        """Write a day: about so many lines; with 0 no other pages than those of deeds."""
        before = self.done
        for name, log in pen.logs.items():
            if name in BY_INTERFACE:
                log.come_late(Draw(self.seed, f"late {name} {pen.serial}"), _MOST_LATE)
            file = file_of(name, pen.day)
            for one in log.append(self.folder.path(file)):
                self.broken.append(replace(one, line=self.counts[file] + one.line))
            self.counts[file] += len(log)
        deeds = sum(len(lines) for lines in pen.web.values())
        rest = max(budget - (self.done - before) - deeds, _LEAST_PAGES) if budget else 0
        devices = [pen.here(d) for d in pen.town.devices if d.kind in ("laptop", "shared")]
        for name in PROXIES:
            there = [d for d in devices if proxy_of(d.site) == name]
            share = rest * len(there) // len(devices)
            self._web(name, pen, there, share)
        if self.told is not None:
            self.told(self.done)

    def _web(self, name: str, pen: Pen, devices: list[Device], lines: int) -> None:
        draw = Draw(self.seed, f"{name} {pen.serial}")
        log: Squid | Fortigate
        if name == FIREWALL:
            asks = Squid(name, pen.day, draw, self.pools, Fortigate.known(devices))
            log = Fortigate(asks, self.ratings)
        else:
            known = [replace(d, owner="") for d in devices] if name == BRANCH else devices
            log = Squid(name, pen.day, draw, self.pools, Clients.of(known), combined=name == BRANCH)
        deeds = sorted(pen.web[name])
        with self.folder.path(name).open("ab") as out:
            if not lines:
                out.writelines(f"{line}\n".encode() for _, line in deeds)
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
