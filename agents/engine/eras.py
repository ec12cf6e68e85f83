"""Parts of the past that were judged by another roster or inventory, each with a detector of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Protocol

import polars as pl

from agents.context.district import District
from agents.context.inventory import Inventory
from agents.engine.detect import DetectCounters, Detector
from agents.rules.model import RuleSet
from schemas.headers import NEVER

AT_ONCE = 8  # detectors in memory; one that is asked for again later is made again


class Contexts(Protocol):
    """What events are judged against, by their time. The same answers for as long as it is used."""

    @property
    def starts(self) -> Sequence[int]:
        """Event times from which another context is in force, microseconds UTC, rising; the first is `NEVER`."""

    def context(self, number: int) -> tuple[District, Inventory]:
        """District and inventory from one of `starts` on; may take seconds."""


class Always(Contexts):
    """One context, ever since."""

    def __init__(self, district: District, inventory: Inventory) -> None:
        self._context = district, inventory

    @property
    def starts(self) -> Sequence[int]:
        """One."""
        return (NEVER,)

    def context(self, number: int) -> tuple[District, Inventory]:
        """It."""
        del number
        return self._context


class Eras:
    """See module.

    Args:
        rules: Rules in force.
        contexts: What events are judged against.
    """

    def __init__(self, rules: RuleSet, contexts: Contexts) -> None:
        self._rules, self._contexts = rules, contexts
        self._starts = pl.Series(contexts.starts[1:], dtype=pl.Int64)
        self.counters = DetectCounters()
        self.detector = lru_cache(AT_ONCE)(self._make)

    def parts(self, frame: pl.DataFrame) -> Iterator[tuple[int, pl.DataFrame]]:
        """The events of a frame by the number of the context in force at their time; each part in the frame's order."""
        if self._starts.is_empty():
            yield 0, frame
            return
        numbers = self._starts.search_sorted(frame["timestamp"].dt.timestamp("us"), side="right")
        for number in numbers.unique().sort().to_list():
            yield number, frame.filter(numbers == number)

    def _make(self, number: int) -> Detector:
        made = Detector(self._rules, *self._contexts.context(number))
        made.counters = self.counters  # one count over all of them
        return made
