"""`aupstream violations`: what stands, from ClickHouse."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import typer

from agents.privacy.pseudonyms import PATTERN
from infra.cli.configuration import Chosen, choose
from infra.cli.covering import tell_summary
from infra.cli.failures import FINDINGS
from infra.cli.output import on_terminal, warn
from infra.cli.records import has_violation, show, shown
from infra.cli.store import Store, dsn_of
from infra.cli.unmasking import in_text, need_reason, unmasked
from schemas.errors import ConfigError

STATUSES = ("violation", "permitted", "informational", "withdrawn")
_AGO = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AT_ONCE = 500  # violations whose evidence is asked for in one statement
_ROW = (
    "id version rule_id clause status group_key first_seen last_seen count value permit rule_version rule_title policy "
    "severity state opened_at closed_at value_lower_bound threshold_names threshold_limits threshold_values "
    "evidence_dropped incomplete timeline related shadow"
).split()
_EVIDENCE = "event_id timestamp log_source log_generation log_offset log_hash base summary facts".split()


@dataclass(frozen=True, slots=True)
class Filters:
    """Which violations; see the command's options."""

    rules: tuple[str, ...] = ()
    clauses: tuple[int, ...] = ()
    statuses: tuple[str, ...] = ()
    since: str | None = None
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Unmasking:
    """Whether names are wanted, and why; see the command's options."""

    wanted: bool = False
    reason: str = ""
    case: str = ""


def run(
    filters: Filters,
    config: Path | None,
    data: Path | None,
    *,
    as_json: bool,
    fail: bool,
    unmasking: Unmasking = Unmasking(),
) -> None:
    """Print violations.

    Raises:
        ConfigError: a filter cannot be read, or names are wanted without a reason.
        InputError: names are wanted, and the unmask log does not hold.
        ServerError: ClickHouse does not answer.
    """
    _conditions(filters)  # what is wrong with them shows before a server is asked
    if unmasking.wanted:
        need_reason(unmasking.reason, "violations --names")
    chosen = choose(config, data)
    store = Store(dsn_of(chosen))
    try:
        # A table shows no evidence.
        violations = standing(store, filters, evidence=as_json or not on_terminal())
        if not violations:
            tell_summary(store, chosen)  # that nothing was found says only as much as what could be seen
    finally:
        store.close()
    if unmasking.wanted:
        violations = _unmasked(chosen, violations, unmasking)
    show(violations, as_json=as_json)
    if fail and has_violation(violations):
        raise typer.Exit(FINDINGS)


def _unmasked(chosen: Chosen, violations: list[dict[str, Any]], unmasking: Unmasking) -> list[dict[str, Any]]:
    """The same with names, after the request for all of them has been logged."""
    asked = {found[0] for v in violations for found in PATTERN.finditer(json.dumps(v, ensure_ascii=False))}
    if not asked:
        return violations
    names = unmasked(chosen, sorted(asked), unmasking.reason, unmasking.case)
    return [_named(v, names) for v in violations]


def _named(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, str):
        return in_text(value, names)
    if isinstance(value, dict):
        return {key: _named(v, names) for key, v in value.items()}
    return [_named(v, names) for v in value] if isinstance(value, list) else value


def standing(store: Store, filters: Filters, *, evidence: bool) -> list[dict[str, Any]]:
    """Violations that stand, as `shown`, oldest first.

    Args:
        store: Where they are.
        filters: Which ones.
        evidence: Whether it is wanted.
    """
    where, values = _conditions(filters)
    found = _rows(store, where, values, filters.limit)
    kept = _evidence(store, [r["id"] for r in found]) if evidence else {}
    return [shown(_record(row, kept.get(row["id"], []))) for row in found]


def _conditions(filters: Filters) -> tuple[str, dict[str, object]]:
    unknown = [s for s in filters.statuses if s not in STATUSES]
    if unknown:
        raise ConfigError(f"{unknown[0]!r} is no status", where="--status", hint=f"use {', '.join(STATUSES)}")
    values: dict[str, object] = {"statuses": filters.statuses or STATUSES[:-1]}
    parts = ["status IN %(statuses)s"]
    for column, wanted in (("rule_id", filters.rules), ("clause", filters.clauses)):
        if wanted:
            parts.append(f"{column} IN %({column})s")
            values[column] = wanted
    if filters.since is not None:
        parts.append("last_seen >= fromUnixTimestamp64Micro(%(since)s, 'UTC')")
        values["since"] = _micros(since(filters.since, datetime.now(UTC)))
    return " AND ".join(parts), values


def since(text: str, now: datetime) -> datetime:
    """A moment: so long before now, or a time.

    Raises:
        ConfigError: it is neither.
    """
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago is not None:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        when = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError) as error:
        hint = "write e.g. 12h, 7d, 2026-03-25 or 2026-03-25T08:00:00-06:00"
        raise ConfigError(f"{text!r} is no time", where="--since", hint=hint) from error
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when


def _micros(when: datetime) -> int:
    return (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _rows(store: Store, where: str, values: dict[str, object], limit: int) -> list[dict[str, Any]]:
    """Rows of violations, oldest first."""
    query = f"SELECT {', '.join(_ROW)} FROM violations_now WHERE {where} ORDER BY first_seen DESC, id DESC"  # noqa: S608
    if limit:
        query += f" LIMIT {limit + 1}"
    found = store.rows(query, values)
    if limit and len(found) > limit:
        warn(f"there are more than {limit}; these are the newest (see --limit)")
        found = found[:limit]
    return found[::-1]


def _evidence(store: Store, ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Evidence by violation, in its order."""
    made: dict[str, list[dict[str, Any]]] = defaultdict(list)
    names = ", ".join(_EVIDENCE)
    for start in range(0, len(ids), _AT_ONCE):
        query = (
            f"SELECT violation_id, {names} FROM evidence_now WHERE violation_id IN %(ids)s "  # noqa: S608 - our names
            "ORDER BY violation_id, number"
        )
        for row in store.rows(query, {"ids": tuple(ids[start : start + _AT_ONCE])}):
            made[row.pop("violation_id")].append(row)
    return made


def _record(row: dict[str, Any], evidence: list[dict[str, Any]]) -> dict[str, Any]:
    """A row as a record of the `violation` schema."""
    parts = (row.pop(f"threshold_{part}") for part in ("names", "limits", "values"))
    row["thresholds"] = [{"name": n, "limit": m, "value": v} for n, m, v in zip(*parts, strict=True)]
    return {**row, "evidence": evidence}
