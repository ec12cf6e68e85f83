"""Detection rows of matched rows: what a rule's windows are fed with.

Most of a detection row is the same for every rule, and many rules have the same group key. So each of these columns is
made once for all rules; of a rule there are only the numbers of its rows until all are put together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from agents.engine.enrich import Enricher
from agents.engine.evidence import summaries
from agents.engine.jsoncolumns import json_objects
from agents.engine.rowvalues import (
    counted_values,
    inside,
    needs_values,
    number_column,
    of_its_own,
    own_values,
)
from agents.rules.model import NUMERIC_KINDS, Detection, Rule
from schemas.kinds import EventKind

UTC_MICROS = pl.Datetime("us", "UTC")
DETECTION_SCHEMA: Mapping[str, pl.DataType] = {
    "rule_id": pl.String(),
    "rule_version": pl.String(),
    "base": pl.String(),
    "group_key": pl.String(),
    "timestamp": UTC_MICROS,
    "event_id": pl.String(),
    "late": pl.Boolean(),
    "values": pl.List(pl.String),
    "number": pl.Float64(),
    "facts": pl.List(pl.String),
    "log_source": pl.String(),
    "log_generation": pl.String(),
    "log_offset": pl.Int64(),
    "log_sub": pl.Int32(),
    "log_hash": pl.String(),
    "summary": pl.String(),
    "row": pl.Int32(),
}
Feed = tuple[Rule, Detection]


@dataclass(slots=True)
class LeftOut:
    """Rows that were left out for want of a group key, and for want of what the rule counts."""

    key: int = 0
    value: int = 0


@dataclass(frozen=True, slots=True)
class _Part:
    """What one rule is fed: numbers of rows, and the columns that are its own, as long."""

    numbers: NDArray[np.int64]
    group_key: pl.Series
    values: pl.Series
    number: pl.Series

    def own(self) -> dict[str, pl.Series]:
        """These columns by name."""
        return {"group_key": self.group_key, "values": self.values, "number": self.number}


def _together(parts: Sequence[_Part]) -> tuple[NDArray[np.int64], NDArray[np.int64], pl.DataFrame]:
    """Numbers of rows in order, whose each of them is, and the columns that are a rule's own."""
    if len(parts) == 1:
        (part,) = parts
        own = pl.DataFrame([column.alias(name) for name, column in part.own().items()])
        return part.numbers, np.zeros(len(part.numbers), np.int64), own
    numbers = np.concatenate([part.numbers for part in parts])
    feed = np.repeat(np.arange(len(parts)), [len(part.numbers) for part in parts])
    order = np.lexsort((feed, numbers))
    own = pl.DataFrame({name: pl.concat([part.own()[name] for part in parts]) for name in parts[0].own()})
    return numbers[order], feed[order], own[order]


class Feeder:
    """Makes detection rows of one frame.

    Args:
        frame: Matched rows in order, with `row`, `facts` and all columns that rules read.
        kind: Kind of the events.
        enricher: Spells group keys.
    """

    def __init__(self, frame: pl.DataFrame, kind: EventKind, enricher: Enricher) -> None:
        self._frame, self._kind, self._enricher = frame, kind, enricher
        self._keys: dict[str, pl.Series] = {}
        self._objects: dict[tuple[tuple[str, str], ...], pl.Series] = {}
        self._values: dict[tuple[str, ...], pl.Series] = {}
        self.left_out = LeftOut()

    def rows(self, feeds: Sequence[Feed], masks: pl.DataFrame) -> pl.DataFrame:
        """Detection rows in the order of (row, rule, base).

        Args:
            feeds: Rules and their detections.
            masks: One Boolean column a detection: which rows of the frame match it.
        """
        ordered = sorted(feeds, key=lambda feed: (feed[0].id, feed[1].name))
        parts = [self._part(rule, base, masks[base.name]) for rule, base in ordered]
        told = pl.DataFrame(
            [(rule.id, rule.version, base.name) for rule, base in ordered],
            schema=["rule_id", "rule_version", "base"],
            orient="row",
        )
        numbers, feed, own = _together(parts)
        common = self._common()
        if len(numbers) != common.height or len(parts) > 1:
            common = common[numbers]
        columns = [*told[feed], *own, *common]
        by_name = {column.name: column for column in columns}
        return pl.DataFrame([by_name[name] for name in DETECTION_SCHEMA])

    def _part(self, rule: Rule, base: Detection, mask: pl.Series) -> _Part:
        """Rows of one base of one rule; those without a group key or a value are counted and left out."""
        numbers = mask.arg_true()
        if rule.when is not None and rule.kind != "absence":
            numbers = numbers.filter(inside(self._frame[numbers], rule.when, self._enricher.district.calendar))
        keys = self._group_key(rule, base).gather(numbers)
        if keys.null_count():
            self.left_out.key += keys.null_count()
            numbers, keys = numbers.filter(keys.is_not_null()), keys.drop_nulls()
        values = self._counted(rule, base, numbers)
        number = self._number(number_column(rule), numbers)
        counts = None
        if needs_values(rule):
            counts = (values.list.len() > 0).fill_null(value=False)
        elif rule.kind in NUMERIC_KINDS:
            counts = number.is_not_null()
        if counts is not None and not counts.all():
            self.left_out.value += int((~counts).sum())
            numbers, keys = numbers.filter(counts), keys.filter(counts)
            values, number = values.filter(counts), number.filter(counts)
        return _Part(numbers.to_numpy().astype(np.int64), keys, values, number)

    def _common(self) -> pl.DataFrame:
        """What is the same for every rule."""
        return self._frame.select(
            "event_id", "facts", "log_source", "log_generation", "log_hash",
            pl.col("timestamp").cast(UTC_MICROS),
            pl.col("log_offset").cast(pl.Int64),
            pl.col("log_sub").cast(pl.Int32),
            pl.col("row").cast(pl.Int32),
            late=pl.col("late") | pl.col("time_suspect"),
            summary=summaries(self._frame, self._kind),
        )  # fmt: skip

    def _group_key(self, rule: Rule, base: Detection) -> pl.Series:
        """JSON object of each row's group key; null where a part of it is missing."""
        columns = tuple((name, rule.column_of(name, base.name)) for name in rule.group_by)
        found = self._objects.get(columns)
        if found is None:
            # A column of the frame stands for the rows of a key without members.
            parts = pl.DataFrame([self._frame["row"], *(self._key(c).alias(f"_{n}") for n, c in columns)])
            found = json_objects(parts, {name: f"_{name}" for name, _ in columns})
            if any(part.null_count() for part in parts):
                whole = parts.select(pl.all_horizontal(pl.all().is_not_null())).to_series()
                found = found.to_frame("key").select(pl.when(whole).then("key")).to_series()
            self._objects[columns] = found
        return found

    def _key(self, column: str) -> pl.Series:
        found = self._keys.get(column)
        if found is None:
            found = self._keys[column] = self._enricher.keys(column, self._frame)
        return found

    def _counted(self, rule: Rule, base: Detection, numbers: pl.Series) -> pl.Series:
        """What some rows count, a list of texts each."""
        if of_its_own(rule):
            return own_values(rule, base, self._frame[numbers], self._enricher)
        columns = rule.value_columns if rule.kind == "value_count" else ()
        if not columns:
            return pl.repeat([], len(numbers), dtype=pl.List(pl.String), eager=True)
        found = self._values.get(columns)
        if found is None:
            found = self._values[columns] = counted_values(self._kind, columns, self._frame, self._enricher)
        return found.gather(numbers)

    def _number(self, column: str | None, numbers: pl.Series) -> pl.Series:
        """The number that each of some rows counts."""
        if column is None:
            return pl.repeat(None, len(numbers), dtype=pl.Float64, eager=True)
        return self._frame[column].gather(numbers).cast(pl.Float64)
