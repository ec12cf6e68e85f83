"""Permits: a supervisor's permission for somebody, for a clause, for a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cached_property
from pathlib import Path
from typing import Any

from agents.context.csvfile import raise_all, read_text, rows
from agents.context.district import District
from agents.context.mac import normalise_mac
from agents.context.versions import content_version
from schemas.errors import ConfigError

COLUMNS = ("who", "clause", "from", "to", "granted_by", "reason")
LAST_CLAUSE = 13
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Permit:
    """One permission.

    Attributes:
        who: Holder as written: an e-mail address, an account or a MAC address.
        clause: Clause of the policy, 1 to 13.
        from_us: First moment it covers, microseconds UTC.
        to_us: First moment it does not cover any more, microseconds UTC.
        granted_by: The supervisor.
        reason: Why.
        where: file:line it stands at.
    """

    who: str
    clause: int
    from_us: int
    to_us: int
    granted_by: str
    reason: str
    where: str = field(default="", compare=False)

    def record(self) -> dict[str, Any]:
        """Plain values for the violation: times as ISO 8601 in UTC."""
        return {
            "who": self.who,
            "clause": self.clause,
            "from": _iso(self.from_us),
            "to": _iso(self.to_us),
            "granted_by": self.granted_by,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Permits:
    """All permits of a district.

    Attributes:
        permits: In file order.
        district: Whose mail domains turn an account into an address.
    """

    permits: tuple[Permit, ...] = ()
    district: District = field(default_factory=District)

    @staticmethod
    def read(path: Path, district: District) -> Permits:
        """Read a CSV file with the columns `who,clause,from,to,granted_by,reason`.

        Times are ISO 8601; without an offset they are local to the district. A date alone means the whole day: from
        its first moment, or to its last.

        Raises:
            ConfigError: the file cannot be read.
            Errors: of `ConfigError`, every row that is wrong; nothing is taken from such a file.
        """
        return Permits.parse(read_text(path), str(path), district)

    @staticmethod
    def parse(text: str, file: str, district: District) -> Permits:
        """`read` from a text; `file` is its name in errors."""
        errors: list[ConfigError] = []
        permits = []
        for where, row in rows(text, file, COLUMNS, errors):
            before = len(errors)
            permit = _permit(row, where, district.timezone, errors)
            if permit is not None and len(errors) == before:
                permits.append(permit)
        raise_all(errors)
        return Permits(tuple(permits), district)

    @cached_property
    def version(self) -> str:
        """12 hexadecimal digits of a hash of its content."""
        return content_version([p.record() for p in self.permits])

    @cached_property
    def _by_holder(self) -> dict[tuple[int, str], list[Permit]]:
        index: dict[tuple[int, str], list[Permit]] = {}
        for permit in self.permits:
            holder = normalise_mac(permit.who) or permit.who.lower()
            index.setdefault((permit.clause, holder), []).append(permit)
        return index

    def covering(self, who: Iterable[str], clause: int, t_us: int) -> dict[str, Any] | None:
        """The permit that covers a moment for any of some names.

        A permit's holder matches a name in any case; without an `@` also the local part of an address of the district;
        a MAC address in any notation.

        Args:
            who: Values of a group key.
            clause: Clause of the rule.
            t_us: Event time, microseconds UTC.

        Returns:
            `Permit.record()` of the one that lasts longest (of equals the first in the file); None where there is none.
        """
        found: Permit | None = None
        for name in who:
            for holder in self._holders(str(name)):
                for permit in self._by_holder.get((clause, holder), ()):
                    covers = permit.from_us <= t_us < permit.to_us
                    if covers and (found is None or permit.to_us > found.to_us):
                        found = permit
        return None if found is None else found.record()

    def _holders(self, name: str) -> tuple[str, ...]:
        """Every way in which a permit may write the holder of a name."""
        lowered = name.strip().lower()
        mac = normalise_mac(lowered)
        if mac is not None:
            return (mac,)
        local, at, domain = lowered.rpartition("@")
        if at and self.district.is_internal_domain(domain):
            return (lowered, local)
        return (lowered,)


def _permit(row: dict[str, str], where: str, zone: tzinfo, errors: list[ConfigError]) -> Permit | None:
    clause = row["clause"]
    if not row["who"]:
        errors.append(ConfigError("the permit names nobody", where=where, hint="fill in `who`"))
    if not row["granted_by"]:
        errors.append(ConfigError("nobody granted the permit", where=where, hint="fill in `granted_by`"))
    if not clause.isascii() or not clause.isdigit() or not 1 <= int(clause) <= LAST_CLAUSE:
        what = f"clause {clause!r} is none of 1 to {LAST_CLAUSE}"
        errors.append(ConfigError(what, where=where, hint="give the clause's number"))
        return None
    start = _moment(row["from"], zone, end=False)
    stop = _moment(row["to"], zone, end=True)
    for name, moment in (("from", start), ("to", stop)):
        if moment is None:
            hint = "write it like 2026-03-02T08:00 or 2026-03-02T08:00:00-07:00"
            errors.append(ConfigError(f"`{name}` {row[name]!r} is no ISO 8601 time", where=where, hint=hint))
    if start is None or stop is None:
        return None
    if stop <= start:
        errors.append(ConfigError("the permit ends before it starts", where=where, hint="swap `from` and `to`"))
    return Permit(row["who"], int(clause), start, stop, row["granted_by"], row["reason"], where)


def _moment(text: str, zone: tzinfo, *, end: bool) -> int | None:
    """Microseconds UTC of an ISO 8601 time or date; None for anything else."""
    try:
        day = date.fromisoformat(text) + timedelta(days=1 if end else 0)
        when = datetime.combine(day, time(), zone)
    except (ValueError, OverflowError):
        try:
            when = datetime.fromisoformat(text)
        except ValueError:
            return None
        if when.tzinfo is None:
            when = when.replace(tzinfo=zone)
    try:
        return (when.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)
    except OverflowError:
        return None


def _iso(t_us: int) -> str:
    return (_EPOCH + timedelta(microseconds=t_us)).isoformat().replace("+00:00", "Z")
