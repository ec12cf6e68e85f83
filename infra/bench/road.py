"""The whole road, measured: from the first line read to the last row that can be queried."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clickhouse_driver import Client
from kafka import KafkaConsumer, TopicPartition

from agents.settings import AGENTS
from infra.bench.usage import Sampler
from infra.config import load
from infra.run.system import System
from schemas.errors import ServerError
from schemas.kinds import SOURCES, EventKind

LOOK_S = 0.1  # every look costs ClickHouse some milliseconds of what is measured
READY_WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the whole road.

    Attributes:
        seconds: From the first line read to the last row.
        exact: Events and violations are those that were expected.
        peak_rss_mb: By process.
        cpu_s: Seconds of processor time by process.
        kafka_bytes: Of the event topics' logs on disk.
    """

    seconds: float
    exact: bool
    peak_rss_mb: Mapping[str, float]
    cpu_s: Mapping[str, float]
    kafka_bytes: int


@contextmanager
def started(
    config_file: Path, data: Path, say: Callable[[str], None], agents: Sequence[str] = AGENTS
) -> Iterator[System]:
    """Servers and agents, ready; collectors not started. Everything is stopped at the end.

    Raises:
        AupstreamError: something cannot be started.
    """
    shutil.rmtree(data, ignore_errors=True)
    config = load(config_file).model_copy(update={"data": data})
    system = System(config, config_file, say)
    try:
        system.start(agents=agents, collectors=False)
        await_(system.ready, system, "the agents are not ready", READY_WITHIN_S)
        yield system
    finally:
        system.stop()


def measure(config_file: Path, data: Path, expected: Mapping[str, Any], say: Callable[[str], None]) -> Run:
    """Start everything, read the logs, wait for the last row.

    Args:
        config_file: Its sources are read once.
        data: Folder for servers and state; emptied first.
        expected: As `infra.bench.expected` gives it.
        say: Told what is being done.

    Raises:
        ServerError: the rows did not come in time.
    """
    with started(config_file, data, say) as system:
        lines = sum(expected["events"].values())
        with Sampler(lambda: pids(system)) as usage:
            system.start_collectors()
            ended = _watch(system, expected, within_s=60 + lines / 1_000)
        began = reading_began(system.kafka)
        exact = _exact(system, expected)
        return Run(ended - began, exact, usage.peak_mb, usage.cpu_s, kafka_bytes(data))


def pids(system: System) -> dict[str, int]:
    """Every process of the road."""
    servers = {} if system.servers is None else system.servers.pids
    return {**servers, **system.processes.pids}


def reading_began(bootstrap: str) -> float:
    """Unix time at which the collectors registered their sources, just before they read the first line.

    Raises:
        ServerError: they did not.
    """
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, group_id=None)
    try:
        place = TopicPartition(SOURCES, 0)
        consumer.assign([place])
        consumer.seek_to_beginning(place)
        for records in consumer.poll(timeout_ms=10_000).values():
            return float(records[0].timestamp / 1_000)
        raise ServerError("no source is registered", where=SOURCES)
    finally:
        consumer.close()


def kafka_bytes(data: Path) -> int:
    """Bytes of the event topics' logs on the embedded broker's disk."""
    names = {kind.topic for kind in EventKind}
    logs = (data / "servers").rglob("*.log")
    return sum(p.stat().st_size for p in logs if p.parent.name.rpartition("-")[0] in names)


def _watch(system: System, expected: Mapping[str, Any], within_s: float) -> float:
    """Wait until all rows are there; the Unix time at which they were."""
    client = Client.from_url(system.clickhouse)
    deadline = time.monotonic() + within_s
    wanted = sum(expected["events"].values())
    try:
        while time.monotonic() < deadline:
            if count(client) >= wanted and not _missing(client, expected["violations"]):
                return time.time()
            must_run(system)
            time.sleep(LOOK_S)
    finally:
        client.disconnect()
    raise ServerError(
        f"not everything came within {within_s:.0f} s: left are {json.dumps(system.drain().left())}",
        where=str(system.paths.folder),
        hint=f"look into the logs in {system.paths.logs}",
    )


def count(client: Client, database: str = "") -> int:
    """Rows of events in a database (empty: the connection's), repeats that are not merged yet counted twice."""
    found = client.execute(
        "SELECT sum(rows) FROM system.parts WHERE active AND startsWith(table, 'events_')"
        " AND database = if(%(name)s = '', currentDatabase(), %(name)s)",
        {"name": database},
    )
    return int(found[0][0])


def _missing(client: Client, violations: Mapping[str, int]) -> bool:
    there = {(i, int(v)) for i, v in client.execute("SELECT id, max(version) FROM violations GROUP BY id")}
    return bool(violations.items() - there)


def _exact(system: System, expected: Mapping[str, Any]) -> bool:
    """Each event once, and no violation that was not expected."""
    client = Client.from_url(system.clickhouse)
    try:
        for kind, events in expected["events"].items():
            rows = client.execute(f"SELECT count(), uniqExact(event_id) FROM events_{kind}")[0]  # noqa: S608
            if tuple(rows) != (events, events):
                return False
        found = client.execute("SELECT id, version FROM violations_now")
        return {i: int(v) for i, v in found} == dict(expected["violations"])
    finally:
        client.disconnect()


def await_(condition: Callable[[], bool], system: System, what: str, within_s: float) -> None:
    """Look until a condition holds.

    Raises:
        ServerError: it did not in time, or a process ended meanwhile.
    """
    deadline = time.monotonic() + within_s
    while not condition():
        must_run(system)
        if time.monotonic() > deadline:
            raise ServerError(f"{what} after {within_s:.0f} s", hint=f"look into the logs in {system.paths.logs}")
        time.sleep(LOOK_S)


def must_run(system: System) -> None:
    """A process that ended before its work is done is an error: what is measured would include its restart."""
    failed = [s for s in system.poll() if "ended" in s and "ended with 0 (" not in s]  # 0 and no word of a restart
    if failed:
        raise ServerError("; ".join(failed), hint=f"look into the logs in {system.paths.logs}")
