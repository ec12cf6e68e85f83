"""Permits by the time of what they are asked of: whose name was whose then, and what was permitted then."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from agents.build import written_permits
from agents.context.permit import Act, Permit
from agents.context.permitlog import LivePermits, Record
from agents.context.permits import NEAR_US, Permits
from infra.rejudge.corrections import AS_IT_WAS, PERMITS
from infra.rejudge.past import AT_ONCE, Past
from schemas.errors import AupstreamError

log = logging.getLogger(__name__)


class PermitsThen:
    """A book of permits (see `Permits`) over eras.

    A permit says itself from when to when it counts. So those of the file as it is now count for the past, too, and in
    their wording of now; one that was struck from the file since counts for what was done while it stood there.

    Args:
        past: What was in force when.
        records: Of permits that were entered.
    """

    def __init__(self, past: Past, records: Sequence[Record]) -> None:
        self._past, self._records = past, records
        self._book = lru_cache(AT_ONCE)(self._made)
        self._files = lru_cache(None)(self._file)

    def knows(self, clause: int) -> bool:
        """False where there is no permit of a clause at all, and never was."""
        return clause in self._spans

    def covering(self, who: Iterable[str], clause: int, t_us: int, act: Act) -> dict[str, Any] | None:
        """See `Permits.covering`."""
        near = any(start - NEAR_US <= t_us < end + NEAR_US for start, end in self._spans.get(clause, ()))
        return self._book(self._past.number(t_us)).covering(who, clause, t_us, act) if near else None

    def _made(self, number: int) -> LivePermits:
        district, _ = self._past.context(number)
        book = replace(written_permits(self._past.settings, district), permits=self._permits(number))
        return LivePermits(book, lambda: self._records)

    def _permits(self, number: int) -> tuple[Permit, ...]:
        try:
            then = self._files(self._past.files(number).permits)
        except (AupstreamError, OSError) as error:
            log.warning("permits of before cannot be read, and are passed over: %s", error)
            then = ()
        corrected = [c for c in self._past.eras[number].corrections if c.what.file == PERMITS]
        if corrected and corrected[-1].version != AS_IT_WAS:
            return then
        return tuple(({p.id: p for p in then} | {p.id: p for p in self._files(self._past.settings.permits)}).values())

    def _file(self, path: Path | None) -> tuple[Permit, ...]:
        return () if path is None else Permits.read(path, self._past.district).permits

    @cached_property
    def _spans(self) -> dict[int, set[tuple[int, int]]]:
        """From when to when a permit of each clause might count, in any era."""
        entered = LivePermits(Permits((), self._past.district), lambda: self._records).permits
        written = (p for number in range(len(self._past.eras)) for p in self._permits(number))
        found: dict[int, set[tuple[int, int]]] = defaultdict(set)
        for permit in (*entered, *written):
            found[permit.clause].add((permit.from_us, permit.to_us))
        return dict(found)
