"""The `correlation` part of a document: which rules it refers to, and what of it pySigma knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.rules.conditions import OPERATORS


def references(part: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the rules that the `correlation` part of a document refers to."""
    rules = part.get("rules")
    listed = rules if isinstance(rules, list) else [rules]
    return tuple(r for r in listed if isinstance(r, str))


def plain_sigma(data: Mapping[str, Any]) -> dict[str, Any]:
    """The document as pySigma knows it: of a range, which it does not, the first limit; names without hyphens."""
    part = data.get("correlation")
    condition = part.get("condition") if isinstance(part, dict) else None
    if isinstance(part, dict) and isinstance(condition, str):
        plain = [name.replace("-", "_") for name in references(part)]
        return {**data, "correlation": {**part, "rules": plain, "condition": condition.replace("-", "_")}}
    if not isinstance(part, dict) or not isinstance(condition, dict):
        return dict(data)
    first = next((op for op in OPERATORS if op in condition), None)
    kept = {k: v for k, v in condition.items() if k not in OPERATORS or k == first}
    return {**data, "correlation": {**part, "condition": kept}}
