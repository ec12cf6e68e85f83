"""The past judged again: events of ClickHouse, by the rules and the context files that were in force at their time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import polars as pl

from agents.build import district_of, inventory_of
from agents.delivery.rulebook import Announced, Period, read_bundle
from agents.engine.episodes import Judge, Records
from agents.engine.pipeline import Pipeline, last_versions
from agents.rules.bundle import RuleSources
from agents.rules.model import RuleSet
from infra.cli.eventsources import EventTables
from infra.cli.output import Bar
from infra.config import Config
from infra.rejudge.comparing import Outcome, Scope, compare
from infra.rejudge.corrections import Correction, read
from infra.rejudge.past import Past
from infra.rejudge.permits import PermitsThen
from infra.rejudge.standing import standing
from infra.run.announcing import periods, registry
from infra.run.paths import DataPaths
from schemas.headers import FOREVER
from schemas.kinds import EventKind
from schemas.records import decode_record, encode_record


def rules_of(kafka: str, config: Config) -> Announced:
    """The rules that were in force, one after the other."""
    rules = config.rules
    return Announced(
        partial(periods, kafka),
        partial(read_bundle, kafka),
        DataPaths(config.data.absolute()).rejudge,
        RuleSources(rules.paths, rules.beside, rules.shadow),
    )


def parts(scope: Scope, known: Sequence[Period]) -> list[tuple[Scope, str]]:
    """A scope cut where rules were changed, each part with the version of the rules that judged it.

    Args:
        scope: What is to be judged again.
        known: All that were in force, oldest first; the first one from the beginning.
    """
    ends = [*(period.start for period in known[1:]), FOREVER]
    return [
        (replace(scope, start=max(scope.start, period.start), end=min(scope.end, end)), period.version)
        for period, end in zip(known, ends, strict=True)
        if period.start < scope.end and scope.start < end
    ]


def past_of(config: Config, more: Sequence[Correction] = ()) -> Past:
    """The context of each event time, as this machine kept it and as it was corrected since.

    Args:
        config: Names the files as they are now.
        more: Corrections that are not written down.

    Raises:
        AupstreamError: the files of now are wrong, or corrections cannot be read.
    """
    folder = DataPaths(config.data.absolute()).context
    return Past(config.district, district_of(config.district), folder, [*read(folder), *more])


def judge_again(kafka: str, events: EventTables, scope: Scope, ruleset: RuleSet, past: Past, bar: Bar) -> Outcome:
    """What is different now.

    All events up to now are read, since a rule may remember from the beginning.

    Args:
        kafka: Where violations stand.
        events: Where events are.
        scope: What is judged.
        ruleset: The rules that judged it.
        past: What was in force when.
        bar: Told of rows that were read.

    Raises:
        AupstreamError: a server does not answer, or something of the configuration is wrong.
    """
    # Those told to everybody, and not this machine's: on another one others are entered.
    judge = Judge(PermitsThen(past, registry(kafka).permits), past.settings.policy)
    inventory = inventory_of(past.settings)
    pipeline = Pipeline(ruleset, past.district, inventory, judge, settled=True, then=past)
    known = {rule.id for rule in ruleset.rules}
    stored = [r for r in standing(kafka) if r["rule_id"] in known]
    rests_on = pl.Series([e["event_id"] for r in stored for e in r["evidence"]], dtype=pl.String).unique()
    there: set[str] = set()
    for kind, frame in events.frames(bar):
        there.update(frame["event_id"].filter(frame["event_id"].is_in(rests_on.implode())))
        pipeline.take(kind, frame)
    judged: Records = [decode_record(encode_record("violation", r))[1] for r in last_versions(pipeline.finish())]
    covered = _covered(ruleset, stored, pipeline.reaches())
    return compare(stored, judged, scope, covered=covered, there=there.__contains__)


def _covered(ruleset: RuleSet, stored: Records, newest: dict[EventKind, int]) -> Callable[[str], int]:
    """How far events of a rule's kinds are known: up to the newest one, or to where a rule over them has ended."""
    kinds = {rule.id: rule.kinds for rule in ruleset.rules}
    for record in stored:
        for kind in kinds[record["rule_id"]] if record["closed_at"] is not None and not record["timeline"] else ():
            newest[kind] = max(newest.get(kind, 0), record["closed_at"])
    return lambda rule: min((newest[kind] for kind in kinds[rule] if kind in newest), default=0)
