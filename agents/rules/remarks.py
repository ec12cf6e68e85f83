"""What is no mistake in a rule and still deserves a look: warnings, and notes on what a rule waits for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from math import ceil, floor
from typing import Any

import polars as pl
from sigma.conditions import ConditionAND, ConditionFieldEqualsValueExpression, ConditionNOT, ConditionOR
from sigma.types import SigmaBool, SigmaNull, SigmaNumber, SigmaString

from agents.engine.window_sessions import MAX_SESSIONS
from agents.engine.windows import MAX_ROWS, MAX_VALUES
from agents.rules.columns import column_types, derived_columns, identity_columns
from agents.rules.compiled import Compiled, condition_parts
from agents.rules.conditions import MAX_COUNT
from agents.rules.explain import condition_trees, named_in
from agents.rules.model import Detection, Rule, RuleSet
from agents.rules.positions import Document, by_place
from schemas.errors import RuleError
from schemas.kinds import EventKind
from schemas.registry import polars_schema


def warnings(rules: RuleSet, documents: Sequence[Document]) -> list[RuleError]:
    """Everything that works and is probably not meant.

    Args:
        rules: Rules without mistakes.
        documents: What they were read from.
    """
    by_name = {name: d for d in documents for name in (d.data.get("name"), d.data.get("id")) if isinstance(name, str)}
    made = [w for d in rules.detections if d.name in by_name for w in _of_detection(d, by_name[d.name])]
    for rule in rules.rules:
        if rule.id in by_name and not rule.examples and not rule.silent:
            hint = "add some under `aupstream: examples:`, one that must not make a violation among them"
            made.append(by_name[rule.id].error("the rule has no example", "title", hint=hint, key=True))
        if rule.id in by_name and (what := _out_of_reach(rule)):
            made.append(by_name[rule.id].error(what, "correlation", "condition", hint="it will never find anything"))
    return sorted(made, key=by_place)


def _out_of_reach(rule: Rule) -> str:
    """Why a rule can never hold; empty where nothing is seen that stands in the way."""
    if rule.lasting_us and rule.window != "session" and rule.lasting_us >= rule.timespan_us:
        return "no window lasts as long as `lasting` asks for"
    if rule.kind not in ("event_count", "value_count", "concurrent"):
        return ""
    most = MAX_SESSIONS if rule.kind == "concurrent" else MAX_VALUES if rule.kind == "value_count" else MAX_ROWS
    most = MAX_COUNT if rule.own is not None and rule.kind == "event_count" else most  # a period keeps no rows
    for limit in rule.thresholds:
        # Windows with nothing inside are not judged, and what is counted is whole.
        low, high = ceil(max(limit.gte, 1)), floor(min(limit.lte, most))
        if low < high or (low == high and low != limit.neq):
            return ""
    if all(limit.gte > most for limit in rule.thresholds):
        return f"a window keeps {most} at most"
    return "no number of rows fits the condition"


def notes(rules: RuleSet) -> list[str]:
    """What rules wait for."""
    made = []
    for rule in rules.rules:
        waits = sorted(
            {
                column
                for name in rule.bases
                if name not in rule.inner
                for base in [rules.detection(name)]
                for column in (
                    *_columns(base),
                    *(rule.column_of(n, name) for n in rule.group_by),
                    *rule.value_columns,
                )
                if column in identity_columns(base.kind)
            }
        )
        if waits:
            made.append(f"{rule.id} waits until it is known whose device an address was, for {', '.join(waits)}")
    return made


def _columns(base: Detection) -> frozenset[str]:
    return base.expression.columns if isinstance(base.expression, Compiled) else frozenset()


def _of_detection(detection: Detection, document: Document) -> Iterator[RuleError]:
    compiled = detection.expression
    if not isinstance(compiled, Compiled) or compiled.sigma is None:
        return
    sigma = compiled.sigma
    trees = condition_trees(sigma)
    used = {name for tree in trees for name in named_in(tree, sigma)}
    for name in sigma.detection.detections:
        if name not in used:
            hint = "name it in the condition, or remove it"
            yield document.error(f"selection {name!r} is never used", "detection", name, hint=hint, key=True)
    parsed = [tree for c in sigma.detection.parsed_condition if (tree := c.parsed) is not None]
    if all(_never(tree, detection.kind) for tree in parsed):
        hint = "two of its parts exclude each other"
        yield document.error("the condition can never hold", "detection", "condition", hint=hint)
    elif _says_nothing(compiled, detection.kind):
        hint = "it is made of `not` and null alone; add what it looks for"
        what = "the condition holds of an event that says nothing"
        yield document.error(what, "detection", "condition", hint=hint)


def _says_nothing(compiled: Compiled, kind: EventKind) -> bool:
    """True where the condition holds of an event in which every column is missing."""
    schema = dict(polars_schema(kind.value))
    empty = pl.DataFrame({n: [None] for n in schema}, schema=schema)
    computed = {n: pl.lit(None, _dtype(kind, n)) for n in derived_columns(kind) if n in compiled.columns}
    return bool(empty.with_columns(**computed).select(compiled.exact).item())


def _dtype(kind: EventKind, column: str) -> Any:
    types = {"text": pl.String, "number": pl.Int64, "true or false": pl.Boolean, "bool": pl.Boolean}
    return types.get(column_types(kind)[column].value, pl.List(pl.String))


def _never(tree: Any, kind: EventKind) -> bool:
    """True where a condition asks one column to be two things at once; what cannot be seen so easily is false."""
    if isinstance(tree, ConditionOR):
        return all(_never(part, kind) for part in condition_parts(tree))
    if not isinstance(tree, ConditionAND):
        return False
    parts = list(_conjuncts(tree))
    refused = [condition_parts(p)[0] for p in parts if isinstance(p, ConditionNOT)]
    if any(_never(p, kind) for p in parts) or any(all(q in parts for q in _conjuncts(r)) for r in refused):
        return True
    allowed: dict[str, list[set[object]]] = {}
    for part in parts:
        one = _values(part)
        if one is not None and column_types(kind)[one[0]].element is None:
            allowed.setdefault(one[0], []).append(one[1])
    return any(not reduce(set.intersection, sets) for sets in allowed.values())


def _conjuncts(tree: Any) -> Iterator[Any]:
    if isinstance(tree, ConditionAND):
        for part in condition_parts(tree):
            yield from _conjuncts(part)
    else:
        yield tree


def _values(tree: Any) -> tuple[str, set[object]] | None:
    """The column and the plain values that it must have one of; None for what is no such thing."""
    if isinstance(tree, ConditionOR):
        found = [_values(part) for part in condition_parts(tree)]
        if any(f is None for f in found) or len({f[0] for f in found if f}) != 1:
            return None
        return next(f[0] for f in found if f), {v for f in found if f for v in f[1]}
    if not isinstance(tree, ConditionFieldEqualsValueExpression):
        return None
    value = tree.value
    if isinstance(value, SigmaString) and all(isinstance(p, str) for p in value.s):
        return tree.field, {"".join(map(str, value.s)).lower()}
    if isinstance(value, SigmaNumber):
        return tree.field, {str(value.number)}
    if isinstance(value, SigmaBool):
        return tree.field, {str(value.boolean).lower()}
    return (tree.field, {None}) if isinstance(value, SigmaNull) else None
