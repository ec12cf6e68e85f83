"""Brings `.venv` in step with the locks."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

from infra.bootstrap.clone import Clone, SetupError, say, steps
from infra.bootstrap.faults import fault, needed_mb
from infra.bootstrap.pip import install_environment, install_lock, install_project

WAIT_S = 0.2
REMIND_S = 30.0


def set_up(clone: Clone, environ: Mapping[str, str], *, dev: bool) -> None:
    """Bring `.venv` in step with the locks; returns at once when it is.

    Args:
        clone: The checkout.
        environ: The caller's environment.
        dev: Whether the tests' packages are wanted too.

    Raises:
        SetupError: With what to do.
        OSError: A folder cannot be written, or the disk is full.
    """
    if not _left(clone, environ, dev=dev):
        return
    started = time.monotonic()
    clone.scratch.mkdir(parents=True, exist_ok=True)
    with _alone(clone) as lock:
        todo = _left(clone, environ, dev=dev)  # another set-up may have done it meanwhile
        if todo:
            _do(todo, clone, environ, lock, dev=dev)
            say(f".venv is ready after {time.monotonic() - started:.0f} s")


def _left(clone: Clone, environ: Mapping[str, str], *, dev: bool) -> list[str]:
    """The steps still to be done."""
    return steps(
        clone.stamp(),
        clone.wanted(),
        dev=dev,
        python_runs=os.access(clone.python, os.X_OK),
        python_named=bool(environ.get("AUPSTREAM_PYTHON")),
    )


def _do(todo: Sequence[str], clone: Clone, environ: Mapping[str, str], lock: int, *, dev: bool) -> None:
    """Do the steps. The stamp says `making` until the last is done."""
    env = install_environment(clone, environ)
    if "make" in todo:
        _clear(clone)
        _check_room(clone, environ)
        _make(clone, env, lock)
    stamp = clone.stamp()
    assert stamp is not None, "there is a stamp, or `make` was among the steps"
    clone.write_stamp(replace(stamp, state="making"))
    if "runtime" in todo:
        install_lock(clone, env, lock, "requirements.lock")
    if "dev" in todo:
        install_lock(clone, env, lock, "requirements-dev.lock")
    install_project(clone, env, lock)
    want = clone.wanted()
    clone.write_stamp(replace(want, python=stamp.python, dev=want.dev if dev else stamp.dev))


def _check_room(clone: Clone, environ: Mapping[str, str]) -> None:
    """Refuse before the first byte is fetched rather than at the last."""
    needed = needed_mb(environ)
    free = shutil.disk_usage(clone.root).free // 2**20
    if free < needed:
        raise SetupError(
            f"{clone.root} has {free} MB free, and setting up needs about {needed} MB",
            "free some space, or put the clone on a larger disk, and run this again "
            "(AUPSTREAM_SETUP_MB changes what is asked for)",
        )


@contextlib.contextmanager
def _alone(clone: Clone) -> Iterator[int]:
    """Hold the clone's set-up lock; yields its file descriptor, so that pip, should it be orphaned, holds it too."""
    with (clone.scratch / "lock").open("a+", encoding="utf-8") as file:
        reminded = -math.inf
        while not _locked(file):
            if time.monotonic() - reminded > REMIND_S:
                file.seek(0)
                say(f"waiting for the set-up that process {file.read().strip() or '?'} is doing in this clone")
                reminded = time.monotonic()
            time.sleep(WAIT_S)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield file.fileno()


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _clear(clone: Clone) -> None:
    """Remove what an earlier set-up left: first away in one step, so that no half is ever mistaken for a whole."""
    if clone.venv.exists() or clone.venv.is_symlink():
        have = clone.stamp()
        if have is None and (clone.venv.is_symlink() or any(clone.venv.iterdir())):
            raise SetupError(
                f"{clone.venv} was not made by this script", "move it away or remove it, and run this again"
            )
        if have is not None:
            say(f"{'an unfinished' if have.state == 'making' else 'an outdated'} .venv is made anew")
        os.replace(clone.venv, Path(tempfile.mkdtemp(dir=clone.scratch, prefix="rubbish-")) / "venv")
    for rubbish in clone.scratch.glob("rubbish-*"):
        shutil.rmtree(rubbish)


def _make(clone: Clone, env: Mapping[str, str], lock: int) -> None:
    """Make an empty `.venv`, stamped as being made."""
    clone.venv.mkdir()
    clone.write_stamp(replace(clone.wanted(), state="making", dev=""))
    version = ".".join(map(str, sys.version_info[:3]))
    say(f"making .venv with Python {version} ({sys.executable}); the first time takes minutes, and 1.6 GB")
    own_pip = importlib.util.find_spec("ensurepip") is not None
    if not own_pip and importlib.util.find_spec("pip") is None:
        raise SetupError(
            f"{sys.executable} can neither make a complete virtual environment nor has it pip",
            "install what is missing (Debian, Ubuntu: apt install python3-venv) and run this again",
        )
    command = [sys.executable, "-I", "-m", "venv", *([] if own_pip else ["--without-pip"]), str(clone.venv)]
    done = subprocess.run(command, env=env, pass_fds=(lock,), capture_output=True, text=True, check=False)
    if done.returncode:
        clone.pip_log.write_text(done.stdout + done.stderr, "utf-8")
        raise fault(clone, env, f"`{' '.join(command)}` failed")
