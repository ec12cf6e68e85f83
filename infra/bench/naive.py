"""The naive pipeline, measured on servers of the same kind: what most teams would write first.

One JSON record a message, kafka-python's own batching, Faust agents with Faust's commits, the rules row by row. It is
given the same normalisers, a fast JSON codec, rows written by batches of thousands as the JSON they are, and as many
workers as there are cores for the topic that has nine tenths of the traffic, beside one for the rest.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clickhouse_driver import Client

from infra.bench import road
from infra.bench.naive_names import DATABASE, PARTITIONS, topic_of
from infra.bench.subprocesses import ENDED, ONE_THREAD, command
from infra.bench.usage import Sampler, machine
from infra.run.supervisor import Spec
from infra.run.system import ROOT, System
from infra.run.topics import Wanted, create
from schemas.kinds import EventKind


@dataclass(frozen=True, slots=True)
class Naive:
    """What came of it.

    Attributes:
        seconds: From the first line read until every event can be queried.
        violations: Rows that its rules made.
        cpu_s: Seconds of processor time by process.
    """

    seconds: float
    violations: int
    cpu_s: Mapping[str, float]


def measure(config_file: Path, data: Path, expected: Mapping[str, Any], say: Callable[[str], None]) -> Naive:
    """Start servers and workers, send the logs, wait for the last row.

    Args:
        config_file: Its sources are read once.
        data: Folder for servers and state; emptied first.
        expected: Its `events`, by kind.
        say: Told what is being done.

    Raises:
        ServerError: something cannot be started, or the rows did not come in time.
    """
    lines = sum(expected["events"].values())
    with road.started(config_file, data, say, agents=()) as system:
        _make_tables(system)
        _start_workers(system, config_file, data)
        client = Client.from_url(system.clickhouse)
        with Sampler(lambda: road.pids(system)) as usage:
            result = _start_producer(system, config_file, data)
            seen: dict[str, float] = {}
            road.await_(lambda: _all_there(client, lines, seen), system, "not every row is there", 60 + lines / 500)
            road.await_(lambda: _printed(result) is not None, system, "the producer has not ended", 60)
        printed = _printed(result) or {}
        found = client.execute(f"SELECT count() FROM {DATABASE}.violations")[0][0]  # noqa: S608  # our own name
        client.disconnect()
        return Naive(seen["at"] - printed["began"], int(found), usage.cpu_s)


def _make_tables(system: System) -> None:
    topics = {topic_of(kind): Wanted(PARTITIONS if kind is EventKind.PROXY else 1, {}) for kind in EventKind}
    create(system.kafka, topics, 1)
    client = Client.from_url(system.clickhouse)
    client.execute(f"CREATE DATABASE {DATABASE}")
    for kind in EventKind:
        client.execute(f"CREATE TABLE {DATABASE}.events_{kind.value} AS events_{kind.value}")
    columns = "rule_id String, group_key String, first_seen Float64"
    client.execute(f"CREATE TABLE {DATABASE}.violations ({columns}) ENGINE = MergeTree ORDER BY rule_id")
    client.disconnect()


def _start_workers(system: System, config_file: Path, home: Path) -> None:
    secret = home / "dsn"
    secret.touch(mode=0o600)
    secret.write_text(system.clickhouse)
    workers = [("rest", 0), *(("proxy", number) for number in range(int(machine()["cores"])))]
    for role, number in workers:
        argv = command("naive_agent", [role, number, config_file, system.kafka, secret, home])
        system.processes.start(Spec(f"naive-{role}-{number}", argv, ONE_THREAD, ROOT))
    ready = [home / f"{role}-{number}.ready" for role, number in workers]
    road.await_(lambda: all(p.exists() for p in ready), system, "the naive workers are not ready", 60)


def _start_producer(system: System, config_file: Path, home: Path) -> Path:
    """Start it; the file that it writes at its end."""
    result = home / "producer.json"
    argv = command("naive_producer", [config_file, system.kafka, result])
    system.processes.start(Spec("naive-producer", argv, ONE_THREAD, ROOT, final=ENDED))
    return result


def _printed(result: Path) -> dict[str, Any] | None:
    try:
        made: dict[str, Any] = json.loads(result.read_text())
    except (OSError, ValueError):
        return None
    return made


def _all_there(client: Client, wanted: int, seen: dict[str, float]) -> bool:
    """Every event has a row; `at` becomes the time at which that was seen."""
    if road.count(client, DATABASE) < wanted:
        return False
    seen["at"] = time.time()
    return True
