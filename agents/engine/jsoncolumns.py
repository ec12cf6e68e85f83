"""Rows of a frame as JSON objects, columnar: the same text that `json.dumps` with sorted keys and no spaces gives."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import polars as pl

_FIRST_PLAIN, _QUOTE, _BACKSLASH = 0x20, ord('"'), ord("\\")  # what JSON escapes (RFC 8259, section 7)
_CONTROL = r"[\x00-\x1f]"


def json_objects(frame: pl.DataFrame, columns: Mapping[str, str]) -> pl.Series:
    """One JSON object a row; what is null is left out.

    Args:
        frame: Rows.
        columns: Column name by key of the object. Columns hold text, whole numbers or truth values.

    Returns:
        Texts, keys in sorted order.
    """
    nulls = {k: frame[column].null_count() for k, column in sorted(columns.items())}
    keys = tuple(k for k, count in nulls.items() if count < frame.height)
    if not keys:
        return pl.Series(["{}"] * frame.height, dtype=pl.String)
    members = tuple((k, columns[k], frame[columns[k]].dtype == pl.String) for k in keys)
    plain = frame.select(_objects(members, escape=False)).to_series()
    # Most texts have nothing in them to be escaped, and that shows in the result.
    quotes = sum((frame.height - nulls[k]) * (4 if is_text else 2) for k, _, is_text in members)
    if _is_plain(plain, quotes):
        return plain
    texts = {column for _, column, is_text in members if is_text}
    if texts and any(frame.select(pl.col(sorted(texts)).str.contains(_CONTROL).any()).row(0)):
        return _one_by_one(frame, keys, columns)
    return frame.select(_objects(members, escape=True)).to_series()


@lru_cache(maxsize=1_000)  # few shapes come again with every batch, and to write one down takes longer than to run it
def _objects(members: tuple[tuple[str, str, bool], ...], *, escape: bool) -> pl.Expr:
    """An object of members: key, column, and whether that is text."""
    parts = [_member(key, column, is_text=is_text, escape=escape) for key, column, is_text in members]
    inside = pl.concat_str(parts, separator=",", ignore_nulls=True)
    return pl.concat_str([pl.lit("{"), inside, pl.lit("}")])


def _member(key: str, column: str, *, is_text: bool, escape: bool) -> pl.Expr:
    name, value = json.dumps(key, ensure_ascii=False), pl.col(column)
    if not is_text:
        return pl.concat_str([pl.lit(f"{name}:"), value.cast(pl.String)])
    if escape:
        value = value.str.replace_all("\\", "\\\\", literal=True).str.replace_all('"', '\\"', literal=True)
    return pl.concat_str([pl.lit(f'{name}:"'), value, pl.lit('"')])


def _is_plain(objects: pl.Series, quotes: int) -> bool:
    """True where texts have no control character, no backslash and just so many quotes."""
    data = np.frombuffer(objects.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest()).buffers()[2], np.uint8)
    special = data[(data < _FIRST_PLAIN) | (data == _QUOTE) | (data == _BACKSLASH)]
    return len(special) == quotes and bool((special == _QUOTE).all())


def _one_by_one(frame: pl.DataFrame, keys: Sequence[str], columns: Mapping[str, str]) -> pl.Series:
    """The slow road, for frames with control characters in them."""
    rows = frame.select(pl.col(columns[k]).alias(k) for k in keys).iter_rows(named=True)
    objects = ({k: v for k, v in row.items() if v is not None} for row in rows)
    return pl.Series([json.dumps(o, separators=(",", ":"), ensure_ascii=False) for o in objects], dtype=pl.String)
