"""Our own kinds about what comes at all, in SQL: `new_value` and `absence`."""

# ruff: noqa: S608 - writing queries is what this module is for; every text in them is quoted by `quoted`
from __future__ import annotations

import json
from collections.abc import Sequence

from agents.rules.convert_values import Unsayable, quoted
from agents.rules.convert_windows import SO_FAR
from agents.rules.model import Rule
from agents.rules.own import Absence, NewValue

Parts = list[tuple[str, str]]


def new_values(rule: Rule, keys: Sequence[str], learning_us: int) -> Parts:
    """From `matched` and `bounds` to `told`: rows that show a value which was not known.

    Args:
        rule: The rule.
        keys: Columns of `matched` that the key is made of.
        learning_us: How long nothing is told, from the earliest event on.
    """
    own = rule.own if isinstance(rule.own, NewValue) else NewValue()
    listed = ", ".join(map(quoted, sorted(own.known)))
    strange = [f"lowerUTF8({key}) NOT IN ({listed})" for key in keys] if listed else ["true"]
    order = f"OVER (PARTITION BY {', '.join(keys)} ORDER BY t, event_id, base {SO_FAR})"
    before = f"row_number() {order} AS n, lagInFrame(t, 1, t) {order} AS before"
    seen = f"SELECT *, {before} FROM matched WHERE {' AND '.join(strange)}"
    fresh = f"n = 1 OR t - before >= {own.forget_us}" if own.forget_us else "n = 1"
    learned = f"t >= (SELECT min(earliest) FROM bounds) + {learning_us}"
    return [("seen", seen), ("told", f"SELECT * FROM seen WHERE ({fresh}) AND {learned}")]


def absences(rule: Rule, keys: Sequence[str], zone: str) -> Parts:
    """From `matched` and `bounds` to `told`: deadlines of expected keys that passed, with the row that came after.

    Columns: the keys, `deadline` and `came` (microseconds; null: nothing came), `before_id` and `after_id` (the events
    around it; empty for none).

    Args:
        rule: The rule.
        keys: Columns of `matched` that the key is made of.
        zone: The district's time zone.

    Raises:
        Unsayable: something is expected in a part of the calendar only.
    """
    own = rule.own
    assert isinstance(own, Absence)
    if rule.when is not None:
        raise Unsayable("an absence in a part of the calendar cannot be said in SQL")
    wanted = sorted(tuple(str(json.loads(key)[name]) for name in rule.group_by) for key in own.expect)
    listed = ", ".join("(" + ", ".join(map(quoted, one)) + ",)" for one in wanted)
    named = ", ".join(f"k.{i} AS {key}" for i, key in enumerate(keys, 1))
    part = ", ".join(keys)
    begun = f"SELECT {part}, (SELECT min(earliest) FROM bounds) AS t, '' AS event_id FROM expected"
    rows = f"SELECT {part}, t, event_id FROM matched WHERE ({part},) IN (SELECT tuple({part}) FROM expected)"
    over = f"OVER (PARTITION BY {part} ORDER BY t, event_id ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)"
    following = f"leadInFrame(toNullable(t), 1, NULL) {over} AS came, leadInFrame(event_id, 1, '') {over} AS after_id"
    deadline = f"t + {own.within_us}" if own.by is None else _daily(own.by, zone)
    waited = f"SELECT {part}, event_id AS before_id, came, after_id, {deadline} AS deadline FROM around"
    # Beyond the end of the logs nothing is covered.
    passed = "deadline < ifNull(came, (SELECT min(latest) FROM bounds))"
    return [
        ("expected", f"SELECT {named} FROM (SELECT arrayJoin([{listed}]) AS k)"),
        ("around", f"SELECT *, {following} FROM ({begun} UNION ALL {rows})"),
        ("told", f"SELECT * FROM ({waited}) WHERE {passed}"),
    ]


def _daily(minute: int, zone: str) -> str:
    """The second of the daily deadlines at or after a time: the first one is met by the row."""
    local = f"toDate(fromUnixTimestamp64Micro(t, {quoted(zone)}))"

    def at(days: int) -> str:
        text = f"concat(toString({local} + {days}), ' {minute // 60:02}:{minute % 60:02}:00')"
        return f"toInt64(toUnixTimestamp(toDateTime({text}, {quoted(zone)}))) * 1000000"

    return f"if({at(0)} >= t, {at(1)}, {at(2)})"
