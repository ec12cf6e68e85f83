"""Clients that are not clickhouse-driver: ClickHouse's own, an old and a modern one, and several at once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from clickhouse_driver import Client

from tests.embedded.servers_fixture import RunningServers

pytestmark = pytest.mark.servers

# chdb's remote() is ClickHouse's own client code of the same version as the engine. It runs in a process of its own,
# because one process can hold one engine only, and may not block pytest if it fails.
_REMOTE = """
import sys
from chdb import session
remote = "remote('127.0.0.1:{port}', '{database}', '{table}', 'aupstream', '{password}')"
chdb = session.Session()
for line in sys.stdin.read().split(";;"):
    print(chdb.query(line.replace("REMOTE", remote), "CSV"), end="")
"""


def remote(servers: RunningServers, table: str, *queries: str) -> str:
    pytest.importorskip("lz4", reason="ClickHouse's own client compresses: needs clickhouse-driver[lz4]")
    pytest.importorskip("clickhouse_cityhash", reason="ClickHouse's own client compresses")
    database, _, name = table.partition(".")
    script = _REMOTE.format(port=servers.clickhouse_port, database=database, table=name, password=servers.password())
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=";;".join(queries),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_a_modern_native_client_reads_and_writes(embedded_servers: RunningServers, client: Any) -> None:
    client.execute("CREATE TABLE t (a UInt64, s LowCardinality(String), m Map(String, String)) ENGINE = Memory")
    table = f"{client.test_database}.t"
    answer = remote(
        embedded_servers,
        table,
        "INSERT INTO FUNCTION REMOTE SELECT number, toString(number % 3), map('k', 'v') FROM numbers(100000)",
        "SELECT count(), sum(a), uniqExact(s) FROM REMOTE",
        "SELECT s, count() FROM REMOTE WHERE a < 6 GROUP BY s ORDER BY s",
        "SELECT m['k'] FROM REMOTE WHERE a = 7",
        "SELECT a FROM REMOTE WHERE a > 1000000",
    )
    assert answer.splitlines() == ["100000,4999950000,3", '"0",2', '"1",2', '"2",2', '"v"']
    assert client.execute("SELECT count() FROM t") == [(100_000,)]


CLIENT = shutil.which("clickhouse-client")


def old_client(servers: RunningServers, query: str, rows: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [str(CLIENT), "--host", "127.0.0.1", "--port", str(servers.clickhouse_port), "--user", "aupstream"]
    command += ["--password", servers.password(), "--query", query]
    return subprocess.run(command, input=rows, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.skipif(
    CLIENT is None, reason="clickhouse-client is not installed (Debian: apt-get install clickhouse-client)"
)
class TestClickHouseClient:
    """Debian's is 18.16 of 2018: only the types of that time."""

    def test_reads(self, embedded_servers: RunningServers) -> None:
        done = old_client(embedded_servers, "SELECT number, toString(number) FROM numbers(3) FORMAT CSV")
        assert (done.stdout, done.stderr) == ('0,"0"\n1,"1"\n2,"2"\n', "")

    def test_writes(self, embedded_servers: RunningServers, client: Any) -> None:
        client.execute("CREATE TABLE t (a UInt64, b String, c Nullable(Int8), d Array(String)) ENGINE = Memory")
        rows = "1\tx\t\\N\t['a','b']\n2\ty\t-1\t[]\n"
        done = old_client(embedded_servers, f"INSERT INTO {client.test_database}.t FORMAT TSV", rows)
        assert done.stderr == ""
        assert client.execute("SELECT * FROM t ORDER BY a") == [(1, "x", None, ["a", "b"]), (2, "y", -1, [])]
        done = old_client(embedded_servers, f"SELECT * FROM {client.test_database}.t ORDER BY a FORMAT TSV")  # noqa: S608
        assert done.stdout == rows

    def test_is_told_of_errors(self, embedded_servers: RunningServers) -> None:
        done = old_client(embedded_servers, "SELECT * FROM no_such_table")
        assert done.returncode == 60
        assert "no_such_table" in done.stderr


_PROCESS = """
import sys
from clickhouse_driver import Client
client = Client.from_url(sys.stdin.readline().strip())
table, worker = sys.argv[1], int(sys.argv[2])
for batch in range(10):
    client.execute(f"INSERT INTO {table} VALUES", [(worker, batch * 1000 + row) for row in range(1000)])
print(client.execute(f"SELECT count() FROM {table} WHERE w = {worker}")[0][0])
"""


def test_several_processes_at_once(embedded_servers: RunningServers, client: Any) -> None:
    client.execute("CREATE TABLE t (w UInt8, n UInt64) ENGINE = MergeTree ORDER BY (w, n)")

    def work(number: int) -> str:
        command = [sys.executable, "-c", _PROCESS, f"{client.test_database}.t", str(number)]
        dsn = embedded_servers.endpoints.clickhouse
        done = subprocess.run(command, input=dsn, capture_output=True, text=True, timeout=120, check=True)
        return done.stdout.strip()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == ["10000"] * 4
    assert client.execute("SELECT count(), uniqExact(w, n) FROM t") == [(40_000, 40_000)]


def test_many_connections_read_while_one_writes(embedded_servers: RunningServers, client: Any) -> None:
    client.execute("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n")
    table = f"{client.test_database}.t"

    def read(_: int) -> bool:
        with Client.from_url(embedded_servers.endpoints.clickhouse) as reader:
            for _ in range(20):
                rows = reader.execute(f"SELECT n FROM {table} ORDER BY n")  # noqa: S608
                # Whole inserts only, never a part of one.
                if len(rows) % 100:
                    return False
        return True

    with ThreadPoolExecutor(8) as pool:
        readers = [pool.submit(read, number) for number in range(8)]
        for _ in range(30):
            client.execute("INSERT INTO t VALUES", [(number,) for number in range(100)])
        assert all(reader.result() for reader in readers)
