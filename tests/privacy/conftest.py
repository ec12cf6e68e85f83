"""One small district's day, stored by persist with pseudonyms, for all tests that only read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.embedded.servers_fixture import RunningServers, embedded_servers
from tests.privacy.stored import Stored, database, fill

__all__ = ["embedded_servers"]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("AUPSTREAM_") and name != "AUPSTREAM_CACHE":
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))  # where keys are made that no configuration names
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def stored(embedded_servers: RunningServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    """To be read only."""
    with database(embedded_servers, tmp_path_factory.mktemp("privacy")) as made:
        fill(made)
        yield made


@pytest.fixture
def own(embedded_servers: RunningServers, tmp_path: Path) -> Iterator[Stored]:
    """To be changed by the test."""
    with database(embedded_servers, tmp_path) as made:
        fill(made)
        yield made
