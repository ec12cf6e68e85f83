"""Runs pip of the new `.venv`."""

from __future__ import annotations

import contextlib
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from typing import IO

from infra.bootstrap.clone import Clone
from infra.bootstrap.faults import fault
from infra.bootstrap.progress import Progress

NEEDED_TEMP_MB = 1000  # the largest wheel, twice
# pip settings that would put packages elsewhere, leave some out, or change what pip prints. Every other is honoured.
HARMFUL = frozenset(
    {
        "PIP_CONSTRAINT",
        "PIP_DRY_RUN",
        "PIP_EDITABLE",
        "PIP_IGNORE_INSTALLED",
        "PIP_LOG",
        "PIP_NO_BINARY",
        "PIP_ONLY_BINARY",
        "PIP_PREFIX",
        "PIP_PYTHON",
        "PIP_QUIET",
        "PIP_REQUIREMENT",
        "PIP_ROOT",
        "PIP_TARGET",
        "PIP_USER",
        "PIP_VERBOSE",
        "PYTHONHOME",
        "PYTHONPATH",
        "__PYVENV_LAUNCHER__",
    }
)


def install_environment(clone: Clone, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment that pip runs in: the caller's, less what would lead it astray."""
    env = {name: value for name, value in environ.items() if name not in HARMFUL}
    if not env.get("HOME"):
        env.pop("HOME", None)  # an empty one would make pip cache under the current folder
    env["PYTHONNOUSERSITE"] = "1"
    if "TMPDIR" not in env and shutil.disk_usage(tempfile.gettempdir()).free < NEEDED_TEMP_MB * 2**20:
        temp = clone.scratch / "tmp"
        temp.mkdir(exist_ok=True)
        env["TMPDIR"] = str(temp)
    return env


def install_lock(clone: Clone, env: Mapping[str, str], lock: int, name: str) -> None:
    """Install exactly what the lock names: nothing else, nothing altered, nothing that has to be compiled."""
    total = sum(1 for line in (clone.root / name).read_text("utf-8").splitlines() if re.match(r"[\w.-]+==", line))
    arguments = ["--require-hashes", "--only-binary", ":all:", "--requirement", str(clone.root / name)]
    _pip(clone, env, lock, arguments, total=total)


def install_project(clone: Clone, env: Mapping[str, str], lock: int) -> None:
    """Install the clone itself, editable, with what the lock brought: no network."""
    _pip(clone, env, lock, ["--no-build-isolation", "--no-index", "--editable", str(clone.root)], total=1)


def _pip(clone: Clone, env: Mapping[str, str], lock: int, arguments: Sequence[str], *, total: int) -> None:
    """Run `pip install`, showing how far it is."""
    python = [str(clone.python), "-I", "-m", "pip"]
    if not list(clone.venv.glob("lib/python*/site-packages/pip")):
        python = [sys.executable, "-I", "-m", "pip", "--python", str(clone.python)]
    settled = ["--no-user", "--no-deps", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    clone.pip_log.unlink(missing_ok=True)
    command = [*python, "install", *settled, "--log", str(clone.pip_log), *arguments]
    process = subprocess.Popen(
        command,
        env=dict(env),
        pass_fds=(lock,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    try:
        _watch(process, Progress(total, terminal=sys.stderr.isatty()))
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait()
    if process.returncode:
        raise fault(clone, env, f"pip ended with code {process.returncode}")


def _watch(process: subprocess.Popen[str], progress: Progress) -> None:
    """Feed the process's lines to the progress until its output ends."""
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read(stream: IO[str]) -> None:
        for line in stream:
            lines.put(line)
        lines.put(None)

    assert process.stdout is not None
    threading.Thread(target=read, args=(process.stdout,), daemon=True).start()
    while True:
        with contextlib.suppress(queue.Empty):
            line = lines.get(timeout=0.2)
            if line is None:
                break
            progress.feed(line)
        progress.show()
    progress.show(last=True)
