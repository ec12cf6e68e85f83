"""What must not be done by two at once is done by one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from infra.run.alone import alone
from schemas.errors import InputError
from tests.cli.command import aupstream


def _refuse(process: str) -> None:
    raise InputError(process)


def test_of_two_who_replay_dead_letters_the_second_is_refused(tmp_path: Path) -> None:
    asked = ("deadletters", "replay", "--reason", "x", "--data", tmp_path)
    with alone(tmp_path / "run" / "replaying", _refuse):
        ran = aupstream(*asked)
        said = f"dead letters are being replayed by another process ({os.getpid()})"
        assert (ran.code, said in ran.err) == (4, True), ran.err
    assert "another process" not in aupstream(*asked).err


def test_the_second_may_wait_for_the_end_of_the_first(tmp_path: Path) -> None:
    told: list[str] = []
    heard, done = threading.Event(), threading.Event()

    def hear(process: str) -> None:
        told.append(process)
        heard.set()

    def second() -> None:
        with alone(tmp_path / "lock", hear):
            done.set()

    with alone(tmp_path / "lock", _refuse):
        thread = threading.Thread(target=second)
        thread.start()
        assert heard.wait(10)
        assert not done.is_set()
    thread.join(10)
    assert (done.is_set(), told) == (True, [str(os.getpid())])


def test_who_is_killed_holds_nothing_any_more(tmp_path: Path) -> None:
    killed = (
        "import os, pathlib, sys\nfrom infra.run.alone import alone\n"
        "with alone(pathlib.Path(sys.argv[1]), print): os.kill(os.getpid(), 9)"
    )
    argv = [sys.executable, "-c", killed, str(tmp_path / "lock")]
    assert subprocess.run(argv, cwd=Path(__file__).parents[2], check=False).returncode == -9
    with alone(tmp_path / "lock", _refuse):
        pass


def test_a_place_that_cannot_be_locked_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="locked"), alone(tmp_path / "file" / "lock", _refuse):
        pass
