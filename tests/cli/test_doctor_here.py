"""What the doctor finds on its own machine: who ought to run and does not, keys, files and addresses in the way."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from agents.privacy.keys import ensure
from infra.cli import reporting
from infra.cli.configuration import choose
from infra.config import Config
from infra.run import checks, checks_here
from infra.run.checks import Check
from infra.run.paths import DataPaths
from infra.run.roll import Roll, called
from tests.cli.command import aupstream


@pytest.fixture
def paths(tmp_path: Path) -> DataPaths:
    made = DataPaths(tmp_path / "data")
    made.make()
    return made


def _config(paths: DataPaths, **more: Any) -> Config:
    keys = str(paths.folder.parent / "keys")
    return Config.model_validate({"data": str(paths.folder), "privacy": {"key_file": keys}, **more})


def _bad(found: list[Check]) -> list[str]:
    assert all(c.todo for c in found if c.state in ("bad", "warning"))
    return [c.detail for c in found if c.state == "bad"]


def test_who_ought_to_run_and_does_not_is_named_with_the_last_error(paths: DataPaths) -> None:
    (paths.logs / "detect-0.log").write_text("2026-11-28 10:00:00,000 CRITICAL aupstream.agent 1000 in a row\n")
    status = {"agent": "persist", "worker": "persist-0", "pid": 1, "at": time.time(), "inputs": {}}
    paths.status_of("persist-0").write_text(json.dumps(status))
    paths.status_of("detect-0").write_text(json.dumps(status | {"worker": "detect-0", "at": time.time() - 60}))
    assert _bad(list(checks_here.workers(_config(paths)))) == []  # nobody says that it ought to
    roll = Roll(paths.roll)
    roll.tell(["persist-0", "detect-0"])
    (said,) = _bad(list(checks_here.workers(_config(paths))))
    assert said == "detect-0 ought to run and has not told of itself for 10 s; its last error: 1000 in a row"
    roll.tell(["persist-0"])
    assert _bad(list(checks_here.workers(_config(paths)))) == []
    roll.close()
    assert called(paths.roll) is None


def test_status_says_who_ought_to_run_and_does_not_and_why(paths: DataPaths, capfd: pytest.CaptureFixture[str]) -> None:
    log = paths.logs / "detect-0.log"
    log.write_text("2026-11-28 10:00:00,000 CRITICAL aupstream.agent 1000 in a row\n")
    roll = Roll(paths.roll)
    roll.tell(["detect-0"])
    report = reporting._report(choose(None, paths.folder))
    assert report["stopped"] == [{"worker": "detect-0", "log": str(log), "error": "1000 in a row"}]
    reporting._show(report)
    said = f"detect-0 ought to run and does not tell of itself; its last error: 1000 in a row (log: {log})"
    assert said in capfd.readouterr().err.splitlines()
    roll.close()
    assert reporting._report(choose(None, paths.folder))["stopped"] == []


def test_keys_that_cannot_be_used_are_bad_and_those_that_are_missing_where_something_is_sealed(
    paths: DataPaths,
) -> None:
    config = _config(paths)
    keys = config.privacy.keys(config.data)

    def stored(query: str) -> list[tuple[object, ...]]:
        return [("9c41",)] if "sealed_names" in query else [(time.time(),)] if "now64" in query else []

    sealed = [c for c in checks.clickhouse(config, stored) if c.name == "secrets"]
    assert [(c.state, "9c41" in c.detail, "rotate --new" in c.todo) for c in sealed] == [("bad", True, True)]
    assert [c.state for c in checks.secrets(config, None)] == ["unknown"]
    (paths.positions / "a.position.json").touch()
    assert "are gone" in _bad(list(checks.secrets(config, None)))[0], "though no ClickHouse runs"
    ensure(keys)
    assert [c.state for c in checks.clickhouse(config, stored) if c.name == "secrets"] == ["warning"]
    assert list(checks.secrets(config, None)) == []
    keys.chmod(0o644)
    assert "mode 0644" in _bad(list(checks.secrets(config, None)))[0]
    keys.chmod(0o600)
    keys.write_text("nonsense\n")
    assert "no key" in _bad(list(checks.secrets(config, None)))[0]


def test_a_folder_in_place_of_a_log_and_a_log_with_nothing_in_it(paths: DataPaths, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.log").touch()
    sources = [
        {"name": "a", "type": "squid", "path": str(tmp_path / "folder"), "mode": "once"},
        {"name": "b", "type": "squid", "path": str(tmp_path / "empty.log"), "mode": "once"},
        {"name": "c", "type": "squid", "path": str(tmp_path / "empty.log"), "mode": "follow"},
    ]
    found = list(checks.sources(_config(paths, sources=sources)))
    assert [c.state for c in found] == ["bad", "warning", "ok"]
    assert "is a folder" in found[0].detail
    assert "nothing in it" in found[2].detail


def test_a_position_that_is_damaged_is_named(paths: DataPaths) -> None:
    sources = [{"name": "a", "type": "squid", "path": "a.log"}]
    config = _config(paths, sources=sources)
    assert list(checks_here.positions(config)) == []
    (paths.positions / "a.position.json").write_text("{}")
    (said,) = _bad(list(checks_here.positions(config)))
    assert "a.position.json: the saved position of source a" in said
    status = {"agent": "collect", "worker": "collect", "pid": 1, "at": time.time(), "inputs": {}}
    told = {name: {"problem": f"{name} is damaged"} for name in ("a", "b")}
    paths.status_of("collect").write_text(json.dumps(status | {"sources": told}))
    assert _bad(list(checks_here.workers(config))) == ["b is damaged"], "a is named already"


def test_a_certificate_that_is_not_there_and_addresses_that_another_program_has(paths: DataPaths) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        listener = {"name": "l", "addresses": [f"tls://127.0.0.1:{port}"], "certificate": "no.pem", "key": "no.key"}
        sources = [{"name": "a", "type": "squid", "listener": "l"}]
        more = {"sources": sources, "health": {"listen": f"127.0.0.1:{port}"}}
        config = _config(paths, listeners=[listener], **more)
        certificate, held, health = _bad(list(checks_here.listeners(config)))
    assert "certificate, key or client_ca cannot be used" in certificate
    assert "no.pem" in certificate
    assert held == f"tls://127.0.0.1:{port}: another program listens there"
    assert health == f"tcp://127.0.0.1:{port}: another program listens there"
    more["sources"] = []
    assert "no source" in _bad(list(checks_here.listeners(_config(paths, listeners=[listener], **more))))[0]
    assert len(list(checks_here.listeners(config))) == 1  # the program has ended: the certificate is left
    status = {"agent": "listen", "worker": "listen", "pid": 1, "at": time.time(), "inputs": {}}
    with socket.create_server(("127.0.0.1", port)):
        paths.status_of("listen").write_text(json.dumps(status))
        assert len(list(checks_here.listeners(config))) == 1  # it is ours


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="Linux")
def test_a_data_folder_where_nothing_can_be_kept_is_no_full_disk() -> None:
    (said,) = _bad(list(checks.disk(Config.model_validate({"data": "/proc/aupstream"}))))
    assert "MB are free" not in said


@pytest.mark.parametrize("data", ["access.log", "access.log/data"])
@pytest.mark.parametrize("command", ["doctor", "status", "violations"])
def test_a_data_folder_that_is_a_file_is_named_by_its_key(tmp_path: Path, data: str, command: str) -> None:
    (tmp_path / "access.log").touch()
    file = tmp_path / "aupstream.toml"
    file.write_text(f'data = "{data}"\n')
    ran = aupstream(command, "-c", file)
    assert (ran.code, ran.out) == (2, "")
    assert f"{file}:1:1: data: {tmp_path / 'access.log'} is no folder" in ran.err
    told = aupstream(command, "--data", tmp_path / "access.log")
    assert (told.code, "--data: " in told.err) == (2, True)
