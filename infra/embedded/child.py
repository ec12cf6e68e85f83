"""A child process of ``up``: started tied to its parent, known by a pid file, stopped for certain.

The pid file holds the process id with its start time, because ids are used again: a stale file never makes a stranger
stop. `PR_SET_PDEATHSIG` fires when the *thread* that made the child ends, so all children are made by one thread that
lives as long as the process.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

import psutil

_TETHER: Final = Path(__file__).with_name("tether.py")
_POLL_SEC: Final = 0.02


@dataclass(frozen=True)
class ChildSpec:
    """What to run: ``command[0]`` is an absolute path; output goes to the end of ``log``."""

    name: str
    command: tuple[str, ...]
    log: Path
    pid_file: Path
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_within_sec: float = 20.0


class Child:
    """A running (or ended) process made from a `ChildSpec`."""

    def __init__(self, spec: ChildSpec, process: subprocess.Popen[bytes]) -> None:
        self.spec = spec
        self._process = process

    @classmethod
    def start(cls, spec: ChildSpec) -> Child:
        """Start it and write its pid file. Raises `OSError` when the command cannot be run."""
        spec.log.parent.mkdir(parents=True, exist_ok=True)
        process = _spawner().submit(_spawn, spec).result()
        _write_pid_file(spec.pid_file, process.pid)
        return cls(spec, process)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """None while it runs, else its exit code (negative: the signal that ended it)."""
        return self._process.poll()

    def stop(self) -> None:
        """SIGTERM, then SIGKILL after ``stop_within_sec``; blocks until it is gone. Idempotent."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(self.spec.stop_within_sec)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self.spec.pid_file.unlink(missing_ok=True)


def stop_stale(pid_file: Path, within_sec: float) -> int | None:
    """Stop the process that a dead ``up`` left behind; its id, or None when there was none.

    Blocks until it is gone: SIGTERM first, SIGKILL after ``within_sec``.
    """
    found = _read_pid_file(pid_file)
    if found is None or start_time(found[0]) != found[1]:
        pid_file.unlink(missing_ok=True)
        return None
    pid, started = found
    for number, patience in ((signal.SIGTERM, within_sec), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        if _gone_within(pid, started, patience):
            break
    pid_file.unlink(missing_ok=True)
    return pid


def start_time(pid: int) -> float | None:
    """When the process started (Unix time, the same at every call); None when it does not run. A zombie has ended."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


def _gone_within(pid: int, started: float, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while start_time(pid) == started:
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SEC)
    return True


def _spawn(spec: ChildSpec) -> subprocess.Popen[bytes]:
    """Runs on the spawner's thread."""
    tether: Sequence[str] = (sys.executable, "-S", "-E", str(_TETHER), str(os.getpid()))
    with spec.log.open("ab") as log:
        return subprocess.Popen(
            (*tether, *spec.command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=spec.folder,
            env={**os.environ, **spec.environment},
        )


@cache
def _spawner() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")


def _write_pid_file(path: Path, pid: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"pid": pid, "started": start_time(pid)}))
    os.replace(part, path)


def _read_pid_file(path: Path) -> tuple[int, float] | None:
    try:
        content = json.loads(path.read_text())
        return int(content["pid"]), float(content["started"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
