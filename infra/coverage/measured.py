"""Which columns the events of each source ever had, while they are read: what a source cannot show."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import polars as pl

from agents.rules.model import RuleSet
from agents.rules.needs import stored_needs
from infra.coverage.figures import AT_LEAST, SourceDay, blind_spots
from schemas.kinds import EventKind

_ANY_DAY = date(2000, 1, 1)


class Measured:
    """Columns that were empty so far, by source and kind: those that some rule cannot do without.

    Args:
        ruleset: The rules.
    """

    def __init__(self, ruleset: RuleSet) -> None:
        self._ruleset = ruleset
        self._asked = {
            kind: frozenset(c for rule, base in ruleset.feeds(kind) for c in stored_needs(rule, base))
            for kind in EventKind
        }
        self._empty: dict[tuple[str, EventKind], set[str]] = {}

    def take(self, kind: EventKind, frame: pl.DataFrame) -> None:
        """Look at the next events of a kind, of one source or several."""
        if not frame.height:
            return
        sources = frame["log_source"]
        for part in [frame] if (sources == sources[0]).all() else frame.partition_by("log_source"):
            empty = self._empty.setdefault((part["log_source"][0], kind), set(self._asked[kind]))
            empty -= {column for column in empty if column in part.columns and _there(part[column])}

    def blind_spots(self) -> Mapping[str, list[str]]:
        """By rule what it cannot see, and where, for a person."""
        days = [SourceDay(source, kind, _ANY_DAY, 1, 0, 1, 1, 0.0) for source, kind in self._empty]
        shares = {
            (source, _ANY_DAY): {column: float(column not in empty) for column in self._asked[kind]}
            for (source, kind), empty in self._empty.items()
        }
        return blind_spots(self._ruleset, days, shares)


def _there(column: pl.Series) -> bool:
    if column.name in AT_LEAST:
        return bool((column >= AT_LEAST[column.name]).any())
    if isinstance(column.dtype, pl.List):
        return bool((column.list.len() > 0).any())
    return bool((column != "").any() if column.dtype == pl.String else column.is_not_null().any())
