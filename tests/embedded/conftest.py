from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from clickhouse_driver import Client

from tests.embedded.servers_fixture import RunningServers, embedded_servers

__all__ = ["embedded_servers"]


@pytest.fixture
def client(embedded_servers: RunningServers) -> Iterator[Any]:
    """A driver client in a database of its own."""
    database = embedded_servers.fresh_name("db")
    with Client.from_url(embedded_servers.endpoints.clickhouse) as made:
        made.execute(f"CREATE DATABASE {database}")
        made.execute(f"USE {database}")
        made.test_database = database
        yield made
        made.disconnect()
        made.execute(f"DROP DATABASE {database}")
