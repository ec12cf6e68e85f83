"""The slow, obvious way to judge a windowed rule: every instant that matters, every window built anew."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, combinations_with_replacement, dropwhile, pairwise
from math import ceil, floor
from typing import Any

from agents.engine.rows import Row
from agents.rules.model import VALUE_SEPARATOR, Rule


def holds(rule: Rule, inside: list[Row]) -> bool:
    """The rule's condition over the rows of one window."""
    if rule.kind == "sequence":  # before its first rule's first row it has none
        inside = list(dropwhile(lambda r: r.base != rule.bases[0], inside))
    if not inside or inside[-1].t - inside[0].t < rule.lasting_us:
        return False
    if rule.kind == "sequence":
        return _in_order(rule, inside)
    if rule.kind == "temporal":
        return _present(rule.presence or _all(rule.bases), {r.base for r in inside})
    if rule.kind == "temporal_ordered":
        some = combinations(inside, len(rule.bases))
        return any([r.base for r in one] == list(rule.bases) and all(map(_behind, one, one[1:])) for one in some)
    measures = [(t, measure(rule, inside, i)) for i, t in enumerate(rule.thresholds)]
    return any(t.gte <= m <= t.lte and m != t.neq for t, m in measures)


def once(rule: Rule, rows: list[Row]) -> list[Row]:
    """Rows in order; an event that several detections match is one row, but where a rule asks which ones match."""
    ordered = sorted(rows, key=lambda r: (r.t, r.event_id, r.base))
    if rule.kind not in ("event_count", "value_count") and not rule.kind.startswith("value_"):
        return ordered
    return list({(r.event_id, r.base in rule.informational_when): r for r in reversed(ordered)}.values())[::-1]


def _behind(one: Row, other: Row) -> bool:
    """True where the other row, which comes after in the order of ids, is known to be later."""
    if one.event_id == other.event_id:
        return False
    return one.t < other.t or (one.source, one.generation) == (other.source, other.generation)


def _all(bases: tuple[str, ...]) -> Any:
    joined: Any = bases[0]
    for base in bases[1:]:
        joined = ("and", joined, base)
    return joined


def _present(presence: Any, there: set[str]) -> bool:
    if isinstance(presence, str):
        return presence in there
    word, *parts = presence
    found = [_present(part, there) for part in parts]
    return not found[0] if word == "not" else any(found) if word == "or" else all(found)


def measure(rule: Rule, inside: list[Row], number: int) -> float:
    """One threshold's figure."""
    threshold = rule.thresholds[number]
    if rule.kind == "event_count":
        return len(inside)
    if rule.kind != "value_count":
        return _of_numbers(rule, [Fraction(r.number or 0) for r in inside])
    values = {v for r in inside for v in r.values}
    if threshold.per:
        pairs = {tuple(v.split(VALUE_SEPARATOR)[1:]) for v in values}
        return max((sum(message == m for m, *_ in pairs) for message, *_ in pairs), default=0)
    if threshold.where:
        return sum(v.split(VALUE_SEPARATOR)[0] == threshold.where for v in values)
    if any(t.where or t.per for t in rule.thresholds):
        return len({tuple(v.split(VALUE_SEPARATOR)[1:]) for v in values})
    return len(values)


def _of_numbers(rule: Rule, numbers: list[Fraction]) -> float:
    if rule.kind == "value_sum":
        return float(sum(numbers))
    if rule.kind == "value_avg":
        return float(sum(numbers) / len(numbers))
    place = (Fraction(1, 2) if rule.kind == "value_median" else Fraction(rule.percentile) / 100) * (len(numbers) - 1)
    ordered = sorted(numbers)
    low, high = ordered[floor(place)], ordered[ceil(place)]
    return float(low + (place - floor(place)) * (high - low))


def _in_order(rule: Rule, inside: list[Row]) -> bool:
    """Some cut of the window into as many parts as there are rules has enough rows of each in its part."""
    edges = [
        n for n in range(len(inside) + 1) if not 0 < n < len(inside) or inside[n - 1].event_id != inside[n].event_id
    ]
    for cuts in combinations_with_replacement(edges, len(rule.bases) - 1):
        parts = [inside[a:b] for a, b in pairwise([0, *cuts, len(inside)])]
        wanted = zip(parts, rule.bases, rule.counts, strict=True)
        if all(sum(r.base == base for r in part) >= need for part, base, need in wanted):
            return True
    return False


def inside_of(rule: Rule, rows: list[Row], now: int) -> list[Row]:
    """Rows of the window at an instant, of those at or before it."""
    before = [r for r in rows if r.t <= now]
    if rule.window == "sliding":
        return [r for r in before if r.t > now - rule.timespan_us]
    if rule.window == "tumbling":
        return [r for r in before if r.t // rule.timespan_us == now // rule.timespan_us]
    if not before or now - before[-1].t > rule.timespan_us:
        return []
    session = [before[-1]]
    for row in reversed(before[:-1]):
        if session[0].t - row.t > rule.timespan_us:
            break
        session.insert(0, row)
    return session


def episodes(rule: Rule, rows: list[Row]) -> list[dict[str, Any]]:
    """Episodes of one key: first event, last event, when opened and closed, count."""
    rows = once(rule, rows)
    found: list[dict[str, Any]] = []
    current: dict[str, Any] | None = None
    used, armed_at = -1, -(2**63)
    for i, row in enumerate(rows):
        if current is not None and _lapses(rule, rows[:i], current, row.t):
            used, armed_at, current = current["last"], _armed(rule, rows, current), None
        inside = inside_of(rule, rows[: i + 1], row.t)
        if current is not None and not holds(rule, inside):
            current["closed_at"] = row.t
            used, armed_at, current = current["last"], _armed(rule, rows, current), None
        elif current is not None:
            current["last"], current["count"] = i, i - current["first"] + 1
        elif holds(rule, inside):
            if row.t < armed_at:
                armed_at = max(armed_at, row.t + rule.rearm_us) if rule.rearm_us else armed_at
                continue
            first = next(n for n, r in enumerate(rows) if r in inside and n > used and _counts(rule, rows, n, i))
            current = {"first": first, "last": i, "opened_at": row.t, "count": i - first + 1}
            found.append(current)
    if current is not None:
        _lapses(rule, rows, current, 2**62)
    return [{**e, "first_id": rows[e["first"]].event_id, "last_id": rows[e["last"]].event_id} for e in found]


def _armed(rule: Rule, rows: list[Row], closed: dict[str, Any]) -> int:
    """When the next episode may open."""
    again = [closed["closed_at"] + rule.suppress_us] if rule.suppress_us else []
    again += [rows[closed["last"]].t + rule.rearm_us] if rule.rearm_us else []
    return max(again, default=-(2**63))


def _counts(rule: Rule, rows: list[Row], n: int, upto: int) -> bool:
    """Rows of a sequence's second base that no row of the first precedes in the window are no part of it."""
    if rule.kind != "sequence" or rows[n].base == rule.bases[0]:
        return True
    inside = inside_of(rule, rows[: upto + 1], rows[upto].t)
    return any(r.base == rule.bases[0] and r in inside for r in rows[:n])


def _lapses(rule: Rule, before: list[Row], current: dict[str, Any], until: int) -> bool:
    """Close the episode at the first instant before `until` at which a row leaves and the condition fails.

    The windows that begin anew close at the very instant too: what comes then is of the next one.
    """
    for instant in sorted({t for r in before for t in _exits(rule, r.t)}):
        if instant >= until + (rule.window != "sliding") or instant <= before[-1].t:
            continue
        if not holds(rule, inside_of(rule, before, instant)):
            current["closed_at"] = instant
            return True
    return False


def _exits(rule: Rule, t: int) -> list[int]:
    span = rule.timespan_us
    return [t + span] if rule.window == "sliding" else [(t // span + 1) * span, t + span + 1]
