"""Chains: rules over the episodes of other rules."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from agents.engine.rows import Row
from agents.rules.model import NUMERIC_KINDS, VALUE_SEPARATOR, Rule


def in_order(rules: Mapping[str, Rule]) -> list[str]:
    """Ids of rules, those that a chain begins with before those behind them."""
    ordered: dict[str, None] = {}

    def visit(rule_id: str) -> None:
        if rule_id not in ordered and rule_id in rules:
            for inner in sorted(rules[rule_id].inner):
                visit(inner)
            ordered[rule_id] = None

    for rule_id in rules:
        visit(rule_id)
    return list(ordered)


def parents_of(rules: Mapping[str, Rule]) -> dict[str, list[Rule]]:
    """The rules behind each rule in a chain."""
    behind: dict[str, list[Rule]] = {}
    for rule in rules.values():
        for inner in sorted(rule.inner):
            behind.setdefault(inner, []).append(rule)
    return behind


def row_of_episode(rule: Rule, parent: Rule, group_key: str, record: Mapping[str, Any]) -> Row:
    """An episode that has opened, as a row of a rule behind it. Its event is the violation itself."""
    newest = record["evidence"][-1]
    key = json.loads(group_key)
    parts = [key.get(column) for column in parent.value_columns]
    numeric = parent.kind in NUMERIC_KINDS
    counted = bool(parts) and None not in parts and not numeric
    return Row(
        t=record["opened_at"],
        event_id=record["id"],
        base=rule.id,
        values=(VALUE_SEPARATOR.join(map(str, parts)),) if counted else (),
        number=float(record["value"]) if numeric else None,
        source=newest["log_source"],
        generation=newest["log_generation"],
        offset=newest["log_offset"],
        line_hash=newest["log_hash"],
        summary=json.dumps({"rule_id": rule.id, "violation_id": record["id"]}, separators=(",", ":")),
        facts=(),
    )
