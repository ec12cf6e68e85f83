"""Holds what a run left behind against what the oracle says: violations by id and content, lines by the ledger."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.sinks.clickhouse import utc
from schemas.kinds import EventKind
from tests.chaos.oracle import Wanted, found_in
from tests.road.stored import Stored

SHOWN = 5  # of each sort of mistake


@dataclass
class Outcome:
    """Figures of a run; all but `expected` should be 0.

    Attributes:
        expected: Violations that the oracle finds.
        missing: Of them not on the topic or not in ClickHouse.
        extra: On the topic or in ClickHouse, and not the oracle's.
        different: Of another content.
        duplicates: Ids that ClickHouse's current view has twice, versions with two contents, rows stored twice.
        lines_unaccounted: Lines that the ledger does not account for, or not as they are stored.
        mistakes: Some of each, in words.
    """

    expected: int = 0
    missing: int = 0
    extra: int = 0
    different: int = 0
    duplicates: int = 0
    lines_unaccounted: int = 0
    mistakes: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """True where nothing is wrong."""
        return not (self.missing or self.extra or self.different or self.duplicates or self.lines_unaccounted)

    def figures(self) -> dict[str, int]:
        """As they are printed."""
        names = ("expected", "missing", "extra", "different", "duplicates", "lines_unaccounted")
        return {name: getattr(self, name) for name in names}

    def note(self, what: str, where: str, found: list[str]) -> int:
        """Keep some mistakes in words; how many there are."""
        self.mistakes += [f"{what} {where}: {text}" for text in found[:SHOWN]]
        return len(found)


def outcome(stored: Stored, wanted: Wanted) -> Outcome:
    """Ask topic, ClickHouse and ledger."""
    result = Outcome(expected=len(wanted.violations))
    _topic(result, stored, wanted.violations)
    _view(result, stored, wanted.violations)
    _lines(result, stored, wanted)
    return result


def _topic(result: Outcome, stored: Stored, wanted: Mapping[str, tuple[Any, ...]]) -> None:
    versions: dict[tuple[str, int], dict[str, Any]] = {}
    twice = [
        f"{record['id']} version {record['version']} has two contents"
        for record in stored.records()
        if versions.setdefault((record["id"], record["version"]), record) != record
    ]
    newest: dict[str, dict[str, Any]] = {}
    for (one, version), record in versions.items():
        if one not in newest or newest[one]["version"] < version:
            newest[one] = record
    result.duplicates += result.note("duplicate", "on the topic", twice)
    _held(result, "on the topic", {one: found_in(record) for one, record in newest.items()}, wanted)


def _view(result: Outcome, stored: Stored, wanted: Mapping[str, tuple[Any, ...]]) -> None:
    """What security staff see; columns of the record but for its evidence, which is a table of its own."""
    rows = stored.rows(
        "SELECT id, rule_id, group_key, status, first_seen, last_seen, count, value FROM violations_now ORDER BY id"
    )
    evidence = dict(stored.rows("SELECT violation_id, count() FROM evidence_now GROUP BY 1"))
    counted = Counter(row[0] for row in rows)
    twice = [f"{one} {number} times" for one, number in counted.items() if number > 1]
    result.duplicates += result.note("duplicate", "in ClickHouse", twice)
    seen = {row[0]: (*row[1:], evidence.get(row[0], 0)) for row in rows}
    asked = {one: _row(content) for one, content in wanted.items()}
    _held(result, "in ClickHouse", seen, asked)


def _row(content: tuple[Any, ...]) -> tuple[Any, ...]:
    rule, key, status, _, first, last, _, _, count, value, events, _, _ = content
    return rule, _parsed(key), status, utc(first), utc(last), count, value, len(events)


def _parsed(key: str) -> dict[str, str]:
    parsed: dict[str, str] = json.loads(key)
    return parsed


def _held(result: Outcome, where: str, seen: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    missing = [f"{one} {wanted[one]}" for one in sorted(wanted.keys() - seen.keys())]
    extra = [f"{one} {seen[one]}" for one in sorted(seen.keys() - wanted.keys())]
    common = sorted(seen.keys() & wanted.keys())
    different = [f"{one} {seen[one]} in place of {wanted[one]}" for one in common if seen[one] != wanted[one]]
    result.missing = max(result.missing, result.note("missing", where, missing))
    result.extra = max(result.extra, result.note("extra", where, extra))
    result.different = max(result.different, result.note("different", where, different))


def _lines(result: Outcome, stored: Stored, wanted: Wanted) -> None:
    ledger = stored.ledger()
    wrong = []
    for name, lines in wanted.lines.items():
        source = ledger.get(name)
        read = 0 if source is None else source.lines
        if read != lines:
            wrong += [f"{name}: {read} lines of {lines}"]
            result.lines_unaccounted += abs(lines - read)
        if source is not None and source.decided != source.lines:
            wrong += [f"{name}: {source.decided} of {source.lines} lines are decided: {source}"]
            result.lines_unaccounted += abs(source.decided - source.lines)
        if source is not None and source.dead_letters != wanted.dead[name]:
            wrong += [f"{name}: {source.dead_letters} dead letters, {wanted.dead[name]} broken lines"]
            result.lines_unaccounted += abs(source.dead_letters - wanted.dead[name])
    stands = Counter[tuple[str, str]]()
    doubled = []
    for table, column in [*((f"events_{kind.value}", "events") for kind in EventKind), ("dead_letters",) * 2]:
        for name, (rows, ids) in stored.held(table).items():
            doubled += [f"{table}, {name}: {rows} rows of {ids} ids"] * (rows != ids)
            stands[name, column] += ids
    for name, source in ledger.items():
        for column in ("events", "dead_letters"):
            if stands[name, column] != getattr(source, column):
                wrong += [
                    f"{name}: {stands[name, column]} {column} are stored, the ledger says {getattr(source, column)}"
                ]
                result.lines_unaccounted += abs(stands[name, column] - getattr(source, column))
    result.duplicates += result.note("duplicate", "in ClickHouse", doubled)
    result.note("unaccounted", "by the ledger", wrong)
