"""From the release before to this one while logs are read: old collectors beside new agents, nothing lost or twice.

The rules that come along are others in the two: the new agents go on by the old ones, which are in force.
"""

from __future__ import annotations

import io
import os
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
from infra.run.system import ROOT, System, cache_folder
from tests.road.scene import WITHIN_S, Scene, backtest, handled, simulated, wait_until
from tests.road.stored import Stored, assert_conserved, assert_same

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]

BEFORE = "bd30944"  # the last commit of the release before; a later one is put here when this one has been released


@pytest.fixture
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release before, as it was."""
    packed = subprocess.run(["git", "archive", BEFORE], cwd=ROOT, capture_output=True, check=False)
    if packed.returncode:
        pytest.skip(f"this clone does not hold the release before: {packed.stderr.decode().strip()}")
    folder = tmp_path_factory.mktemp("before")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


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


def _until(reached: Callable[[], bool], within_s: float = WITHIN_S) -> None:
    deadline = time.monotonic() + within_s
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.1)
