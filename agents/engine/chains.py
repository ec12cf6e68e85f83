"""Chains: rules over the episodes of other rules."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from agents.context.permit import MEASURE
from agents.engine.enrich_mail import NO_LIST
from agents.engine.rows import Row
from agents.rules.model import NUMERIC_KINDS, TOGETHER, VALUE_SEPARATOR, Rule
from schemas.kinds import EventKind


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
        summary=json.dumps(_shown(rule, record), separators=(",", ":"), ensure_ascii=False),
        facts=(),
    )


def _shown(rule: Rule, record: Mapping[str, Any]) -> dict[str, Any]:
    """What the evidence shows of an episode: what a permit asks, too, how much it was and by which mailing lists.

    It is as it was when the episode opened: what came later is in none of its rows here.
    """
    shown = {"rule_id": rule.id, "violation_id": record["id"]}
    if rule.kind not in TOGETHER:
        shown[MEASURE] = record["value"]
    if rule.kinds != {EventKind.MAIL}:
        return shown
    lists = [json.loads(one["summary"]).get("email_lists") or NO_LIST for one in record["evidence"]]
    more = [NO_LIST] if record["evidence_dropped"] else []
    return shown | {"email_lists": " ".join(sorted({a for one in (*lists, *more) for a in one.split()}))}
