"""A start without the file of keys: new ones only where nothing is sealed with others, or where somebody asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.privacy.keys import ensure
from infra.config import Config, load
from infra.run import keyfile
from infra.run.system import System
from schemas.errors import ConfigError
from tests.cli.command import aupstream
from tests.privacy.stored import Stored


def _config(folder: Path) -> Config:
    return Config.model_validate({"data": str(folder / "data"), "privacy": {"key_file": str(folder / "keys")}})


def _holding(*names: str) -> list[tuple[str]]:
    return [(name,) for name in names]


def test_keys_are_made_where_nothing_is_sealed_yet(tmp_path: Path) -> None:
    said: list[str] = []
    keyfile.settle(_config(tmp_path), lambda _: [], said.append)
    assert (tmp_path / "keys").exists()
    assert [s.partition(":")[0] for s in said] == ["made the keys of pseudonyms"]


@pytest.mark.parametrize("table", ["sealed_names", "dead_letters"])
def test_none_are_made_where_something_is_sealed_with_others(tmp_path: Path, table: str) -> None:
    with pytest.raises(ConfigError, match=r"sealed with 9c41 .*copy the file back.*privacy rotate --new"):
        keyfile.settle(_config(tmp_path), lambda q: _holding("9c41") if table in q else [], pytest.fail)
    assert not (tmp_path / "keys").exists()


def test_who_asks_for_new_keys_goes_on_and_is_told_what_stays_sealed(tmp_path: Path) -> None:
    file, said = tmp_path / "aupstream.toml", list[str]()
    file.write_text('data = "data"\n[privacy]\nkey_file = "keys"\n')
    assert aupstream("privacy", "rotate", "-c", file).code == 2
    made = aupstream("privacy", "rotate", "--new", "-c", file)
    assert made.code == 0, made.err
    kept = (tmp_path / "keys").read_text()
    again = aupstream("privacy", "rotate", "--new", "-c", file)
    assert (again.code, (tmp_path / "keys").read_text()) == (2, kept)
    keyfile.settle(_config(tmp_path), lambda _: _holding("0000"), said.append)
    assert said == ["names were sealed with keys that are not here (0000): they cannot be unmasked"]


def test_keys_that_others_may_read_are_told_before_anything_starts(tmp_path: Path) -> None:
    ensure(tmp_path / "keys")
    keyfile.look(_config(tmp_path))
    (tmp_path / "keys").chmod(0o644)
    with pytest.raises(ConfigError, match="others may use"):
        keyfile.look(_config(tmp_path))


@pytest.mark.servers
def test_a_database_with_sealed_names_is_not_started_on_without_their_keys(own: Stored) -> None:
    own.keys.unlink()
    system = System(load(own.config), own.config, lambda _: None)
    with pytest.raises(ConfigError, match="ClickHouse holds names sealed with"):
        system.start(agents=(), collectors=False)
    assert not own.keys.exists()
