"""The past judged again: events of ClickHouse, by the context of now and the rules that were in force."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from agents.build import district_of, inventory_of, judge_of
from agents.delivery.rulebook import Announced, Period, read_bundle
from agents.engine.episodes import Records
from agents.engine.pipeline import Pipeline, last_versions
from agents.rules.bundle import RuleSources
from agents.rules.model import RuleSet
from infra.cli.eventsources import EventTables
from infra.cli.output import Bar
from infra.config import Config
from infra.rejudge.comparing import Outcome, Scope, compare
from infra.rejudge.standing import standing
from infra.run.announcing import periods, registry, shown
from schemas.errors import ConfigError
from schemas.kinds import EventKind
from schemas.records import decode_record, encode_record


def rules_in_force(kafka: str, config: Config, scope: Scope) -> RuleSet:
    """The rules that judged the time of a scope.

    Raises:
        ConfigError: there were several, one after the other.
        AupstreamError: they cannot be read.
    """
    rules = config.rules
    announced = Announced(
        partial(periods, kafka),
        partial(read_bundle, kafka),
        Path(config.data.absolute()) / "rejudge",
        RuleSources(rules.paths, rules.beside, rules.shadow),
    )
    known = announced.periods()
    there = [p for i, p in enumerate(known) if p.start < scope.end and scope.start < _end(known, i)]
    if len(there) > 1:
        raise ConfigError(
            f"rules were changed at {shown(there[1].start)}",
            where="rejudge",
            hint="judge again up to then and from then on, one after the other",
        )
    return announced.ruleset(there[-1].version if there else known[-1].version)


def _end(known: Sequence[Period], number: int) -> int:
    return known[number + 1].start if number + 1 < len(known) else 2**62


def judge_again(kafka: str, config: Config, events: EventTables, scope: Scope, bar: Bar) -> Outcome:
    """What is different now.

    All events up to now are read, since a rule may remember from the beginning.

    Args:
        kafka: Where violations stand.
        config: Context and rules.
        events: Where events are.
        scope: What is judged.
        bar: Told of rows that were read.

    Raises:
        AupstreamError: a server does not answer, or something of the configuration is wrong.
    """
    ruleset = rules_in_force(kafka, config, scope)
    district = district_of(config.district)
    # Those told to everybody, and not this machine's: on another one others are entered.
    permits = registry(kafka).permits
    judge = judge_of(config.district, district, lambda: permits)
    pipeline = Pipeline(ruleset, district, inventory_of(config.district), judge, settled=True)
    for kind, frame in events.frames(bar):
        pipeline.take(kind, frame)
    judged: Records = [decode_record(encode_record("violation", r))[1] for r in last_versions(pipeline.finish())]
    known = {rule.id for rule in ruleset.rules}
    stored = [r for r in standing(kafka) if r["rule_id"] in known]
    return compare(stored, judged, scope, covered=_covered(ruleset, stored, pipeline.reaches()))


def _covered(ruleset: RuleSet, stored: Records, newest: dict[EventKind, int]) -> Callable[[str], int]:
    """How far events of a rule's kinds are known: up to the newest one, or to where a rule over them has ended."""
    kinds = {rule.id: rule.kinds for rule in ruleset.rules}
    for record in stored:
        for kind in kinds[record["rule_id"]] if record["closed_at"] is not None and not record["timeline"] else ():
            newest[kind] = max(newest.get(kind, 0), record["closed_at"])
    return lambda rule: min((newest[kind] for kind in kinds[rule] if kind in newest), default=0)
