"""Episodes: one run of a rule holding for one group key, and the violation record it makes.

A record depends on the rows of the episode and on nothing else: no clock, no batch, no order of arrival. So the same id
and version always have the same bytes.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, Protocol

from agents.context.permit import Act
from agents.engine.evidence import FIRST_LINE, acted_at
from agents.engine.rows import Row
from agents.rules.model import TOGETHER, Rule, Threshold
from schemas.ids import violation_id

FIRST_KEPT = 10  # oldest rows kept as evidence
NEWEST_KEPT = 40  # newest rows kept as evidence
REFUSED = "refused"  # of a permit that counts for nothing: why
UNMEASURED = "unmeasured"  # of a permit with a limit: why it cannot be held against it
# What a permit that does not cover an episode says of it.
BEYOND = frozenset({REFUSED, "outside", "exceeded", UNMEASURED})
Records = list[dict[str, Any]]  # in the `violation` schema, times in microseconds UTC

UPDATE_EVERY_US = 300_000_000  # an open episode is told again at most this often, in event time


class Measured(Protocol):
    """What has a measure: a window, or the tally of a period."""

    rule: Rule
    lower_bound: bool

    @property
    def value(self) -> float:
        """The aggregate that the violation reports."""

    def measures(self) -> Sequence[float]:
        """Current value of each threshold of the rule, in its order; empty where there is none."""


class PermitBook(Protocol):
    """What the engine asks of the supervisors' permissions."""

    def knows(self, clause: int) -> bool:
        """False where there is no permit of a clause at all: `covering` need not be asked."""

    def covering(self, who: Iterable[str], clause: int, t_us: int, act: Act) -> dict[str, Any] | None:
        """The permit that covers any of these names for the clause and the act at that time, as plain values, or None.

        Under `refused` it says why it counts for nothing, where it does.
        """


class NoPermits:
    """A district without permits."""

    def knows(self, clause: int) -> bool:
        """Never."""
        del clause
        return False

    def covering(self, who: Iterable[str], clause: int, t_us: int, act: Act) -> dict[str, Any] | None:
        """Never any."""
        del who, clause, t_us, act
        return None


@dataclass(frozen=True, slots=True)
class Judge:
    """What an episode is judged with: the same for all rows of one run.

    Attributes:
        permits: The supervisors' permissions.
        policy: Name and date of the district's policy, for the record.
    """

    permits: PermitBook = field(default_factory=NoPermits)
    policy: str = ""


@dataclass(slots=True)
class Episode:
    """State of an open episode; plain values only.

    `anchor` is what the id is made of in place of the first event, where a kind says so; `measured` is the highest
    measure of the episodes that it is a chain over; `who` are the values of the group key, read once.
    """

    group_key: str
    first: Row
    opened_at: int
    last_t: int = 0
    last_id: str = ""
    count: int = 0
    value: float = 0.0
    lower_bound: bool = False
    peaks: list[float | None] = field(default_factory=list)  # by threshold; None: not reached
    head: list[Row] = field(default_factory=list)
    tail: deque[Row] = field(default_factory=lambda: deque(maxlen=NEWEST_KEPT))
    dropped: int = 0
    version: int = 0
    told_at: int = 0
    told_passed: int = 0
    informational: bool = True
    outside: int = 0
    permit: dict[str, Any] | None = None
    anchor: str = ""
    measured: float | None = None
    who: tuple[str, ...] = ()

    def take(self, rule: Rule, row: Row, judge: Judge) -> None:
        """Count a row that belongs to the episode and look up whether it was permitted."""
        self.count += 1
        self.last_t, self.last_id = row.t, row.event_id
        self.informational = self.informational and rule.only_informs(row.base)
        covering = self._covering(rule, row, judge) if judge.permits.knows(rule.clause) else None
        if covering is None or REFUSED in covering:
            self.outside += max(1, len(row.values))
        if covering is not None and (self.permit is None or (REFUSED in self.permit and REFUSED not in covering)):
            self.permit = covering
        if len(self.head) < FIRST_KEPT:
            self.head.append(row)
            return
        if len(self.tail) == NEWEST_KEPT:
            self.dropped += 1
        self.tail.append(row)

    def _covering(self, rule: Rule, row: Row, judge: Judge) -> dict[str, Any] | None:
        # A mail that waits for one bad address is complete days later; it was sent when its first line was written.
        sent = acted_at(row.summary, row.t) if FIRST_LINE in row.summary else row.t
        if not self.who:
            self.who = tuple(json.loads(self.group_key).values())
        act = Act(rule.id, row.summary, mixed=len(rule.kinds) > 1)
        if row.base in rule.inner and (measure := act.measure) is not None:
            self.measured = max(measure, self.measured or 0.0)
        return judge.permits.covering(self.who, rule.clause, sent, act)

    def _cited(self, rule: Rule) -> dict[str, Any] | None:
        """The permit with how far the episode goes beyond it; None where there is none."""
        if self.permit is None or REFUSED in self.permit:
            return self.permit
        limit, beyond = self.permit.get("recipients", 0), dict[str, Any]()
        if self.outside > rule.permit_tolerance:
            beyond["outside"] = self.outside
        # Of what only came together the value says how many parts there were, and nothing of how much it was.
        amount = self.measured if rule.kind in TOGETHER else self.value
        if limit and amount is None:
            beyond[UNMEASURED] = f"{rule.id} counts nothing that a limit of {limit} could be held against"
        elif limit and amount is not None and amount > limit:
            beyond["exceeded"] = f"{amount:g} in place of {limit}"
        return self.permit | beyond

    def measure(self, window: Measured) -> None:
        """Keep the highest aggregate reached."""
        value = window.value
        self.value = max(self.value, value)
        self.lower_bound = self.lower_bound or window.lower_bound
        limits, measures = window.rule.thresholds, window.measures()
        if not measures:
            return
        if len(limits) == 1 and self.peaks:  # the usual case, without detours
            limit, old = limits[0], self.peaks[0]
            if limit.holds(measures[0]):
                self.peaks[0] = _further(limit, old, measures[0])
            return
        now = [m if t.holds(m) else None for t, m in zip(limits, measures, strict=False)]
        before = self.peaks or now
        self.peaks = [_further(t, old, new) for t, old, new in zip(limits, before, now, strict=False)]

    def limits_changed(self, window: Measured) -> None:
        """Measure by limits that are new: what was reached of others says nothing of these."""
        self.peaks = []
        self.measure(window)
        self.told_passed = sum(peak is not None for peak in self.peaks)

    def passed(self, rule: Rule) -> list[dict[str, Any]]:
        """The thresholds that were reached, with their highest values; the lowest where only an upper limit is set."""
        return [
            {"name": t.name, "limit": t.shown, "value": float(peak)}
            for t, peak in zip(rule.thresholds, self.peaks, strict=False)
            if peak is not None
        ]

    def tell_now(self) -> bool:
        """True where a new version is due: not told for a while, or another threshold was passed."""
        if self.last_t >= self.told_at + UPDATE_EVERY_US:
            return True
        return sum(peak is not None for peak in self.peaks) > self.told_passed

    def record(
        self, rule: Rule, judge: Judge, *, closed_at: int | None, timeline: str, incomplete: bool
    ) -> dict[str, Any]:
        """The next version of the violation, in the `violation` schema; times in microseconds UTC."""
        self.version += 1
        self.told_at = self.last_t
        thresholds = self.passed(rule)
        self.told_passed = len(thresholds)
        permit = self._cited(rule)
        permitted = permit is not None and not permit.keys() & BEYOND
        status = "informational" if self.informational else "permitted" if permitted else "violation"
        return {
            "id": violation_id(rule.id, self.group_key, self.anchor or self.first.event_id),
            "version": self.version,
            "rule_id": rule.id,
            "rule_version": rule.version,
            "rule_title": rule.title,
            "clause": rule.clause,
            "policy": judge.policy,
            "severity": "informational" if self.informational else rule.severity,
            "status": status,
            "state": "open" if closed_at is None else "closed",
            "group_key": {k: str(v) for k, v in json.loads(self.group_key).items()},
            "first_seen": self.first.t,
            "last_seen": self.last_t,
            "opened_at": self.opened_at,
            "closed_at": closed_at,
            "count": self.count,
            "value": self.value,
            "value_lower_bound": self.lower_bound,
            "thresholds": thresholds,
            "permit": None if permit is None else json.dumps(permit, sort_keys=True, ensure_ascii=False),
            "evidence": [_evidence(r) for r in (*self.head, *self.tail)],
            "evidence_dropped": self.dropped,
            "incomplete": incomplete,
            "timeline": timeline,
            "related": [],
            "shadow": rule.shadow,
            "about": rule.about or None,
        }

    def to_state(self) -> list[object]:
        """Plain values for a snapshot."""
        return [
            self.group_key,
            self.first.to_state(),
            self.opened_at,
            self.last_t,
            self.last_id,
            self.count,
            self.value,
            self.lower_bound,
            self.peaks,
            [r.to_state() for r in self.head],
            [r.to_state() for r in self.tail],
            self.dropped,
            self.version,
            self.told_at,
            self.told_passed,
            self.informational,
            self.outside,
            self.permit,
            self.anchor,
            self.measured,
        ]

    @staticmethod
    def from_state(state: Sequence[Any]) -> Episode:
        """Take back what `to_state` gave."""
        values = list(state)
        values[1] = Row.from_state(values[1])
        values[9] = [Row.from_state(r) for r in values[9]]
        values[10] = deque((Row.from_state(r) for r in values[10]), maxlen=NEWEST_KEPT)
        return Episode(*values)


def _further(threshold: Threshold, old: float | None, new: float | None) -> float | None:
    """The more extreme of two measures of a threshold, of which either may be none."""
    if old is None or new is None:
        return old if new is None else new
    return min(old, new) if threshold.gte == -inf < threshold.lte < inf else max(old, new)


def _evidence(row: Row) -> dict[str, Any]:
    return {
        "event_id": row.event_id,
        "timestamp": row.t,
        "log_source": row.source,
        "log_generation": row.generation,
        "log_offset": row.offset,
        "log_hash": row.line_hash,
        "base": row.base,
        "summary": row.summary,
        "facts": list(row.facts),
    }
