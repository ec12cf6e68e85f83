"""Columns from plain values, by what is distinct among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import polars as pl


def looked_up(column: pl.Series, find: Callable[[str], str | None]) -> pl.Series:
    """Texts that a function finds for texts; null stays null."""
    known = {value: find(value) for value in column.drop_nulls().unique().to_list()}
    return pl.Series([None if value is None else known[value] for value in column.to_list()], dtype=pl.String)


def text_lists(rows: Iterable[Sequence[str]]) -> pl.Series:
    """A column of lists of texts. Each distinct list is made once: to make one takes longer than to look it up."""
    known: dict[tuple[str, ...], int] = {}
    places = [known.setdefault(tuple(row), len(known)) for row in rows]
    distinct = pl.Series([list(row) for row in known], dtype=pl.List(pl.String))
    return distinct.gather(pl.Series(places, dtype=pl.UInt32))
