"""Permits that were entered one by one: records that are only appended to, each chained to the one before.

A grant says who may what, when and by whose leave; a revocation names a grant and says from when on it counts no more.
Both say when they were written down. So what was known at a time can be told afterwards, and nothing of it is changed.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import tzinfo
from pathlib import Path
from typing import Any

from agents.context.permit import Act, Permit, Revocation
from agents.context.permitfile import COLUMNS, OPTIONAL, moment, permit_of
from agents.context.permits import Permits
from schemas.errors import ConfigError, Errors, InputError

log = logging.getLogger(__name__)
GRANT, REVOKE = "grant", "revoke"
ROSTER = "roster"  # of a grant: version of the roster by which who grants it might; missing where there was none
FIRST = "0" * 64  # what the first entry follows
Record = Mapping[str, Any]


def sealed(record: Record, number: int, previous: str) -> dict[str, Any]:
    """An entry of the log: the record with its number, from 1, and the SHA-256 that chains it to the one before."""
    text = json.dumps([number, previous, record], sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return {"number": number, "previous": previous, "hash": hashlib.sha256(text.encode()).hexdigest(), "record": record}


def read_log(path: Path) -> list[dict[str, Any]]:
    """Entries of a log of permits, oldest first; none where there is no file.

    Raises:
        InputError: it cannot be read, or an entry was changed, taken out or put in: the line is named.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the permits cannot be read: {error}", where=str(path)) from error
    entries: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        where = f"{path}:{number}"
        previous = entries[-1]["hash"] if entries else FIRST
        entry = _entry(line, number, previous)
        if entry is None:
            hint = (
                "permits are appended by `aupstream permits` only; put back the copy that was kept, or ask who wrote it"
            )
            raise InputError("this permit is not as it was written", where=where, hint=hint)
        entries.append(entry)
    return entries


def _entry(line: str, number: int, previous: str) -> dict[str, Any] | None:
    """The entry, if it is the one that was written at this place."""
    try:
        entry: dict[str, Any] = json.loads(line)
        return entry if entry == sealed(entry["record"], number, previous) else None
    except (ValueError, KeyError, TypeError):
        return None


def permits_of(records: Iterable[Record], zone: tzinfo, where: str) -> tuple[Permit, ...]:
    """What the records come to, in the order of the grants.

    Args:
        records: Oldest first; one that stands twice counts once.
        zone: Of times without an offset.
        where: What they were read from, for errors.

    Raises:
        Errors: of `ConfigError`, every record that is wrong.
    """
    errors: list[ConfigError] = []
    found = _folded(records, zone, where, errors)
    if errors:
        raise Errors([*errors])
    return found


def _folded(records: Iterable[Record], zone: tzinfo, where: str, errors: list[ConfigError]) -> tuple[Permit, ...]:
    """`permits_of`; what is wrong goes to `errors` and counts for nothing."""
    found: dict[str, Permit] = {}
    for number, record in enumerate(records, 1):
        place = f"{where}:{number}"
        name = str(record.get("id", ""))
        if record.get("action") == REVOKE:
            at = moment(str(record.get("at", "")), zone, end=False)
            if at is None or name not in found:
                errors.append(ConfigError(f"this revokes nothing: {name!r}", where=place, hint="give a permit's id"))
            else:
                found[name] = _revoked(found[name], at, record)
        elif name not in found:
            row = {c: str(record.get(c, "")) for c in (*COLUMNS, *OPTIONAL)}
            before = len(errors)
            permit = permit_of(row, place, zone, errors)
            if permit is not None and len(errors) == before:
                found[name] = replace(permit, entered=True, checked=bool(record.get(ROSTER)))
    return tuple(found.values())


def _revoked(permit: Permit, at_us: int, record: Record) -> Permit:
    """Of several revocations the earliest time counts."""
    if permit.revoked is not None and permit.revoked.at_us <= at_us:
        return permit
    said = Revocation(at_us, str(record.get("revoked_by", "")), str(record.get("reason", "")))
    return replace(permit, revoked=said)


class LivePermits:
    """The book while records still come in: what is known when it is asked.

    A record that cannot be read is logged and counts for nothing: it must not stop who judges.

    Args:
        written: Permits of the district's file.
        records: Gives all records so far; another sequence when there are more.
    """

    def __init__(self, written: Permits, records: Callable[[], Sequence[Record]]) -> None:
        self._written, self._records = written, records
        self._seen: Sequence[Record] = ()
        self._book = written

    def knows(self, clause: int) -> bool:
        """False where there is no permit of a clause at all."""
        return self._now().knows(clause)

    def covering(self, who: Iterable[str], clause: int, t_us: int, act: Act) -> dict[str, Any] | None:
        """See `Permits.covering`."""
        return self._now().covering(who, clause, t_us, act)

    @property
    def permits(self) -> tuple[Permit, ...]:
        """All of them, those of the file first."""
        return self._now().permits

    def _now(self) -> Permits:
        records = self._records()
        if records is not self._seen:
            errors: list[ConfigError] = []
            more = _folded(records, self._written.district.timezone, "permits", errors)
            for error in errors:
                log.warning("a record of a permit is passed over: %s", error)
            self._book, self._seen = self._written.and_more(more), records
        return self._book
