"""Events to violations in one process, without servers: what backtests and rule examples run.

The same detector, facts and buckets as under Faust. All rows are gathered first and judged when every source has
told all of its progress, so memory grows with the rows that match, not with the rows that are read.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import Any

import polars as pl

from agents.context.district import District
from agents.context.inventory import Inventory
from agents.engine.correlate import Bucket, RuleTime
from agents.engine.detect import DetectCounters, Matched
from agents.engine.episodes import Judge, Records
from agents.engine.eras import Always, Contexts, Eras
from agents.engine.identity import FactIndex, facts_of
from agents.engine.rows import rows_of
from agents.rules.model import RuleSet
from schemas.headers import FOREVER, NEVER
from schemas.kinds import EventKind


class Pipeline:
    """One timeline of one rule set. Feed all frames in any order, then `finish`.

    Args:
        rules: Rules in force.
        district: Mail domains and sites.
        inventory: Known devices.
        judge: Permits and the policy's name.
        settled: True where all events that were to come have come: leases and logins that came late are believed, too.
        then: District and inventory by the time of an event; None: always those above. Whether there is an inventory,
            and the calendar, are those above all the same.
    """

    def __init__(
        self,
        rules: RuleSet,
        district: District,
        inventory: Inventory,
        judge: Judge,
        *,
        settled: bool = False,
        then: Contexts | None = None,
    ) -> None:
        self._rules, self._settled = rules, settled
        self._eras = Eras(rules, Always(district, inventory) if then is None else then)
        self._facts = FactIndex()
        by_id = {r.id: r for r in rules.rules}
        self._bucket = Bucket(by_id, judge, inventory=inventory.present, calendar=district.calendar)
        self._earliest: dict[EventKind, int] = {}
        self._latest: dict[EventKind, int] = {}
        self._records: Records = []
        self._attributed: list[tuple[int, Matched]] = []

    @property
    def counters(self) -> DetectCounters:
        """What was looked at, and left out."""
        return self._eras.counters

    def take(self, kind: EventKind, frame: pl.DataFrame, *, earliest: int | None = None) -> None:
        """Take stamped events of one kind.

        Args:
            kind: Their kind.
            frame: In that kind's schema.
            earliest: Earliest event time of the source so far, microseconds; None: taken from the frame.
        """
        if frame.is_empty():
            return
        inside = frame.filter(~pl.col("late") & ~pl.col("time_suspect"))["timestamp"].dt.timestamp("us")
        if len(inside):
            self._latest[kind] = max(int(inside.max()), self._latest.get(kind, NEVER))  # type: ignore[arg-type]
            earliest = int(inside.min()) if earliest is None else earliest  # type: ignore[arg-type]
        if earliest is not None:
            self._earliest[kind] = min(earliest, self._earliest.get(kind, FOREVER))
        self._facts.add(facts_of(frame, kind, settled=self._settled))
        for number, part in self._eras.parts(frame):
            detector = self._eras.detector(number)
            matched = detector.match(part, kind)
            for rows in detector.portions(matched, "immediate"):
                self._records += self._bucket.take(rows_of(rows))
            if matched.frame.height and any(rule.attributed for rule, _ in self._rules.feeds(kind)):
                self._attributed.append((number, matched))

    def finish(self) -> Records:
        """Judge everything; every version of every violation in the order made."""
        for number, matched in sorted(self._attributed, key=itemgetter(0)):  # so that each detector is made once
            for rows in self._eras.detector(number).portions(matched, "attributed", self._facts):
                self._records += self._bucket.take(rows_of(rows))
        self._attributed = []
        times = {r.id: RuleTime(FOREVER, self._start(r.kinds), covered=self._end(r.kinds)) for r in self._rules.rules}
        self._records += self._bucket.advance(times)
        return self._records

    def reaches(self) -> dict[EventKind, int]:
        """Time of the newest event of each kind, microseconds UTC."""
        return dict(self._latest)

    def _start(self, kinds: Iterable[EventKind]) -> int | None:
        return min((self._earliest[k] for k in kinds if k in self._earliest), default=None)

    def _end(self, kinds: Iterable[EventKind]) -> int | None:
        return min((self._latest[k] for k in kinds if k in self._latest), default=None)


def last_versions(records: Records) -> Records:
    """The newest version of each violation, by first event and id."""
    newest: dict[str, dict[str, Any]] = {}
    for r in records:
        if r["id"] not in newest or newest[r["id"]]["version"] < r["version"]:
            newest[r["id"]] = r
    return sorted(newest.values(), key=lambda r: (r["first_seen"], r["id"]))


def run(
    rules: RuleSet,
    district: District,
    inventory: Inventory,
    judge: Judge,
    frames: Iterable[tuple[EventKind, pl.DataFrame]],
) -> Records:
    """Violations of some frames in their last versions."""
    pipeline = Pipeline(rules, district, inventory, judge)
    for kind, frame in frames:
        pipeline.take(kind, frame)
    return last_versions(pipeline.finish())
