"""What is written about listeners and topics in the configuration, and what is said of mistakes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from infra.config import Config, load
from schemas.errors import AupstreamError
from streams.sources.spool import SPOOL
from tests.cli.command import ENV, aupstream

LISTENER = '[[listeners]]\nname = "syslog"\naddresses = ["udp://:5514", "tcp://0.0.0.0:5514"]\n'
MAIL = '[[sources]]\nname = "mail"\ntype = "postfix"\nlistener = "syslog"\n'


def configured(folder: Path, text: str) -> Config:
    path = folder / "aupstream.toml"
    path.write_text(text)
    return load(path)


def test_a_source_of_a_listener_reads_its_spool(tmp_path: Path) -> None:
    config = configured(tmp_path, LISTENER + MAIL + 'programs = ["postfix/*"]\nsenders = ["10.1.0.0/16"]\n')
    (source,) = config.collectors()
    assert (source.mode, source.path) == ("follow", f"{SPOOL}{tmp_path}/data/spool/mail")
    (listener,) = config.listening()
    assert [str(a) for a in listener.addresses] == ["udp://127.0.0.1:5514", "tcp://0.0.0.0:5514"]
    (route,) = listener.routes
    assert (route.source, route.programs, str(route.senders[0])) == ("mail", ("postfix/*",), "10.1.0.0/16")
    assert f"{SPOOL}{route.folder}" == source.path


def test_a_topic_is_read_by_a_source_for_each_partition(tmp_path: Path) -> None:
    text = '[kafka]\nbootstrap = "k:9092"\n[[sources]]\nname = "raw"\ntype = "squid"\nmode = "follow"\n'
    several = configured(tmp_path, text + 'path = "kafka://logs"\npartitions = 2\n').collectors()
    assert [(s.name, s.path) for s in several] == [
        ("raw-0", "kafka://k:9092/logs#0"),
        ("raw-1", "kafka://k:9092/logs#1"),
    ]
    (one,) = configured(tmp_path, text + 'path = "kafka://other:1/logs"\n').collectors()
    assert (one.name, one.path) == ("raw", "kafka://other:1/logs#0")


def test_a_pattern_is_relative_to_the_file_that_it_stands_in(tmp_path: Path) -> None:
    (source,) = configured(tmp_path, '[[sources]]\ntype = "squid"\npath = "logs/u_ex*.log"\n').collectors()
    assert source.path == f"{tmp_path}/logs/u_ex*.log"


MISTAKES = {
    "no such listener": (MAIL, "no listener 'syslog'"),
    "a path too": (LISTENER + MAIL + 'path = "/var/log/mail.log"\n', "path is given beside listener"),
    "a condition without": ('[[sources]]\ntype = "squid"\nhosts = ["a"]\n', "hosts is given without listener"),
    "partitions of a file": ('[[sources]]\ntype = "squid"\npartitions = 3\n', "partitions is given without"),
    "no topic": ('[[sources]]\ntype = "squid"\npath = "kafka://a b"\n', "no Kafka topic"),
    "nobody takes it": (LISTENER, "no source takes what it receives"),
    "no address": (LISTENER.replace("udp://:5514", "514/udp") + MAIL, "'514/udp' is no address"),
    "no network": (LISTENER + MAIL + 'senders = ["10.1.2.3/8"]\n', "is no network"),
    "two of one name": (LISTENER + LISTENER + MAIL, "two listeners are called 'syslog'"),
    "two otherwise": (
        LISTENER + MAIL + "otherwise = true\n" + MAIL.replace('"mail"', '"m2"') + "otherwise = true\n",
        "more than one source is marked otherwise",
    ),
    "no certificate": (LISTENER.replace("udp", "tls") + MAIL, "tls needs certificate and key"),
    "a ca without tls": (LISTENER + 'client_ca = "ca.pem"\n' + MAIL, "no tls address"),
    "a strange key": (LISTENER + "spool_gb = 3\n" + MAIL, "no such key"),
    "no policy": (LISTENER + 'fsync = "sometimes"\n' + MAIL, "always"),
}


@pytest.mark.parametrize(("text", "said"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    def read() -> None:
        config = configured(tmp_path, text)
        config.collectors()
        config.listening()

    with pytest.raises(AupstreamError) as caught:
        read()
    assert said in str(caught.value)
    assert "sources" in str(caught.value) or "listeners" in str(caught.value) or "kafka://" in str(caught.value)


def test_a_listener_that_runs_alone_is_shown_by_status_with_its_connections(tmp_path: Path) -> None:
    configured(tmp_path, LISTENER.replace('"udp://:5514", "tcp://0.0.0.0:5514"', '"udp://:0", "tcp://:0"') + MAIL)
    file = str(tmp_path / "aupstream.toml")
    argv = [sys.executable, "-m", "infra.cli", "listen", "--config", file]
    with subprocess.Popen(argv, env={**os.environ, **ENV}, stderr=subprocess.DEVNULL) as listening:
        try:
            told = until_told(tmp_path / "data" / "status" / "listen.json")
            port = int(told["addresses"][1].rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port), timeout=30):
                deadline = time.monotonic() + 30
                while not until_told(tmp_path / "data" / "status" / "listen.json")["connections"]:
                    assert time.monotonic() < deadline
                shown = aupstream("status", "--json", "--config", file)
            assert shown.code == 4, "no server runs"
            (report,) = shown.objects
            assert report["listening"]["syslog"]["connections"] == 1
            assert report["listening"]["syslog"]["sources"] == ["mail"]
            assert [w["worker"] for w in report["workers"]] == ["listen"]
        finally:
            listening.terminate()
        assert listening.wait(30) == 0


def until_told(path: Path) -> dict[str, Any]:
    """A listener's status, once it is there."""
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline
    found: dict[str, Any] = json.loads(path.read_text())["listeners"]["syslog"]
    return found
