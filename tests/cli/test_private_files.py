"""What a service makes is for its own account alone, whatever the shell that starts it lets others read."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import ENV, aupstream

CONFIG = """\
data = "data"
[kafka]
bootstrap = "127.0.0.1:9"
[clickhouse]
dsn = "clickhouse://127.0.0.1:9/x"
[agents]
machine = "second"
"""
LISTEN = """\
data = "data"
[[listeners]]
name = "syslog"
addresses = ["tcp://127.0.0.1:0"]
[[sources]]
name = "mail"
type = "postfix"
listener = "syslog"
"""


@pytest.fixture
def _open() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_open")
@pytest.mark.parametrize("command", ["up", "run", "agents", "collect", "listen"])
def test_every_service_begins_with_it(command: str, tmp_path: Path) -> None:
    (tmp_path / "aupstream.toml").write_text(CONFIG)  # each of them refuses it
    ran = aupstream(command, "-c", tmp_path / "aupstream.toml")
    assert ran.code == 2, ran.err
    assert os.umask(0o022) == 0o077


def test_what_a_listener_makes_nobody_else_may_read(tmp_path: Path) -> None:
    (tmp_path / "aupstream.toml").write_text(LISTEN)
    argv = [sys.executable, "-m", "infra.cli", "listen", "-c", str(tmp_path / "aupstream.toml")]
    run = subprocess.Popen(argv, env={**os.environ, **ENV}, cwd=tmp_path, umask=0o022, stderr=subprocess.DEVNULL)
    data, deadline = tmp_path / "data", time.monotonic() + 60
    try:
        while not (data / "status" / "listen.json").exists():
            assert run.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        run.terminate()
        run.wait(30)
    assert [str(path) for path in (data, *data.rglob("*")) if path.stat().st_mode & 0o077] == []
