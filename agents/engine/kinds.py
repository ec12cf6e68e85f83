"""What is kept for a key of each kind of rule."""

from __future__ import annotations

from collections.abc import Mapping

from agents.engine.absence import AbsenceKey
from agents.engine.key import Key, Setting
from agents.engine.keystate import KeyState
from agents.engine.periods import PeriodKey
from agents.engine.visits import VisitCount
from agents.engine.window_numbers import ValueAverage, ValuePercentile, ValueSum
from agents.engine.window_order import InOrder, Temporal, TemporalOrdered
from agents.engine.window_sessions import Sessions
from agents.engine.window_travel import Journeys
from agents.engine.windows import EventCount, ValueCount, Window
from agents.rules.model import Rule
from agents.rules.own import Absence, Quota, Spike

WINDOWS: Mapping[str, type[Window]] = {
    "event_count": EventCount,
    "value_count": ValueCount,
    "value_sum": ValueSum,
    "value_avg": ValueAverage,
    "value_median": ValuePercentile,
    "value_percentile": ValuePercentile,
    "temporal": Temporal,
    "temporal_ordered": TemporalOrdered,
    "sequence": InOrder,
    "concurrent": Sessions,
    "travel": Journeys,
}


def window_for(rule: Rule) -> Window:
    """A new, empty window of the rule's kind.

    Raises:
        KeyError: the kind has no window (`single`, `new_value`, `spike`, `absence`).
    """
    return VisitCount(rule) if rule.counts_visits else WINDOWS[rule.kind](rule)


def key_for(setting: Setting, group_key: str) -> Key:
    """A new key of a rule."""
    if isinstance(setting.rule.own, Quota | Spike):
        return PeriodKey(setting, group_key)
    if isinstance(setting.rule.own, Absence):
        return AbsenceKey(setting, group_key)
    return KeyState(setting, group_key, window_for(setting.rule))
