"""What is started again, and what is not."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.run import supervisor as module
from infra.run.lastwords import last_error
from infra.run.supervisor import Spec, Supervisor


def _after(supervisor: Supervisor, name: str, starts: int) -> int:
    deadline = time.monotonic() + 10
    while supervisor.starts[name] < starts and time.monotonic() < deadline:
        supervisor.poll()
        time.sleep(0.02)
    return supervisor.starts[name]


def test_a_worker_that_somebody_else_asked_to_end_is_started_again(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    supervisor.start(Spec("worker", [sys.executable, "-c", "pass"]))
    try:
        assert _after(supervisor, "worker", 2) == 2
        assert supervisor.exit_code("worker") is None
    finally:
        supervisor.stop()


def test_what_ends_by_itself_is_left_alone_after_its_final_code_and_no_other(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    code = "import pathlib, sys; p = pathlib.Path('seen'); again = p.exists(); p.touch(); sys.exit(0 if again else 3)"
    supervisor.start(Spec("reader", [sys.executable, "-c", code], cwd=tmp_path, final=frozenset({0})))
    try:
        assert _after(supervisor, "reader", 2) == 2
        assert _after(supervisor, "reader", 3) == 2
        assert supervisor.exit_code("reader") == 0
    finally:
        supervisor.stop()


_TELLING = """\
import pathlib, sys, time
path = pathlib.Path(sys.argv[1])
while True:
    path.with_suffix(".tmp").write_text("{}")
    path.with_suffix(".tmp").replace(path)
    time.sleep(0.02)
"""


def _poll_until(supervisor: Supervisor, seen: Callable[[], object], within_s: float = 10.0) -> list[str]:
    said, deadline = [], time.monotonic() + within_s
    while not seen() and time.monotonic() < deadline:
        said += supervisor.poll()
        time.sleep(0.02)
    return said


def test_a_worker_that_is_stopped_as_a_whole_is_killed_and_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENT_S", 0.5)
    supervisor, status = Supervisor(tmp_path), tmp_path / "worker.json"
    supervisor.start(Spec("worker", [sys.executable, "-c", _TELLING, str(status)], status=status))
    try:
        _poll_until(supervisor, status.exists)
        assert _poll_until(supervisor, lambda: False, within_s=1.0) == []  # it tells of itself
        pid = supervisor.pid("worker")
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        said = _poll_until(supervisor, lambda: supervisor.starts["worker"] == 2)
        assert supervisor.starts["worker"] == 2
        assert sum("worker has not told of itself for" in sentence for sentence in said) == 1
        assert f"worker ended with -{signal.SIGKILL:d}" in " ".join(said)
    finally:
        supervisor.stop()


def test_a_worker_that_has_told_nothing_yet_is_left_time_to_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENT_S", 0.2)
    supervisor, status = Supervisor(tmp_path), tmp_path / "worker.json"
    status.write_text("{}")  # of the one before
    supervisor.start(Spec("worker", [sys.executable, "-c", "import time; time.sleep(60)"], status=status))
    try:
        assert _poll_until(supervisor, lambda: False, within_s=0.8) == []
    finally:
        supervisor.stop()


def test_a_supervisor_that_slept_itself_takes_nobody_for_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    supervisor, status = Supervisor(tmp_path), tmp_path / "worker.json"
    supervisor.start(Spec("worker", [sys.executable, "-c", "import time; time.sleep(60)"], status=status))
    try:
        status.write_text("{}")
        assert supervisor.poll() == []
        now[0] += 3_600.0
        assert supervisor.poll() == []
        for _ in range(11):
            now[0] += 5.0
            assert supervisor.poll() == []
        now[0] += 5.0
        assert supervisor.poll() == ["worker has not told of itself for 65 s: killed"]
    finally:
        monkeypatch.undo()
        supervisor.stop()


_FAILING = """\
import logging
from agents.delivery.watchdog import crash
from schemas.errors import {kind}
from schemas.logs import configure
from schemas.logsettings import LogSettings
configure("worker", LogSettings(format="{form}"))
try:
    raise {kind}("1000 messages in a row are refused", **{more})
except Exception as error:
    logging.getLogger("x").error("earlier")
    crash("handling a message failed", error)
"""


@pytest.mark.parametrize("form", ["text", "json"])
def test_why_a_worker_ended_is_said_where_that_is_said(tmp_path: Path, form: str) -> None:
    supervisor = Supervisor(tmp_path)
    code = _FAILING.format(kind="StateError", form=form, more={"where": "aup.x/0/5", "hint": "find out who"})
    supervisor.start(Spec("worker", [sys.executable, "-c", code], cwd=Path(__file__).parents[2]))
    try:
        said = _poll_until(supervisor, lambda: supervisor.pid("worker") is None)
        said += supervisor.poll()
    finally:
        supervisor.stop()
    why = "handling a message failed: aup.x/0/5: 1000 messages in a row are refused (find out who)"
    assert said[0].startswith(f"worker ended with 70: {why}; it starts again in")
    assert "Traceback" not in supervisor.log_of("worker").read_text()


def test_of_an_error_of_others_only_its_kind_is_repeated(tmp_path: Path) -> None:
    log = tmp_path / "log"
    head = "2026-11-28 10:00:00,000"
    log.write_text(
        f"{head} ERROR aupstream.agent old\n{head} CRITICAL aupstream.agent a timed step failed; the worker ends "
        "and is started again\nTraceback (most recent call last):\n  File 'x.py', line 3\nValueError: ada@s.example\n"
        f"{head} INFO aupstream.agent gone\n"
    )
    assert last_error(log) == "a timed step failed: ValueError"
    assert last_error(log, log.stat().st_size) == ""
    assert last_error(log, 1 << 30) == "a timed step failed: ValueError"
    assert last_error(tmp_path / "none") == ""
