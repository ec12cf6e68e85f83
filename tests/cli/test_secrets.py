"""Secrets stay where they were put: none is said, logged, kept in the data folder, or given to a process by its words.

The whole road runs on a Kafka with logins and a ClickHouse with a password, with a webhook and a trace collector whose
addresses hold a token, through what works and what fails; then everything that was written is searched.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import psutil
import pytest
import typer
from clickhouse_driver import Client
from typer.main import get_command

from infra.cli.app import app
from infra.embedded.ports import LOOPBACK, free_ports
from infra.run.paths import DataPaths
from tests.cli.command import ENV, Ran, process
from tests.embedded.servers_fixture import RunningServers
from tests.road.scene import Scene, simulated
from tests.road.secured import PASSWORD, secured

HOOK, TRACES, WRONG = "hook-t0ken-5e1c", "trace-t0ken-90ab", "wr0ng-passw0rd-77"
_LOGIN = ("ca", "mechanism", "user", "password_file")


@dataclass
class Scanned:
    """Everything that was written, by where."""

    secrets: dict[str, str]
    texts: dict[str, str] = field(default_factory=dict)

    def add(self, where: str, text: str) -> None:
        self.texts[where] = self.texts.get(where, "") + text

    def ran(self, *args: object) -> Ran:
        """Run a command, and keep what it said."""
        done = process(*args)
        self.add(" ".join(map(str, args)), done.out + done.err)
        return done

    def files(self, folder: Path, besides: Iterable[Path] = ()) -> int:
        """Keep every file below a folder; how many there were."""
        left_out, found = set(besides), 0
        for path in folder.rglob("*"):
            if path.is_file() and path not in left_out:
                self.add(str(path), path.read_bytes().decode("latin-1"))
                found += 1
        return found

    def processes(self, root: int) -> list[int]:
        """Keep the command lines and environments of a process's descendants; their ids."""
        children = psutil.Process(root).children(recursive=True)
        for child in children:
            try:
                self.texts[f"command line of {child.pid}"] = " ".join(child.cmdline())
                self.texts[f"environment of {child.pid}"] = "\n".join(child.environ().values())
            except psutil.NoSuchProcess:
                continue
        return [child.pid for child in children]

    def found(self) -> list[str]:
        """Which secret stands where, with the words around it."""
        return [
            f"{name} in {where}: …{text[max(0, at - 120) : at + 40]!r}"
            for where, text in self.texts.items()
            for name, secret in self.secrets.items()
            if (at := text.find(secret)) >= 0
        ]


@contextmanager
def _refusing() -> Iterator[tuple[int, list[str]]]:
    """A server that refuses everything that is sent to it, quoting its path; its port, and what was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append(self.path)
            self.send_error(404, f"nothing at {self.path}")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1], asked
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def _running(scene: Scene, said: Path) -> Iterator[subprocess.Popen[bytes]]:
    argv = [sys.executable, "-m", "infra.cli", "run", "--config", str(scene.file)]
    with said.open("wb") as out:
        run = subprocess.Popen(argv, stdout=out, stderr=out, env={**os.environ, **ENV}, cwd=scene.folder)
    try:
        yield run
    finally:
        run.send_signal(signal.SIGTERM)
        run.wait(60)


def _wait(run: subprocess.Popen[bytes], said: Path, reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 200
    while not reached():
        assert run.poll() is None, said.read_text()[-2_000:]
        assert time.monotonic() < deadline, said.read_text()[-2_000:]
        time.sleep(0.2)


def _keys(file: Path) -> dict[str, str]:
    found = {f"key {n}": word for n, word in enumerate(file.read_text().split()) if len(word) > 20}
    assert found
    return found


def _logs(paths: DataPaths, name: str) -> str:
    return "".join(path.read_text() for path in paths.logs.glob(f"{name}*.log"))


@pytest.mark.servers
@pytest.mark.timeout(500)
def test_no_secret_is_said_logged_kept_or_told_to_a_process_by_its_words(
    embedded_servers: RunningServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "errors").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "errors"))
    scene = simulated(tmp_path / "scene", seed=6, lines=2_000)
    database = embedded_servers.fresh_name("secrets")
    with Client.from_url(embedded_servers.endpoints.clickhouse) as client:
        client.execute(f"CREATE DATABASE {database}")
    dsn = embedded_servers.endpoints.clickhouse.rpartition("/")[0] + f"/{database}"
    key_file, said = tmp_path / "names.keys", tmp_path / "said"
    (health,) = free_ports(1)
    with secured(tmp_path / "broker") as broker, _refusing() as (port, asked):
        address = f"http://{LOOPBACK}:{port}"
        scene.change(
            kafka={"bootstrap": broker.scram.servers} | {name: getattr(broker.scram, name) for name in _LOGIN},
            clickhouse={"dsn": dsn, "analyst_dsn": dsn},
            privacy={"pseudonyms": True, "key_file": str(key_file)},
            notify={"webhook": f"{address}/{HOOK}", "tries": 2},
            traces={"endpoint": f"{address}/{TRACES}", "sample": 1.0},
            health={"listen": f"{LOOPBACK}:{health}"},
            logs={"level": "debug"},
        )
        scene.file.chmod(0o600)
        paths = DataPaths(scene.config.data.absolute())
        scanned = Scanned({"webhook": HOOK, "traces": TRACES, "a wrong password": WRONG, "Kafka's password": PASSWORD})
        with _running(scene, said) as run:
            _until_refused(run, said, scanned, paths)
            assert any(TRACES in path for path in asked)
            scanned.secrets |= _keys(key_file) | {"ClickHouse's password": embedded_servers.password()}
            _succeeding(scene, scanned, health)
        _failing(scene, scanned, broker.folder, dsn)
        scanned.add("said", said.read_text())
    assert paths.settings.stat().st_mode & 0o077 == 0
    assert scanned.files(paths.folder, besides=[paths.settings]) > 10
    scanned.files(tmp_path / "errors")
    assert not scanned.found(), "\n".join(scanned.found())


def _until_refused(run: subprocess.Popen[bytes], said: Path, scanned: Scanned, paths: DataPaths) -> None:
    """Wait until webhook and trace server have refused, and look at every process meanwhile."""
    processes: set[int] = set()

    def undelivered() -> bool:
        processes.update(scanned.processes(run.pid))
        return "was not delivered to the webhook" in _logs(paths, "notify")

    _wait(run, said, undelivered)
    assert len(processes) >= 6, "workers and the collector"
    _wait(run, said, lambda: "does not take spans" in _logs(paths, "notify"))


def _succeeding(scene: Scene, scanned: Scanned, health: int) -> None:
    for path in ("live", "ready", "metrics"):
        scanned.add(path, httpx.get(f"http://{LOOPBACK}:{health}/{path}", timeout=30).text)
    for command in ("doctor", "status", "violations", "audit", "privacy show"):
        scanned.ran(*command.split(), "--config", scene.file)
    assert scanned.ran("sql", "--config", scene.file, "SELECT nothing").code == 4


def _failing(scene: Scene, scanned: Scanned, folder: Path, dsn: str) -> None:
    """Passwords that are refused, and secrets of the wrong shape."""
    good = scene.file.read_text()
    (folder / "wrong").write_text(WRONG)
    scene.change(kafka={"password_file": str(folder / "wrong")})
    assert scanned.ran("doctor", "--config", scene.file).code == 1
    assert scanned.ran("run", "--once", "--config", scene.file).code == 4
    user, _, rest = dsn.partition("://")[2].partition(":")
    password, _, where = rest.rpartition("@")
    for wrong in (WRONG, f"{password}/{WRONG}", f"{password}#x", f"{password}@{WRONG}", f"{password}[", f"{WRONG}?x"):
        scene.file.write_text(good)
        scene.change(clickhouse={"dsn": f"clickhouse://{user}:{wrong}@{where}", "analyst_dsn": ""})
        for command in ("doctor", "violations"):
            assert scanned.ran(command, "--config", scene.file).code in (1, 2, 4)
    scene.file.write_text(good)
    key_file = scene.config.privacy.keys(scene.config.data)
    kept = key_file.read_text()
    key_file.write_text(f"{kept} and more\n")
    assert scanned.ran("unmask", "--config", scene.file, "--reason", "test", "p-0").code != 0
    key_file.write_text(kept)
    scene.file.write_text(good.replace(f'"{dsn}"', f'"{dsn}', 1))  # no TOML any more
    assert scanned.ran("doctor", "--config", scene.file).code == 2
    scene.file.write_text(good)


@pytest.mark.servers
def test_the_embedded_servers_passwords_stay_in_their_files(embedded_servers: RunningServers) -> None:
    layout = embedded_servers.layout
    scanned = Scanned({user: embedded_servers.password(user) for user in ("aupstream", "analyst")})
    assert len(scanned.processes(os.getpid())) >= 2
    files = [layout.password(user) for user in scanned.secrets]
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    scanned.files(layout.logs)
    scanned.files(layout.folder / "run")
    for path in (layout.ports, layout.running, *layout.kafka.glob("*.properties")):
        scanned.add(path.name, path.read_text() if path.exists() else "")
    assert not scanned.found(), "\n".join(scanned.found())


def test_help_shows_no_value_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUPSTREAM_CLICKHOUSE__DSN", f"clickhouse://u:{WRONG}@127.0.0.1:1/d")
    monkeypatch.setenv("AUPSTREAM_NOTIFY__WEBHOOK", f"http://127.0.0.1:1/{HOOK}")
    scanned = Scanned({"password": WRONG, "webhook": HOOK})
    top = get_command(app)
    assert isinstance(top, typer.core.TyperGroup)
    for name in top.commands:
        assert scanned.ran(name, "--help").code == 0
    assert len(scanned.texts) > 20
    assert scanned.ran("status", "--data", tmp_path).code != 0
    assert not scanned.found(), "\n".join(scanned.found())


def test_a_secret_that_is_written_anywhere_is_found(tmp_path: Path) -> None:
    scanned = Scanned({"password": WRONG})
    (tmp_path / "log").write_text(f"it is {WRONG}, you see")
    assert scanned.files(tmp_path) == 1
    child = subprocess.Popen([shutil.which("sleep") or "sleep", "60"], env={"SECRET": WRONG})
    try:
        while not psutil.Process(child.pid).cmdline():  # Popen comes back a moment before the new program has its words
            time.sleep(0.01)
        assert child.pid in scanned.processes(os.getpid())
    finally:
        child.kill()
        child.wait()
    assert len(scanned.found()) == 2
