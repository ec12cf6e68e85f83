"""The detectors of one process: one a version of the rules, each for the rows of its time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from agents.delivery.rulebook import Always, InForce, Period
from agents.engine.attribution import Attribution
from agents.engine.detect import Detector, Matched
from agents.engine.feeding import DETECTION_SCHEMA
from agents.rules.model import Rule, RuleSet
from schemas.headers import NEVER
from schemas.kinds import EventKind

_TIMES = ("timestamp", "time_suspect", "log_offset", "log_sub")
KEPT = 3  # detectors at once; one that is needed again is made again


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the rules, ready to be applied.

    Attributes:
        name: Its name.
        detector: Applies it.
        rules: By id.
        attributed: Kinds of events of which some rule needs to know whose device an address was.
    """

    name: str
    detector: Detector
    rules: Mapping[str, Rule]
    attributed: frozenset[EventKind]


@dataclass(frozen=True, slots=True)
class Judged:
    """Rows of a batch that one version's rules match, or may."""

    version: Version
    matched: Matched


@dataclass(frozen=True, slots=True)
class DetectionRows:
    """Detection rows that one version's rules made.

    Attributes:
        rules: Those rules, by id.
        frame: The rows, in the columns of `DETECTION_SCHEMA`.
    """

    rules: Mapping[str, Rule]
    frame: pl.DataFrame


class Detectors:
    """See module. Not for several threads at once.

    Args:
        rules: Which are in force when.
        make: Makes a detector of a rule set.
    """

    def __init__(self, rules: InForce, make: Callable[[RuleSet], Detector]) -> None:
        self._in_force, self._make = rules, make
        self._made: dict[str, Version] = {}
        self.missing_key = 0  # of detectors that are gone

    @staticmethod
    def always(rules: RuleSet, detector: Detector) -> Detectors:
        """One rule set, ever since."""
        return Detectors(Always(rules), lambda _: detector)

    def periods(self) -> tuple[Period, ...]:
        """See `InForce.periods`."""
        return self._in_force.periods()

    def figures(self) -> Mapping[str, float]:
        """Figures for metrics."""
        return {"missing_key": self.missing_key + sum(v.detector.counters.missing_key for v in self._made.values())}

    def columns(self, kind: EventKind) -> tuple[str, ...] | None:
        """Columns to be decoded: those of the newest version, and of older ones in use; None: all, empty: no rows."""
        periods = self.periods()
        self._version(periods[-1].version)
        wanted = [v.detector.columns(kind) for v in self._made.values()]
        if any(columns is None for columns in wanted):
            return None
        # Rows may be of a time when other rules were in force, which only their times tell.
        always = () if len(periods) == 1 else _TIMES
        return tuple(dict.fromkeys(c for columns in (*wanted, always) for c in columns or ()))

    def ready_for(self, frame: pl.DataFrame) -> bool:
        """True where `columns` counted in all versions that a frame's rows need; from now on it does."""
        needed = {period.version for period in self._of(frame)}
        ready = needed <= self._made.keys()
        for version in needed:
            self._version(version)
        return ready

    def match(self, frame: pl.DataFrame, kind: EventKind) -> list[Judged]:
        """What each version that was in force at the time of some rows makes of these.

        Args:
            frame: Events of a kind, with all columns of `columns`, asked for after `ready_for`.
            kind: Their kind.
        """
        periods = self._of(frame)
        if len(periods) == 1:
            version = self._version(periods[0].version)
            return [Judged(version, version.detector.match(frame, kind))]
        times = frame["timestamp"].dt.timestamp("us")
        found = []
        for period, following in zip(periods, (*periods[1:], None), strict=True):
            inside = times >= period.start if following is None else (times >= period.start) & (times < following.start)
            rows = inside.arg_true()
            version = self._version(period.version)
            matched = version.detector.match(frame[rows], kind)
            numbers = rows[matched.frame["row"]].cast(pl.Int32)
            found.append(Judged(version, Matched(kind, matched.frame.with_columns(row=numbers), matched.masks)))
        return found

    def needs(self, judged: Sequence[Judged]) -> int:
        """The time up to which it must be known whose device an address was, microseconds UTC; `NEVER` for none."""
        times = [j.version.detector.waiting(j.matched)["t_us"].max() for j in judged]
        return max((int(t) for t in times if t is not None), default=NEVER)  # type: ignore[arg-type]

    def rows(self, judged: Sequence[Judged], lane: str, attribution: Attribution | None = None) -> list[DetectionRows]:
        """Detection rows of one lane by version; see `Detector.rows`."""
        made = [(j.version, j.version.detector.rows(j.matched, lane, attribution)) for j in judged]
        return [DetectionRows(version.rules, rows) for version, rows in made if not rows.is_empty()]

    def _of(self, frame: pl.DataFrame) -> Sequence[Period]:
        """Periods that rows of a frame fall in, and those between."""
        periods = self.periods()
        if len(periods) == 1:
            return periods
        times = frame["timestamp"].dt.timestamp("us")
        oldest, newest = times.min(), times.max()
        starts = [period.start for period in periods]
        first = max(i for i, start in enumerate(starts) if i == 0 or start <= oldest)  # type: ignore[operator]
        last = max(i for i, start in enumerate(starts) if i == 0 or start <= newest)  # type: ignore[operator]
        return periods[first : last + 1]

    def _version(self, name: str) -> Version:
        found = self._made.pop(name, None)
        if found is None:
            ruleset = self._in_force.ruleset(name)
            kinds = frozenset(k for k in EventKind if any(rule.attributed for rule, _ in ruleset.feeds(k)))
            found = Version(name, self._make(ruleset), {rule.id: rule for rule in ruleset.rules}, kinds)
            while len(self._made) >= KEPT:
                self.missing_key += self._made.pop(next(iter(self._made))).detector.counters.missing_key
        self._made[name] = found
        return found


def in_order(parts: Sequence[tuple[pl.DataFrame, pl.Series]]) -> tuple[pl.DataFrame, pl.Series]:
    """Rows of several versions with a number each, in the order of (row, rule, base)."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return pl.DataFrame(schema=DETECTION_SCHEMA), pl.Series(dtype=pl.Int32)
    both = pl.concat([frame.with_columns(_number=numbers) for frame, numbers in parts]).sort("row", "rule_id", "base")
    return both.drop("_number"), both["_number"]
