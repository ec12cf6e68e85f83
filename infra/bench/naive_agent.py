"""The naive pipeline's worker: `python -m infra.bench.naive_agent ROLE NUMBER CONFIG KAFKA DSN_FILE HOME`.

A Faust agent, record by record, with Faust's own commits. Rows go to ClickHouse as the very JSON that came, in batches.
Role `proxy` reads the proxy topic, together with others of its kind; role `rest` the other topics.
"""

from __future__ import annotations

import asyncio
import base64
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec
from clickhouse_driver import Client

from agents.build import district_of, inventory_of
from infra.bench.naive_names import DATABASE, topic_of
from infra.bench.naive_rules import Found, NaiveRules
from infra.config import load
from schemas.kinds import EventKind

ROLES = {"proxy": (EventKind.PROXY,), "rest": (EventKind.DHCP, EventKind.MAIL, EventKind.LOGIN)}
BATCH = 5_000
FLUSH_S = 0.5


class Store:
    """Rows on their way to ClickHouse. `flush` writes them; one at a time."""

    def __init__(self, dsn: str) -> None:
        self._client = Client.from_url(dsn)
        self._waiting: dict[str, list[bytes]] = defaultdict(list)
        self._found: list[Found] = []
        self._structure: dict[str, str] = {}
        self._lock = asyncio.Lock()

    def add(self, kind: str, value: bytes, found: list[Found]) -> bool:
        """Take a row and what it led to; True where it is time to write."""
        rows = self._waiting[kind]
        rows.append(value)
        self._found += found
        return len(rows) >= BATCH

    async def flush(self) -> None:
        """Write all that waits."""
        async with self._lock:
            waiting, self._waiting = self._waiting, defaultdict(list)
            found, self._found = self._found, []
            await asyncio.to_thread(self._write, waiting, found)

    def _write(self, waiting: dict[str, list[bytes]], found: list[Found]) -> None:
        for kind, values in waiting.items():
            table = f"{DATABASE}.events_{kind}"
            if kind not in self._structure:
                columns = self._client.execute(f"DESCRIBE TABLE {table}")
                self._structure[kind] = ", ".join(f"{c[0]} {c[1]}" for c in columns)
            body = base64.b64encode(b"\n".join(values)).decode()
            structure = self._structure[kind].replace("'", "\\'")
            self._client.execute(
                f"INSERT INTO {table} SELECT * FROM format('JSONEachRow', '{structure}', base64Decode('{body}'))",  # noqa: S608
                settings={
                    "max_query_size": len(body) + 20_000,
                    "max_threads": 1,
                    "date_time_input_format": "best_effort",
                },
            )
        if found:
            self._client.execute(f"INSERT INTO {DATABASE}.violations (rule_id, group_key, first_seen) VALUES", found)


def build(role: str, number: int, config_file: Path, bootstrap: str, dsn: str, home: Path) -> Any:
    """The Faust app."""
    import faust  # noqa: PLC0415  # reads sys.argv and replaces modules when it is imported: last of all

    config = load(config_file)
    rules = NaiveRules(district_of(config.district), inventory_of(config.district))
    store = Store(dsn)
    app = faust.App(
        f"naive-{role}",
        broker=f"kafka://{bootstrap}",
        store="memory://",
        value_serializer="raw",
        datadir=str(home / f"{role}-{number}"),
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=False,
    )
    topics = {topic_of(kind): kind.value for kind in ROLES[role]}
    source = app.topic(*topics, value_type=bytes)
    decode = msgspec.json.Decoder().decode

    @app.agent(source)
    async def judge(stream: Any) -> None:
        async for event in stream.events():
            kind = topics[event.message.topic]
            if store.add(kind, event.value, rules.feed(kind, decode(event.value))):
                await store.flush()

    @app.timer(FLUSH_S)  # type: ignore[untyped-decorator]  # Faust's app is untyped here
    async def flush() -> None:
        await store.flush()

    @app.on_rebalance_complete.connect(weak=False)
    async def assigned(*_: Any, **__: Any) -> None:
        (home / f"{role}-{number}.ready").touch()

    return app


def main(argv: list[str]) -> None:
    """Run until SIGTERM."""
    role, number, config, bootstrap, dsn_file, home = argv
    sys.argv = sys.argv[:1]
    app = build(role, int(number), Path(config), bootstrap, Path(dsn_file).read_text(), Path(home))
    import faust  # noqa: PLC0415  # see `build`

    faust.Worker(app, loglevel="warning").execute_from_commandline()


if __name__ == "__main__":
    main(sys.argv[1:])
