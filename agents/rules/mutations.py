"""Are a rule's examples any good? Each of its parts is taken out or moved by one, and some example must notice."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sigma.conditions import ConditionIdentifier, ConditionItem, ConditionNOT

from agents.rules.compiled import Compiled
from agents.rules.correlations import references
from agents.rules.examples import Runner, run_examples
from agents.rules.explain import condition_trees, parts_of, takes_every
from agents.rules.loader import parse_rules
from agents.rules.model import Rule, RuleSet
from agents.rules.positions import Document
from schemas.errors import AupstreamError

Documents = Mapping[str, Document]
_EVERYTHING, _NOTHING = {"event_id|exists": True}, {"event_id|exists": False}
_SPAN = re.compile(r"(\d+)([smhdwMy])")


@dataclass(frozen=True, slots=True)
class Mutation:
    """One change of a rule.

    Attributes:
        rule_id: The rule.
        where: file:line of the document that was changed.
        what: In words.
        noticed: True where an example did not pass any more; None where the changed rule is none.
    """

    rule_id: str
    where: str
    what: str
    noticed: bool | None


def mutations(rules: RuleSet, rule: Rule, documents: Sequence[Document], runner: Runner) -> list[Mutation]:
    """Try every change of a rule that has examples, and whose examples pass as it stands.

    Args:
        rules: The rules.
        rule: One of them.
        documents: What they were read from.
        runner: See `agents.rules.examples`.
    """
    by_name = {n: d for d in documents for n in (d.data.get("name"), d.data.get("id")) if isinstance(n, str)}
    family = _family(rule.id, by_name)
    if not rule.examples or not family or _notices(rule, family, runner) is not False:
        return []
    made = []
    for i, document in enumerate(family):
        for what, data in _changes(document, rules):
            changed = [*family[:i], _with(document, data), *family[i + 1 :]]
            made.append(Mutation(rule.id, document.where(), what, _notices(rule, changed, runner)))
    return made


def _family(name: str, by_name: Documents) -> list[Document]:
    """Documents of a rule and of all that it refers to."""
    found: dict[int, Document] = {}

    def visit(one: str) -> None:
        document = by_name.get(one)
        if document is None or id(document) in found:
            return
        found[id(document)] = document
        part = document.data.get("correlation")
        for inner in references(part) if isinstance(part, dict) else ():
            visit(inner)

    visit(name)
    return list(found.values())


def _with(document: Document, data: dict[str, Any]) -> Document:
    return replace(document, data=data)


def _notices(rule: Rule, family: Sequence[Document], runner: Runner) -> bool | None:
    """True where an example fails; None where the documents make no such rule."""
    text = "\n---\n".join(json.dumps(d.data, default=str) for d in family)
    try:
        made = parse_rules(text)
        mine = replace(made.rule(rule.id), examples=rule.examples)
    except (AupstreamError, KeyError):
        return None
    others = tuple(replace(r, examples=()) for r in made.rules if r.id != rule.id)
    return any(not r.passed for r in run_examples(replace(made, rules=(mine, *others)), runner))


def _changes(document: Document, rules: RuleSet) -> Iterator[tuple[str, dict[str, Any]]]:
    if "detection" in document.data:
        yield from _of_detection(document, rules)
    elif "correlation" in document.data:
        yield from _of_correlation(document)


def _of_detection(document: Document, rules: RuleSet) -> Iterator[tuple[str, dict[str, Any]]]:
    name = str(document.data.get("name") or document.data.get("id"))
    compiled = rules.detection(name).expression
    if not isinstance(compiled, Compiled) or compiled.sigma is None:
        return
    neutral: dict[str, bool] = {}
    for tree in condition_trees(compiled.sigma):
        neutral.update(_neutral(tree, compiled.sigma, wanted=True))
    for selection, definition in document.data["detection"].items():
        if selection == "condition":
            continue
        if selection in neutral:
            gone = _EVERYTHING if neutral[selection] else _NOTHING
            yield f"{name} without {selection}", _put(document, ("detection", selection), gone)
        for what, smaller in _smaller(definition):
            yield f"{name}: {selection} without {what}", _put(document, ("detection", selection), smaller)


def _smaller(definition: Any) -> Iterator[tuple[str, Any]]:
    """A selection without one of its fields, or one of its alternatives."""
    if isinstance(definition, dict):
        if len(definition) > 1:
            for key in definition:
                yield str(key), {k: v for k, v in definition.items() if k != key}
        for key, values in definition.items():
            if isinstance(values, list) and 1 < len(values) <= 50:
                for i, value in enumerate(values):
                    yield f"{key}: {value}", {**definition, key: values[:i] + values[i + 1 :]}
    elif isinstance(definition, list) and len(definition) > 1:
        for i, one in enumerate(definition):
            yield f"{one}"[:80], definition[:i] + definition[i + 1 :]


def _neutral(tree: Any, sigma: Any, *, wanted: bool) -> dict[str, bool]:
    """What each selection must say for the condition to be as if it were not there."""
    if isinstance(tree, ConditionIdentifier):
        return {tree.identifier: wanted}
    if isinstance(tree, ConditionNOT):
        return _neutral(parts_of(tree, sigma)[0], sigma, wanted=not wanted)
    parts = parts_of(tree, sigma)
    if len(parts) > 1 or not isinstance(tree, ConditionItem):
        wanted = takes_every(tree)
    return {name: value for part in parts for name, value in _neutral(part, sigma, wanted=wanted).items()}


def _of_correlation(document: Document) -> Iterator[tuple[str, dict[str, Any]]]:
    part = document.data["correlation"]
    own = document.data.get("aupstream") or {}
    condition = part.get("condition")
    if isinstance(condition, dict) and "thresholds" not in own:
        for key in ("gte", "gt", "lte", "lt", "eq"):
            value = condition.get(key)
            if isinstance(value, int | float) and not isinstance(value, bool):
                for step in (1, -1):
                    yield f"{key}: {value + step}", _put(document, ("correlation", "condition", key), value + step)
    counts = own.get("counts")
    if isinstance(counts, list):
        for i, number in enumerate(counts):
            for step in (1, -1):
                if number + step >= 1:
                    changed = [*counts[:i], number + step, *counts[i + 1 :]]
                    yield f"counts: {changed}", _put(document, ("aupstream", "counts"), changed)
    found = _SPAN.fullmatch(str(part.get("timespan", "")))
    if found is not None and own.get("kind") != "new_value":  # which has no window
        wide = f"{int(found[1]) * 2}{found[2]}"
        yield f"timespan: {wide}", _put(document, ("correlation", "timespan"), wide)
    groups = part.get("group-by")
    if isinstance(groups, list) and len(groups) > 1:
        for i, name in enumerate(groups):
            without = groups[:i] + groups[i + 1 :]
            yield f"group-by without {name}", _put(document, ("correlation", "group-by"), without)


def _put(document: Document, path: Sequence[str], value: Any) -> dict[str, Any]:
    """The document's content with one part replaced."""
    made: dict[str, Any] = copy.deepcopy(dict(document.data))
    inside: Any = made
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return made
