"""What tests of rotated logs share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.streams.rotating import Log


@pytest.fixture(params=[(False, b""), (True, b""), (False, b"#Fields: a\n")], ids=["numbered", "dated", "headed"])
def log(tmp_path: Path, request: pytest.FixtureRequest) -> Log:
    dated, header = request.param
    return Log(tmp_path, dated=dated, header=header)
