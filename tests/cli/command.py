"""The command as a user calls it: in this process where that is enough, as a process where pipes and signals matter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from infra.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
ENV = {"PYTHONPATH": str(ROOT)}


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """Standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def asides(self) -> list[dict[str, Any]]:
        """Standard error as JSON lines."""
        return [json.loads(line) for line in self.err.splitlines()]


def aupstream(*args: object) -> Ran:
    """Run in this process."""
    result = CliRunner().invoke(app, [str(a) for a in args], prog_name="aupstream")
    return Ran(result.exit_code, result.stdout, result.stderr)


def process(*args: object, stdin: bytes = b"") -> Ran:
    """Run as a process of its own."""
    argv = [sys.executable, "-m", "infra.cli", *map(str, args)]
    done = subprocess.run(argv, input=stdin, capture_output=True, check=False, env={**os.environ, **ENV}, timeout=120)
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())
