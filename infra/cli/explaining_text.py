"""Explanations for people to read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agents.engine.trace import Step
from agents.rules.compiled import Compiled
from agents.rules.explain import Item, Selection, Verdict
from agents.rules.model import Rule, RuleSet
from infra.cli.output import cell, iso, line, printable
from infra.cli.rulefiles import held_at

if TYPE_CHECKING:
    from infra.cli.explaining import Seen

_SHOWN = 200  # characters of a value


def rule(of: Rule, rules: RuleSet) -> None:
    """Print what a rule says, without any event."""
    line(printable(f"{of.id}: {of.title}"))
    line(
        printable(
            f"  {held_at(of)}, per {', '.join(of.group_by) or 'nothing'}; events of {', '.join(sorted(of.kinds))}"
        )
    )
    for base in dict.fromkeys(of.bases):
        if base in of.inner:
            line(f"  {base}: an episode of that rule")
            continue
        compiled = rules.detection(base).expression
        assert isinstance(compiled, Compiled)
        assert compiled.sigma is not None
        said = " or ".join(c.condition for c in compiled.sigma.detection.parsed_condition)
        line(printable(f"  {base}: {said}"))
        line(printable(f"    reads {', '.join(sorted(compiled.columns))}"))


def story(
    of: Rule, events: Sequence[Seen], steps: Sequence[Step], violations: Sequence[Mapping[str, Any]], why: Sequence[str]
) -> Iterator[str]:
    """Lines that tell what became of events."""
    yield f"{of.id}: {of.title}"
    for event in events:
        yield f"event {event.number}, {event.kind.value}, {event.timestamp}" + (", stamped late" if event.late else "")
        if not event.verdicts:
            yield "  the rule does not read events of this kind"
        for verdict in event.verdicts:
            yield from _verdict(verdict)
        key = ", ".join(f"{k}={'(missing)' if v is None else v}" for k, v in event.keys.items())
        if key and any(v.matched for v in event.verdicts):
            yield f"  key: {key}"
    numbers = {e.event_id: e.number for e in events}
    if steps:
        yield "the window after each matched event:"
    yield from (_step(of, step, numbers) for step in steps)
    for v in violations:
        key = ", ".join(f"{k}={x}" for k, x in v["group_key"].items())
        yield f"{v['status']} {v['id'][:12]} of {key}: {v['count']} events, {v['first_seen']} to {v['last_seen']}"
    if not violations:
        yield "nothing came of it"
    for sentence in why:
        yield f"  {sentence}"


def _verdict(verdict: Verdict) -> Iterator[str]:
    yield f"  {verdict.base}: " + ("matches" if verdict.matched else "does not match")
    if not verdict.routed:
        yield "    its log format is none that the rule's logsource means"
    decided = ", ".join(f"{name} is {str(value).lower()}" for name, value in verdict.decided)
    yield f"    {' or '.join(verdict.conditions)}: decided by {decided}"
    for selection in verdict.selections:
        yield from _selection(selection)
    if verdict.missing:
        yield f"    the event does not say: {', '.join(verdict.missing)}"


def _selection(selection: Selection) -> Iterator[str]:
    yield f"    {selection.name}: {'true' if selection.matched else 'false'}"
    for items in selection.alternatives:
        yield from (_item(item) for item in items)


def _item(item: Item) -> str:
    mark = "yes" if item.matched else "no "
    if not item.column:
        return f"      {mark} any text: wanted {item.wanted}"
    saw = "nothing" if item.missing else cell(item.seen)[:_SHOWN]
    return f"      {mark} {item.column}: wanted {item.wanted}, saw {saw}"


def _step(of: Rule, step: Step, numbers: Mapping[str, int]) -> str:
    inside = ", ".join(str(numbers.get(i, i[:12])) for i in step.inside)
    measures = ", ".join(
        f"{limit.name} {measure:g}" + (f" of {limit.gte:g}" if limit.gte > float("-inf") else "")
        for limit, measure in zip(of.thresholds, step.measures, strict=False)
    )
    key = ", ".join(f"{k}={v}" for k, v in json.loads(step.group_key).items())
    holds = "holds" if step.holds else "does not hold"
    if step.waits is not None:
        again = " and ".join(word for word, wait in (("suppress", of.suppress_us), ("rearm", of.rearm_us)) if wait)
        holds += f", but after the episode before ({again}) none opens until {iso(step.waits)}"
    return f"  {iso(step.t)} {key} {step.base}: inside [{inside}] {measures or f'{step.value:g}'}, {holds}"
