"""Logs that grow and are rotated while the road runs: renamed, copied and truncated, renamed and compressed."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from infra.run.system import System
from tests.road.scene import Scene, backtest, simulated, wait_until
from tests.road.stored import Stored, assert_conserved

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]

FOLLOWED = ("mail", "logins")
WHAT = ("rule_id", "group_key", "status", "first_seen", "last_seen", "count", "value")


def _parts(content: bytes, number: int) -> list[bytes]:
    """A log in parts of whole lines."""
    lines = content.splitlines(keepends=True)
    step = -(-len(lines) // number)
    return [b"".join(lines[i : i + step]) for i in range(0, len(lines), step)]


def _append(path: Path, content: bytes) -> None:
    """As a program with a buffer does: in pieces that end anywhere."""
    with path.open("ab", buffering=0) as file:
        for i in range(0, len(content), 5_000):
            file.write(content[i : i + 5_000])


def _shift(path: Path) -> None:
    """`.1` becomes `.2.gz`, `.2.gz` becomes `.3.gz`."""
    first, second, third = (path.with_name(f"{path.name}.{end}") for end in ("1", "2.gz", "3.gz"))
    if second.exists():
        second.rename(third)
    if first.exists():
        second.write_bytes(gzip.compress(first.read_bytes()))
        first.unlink()


def _rename(path: Path) -> None:
    _shift(path)
    path.rename(path.with_name(f"{path.name}.1"))
    path.touch()


def _copy_and_truncate(path: Path) -> None:
    _shift(path)
    shutil.copy2(path, path.with_name(f"{path.name}.1"))
    with path.open("r+b") as file:
        file.truncate(0)


def _rename_and_compress_at_once(path: Path) -> None:
    _rename(path)
    _shift(path)


ROTATIONS: tuple[Callable[[Path], None], ...] = (_rename, _copy_and_truncate, _rename_and_compress_at_once)


def _followed(folder: Path) -> Scene:
    def change(sources: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [s | {"mode": "follow", "lateness_s": 0} for s in sources if s["name"] in FOLLOWED]

    scene = simulated(folder, seed=7, lines=20_000)
    scene.change(sources=change)
    return scene


def _what(records: Iterable[dict[str, Any]]) -> list[str]:
    """What violations say but for ids, which name the file that a line stands in, and their age."""
    return sorted(str([sorted(r[k].items()) if k == "group_key" else r[k] for k in WHAT]) for r in records)


def _read(system: System, stored: Stored, name: str, lines: int) -> None:
    """Wait until so many lines of a source are accounted for."""

    def reached() -> bool:
        ledger = stored.ledger()
        return name in ledger and ledger[name].lines >= lines

    wait_until(system, reached)


def test_logs_that_are_rotated_while_they_are_read_lose_and_repeat_no_line(tmp_path: Path) -> None:
    """The mail log is read up to before each rotation; the login log is rotated without a thought for who reads it."""
    scene = _followed(tmp_path)
    paths = {str(s.name): Path(s.path) for s in scene.config.sources}
    contents = {name: path.read_bytes() for name, path in paths.items()}
    expected = _what(backtest(scene.config))
    assert len(expected) >= 5
    parts = {name: _parts(content, 1 + len(ROTATIONS)) for name, content in contents.items()}
    for name, path in paths.items():
        path.write_bytes(parts[name][0])
    with scene.running() as system:
        stored = Stored(system)
        for number, rotate in enumerate(ROTATIONS, 1):
            _read(system, stored, "mail", sum(part.count(b"\n") for part in parts["mail"][:number]))
            for name, path in paths.items():
                rotate(path)
                _append(path, parts[name][number])
        lines = {name: content.count(b"\n") for name, content in contents.items()}
        for name, count in lines.items():
            _read(system, stored, name, count)
        wait_until(system, lambda: _what(stored.violations()) == expected)
        wait_until(system, lambda: stored.number("SELECT count() FROM violations_now") == len(expected))
        assert_conserved(stored, lines, ended=False)
        stored.close()
