"""Retention: what is older than the configuration says is deleted, counted, and not while it is on hold.

ClickHouse's own TTL knows neither holds nor counts, and the audit must go on proving that no line was lost: a row is
in its table or among the deleted. So a run counts by source, writes that down, deletes, and writes down that it did;
one that was killed half-way is ended by the next.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from agents.sinks.clickhouse import ClickHouse
from infra.privacy_settings import Retention
from schemas.kinds import EventKind

_COLUMNS = ("run", "table_name", "source", "cutoff", "deleted", "done", "at")
_NAMES_MORE = 2  # days: a name is written again once a day, so it may look older than the newest row that uses it
_HELD = "(SELECT violation_id FROM holds_now)"
_SYNC = {"mutations_sync": 2, "lightweight_deletes_sync": 2}
EVENTS = tuple(f"events_{kind.value}" for kind in EventKind)


@dataclass(frozen=True, slots=True)
class _Table:
    """How a table ages.

    Attributes:
        days: Key of the configuration.
        old: SQL condition on `%(cutoff)s`.
        source: SQL of the log source.
    """

    days: str
    old: str
    source: str = "''"


# Old versions of a violation that is not old stay; evidence also goes with its violation.
_OLD_VIOLATIONS = f"(SELECT id FROM violations FINAL WHERE last_seen < %(cutoff)s AND id NOT IN {_HELD})"  # noqa: S608 - our own names
_TABLES: dict[str, _Table] = {
    **{name: _Table("events_days", "timestamp < %(cutoff)s", "log_source") for name in EVENTS},
    "dead_letters": _Table("dead_letters_days", "stored_at < %(cutoff)s", "log_source"),
    "evidence": _Table("evidence_days", f"timestamp < %(cutoff)s AND violation_id NOT IN {_HELD}"),
    "violations": _Table("violations_days", f"id IN {_OLD_VIOLATIONS}"),
    "sealed_names": _Table("names_days", f"stored_at < %(cutoff)s AND (SELECT count() FROM {_HELD}) = 0"),  # noqa: S608
}


def purge(store: ClickHouse, retention: Retention, now: datetime) -> list[str]:
    """Delete what is too old; what was deleted, as sentences.

    Args:
        store: ClickHouse, with the right to write.
        retention: Days by table.
        now: Aware. Days end at midnight UTC.

    Raises:
        ServerError: ClickHouse refuses.
    """
    for run, name, cutoff in _begun(store):
        _delete(store, name, cutoff)
        store.execute(
            "INSERT INTO retention_runs SELECT run, table_name, source, cutoff, deleted, true, now64(6) "
            "FROM retention_runs FINAL WHERE run = %(run)s AND table_name = %(name)s",
            {"run": run, "name": name},
        )
    run = uuid.uuid4().hex
    said: list[str] = []
    for name, table in _TABLES.items():
        days = getattr(retention, table.days)
        if days:
            days += _NAMES_MORE * (name == "sealed_names")
            cutoff = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)
            said += _purge_table(store, run, name, cutoff, now)
    return said


DELETED = (
    "SELECT table_name, source, sum(deleted) AS deleted FROM retention_runs FINAL GROUP BY table_name, source "
    "ORDER BY table_name, source"
)


def _purge_table(store: ClickHouse, run: str, name: str, cutoff: datetime, now: datetime) -> Iterator[str]:
    table = _TABLES[name]
    counted = store.execute(
        f"SELECT {table.source} AS source, count() FROM {name} FINAL WHERE {table.old} GROUP BY source",  # noqa: S608
        {"cutoff": _text(cutoff)},
    )
    counted = [(source, rows) for source, rows in counted if rows]
    if not counted:
        return
    rows = [(run, name, source, cutoff, number, False, now) for source, number in counted]
    store.insert_rows("retention_runs", _COLUMNS, rows)
    _delete(store, name, cutoff)
    store.insert_rows("retention_runs", _COLUMNS, [(*row[:5], True, now) for row in rows])
    yield f"{name}: {sum(n for _, n in counted)} rows from before {cutoff:%Y-%m-%d} were deleted"


def _delete(store: ClickHouse, name: str, cutoff: datetime) -> None:
    values = {"cutoff": _text(cutoff)}
    if name == "violations":  # evidence first: none is left behind
        store.execute(f"DELETE FROM evidence WHERE violation_id IN {_OLD_VIOLATIONS}", values, settings=_SYNC)  # noqa: S608
    if name in EVENTS:
        # A month that is old as a whole is dropped: nothing is written again for it.
        found = store.execute(f"SELECT DISTINCT _partition_id FROM {name} WHERE timestamp < %(cutoff)s", values)  # noqa: S608
        for (partition,) in found:
            if int(partition) < cutoff.year * 100 + cutoff.month:
                store.execute(f"ALTER TABLE {name} DROP PARTITION ID '{int(partition)}'")
    store.execute(f"DELETE FROM {name} WHERE {_TABLES[name].old}", values, settings=_SYNC)  # noqa: S608


def _begun(store: ClickHouse) -> list[tuple[str, str, datetime]]:
    """Deletions that were begun and not ended."""
    query = "SELECT DISTINCT run, table_name, cutoff FROM retention_runs FINAL WHERE NOT done"
    return [(run, name, cutoff.replace(tzinfo=UTC)) for run, name, cutoff in store.execute(query) if name in _TABLES]


def _text(when: datetime) -> str:
    return when.strftime("%Y-%m-%d %H:%M:%S")
