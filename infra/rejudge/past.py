"""What was in force when: the versions of roster, inventory, lists and permits that were kept, by event time.

An event is judged by the version in force at its time. Before the oldest the oldest counts, since it is the nearest.
A correction puts another version, or a row of it, in its place for a time (see `infra.rejudge.corrections`).
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

from agents.build import FILES, as_kept, inventory_of, roster_of
from agents.context.district import District
from agents.context.inventory import Inventory
from agents.context.kept import versions
from agents.context.maillists import MailLists
from agents.context.roster import Person, Roster
from agents.engine.eras import Contexts
from agents.settings import DistrictSettings
from infra.rejudge.corrections import AS_IT_WAS, INVENTORY, LISTS, PERMITS, ROSTER, Correction, What
from infra.run.contextfiles import ContextFiles
from schemas.errors import AupstreamError, InputError
from schemas.headers import NEVER

log = logging.getLogger(__name__)
AT_ONCE = 32  # contexts in memory, which share what they have in common; one that is asked for later is read again
_PATHS = {ROSTER: ("roster", "roles"), INVENTORY: ("inventory",), LISTS: ("lists",), PERMITS: ("permits",)}
_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Era:
    """A time in which the same was in force.

    Attributes:
        start: First event time of it, microseconds UTC.
        version: The version in force; None: the files as they are now, because none was kept.
        corrections: Those that count, oldest first.
    """

    start: int
    version: Path | None
    corrections: tuple[Correction, ...] = ()


def eras_of(folder: Path, corrections: Sequence[Correction]) -> tuple[Era, ...]:
    """All eras, oldest first; the first begins at `NEVER`.

    Args:
        folder: Where the versions are.
        corrections: What was corrected, oldest first.
    """
    known = list(_changes(folder)) or [(NEVER, None)]
    known[0] = (NEVER, known[0][1])
    edges = {t_us for t_us, _ in known} | {t for c in corrections for t in (c.start, c.end) if t > NEVER}
    found: list[Era] = []
    for start in sorted(edges):
        version = known[bisect_right(known, start, key=lambda one: one[0]) - 1][1]
        some = tuple(c for c in corrections if c.start <= start < c.end)
        if not found or (found[-1].version, found[-1].corrections) != (version, some):
            found.append(Era(start, version, some))
    return tuple(found)


def _changes(folder: Path) -> Iterator[tuple[int, Path | None]]:
    """Versions that say something else than the one before: each start of `aupstream run` keeps one."""
    before = b""
    for t_us, path in versions(folder):
        if (now := _digest(path)) != before:
            yield t_us, path
        before = now


def _digest(version: Path) -> bytes:
    found = blake2b()
    for path in sorted(p for p in version.rglob("*") if p.is_file()):
        found.update(f"{path.relative_to(version)}\0{path.stat().st_size}\0".encode())
        found.update(path.read_bytes())
    return found.digest()


def keep_now(settings: DistrictSettings, folder: Path) -> str:
    """Name of a version that has the files as they are now; it is made where the newest one has not.

    Raises:
        Errors: the files are wrong.
    """
    known = [path for _, path in versions(folder)]
    if not known or not _same(settings, known[-1]):
        ContextFiles(settings, folder).keep()
        known = [path for _, path in versions(folder)]
    return known[-1].name


def _same(settings: DistrictSettings, version: Path) -> bool:
    kept = as_kept(settings, version)
    return all(_bytes(getattr(settings, name)) == _bytes(getattr(kept, name)) for name in FILES)


def _bytes(path: Path | None) -> list[tuple[str, bytes]]:
    if path is None or not path.is_dir():
        return [] if path is None else [("", path.read_bytes())]
    return [(str(one.relative_to(path)), one.read_bytes()) for one in sorted(path.rglob("*")) if one.is_file()]


class Past(Contexts):
    """See module.

    Args:
        settings: The district as it is configured now: what no version is kept of, such as its calendar, is always so.
        district: Made of them.
        folder: Where the versions are.
        corrections: What was corrected, oldest first.
    """

    def __init__(
        self, settings: DistrictSettings, district: District, folder: Path, corrections: Sequence[Correction] = ()
    ) -> None:
        self.settings, self.district, self._folder = settings, district, folder
        self.eras = eras_of(folder, corrections)
        self._people: dict[Person, Person] = {}
        self._contexts = lru_cache(AT_ONCE)(self._context)
        self._rosters = lru_cache(AT_ONCE)(self._roster)
        self._inventories = lru_cache(AT_ONCE)(self._inventory)

    @property
    def starts(self) -> Sequence[int]:
        """See `Contexts`."""
        return [era.start for era in self.eras]

    def number(self, t_us: int) -> int:
        """Number of the era of a time."""
        return bisect_right(self.starts, t_us) - 1

    def numbers(self, start: int, end: int) -> range:
        """Numbers of the eras that a time has a part in."""
        return range(self.number(start), self.number(end - 1) + 1)

    def context(self, number: int) -> tuple[District, Inventory]:
        """See `Contexts`. What cannot be read any more is passed over for what came after it, with a warning.

        Raises:
            AupstreamError: the files of now cannot be read, or what was corrected is not kept any more.
        """
        return self._contexts(number)

    def _context(self, number: int) -> tuple[District, Inventory]:
        era = self.eras[number]
        for one in era.corrections:
            self._right(one, self.settings)
        for version in (era.version, *(e.version for e in self.eras[number + 1 :])):
            try:
                return self._made(*self._corrected(version, era.corrections))
            except (AupstreamError, OSError) as error:
                log.warning("what was in force before cannot be read, and what came after it is taken: %s", error)
        return self._made(*self._corrected(None, era.corrections))

    def files(self, number: int) -> DistrictSettings:
        """Settings that name the files of an era, but for rows that were corrected. Raises `OSError`."""
        era = self.eras[number]
        return self._corrected(era.version, era.corrections)[0]

    def _corrected(
        self, version: Path | None, corrections: Sequence[Correction]
    ) -> tuple[DistrictSettings, dict[What, DistrictSettings]]:
        """Settings with the files of a version, or those that a correction names, and which rows are of others."""
        settings = then = self.settings if version is None else as_kept(self.settings, version)
        rows: dict[What, DistrictSettings] = {}
        for one in corrections:
            right = self._right(one, then)
            if one.what.row:
                rows[one.what] = right
                continue
            update = {name: getattr(right, name) for name in _PATHS[one.what.file]}
            settings = settings.model_copy(update=update)
            rows = {what: of for what, of in rows.items() if what.file != one.what.file}
        return settings, rows

    def _right(self, one: Correction, then: DistrictSettings) -> DistrictSettings:
        if one.version == AS_IT_WAS:
            return then
        version = self._folder / one.version
        if not one.version:
            return self.settings
        if not version.is_dir():
            what = f"what was corrected ({one.what.file}) is not kept any more"
            raise InputError(what, where=str(version), hint="put it back, or say it again with --corrected")
        return as_kept(self.settings, version)

    def _made(self, settings: DistrictSettings, rows: dict[What, DistrictSettings]) -> tuple[District, Inventory]:
        roster, inventory, lists = self._read(settings)
        people, devices, addresses = dict(roster.people), dict(inventory.devices), dict(lists.lists)
        for what, of in rows.items():
            right = self._read(of)
            if what.file == ROSTER:
                _put(people, what.row, right[0].people.get(what.row))
            elif what.file == INVENTORY:
                _put(devices, what.row, right[1].devices.get(what.row))
            else:
                _put(addresses, what.row, right[2].lists.get(what.row))
        if rows:  # one row makes no roster where there was none: everybody else would be a stranger
            roster = Roster.of(people.values()) if roster.present else roster
            inventory = Inventory.of(devices.values()) if inventory.present else inventory
            lists = MailLists(addresses)
        now = self.district
        return now.knowing(roster, now.shared_networks, now.categories, lists, now.dhcp_servers), inventory

    def _read(self, settings: DistrictSettings) -> tuple[Roster, Inventory, MailLists]:
        lists = MailLists() if settings.lists is None else MailLists.read(settings.lists)
        return self._rosters(settings.roster, settings.roles), self._inventories(settings.inventory), lists

    def _roster(self, roster: Path | None, roles: Path | None) -> Roster:
        found = roster_of(self.settings.model_copy(update={"roster": roster, "roles": roles}))
        same = (self._people.setdefault(person, person) for person in found.people.values())
        return Roster.of(same) if found.present else found

    def _inventory(self, inventory: Path | None) -> Inventory:
        return inventory_of(self.settings.model_copy(update={"inventory": inventory}))

    def differences(self, file: str, start: int, end: int) -> set[str]:
        """Rows of a file that say something else now than they did at some time between."""
        return set().union(*(self._differing(file, number) for number in self.numbers(start, end)))

    def has(self, what: What, start: int, end: int) -> bool:
        """True where a row is in the file as it is now, or was at some time between."""
        return what.row in self._now[what.file] or what.row in self.differences(what.file, start, end)

    def _differing(self, file: str, number: int) -> set[str]:
        then, now = _rows(*self.context(number))[file], self._now[file]
        return {row for row in then.keys() | now.keys() if then.get(row) != now.get(row)}

    @cached_property
    def _now(self) -> dict[str, dict[str, object]]:
        return _rows(self.district, inventory_of(self.settings))


def _rows(district: District, inventory: Inventory) -> dict[str, dict[str, object]]:
    return {
        ROSTER: dict(district.roster.people),
        INVENTORY: dict(inventory.devices),
        LISTS: dict(district.lists.lists),
    }


def _put(rows: dict[str, _Row], name: str, row: _Row | None) -> None:
    """A row in the place of another; none: it is taken out."""
    if row is None:
        rows.pop(name, None)
    else:
        rows[name] = row
