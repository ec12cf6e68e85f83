"""The quick road to documents gives what the slow one gives."""

from __future__ import annotations

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


def test_ten_thousand_levels_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    quick, slow = _both("a: " + "[" * 10_000, monkeypatch)
    assert quick == slow
