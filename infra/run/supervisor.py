"""Processes: started, watched, started again when they end, stopped in order. Crash-only workers rely on it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from infra.embedded.logs import bound
from infra.run.lastwords import last_error

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0
STEADY_S = 30.0  # a process that ran so long starts again at once, with the first pause
LOG_BYTES = 20_000_000  # a process log over this is moved aside, while the process goes on; one older is kept
LOOK_AT_LOGS_S = 10.0
# A worker's loop that stood still for 0.7 of its session ends it from within, so this is for what cannot end itself: a
# process that was stopped as a whole, that waits for a disk, or in which one thread lets no other run.
SILENT_S = 60.0
_LOOK_S = 5.0  # a longer pause between two looks is one of this process, or of the machine, and counts as so much
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Spec:
    """A process to keep running.

    Attributes:
        name: For people, logs and status; unique.
        argv: Command line; no secrets.
        env: Additions to this process's environment.
        cwd: Working directory.
        final: Exit codes after which it is not started again; not 0 for what runs until it is stopped from here, which
            somebody else has ended then.
        status: A file that it replaces every second or so. One that has done so since its start, and then not for
            `SILENT_S`, is killed and started again.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    final: frozenset[int] = frozenset()
    status: Path | None = None


@dataclass(slots=True)
class _Child:
    spec: Spec
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    pause_s: float = FIRST_PAUSE_S
    again_s: float = 0.0
    starts: int = 0
    code: int | None = None
    log_at: int = 0  # where its part of the log begins
    told: tuple[int, int] | None = None  # which status it wrote last
    silent_s: float | None = None  # since then; None: it has written none since its start

    def told_now(self) -> tuple[int, int] | None:
        """Which status stands there; None where none does."""
        try:
            found = None if self.spec.status is None else self.spec.status.stat()
        except OSError:
            return None
        return None if found is None else (found.st_ino, found.st_mtime_ns)

    def is_silent(self, passed_s: float) -> bool:
        """Whether it has not told of itself for too long, once for a silence; `passed_s` since the last look."""
        now = self.told_now()
        if now is not None and now != self.told:
            self.told, self.silent_s = now, 0.0
        elif self.silent_s is not None:
            before, self.silent_s = self.silent_s, self.silent_s + passed_s
            return before <= SILENT_S < self.silent_s
        return False


class Supervisor:
    """Keeps processes running. Call `poll` about once a second from one thread.

    A child dies with this process (Linux), so that nothing is left behind by a kill.

    Args:
        logs: Folder for one log file a process.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._children: dict[str, _Child] = {}
        self._looked_s = 0.0
        self._polled_s = time.monotonic()
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, spec: Spec) -> None:
        """Start a process and keep it running."""
        child = self._children[spec.name] = _Child(spec)
        self._spawn(child)

    def poll(self) -> list[str]:
        """Start again what ended; what happened, as sentences. One that ended with a final code is left alone."""
        happened = []
        now = time.monotonic()
        passed_s, self._polled_s = min(now - self._polled_s, _LOOK_S), now
        self._bound_logs(now)
        for child in self._children.values():
            if child.process is None:
                if child.code is None and now >= child.again_s:
                    self._spawn(child)
                    happened.append(f"{child.spec.name} was started again (start {child.starts})")
                continue
            code = child.process.poll()
            if code is None:
                if child.is_silent(passed_s):
                    child.process.kill()  # a stopped process takes no other signal
                    happened.append(f"{child.spec.name} has not told of itself for {child.silent_s:.0f} s: killed")
                continue
            happened += self._ended(child, code, now)
        return happened

    def _ended(self, child: _Child, code: int, now: float) -> Iterator[str]:
        child.process = None
        log = self.log_of(child.spec.name)
        why = last_error(log, child.log_at) if code else ""
        ended = f"{child.spec.name} ended with {code}{f': {why}' if why else ''}"
        if code in child.spec.final:
            child.code = code
            if code:
                yield f"{ended} (log: {log})"
            return
        if now - child.started_s > STEADY_S:
            child.pause_s = FIRST_PAUSE_S
        child.again_s = now + child.pause_s
        yield f"{ended}; it starts again in {child.pause_s:.1f} s (log: {log})"
        child.pause_s = min(child.pause_s * 2, LONGEST_PAUSE_S)

    def log_of(self, name: str) -> Path:
        """Log file of a process."""
        return self._logs / f"{name}.log"

    def pid(self, name: str) -> int | None:
        """Process id, or None while it does not run."""
        process = self._children[name].process
        return None if process is None or process.poll() is not None else process.pid

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of those that run."""
        return {name: pid for name in self._children if (pid := self.pid(name)) is not None}

    @property
    def starts(self) -> dict[str, int]:
        """How often each was started."""
        return {name: child.starts for name, child in self._children.items()}

    def exit_code(self, name: str) -> int | None:
        """Code that it ended with for good; None while it runs or is to start again."""
        return self._children[name].code

    def remove(self, name: str, within_s: float = 20.0) -> None:
        """Stop one process and forget it."""
        self._stop([self._children.pop(name)], within_s)

    def stop(self, within_s: float = 20.0) -> None:
        """Ask all to end, the newest started first; kill what does not end in time. Idempotent."""
        self._stop(list(reversed(self._children.values())), within_s)
        self._children.clear()

    def _stop(self, children: Sequence[_Child], within_s: float) -> None:
        running = [c.process for c in children if c.process is not None and c.process.poll() is None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + within_s
        for process in running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _spawn(self, child: _Child) -> None:
        child.starts += 1
        child.started_s = time.monotonic()
        child.told, child.silent_s = child.told_now(), None
        with self._open_log(child.spec.name) as log:
            child.log_at = log.seek(0, os.SEEK_END)
            child.process = subprocess.Popen(
                child.spec.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **child.spec.env},
                cwd=child.spec.cwd,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509  # no threads yet
                start_new_session=True,  # Ctrl-C is for the supervisor alone: it stops its children in order
            )

    def _open_log(self, name: str) -> BinaryIO:
        self._bound_log(name)
        return self.log_of(name).open("ab")

    def _bound_logs(self, now_s: float) -> None:
        if now_s - self._looked_s >= LOOK_AT_LOGS_S:
            self._looked_s = now_s
            for name in self._children:
                self._bound_log(name)

    def _bound_log(self, name: str) -> None:
        """Keep a log within its size; on a full disk without a copy of what goes, since that is what has to stop."""
        try:
            bound(self.log_of(name), LOG_BYTES)
        except OSError:
            with contextlib.suppress(OSError):
                os.truncate(self.log_of(name), 0)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
