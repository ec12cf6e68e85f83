"""`aupstream rules explain`: why a rule matched, or which part of it did not."""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl

from agents.build import district_of, inventory_of, judge_of
from agents.context.district import District
from agents.context.inventory import Inventory
from agents.engine.attribution import whose
from agents.engine.chains import row_of_episode
from agents.engine.correlate import Bucket, RuleTime
from agents.engine.detect import Detector
from agents.engine.enrich import Enricher
from agents.engine.episodes import Judge
from agents.engine.identity import FactIndex, facts_of
from agents.engine.pipeline import last_versions
from agents.engine.pipeline import run as judged
from agents.engine.rows import KeyedRow, rows_of
from agents.engine.trace import Step, trace
from agents.rules.columns import derived_columns, identity_columns
from agents.rules.examples import frame_of
from agents.rules.explain import Verdict, explain
from agents.rules.model import Rule, RuleSet, part_of
from infra.cli import explaining_text
from infra.cli.configuration import choose
from infra.cli.eventlines import event_of
from infra.cli.eventlines import rows_of as events_of
from infra.cli.output import iso, json_line, line, printable
from infra.cli.records import shown
from infra.cli.rulefiles import describe, one_rule, rules_of
from infra.permits.keeping import recorded
from schemas.errors import InputError
from schemas.headers import FOREVER
from schemas.kinds import EventKind


@dataclass(frozen=True)
class Seen:
    """One event, with what became of it."""

    number: int
    kind: EventKind
    event_id: str
    timestamp: str
    late: bool
    verdicts: tuple[Verdict, ...]
    keys: Mapping[str, str | None]
    missing_keys: tuple[str, ...]


@dataclass(frozen=True)
class Explained:
    """All that is said of a rule and some events."""

    rule: Rule
    events: tuple[Seen, ...]
    steps: tuple[Step, ...]
    violations: tuple[dict[str, Any], ...]
    why_not: tuple[str, ...]

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        numbers = {e.event_id: e.number for e in self.events}
        return {
            "rule": describe(self.rule),
            "events": [
                {**asdict(e), "kind": e.kind.value, "matched": [v.base for v in e.verdicts if v.matched]}
                for e in self.events
            ],
            "window": [
                {
                    **asdict(s),
                    "t": iso(s.t),
                    "waits": None if s.waits is None else iso(s.waits),
                    "group_key": json.loads(s.group_key),
                    "event": numbers.get(s.event_id),
                    "inside": [numbers.get(i, i) for i in s.inside],
                }
                for s in self.steps
            ],
            "violations": list(self.violations),
            "why_not": list(self.why_not),
        }


def run(name: str, event: str | None, named: tuple[Path, ...], config: Path | None, *, as_json: bool) -> None:
    """Explain a rule, over events where there are any.

    Raises:
        RuleError: there is no such rule.
        InputError: an event cannot be read.
    """
    rules = rules_of(named, config)
    rule = one_rule(rules, name)
    if event is None:
        explaining_text.rule(rule, rules) if not as_json else json_line(describe(rule))
        return
    chosen = choose(config, quiet=True).config
    district = district_of(chosen.district)
    judge = judge_of(chosen.district, district, recorded(chosen.permit_log))
    made = explained(rules, rule, _events(event, rule), district, inventory_of(chosen.district), judge)
    if as_json:
        json_line(made.plain())
        return
    for text in explaining_text.story(made.rule, made.events, made.steps, made.violations, made.why_not):
        line(printable(text))


def _events(event: str, rule: Rule) -> list[tuple[EventKind, dict[str, Any]]]:
    """The events of the command line: an object, a file of them, or standard input."""
    kind = next(iter(rule.kinds)) if len(rule.kinds) == 1 else None
    if event.lstrip().startswith("{"):
        lines, where = [event], "EVENT"
    elif event == "-":
        lines, where = sys.stdin.read().splitlines(), "standard input"
    else:
        where = event
        try:
            lines = Path(event).read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            hint = "give a JSON object, a file of JSON lines, or -"
            raise InputError(f"it cannot be read: {error}", where=event, hint=hint) from error
    try:
        whole = json.loads("\n".join(lines))  # one object over several lines
    except (ValueError, RecursionError):
        whole = None
    if isinstance(whole, dict):
        first = next(number for number, text in enumerate(lines, 1) if text.strip())
        return [event_of(whole, where if where == "EVENT" else f"{where}:{first}", kind, 1)]
    found = list(events_of(lines, where, kind))
    if not found:
        raise InputError("there is no event", where=where, hint="write one JSON object a line")
    return found


def explained(
    rules: RuleSet,
    rule: Rule,
    events: Sequence[tuple[EventKind, dict[str, Any]]],
    district: District,
    inventory: Inventory,
    judge: Judge,
) -> Explained:
    """Run the engine over some events and watch it."""
    chain = _chain(rules, rule)
    family = replace(rules, rules=tuple(replace(r, silent=r.id != rule.id) for r in chain))
    frames = [(kind, frame_of(kind, [row])) for kind, row in events]
    facts = FactIndex()
    for kind, frame in frames:
        facts.add(facts_of(frame, kind))
    detector = Detector(family, district, inventory)
    seen, rows = [], list[KeyedRow]()
    for number, (kind, frame) in enumerate(frames, 1):
        found = list(rows_of(detector.detect(frame, kind, facts)))
        rows += found
        seen.append(_seen(number, kind, frame, (family, rule), found, (Enricher(district, inventory), facts)))
    earliest = min((r.row.t for r in rows), default=None)
    own = [r for r in rows if r.rule_id == rule.id] + _episodes(chain, rule, rows, judge, earliest)
    steps = trace(rule, own, district.calendar)
    records = judged(family, district, inventory, judge, _together(events))
    violations = tuple(shown(v) for v in last_versions(records) if v["rule_id"] == rule.id)
    return Explained(rule, tuple(seen), tuple(steps), violations, tuple(_why_not(rule, seen, own, steps, violations)))


def _together(events: Iterable[tuple[EventKind, dict[str, Any]]]) -> list[tuple[EventKind, pl.DataFrame]]:
    by_kind: dict[EventKind, list[dict[str, Any]]] = defaultdict(list)
    for kind, row in events:
        by_kind[kind].append(row)
    return [(kind, frame_of(kind, rows)) for kind, rows in by_kind.items()]


def _chain(rules: RuleSet, rule: Rule) -> list[Rule]:
    """The rule and all that it is built on, those first."""
    return [r for name in sorted(rule.inner) for r in _chain(rules, rules.rule(name))] + [rule]


def _episodes(
    chain: Sequence[Rule], rule: Rule, rows: Sequence[KeyedRow], judge: Judge, earliest: int | None
) -> list[KeyedRow]:
    """Rows that come from the correlations which the rule is built on: their episodes, where they open."""
    inner = {r.id: replace(r, silent=False) for r in chain if r.id != rule.id}
    if not inner:
        return []
    bucket = Bucket(inner, judge)
    records = bucket.take(r for r in rows if r.rule_id in inner)
    records += bucket.advance(dict.fromkeys(inner, RuleTime(FOREVER, earliest)))
    made = []
    for record in records:
        if record["version"] == 1 and record["rule_id"] in rule.inner:
            key = json.dumps(record["group_key"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            row = row_of_episode(inner[record["rule_id"]], rule, key, record)
            made.append(KeyedRow(rule.id, part_of(key, rule.group_by), late=False, row=row, input_row=0))
    return made


def _seen(
    number: int,
    kind: EventKind,
    frame: pl.DataFrame,
    family: tuple[RuleSet, Rule],
    found: Sequence[KeyedRow],
    context: tuple[Enricher, FactIndex],
) -> Seen:
    rules, rule = family
    enricher, facts = context
    row = frame.row(0, named=True)
    if "source_mac" in identity_columns(kind):
        spelled = enricher.district.account_of_login
        frame = whose(frame, enricher.inventory, facts, names=True, spelled=spelled)
    full = enricher.add(frame, kind, derived_columns(kind))
    feeds = [(r, base) for r, base in rules.feeds(kind) if r.id == rule.id]
    verdicts = tuple(explain(base, full) for _, base in feeds)
    keys = {
        name: full.select(enricher.key(r.column_of(name, base.name), full.columns)).item()
        for r, base in feeds
        for name in r.group_by
    }
    keyless = tuple(name for name, value in keys.items() if value is None)
    late = bool(row["late"] or row["time_suspect"])
    del found
    return Seen(number, kind, row["event_id"], iso(row["timestamp"]), late, verdicts, keys, keyless)


def _why_not(
    rule: Rule, seen: Sequence[Seen], rows: Sequence[KeyedRow], steps: Sequence[Step], violations: Sequence[object]
) -> Iterable[str]:
    """Sentences on what stood in the way, where nothing came of it or of a part of the events."""
    matching = [e for e in seen if any(v.matched for v in e.verdicts)]
    if not matching and not rule.inner:
        yield f"no event matched any of {', '.join(rule.bases)}"
    for event in matching:
        if event.missing_keys:
            yield f"event {event.number} matched and has no {', '.join(event.missing_keys)}: it goes into no window"
        elif event.late and rule.kind != "single":
            yield f"event {event.number} matched and is stamped late: it goes into no window"
        elif not any(r.row.event_id == event.event_id for r in rows):
            yield f"event {event.number} matched and has nothing to count or is outside the rule's hours"
    if violations or not steps:
        return
    yield from _short_of(rule, steps)


def _short_of(rule: Rule, steps: Sequence[Step]) -> Iterable[str]:
    """What windows lacked in which the condition never held."""
    keys = Counter(s.group_key for s in steps)
    if len(keys) > 1:
        yield "the events are of different keys, each with a window of its own: " + ", ".join(
            f"{key} has {n}" for key, n in keys.most_common()
        )
    for place, limit in enumerate(rule.thresholds):
        reached = max(s.measures[place] if s.measures else s.value for s in steps)
        if limit.gte > reached:
            yield f"{limit.name} reached {reached:g} of {limit.gte:g}"
    if rule.bases and not steps[0].measures:
        there = {s.base for s in steps}
        absent = [base for base in dict.fromkeys(rule.bases) if base not in there]
        if absent:
            yield f"no event of {', '.join(absent)}"
        else:
            yield "all of its rules matched, but never " + (
                "in their order within one window" if rule.kind != "temporal" else "within one window"
            )
    for a, b in pairwise(steps):
        if a.group_key == b.group_key and a.event_id not in b.inside:
            yield f"the row of {iso(a.t)} had left the window when that of {iso(b.t)} came"
            return
