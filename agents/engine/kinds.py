"""What is kept for a key of each kind of rule."""

from __future__ import annotations

from collections.abc import Mapping

from agents.engine.key import Key, Setting
from agents.engine.keystate import KeyState
from agents.engine.window_numbers import ValueAverage, ValuePercentile, ValueSum
from agents.engine.window_order import InOrder, Temporal, TemporalOrdered
from agents.engine.windows import EventCount, ValueCount, Window
from agents.rules.model import Rule

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
}


def window_for(rule: Rule) -> Window:
    """A new, empty window of the rule's kind.

    Raises:
        KeyError: the kind has no window (`single`, `new_value`).
    """
    return WINDOWS[rule.kind](rule)


def key_for(setting: Setting, group_key: str) -> Key:
    """A new key of a rule."""
    return KeyState(setting, group_key, window_for(setting.rule))
