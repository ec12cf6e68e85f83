"""Databases of one test's own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from agents.sinks.clickhouse import ClickHouse
from infra.clickhouse.migrate import migrate
from tests.embedded.servers_fixture import RunningServers


@contextmanager
def events_database(servers: RunningServers) -> Iterator[ClickHouse]:
    """A database with all tables, which is dropped in the end."""
    name = servers.fresh_name("events")
    server = ClickHouse(servers.endpoints.clickhouse, threading.Event())
    server.execute(f"CREATE DATABASE {name}")
    store = ClickHouse(servers.endpoints.clickhouse.rpartition("/")[0] + f"/{name}", threading.Event())
    migrate(store)
    try:
        yield store
    finally:
        store.close()
        server.execute(f"DROP DATABASE {name}")
        server.close()
