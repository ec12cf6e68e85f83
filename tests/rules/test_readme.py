"""The rule that the page on rules shows works as the page says."""

from __future__ import annotations

import re
from pathlib import Path

import agents.rules
from agents.engine.episodes import Judge
from agents.engine.pipeline import run
from agents.rules.columns import DERIVED
from agents.rules.examples import run_examples
from agents.rules.loader import parse_rules
from agents.rules.shape import KEYS

PAGE = (Path(agents.rules.__file__).parent / "README.md").read_text(encoding="utf-8")


def test_the_first_rule_of_ones_own_is_read_and_its_examples_hold() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    results = run_examples(parse_rules(text), lambda r, d, i, p, f: run(r, d, i, Judge(p), f.items()))
    assert [(r.name, r.problem) for r in results] == [("five in nine minutes", ""), ("four", "")]


def test_every_derived_column_and_every_key_of_ours_is_on_the_page() -> None:
    words = [d.name for d in DERIVED] + [k for k in KEYS["aupstream"] if k != "kind"]
    assert [w for w in words if f"`{w}" not in PAGE] == []
