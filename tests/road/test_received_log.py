"""Lines that come over the network while Kafka is killed and away: each arrives, once and in order."""

from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from infra.run.drain import statuses
from infra.run.system import System
from schemas.kinds import DEAD_LETTERS, LEDGER, EventKind
from tests.road.scene import Scene, wait_until
from tests.streams.small import World, assert_conserved
from tests.streams.test_sinks import read

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

LINES = 30_000


def line(number: int) -> bytes:
    minute, second = divmod(number // 100, 60)
    text = b"<38>May  4 %02d:%02d:%02d gw sshd[77]: Accepted password for user%d from 10.0.0.1 port 4000 ssh2"
    return text % (minute // 60, minute % 60, second, number)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def scene(folder: Path, port: int) -> Scene:
    made = Scene(folder)
    made.file.write_text(
        f'[[listeners]]\nname = "syslog"\naddresses = ["tcp://:{port}"]\nfsync = "always"\n'
        '[[sources]]\nname = "logins"\ntype = "openssh"\nlistener = "syslog"\nyear = 2026\n'
    )
    return made


def send(port: int, first: int, last: int) -> None:
    """With both framings in turn."""
    parts = [line(i) for i in range(first, last)]
    data = b"".join(b"%d %b" % (len(p), p) if i % 2 else p + b"\n" for i, p in enumerate(parts))
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(data)


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def lines_read(system: System) -> float:
    """As the collectors' process says."""
    found = [s["metrics"] for s in statuses(system.paths.status) if s["agent"] == "collect"]
    return sum(float(n) for metrics in found for name, n in metrics.items() if name.startswith("aup_lines_read_total"))


def arrived(system: System) -> World:
    """Everything on the topics, as an agent reads it."""
    world = World()
    for topic in (EventKind.LOGIN.topic, DEAD_LETTERS, LEDGER):
        world.take(read(system.kafka, topic))
    return world


def test_lines_received_while_kafka_is_killed_and_away_all_arrive_in_order(tmp_path: Path) -> None:
    port = free_port()
    with scene(tmp_path, port).running(agents=()) as system:
        assert system.servers is not None
        wait_until(system, lambda: listens(port))
        send(port, 0, LINES // 3)
        wait_until(system, lambda: lines_read(system) >= LINES // 3)
        killed = system.servers.pids["kafka"]
        os.kill(killed, signal.SIGKILL)
        sending = threading.Thread(target=send, args=(port, LINES // 3, LINES))
        sending.start()
        sending.join(60)  # the spool takes them: nobody starts Kafka again meanwhile
        assert not sending.is_alive()
        wait_until(system, lambda: system.servers.pids.get("kafka", killed) != killed)  # type: ignore[union-attr]
        wait_until(system, lambda: listens(int(system.kafka.rpartition(":")[2])))
        wait_until(system, lambda: arrived(system).totals()["lines"] == LINES)
        world = arrived(system)
    assert_conserved(world, LINES)
    names = [name for f in [world.events(EventKind.LOGIN)] for name in f.sort("log_offset")["user_name"]]
    assert names == [f"user{i}" for i in range(LINES)]
