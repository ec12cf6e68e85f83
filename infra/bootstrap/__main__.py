"""Entry of infra/demo and infra/test."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from infra.bootstrap.clone import Clone, SetupError, say
from infra.bootstrap.environment import set_up
from infra.bootstrap.faults import os_fault
from infra.bootstrap.pip import HARMFUL

FAILED = 4  # exit code of the command for "input or server"
INTERRUPTED = 130
# How every test is run: by two processes, file by file in the order of tests/conftest.py. More would only wait for each
# other, since a test of the whole road starts a dozen processes of its own.
EVERYTHING = ("--numprocesses=2", "--dist=loadfile", "--no-loadscope-reorder")


def _run(clone: Clone, command: str, arguments: Sequence[str], environ: Mapping[str, str]) -> NoReturn:
    """Become the command."""
    env = {name: value for name, value in environ.items() if name not in HARMFUL or name.startswith("PIP_")}
    if not env.get("HOME"):
        env.pop("HOME", None)
    env["PYTHONNOUSERSITE"] = "1"
    env["AUPSTREAM_CACHE"] = str(Path(env.get("AUPSTREAM_CACHE") or clone.root / ".cache").absolute())
    sys.stderr.flush()
    if command == "demo":
        program = [str(clone.venv / "bin" / "aupstream"), "demo", *arguments]
    else:
        os.chdir(clone.root)
        program = [str(clone.python), "-m", "pytest", *(arguments or EVERYTHING)]
    os.execve(program[0], program, env)  # noqa: S606 - the very point: signals and exit code are the command's


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def main(argv: Sequence[str]) -> int:
    """Set up, then become the command; returns only when setting up failed."""
    clone = Clone(Path(__file__).resolve().parents[2])
    if not argv or argv[0] not in ("demo", "test"):
        say("run infra/demo or infra/test")
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        try:
            set_up(clone, os.environ, dev=argv[0] == "test")
        except OSError as error:
            raise os_fault(clone, error) from error
    except SetupError as error:
        say(error.what)
        say(f"what to do: {error.todo}")
        return FAILED
    except KeyboardInterrupt:
        say("interrupted; the next run starts over")
        return INTERRUPTED
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    _run(clone, argv[0], argv[1:], os.environ)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
