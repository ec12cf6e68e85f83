"""What a rule's windows held, row by row: the engine's own windows, watched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from agents.engine.kinds import WINDOWS, window_for
from agents.engine.rows import KeyedRow
from agents.rules.model import Rule
from agents.rules.own import Quota, Spike


@dataclass(frozen=True, slots=True)
class Step:
    """A window after one row.

    Attributes:
        group_key: JSON object.
        t: Time of the row, microseconds UTC.
        event_id: Its event.
        base: The detection that it matched.
        inside: Event ids of the rows that are inside, oldest first.
        value: The aggregate.
        measures: One a threshold of the rule; empty where it has none.
        holds: True where the condition does.
    """

    group_key: str
    t: int
    event_id: str
    base: str
    inside: tuple[str, ...]
    value: float
    measures: tuple[float, ...]
    holds: bool


def trace(rule: Rule, rows: Sequence[KeyedRow]) -> list[Step]:
    """Every row of every key in order, late ones left out as the engine does.

    None for a rule without such a window: single events, new values, and what is counted by the day or week.
    """
    if rule.kind not in WINDOWS or isinstance(rule.own, Quota | Spike):
        return []
    by_key: dict[str, list[KeyedRow]] = defaultdict(list)
    for keyed in rows:
        if not keyed.late:
            by_key[keyed.group_key].append(keyed)
    return [step for key in sorted(by_key) for step in _steps(rule, key, by_key[key])]


def _steps(rule: Rule, group_key: str, rows: Sequence[KeyedRow]) -> list[Step]:
    window = window_for(rule)
    made = []
    for row in sorted((keyed.row for keyed in rows), key=lambda r: (r.t, r.event_id, r.base)):
        window.expire(row.t)
        window.add(row)
        inside = tuple(r.event_id for r in window.rows)
        measures = tuple(window.measures())
        made.append(Step(group_key, row.t, row.event_id, row.base, inside, window.value, measures, window.holds()))
    return made
