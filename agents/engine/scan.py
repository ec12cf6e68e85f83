"""Which rows match which conditions, most rows unread: literals first, conditions only where one was found.

For each condition the literals are chosen that a sample of the traffic has most rarely; one scan a column looks for
all of them, and the few rows found are judged by the conditions themselves. Conditions without a rare literal, and all
while a batch is flooded, are judged over whole columns. So the outcome never depends on what was chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from agents.engine.patterns import Patterns, Rows
from agents.rules.compiled import Compiled
from agents.rules.triggers import EVERYWHERE, Literal, chosen, literals

SAMPLE_ROWS = 1_000
TOO_OFTEN = 0.2  # a condition whose literals are in more of the traffic is judged over whole columns
MAX_LITERALS = 5_000  # of one condition: more take seconds to compile
FEW_ROWS = 64  # conditions with no more candidates than this are judged together
CHOOSE_AGAIN = 4  # literals are chosen again when this many times more rows have been seen than at the last choice
FIRST_CHOICE_ROWS = 20_000

_NOTHING = pl.DataFrame(schema={"row": pl.Int64})


@dataclass(slots=True)
class _Column:
    """What is looked for in one column: the patterns, and whose each of them is."""

    patterns: Patterns
    owners: list[list[str]]
    everyone: list[str]


@dataclass(slots=True)
class _Choice:
    """Conditions by how they are judged: by what a column contains, by what it is, or all rows."""

    columns: dict[str, _Column] = field(default_factory=dict)
    values: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    whole: list[str] = field(default_factory=list)


class Scanner:
    """Applies conditions to frames of one log format.

    Args:
        conditions: By name.
        keyword_columns: Where values without a field are looked for.
    """

    def __init__(self, conditions: Mapping[str, Compiled], keyword_columns: Iterable[str]) -> None:
        self._conditions = dict(conditions)
        self._keywords = tuple(keyword_columns)
        self._choice: _Choice | None = None
        self._seen, self._next = 0, 0

    def find(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Rows for which the `possible` of any condition is true.

        Args:
            frame: Has all columns that the conditions read.

        Returns:
            `row` (Int64, ascending): their numbers; and a Boolean column for each condition that any of them match.
        """
        if not self._conditions or not frame.height:
            return _NOTHING
        if self._choice is None or self._seen >= self._next:
            self._choice = self._choose(frame)
            self._next = max(FIRST_CHOICE_ROWS, self._seen * CHOOSE_AGAIN)
        self._seen += frame.height
        candidates, flooded = self._candidates(frame, self._choice)
        matched = self._judged(frame, dict.fromkeys((*self._choice.whole, *flooded)))
        few = {name: rows for name, rows in candidates.items() if len(rows) <= FEW_ROWS and name not in flooded}
        if few:
            together = np.unique(np.concatenate(list(few.values())))
            matched |= self._judged(frame, dict.fromkeys(few, together))
        for name, rows in candidates.items():
            if name not in few and name not in flooded:
                matched |= self._judged(frame, {name: rows})
        return _joined(matched)

    def _judged(self, frame: pl.DataFrame, names: Mapping[str, Rows | None]) -> dict[str, Rows]:
        """Rows that match, by condition, among the same rows for all of them; None: among all."""
        if not names:
            return {}
        rows = next(iter(names.values()))
        asked = {column for name in names for column in self._conditions[name].columns}
        # Columns that wait for identity are not there yet, and `possible` asks for none of them.
        columns = [column for column in frame.columns if column in asked] or frame.columns[:1]
        part = frame.select(columns) if rows is None else frame.select(pl.col(columns).gather(rows))
        tests = {f"={name}": self._conditions[name].possible for name in names}
        # Lazily, so that what several conditions have in common (a column in lower case) is computed once.
        judged = part.with_columns(**tests) if len(tests) == 1 else part.lazy().with_columns(**tests).collect()
        masks = {test[1:]: judged[test] for test in tests}
        hits = {name: mask.arg_true().to_numpy().astype(np.int64) for name, mask in masks.items() if mask.any()}
        return hits if rows is None else {name: rows[found] for name, found in hits.items()}

    def _candidates(self, frame: pl.DataFrame, choice: _Choice) -> tuple[dict[str, Rows], set[str]]:
        """Rows to be judged by condition, and the conditions for which there are too many to list."""
        listed: dict[str, list[Rows]] = {}
        flooded: set[str] = set()
        for column, look in choice.columns.items():
            for name in self._keywords if column == EVERYWHERE else (column,):
                found = look.patterns.find(frame[name])
                if found is None:
                    flooded.update(look.everyone)
                    continue
                for owner, rows in _by_owner(*found, look):
                    listed.setdefault(owner, []).append(rows)
        for column, owners in choice.values.items():
            for value, rows in _by_value(frame[column], owners):
                for owner in owners[value]:
                    listed.setdefault(owner, []).append(rows)
        candidates = {name: np.unique(np.concatenate(parts)) for name, parts in listed.items() if name not in flooded}
        flooded.update(name for name, rows in candidates.items() if len(rows) > frame.height // 2)
        return candidates, flooded

    def _choose(self, frame: pl.DataFrame) -> _Choice:
        """Literals to look for, by how often the first rows of a frame have them."""
        share = self._shares(frame.head(SAMPLE_ROWS))
        choice = _Choice()
        owners: dict[str, dict[str, list[str]]] = {}
        for name, condition in self._conditions.items():
            cost, picked = chosen(condition.trigger, share) if condition.trigger is not None else (1.0, ())
            if not picked or cost > TOO_OFTEN or len(picked) > MAX_LITERALS:
                choice.whole.append(name)
                continue
            for literal in dict.fromkeys(picked):
                into = choice.values if literal.whole else owners
                into.setdefault(literal.column, {}).setdefault(literal.text, []).append(name)
        for column, texts in owners.items():
            everyone = list(dict.fromkeys(name for names in texts.values() for name in names))
            choice.columns[column] = _Column(Patterns(list(texts)), list(texts.values()), everyone)
        return choice

    def _shares(self, sample: pl.DataFrame) -> dict[Literal, float]:
        """How much of a sample has each literal. Of two that it has not, the longer one counts as the rarer."""
        known = dict.fromkeys(
            literal for c in self._conditions.values() if c.trigger is not None for literal in literals(c.trigger)
        )
        columns: dict[tuple[str, bool], list[Literal]] = {}
        for literal in known:
            columns.setdefault((literal.column, literal.whole), []).append(literal)
        shares: dict[Literal, float] = {}
        for (column, whole), listed in columns.items():
            texts = [literal.text for literal in listed]
            counts = _values_counted(sample[column], texts) if whole else self._counts(sample, column, texts)
            for literal, count in zip(listed, counts, strict=True):
                # A value that is looked up costs a pass over its column: only where a search finds too much.
                least = 1.0 if whole else 0.1 / len(literal.text)
                shares[literal] = (count + least) / max(sample.height, 1)
        return shares

    def _counts(self, sample: pl.DataFrame, column: str, texts: list[str]) -> list[int]:
        """In how many rows each text is, about: a column with too many occurrences counts as one with all of them."""
        counts = np.zeros(len(texts), np.int64)
        for start in range(0, len(texts), MAX_LITERALS):
            part = texts[start : start + MAX_LITERALS]
            patterns = Patterns(part)
            for name in self._keywords if column == EVERYWHERE else (column,):
                for piece in sample.select(name).iter_slices(SAMPLE_ROWS // 4):
                    found = patterns.find(piece.to_series())
                    if found is None:
                        counts[start : start + len(part)] += piece.height
                        continue
                    rows, hits = found
                    once = np.unique(rows[hits >= 0] * len(part) + hits[hits >= 0]) % len(part)
                    counts[start : start + len(part)] += np.bincount(once, minlength=len(part))
        return [int(count) for count in counts]


def _by_owner(rows: Rows, hits: Rows, look: _Column) -> Iterable[tuple[str, Rows]]:
    for hit in np.unique(hits):
        which = rows[hits == hit]
        for owner in look.everyone if hit < 0 else look.owners[int(hit)]:
            yield owner, which


def _by_value(column: pl.Series, owners: Mapping[str, list[str]]) -> Iterable[tuple[str, Rows]]:
    """Rows of each of the values looked up that is there."""
    if column.null_count() == len(column):
        return
    lowered = column.str.to_lowercase()
    rows = lowered.is_in(list(owners)).fill_null(value=False).arg_true()
    if len(rows):
        there = pl.DataFrame({"value": lowered[rows], "row": rows.cast(pl.Int64)})
        for (value,), group in there.partition_by("value", as_dict=True).items():
            yield str(value), group["row"].to_numpy()


def _values_counted(column: pl.Series, texts: list[str]) -> list[int]:
    counted = dict(column.str.to_lowercase().value_counts().iter_rows())
    return [counted.get(text, 0) for text in texts]


def _joined(matched: Mapping[str, Rows]) -> pl.DataFrame:
    if not matched:
        return _NOTHING
    rows = np.unique(np.concatenate(list(matched.values())))
    masks: dict[str, Rows | NDArray[np.bool_]] = {"row": rows}
    for name, found in matched.items():
        mask = masks[name] = np.zeros(len(rows), np.bool_)
        mask[np.searchsorted(rows, found)] = True
    return pl.DataFrame(masks)
