"""The slow, obvious way to judge a windowed rule: every instant that matters, every window built anew."""

from __future__ import annotations

from typing import Any

from agents.engine.rows import Row
from agents.rules.model import VALUE_SEPARATOR, Rule


def holds(rule: Rule, inside: list[Row]) -> bool:
    """The rule's condition over the rows of one window."""
    if rule.kind == "sequence":
        return _in_order(rule, inside)
    return any(measure(rule, inside, i) >= t.gte for i, t in enumerate(rule.thresholds))


def measure(rule: Rule, inside: list[Row], number: int) -> float:
    """One threshold's figure."""
    threshold = rule.thresholds[number]
    if rule.kind == "event_count":
        return len(inside)
    values = {v for r in inside for v in r.values}
    if threshold.per:
        pairs = {tuple(v.split(VALUE_SEPARATOR)[1:]) for v in values}
        return max((sum(message == m for m, *_ in pairs) for message, *_ in pairs), default=0)
    if threshold.where:
        return sum(v.split(VALUE_SEPARATOR)[0] == threshold.where for v in values)
    if any(t.where or t.per for t in rule.thresholds):
        return len({tuple(v.split(VALUE_SEPARATOR)[1:]) for v in values})
    return len(values)


def _in_order(rule: Rule, inside: list[Row]) -> bool:
    first, then = rule.bases
    for cut in range(len(inside) + 1):
        before = sum(r.base == first for r in inside[:cut])
        after = sum(r.base == then for r in inside[cut:])
        if before >= rule.counts[0] and after >= rule.counts[1]:
            return True
    return False


def episodes(rule: Rule, rows: list[Row]) -> list[dict[str, Any]]:
    """Episodes of one key: first event, last event, when opened and closed, count."""
    rows = sorted(rows, key=lambda r: (r.t, r.event_id, r.base))
    found: list[dict[str, Any]] = []
    current: dict[str, Any] | None = None
    used = -1
    for i, row in enumerate(rows):
        if current is not None:
            current = _lapse(rule, rows[:i], current, row.t, found)
            used = found[-1]["last"] if current is None else used
        inside = [r for r in rows[: i + 1] if row.t - rule.timespan_us < r.t <= row.t]
        if current is not None and not holds(rule, inside):
            current["closed_at"] = row.t
            used, current = current["last"], None
        elif current is not None:
            current["last"], current["count"] = i, i - current["first"] + 1
        elif holds(rule, inside):
            first = next(n for n, r in enumerate(rows) if r in inside and n > used and _counts(rule, rows, n, i))
            current = {"first": first, "last": i, "opened_at": row.t, "count": i - first + 1}
            found.append(current)
    if current is not None:
        _lapse(rule, rows, current, 2**62, found)
    return [{**e, "first_id": rows[e["first"]].event_id, "last_id": rows[e["last"]].event_id} for e in found]


def _counts(rule: Rule, rows: list[Row], n: int, upto: int) -> bool:
    """Rows of a sequence's second base that no row of the first precedes in the window are no part of it."""
    if rule.kind != "sequence" or rows[n].base == rule.bases[0]:
        return True
    edge = rows[upto].t - rule.timespan_us
    return any(r.base == rule.bases[0] and r.t > edge for r in rows[:n])


def _lapse(
    rule: Rule, before: list[Row], current: dict[str, Any], until: int, found: list[dict[str, Any]]
) -> dict[str, Any] | None:
    """Close the episode at the first instant before `until` at which a row leaves and the condition fails."""
    del found
    for expiry in sorted({r.t + rule.timespan_us for r in before}):
        if expiry >= until or expiry <= before[-1].t:
            continue
        inside = [r for r in before if expiry - rule.timespan_us < r.t <= expiry]
        if not holds(rule, inside):
            current["closed_at"] = expiry
            return None
    return current
