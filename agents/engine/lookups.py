"""A column from another by a function that is asked once for each distinct value."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl


def looked_up(column: pl.Series, find: Callable[[str], str | None]) -> pl.Series:
    """Texts that a function finds for texts; null stays null."""
    known = {value: find(value) for value in column.drop_nulls().unique().to_list()}
    return pl.Series([None if value is None else known[value] for value in column.to_list()], dtype=pl.String)
