"""`aupstream up` and `run --once`: processes of their own, stopped as an operator stops them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
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
    own = {"AUPSTREAM_CACHE": str(jar_cache()), "XDG_CONFIG_HOME": str(folder)}
    environment = {**os.environ, **ENV, **own}
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
    assert ran.out == aupstream("backtest", "--pseudonyms", "--config", day / "aupstream.toml").out
    assert ran.objects
    assert ran.out != aupstream("backtest", "--config", day / "aupstream.toml").out, "names, where nothing else is said"
    audit = aupstream("audit", "--data", running.data, "--json")
    assert (audit.code, sum(s["lines"] for s in audit.objects[0]["sources"])) == (0, 2000)
    assert aupstream("violations", "--data", running.data).out == ran.out


RULES = """
title: {title}
name: refused
level: low
logsource: {{category: proxy}}
detection:
  selection: {{event_action: denied}}
  condition: selection
"""


def test_a_hangup_reads_the_rules_again_and_wrong_ones_change_nothing(running: Up, tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    rules, log, said = tmp_path / "rules" / "refused.yml", tmp_path / "access.log", tmp_path / "said"
    log.touch()
    config = tmp_path / "aupstream.toml"
    source = f'[[sources]]\nname = "hangup"\ntype = "squid"\npath = "{log}"\nmode = "follow"\n'
    config.write_text(f'[rules]\npaths = ["rules"]\n\n{source}')
    assert (
        aupstream("privacy", "rotate", "--new", "--config", config).code == 0
    )  # names are sealed with those of others
    known = ("rules", "history", "--config", config, "--data", running.data, "--json")
    rules.write_text(RULES.format(title="First"))
    argv = [sys.executable, "-m", "infra.cli", "run", "--config", str(config), "--data", str(running.data)]
    with said.open("wb") as out:
        run = subprocess.Popen(argv, stdout=out, stderr=out, env={**os.environ, **ENV}, cwd=tmp_path)
    try:
        _wait(run, lambda: "running; logs are in" in said.read_text())
        before = aupstream(*known).objects

        rules.write_text(RULES.format(title="Second").replace("level: low", "level: hgh"))
        run.send_signal(signal.SIGHUP)
        _wait(run, lambda: "the rules stay as they were" in said.read_text())
        assert f"{rules}:4:" in said.read_text(), "where the mistake is"
        assert aupstream(*known).objects == before

        rules.write_text(RULES.format(title="Second"))
        run.send_signal(signal.SIGHUP)
        _wait(run, lambda: len(aupstream(*known).objects) == len(before) + 1)
        assert aupstream(*known).objects[-1]["version"] not in {one["version"] for one in before}
    finally:
        run.send_signal(signal.SIGTERM)
        assert run.wait(60) == 0


def _wait(run: subprocess.Popen[bytes], reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not reached():
        assert run.poll() is None, "it ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.2)
