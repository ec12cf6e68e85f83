"""A page a format: what the vendor must be set to, what comes out, what is not in the log, where it is written."""

from __future__ import annotations

import re

import pytest

from streams.normalisers.registry import fields_of, types
from tests.project.tree import ROOT

PAGES = ROOT / "streams" / "normalisers" / "pages"
SECTIONS = ["Set", "Out", "Not in the log", "Ignored and refused", "Facts"]


def test_every_type_has_a_page_and_every_page_a_type() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} == {*types(), "custom"}


@pytest.mark.parametrize("name", [*types(), "custom"])
def test_a_page_says_what_a_reader_looks_for(name: str) -> None:
    text = (PAGES / f"{name}.md").read_text("utf-8")
    assert text.startswith(f"# {name}: ")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    parts = re.split(r"^## .+$", text, flags=re.MULTILINE)
    assert all(len(part.split()) >= 3 for part in parts), "a section that says nothing"


@pytest.mark.parametrize("name", types())
def test_a_page_names_only_columns_that_the_type_can_fill(name: str) -> None:
    text = (PAGES / f"{name}.md").read_text("utf-8")
    named = set(re.findall(r"`((?:email|url|http|dhcp|source|user|login|session|proxy|event)_[a-z0-9_]+)`", text))
    every = {column for other in types() for column in fields_of(other)}
    if types()[name].kind.value == "login":
        every = {column for other in types() if types()[other].kind.value == "login" for column in fields_of(other)}
    assert not [column for column in named & every if column not in fields_of(name)]
