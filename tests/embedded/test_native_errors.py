"""Errors reach the client with ClickHouse's codes, and the connection goes on."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Any

import pytest
from clickhouse_driver import Client
from clickhouse_driver.errors import Error, ServerException

from tests.embedded.servers_fixture import RunningServers

pytestmark = pytest.mark.servers


def code_of(call: Any, *arguments: Any, **options: Any) -> int:
    with pytest.raises(ServerException) as caught:
        call(*arguments, **options)
    return int(caught.value.code)


def client_of(servers: RunningServers, **options: Any) -> Any:
    given = {"user": "aupstream", "password": servers.password(), "database": "aupstream", **options}
    return Client("127.0.0.1", port=servers.clickhouse_port, **given)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("SELEC 1", 62),
        ("hello", 62),
        ("", 62),
        ("SELECT 1; SELECT 2", 62),
        ("SELECT x", 47),
        ("SELECT * FROM no_such_table", 60),
        ("SELECT * FROM no_such_database.t", 81),
        ("SELECT throwIf(number = 200000) FROM numbers(300000)", 395),
        ("SET no_such_setting = 1", 115),
        ("USE no_such_database", 81),
        ("CREATE TABLE system.x (a UInt8) ENGINE = NoSuchEngine", 56),
    ],
)
def test_an_error_has_its_code_and_the_connection_goes_on(client: Any, query: str, code: int) -> None:
    connection = client.get_connection()
    assert code_of(client.execute, query) == code
    assert client.execute("SELECT 1") == [(1,)]
    assert client.get_connection() is connection


def test_the_message_names_the_error(client: Any) -> None:
    with pytest.raises(ServerException, match=r"DB::Exception: .*UNKNOWN_TABLE"):
        client.execute("SELECT * FROM no_such_table")


@pytest.mark.parametrize(("user", "password"), [("aupstream", "wrong"), ("aupstream", ""), ("nobody", "x"), ("", "")])
def test_a_wrong_password_is_refused(embedded_servers: RunningServers, user: str, password: str) -> None:
    with client_of(embedded_servers, user=user, password=password) as client:
        assert code_of(client.execute, "SELECT 1") == 516


def test_an_unknown_database_is_refused_at_the_door(embedded_servers: RunningServers) -> None:
    with client_of(embedded_servers, database="no_such_database") as client:
        assert code_of(client.execute, "SELECT 1") == 81


def test_an_unknown_setting_is_refused_only_if_important(client: Any) -> None:
    settings = {"no_such_setting": 1}
    assert client.execute("SELECT 1", settings=settings) == [(1,)]
    client.settings_is_important = True
    with client_of_same(client, settings_is_important=True) as strict:
        assert code_of(strict.execute, "SELECT 1", settings=settings) == 115
        assert strict.execute("SELECT 1") == [(1,)]


def client_of_same(client: Any, **options: Any) -> Any:
    host = client.connection.hosts[0]
    return Client(host[0], port=host[1], user=client.connection.user, password=client.connection.password, **options)


def test_a_failed_insert_leaves_the_connection_usable(client: Any) -> None:
    client.execute("CREATE TABLE t (a UInt8, CONSTRAINT small CHECK a < 200) ENGINE = MergeTree ORDER BY a")
    connection = client.get_connection()
    rows = [(n % 256,) for n in range(100_000)]
    assert code_of(client.execute, "INSERT INTO t VALUES", rows, settings={"insert_block_size": 1000}) == 469
    assert code_of(client.execute, "INSERT INTO no_such_table VALUES", [(1,)]) == 60
    assert code_of(client.execute, "INSERT INTO t (nope) VALUES", [(1,)]) in {16, 47}
    client.execute("INSERT INTO t VALUES", [(1,)])
    assert client.get_connection() is connection
    assert client.execute("SELECT count() FROM t WHERE a = 1")[0][0] >= 1


def test_a_client_that_leaves_in_the_middle_of_an_insert_stores_nothing_more(client: Any) -> None:
    client.execute("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
    with client_of_same(client) as leaver:
        table = f"{client.test_database}.t"

        def rows() -> Any:
            yield from ((n,) for n in range(5000))
            leaver.connection.socket.shutdown(socket.SHUT_RDWR)
            yield (1,)

        with pytest.raises((Error, OSError, EOFError)):
            leaver.execute(f"INSERT INTO {table} VALUES", rows(), settings={"insert_block_size": 10_000})
    assert client.execute("SELECT count() FROM t") == [(0,)]


def test_cancel_stops_a_query_and_the_connection_goes_on(client: Any) -> None:
    progress = client.execute_with_progress("SELECT sum(sipHash64(number)) FROM numbers(100000000000)")
    started = time.monotonic()
    client.cancel()
    assert time.monotonic() - started < 20
    del progress
    assert client.execute("SELECT 1") == [(1,)]


def test_cancel_works_whatever_the_client_has_set(client: Any) -> None:
    client.execute("SET log_comment = 'mine'")
    thread = threading.Timer(1.0, client.connection.send_cancel)
    progress = client.execute_with_progress("SELECT sum(sipHash64(number)) FROM numbers(100000000000)")
    thread.start()
    assert progress.get_result() == []
    thread.join()
    assert client.execute("SELECT 1") == [(1,)]


def test_a_query_whose_client_is_gone_is_killed(client: Any, embedded_servers: RunningServers) -> None:
    mark = embedded_servers.fresh_name("mark")
    with client_of(embedded_servers) as leaver:
        thread = threading.Thread(
            target=swallow,
            args=(leaver, f"SELECT sum(sipHash64(number)), '{mark}' FROM numbers(100000000000)"),  # noqa: S608
        )
        thread.start()
        running = (
            f"SELECT count() FROM system.processes WHERE query LIKE '%{mark}%' AND query NOT LIKE '%system.processes%'"  # noqa: S608
        )
        wait_until(lambda: client.execute(running) == [(1,)])
        leaver.connection.socket.shutdown(socket.SHUT_RDWR)
        wait_until(lambda: client.execute(running) == [(0,)])
        thread.join(10)


def swallow(client: Any, query: str) -> None:
    with contextlib.suppress(Error, OSError, EOFError):
        client.execute(query)


def wait_until(condition: Any, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_memory_of_a_query_is_bounded(client: Any) -> None:
    query = "SELECT groupArray(repeat('x', 1000)) FROM numbers(10000000)"
    assert code_of(client.execute, query, settings={"max_memory_usage": 100_000_000}) == 241
    assert client.execute("SELECT 1") == [(1,)]


def test_an_id_in_use_is_refused(client: Any) -> None:
    with client_of_same(client) as other:
        thread = threading.Thread(target=other.execute, args=("SELECT sleep(1.5)",), kwargs={"query_id": "same"})
        thread.start()
        running = "SELECT count() FROM system.processes WHERE query LIKE 'SELECT sleep%'"
        wait_until(lambda: client.execute(running) == [(1,)])
        assert code_of(client.execute, "SELECT 1", query_id="same") == 216
        thread.join()
        assert client.execute("SELECT 1", query_id="same") == [(1,)]


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.0\r\n\r\n", b"\x07", b"\x00" + b"\xff" * 40, b"\x00\x03abc", b""])
def test_what_is_no_client_is_sent_away_and_hurts_nobody(
    embedded_servers: RunningServers, client: Any, garbage: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", embedded_servers.clickhouse_port), timeout=15) as connection:
        connection.sendall(garbage)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass
    assert client.execute("SELECT 1") == [(1,)]


class TestAnalyst:
    @pytest.fixture
    def analyst(self, embedded_servers: RunningServers) -> Any:
        with client_of(embedded_servers, user="analyst", password=embedded_servers.password("analyst")) as made:
            yield made

    def test_reads(self, analyst: Any, client: Any) -> None:
        client.execute("CREATE TABLE t (a UInt8) ENGINE = Memory")
        client.execute("INSERT INTO t VALUES", [(1,), (2,)])
        table = f"{client.test_database}.t"
        assert analyst.execute(f"SELECT sum(a) FROM {table} WHERE a IN (SELECT a FROM {table})") == [(3,)]  # noqa: S608
        assert analyst.execute(f"SELECT a FROM {table} WHERE 0", with_column_types=True) == ([], [("a", "UInt8")])  # noqa: S608
        assert analyst.execute(f"SHOW TABLES FROM {client.test_database}") == [("t",)]
        assert analyst.execute(f"DESCRIBE TABLE {table}")[0][0] == "a"
        assert analyst.execute("SELECT sum(number) FROM numbers(4)") == [(6,)]

    @pytest.mark.parametrize(
        "query",
        [
            "INSERT INTO t SELECT 1",
            "CREATE TABLE x (a UInt8) ENGINE = Memory",
            "CREATE TEMPORARY TABLE x (a UInt8)",
            "DROP DATABASE aupstream",
            "SET readonly = 0",
            "SET max_threads = 1",
            "KILL QUERY WHERE 1",
            "SYSTEM FLUSH LOGS",
            "SELECT * FROM file('/etc/passwd', 'LineAsString')",
            "SELECT file('/etc/passwd')",
            "SELECT `file`('/etc/passwd')",
            "SELECT \"file\"/**/('/etc/passwd')",
            "SELECT 1 # '\n, file('/etc/passwd') --'",
            "SELECT 1 # '\n; SELECT file('/etc/passwd') --'",
            "SELECT 1; SELECT 2",
            "WITH (SELECT file('/etc/passwd')) AS x SELECT x",
            "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a UInt8')",
            "SELECT * FROM remote('127.0.0.1:1', system, one)",
            "SELECT * FROM Python(users)",
            "SELECT * FROM s3('http://127.0.0.1:1/b/k')",
            "SELECT * FROM eval('SELECT 1')",
            "DESCRIBE TABLE file('/etc/passwd', 'LineAsString')",
            "SHOW TABLES WHERE file('/etc/hostname') = 1",
            "EXPLAIN SELECT file('/etc/passwd')",
            "SELECT 1 INTO OUTFILE '/tmp/aupstream-test-outfile'",
            "SELECT 1 SETTINGS readonly = 0",
            "BACKUP DATABASE aupstream TO File('/tmp/aupstream-test-backup')",
        ],
    )
    def test_may_not(self, analyst: Any, query: str) -> None:
        assert code_of(analyst.execute, query) in {62, 164, 497}
        assert analyst.execute("SELECT 1") == [(1,)]

    def test_may_not_insert_rows(self, analyst: Any) -> None:
        assert code_of(analyst.execute, "INSERT INTO t VALUES", [(1,)]) == 164

    def test_can_cancel(self, analyst: Any) -> None:
        analyst.execute_with_progress("SELECT sum(sipHash64(number)) FROM numbers(100000000000)")
        analyst.cancel()
        assert analyst.execute("SELECT 1") == [(1,)]
