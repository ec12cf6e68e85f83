"""The short part of the byte-level fuzzing; the long one: `python -m tests.fuzz.bytes TARGET`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from streams.normalisers.registry import types
from tests.fuzz.run import golden_lines
from tests.fuzz.targets import TARGETS
from tests.project.tree import ROOT

RUNS = 20_000


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_no_bytes_break_what_reads_them(target: str, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for name in types():
        for number, line in enumerate(golden_lines(name)[:4]):
            (corpus / f"{name}-{number}").write_bytes(line[:400])
    asked = [sys.executable, "-m", "tests.fuzz.bytes", target, f"-runs={RUNS}", "-seed=1", "-max_len=400"]
    ran = subprocess.run(
        [*asked, f"-artifact_prefix={tmp_path}/", str(corpus)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-3_000:]
