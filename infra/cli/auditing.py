"""`aupstream audit`: the law of conservation, from the ledger and the tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import typer

from infra.cli.configuration import Chosen, choose
from infra.cli.failures import FINDINGS
from infra.cli.output import json_line, printable, table, talk, warn
from infra.cli.store import Store, dsn_of
from infra.privacy.retention import DELETED, EVENTS
from infra.privacy.unmasklog import audited as unmask_audited
from schemas.errors import ConfigError
from schemas.kinds import EventKind

_MOST = 20  # problems of one sort that are listed
_PLACE = "source, timeline, generation, chunk"
_TOTALS = """
SELECT source, log_type, lines, in_events, events, dead_letters, open_joins, ignored, late, time_suspect, chunks,
    open_chunks
FROM ledger_sources ORDER BY source
"""
_BROKEN = f"""
SELECT {_PLACE}, lines, in_events, dead_letters, ignored, open_joins, final FROM ledger_now
WHERE lines != in_events + dead_letters + arraySum(mapValues(ignored)) + open_joins OR (final AND open_joins != 0)
ORDER BY {_PLACE} LIMIT {_MOST}
"""  # noqa: S608 - our own names and number
_GAPS = f"""
SELECT {_PLACE}, before, first_offset FROM (
    SELECT {_PLACE}, first_offset, lagInFrame(end_offset, 1, toUInt64(0)) OVER (
        PARTITION BY source, timeline, generation ORDER BY chunk ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS before
    FROM ledger_now WHERE NOT startsWith(timeline, 'replay-')
) WHERE first_offset != before ORDER BY {_PLACE} LIMIT {_MOST}
"""  # noqa: S608 - likewise
_DEAD = "SELECT log_source AS source, count() AS rows FROM dead_letters FINAL WHERE stage = 'normalise' GROUP BY source"


@dataclass(slots=True)
class Audited:
    """One source; counts of the ledger, but for the stored ones, which are rows in ClickHouse.

    Deleted ones are rows that retention took out and counted.
    """

    source: str
    type: str = ""
    lines: int = 0
    in_events: int = 0
    dead_letters: int = 0
    ignored: dict[str, int] = field(default_factory=dict)
    open_joins: int = 0
    events: int = 0
    late: int = 0
    time_suspect: int = 0
    chunks: int = 0
    open_chunks: int = 0
    events_stored: int = 0
    dead_letters_stored: int = 0
    events_deleted: int = 0
    dead_letters_deleted: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def decided(self) -> int:
        """Lines of which it is known what became of them, or that are held."""
        return self.in_events + self.dead_letters + sum(self.ignored.values()) + self.open_joins

    def judge(self) -> None:
        """Note what does not agree."""
        if self.lines != self.decided:
            self.problems.append(f"{self.lines} lines were read, {self.decided} are accounted for")
        for what, told, stored, gone in (
            ("events", self.events, self.events_stored, self.events_deleted),
            ("dead letters", self.dead_letters, self.dead_letters_stored, self.dead_letters_deleted),
        ):
            if told != stored + gone:
                besides = f", {gone} were deleted for their age" if gone else ""
                self.problems.append(f"the ledger says {told} {what}, ClickHouse holds {stored}{besides}")


def run(config: Path | None, data: Path | None, *, as_json: bool) -> None:
    """Print the audit; end with 1 where the law of conservation or the unmask log does not hold.

    Raises:
        ServerError: ClickHouse does not answer, or has not our tables.
    """
    chosen = choose(config, data)
    store = Store(dsn_of(chosen))
    try:
        sources = audited(store)
        requests, broken = unmask_audited(store, _keys(chosen))
    finally:
        store.close()
    holds = not any(s.problems for s in sources) and not broken
    if as_json:
        log = {"entries": requests, "problems": broken}
        json_line({"holds": holds, "sources": [asdict(s) for s in sources], "unmask_log": log})
    else:
        _show(sources)
        for problem in broken:
            talk(printable(f"unmask log: {problem}"))
        if requests and not broken:
            talk(f"the unmask log holds: {requests} entries")
    if not sources:
        warn("the ledger is empty: nothing has been read yet")
    if not holds:
        raise typer.Exit(FINDINGS)


def audited(store: Store) -> list[Audited]:
    """Every source, with its problems, by name."""
    found: dict[str, Audited] = {}
    for row in store.rows(_TOTALS):
        row["type"] = row.pop("log_type")
        row["ignored"] = _ignored(row["ignored"])
        found[row["source"]] = Audited(**row)
    for kind in EventKind:
        # A partition's rows merge on reading: an id that stands twice is counted twice and shows.
        query = f"SELECT log_source AS source, count() AS rows FROM events_{kind.value} FINAL GROUP BY source"  # noqa: S608
        for source, rows in _counts(store.rows(query)):
            found.setdefault(source, Audited(source)).events_stored += rows
    for source, rows in _counts(store.rows(_DEAD)):
        found.setdefault(source, Audited(source)).dead_letters_stored += rows
    for row in store.rows(DELETED):
        if row["table_name"] in EVENTS:
            found.setdefault(row["source"], Audited(row["source"])).events_deleted += int(row["deleted"])
        elif row["table_name"] == "dead_letters":
            found.setdefault(row["source"], Audited(row["source"])).dead_letters_deleted += int(row["deleted"])
    for source, problem in _of_chunks(store):
        found[source].problems.append(problem)
    for one in found.values():
        one.judge()
    return [found[name] for name in sorted(found)]


def _keys(chosen: Chosen) -> Path | None:
    try:
        return chosen.config.privacy.keys(chosen.config.data)
    except ConfigError:
        return None


def _ignored(summed: Any) -> dict[str, int]:
    """A summed map as a dict: newer servers give a map, older ones a pair of arrays."""
    pairs: Iterable[tuple[str, int]] = summed.items() if isinstance(summed, Mapping) else zip(*summed, strict=True)
    return {str(reason): int(lines) for reason, lines in sorted(pairs)}


def _counts(rows: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, int]]:
    return [(str(row["source"]), int(row["rows"])) for row in rows]


def _of_chunks(store: Store) -> Iterable[tuple[str, str]]:
    for row in store.rows(_BROKEN):
        decided = row["in_events"] + row["dead_letters"] + sum(row["ignored"].values())
        state = "closed" if row["final"] else "open"
        told = f"{row['lines']} lines, {decided} decided, {row['open_joins']} held"
        yield row["source"], f"{state} chunk {row['generation']}/{row['chunk']}: {told}"
    for row in store.rows(_GAPS):
        where = f"{row['generation']}/{row['chunk']}"
        yield (
            row["source"],
            f"chunk {where} starts at byte {row['first_offset']}, the one before ends at {row['before']}",
        )


def _show(sources: Iterable[Audited]) -> None:
    columns = ("source", "lines", "in events", "dead letters", "ignored", "open joins", "events", "stored", "holds")
    kept = list(sources)
    table(
        columns,
        [
            (
                *(s.source, s.lines, s.in_events, s.dead_letters, sum(s.ignored.values()), s.open_joins),
                *(s.events, s.events_stored, not s.problems),
            )
            for s in kept
        ],
    )
    for one in kept:
        for problem in one.problems:
            talk(printable(f"{one.source}: {problem}"))
    if kept:
        talk("the law of conservation holds" if not any(s.problems for s in kept) else "it does NOT hold")
