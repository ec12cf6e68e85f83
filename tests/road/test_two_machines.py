"""Agents on two machines share the work, one of them ends in the middle, and nothing is lost or comes twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from infra.run.system import System
from schemas.errors import ConfigError
from tests.cli.command import aupstream
from tests.road.scene import Scene, handled, simulated, wait_until
from tests.road.through import assert_all_through

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]


def _second(scene: Scene, first: System, folder: Path) -> Scene:
    """The configuration of another machine: the same servers and files, a data folder and a name of its own."""
    shutil.copytree(scene.folder, folder, ignore=shutil.ignore_patterns("data"))
    second = Scene(folder)
    second.change(
        kafka={"bootstrap": first.kafka}, clickhouse={"dsn": first.clickhouse}, agents={"machine": "b"},
        privacy={"pseudonyms": True, "key_file": str(folder / "keys")},
    )  # fmt: skip
    return second


def test_a_second_machine_takes_its_share_and_what_it_leaves_goes_on(tmp_path: Path) -> None:
    scene = simulated(tmp_path / "a", seed=8, lines=40_000)
    scene.change(sources=lambda sources: [s | {"batch_rows": 50} for s in sources])
    lines = {str(s.name): Path(s.path).read_bytes().count(b"\n") for s in scene.config.sources}
    with scene.running() as system:
        second = _second(scene, system, tmp_path / "b")
        with pytest.raises(ConfigError, match="keys of pseudonyms are not here"):
            System(second.config, second.file, print).start(collectors=False)
        second.change(privacy={"pseudonyms": False})
        with second.running(collectors=False) as other:
            wait_until(system, lambda: [*other.poll()] == [] and handled(other.paths, "detect") > 50)
            wait_until(system, lambda: [*other.poll()] == [] and handled(other.paths, "correlate") > 10)
            assert [*other.once_for_all()] == []
        assert_all_through(system, scene, lines)


def test_a_further_machine_names_the_servers(tmp_path: Path) -> None:
    file = tmp_path / "aupstream.toml"
    file.write_text('[agents]\nmachine = "b"\n')
    ran = aupstream("agents", "--config", file)
    assert (ran.code, "has no servers of its own" in ran.err, f"{file}:2" in ran.err) == (2, True, True)
