"""From the release before to this one while logs are read: old collectors beside new agents, nothing lost or twice.

On one machine the agents change together; on several one machine after the other, old and new ones in one group.

The rules that come along are others in the two: the new agents go on by the old ones, which are in force.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agents.rules.loader import load_rules
from infra.embedded import read_endpoints
from infra.run.paths import DataPaths
from infra.run.system import ROOT, System, cache_folder
from tests.road.scene import WITHIN_S, Scene, backtest, handled, simulated, wait_until
from tests.road.stored import Stored, assert_conserved, assert_same
from tests.road.through import assert_all_through

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]

BEFORE = "bd30944"  # the last commit of the release before; a later one is put here when this one has been released
BESIDE = "ab72184"  # whose agents know of several machines; its violations have an older schema, its rules are others


def _unpacked(commit: str, folder: Path) -> Path:
    """A release, as it was."""
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=False)
    if packed.returncode:
        pytest.skip(f"this clone does not hold the release before: {packed.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release before."""
    return _unpacked(BEFORE, tmp_path_factory.mktemp("before"))


@pytest.fixture
def beside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release whose agents are in one group with those of this one."""
    return _unpacked(BESIDE, tmp_path_factory.mktemp("beside"))


@contextmanager
def _running(release: Path, scene: Scene, command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command of a release; killed at the end where it has not ended."""
    env = {**os.environ, "PYTHONPATH": str(release), "AUPSTREAM_CACHE": str(cache_folder())}
    argv = [sys.executable, "-m", "infra.cli", command, "--config", str(scene.file)]
    with (scene.folder / f"{command}.log").open("ab") as log:
        process = subprocess.Popen(argv, cwd=release, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def test_new_agents_take_over_from_old_ones_beside_old_collectors_and_an_old_one_is_refused_after(
    tmp_path: Path, before: Path
) -> None:
    scene = simulated(tmp_path, seed=6, lines=40_000)
    scene.change(sources=lambda sources: [s | {"batch_rows": 100} for s in sources])
    lines = {str(s.name): Path(s.path).read_bytes().count(b"\n") for s in scene.config.sources}
    system = System(scene.config, scene.file, print)
    paths = system.paths
    with _running(before, scene, "up"):
        _until(lambda: read_endpoints(paths.servers) is not None)
        with _running(before, scene, "agents") as old_agents, _running(before, scene, "collect") as old_collector:
            _until(lambda: handled(paths) > 60)
            old_agents.kill()
            old_agents.wait()
            try:
                system.start(collectors=False)
                old = handled(paths)
                wait_until(system, lambda: handled(paths) > max(old, 100) or old_collector.poll() is not None)
                old_collector.send_signal(signal.SIGTERM)
                assert old_collector.wait(60) in (0, -signal.SIGTERM), (tmp_path / "collect.log").read_text()[-2000:]
                system.start_collectors()
                system.wait_until_drained(within_s=WITHIN_S)
                stored = Stored(system)
                assert_conserved(stored, lines)
                assert_same(stored, backtest(scene.config, rules=load_rules([before / "agents" / "policy"])))
                assert stored.number("SELECT count() FROM dead_letters WHERE startsWith(log_source, 'kafka:')") == 0
                stored.close()
            finally:
                system.stop()
        with _running(before, scene, "agents") as too_old:
            assert too_old.wait(120) == 4
        assert "this release knows 8 at the most" in (tmp_path / "agents.log").read_text()


def test_old_and_new_agents_are_in_one_group_while_machine_after_machine_is_upgraded(
    tmp_path: Path, beside: Path
) -> None:
    scene = simulated(tmp_path / "a", seed=8, lines=40_000)
    scene.change(sources=lambda sources: [s | {"batch_rows": 50} for s in sources])
    lines = {str(s.name): Path(s.path).read_bytes().count(b"\n") for s in scene.config.sources}
    system = System(scene.config, scene.file, print)
    with _running(beside, scene, "up"):
        _until(lambda: read_endpoints(system.paths.servers) is not None)
        other = _another_machine(scene, tmp_path / "b", system)
        with _running(beside, scene, "agents") as first, _running(beside, scene, "collect") as collector:
            _until(lambda: handled(system.paths) > 20)
            collector.send_signal(signal.SIGSTOP)  # which else were through with the logs before the machines are
            first.kill()
            first.wait()
            with _running(beside, other, "agents") as second:
                there = DataPaths(other.config.data.absolute())
                _until(lambda: handled(there, "detect") > 20)
                system.start(collectors=False)
                wait_until(system, system.ready)
                collector.send_signal(signal.SIGCONT)
                old, new = handled(there, "detect"), handled(system.paths, "detect") + 20
                wait_until(system, lambda: handled(there, "detect") > old and handled(system.paths, "detect") > new)
                assert second.poll() is None
            try:
                with other.running(collectors=False) as second:
                    system.start_collectors()
                    wait_until(system, lambda: [*second.poll()] == [] and second.ready())
                # What is through is told by the workers of one machine.
                assert_all_through(system, scene, lines, load_rules([beside / "agents" / "policy"]))
            finally:
                system.stop()


def _another_machine(scene: Scene, folder: Path, system: System) -> Scene:
    """The same servers and files, a data folder and a name of its own."""
    shutil.copytree(scene.folder, folder, ignore=shutil.ignore_patterns("data"))
    servers = read_endpoints(system.paths.servers)
    assert servers is not None
    other = Scene(folder)
    other.change(kafka={"bootstrap": servers.kafka}, clickhouse={"dsn": servers.clickhouse}, agents={"machine": "b"})
    return other


def _until(reached: Callable[[], bool], within_s: float = WITHIN_S) -> None:
    deadline = time.monotonic() + within_s
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.1)
