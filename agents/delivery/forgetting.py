"""Which facts a worker may forget, and when it has to read them again.

Renewed leases make a fact each: a district of some thousand devices states a hundred thousand a day, and a worker that
kept all of them would grow for as long as they stand on Kafka. It asks of the times of its own rows only. So facts go
that nobody can ask for at or after the oldest time its partitions have come to, less a margin; and should a row come
that is older (a late one, a partition that another worker was behind with, a log with a past of its own) all facts are
read again before it is judged. What is answered never depends on what was forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from agents.engine.identity import FactIndex
from schemas.headers import FOREVER, NEVER

MARGIN_US = 86_400_000_000  # a day: rows that are late by less make nobody read again
EACH_S = 60.0
REST_S = 600.0  # after facts were read again, nothing is forgotten for so long
Place = tuple[str, int]  # input topic and partition


@dataclass(slots=True)
class Forgetting:
    """See the module. Not locked: its owner is.

    Attributes:
        facts: What is kept.
        margin_us: So much more is kept than is asked for.
        wanted: Facts that were dropped are waited for.
        times: How often they were read again.
    """

    facts: FactIndex
    margin_us: int = MARGIN_US
    wanted: bool = False
    times: int = 0
    _asked: dict[Place, int] = field(default_factory=dict)
    _before: int = NEVER  # of questions before that time some facts are dropped
    _next_s: float = 0.0

    def ask(self, place: Place, oldest: int | None) -> None:
        """Rows of an input partition ask of this time (microseconds UTC) or later; None: it has none."""
        if oldest is None:
            self._asked.pop(place, None)
        else:
            self._asked[place] = oldest

    def lacks(self, times: pl.Series) -> bool:
        """True where a question of one of these times, microseconds UTC, might have another answer by all the facts."""
        if self._before == NEVER:
            return False
        return bool(((times >= self.facts.dropped_from) & (times < self._before)).any())

    def forget(self, now_s: float) -> None:
        """Drop what nobody asks for; does nothing where it is not time yet (monotonic clock)."""
        if now_s < self._next_s or not self._asked or self.wanted:
            return
        self._next_s = now_s + EACH_S
        before = min(self._asked.values()) - self.margin_us
        if NEVER < before < FOREVER and before > self._before:
            self.facts.forget_before(before)
            self._before = before

    def read_again(self, now_s: float) -> None:
        """All facts that there are have been read again."""
        self.wanted, self._before, self.facts.dropped_from = False, NEVER, FOREVER
        self._next_s = now_s + REST_S
        self.times += 1
