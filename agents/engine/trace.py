"""What a rule's windows held, row by row: the engine's own windows, watched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agents.context.calendar import Calendar
from agents.engine.absence import AbsenceKey
from agents.engine.episodes import Judge
from agents.engine.key import Setting
from agents.engine.keystate import KeyState
from agents.engine.kinds import WINDOWS, window_for
from agents.engine.periods import PeriodKey
from agents.engine.rows import KeyedRow, Row
from agents.rules.model import Rule
from agents.rules.own import Absence, Quota, Spike
from schemas.headers import FOREVER, NEVER


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
        waits: Until when the rule opens no episode (`suppress`, `rearm`), where the condition holds all the same,
            microseconds UTC; None: it does not wait.
    """

    group_key: str
    t: int
    event_id: str
    base: str
    inside: tuple[str, ...]
    value: float
    measures: tuple[float, ...]
    holds: bool
    waits: int | None = None


def trace(rule: Rule, rows: Sequence[KeyedRow], calendar: Calendar | None = None) -> list[Step]:
    """Every row of every key in order, late ones left out as the engine does.

    Of a period `inside` are its rows so far, and it holds from the row on that opens an episode. Of an absence the
    value is the silence before the row in seconds, and it holds where the row came after its deadline; something is
    expected from the first row of any key on. None for a rule without a window: single events and new values.

    Args:
        rule: The rule.
        rows: Its rows.
        calendar: The district's; None: days of UTC.
    """
    by_key: dict[str, list[Row]] = defaultdict(list)
    for keyed in rows:
        if not keyed.late:
            by_key[keyed.group_key].append(keyed.row)
    earliest = min((row.t for listed in by_key.values() for row in listed), default=NEVER)
    made: list[Step] = []
    for key in sorted(by_key):
        ordered = sorted(by_key[key], key=lambda r: (r.t, r.event_id, r.base))
        setting = Setting(rule, Judge(), calendar=calendar or Calendar(), covered_to=FOREVER)
        if isinstance(rule.own, Quota | Spike):
            made += _periods(PeriodKey(setting, key), ordered)
        elif isinstance(rule.own, Absence):
            made += _silences(AbsenceKey(setting, key), ordered, earliest) if key in rule.own.expect else ()
        elif rule.kind in WINDOWS:
            made += _windows(KeyState(setting, key, window_for(rule)), ordered)
    return made


def _windows(key: KeyState, rows: Sequence[Row]) -> Iterator[Step]:
    window = key.window
    for row in rows:
        key.apply(row, [])
        inside = tuple(r.event_id for r in window.rows)
        measures, holds = tuple(window.measures()), window.holds()
        waits = key.armed_at if holds and key.episode is None else None
        yield Step(key.group_key, row.t, row.event_id, row.base, inside, window.value, measures, holds, waits)


def _periods(key: PeriodKey, rows: Sequence[Row]) -> Iterator[Step]:
    inside: list[str] = []
    start: int | None = None
    for row in rows:
        key.apply(row, [])
        inside = [row.event_id] if key.start != start else [*inside, row.event_id]
        start = key.start
        measures = tuple(key.tally.measures())
        yield Step(key.group_key, row.t, row.event_id, row.base, tuple(inside), key.tally.value, measures, key.opened)


def _silences(key: AbsenceKey, rows: Sequence[Row], earliest: int) -> Iterator[Step]:
    last = earliest
    key.start(earliest)
    for row in rows:
        key.tick(row.t, [])
        came_late = key.episode is not None
        key.apply(row, [])
        silence = (row.t - last) / 1e6
        yield Step(key.group_key, row.t, row.event_id, row.base, (row.event_id,), silence, (), came_late)
        last = row.t
