"""Inventory, roster and permits are followed while everything runs; what is wrong in them changes nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from agents.settings import DistrictSettings
from infra.run.contextfiles import SETTLED_S, ContextFiles
from infra.run.system import System
from schemas.errors import Errors
from tests.rejudge.test_rejudge import ANNA, _append, _found, _inventory, _refused, _scene
from tests.road.scene import wait_until
from tests.road.stored import Stored

HEAD = "mac,owner,kind,site\n"


def _settled(files: ContextFiles) -> bool:
    """Whether it says that files have changed, after long enough."""
    files.changed()
    time.sleep(SETTLED_S + 0.1)
    return files.changed()


def test_each_version_is_kept_and_a_wrong_one_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "inventory.csv"
    path.write_text(f"{HEAD}{ANNA},anna,laptop,\n")
    files = ContextFiles(DistrictSettings(inventory=path), tmp_path / "context")
    first = files.keep()
    assert first.inventory is not None
    assert first.inventory != path
    assert not _settled(files)

    path.write_text(f"{HEAD}nonsense,anna,laptop,\n{ANNA}\n")
    assert _settled(files)
    with pytest.raises(Errors) as raised:
        files.keep()
    assert [e.where for e in raised.value.errors] == [f"{path}:2", f"{path}:3"]
    assert not _settled(files), "it is told once"

    path.write_text(f"{HEAD}{ANNA},anna,laptop,\n\n")
    assert _settled(files)
    assert files.keep() == first, "it says the same as before"
    path.write_text(f"{HEAD}{ANNA},ben,laptop,\n")
    assert _settled(files)
    second = files.keep()
    assert second.inventory is not None
    kept = [one.read_text().splitlines()[1] for one in sorted((tmp_path / "context").glob("*/inventory.csv"))]
    assert kept == [f"{ANNA},anna,laptop,", f"{ANNA},ben,laptop,"]
    assert len(list((tmp_path / "context").iterdir())) == 2, "nothing is left of what was not taken"


def _followed(system: System) -> list[str]:
    """What it says of the files that were changed."""
    said: list[str] = []

    def heard() -> bool:
        said.extend(system.follow_context())
        return bool(said)

    wait_until(system, heard)
    return said


@pytest.mark.servers
@pytest.mark.timeout(400)
def test_what_comes_after_a_change_is_judged_by_it(tmp_path: Path) -> None:
    scene = _scene(tmp_path)
    with scene.running() as system:
        stored = Stored(system)
        wait_until(system, lambda: list(_found(stored)) == ["anna"])

        inventory = tmp_path / "inventory.csv"
        inventory.write_text(f"{HEAD}{ANNA}\n")
        (said,) = _followed(system)
        assert f"not taken: {inventory}:2" in said
        _inventory(tmp_path, ben="ben")
        inventory.write_text(inventory.read_text().replace(",anna,", ",dora,"))
        assert "judging goes on by them" in _followed(system)[0]

        _append(tmp_path / "access.log", _refused("10.1.0.5", 8_100, 8_110, 8_120, 8_130, 8_140, 8_950))
        wait_until(
            system, lambda: {w: s[1] for w, s in _found(stored).items()} == dict.fromkeys(("anna", "dora"), "violation")
        )
        stored.close()
