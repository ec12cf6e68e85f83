"""The pair of servers as `up` sees it: start, refuse, survive, stop. Real processes, real kills."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from clickhouse_driver import Client
from clickhouse_driver.errors import Error
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError

from infra.embedded import AlreadyRunningError, EmbeddedServers, Endpoints, Layout, ports, read_endpoints
from infra.embedded.errors import StartError
from tests.embedded.servers_fixture import RunningServers, jar_cache

pytestmark = [pytest.mark.servers, pytest.mark.timeout(240)]


@dataclass
class Own:
    """Servers of one test, which may kill them."""

    folder: Path
    said: list[str] = field(default_factory=list)

    def make(self) -> EmbeddedServers:
        return EmbeddedServers(self.folder, cache=jar_cache(), say=self.said.append, kafka_heap_mb=256)


@pytest.fixture
def own(tmp_path: Path) -> Own:
    return Own(tmp_path / "data")


@pytest.fixture
def running(own: Own) -> Iterator[tuple[EmbeddedServers, Endpoints]]:
    servers = own.make()
    try:
        yield servers, servers.start()
    finally:
        servers.stop()


def wait_until(condition: Callable[[], object], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def all_ok(servers: EmbeddedServers) -> bool:
    servers.poll()
    return all(part["ok"] for part in servers.check().values())


def make_topic(bootstrap: str, name: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=1)])
    admin.close()


def read_topic(bootstrap: str, name: str) -> list[bytes]:
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    partition = TopicPartition(name, 0)
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    end = consumer.end_offsets([partition])[partition]
    values: list[bytes] = []
    deadline = time.monotonic() + 60
    while consumer.position(partition) < end and time.monotonic() < deadline:
        for batch in consumer.poll(timeout_ms=500).values():
            values += [record.value for record in batch]
    consumer.close()
    return values


class TestRunning:
    def test_both_are_healthy_and_named(self, embedded_servers: RunningServers) -> None:
        health = embedded_servers.servers.check()
        assert {name: (part["ok"], part["detail"]) for name, part in health.items()} == {
            "kafka": (True, "ready"),
            "clickhouse": (True, "ready"),
        }
        assert embedded_servers.servers.pids == {name: part["pid"] for name, part in health.items()}
        assert embedded_servers.servers.poll() == []

    def test_another_command_finds_them(self, embedded_servers: RunningServers) -> None:
        assert read_endpoints(embedded_servers.folder) == embedded_servers.endpoints
        assert read_endpoints(embedded_servers.folder / "nowhere") is None

    def test_a_second_up_on_the_folder_is_refused(self, embedded_servers: RunningServers) -> None:
        second = EmbeddedServers(embedded_servers.folder, cache=jar_cache(), say=print)
        with pytest.raises(AlreadyRunningError, match=rf"another `up`.*process {os.getpid()}"):
            second.start()
        second.stop()
        assert read_endpoints(embedded_servers.folder) is not None
        assert all(part["ok"] for part in embedded_servers.servers.check().values())

    def test_passwords_are_for_the_owner_and_appear_nowhere(self, embedded_servers: RunningServers) -> None:
        layout = embedded_servers.layout
        secrets = [embedded_servers.password(user) for user in ("aupstream", "analyst")]
        for user in ("aupstream", "analyst"):
            assert stat.S_IMODE(layout.password(user).stat().st_mode) == 0o600
        lines = [psutil.Process(pid).cmdline() for pid in embedded_servers.servers.pids.values()]
        texts = [str(lines), embedded_servers.endpoints.clickhouse_redacted]
        texts += [path.read_text(errors="replace") for path in layout.logs.iterdir()]
        texts += [layout.running.read_text(), layout.ports.read_text()]
        assert not [text for text in texts for secret in secrets if secret in text]

    def test_they_listen_on_loopback_only(self, embedded_servers: RunningServers) -> None:
        pids = set(embedded_servers.servers.pids.values())
        listening = [
            str(next(iter(found.laddr)))
            for found in psutil.net_connections("inet")
            if found.pid in pids and found.status == psutil.CONN_LISTEN
        ]
        assert len(listening) == 3
        assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}

    def test_kafka_takes_large_messages_and_makes_no_topic_by_itself(self, embedded_servers: RunningServers) -> None:
        name = embedded_servers.fresh_name("topic")
        bootstrap = embedded_servers.endpoints.kafka
        make_topic(bootstrap, name)
        producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", max_request_size=8_000_000)
        producer.send(name, b"x" * 7_000_000).get(30)
        producer.close()
        assert [len(value) for value in read_topic(bootstrap, name)] == [7_000_000]
        admin = KafkaAdminClient(bootstrap_servers=bootstrap)
        lost = embedded_servers.fresh_name("nobody")
        with contextlib.suppress(KafkaError):
            KafkaProducer(bootstrap_servers=bootstrap, max_block_ms=500).send(lost, b"x").get(1)
        assert lost not in admin.list_topics()
        admin.close()


class Writer:
    """Writes numbers until told to stop, through failures; ``acknowledged`` is what was confirmed."""

    def __init__(self, write: Callable[[int], None]) -> None:
        self._write = write
        self._stop = threading.Event()
        self.acknowledged: list[int] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            try:
                self._write(number)
                self.acknowledged.append(number)
            except (Error, KafkaError, OSError, EOFError):
                self._stop.wait(0.05)
            number += 1

    def wait_for_more(self, count: int) -> None:
        wanted = len(self.acknowledged) + count
        wait_until(lambda: len(self.acknowledged) >= wanted)

    def finish(self) -> list[int]:
        self._stop.set()
        self._thread.join(60)
        return self.acknowledged


def test_kill_9_of_clickhouse_loses_nothing_acknowledged(running: tuple[EmbeddedServers, Endpoints]) -> None:
    servers, endpoints = running
    port = servers.check()["clickhouse"]["port"]
    client: Any = Client.from_url(endpoints.clickhouse + "?connect_timeout=1")
    client.execute("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n")
    writer = Writer(lambda number: client.execute("INSERT INTO t VALUES", [(number,)]))
    try:
        for _ in range(3):
            writer.wait_for_more(20)
            os.kill(servers.pids["clickhouse"], signal.SIGKILL)
            wait_until(lambda: "clickhouse" in " ".join(servers.poll()))
            wait_until(lambda: all_ok(servers))
    finally:
        acknowledged = writer.finish()
    stored = {row[0] for row in client.execute("SELECT n FROM t")}
    assert set(acknowledged) <= stored
    assert len(acknowledged) >= 60
    assert servers.check()["clickhouse"]["port"] == port


def test_kill_9_of_kafka_loses_nothing_acknowledged(running: tuple[EmbeddedServers, Endpoints]) -> None:
    servers, endpoints = running
    make_topic(endpoints.kafka, "t")
    producer = KafkaProducer(
        bootstrap_servers=endpoints.kafka, acks="all", retries=0, request_timeout_ms=3000, max_block_ms=3000,
        delivery_timeout_ms=4000, linger_ms=0,
    )  # fmt: skip
    writer = Writer(lambda number: producer.send("t", str(number).encode()).get(5))
    try:
        for _ in range(2):
            writer.wait_for_more(50)
            os.kill(servers.pids["kafka"], signal.SIGKILL)
            wait_until(lambda: any(said.startswith("kafka was started again") for said in servers.poll()))
            wait_until(lambda: all_ok(servers))
        writer.wait_for_more(5)
    finally:
        acknowledged = writer.finish()
        producer.close(5)
    stored = {int(value) for value in read_topic(endpoints.kafka, "t")}
    assert set(acknowledged) <= stored


def is_running(pid: int) -> bool:
    """Whether a process runs. One that has ended may stand in the list until the first process has reaped it."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


_UP = """
import sys, time
from pathlib import Path
from infra.embedded import EmbeddedServers
servers = EmbeddedServers(Path(sys.argv[1]), cache=Path(sys.argv[2]), say=lambda text: None, kafka_heap_mb=256)
servers.start()
print(*servers.pids.values(), flush=True)
time.sleep(600)
"""


def test_kill_9_of_up_takes_its_parts_along_and_the_next_up_goes_on(own: Own) -> None:
    command = [sys.executable, "-c", _UP, str(own.folder), str(jar_cache())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as up:
        assert up.stdout is not None
        pids = [int(pid) for pid in up.stdout.readline().split()]
        endpoints = read_endpoints(own.folder)
        assert endpoints is not None
        Client.from_url(endpoints.clickhouse).execute("CREATE TABLE kept (n UInt8) ENGINE = MergeTree ORDER BY n")
        up.kill()
    assert read_endpoints(own.folder) is None
    servers = own.make()
    try:
        assert servers.start() == endpoints
        assert not set(pids) & set(servers.pids.values())
        assert not [pid for pid in pids if is_running(pid)]
        assert Client.from_url(endpoints.clickhouse).execute("EXISTS TABLE kept") == [(1,)]
    finally:
        servers.stop()


def test_a_child_left_behind_is_stopped_by_the_next_up(own: Own) -> None:
    layout = Layout(own.folder)
    servers = own.make()
    servers.start()
    left = servers.pids
    # As after a crash: the lock is gone, the children are not.
    lock = servers._lock
    assert lock is not None
    lock.release()
    second = own.make()
    try:
        second.start()
        assert not set(left.values()) & set(second.pids.values())
        assert sum("earlier `up`" in said for said in own.said) == 2
    finally:
        second.stop()
        servers.stop()
    assert not list((layout.folder / "run").glob("*.pid"))


def test_stop_is_clean_and_can_be_repeated(own: Own) -> None:
    servers = own.make()
    first = servers.start()
    pids = list(servers.pids.values())
    servers.stop()
    servers.stop()
    assert not [pid for pid in pids if is_running(pid)]
    assert servers.pids == {}
    assert servers.check() == {}
    assert read_endpoints(own.folder) is None
    assert "stopped" in (Layout(own.folder).logs / "clickhouse.log").read_text()
    assert servers.start() == first
    servers.stop()


def test_a_port_taken_before_the_start_is_replaced_and_said(own: Own) -> None:
    own.folder.mkdir()
    layout = Layout(own.folder)
    with socket.create_server(("127.0.0.1", 0)) as thief:
        taken = thief.getsockname()[1]
        free = ports.free_ports(2)
        ports.save(layout.ports, ports.Ports(kafka=free[0], kafka_controller=free[1], clickhouse=taken))
        numbers = ports.settle(layout.ports, own.said.append)
    assert numbers.clickhouse != taken
    assert ports.load(layout.ports) == numbers
    assert f"port {taken} of clickhouse is taken by process {os.getpid()}" in own.said[0]


def test_a_port_taken_while_clients_know_it_is_named_and_waited_for(
    running: tuple[EmbeddedServers, Endpoints],
) -> None:
    servers, _ = running
    port = servers.check()["clickhouse"]["port"]
    psutil.Process(servers.pids["clickhouse"]).kill()
    wait_until(lambda: "clickhouse" not in servers.pids)
    with socket.create_server(("127.0.0.1", port)):
        happened = " ".join(servers.poll())
        assert f"port {port} of clickhouse is taken by process {os.getpid()}" in happened or "ended" in happened
        wait_until(lambda: f"port {port}" in happened or f"port {port}" in " ".join(servers.poll()))
    wait_until(lambda: all_ok(servers))
    assert servers.check()["clickhouse"]["port"] == port


def test_a_server_is_not_started_on_a_full_disk(own: Own) -> None:
    servers = EmbeddedServers(own.folder, cache=jar_cache(), say=own.said.append, free=lambda _: 5 << 20)
    with pytest.raises(StartError, match=r"the disk is full \(5 MB are free\): .* is not started before 128 MB are"):
        servers.start()
    assert not servers.pids
