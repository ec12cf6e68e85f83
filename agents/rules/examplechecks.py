"""What can be said of a rule's examples without running them: kinds of events, columns, times, what must come of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from agents.rules.columns import column_types, derived_columns
from agents.rules.shape import Checker, suggestion
from schemas.kinds import EventKind

EXPECTED = ("group_key", "status", "first_seen", "last_seen", "count", "value", "thresholds", "permit")
_EVENT = ("kind", "at", "repeat")
_PLACE = ("aupstream", "examples")


def check_examples(check: Checker, examples: Sequence[Mapping[str, Any]]) -> None:
    """Note everything that is wrong with examples, each at its place.

    Args:
        check: Of the document that they stand in.
        examples: As written.
    """
    for i, example in enumerate(examples):
        check.keys("example", example, *_PLACE, i)
        for part, look in (("events", _event), ("violations", _violation)):
            listed = example.get(part)
            if not isinstance(listed, list):
                check.error(f"an example needs a list of {part}", *_PLACE, i, hint=f"add `{part}:`")
                continue
            for n, one in enumerate(listed):
                if isinstance(one, dict):
                    look(check, one, (*_PLACE, i, part, n))
                else:
                    check.error(f"{part} must be mappings, not {one!r}", *_PLACE, i, part, n, hint="write {kind: …}")


def _event(check: Checker, event: Mapping[str, Any], place: tuple[str | int, ...]) -> None:
    if "at" not in event:
        check.error("the event says no time", *place, hint="add `at:` in ISO 8601 with an offset")
    elif not _is_time(event["at"]):
        check.error(f"{event['at']!r} is no time", *place, "at", hint="write ISO 8601 with an offset")
    try:
        kind = EventKind(event.get("kind", ""))
    except ValueError:
        given = event.get("kind")
        hint = suggestion(str(given), [k.value for k in EventKind])
        check.error(f"event has no kind {given!r}", *place, *(["kind"] if "kind" in event else []), hint=hint)
        return
    types, derived = column_types(kind), derived_columns(kind)
    for column in event:
        if column in _EVENT or (column in types and column not in derived):
            continue
        what = f"{column!r} is computed" if column in derived else f"there is no column {column!r}"
        hint = "say what it is computed of" if column in derived else suggestion(str(column), types)[:200]
        check.error(f"{what} in {kind.value} events", *place, column, hint=hint, key=True)


def _violation(check: Checker, violation: Mapping[str, Any], place: tuple[str | int, ...]) -> None:
    for key in violation:
        if key not in EXPECTED:
            check.error(f"unknown key {key!r} in violation", *place, key, hint=suggestion(str(key), EXPECTED), key=True)
    if not isinstance(violation.get("group_key"), dict):
        check.error("the violation says no group_key", *place, hint="add `group_key: {user_name: …}`")


def _is_time(value: object) -> bool:
    try:
        return datetime.fromisoformat(str(value)).tzinfo is not None
    except ValueError:
        return False
