"""`aupstream up` and `run --once`: processes of their own, stopped as an operator stops them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.command import ENV, aupstream, process
from tests.embedded.servers_fixture import jar_cache

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Up:
    """A running `up` and what it printed."""

    process: subprocess.Popen[bytes]
    data: Path
    said: dict[str, str]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("up")
    argv = [sys.executable, "-m", "infra.cli", "up", "--data", str(folder / "data")]
    environment = {**os.environ, **ENV, "AUPSTREAM_CACHE": str(jar_cache())}
    with (folder / "err").open("wb") as err:
        run = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=err, env=environment, cwd=folder)
        assert run.stdout is not None
        lines = [run.stdout.readline().decode() for _ in range(5)]  # blocks until they are ready
        said = {line[:15].strip(): line[15:].strip() for line in lines}
        yield Up(run, folder / "data", said)
        run.send_signal(signal.SIGTERM)
        assert run.wait(60) == 0
    assert "told to stop" in (folder / "err").read_text()
    ran = aupstream("violations", "--data", folder / "data")
    assert (ran.code, "no embedded ClickHouse is running" in ran.err) == (4, True)


def test_up_says_how_to_connect_and_keeps_passwords_in_files_of_their_owner(running: Up) -> None:
    assert set(running.said) == {"kafka", "clickhouse", "password", "read-only user", "logs"}
    assert running.said["kafka"].startswith("127.0.0.1:")
    secret = Path(running.said["password"])
    assert secret.stat().st_mode & 0o077 == 0
    assert secret.read_text().strip() not in " ".join(running.said.values())


def test_a_second_up_on_the_same_folder_is_refused(running: Up) -> None:
    ran = process("up", "--data", running.data)
    assert (ran.code, ran.out) == (4, "")
    assert "another `up` is running on this folder" in ran.err


def test_sql_reaches_a_running_up_as_somebody_who_may_only_read(running: Up) -> None:
    assert aupstream("sql", "--data", running.data, "SELECT 1 AS one").out == "one\n1\n"
    refused = aupstream("sql", "--data", running.data, "CREATE TABLE t (a Int8) ENGINE = Memory")
    assert refused.code == 4
    assert "analyst" in refused.err


def test_run_once_gives_what_backtest_gives_and_the_audit_holds(running: Up, tmp_path: Path) -> None:
    day = tmp_path / "day"
    assert aupstream("simulate", "--seed", "5", "--lines", "2000", day).code == 0
    ran = process("run", "--once", "--config", day / "aupstream.toml", "--data", running.data)
    assert ran.code == 0, ran.err
    assert ran.out == aupstream("backtest", "--config", day / "aupstream.toml").out
    assert ran.objects
    audit = aupstream("audit", "--data", running.data, "--json")
    assert (audit.code, sum(s["lines"] for s in audit.objects[0]["sources"])) == (0, 2000)
    assert aupstream("violations", "--data", running.data).out == ran.out
