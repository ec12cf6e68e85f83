"""Modules of this package run as processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from infra.run.system import ROOT
from schemas.errors import InputError

ONE_THREAD = {"POLARS_MAX_THREADS": "1"}
ENDED = frozenset({0})  # exit codes of a program that ends when its work is done, and is not to be started again


def command(module: str, arguments: Sequence[object]) -> list[str]:
    """Command line of a module of this package."""
    return [sys.executable, "-m", f"infra.bench.{module}", *map(str, arguments)]


def result_of(module: str, *arguments: object) -> dict[str, Any]:
    """Run a module to its end; the JSON object that it prints.

    Raises:
        InputError: it failed, with its last words.
    """
    argv = command(module, arguments)
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT, env={**os.environ, **ONE_THREAD})
    if done.returncode:
        raise InputError(f"a part of the benchmark failed: {done.stderr.strip()[-600:]}", where=f"infra.bench.{module}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result
