"""Limits of a class of values, or per message, in SQL: how each figure of a window changes at every point.

A value is class, message and rest, with `VALUE_SEPARATOR` between. A pair of message and rest is inside while it is so
in any class; a message is over its limit while so many of its pairs are inside. All are running sums, linear in the
values.
"""

# ruff: noqa: S608 - writing queries is what this module is for; every text in them is quoted by `quoted`
from __future__ import annotations

from collections.abc import Mapping

from agents.rules.convert_values import quoted
from agents.rules.model import VALUE_SEPARATOR, Rule, Threshold

_SO_FAR = "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"
_CHANGE = "multiIf(is_row = 1 AND have = 1, 1, is_row = 0 AND have = 0, -1, 0)"


def measure_of(number: int, limit: Threshold) -> str:
    """Column of the figure that a limit is about."""
    if limit.per:
        return f"over_{number}"
    return f"class_{number}" if limit.where else "value"


def classes(rule: Rule, part: str, *, leaves: bool) -> tuple[list[tuple[str, str]], Mapping[str, str]]:
    """Named queries from `points` to `each_change`, and by figure the expression of its change in a row of that.

    A figure of messages is how many are over the limit: the limit holds while it is one or more.

    Args:
        rule: Its limits.
        part: What windows are apart by.
        leaves: True where rows leave the window.
    """
    points, order = f"{part}, at, is_row, n", f"ORDER BY at, is_row, n {_SO_FAR}"
    sign = f"if(is_row = 1, 1, {-1 if leaves else 0})"
    split = f"splitByString({quoted(VALUE_SEPARATOR)}, v)"
    values = (
        f"SELECT {points}, s[1] AS class, arrayStringConcat(arraySlice(s, 2), {quoted(VALUE_SEPARATOR)}) AS pair, "
        f"s[2] AS message FROM (SELECT {points}, {split} AS s FROM "
        f"(SELECT {points}, arrayJoin(arrayDistinct(vals)) AS v FROM points))"
    )
    by_class = f"SELECT *, sum({sign}) OVER (PARTITION BY {part}, class, pair {order}) AS have FROM each_value"
    by_pair = f"SELECT *, sum({sign}) OVER (PARTITION BY {part}, pair {order}) AS have FROM each_value"
    of_message = f"SELECT {points}, message, sum({_CHANGE}) AS change FROM each_pair GROUP BY {points}, message"
    so_far = f"SELECT *, sum(change) OVER (PARTITION BY {part}, message {order}) AS have FROM ({of_message})"
    named: dict[str, str] = {"value": "if(which = 'pair', change, 0)"}
    changes = [
        f"SELECT {points}, 'pair' AS which, toInt64({_CHANGE}) AS change FROM each_pair",
        f"SELECT DISTINCT {points}, '' AS which, toInt64(0) AS change FROM points",
    ]
    for i, limit in enumerate(rule.thresholds):
        name = measure_of(i, limit)
        if limit.per:
            over = f"toInt64(have >= {limit.gte!r}) - toInt64(have - change >= {limit.gte!r})"
            changes.append(f"SELECT {points}, {quoted(name)} AS which, {over} AS change FROM each_message")
        elif limit.where:
            mine = f"WHERE class = {quoted(limit.where)}"
            changes.append(
                f"SELECT {points}, {quoted(name)} AS which, toInt64({_CHANGE}) AS change FROM each_class {mine}"
            )
        named[name] = f"if(which = {quoted('pair' if name == 'value' else name)}, change, 0)"
    parts = [
        ("each_value", values),
        ("each_class", by_class),
        ("each_pair", by_pair),
        ("each_message", so_far),
        ("each_change", " UNION ALL ".join(changes)),
    ]
    return parts, named
