"""A Sigma condition as Polars expressions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionItem,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.types import SigmaFieldReference, SigmaType

from agents.rules.columns import PLACE_COLUMNS, ColumnType, column_types, derived_columns, identity_columns
from agents.rules.leaves import LeafError, all_of, any_of, keyword, leaf
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
    """

    exact: pl.Expr
    possible: pl.Expr
    columns: frozenset[str]
    waits: bool


class Compiler:
    """Compiles the conditions of one kind of event."""

    def __init__(self, kind: EventKind) -> None:
        self.types: dict[str, ColumnType] = column_types(kind)
        self.identity = identity_columns(kind)
        self.keyword_columns = [
            name
            for name, of_type in self.types.items()
            if of_type in (ColumnType.TEXT, ColumnType.TEXTS)
            and name not in PLACE_COLUMNS
            and name not in derived_columns(kind)
        ]

    def compile(self, conditions: Sequence[Tree]) -> Compiled:
        """Compile the conditions of a rule; any of them is enough.

        Raises:
            LeafError: something in it is not supported.
        """
        columns: set[str] = set()
        for tree in conditions:
            self._collect(tree, columns)
        exact = any_of([self._exact(tree) for tree in conditions])
        waits = bool(columns & self.identity)
        possible = any_of([self._possible(tree, positive=True) for tree in conditions]) if waits else exact
        return Compiled(exact, possible, frozenset(columns), waits)

    def _collect(self, tree: Tree, columns: set[str]) -> None:
        if isinstance(tree, ConditionFieldEqualsValueExpression):
            columns.add(tree.field)
            if isinstance(tree.value, SigmaFieldReference):
                columns.add(tree.value.field)
        elif isinstance(tree, ConditionValueExpression):
            columns.update(self.keyword_columns)
        else:
            for part in _parts(tree):
                self._collect(part, columns)

    def _exact(self, tree: Tree) -> pl.Expr:
        if isinstance(tree, ConditionFieldEqualsValueExpression):
            return self.field(tree.field, tree.value)
        if isinstance(tree, ConditionValueExpression):
            return keyword(tree.value, self.types, self.keyword_columns)
        parts = [self._exact(part) for part in _parts(tree)]
        return _joined(tree, parts)

    def _possible(self, tree: Tree, *, positive: bool) -> pl.Expr:
        """Upper bound (lower bound under a NOT): what is not known yet is taken to speak for a match."""
        if isinstance(tree, ConditionFieldEqualsValueExpression):
            read = {tree.field} | ({tree.value.field} if isinstance(tree.value, SigmaFieldReference) else set())
            return pl.lit(positive) if read & self.identity else self._exact(tree)
        if isinstance(tree, ConditionValueExpression):
            return self._exact(tree)
        inside = positive is not isinstance(tree, ConditionNOT)
        return _joined(tree, [self._possible(part, positive=inside) for part in _parts(tree)])

    def field(self, column: str, value: SigmaType) -> pl.Expr:
        """One field against one value.

        Raises:
            LeafError: there is no such column, or the two do not go together.
        """
        if column not in self.types:
            raise LeafError(f"there is no column {column!r}", "name a column of the schema or a Sigma field")
        return leaf(column, self.types, value)


def _parts(tree: ConditionItem) -> list[Tree]:
    return [part for part in tree.args if part is not None]


def _joined(tree: ConditionItem, parts: list[pl.Expr]) -> pl.Expr:
    if isinstance(tree, ConditionNOT):
        return ~parts[0]
    if isinstance(tree, ConditionAND):
        return all_of(parts)
    if isinstance(tree, ConditionOR):
        return any_of(parts)
    raise LeafError(f"{type(tree).__name__} is not supported")
