"""Rows of any of our schemas: by Hypothesis, and fixed ones. Plain values, times as integers (microseconds UTC)."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterator, Mapping
from typing import Any, cast

import fastavro
import polars as pl
from hypothesis import strategies as st

from schemas import _container, registry
from schemas._rows import plain_columns
from schemas.avrotypes import is_timestamp, kind_of, split_null, without_extras

# Whole ranges: the oracle reads times as integers. ClickHouse and datetime have narrower ones.
_LONGS = st.sampled_from([0, -1, 2**63 - 1, -(2**63)]) | st.integers(-(2**63), 2**63 - 1)
_INTS = st.sampled_from([0, 2**31 - 1, -(2**31)]) | st.integers(-(2**31), 2**31 - 1)
_TEXTS = st.sampled_from(["", "Zo\u00eb \U0001f3eb", "e\u0301", "\0", "a" * 64]) | st.text(max_size=12)
_POOLS: Mapping[str, st.SearchStrategy[Any]] = {
    "string": _TEXTS,
    "bytes": st.binary(max_size=12),
    "int": _INTS,
    "long": _LONGS,
    "boolean": st.booleans(),
    "double": st.floats(allow_nan=False),
}


@st.composite
def rows(draw: st.DrawFn, name: str, max_size: int = 4) -> list[dict[str, Any]]:
    """Records of a schema: Hypothesis draws a few values of each type, a seed says which goes where (it is fast)."""
    pools = {kind: draw(st.lists(pool, min_size=1, max_size=4)) for kind, pool in _POOLS.items()}
    dice = random.Random(draw(st.integers(0, 2**32)))
    return [_drawn(registry.schema(name), pools, dice) for _ in range(draw(st.integers(0, max_size)))]


def _drawn(schema: Any, pools: Mapping[str, list[Any]], dice: random.Random) -> Any:
    bare, nullable = split_null(schema)
    if nullable and dice.random() < 0.3:
        return None
    match kind_of(bare):
        case "record":
            return {f["name"]: _drawn(f["type"], pools, dice) for f in bare["fields"]}
        case "array":
            return [_drawn(bare["items"], pools, dice) for _ in range(dice.randrange(4))]
        case "map":
            return {dice.choice(pools["string"]): _drawn(bare["values"], pools, dice) for _ in range(dice.randrange(4))}
    return dice.choice(pools[kind_of(bare)])


def frame(name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Plain rows as a frame of the schema."""
    plain = pl.DataFrame(rows, schema=plain_columns(registry.schema(name)), orient="row")
    return plain.cast(pl.Schema(registry.polars_schema(name)))


def plain_rows(name: str, frame: pl.DataFrame) -> list[dict[str, Any]]:
    """A frame as plain rows, the other way round."""
    return frame.cast(pl.Schema(plain_columns(registry.schema(name)))).to_dicts()


def example(schema: Any, number: int) -> Any:
    """A fixed value of an Avro type; null in every third nullable place."""
    bare, nullable = split_null(schema)
    if nullable and number % 3 == 0:
        return None
    if is_timestamp(bare):
        return 1_700_000_000_000_000 + number * 1_000_003
    match kind_of(bare):
        case "record":
            return {f["name"]: example(f["type"], number + at) for at, f in enumerate(bare["fields"])}
        case "array":
            return [example(bare["items"], number + at) for at in range(number % 3)]
        case "map":
            return {f"key{at}": example(bare["values"], at) for at in range(number % 3)}
        case "enum":
            return bare["symbols"][number % len(bare["symbols"])]
    plain: Mapping[str, Any] = {
        "string": f"text {number} \u00e9",
        "bytes": bytes([255, number % 256]),
        "int": number,
        "long": number * 1_000_000_007,
        "boolean": number % 2 == 0,
        "double": number / 4,
    }
    return plain[kind_of(bare)]


def example_rows(name: str, count: int) -> list[dict[str, Any]]:
    """Fixed rows of a schema."""
    return [example(registry.schema(name), number) for number in range(count)]


def written_by_fastavro(schema: Mapping[str, Any], rows: list[dict[str, Any]], codec: str = "null") -> bytes:
    """A container as another library makes it; times are integers."""
    out = io.BytesIO()
    fastavro.writer(out, dict(schema), rows, codec=codec)
    return out.getvalue()


def read_by_fastavro(data: bytes) -> list[dict[str, Any]]:
    """A container's rows as another library reads them, times as integers: the most extreme are no `datetime`."""
    bare = without_extras(json.loads(_container.parse(data).schema_json))
    return list(cast("Iterator[dict[str, Any]]", fastavro.reader(io.BytesIO(relabelled(data, bare)))))


def relabelled(data: bytes, schema: Mapping[str, Any]) -> bytes:
    """The container with another schema of the same bytes in its header, and not compressed."""
    parts = _container.parse(data)
    return _container.framed(json.dumps(schema).encode(), "null", _container.inflated(parts), b"0123456789abcdef")
