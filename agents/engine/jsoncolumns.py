"""Rows of a frame as JSON objects, columnar: the same text that `json.dumps` with sorted keys and no spaces gives."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

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
    keys = [k for k in sorted(columns) if frame[columns[k]].null_count() < frame.height]
    if not keys:
        return pl.Series(["{}"] * frame.height, dtype=pl.String)
    texts = [k for k in keys if frame.schema[columns[k]] == pl.String]
    plain = _objects(frame, keys, columns, escape=False)
    # Most texts have nothing in them to be escaped, and that shows in the result.
    filled = [frame.height - frame[columns[k]].null_count() for k in (*keys, *texts)]
    if _is_plain(plain, quotes=2 * sum(filled)):
        return plain
    if texts and any(frame.select(pl.col(sorted({columns[k] for k in texts})).str.contains(_CONTROL).any()).row(0)):
        return _one_by_one(frame, keys, columns)
    return _objects(frame, keys, columns, escape=True)


def _objects(frame: pl.DataFrame, keys: Sequence[str], columns: Mapping[str, str], *, escape: bool) -> pl.Series:
    members = [_member(k, columns[k], is_text=frame.schema[columns[k]] == pl.String, escape=escape) for k in keys]
    inside = pl.concat_str(members, separator=",", ignore_nulls=True)
    return frame.select(pl.concat_str([pl.lit("{"), inside, pl.lit("}")])).to_series()


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
