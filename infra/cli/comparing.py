"""`aupstream backtest --against`: what two rule sets make of the same events, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from infra.cli.output import json_line, on_terminal, table, talk

# What tells people that a violation is another one now. The rule's version is not among them: it always differs.
_COMPARED = ("status", "severity", "last_seen", "closed_at", "count", "value", "thresholds", "permit", "shadow")
Change = tuple[str, Mapping[str, Any], Mapping[str, Any] | None]


def differences(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> Iterator[Change]:
    """(`gained`, `lost` or `changed`, the violation, for `changed` what it was), by first event.

    The same violation is one of the same rule, group key and first event, which is what its id is made of.
    """
    old, new = ({v["id"]: v for v in found} for found in (before, after))
    for one in sorted({**old, **new}.values(), key=lambda v: (v["first_seen"], v["id"])):
        was, now = old.get(one["id"]), new.get(one["id"])
        if was is None and now is not None:
            yield "gained", now, None
        elif now is None and was is not None:
            yield "lost", was, None
        elif was is not None and now is not None and any(was[k] != now[k] for k in _COMPARED):
            yield "changed", now, was


def show_differences(changes: Sequence[Change]) -> None:
    """Print them: a table on a terminal, else an object each: `change`, the violation, `was`."""
    if on_terminal():
        rows = [
            (
                change,
                v["first_seen"][:19].replace("T", " "),
                v["rule_id"],
                ", ".join(f"{k}={x}" for k, x in v["group_key"].items()),
                ", ".join(f"{k} {was[k]} -> {v[k]}" for k in _COMPARED if was[k] != v[k]) if was else v["status"],
            )
            for change, v, was in changes
        ]
        table(("", "first seen (UTC)", "rule", "who", "what"), rows, empty="no difference")
    else:
        for change, violation, was in changes:
            before = {k: was[k] for k in _COMPARED if was[k] != violation[k]} if was else None
            json_line({"change": change, **violation, "was": before})
    counted = Counter(change for change, *_ in changes)
    talk(", ".join(f"{counted[word]} {word}" for word in ("gained", "lost", "changed")))
