"""clickhouse-driver, unchanged, against the embedded ClickHouse: what goes in comes out."""

from __future__ import annotations

import datetime as dt
import ipaddress
import uuid
from decimal import Decimal
from typing import Any

import pytest
from clickhouse_driver import Client
from clickhouse_driver.errors import ServerException

from tests.embedded.servers_fixture import RunningServers

pytestmark = pytest.mark.servers

UTC = dt.UTC
MOMENT = dt.datetime(2025, 9, 3, 7, 59, 59, 123456, tzinfo=UTC)

ROUND_TRIPS: list[tuple[str, list[Any]]] = [
    ("String", ["", "a", "ü" * 200, "line\nfeed\ttab'quote\\", "x" * 70_000]),
    ("LowCardinality(String)", ["a", "b", "a", "", "a"]),
    ("LowCardinality(Nullable(String))", ["a", None, "a", ""]),
    ("Nullable(String)", [None, "", "x"]),
    ("Nullable(UInt64)", [None, 0, 2**64 - 1]),
    ("DateTime64(6, 'UTC')", [MOMENT, dt.datetime(1970, 1, 1, tzinfo=UTC)]),
    ("Nullable(DateTime64(3, 'Europe/Berlin'))", [None]),
    ("DateTime('UTC')", [MOMENT.replace(microsecond=0)]),
    ("Date", [dt.date(2025, 9, 3)]),
    ("Date32", [dt.date(1925, 9, 3)]),
    ("UInt8", [0, 255]),
    ("UInt16", [0, 65_535]),
    ("UInt32", [0, 2**32 - 1]),
    ("UInt64", [0, 2**64 - 1]),
    ("UInt128", [0, 2**128 - 1]),
    ("Int8", [-128, 127]),
    ("Int16", [-(2**15), 2**15 - 1]),
    ("Int32", [-(2**31), 2**31 - 1]),
    ("Int64", [-(2**63), 2**63 - 1]),
    ("Float64", [0.0, -1.5, 1e300]),
    ("Float32", [0.5]),
    ("Decimal(18, 4)", [Decimal("12345.6789")]),
    ("Bool", [True, False]),
    ("UUID", [uuid.UUID(int=7), uuid.UUID("12345678-9abc-def0-1234-56789abcdef0")]),
    ("IPv4", [ipaddress.IPv4Address("10.1.2.3")]),
    ("IPv6", [ipaddress.IPv6Address("2001:db8::1"), ipaddress.IPv6Address("::ffff:10.0.0.1")]),
    ("Enum8('violation' = 1, 'permitted' = 2)", ["violation", "permitted"]),
    ("FixedString(4)", ["abcd", "efgh"]),
    ("Array(String)", [[], ["a"], ["a", "b", "c" * 300]]),
    ("Array(Array(UInt32))", [[], [[]], [[1], [2, 3]]]),
    ("Array(LowCardinality(String))", [["a", "b"], [], ["a"]]),
    ("Array(Nullable(Int32))", [[1, None], []]),
    ("Map(String, String)", [{}, {"a": "b", "c": "d"}]),
    ("Map(LowCardinality(String), UInt64)", [{"a": 1}, {}]),
    ("Tuple(UInt8, String)", [(1, "a")]),
    ("Tuple(a UInt8, b Array(String))", [(1, ["x"])]),
]


@pytest.mark.parametrize(("kind", "values"), ROUND_TRIPS, ids=[kind for kind, _ in ROUND_TRIPS])
def test_values_come_back_as_they_went_in(client: Any, kind: str, values: list[Any]) -> None:
    client.execute(f"CREATE TABLE t (n UInt32, v {kind}) ENGINE = MergeTree ORDER BY n")
    assert client.execute("INSERT INTO t VALUES", list(enumerate(values))) == len(values)
    rows, types = client.execute("SELECT v FROM t ORDER BY n", with_column_types=True)
    assert [row[0] for row in rows] == values
    assert types == [("v", kind)]


def test_json_comes_back_as_documents(client: Any) -> None:
    client.execute("CREATE TABLE t (n UInt32, v JSON) ENGINE = MergeTree ORDER BY n")
    client.execute("""INSERT INTO t SELECT 1, '{"a": {"b": 1}, "c": ["x"]}'""")
    assert client.execute("SELECT v FROM t") == [({"a": {"b": 1}, "c": ["x"]},)]
    assert client.execute("SELECT v.a.b::Int64 FROM t") == [(1,)]


def test_an_empty_result_has_its_columns(client: Any) -> None:
    rows, types = client.execute("SELECT 1 AS a, toDateTime64(0, 6, 'UTC') AS b WHERE 0", with_column_types=True)
    assert rows == []
    assert types == [("a", "UInt8"), ("b", "DateTime64(6, 'UTC')")]


def test_an_empty_result_of_a_comment_at_the_end(client: Any) -> None:
    assert client.execute("SELECT 1 AS a WHERE 0 -- nothing", with_column_types=True)[1] == [("a", "UInt8")]


def test_a_big_result_comes_in_blocks_and_whole(client: Any) -> None:
    total = blocks = 0
    for row in client.execute_iter("SELECT number, repeat('x', 100) FROM numbers(1000000)", chunk_size=50_000):
        blocks += 1
        total += sum(number for number, _ in row)
    assert total == 999_999 * 500_000
    assert blocks == 20


def test_columnar_inserts_of_many_blocks(client: Any) -> None:
    client.execute("CREATE TABLE t (a UInt64, b String) ENGINE = MergeTree ORDER BY a")
    columns: list[list[Any]] = [list(range(300_000)), [f"word {n}" for n in range(300_000)]]
    client.execute("INSERT INTO t VALUES", columns, columnar=True, settings={"insert_block_size": 50_000})
    assert client.execute("SELECT count(), sum(a), sum(length(b)) FROM t") == [
        (300_000, 299_999 * 150_000, sum(map(len, columns[1])))
    ]


def test_an_insert_names_its_columns_in_any_order(client: Any) -> None:
    client.execute("CREATE TABLE t (a UInt8, b String DEFAULT 'd', c UInt8 MATERIALIZED a + 1) ENGINE = Memory")
    client.execute("INSERT INTO t (b, a) VALUES", [("x", 1)])
    client.execute("INSERT INTO t (a) VALUES", [(2,)])
    client.execute("INSERT INTO t VALUES", [(3, "y")])
    client.execute("INSERT INTO t (* EXCEPT b) VALUES", [(4,)])
    rows = client.execute("SELECT a, b, c FROM t ORDER BY a")
    assert rows == [(1, "x", 2), (2, "d", 3), (3, "y", 4), (4, "d", 5)]


def test_inline_values_and_insert_select(client: Any) -> None:
    client.execute("CREATE TABLE t (a UInt8, b String) ENGINE = Memory")
    client.execute("INSERT INTO t VALUES (1, 'VALUES'), (2, ';')")
    client.execute("INSERT INTO t SELECT number, 'FORMAT' FROM numbers(3)")
    assert client.execute("SELECT count() FROM t") == [(5,)]


def test_a_format_clause_is_the_clients_business(client: Any) -> None:
    assert client.execute("SELECT 1 AS a, 'FORMAT JSON' AS b FORMAT JSON;") == [(1, "FORMAT JSON")]


def test_statements_that_are_no_select(client: Any) -> None:
    client.execute("CREATE TABLE t (a UInt8) ENGINE = Memory")
    assert client.execute("SHOW TABLES") == [("t",)]
    assert client.execute("EXISTS TABLE t") == [(1,)]
    assert client.execute("DESCRIBE TABLE t")[0][:2] == ("a", "UInt8")
    assert "CREATE TABLE" in client.execute("SHOW CREATE TABLE t")[0][0]
    assert client.execute("SHOW TABLES LIKE 'nothing'") == []
    client.execute("DROP TABLE t")
    assert client.execute("SHOW TABLES") == []


def test_settings_of_a_query_hold_for_it_alone(client: Any) -> None:
    setting = "SELECT getSetting('max_threads')"
    client.execute("SET max_threads = 3")
    assert client.execute(setting, settings={"max_threads": 1}) == [(1,)]
    assert client.execute(setting) == [(3,)]
    client.execute("SET max_threads = 4", settings={"max_threads": 1})
    assert client.execute(setting) == [(4,)]


def test_a_query_of_several_megabytes(client: Any) -> None:
    text = "x" * 6_000_000
    settings = {"max_query_size": 10_000_000}
    assert client.execute(f"SELECT length('{text}')", settings=settings) == [(6_000_000,)]


def test_compression_both_ways(embedded_servers: RunningServers) -> None:
    pytest.importorskip("lz4", reason="compression needs clickhouse-driver[lz4]")
    pytest.importorskip("clickhouse_cityhash", reason="compression needs clickhouse-driver[lz4]")
    table = embedded_servers.fresh_name()
    with Client.from_url(embedded_servers.endpoints.clickhouse + "?compression=lz4") as client:
        client.execute(f"CREATE TABLE {table} (a UInt64, b String) ENGINE = Memory")
        rows = [(n, "word " * (n % 50)) for n in range(100_000)]
        client.execute(f"INSERT INTO {table} VALUES", rows)
        assert client.execute(f"SELECT * FROM {table} ORDER BY a") == rows  # noqa: S608
        assert client.execute(f"SELECT * FROM {table} WHERE 0") == []  # noqa: S608


def test_external_tables(client: Any) -> None:
    table = {"name": "ext", "structure": [("x", "UInt8"), ("y", "String")], "data": [{"x": 1, "y": "a"}]}
    assert client.execute("SELECT * FROM ext", external_tables=[table]) == [(1, "a")]
    assert client.execute("SELECT y FROM ext", external_tables=[table]) == [("a",)]


def test_the_time_zone_of_a_datetime_is_kept(client: Any) -> None:
    rows, types = client.execute("SELECT 1 AS a, toDateTime(0, 'Europe/Berlin') AS b, 's' AS c", with_column_types=True)
    assert types == [("a", "UInt8"), ("b", "DateTime('Europe/Berlin')"), ("c", "String")]
    assert rows[0][1].utcoffset() == dt.timedelta(hours=1)


def test_totals_and_extremes_come_beside_the_result(client: Any) -> None:
    query = "SELECT number % 3 AS k, count() AS c, 'x' AS s FROM numbers(10) GROUP BY k WITH TOTALS ORDER BY k"
    assert client.execute(query) == [(0, 4, "x"), (1, 3, "x"), (2, 3, "x"), (0, 10, "x")]
    rows = client.execute("SELECT number FROM numbers(3)", settings={"extremes": 1})
    assert rows == [(0,), (1,), (2,), (0,), (2,)]
    assert client.execute("SELECT number FROM numbers(3)") == [(0,), (1,), (2,)]


def test_a_query_may_ask_to_be_read_only(client: Any) -> None:
    assert client.execute("SELECT 1", settings={"readonly": 1}) == [(1,)]
    with pytest.raises(ServerException, match="readonly mode"):
        client.execute("CREATE TABLE t (a UInt8) ENGINE = Memory", settings={"readonly": 1})
    client.execute("CREATE TABLE t (a UInt8) ENGINE = Memory")
