"""The truth about some logs, from any simulation: what should be found, and what only looks like it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.simulate.truth import FILE
from schemas.errors import AupstreamError, Errors, InputError

STATUSES = ("violation", "permitted", "informational")


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that should be found.

    Attributes:
        clause: Clause of the policy, 0 for none.
        rule: Rule that should find it; empty: any of the clause.
        who: Account, mail, MAC or IP addresses that it is about, lower case.
        at: When it began, UTC.
        status: violation, permitted or informational.
        why: For a person.
    """

    clause: int
    rule: str
    who: frozenset[str]
    at: datetime
    status: str
    why: str


@dataclass(frozen=True, slots=True)
class Innocent:
    """Something that only looks like a violation.

    Attributes:
        kind: Which innocent cause.
        rule: Rule that it must not break; empty: any.
        who: Who must not be accused, lower case.
        why: For a person.
    """

    kind: str
    rule: str
    who: str
    why: str


def read_truth(path: Path) -> tuple[list[Deed], list[Innocent]]:
    """Read `truth.json`, or that of a folder.

    An object with `expected`, a list of {clause, rule_id (optional), group_key, first_seen, status, why}, and
    optionally `lookalikes`, a list of {kind, rule_id, who, why}. Times are ISO 8601 with an offset.

    Raises:
        InputError: it cannot be read.
        Errors: of `InputError`, every entry that is wrong.
    """
    file = path / FILE if path.is_dir() else path
    try:
        told = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        hint = "`aupstream simulate` writes one beside its logs"
        raise InputError(f"the truth cannot be read: {error}", where=str(file), hint=hint) from error
    if not isinstance(told, dict) or not isinstance(told.get("expected"), list):
        raise InputError("this is no truth: it has no list `expected`", where=str(file))
    errors: list[AupstreamError] = []
    deeds, innocent = [], []
    for number, one in enumerate(told["expected"], 1):
        try:
            deeds.append(_deed(one))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            errors.append(InputError(f"entry {number} of `expected` cannot be read: {error!r}", where=str(file)))
    for number, one in enumerate(told.get("lookalikes", ()), 1):
        try:
            rule, why = str(one.get("rule_id", "")), str(one.get("why", ""))
            innocent.append(Innocent(str(one["kind"]), rule, str(one["who"]).lower(), why))
        except (KeyError, TypeError, AttributeError) as error:
            errors.append(InputError(f"entry {number} of `lookalikes` cannot be read: {error!r}", where=str(file)))
    if errors:
        raise Errors(errors)
    return deeds, innocent


def _deed(one: Mapping[str, Any]) -> Deed:
    status = str(one.get("status", "violation"))
    if status not in STATUSES:
        raise ValueError(f"status {status!r} is none of {', '.join(STATUSES)}")
    who = frozenset(str(value).lower() for value in one["group_key"].values())
    at = moment(str(one["first_seen"]))
    return Deed(int(one["clause"]), str(one.get("rule_id") or ""), who, at, status, str(one.get("why", "")))


def moment(text: str) -> datetime:
    """An ISO 8601 time in UTC; without an offset it is UTC. Raises `ValueError`."""
    when = datetime.fromisoformat(text)
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
