"""A checkout, what its `.venv` was made from, and what is left to do."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path


class SetupError(Exception):
    """Setting up failed.

    Attributes:
        what: What is wrong, and where.
        todo: What the reader can do about it.
    """

    def __init__(self, what: str, todo: str) -> None:
        super().__init__(f"{what}\n{todo}")
        self.what = what
        self.todo = todo


@dataclass(frozen=True, slots=True)
class Stamp:
    """What `.venv` was made from; hashes are SHA-256.

    Attributes:
        state: `making` from the first moment on, `ready` when all is installed.
        root: The clone's path: the scripts in a virtual environment hold it, so a moved one is made anew.
        python: Version of the interpreter, as "3.11".
        runtime: Hash of requirements.lock.
        dev: Hash of requirements-dev.lock; empty while its packages are not installed.
        project: Hash of pyproject.toml.
    """

    state: str
    root: str
    python: str
    runtime: str
    dev: str
    project: str


@dataclass(frozen=True, slots=True)
class Clone:
    """Paths of a checkout."""

    root: Path

    @property
    def venv(self) -> Path:
        """The virtual environment."""
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.venv / "bin" / "python"

    @property
    def scratch(self) -> Path:
        """Folder of what set-up itself keeps: its lock, pip's log, rubbish on its way out."""
        return self.root / ".cache" / "setup"

    @property
    def pip_log(self) -> Path:
        """Everything that pip said and did, of the last run only."""
        return self.scratch / "pip.log"

    def wanted(self) -> Stamp:
        """The stamp of a complete `.venv` of the files as they now are."""
        return Stamp(
            state="ready",
            root=str(self.root),
            python=f"{sys.version_info[0]}.{sys.version_info[1]}",
            runtime=_sha256(self.root / "requirements.lock"),
            dev=_sha256(self.root / "requirements-dev.lock"),
            project=_sha256(self.root / "pyproject.toml"),
        )

    def stamp(self) -> Stamp | None:
        """The stamp of `.venv`; None where there is none that can be read."""
        try:
            return Stamp(**json.loads((self.venv / "aupstream.json").read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def write_stamp(self, stamp: Stamp) -> None:
        """Replace the stamp in one step."""
        draft = self.venv / "aupstream.json.new"
        draft.write_text(json.dumps(asdict(stamp), indent=2) + "\n", "utf-8")
        os.replace(draft, self.venv / "aupstream.json")


def say(text: str) -> None:
    """One line to the reader."""
    print(f"aupstream: {text}", file=sys.stderr, flush=True)


def steps(have: Stamp | None, want: Stamp, *, dev: bool, python_runs: bool, python_named: bool) -> list[str]:
    """What is to be done, in order, out of `make`, `runtime`, `dev` and `project`; nothing when the stamp fits."""
    anew = ["make", "dev" if dev else "runtime", "project"]
    if have is None or have.state != "ready" or not python_runs:
        return anew
    if have.root != want.root or have.runtime != want.runtime or have.dev not in ("", want.dev):
        return anew
    if python_named and have.python != want.python:
        return anew
    todo = ["dev"] if dev and not have.dev else []
    return [*todo, "project"] if todo or have.project != want.project else []


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        raise SetupError(
            f"{path} is missing", f"the checkout is not complete: `git -C {path.parent} checkout -- {path.name}`"
        ) from None
