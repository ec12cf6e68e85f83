"""What a rule cannot do without: columns without which no event of a log can ever match it, or count for it.

It is read off the rule: a condition that cannot hold once some columns are empty in every event, a group key or a
counted value that is made of nothing else. Columns that leases tell, such as `person`, are left out: other logs fill
them in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sigma.conditions import ConditionAND, ConditionFieldEqualsValueExpression, ConditionNOT, ConditionValueExpression
from sigma.types import SigmaExists, SigmaNull, SigmaType

from agents.rules.columns import derived_columns, identity_columns
from agents.rules.compiled import Compiled, Tree, condition_parts
from agents.rules.model import Detection, Rule
from schemas.kinds import EventKind

Group = tuple[str, ...]  # stored columns of which it takes one at least


def needs_of(kind: EventKind, column: str) -> tuple[Group, ...]:
    """Groups of stored columns that a column of a rule is nothing without; none for what other logs fill in."""
    if column in identity_columns(kind):
        return ()
    derived = derived_columns(kind).get(column)
    return ((column,),) if derived is None else derived.needs


def stored_needs(rule: Rule, base: Detection) -> frozenset[str]:
    """Every stored column that `lacking` may be asked about."""
    columns = {*base.columns, *_counted(rule, base)}
    return frozenset(name for column in columns for group in needs_of(base.kind, column) for name in group)


def lacking(rule: Rule, base: Detection, empty: Collection[str]) -> tuple[Group, ...]:
    """Groups of columns for want of which no event matches a detection of a rule and counts for it; none: some may.

    Args:
        rule: The rule.
        base: One of its detections.
        empty: Stored columns that are empty in every event.
    """
    counted = [g for column in _counted(rule, base) for g in needs_of(base.kind, column) if _gone(g, empty)]
    trees = list(_trees(base))
    if not trees or any(_outcomes(tree, base.kind, empty)[0] for tree in trees):
        return tuple(dict.fromkeys(counted))
    groups = {g for column in base.columns for g in needs_of(base.kind, column) if _gone(g, empty)}
    alone = [g for g in sorted(groups) if not any(_outcomes(tree, base.kind, g)[0] for tree in trees)]
    return tuple(dict.fromkeys([*counted, *(alone or sorted(groups))]))


def _counted(rule: Rule, base: Detection) -> set[str]:
    """Columns that a row must have: those of the group key, and those that are counted."""
    return {rule.column_of(name, base.name) for name in rule.group_by} | set(rule.value_columns)


def _gone(group: Group, empty: Collection[str]) -> bool:
    return bool(group) and all(column in empty for column in group)


def _trees(base: Detection) -> Iterator[Tree]:
    compiled = base.expression
    if isinstance(compiled, Compiled) and compiled.sigma is not None:
        for condition in compiled.sigma.detection.parsed_condition:
            if condition.parsed is not None:
                yield condition.parsed


def _outcomes(tree: Tree, kind: EventKind, empty: Collection[str]) -> tuple[bool, bool]:
    """Whether a condition may hold, and whether it may not."""
    if isinstance(tree, ConditionFieldEqualsValueExpression):
        if not any(_gone(group, empty) for group in needs_of(kind, tree.field)):
            return True, True
        return (True, False) if _of_nothing(tree.value) else (False, True)
    if isinstance(tree, ConditionValueExpression):
        return True, True
    parts = [_outcomes(part, kind, empty) for part in condition_parts(tree)]
    if isinstance(tree, ConditionNOT):
        return parts[0][1], parts[0][0]
    holds, fails = [h for h, _ in parts], [f for _, f in parts]
    return (all(holds), any(fails)) if isinstance(tree, ConditionAND) else (any(holds), all(fails))


def _of_nothing(value: SigmaType) -> bool:
    """What holds of an empty column."""
    return isinstance(value, SigmaNull) or (isinstance(value, SigmaExists) and not value.exists)
