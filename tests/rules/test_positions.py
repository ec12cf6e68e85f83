"""The quick road to documents gives what the slow one gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.rules import positions
from agents.rules.loader import POLICY_FOLDER
from agents.rules.positions import read_documents

PIECES = [
    "a", ": ", "- ", "\n", "  ", "'", '"', "[", "]", "{", "}", ",", "|", ">", "#", "&x ", "*x", "é", "\t", "1", "~",
    "---\n", "\u2028", "\ufeff", "!!int ", "2026-03-02", "<<", "%", "\r", "\x85",
]  # fmt: skip


def _both(text: str, monkeypatch: pytest.MonkeyPatch) -> tuple[object, object]:
    quick = read_documents(text, "r.yml")
    with monkeypatch.context() as patch:
        patch.setattr(positions, "_quickly", lambda _text, _file: None)
        slow = read_documents(text, "r.yml")
    return ([vars_of(quick), [str(e) for e in quick[1]]], [vars_of(slow), [str(e) for e in slow[1]]])


def vars_of(read: tuple[list[positions.Document], object]) -> list[object]:
    return [(d.data, d.line, dict(d.places)) for d in read[0]]


@pytest.mark.parametrize("path", sorted(POLICY_FOLDER.rglob("*.yml")), ids=lambda p: p.stem)
def test_files_are_read_with_the_same_places(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick, slow = _both(path.read_text("utf-8"), monkeypatch)
    assert quick == slow


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_any_text_is_read_alike(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        quick, slow = _both(text, patch)
    assert quick == slow


DEEP = {
    "brackets": ("a: " + "[" * 60_000 + "]" * 60_000, (1, 54)),
    "braces": ("a: " + "{a: " * 60_000 + "}" * 60_000, (1, 204)),
    "open brackets": ("a: " + "[" * 60_000, (1, 54)),
    "dashes": ("a:\n  " + "- " * 60_000 + "b", (2, 103)),
    "keys": ("? " * 60_000 + "b", (1, 103)),
    "indentation": ("".join(" " * i + "a:\n" for i in range(1_000)), (52, 52)),
    "brackets after a tab": ("a: 1\t# b\nb: " + "[" * 60_000, (2, 54)),
}


@pytest.mark.parametrize("sort", DEEP)
def test_sixty_thousand_levels_are_refused_where_they_become_too_many(sort: str) -> None:
    text, (line, column) = DEEP[sort]
    # In a process of its own, as what it is about ends the process.
    code = "import sys; from agents.rules.positions import *; print(*read_documents(sys.stdin.read(), 'r.yml')[1])"
    ran = subprocess.run([sys.executable, "-c", code], input=text, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, f"r.yml:{line}:{column}: more than 50 levels (a rule needs a few)\n")


@pytest.mark.parametrize("open_close", ["[]", "{}"])
def test_fifty_levels_are_read(open_close: str) -> None:
    opening, closing = ("[", "]") if open_close == "[]" else ("{a: ", "}")
    documents, errors = read_documents("a: " + opening * 49 + "1" + closing * 49, "r.yml")
    assert (len(documents), errors) == (1, [])
    documents, errors = read_documents("a: " + opening * 50 + "1" + closing * 50, "r.yml")
    assert (len(documents), len(errors)) == (0, 1)
