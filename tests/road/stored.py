"""What came out of a running system: read from ClickHouse and from the topics, and held against the laws."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from clickhouse_driver import Client
from kafka import KafkaConsumer, TopicPartition

from agents.engine.episodes import Records
from agents.engine.pipeline import last_versions
from agents.sinks.clickhouse import utc
from infra.run.system import System
from schemas.errors import CorruptBatchError
from schemas.kafkaaddress import kafka_options
from schemas.kinds import VIOLATIONS, EventKind
from schemas.records import decode_as, decode_record, encode_record


@dataclass(frozen=True)
class SourceLedger:
    """One source's sums over the newest versions of its chunks."""

    lines: int
    in_events: int
    events: int
    dead_letters: int
    open_joins: int
    ignored: Mapping[str, int]
    final: bool  # every chunk of it

    @property
    def decided(self) -> int:
        return self.in_events + self.dead_letters + self.open_joins + sum(self.ignored.values())


class Stored:
    """Answers of one system, while its servers run.

    Args:
        system: Started.
        passing_over: What is no record on the topic of violations is counted in `passed_over`, as consumers should.
    """

    def __init__(self, system: System, *, passing_over: bool = False) -> None:
        self._passing_over = passing_over
        self.passed_over = 0
        self._kafka = system.kafka
        self._client = Client.from_url(system.clickhouse)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """A query's rows."""
        found: list[tuple[Any, ...]] = self._client.execute(query)
        return found

    def number(self, query: str) -> int:
        """A query's one number."""
        return int(self.rows(query)[0][0])

    def ledger(self) -> dict[str, SourceLedger]:
        """By source."""
        found = self.rows(
            "SELECT source, sum(lines), sum(in_events), sum(events), sum(dead_letters), sum(open_joins), "
            "sumMap(ignored), min(final) FROM ledger_now GROUP BY source"
        )
        return {row[0]: SourceLedger(*row[1:]) for row in found}

    def held(self, table: str) -> dict[str, tuple[int, int]]:
        """Rows and distinct event ids of a table, by source; without what agents refused, which is no line of a log."""
        where = "stage = 'normalise'" if table == "dead_letters" else "1"
        query = f"SELECT log_source, count(), uniqExact(event_id) FROM {table} FINAL WHERE {where} GROUP BY log_source"  # noqa: S608  # names of our own
        return {source: (rows, ids) for source, rows, ids in self.rows(query)}

    def found(self) -> set[tuple[str, str, str]]:
        """Rule, group key as JSON and status of the violations as they now stand."""
        found = self.rows("SELECT rule_id, group_key, status FROM violations_now")
        return {(rule, json.dumps(key, sort_keys=True), status) for rule, key, status in found}

    def violations(self) -> Records:
        """Last versions on the topic, whole; asserts that the same id and version is the same record everywhere."""
        by_version: dict[tuple[str, int], dict[str, Any]] = {}
        for record in self.records():
            same = by_version.setdefault((record["id"], record["version"]), record)
            assert same == record, f"{record['id']} version {record['version']} has two contents"
        return last_versions(list(by_version.values()))

    def records(self) -> Iterable[dict[str, Any]]:
        """Every record on the topic of violations, in no order over partitions."""
        consumer = KafkaConsumer(**kafka_options(self._kafka), enable_auto_commit=False)
        try:
            places = [TopicPartition(VIOLATIONS, p) for p in consumer.partitions_for_topic(VIOLATIONS)]
            consumer.assign(places)
            consumer.seek_to_beginning(*places)
            ends = consumer.end_offsets(places)
            while any(consumer.position(place) < ends[place] for place in places):
                for batch in consumer.poll(timeout_ms=500).values():
                    for message in batch:
                        try:
                            yield decode_as("violation", message.value or b"")
                        except CorruptBatchError:
                            if not self._passing_over:
                                raise
                            self.passed_over += 1
        finally:
            consumer.close()

    def close(self) -> None:
        """Let go of the connection."""
        self._client.disconnect()


def assert_conserved(stored: Stored, lines: Mapping[str, int], *, ended: bool = True) -> None:
    """Every line of every source is decided exactly once, and ClickHouse holds what the ledger says, each row once.

    Args:
        stored: What came out.
        lines: Of every source.
        ended: The logs have ended: nothing may be open any more.
    """
    ledger, counted = stored.ledger(), Counter[tuple[str, str]]()
    read = {name: ledger[name].lines if name in ledger else None for name in ledger.keys() | lines.keys()}
    assert read == dict(lines), {name: (read[name], lines.get(name)) for name in read if read[name] != lines.get(name)}
    for name, source in ledger.items():
        assert source.decided == source.lines, (name, source)
        assert not ended or source.final, f"{name}: a chunk is not final"
        assert not ended or source.open_joins == 0, f"{name}: joins are open though the log has ended"
    for table, column in [*((f"events_{kind.value}", "events") for kind in EventKind), ("dead_letters",) * 2]:
        for name, (rows, ids) in stored.held(table).items():
            assert rows == ids, f"{table}, {name}: {rows} rows of {ids} ids"
            counted[name, column] += rows
    ledgers = {(name, c): getattr(source, c) for name, source in ledger.items() for c in ("events", "dead_letters")}
    assert counted == +Counter(ledgers)


def assert_same(stored: Stored, expected: Records) -> None:
    """The topic and ClickHouse have the expected violations in their last versions: all of them, no more, each once."""
    written = stored.violations()
    ids = {r["id"] for r in expected}
    assert {r["id"] for r in written} == ids, _difference(written, expected)
    for got, wanted in zip(written, expected, strict=True):
        assert decode_record(encode_record("violation", wanted))[1] == got, f"{wanted['rule_id']} {wanted['id']}"
    rows = stored.rows(
        "SELECT id, version, rule_id, status, group_key, first_seen, last_seen, count, value, permit "
        "FROM violations_now ORDER BY first_seen, id"
    )
    assert rows == [_row(r) for r in expected]  # as many rows as there are violations: none twice
    evidence = stored.rows("SELECT violation_id, count() FROM evidence_now GROUP BY 1")
    assert dict(evidence) == {r["id"]: len(r["evidence"]) for r in expected}


def _row(r: Mapping[str, Any]) -> tuple[Any, ...]:
    times = utc(r["first_seen"]), utc(r["last_seen"])
    return (
        *(r[k] for k in ("id", "version", "rule_id", "status", "group_key")),
        *times,
        *(r[k] for k in ("count", "value", "permit")),
    )


def _difference(written: Records, expected: Records) -> str:
    def names(records: Records, other: Records) -> list[str]:
        there = {r["id"] for r in other}
        return [f"{r['rule_id']} {r['group_key']} {r['status']}" for r in records if r["id"] not in there]

    return f"missing: {names(expected, written)}; unexpected: {names(written, expected)}"
