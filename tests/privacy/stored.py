"""A simulated day in a database of its own, by the road of persist, and the same day as it was logged."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
from clickhouse_driver import Client

from agents.build import district_of, inventory_of, judge_of
from agents.delivery.persist import PersistStages
from agents.delivery.stage import Message, Stage
from agents.engine.episodes import Records
from agents.engine.pipeline import Pipeline, last_versions
from agents.privacy import keys
from agents.privacy.live import LiveNames
from agents.rules.loader import load_rules
from agents.sinks.clickhouse import ClickHouse
from infra.clickhouse.migrate import migrate
from infra.config import load
from infra.simulate import simulate
from schemas.kinds import DEAD_LETTERS, LEDGER, VIOLATIONS, EventKind
from schemas.records import encode_record
from streams.road import deliveries
from tests.embedded.servers_fixture import RunningServers

_KINDS = {kind.topic: kind for kind in EventKind}


@dataclass
class Stored:
    """A database, its configuration, and what was logged."""

    store: ClickHouse
    config: Path
    dsn: str
    frames: dict[EventKind, pl.DataFrame] = field(default_factory=dict)
    violations: Records = field(default_factory=list)

    @property
    def keys(self) -> Path:
        return self.config.parent / "aupstream.keys"

    def analyst(self, servers: RunningServers) -> Client:
        """A connection as the embedded server's analyst, in this database."""
        place = self.dsn.rpartition("@")[2]
        return Client.from_url(f"clickhouse://analyst:{servers.password('analyst')}@{place}")

    def column(self, kind: EventKind, name: str) -> set[str]:
        """What was logged in a column, lists taken apart."""
        values = self.frames[kind][name].drop_nulls()
        values = values.explode() if values.dtype == pl.List(pl.String) else values
        return {v for v in values.drop_nulls().to_list() if v}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """As the owner."""
        found: list[tuple[Any, ...]] = self.store.execute(query)
        return found


@contextmanager
def database(servers: RunningServers, folder: Path) -> Iterator[Stored]:
    """A database with our tables, a simulated day's configuration and keys."""
    simulate(3, 4_000, folder)
    name = servers.fresh_name("privacy")
    server = ClickHouse(servers.endpoints.clickhouse, threading.Event())
    server.execute(f"CREATE DATABASE {name}")
    dsn = servers.endpoints.clickhouse.rpartition("/")[0] + f"/{name}"
    config = folder / "aupstream.toml"
    more = f'\n[kafka]\nbootstrap = "{servers.endpoints.kafka}"\n[clickhouse]\ndsn = "{dsn}"\n'
    config.write_text(config.read_text() + more)
    store = ClickHouse(dsn, threading.Event())
    migrate(store)
    made = Stored(store, config, dsn)
    keys.ensure(made.keys)
    yield made
    store.close()
    server.execute(f"DROP DATABASE {name}")
    server.close()


def fill(made: Stored) -> None:
    """Let persist store the day: events, dead letters, ledger, violations."""
    config = load(made.config)
    district = district_of(config.district)
    pipeline = Pipeline(load_rules(), district, inventory_of(config.district), judge_of(config.district, district))
    stages = PersistStages(made.dsn, threading.Event(), LiveNames(made.keys, district))
    used: dict[tuple[str, int], Stage] = {}
    offset, parts = 0, dict[EventKind, list[pl.DataFrame]]()
    for headers, frame, message in deliveries(
        config.collectors(), now_us=1_900_000_000_000_000, today=date(2030, 1, 1)
    ):
        kind = _KINDS.get(message.topic)
        if headers is not None and frame is not None and kind is not None:
            pipeline.take(kind, frame, earliest=headers.earliest)
            parts.setdefault(kind, []).append(frame)
        if message.topic in (*_KINDS, DEAD_LETTERS, LEDGER):
            stage = used.setdefault((message.topic, 0), stages(message.topic, 0))
            sent = () if headers is None else headers.to_kafka()
            stage.handle(Message(message.topic, 0, offset, message.value, sent, None))
            offset += 1
    made.frames = {kind: pl.concat(found, how="diagonal_relaxed") for kind, found in parts.items()}
    records = pipeline.finish()
    stage = used.setdefault((VIOLATIONS, 0), stages(VIOLATIONS, 0))
    for n, record in enumerate(records):
        stage.handle(Message(VIOLATIONS, 0, n, encode_record("violation", record), (), None))
    for now_s in (1.0, 2.0, 3.0):
        for stage in used.values():
            stage.tick(now_s)
    made.violations = last_versions(records)


def as_text(value: object) -> str:
    """Everything that is in rows, for looking for names."""
    return json.dumps(value, ensure_ascii=False, default=str)
