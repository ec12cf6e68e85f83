"""Why a detection matched an event, or which part of it did not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl
from sigma.conditions import ConditionAND, ConditionIdentifier, ConditionItem, ConditionNOT, ConditionSelector
from sigma.modifiers import SigmaAllModifier, modifier_mapping
from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaRule

from agents.rules.compiled import Compiled, Compiler
from agents.rules.model import Detection

_WORDS = {modifier: word for word, modifier in reversed(modifier_mapping.items())}  # as the specification has them


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a selection.

    Attributes:
        column: Column it looks at; empty for keywords.
        wanted: Modifiers and values, as the rule has them.
        matched: True where it holds.
        seen: What the event has there; None: nothing.
    """

    column: str
    wanted: str
    matched: bool
    seen: Any

    @property
    def missing(self) -> bool:
        """True where the event says nothing there."""
        return bool(self.column) and (self.seen is None or self.seen == [])


@dataclass(frozen=True, slots=True)
class Selection:
    """One selection of a detection: its parts, of which all of one list must hold (`any_of` lists are alternatives)."""

    name: str
    matched: bool
    alternatives: tuple[tuple[Item, ...], ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one event in one detection.

    Attributes:
        base: Name of the detection.
        matched: True where it matches.
        routed: False where the event is of a log format that the rule's `logsource` does not mean.
        conditions: As the rule has them.
        decided: Names of the selections that decided, with what they said: enough to see why.
        selections: All of them.
        missing: Columns that the detection reads and the event does not have.
    """

    base: str
    matched: bool
    routed: bool
    conditions: tuple[str, ...]
    decided: tuple[tuple[str, bool], ...]
    selections: tuple[Selection, ...]
    missing: tuple[str, ...] = field(default=())


def explain(detection: Detection, event: pl.DataFrame) -> Verdict:
    """Explain one detection over one event.

    Args:
        detection: Compiled from a Sigma rule.
        event: One row of its kind, derived columns included.
    """
    compiled = detection.expression
    assert isinstance(compiled, Compiled)
    assert compiled.sigma is not None
    sigma: SigmaRule = compiled.sigma
    row = event.row(0, named=True)
    compiler = Compiler(detection.kind)
    selections = tuple(
        Selection(name, _holds(_tree(part, sigma), compiler, event), tuple(_alternatives(part, sigma, compiler, event)))
        for name, part in sigma.detection.detections.items()
    )
    said = {s.name: s.matched for s in selections}
    results = [(tree, _true(tree, sigma, said)) for tree in condition_trees(sigma)]
    holds = any(result for _, result in results)
    decided: dict[str, bool] = {}
    for tree, result in results:
        if result is holds:
            decided.update(_deciding(tree, sigma, said))
    routed = compiled.route is None or compiled.route.takes(row.get("event_dataset"))
    missing = tuple(sorted(c for c in compiled.columns if row.get(c) in (None, [])))
    conditions = tuple(c.condition for c in sigma.detection.parsed_condition)
    return Verdict(detection.name, holds and routed, routed, conditions, tuple(decided.items()), selections, missing)


def condition_trees(sigma: SigmaRule) -> list[ConditionItem]:
    """The conditions of a rule as they are written, over the names of its selections."""
    trees = [condition.parse(postprocess=False) for condition in sigma.detection.parsed_condition]
    return [tree for tree in trees if isinstance(tree, ConditionItem)]


def named_in(tree: Any, sigma: SigmaRule) -> Iterator[str]:
    """Selections that a condition is made of."""
    if isinstance(tree, ConditionIdentifier):
        yield tree.identifier
        return
    for part in parts_of(tree, sigma):
        yield from named_in(part, sigma)


def _tree(part: SigmaDetection | SigmaDetectionItem, sigma: SigmaRule) -> Any:
    return part.postprocess(sigma.detection)


def _holds(tree: Any, compiler: Compiler, event: pl.DataFrame) -> bool:
    return tree is not None and bool(event.select(compiler.compile([tree]).exact).item())


def _alternatives(
    part: SigmaDetection, sigma: SigmaRule, compiler: Compiler, event: pl.DataFrame
) -> Iterator[tuple[Item, ...]]:
    items = [one for one in part.detection_items if isinstance(one, SigmaDetectionItem)]
    if items:
        made = [_item(one, sigma, compiler, event) for one in items]
        # A list of mappings is one of alternatives, a mapping one whose parts must all hold.
        if part.item_linking is ConditionAND:
            yield tuple(made)
        else:
            yield from ((one,) for one in made)
    for inner in part.detection_items:
        if isinstance(inner, SigmaDetection):
            yield from _alternatives(inner, sigma, compiler, event)


def _item(item: SigmaDetectionItem, sigma: SigmaRule, compiler: Compiler, event: pl.DataFrame) -> Item:
    words = [_WORDS.get(modifier, modifier.__name__) for modifier in item.modifiers]
    every = " and " if SigmaAllModifier in item.modifiers else " or "
    given = item.original_value if isinstance(item.original_value, list) else [item.original_value]
    listed = [str(getattr(value, "original", value)) for value in given]
    wanted = ("|".join(words) + " " if words else "") + every.join(listed)
    column = item.field or ""
    seen = event[column][0] if column in event.columns else None
    if isinstance(seen, pl.Series):
        seen = seen.to_list()
    return Item(column, wanted.strip(), _holds(_tree(item, sigma), compiler, event), seen)


def parts_of(tree: Any, sigma: SigmaRule) -> Sequence[Any]:
    """Parts of a piece of a condition that names selections; of `1 of …` and `all of …` the selections."""
    if isinstance(tree, ConditionSelector):
        return tree.resolve_referenced_detections(sigma.detection)
    return [part for part in tree.args if part is not None]


def takes_every(tree: Any) -> bool:
    """True for AND and `all of`."""
    return isinstance(tree, ConditionAND) or (isinstance(tree, ConditionSelector) and tree.cond_class is ConditionAND)


def _true(tree: Any, sigma: SigmaRule, said: Mapping[str, bool]) -> bool:
    if isinstance(tree, ConditionIdentifier):
        return said[tree.identifier]
    parts = [_true(part, sigma, said) for part in parts_of(tree, sigma)]
    if isinstance(tree, ConditionNOT):
        return not parts[0]
    return all(parts) if takes_every(tree) else any(parts)


def _deciding(tree: Any, sigma: SigmaRule, said: Mapping[str, bool]) -> Iterable[tuple[str, bool]]:
    """Selections that alone make the condition what it is."""
    if isinstance(tree, ConditionIdentifier):
        return [(tree.identifier, said[tree.identifier])]
    result, parts = _true(tree, sigma, said), parts_of(tree, sigma)
    if not isinstance(tree, ConditionNOT) and result is not takes_every(tree):
        # One part is enough for a true OR and for a false AND: those that are so.
        parts = [part for part in parts if _true(part, sigma, said) is result]
    return [pair for part in parts for pair in _deciding(part, sigma, said)]
