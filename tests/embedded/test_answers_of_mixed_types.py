"""An answer that the driver cannot read is an error at once; elsewhere it was taken for a lost connection, for ever."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from agents.sinks.clickhouse import ClickHouse
from infra.cli.store import Store
from schemas.errors import RetryableError, ServerError
from tests.embedded.servers_fixture import RunningServers

pytestmark = pytest.mark.servers
MIXED = "SELECT toInt64(1) AS x UNION ALL SELECT toFloat64(2.5) AS x"


@pytest.fixture
def store(embedded_servers: RunningServers) -> Iterator[ClickHouse]:
    """Gives up waiting in the end, so that a failure of these tests is no hanging."""
    stop = threading.Event()
    timer = threading.Timer(20, stop.set)
    timer.start()
    made = ClickHouse(embedded_servers.endpoints.clickhouse, stop)
    yield made
    timer.cancel()
    made.close()


def test_whole_numbers_and_others_in_one_column_are_an_error_that_names_the_type(store: ClickHouse) -> None:
    with pytest.raises(ServerError, match=r"Variant\(Float64, Int64\).*toFloat64") as caught:
        store.execute(MIXED)
    assert not isinstance(caught.value, RetryableError)
    assert store.execute("SELECT 1") == [(1,)]


def test_the_same_with_one_type_is_answered(store: ClickHouse) -> None:
    one_type = f"SELECT toFloat64(x::Nullable(Float64)) AS x FROM ({MIXED}) ORDER BY x"  # noqa: S608 - our own text
    assert store.execute(one_type) == [(1.0,), (2.5,)]


def test_values_that_do_not_fit_a_table_are_an_error_and_not_tried_again(store: ClickHouse) -> None:
    store.execute("CREATE TEMPORARY TABLE numbers_only (n Int64)")
    with pytest.raises(ServerError, match="do not fit") as caught:
        store.execute("INSERT INTO numbers_only VALUES", [("no number",)], types_check=True)
    assert not isinstance(caught.value, RetryableError)


def test_the_command_says_so_too(embedded_servers: RunningServers) -> None:
    asked = Store(embedded_servers.endpoints.clickhouse)
    with pytest.raises(ServerError, match=r"Variant\(Float64, Int64\).*toFloat64"):
        asked.rows(MIXED)
    asked.close()
