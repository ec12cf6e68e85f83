"""The schema gate, the linter, the formatter and the type checker as tests; a run's last line covers them too."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.project.tree import ROOT

CHECKS = {
    "the schemas fit their released versions": ["schemas.compat"],
    "the linter finds nothing": ["ruff", "check", "--output-format=concise", "."],
    "everything is formatted": ["ruff", "format", "--check", "."],
    "the types hold": ["mypy"],
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS.keys())
def test_check(check: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", *check], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"`{' '.join(check)}` in {ROOT} says:\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("script", ["infra/demo", "infra/test", "infra/bootstrap.sh"])
def test_shell_scripts_parse(script: str) -> None:
    done = subprocess.run(["sh", "-n", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
