"""Detect: stateless rules over whole batches, matched rows out.

Two steps, because a rule may need to know whose device an address was: `match` finds the rows that match or may match,
`rows` makes detection rows of them, for the lane that waits for nothing at once and for the other when the facts are
there. No clock, no state but counters: the same frame gives the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
import polars as pl

from agents.context.district import District
from agents.context.inventory import Inventory
from agents.engine.attribution import NO_FACTS, Attribution, NoAttribution, whose
from agents.engine.enrich import Enricher
from agents.engine.evidence import SUMMARY_COLUMNS
from agents.engine.feeding import DETECTION_SCHEMA, Feeder
from agents.engine.patterns import Rows
from agents.engine.scan import Scanner
from agents.rules.columns import derived_columns, identity_columns, keyword_columns
from agents.rules.compiled import Compiled
from agents.rules.model import Detection, Rule, RuleSet
from schemas.kinds import EventKind
from schemas.registry import column_names

MAX_PORTION = 100_000  # detection rows made at once, where it is asked for portions; about 100 MB as objects
MAX_SCANNERS = 64  # log formats of a kind; beyond it the oldest is made anew when it comes again: only time is lost

_ALWAYS = (
    "event_dataset",
    "event_id",
    "timestamp",
    "log_source",
    "log_generation",
    "log_offset",
    "log_sub",
    "log_hash",
    "late",
    "time_suspect",
    "source_ip",
    "user_domain",
)


@dataclass(slots=True)
class DetectCounters:
    """Figures since start: rows looked at, rows that may match, detection rows, and rows left out for want of a key."""

    rows: int = 0
    candidates: int = 0
    detections: int = 0
    missing_key: int = 0
    missing_value: int = 0


@dataclass(frozen=True, slots=True)
class Matched:
    """Rows of one frame that match a rule, or may once identity is known.

    Attributes:
        kind: Kind of the events.
        frame: Those rows, with `row` (Int32): their index in the input frame.
        masks: One Boolean column for each detection that any of the rows match, same height.
    """

    kind: EventKind
    frame: pl.DataFrame
    masks: pl.DataFrame


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is done for one kind of event."""

    feeds: tuple[tuple[Rule, Detection], ...]
    expressions: Mapping[str, Compiled]
    derived: frozenset[str]  # needed to match
    later: frozenset[str]  # needed for matched rows only

    @property
    def names(self) -> bool:
        """True where it must be known who was there, and not only which device."""
        return bool((self.derived | self.later) & {"person", "person_roles", "person_site", "subject"})


class Detector:
    """Applies a rule set's detections to frames of events.

    Args:
        ruleset: Rules in force.
        district: Mail domains and sites.
        inventory: Known devices.
    """

    def __init__(self, ruleset: RuleSet, district: District, inventory: Inventory) -> None:
        self._enricher = Enricher(district, inventory)
        self._plans = {kind: _plan(ruleset, kind, district) for kind in EventKind}
        self._scanners: dict[tuple[EventKind, str | None], Scanner] = {}
        self.counters = DetectCounters()

    def columns(self, kind: EventKind) -> tuple[str, ...] | None:
        """Columns of a kind's schema that must be decoded: empty where no rule reads it, None where all are wanted."""
        plan = self._plans[kind]
        if not plan.expressions:
            return ()
        used = {c for e in plan.expressions.values() for c in e.columns} | set(_ALWAYS) | set(SUMMARY_COLUMNS[kind])
        for rule, base in plan.feeds:
            used.update(rule.column_of(name, base.name) for name in rule.group_by)
            used.update(rule.row_columns)
        derived = derived_columns(kind)
        for name in (*plan.derived, *plan.later):
            used.update(derived[name].reads)
        return tuple(c for c in column_names(kind.value) if c in used)

    def match(self, frame: pl.DataFrame, kind: EventKind) -> Matched:
        """Find the rows that match any detection of the kind, or may.

        Args:
            frame: Events in that kind's schema.
            kind: Their kind.
        """
        plan = self._plans[kind]
        self.counters.rows += frame.height
        if not plan.expressions or not frame.height:
            return _nothing(frame, kind)
        full = self._enricher.add(frame, kind, plan.derived - identity_columns(kind))
        found = []
        for scanner, part, rows in self._parts(full, kind):
            masks = scanner.find(part)
            if masks.height:
                found.append(masks if rows is None else masks.with_columns(row=pl.Series(rows)[masks["row"]]))
        if not found:
            return _nothing(full, kind)
        some = found[0]
        if len(found) > 1:
            some = pl.concat(found, how="diagonal").sort("row").with_columns(pl.exclude("row").fill_null(value=False))
        self.counters.candidates += some.height
        numbers = some["row"].cast(pl.Int32)
        picked = full if some.height == full.height else full[numbers]
        return Matched(kind, picked.with_columns(numbers), some.drop("row"))

    def _parts(self, frame: pl.DataFrame, kind: EventKind) -> Iterator[tuple[Scanner, pl.DataFrame, Rows | None]]:
        """A frame by log format: who looks at it, and its rows' numbers where it is not the whole frame."""
        if "event_dataset" not in frame.columns:
            yield self._scanner(kind, None), frame, None
            return
        column = frame["event_dataset"]
        datasets: list[str | None] = [column[0]]
        if column.null_count() or not (column == column[0]).all():
            datasets = column.unique().to_list()
        for dataset in datasets:
            if len(datasets) == 1:
                yield self._scanner(kind, dataset), frame, None
            else:
                rows = (column.is_null() if dataset is None else column == dataset).arg_true()
                yield self._scanner(kind, dataset), frame[rows], rows.to_numpy().astype(np.int64)

    def _scanner(self, kind: EventKind, dataset: str | None) -> Scanner:
        """Scanner of one log format, with the rules that are about it."""
        scanner = self._scanners.get((kind, dataset))
        if scanner is None:
            expressions = self._plans[kind].expressions
            routed = {n: c for n, c in expressions.items() if c.route is None or c.route.takes(dataset)}
            if len(self._scanners) >= MAX_SCANNERS:
                del self._scanners[next(iter(self._scanners))]
            scanner = self._scanners[kind, dataset] = Scanner(routed, keyword_columns(kind))
        return scanner

    def waiting(self, matched: Matched) -> pl.DataFrame:
        """Rows whose device or person must be known first: `row`, `source_ip`, `t_us` (microseconds UTC)."""
        names = {base.name for rule, base in self._plans[matched.kind].feeds if rule.attributed}
        waits = pl.any_horizontal(sorted(names & set(matched.masks.columns)) or [pl.lit(value=False)])
        if not matched.frame.height or "source_ip" not in matched.frame.columns:
            return pl.DataFrame(schema={"row": pl.Int32, "source_ip": pl.String, "t_us": pl.Int64})
        columns = matched.frame.select("row", "source_ip", t_us=pl.col("timestamp").dt.timestamp("us"))
        no_mac, addressed = _none(matched.frame, "source_mac"), columns["source_ip"].is_not_null()
        unknown = no_mac & addressed
        if self._plans[matched.kind].names:
            unknown = unknown | (_none(matched.frame, "user_name") & (addressed | ~no_mac))
        return columns.filter(matched.masks.select(waits).to_series() & unknown)

    def rows(self, matched: Matched, lane: str, attribution: Attribution | None = None) -> pl.DataFrame:
        """Detection rows of one lane, one a (rule, base, event), in the order of (row, rule, base).

        Args:
            matched: What `match` gave.
            lane: `immediate`, or `attributed` once the facts have passed every waiting row's time.
            attribution: Asked for the lane `attributed`; None: nothing is known.

        Returns:
            A frame with the columns of `DETECTION_SCHEMA`. `late` is true for rows stamped late or time_suspect:
            neither enters a window.
        """
        plan, there = self._plans[matched.kind], set(matched.masks.columns)
        feeds = [(rule, base) for rule, base in plan.feeds if rule.lane == lane and base.name in there]
        if not feeds or not matched.frame.height:
            return pl.DataFrame(schema=DETECTION_SCHEMA)
        frame, masks = self._attributed(matched, lane, attribution or NoAttribution())
        frame = self._enricher.add(frame, matched.kind, self._plans[matched.kind].later)
        asked = {base.name for _, base in feeds}
        wanted = masks[feeds[0][1].name] if len(asked) == 1 else masks.select(pl.any_horizontal(asked)).to_series()
        if not wanted.all():
            frame, masks = frame.filter(wanted), masks.filter(wanted)
        feeder = Feeder(frame, matched.kind, self._enricher)
        found = feeder.rows(feeds, masks)
        self.counters.detections += found.height
        self.counters.missing_key += feeder.left_out.key
        self.counters.missing_value += feeder.left_out.value
        return found

    def portions(self, matched: Matched, lane: str, attribution: Attribution | None = None) -> Iterator[pl.DataFrame]:
        """As `rows`, in order, in frames of about `MAX_PORTION` rows at most: for batches that many rules match.

        Rows of one event stay together.
        """
        counts = {mask.name: int(mask.sum()) for mask in matched.masks.iter_columns()}
        feeds = self._plans[matched.kind].feeds
        parts = -(-sum(counts.get(base.name, 0) for rule, base in feeds if rule.lane == lane) // MAX_PORTION) or 1
        step = -(-matched.frame.height // parts) or 1
        for start in range(0, max(matched.frame.height, 1), step):
            part = Matched(matched.kind, matched.frame[start : start + step], matched.masks[start : start + step])
            yield self.rows(part, lane, attribution)

    def detect(self, frame: pl.DataFrame, kind: EventKind, attribution: Attribution | None = None) -> pl.DataFrame:
        """`match` and `rows` of both lanes at once, in the order of (row, rule, base)."""
        matched = self.match(frame, kind)
        lanes = [self.rows(matched, lane, attribution) for lane in ("immediate", "attributed")]
        if any(lane.is_empty() for lane in lanes):
            return lanes[lanes[0].is_empty()]
        return pl.concat(lanes).sort("row", "rule_id", "base")

    def _attributed(self, matched: Matched, lane: str, attribution: Attribution) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Rows with their device filled in, and masks that take it into account."""
        frame, masks = matched.frame, matched.masks
        if lane != "attributed" or "source_mac" not in identity_columns(matched.kind):
            return frame.with_columns(facts=NO_FACTS), masks
        plan = self._plans[matched.kind]
        spelled = self._enricher.district.account_of_login
        frame = whose(frame, self._enricher.inventory, attribution, names=plan.names, spelled=spelled)
        frame = self._enricher.add(frame, matched.kind, plan.derived & identity_columns(matched.kind))
        again = [c.exact.alias(name) for name, c in plan.expressions.items() if c.waits and name in masks.columns]
        return frame, masks.with_columns(frame.select(again)) if again else masks


def _plan(ruleset: RuleSet, kind: EventKind, district: District) -> _Plan:
    feeds = tuple(ruleset.feeds(kind))
    expressions = {base.name: cast("Compiled", base.expression) for _, base in feeds}
    derived = derived_columns(kind).keys()
    # What waits for identity is computed when that is known, and `possible` asks for none of it before.
    matching = frozenset(c for e in expressions.values() for c in e.columns) & derived
    used: set[str] = set()
    for rule, base in feeds:
        used.update(rule.column_of(name, base.name) for name in rule.group_by)
        used.update(rule.row_columns)
        if district.calendar.duty_by_role and rule.when is not None and rule.when.named == "duty":
            used.add("person_roles")
    if kind is EventKind.MAIL and feeds:
        used.update(("recipients_internal", "recipients_outside", "email_lists"))  # evidence says how many, not who
    return _Plan(feeds, expressions, matching, frozenset(used) & derived - matching)


def _nothing(frame: pl.DataFrame, kind: EventKind) -> Matched:
    return Matched(kind, frame.clear().with_columns(row=pl.lit(0, pl.Int32)), pl.DataFrame())


def _none(frame: pl.DataFrame, column: str) -> pl.Series:
    return frame[column].is_null() if column in frame.columns else pl.Series([True] * frame.height)
