"""Who seals lines that cannot be read: a collector that has the keys, and none that would make its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.privacy.keys import ensure
from infra.privacy_settings import Privacy
from infra.run.collect import sealer_of


def test_a_collector_seals_with_the_keys_that_are_there_and_makes_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "keys" / "aupstream.keys"
    privacy = Privacy(pseudonyms=True, key_file=path)
    assert sealer_of(privacy, tmp_path / "data") is None
    assert "sealed where they are stored" in caplog.text
    assert not path.parent.exists()
    newest = ensure(path).sealer()
    assert newest is not None
    assert sealer_of(privacy, tmp_path / "data") == newest
    assert sealer_of(Privacy(pseudonyms=False, key_file=path), tmp_path / "data") is None
