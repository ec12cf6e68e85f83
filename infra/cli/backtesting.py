"""`aupstream backtest`: logs through the collectors' own road into the engine, in one process."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import typer

from agents.build import district_of, inventory_of, judge_of
from agents.engine.episodes import Records
from agents.engine.pipeline import Pipeline, last_versions
from agents.privacy.columns import Names
from agents.privacy.keys import ensure
from agents.privacy.pseudonyms import Pseudonymiser
from agents.privacy.records import violation
from agents.rules.loader import POLICY_FOLDER, load_rules
from agents.rules.model import RuleSet
from agents.rules.reading import Beside
from agents.rules.shadow import in_shadow
from agents.settings import DistrictSettings
from infra.cli.comparing import differences, show_differences
from infra.cli.configuration import Chosen, choose
from infra.cli.eventsources import EventFile, EventSource, EventTables, event_sources, is_events
from infra.cli.failures import FINDINGS
from infra.cli.naming import Wishes, check_files, named
from infra.cli.output import Advance, file_size, progress, talk, warn
from infra.cli.reading import need_stdin, zone_of
from infra.cli.records import has_violation, show, shown
from infra.cli.rulefiles import not_empty
from infra.coverage.measured import Measured
from infra.permits.keeping import recorded
from schemas.errors import ConfigError, InputError
from schemas.kinds import DEAD_LETTERS, LEDGER, EventKind
from streams.config import SourceConfig
from streams.road import Delivered, deliveries
from streams.sources.abstract import Source
from streams.sources.file_once import FileOnce
from streams.sources.make import content_settings, make_source

_KINDS = {kind.topic: kind for kind in EventKind}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says; see the command's options."""

    sources: tuple[str, ...]
    config: Path | None
    rules: tuple[Path, ...]
    inventory: Path | None
    permits: Path | None
    timezone: str | None
    year: int | None
    against: tuple[Path, ...] = ()
    start: str | None = None
    end: str | None = None
    pseudonyms: bool = False


def run(asked: Asked, *, fail: bool, fail_on_difference: bool = False) -> None:
    """Judge logs or events and print the violations, or how those of two rule sets differ.

    Raises:
        ConfigError: options, configuration or context files are wrong.
        RuleError: rules are.
        InputError: a log is missing, unreadable or damaged; of a damaged one everything before is judged and printed.
        ServerError: a server that events are read from does not answer.
    """
    chosen = choose(asked.config)
    if fail_on_difference and not asked.against:
        hint = "name the other rules with --against"
        raise ConfigError("--fail-on-difference compares with nothing", where="backtest", hint=hint)
    rules = _rules(chosen, asked.rules)
    pipelines = [_pipeline(chosen, asked, rules)]
    if asked.against:
        pipelines.append(_pipeline(chosen, asked, _rules(chosen, asked.against)))
    events = event_sources([s for s in asked.sources if is_events(s)], chosen, asked.start, asked.end)
    sources = _sources(chosen, asked) if len(events) < len(asked.sources) or not events else []
    check_files(sources)
    for source in events:
        source.check()
    measured = Measured(rules)
    reading = Reading(sources, events, measured)
    found = [last_versions(records) for records in reading.judge(pipelines)]
    if asked.pseudonyms or chosen.config.privacy.pseudonyms or _unsealed(events):
        names = _names(chosen, asked)
        found = [[violation(names, v) for v in records] for records in found]
    made = [[shown(v) for v in records] for records in found]
    violations = made[0]
    changes = list(differences(before=made[1], after=violations)) if asked.against else []
    if asked.against:
        show_differences(changes)
    else:
        show(violations, as_json=False)
    reading.sum_up()
    _sum_up(violations, measured)
    _left_out(pipelines[0])
    if reading.damage:
        raise reading.damage[0]
    if (fail and has_violation(violations)) or (fail_on_difference and changes):
        raise typer.Exit(FINDINGS)


def _rules(chosen: Chosen, named_rules: tuple[Path, ...]) -> RuleSet:
    paths = named_rules or chosen.config.rules.paths or (POLICY_FOLDER,)
    beside = chosen.config.rules.beside
    beside = Beside(pipelines=beside.pipelines) if named_rules else beside
    shadow = () if named_rules else chosen.config.rules.shadow
    return in_shadow(not_empty(load_rules(paths, beside), paths), shadow)


def _pipeline(chosen: Chosen, asked: Asked, rules: RuleSet) -> Pipeline:
    district = _district(chosen, asked)
    made = district_of(district)
    judge = judge_of(district, made, recorded(chosen.config.permit_log))
    return Pipeline(rules, made, inventory_of(district), judge)


def _district(chosen: Chosen, asked: Asked) -> DistrictSettings:
    given = {k: v for k, v in (("inventory", asked.inventory), ("permits", asked.permits)) if v is not None}
    return chosen.config.district.model_copy(update=given)


def _unsealed(events: Sequence[EventSource]) -> bool:
    """Whether events had pseudonyms in them: what was sealed is not printed open."""
    return any(isinstance(e, EventTables) and e.unsealer.used for e in events)


def _names(chosen: Chosen, asked: Asked) -> Names:
    """Pseudonyms under the configuration's newest key, which is made where there is none. Raises `ConfigError`."""
    keyring = ensure(chosen.config.privacy.keys(chosen.config.data))
    return Names(Pseudonymiser(keyring), district_of(_district(chosen, asked)))


def _sources(chosen: Chosen, asked: Asked) -> list[SourceConfig]:
    configured = chosen.config.collectors()
    wishes = Wishes(zone_of(asked.timezone) if asked.timezone else None, asked.year, chosen.config.formats)
    logs = [s for s in asked.sources if not is_events(s)]
    if logs:
        return named(logs, configured, ZoneInfo(chosen.config.district.timezone), wishes)
    if not configured:
        hint = "name some, e.g. postfix:/var/log/mail.log, or a configuration that has [[sources]]"
        raise ConfigError("there is no log to read", where="backtest", hint=hint)
    if asked.timezone or asked.year is not None:
        hint = "write timezone and year into the configuration's [[sources]]"
        raise ConfigError("--timezone and --year are for logs named on the command line", where="backtest", hint=hint)
    return configured


@dataclass
class _Count:
    """What was read of a source, from the ledger's records."""

    chunks: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    ignored: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def total(self, name: str) -> int:
        return sum(int(chunk[name]) for chunk in self.chunks.values())


class Reading:
    """Logs and events being read.

    Args:
        sources: Logs.
        events: Events that are there already.
        measured: Is told of all events, too.
    """

    def __init__(self, sources: Sequence[SourceConfig], events: Sequence[EventSource], measured: Measured) -> None:
        self.damage: list[InputError] = []
        self._sources, self._events, self._measured = sources, events, measured
        self._read: Counter[str] = Counter()
        self._ids: set[int] = set()
        self._repeats = 0
        self._opened: list[Source] = []
        self._counts: dict[str, _Count] = defaultdict(_Count)

    def judge(self, pipelines: Sequence[Pipeline]) -> list[Records]:
        """Read everything once and judge it by each."""
        now = datetime.now(UTC)
        total = file_size(Path(s.path) for s in self._sources if s.path != "-")
        with progress("reading", total) as advance:
            road = deliveries(
                self._sources, now_us=time.time_ns() // 1000, today=now.date(), make=lambda s: self._open(s, advance)
            )
            for delivered in road:
                self._take(delivered, pipelines)
        for source in self._events:
            with progress(f"reading {source.name}", None, size=isinstance(source, EventFile)) as bar:
                for kind, frame in source.frames(bar):
                    new = self._new(frame)
                    self._read[source.name] += new.height
                    self._repeats += frame.height - new.height
                    self._measured.take(kind, new)
                    for pipeline in pipelines:
                        pipeline.take(kind, new)
        self.damage = [s.damage for s in self._opened if s.damage is not None]
        return [pipeline.finish() for pipeline in pipelines]

    def _new(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Events that were not read before: exports overlap, and an id names one event."""
        ids = frame["event_id"].hash(0).to_list()  # of 64 bits: of ten million one in a million runs has two alike
        mask = []
        for one in ids:
            mask.append(one not in self._ids)
            self._ids.add(one)
        return frame if all(mask) else frame.filter(pl.Series(mask, dtype=pl.Boolean))

    def _open(self, config: SourceConfig, advance: Advance) -> Source:
        if config.path == "-":  # waits for the pipe: nothing else is to be done meanwhile
            need_stdin()
            source: Source = FileOnce(Path(f"/dev/fd/{sys.stdin.fileno()}"), content_settings(config))
        else:
            source = make_source(config, progress=advance)
        self._opened.append(source)
        return source

    def _take(self, delivered: Delivered, pipelines: Sequence[Pipeline]) -> None:
        headers, frame, message = delivered
        if message.topic == LEDGER:
            record = json.loads(message.value)
            count = self._counts[record["source"]]
            count.chunks[record["generation"], record["chunk"]] = record
        elif headers is not None and frame is not None:
            if message.topic == DEAD_LETTERS:
                self._counts[headers.source].reasons.update(frame["reason"].to_list())
            else:
                self._measured.take(_KINDS[message.topic], frame)
                for pipeline in pipelines:
                    pipeline.take(_KINDS[message.topic], frame, earliest=headers.earliest)

    def sum_up(self) -> None:
        """Say what was read, on standard error."""
        for name, events in self._read.items():
            talk(f"{name}: {events} events")
        if self._repeats:
            talk(f"{self._repeats} events were there before, under the same id: left out")
        for log in self._sources:
            count = self._counts[log.name]
            for chunk in count.chunks.values():
                count.ignored.update(chunk["ignored"])
            lines = count.total("lines")
            said = f"{log.name}: {lines} lines, {count.total('events')} events of {count.total('in_events')} lines"
            talk(f"{said}, {count.ignored.total()} ignored, {count.total('dead_letters')} dead letters")
            if count.reasons:
                talk("  dead letters: " + ", ".join(f"{n} {reason}" for reason, n in count.reasons.most_common()))
            if lines and not count.total("events"):
                warn(f"{log.name}: not one event; is it a log of type {log.type}?")


def _sum_up(violations: Sequence[dict[str, object]], measured: Measured) -> None:
    by_rule = Counter((str(v["rule_id"]), str(v["status"])) for v in violations)
    talk(f"{len(violations)} found" + (":" if violations else ""))
    for (rule, status), number in sorted(by_rule.items()):
        talk(f"  {number} {rule}: {status}")
    blind: dict[str, list[str]] = {}
    for rule, lacks in measured.blind_spots().items():
        for text in lacks:
            blind.setdefault(text, []).append(rule)
    for text, some in blind.items():
        talk(f"not to be seen there: {', '.join(some)}; {text}")


def _left_out(pipeline: Pipeline) -> None:
    counted = pipeline.counters
    if counted.missing_key:
        warn(f"{counted.missing_key} matching events have no value of what their rule is grouped by: left out")
    if counted.missing_value:
        warn(f"{counted.missing_value} matching events have no value of what their rule counts: left out")
