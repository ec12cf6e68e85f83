"""Commands are tried without what the developer's own environment says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.embedded.servers_fixture import embedded_servers

__all__ = ["embedded_servers"]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("AUPSTREAM_") and name != "AUPSTREAM_CACHE":
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))  # where keys are made that no configuration names
    monkeypatch.chdir(tmp_path)
