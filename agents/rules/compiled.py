"""A Sigma condition as Polars expressions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl
from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionItem,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.rule import SigmaRule
from sigma.types import SigmaFieldReference, SigmaType

from agents.rules.columns import ColumnType, column_types, identity_columns, keyword_columns
from agents.rules.leaves import LeafError, all_of, any_of, keyword, leaf
from agents.rules.logsources import Route
from agents.rules.together import any_keyword, any_value
from agents.rules.triggers import EVERYWHERE, Trigger, all_trigger, any_trigger, value_trigger
from schemas.kinds import EventKind

Tree = ConditionItem | ConditionFieldEqualsValueExpression | ConditionValueExpression


@dataclass(frozen=True)
class Compiled:
    """A condition, ready for whole frames.

    Attributes:
        exact: Boolean expression without nulls: the row matches.
        possible: Boolean expression without nulls, true wherever `exact` is or may become so once the columns that
            wait for identity are filled in. The same as `exact` where the condition reads no such column.
        columns: Columns it reads.
        waits: True where it reads a column that waits for identity.
        trigger: What a row must contain for `possible` to be true; None: nothing that a scan could find.
        route: Which events it is about; None: all of the kind.
        sigma: The rule as pySigma has it, fields mapped to columns: to be explained and converted.
    """

    exact: pl.Expr
    possible: pl.Expr
    columns: frozenset[str]
    waits: bool
    trigger: Trigger | None = None
    route: Route | None = None
    sigma: SigmaRule | None = field(default=None, compare=False, repr=False)


class Compiler:
    """Compiles the conditions of one kind of event."""

    def __init__(self, kind: EventKind) -> None:
        self.types: dict[str, ColumnType] = column_types(kind)
        self.identity = identity_columns(kind)
        self.keyword_columns = list(keyword_columns(kind))

    def compile(self, conditions: Sequence[Tree], route: Route | None = None) -> Compiled:
        """Compile the conditions of a rule; any of them is enough.

        Args:
            conditions: Trees of pySigma, fields mapped to columns.
            route: Which events the rule is about.

        Raises:
            LeafError: something in it is not supported.
        """
        columns: set[str] = set()
        for tree in conditions:
            self._collect(tree, columns)
        exact = any_of([self._exact(tree) for tree in conditions])
        waits = bool(columns & self.identity)
        possible = any_of([self._possible(tree, positive=True) for tree in conditions]) if waits else exact
        trigger = any_trigger(self._trigger(tree, positive=True) for tree in conditions)
        return Compiled(exact, possible, frozenset(columns), waits, trigger, route)

    def _collect(self, tree: Tree, columns: set[str]) -> None:
        if isinstance(tree, ConditionFieldEqualsValueExpression):
            columns.add(tree.field)
            if isinstance(tree.value, SigmaFieldReference):
                columns.add(tree.value.field)
        elif isinstance(tree, ConditionValueExpression):
            columns.update(self.keyword_columns)
        else:
            for part in condition_parts(tree):
                self._collect(part, columns)

    def _exact(self, tree: Tree) -> pl.Expr:
        if isinstance(tree, ConditionFieldEqualsValueExpression):
            return self.field(tree.field, tree.value)
        if isinstance(tree, ConditionValueExpression):
            return keyword(tree.value, self.types, self.keyword_columns)
        if isinstance(tree, ConditionOR):
            return any_of(self._alternatives(condition_parts(tree)))
        return _joined(tree, [self._exact(part) for part in condition_parts(tree)])

    def _alternatives(self, parts: Sequence[Tree]) -> list[pl.Expr]:
        """Parts of an OR; values of the same column are compared together, which is quicker for long lists."""
        values: dict[str, list[SigmaType]] = {}
        keywords: list[SigmaType] = []
        others: list[Tree] = []
        for part in parts:
            if isinstance(part, ConditionValueExpression):
                keywords.append(part.value)
            elif isinstance(part, ConditionFieldEqualsValueExpression) and part.field in self.types:
                values.setdefault(part.field, []).append(part.value)
            else:
                others.append(part)
        together = [one for column, listed in values.items() for one in any_value(column, self.types, listed)]
        together += any_keyword(keywords, self.types, self.keyword_columns)
        return [*together, *(self._exact(part) for part in others)]

    def _trigger(self, tree: Tree, *, positive: bool) -> Trigger | None:
        """What a row must contain for a part to hold; under a NOT, for it not to hold."""
        if isinstance(tree, ConditionFieldEqualsValueExpression):
            scanned = positive and tree.field not in self.identity and self.types.get(tree.field) is ColumnType.TEXT
            return value_trigger(tree.field, tree.value) if scanned else None
        if isinstance(tree, ConditionValueExpression):
            texts = all(self.types[name] is ColumnType.TEXT for name in self.keyword_columns)
            return value_trigger(EVERYWHERE, tree.value) if positive and texts else None
        if isinstance(tree, ConditionNOT):
            return self._trigger(condition_parts(tree)[0], positive=not positive)
        every = isinstance(tree, ConditionAND) is positive
        found = [self._trigger(part, positive=positive) for part in condition_parts(tree)]
        return all_trigger(found) if every else any_trigger(found)

    def _possible(self, tree: Tree, *, positive: bool) -> pl.Expr:
        """Upper bound (lower bound under a NOT): what is not known yet is taken to speak for a match."""
        if isinstance(tree, ConditionFieldEqualsValueExpression):
            read = {tree.field} | ({tree.value.field} if isinstance(tree.value, SigmaFieldReference) else set())
            return pl.lit(positive) if read & self.identity else self._exact(tree)
        if isinstance(tree, ConditionValueExpression) or _is_of_keywords(tree) or not self._waits(tree):
            return self._exact(tree)
        inside = positive is not isinstance(tree, ConditionNOT)
        return _joined(tree, [self._possible(part, positive=inside) for part in condition_parts(tree)])

    def _waits(self, tree: Tree) -> bool:
        read: set[str] = set()
        self._collect(tree, read)
        return bool(read & self.identity)

    def field(self, column: str, value: SigmaType) -> pl.Expr:
        """One field against one value.

        Raises:
            LeafError: there is no such column, or the two do not go together.
        """
        if column not in self.types:
            raise LeafError(f"there is no column {column!r}", "name a column of the schema or a Sigma field")
        return leaf(column, self.types, value)


def condition_parts(tree: ConditionItem) -> list[Tree]:
    """Parts of AND, OR or NOT."""
    return [part for part in tree.args if part is not None]


def _is_of_keywords(tree: ConditionItem) -> bool:
    """True of several values without a field of which any is enough."""
    parts = condition_parts(tree) if isinstance(tree, ConditionOR) else []
    return bool(parts) and all(isinstance(part, ConditionValueExpression) for part in parts)


def _joined(tree: ConditionItem, parts: list[pl.Expr]) -> pl.Expr:
    if isinstance(tree, ConditionNOT):
        return ~parts[0]
    if isinstance(tree, ConditionAND):
        return all_of(parts)
    if isinstance(tree, ConditionOR):
        return any_of(parts)
    raise LeafError(f"{type(tree).__name__} is not supported")
