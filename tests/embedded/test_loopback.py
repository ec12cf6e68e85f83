"""Whatever listens is on this machine's own interface, unless somebody wrote another address down."""

from __future__ import annotations

import ast
import os
import socket
from ipaddress import ip_address
from pathlib import Path

import psutil
import pytest
from pydantic import BaseModel

from infra.config import Config
from infra.embedded import kafka
from infra.embedded.kafka import KafkaConfig
from infra.run.health import Health
from streams.listen.settings import SCHEMES, address_of
from tests.embedded.servers_fixture import RunningServers
from tests.project.tree import modules, text_of

# Where a socket is opened to be connected to. A new place belongs here, and into a test below.
LISTENING = {
    "infra/embedded/native/__main__.py",  # ClickHouse's protocol: the running servers
    "infra/embedded/ports.py",  # looks for free ports
    "infra/run/checks_here.py",  # the doctor: whether an address of the configuration is free, for a moment
    "infra/run/health.py",
    "streams/listen/listener.py",
}
OPENS = {"bind", "create_server", "start_server", "create_datagram_endpoint", "start_unix_server", "HTTPServer"}
OPENS |= {"ThreadingHTTPServer", "TCPServer", "UDPServer", "ThreadingTCPServer"}
EVERYWHERE = ("0.0.0.0", "::", "*")


def _opens(source: str) -> bool:
    calls = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return any((c.attr if isinstance(c, ast.Attribute) else getattr(c, "id", "")) in OPENS for c in calls)


def test_nothing_listens_that_is_not_looked_at_here() -> None:
    found = {path.as_posix() for path in modules() if path.parts[0] != "tests" and _opens(text_of(path))}
    assert found == LISTENING


@pytest.mark.parametrize("source", ["s.bind(p)", "HTTPServer(p, H)", "asyncio.start_server(f, h, 1)"])
def test_a_place_that_opens_a_socket_is_noticed(source: str) -> None:
    assert _opens(source)


def test_no_default_of_the_configuration_is_every_interface() -> None:
    defaults = dict(_defaults(Config, ""))
    assert defaults["health.listen"] == "", "nowhere"
    assert defaults["listeners"] == ()
    assert not {key: value for key, value in defaults.items() if value in EVERYWHERE or "0.0.0.0" in str(value)}


def _defaults(model: type[BaseModel], prefix: str) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for name, about in model.model_fields.items():
        default = about.get_default(call_default_factory=True, validated_data={})
        found += _defaults(type(default), f"{name}.") if isinstance(default, BaseModel) else [(prefix + name, default)]
    return found


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_syslog_listener_without_a_host_is_on_loopback(scheme: str) -> None:
    assert ip_address(address_of(f"{scheme}://:5514", "").host).is_loopback
    assert address_of(f"{scheme}://0.0.0.0:5514", "").host == "0.0.0.0", "where told otherwise"


def test_health_listens_where_it_is_told_and_nowhere_else() -> None:
    before = _listening(os.getpid())
    health = Health("127.0.0.1:0", Path("status"), lambda: ()).start()
    try:
        new = _listening(os.getpid()) - before
        assert {host for host, _ in new} == {"127.0.0.1"}
    finally:
        health.stop()
    assert Health("", Path("status"), lambda: ()).start().port == 0


def test_kafkas_own_configuration_names_loopback_alone() -> None:
    config = KafkaConfig(Path("x"), 9092, 9093, 256, (), Path("log"), Path("pid"))
    hosts = [
        part.rpartition("/")[2].rpartition("@")[2].rpartition(":")[0]
        for key, value in kafka.properties(config).items()
        if "listeners" in key or key == "controller.quorum.voters"
        for part in value.split(",")
        if ":" in part
    ]
    assert len(hosts) >= 4
    assert set(hosts) == {"127.0.0.1"}


@pytest.mark.servers
@pytest.mark.timeout(300)
def test_what_the_running_servers_listen_on_is_loopback(embedded_servers: RunningServers) -> None:
    """As the kernel says it, of every process that they are."""
    kafka_port = int(embedded_servers.endpoints.kafka.rpartition(":")[2])
    found = {
        place for child in psutil.Process().children(recursive=True) for place in _listening(child.pid)
    } | _listening(os.getpid())
    assert {kafka_port, embedded_servers.clickhouse_port} <= {port for _, port in found}
    assert len(found) >= 3, "Kafka's controller, too"
    assert all(ip_address(host.removeprefix("::ffff:")).is_loopback for host, _ in found), found


def _listening(pid: int) -> set[tuple[str, int]]:
    """Addresses that a process takes connections or datagrams on."""
    return {
        (str(each.laddr.ip), int(each.laddr.port))
        for each in psutil.Process(pid).net_connections("inet")
        if len(tuple(each.laddr)) == 2
        and (each.status == psutil.CONN_LISTEN or (each.type == socket.SOCK_DGRAM and not each.raddr))
    }


def test_a_socket_on_every_interface_is_noticed() -> None:
    before = _listening(os.getpid())
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))
        probe.listen()
        assert {host for host, _ in _listening(os.getpid()) - before} == {"0.0.0.0"}
