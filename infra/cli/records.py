"""Violations as they are shown, the same whether they come from the engine or from ClickHouse."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from infra.cli.output import iso, line, on_terminal, table

_KEYS = (
    "id version rule_id clause status group_key first_seen last_seen count value permit evidence rule_version "
    "rule_title policy severity state opened_at closed_at value_lower_bound thresholds evidence_dropped incomplete "
    "timeline related shadow"
).split()
_TIMES = ("first_seen", "last_seen", "opened_at", "closed_at")
_COLUMNS = ("first seen (UTC)", "clause", "rule", "status", "who", "count", "value", "id")


def shown(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record of the `violation` schema with plain values, the keys that people look for first.

    Args:
        record: Times in microseconds UTC or as datetime; `permit` and each evidence's `summary` as JSON text.

    Returns:
        Times as ISO 8601 in UTC; permit and summaries as objects.
    """
    made = {key: record[key] for key in _KEYS if key != "shadow"} | {"shadow": bool(record.get("shadow"))}
    for key in _TIMES:
        made[key] = None if made[key] is None else iso(made[key])
    made["permit"] = None if made["permit"] is None else json.loads(made["permit"])
    made["evidence"] = [
        {**e, "timestamp": iso(e["timestamp"]), "summary": json.loads(e["summary"])} for e in made["evidence"]
    ]
    return made


def show(violations: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print violations, given by `shown`: a table on a terminal, else JSON lines."""
    if as_json or not on_terminal():
        for violation in violations:
            line(json.dumps(violation, ensure_ascii=False))
    else:
        show_table(violations)


def show_table(violations: Sequence[Mapping[str, Any]]) -> None:
    """Print violations as a table, or as lines with tabs."""
    rows = [
        (
            v["first_seen"][:19].replace("T", " "),
            v["clause"],
            v["rule_id"],
            v["status"] + (" (shadow)" if v["shadow"] else ""),
            ", ".join(f"{k}={x}" for k, x in v["group_key"].items()),
            v["count"],
            v["value"],
            v["id"][:12],
        )
        for v in violations
    ]
    table(_COLUMNS, rows, empty="no violations", whole=("first seen (UTC)", "rule", "status", "id"))


def has_violation(violations: Sequence[Mapping[str, Any]]) -> bool:
    """True where one is of status `violation`, not permitted, informational or withdrawn, and of no rule in shadow."""
    return any(v["status"] == "violation" and not v["shadow"] for v in violations)
