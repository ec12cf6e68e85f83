"""Several Sigma values of which any is enough, compared with a column at once.

The outcome is that of comparing them one by one (see `leaves`).
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from sigma.types import SigmaString, SigmaType, SpecialChars

from agents.rules.columns import ColumnType
from agents.rules.leaves import any_of, ends_words, keyword_value, leaf, single_values

MANY = 4  # from so many plain values on one lookup is quicker than one comparison each


def any_keyword(values: Sequence[SigmaType], types: dict[str, ColumnType], columns: Sequence[str]) -> list[pl.Expr]:
    """Predicates that together say whether any of several values without a field occurs; see `keyword`.

    Many plain texts are looked for in one pass a column, so that they cost little more than one.
    """
    wanted = [keyword_value(single) for value in values for single in single_values(value)]
    return [one for column in columns for one in any_value(column, types, wanted)]


def any_value(column: str, types: dict[str, ColumnType], values: Sequence[SigmaType]) -> list[pl.Expr]:
    """Predicates of a column that together say whether it has one of several values; see `leaf`.

    Plain texts without regard to case are looked up in one set, and looked for in one pass, where there are many.
    """
    equal: list[str] = []
    inside: list[str] = []
    others: list[SigmaType] = []
    in_list = types[column] is ColumnType.TEXTS
    for value in values:
        text = _plain(value) if in_list or types[column] is ColumnType.TEXT else None
        if text is None:
            others.append(value)
        else:
            (equal if text[0] else inside).append(text[1])
    lowered = (pl.element() if in_list else pl.col(column)).str.to_lowercase()
    made: list[pl.Expr] = []
    if len(equal) >= MANY:
        made.append(lowered.is_in(pl.Series(equal, dtype=pl.String).implode()).fill_null(value=False))
    else:
        made += [(lowered == text).fill_null(value=False) for text in equal]
    if len(inside) >= MANY:
        made.append(lowered.str.contains_any(inside).fill_null(value=False))
    else:
        made += [lowered.str.contains(text, literal=True).fill_null(value=False) for text in inside]
    if in_list and made:
        made = [pl.col(column).list.eval(any_of(made)).list.any().fill_null(value=False)]
    return made + [leaf(column, types, value) for value in others]


def _plain(value: SigmaType) -> tuple[bool, str] | None:
    """(whole or part, text in lower case) of a text without regard to case; None for all else."""
    if type(value) is not SigmaString or not value.s or any(isinstance(p, str) and ends_words(p) for p in value.s):
        return None
    many = SpecialChars.WILDCARD_MULTI
    match value.s:
        case (str() as text,):
            return True, text.lower()
        case (first, str() as text, last) if first is many and last is many:
            return False, text.lower()
        case _:
            return None
