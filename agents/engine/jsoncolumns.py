"""Rows of a frame as JSON objects, columnar: the same text that `json.dumps` with sorted keys and no spaces gives."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import polars as pl

_CONTROL = r"[\x00-\x1f]"  # what JSON escapes besides the quote and the backslash (RFC 8259, section 7)


def json_objects(frame: pl.DataFrame, columns: Mapping[str, str]) -> pl.Series:
    """One JSON object a row; what is null is left out.

    Args:
        frame: Rows.
        columns: Column name by key of the object. Columns hold text, whole numbers or truth values.

    Returns:
        Texts, keys in sorted order.
    """
    keys = sorted(columns)
    texts = [columns[k] for k in keys if frame.schema[columns[k]] == pl.String]
    if not keys or not frame.height:
        return pl.Series(["{}"] * frame.height, dtype=pl.String)
    if texts and any(frame.select(pl.col(sorted(set(texts))).str.contains(_CONTROL).any()).row(0)):
        return _one_by_one(frame, keys, columns)
    parts = [_member(key, columns[key], is_text=frame.schema[columns[key]] == pl.String) for key in keys]
    inside = pl.concat_str(parts, separator=",", ignore_nulls=True)
    return frame.select(pl.concat_str([pl.lit("{"), inside, pl.lit("}")])).to_series()


def _member(key: str, column: str, *, is_text: bool) -> pl.Expr:
    name = json.dumps(key, ensure_ascii=False)
    if not is_text:
        return pl.concat_str([pl.lit(f"{name}:"), pl.col(column).cast(pl.String)])
    escaped = pl.col(column).str.replace_all("\\", "\\\\", literal=True).str.replace_all('"', '\\"', literal=True)
    return pl.concat_str([pl.lit(f'{name}:"'), escaped, pl.lit('"')])


def _one_by_one(frame: pl.DataFrame, keys: Sequence[str], columns: Mapping[str, str]) -> pl.Series:
    """The slow road, for frames with control characters in them."""
    rows = frame.select(pl.col(columns[k]).alias(k) for k in keys).iter_rows(named=True)
    objects = ({k: v for k, v in row.items() if v is not None} for row in rows)
    return pl.Series([json.dumps(o, separators=(",", ":"), ensure_ascii=False) for o in objects], dtype=pl.String)
