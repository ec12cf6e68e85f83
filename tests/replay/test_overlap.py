"""A log of which lines are stored already, out of another content, is refused before anything is sent."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from infra.cli.store import Store
from infra.replay.overlap import refuse_overlap
from schemas.errors import InputError
from schemas.ids import generation_of, line_hash
from streams.config import SourceConfig

_LINES = [
    f"Mar 25 10:00:00 shell sshd[{n}]: Accepted password for u{n} from 10.0.0.9 port 7 ssh2" for n in range(9_000)
]


class _Stored:
    """Answers as ClickHouse does that holds events of some lines of one content."""

    def __init__(self, lines: list[str]) -> None:
        self._hashes = {line_hash(line.encode()) for line in lines}
        self._generation = generation_of(lines[0].encode())

    def rows(self, query: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        if "ledger_now" in query:
            return [{"timeline": ""}]
        assert "events_login" in query
        assert len(values["hashes"]) <= 300
        found = len(self._hashes.intersection(values["hashes"]))
        return [{"generation": self._generation, "lines": found}] if found and self._asked(values) else []

    def _asked(self, values: Mapping[str, Any]) -> bool:
        return bool(values["source"] == "logins") and values["generation"] != self._generation


def _refuse(stored: list[str], path: Path) -> None:
    refuse_overlap(cast("Store", _Stored(stored)), SourceConfig("logins", "openssh", path=str(path), mode="once"))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("start", "stop"), [(1, 9_000), (5_990, 9_000), (0, 9_000)])
def test_a_log_that_overlaps_what_is_stored_is_refused(tmp_path: Path, start: int, stop: int, packed: bool) -> None:
    path = tmp_path / "log"
    content = "".join(line + "\n" for line in _LINES[start:stop]).encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    before = _LINES[:6_000] if start else _LINES[3_000:4_000]  # its start, or somewhere in it
    with pytest.raises(InputError, match="stored as events of source 'logins' already") as raised:
        _refuse(before, path)
    assert generation_of(before[0].encode()) in str(raised.value)
    assert "live" in str(raised.value)


def test_a_log_of_its_own_and_one_of_the_same_content_are_not_refused(tmp_path: Path) -> None:
    for number, lines in enumerate((_LINES[:6_000], _LINES[6_000:])):
        path = tmp_path / f"log{number}"
        path.write_text("".join(line + "\n\n" for line in lines))  # a blank line is nobody's
        _refuse(_LINES[:6_000], path)
    _refuse([*_LINES[:6_000], ""], tmp_path / "log1")


def test_files_of_a_folder_are_looked_at_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("".join(line + "\n" for line in _LINES[6_000:]))
    (tmp_path / "b.log").write_text("".join(line + "\n" for line in _LINES[1:6_000]))
    with pytest.raises(InputError, match=r"b\.log"):
        _refuse(_LINES[:6_000], tmp_path / "*.log")
