"""What the pages say of rules holds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

import agents.rules
from agents.engine.episodes import Judge
from agents.engine.pipeline import run
from agents.rules.columns import DERIVED
from agents.rules.examples import run_examples
from agents.rules.loader import POLICY_FOLDER, load_rules, parse_rules
from agents.rules.shape import KEYS

PAGE = (Path(agents.rules.__file__).parent / "README.md").read_text(encoding="utf-8")
FRONT = (Path(agents.rules.__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_first_rule_of_ones_own_is_read_and_its_examples_hold() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    results = run_examples(parse_rules(text), lambda r, d, i, p, f: run(r, d, i, Judge(p), f.items()))
    assert [(r.name, r.problem) for r in results] == [("five in nine minutes", ""), ("four", "")]


def test_every_derived_column_and_every_key_of_ours_is_on_the_page() -> None:
    words = [d.name for d in DERIVED] + [k for k in KEYS["aupstream"] if k != "kind"]
    assert [w for w in words if f"`{w}" not in PAGE] == []


def _roles(rule: Mapping[str, Any]) -> Iterator[str]:
    """Roles that the selections of a document name."""
    selections = (s for s in (rule.get("detection") or {}).values() if isinstance(s, dict))
    for field, value in (item for selection in selections for item in selection.items()):
        if field.partition("|")[0] in ("person_roles", "user_roles"):
            yield from [value] if isinstance(value, str) else value


def test_the_roles_that_the_shipped_rules_ask_for_are_named_to_who_keeps_the_roster() -> None:
    found: set[str] = set()
    for file in POLICY_FOLDER.rglob("*.yml"):
        for document in yaml.safe_load_all(file.read_text("utf-8")):
            found.update(_roles(document))
    (said,) = re.findall(r"<!-- roles of the rules -->(.*?)<!-- end of roles -->", FRONT, re.DOTALL)
    assert " ".join(said.split()).split(", ") == sorted(found)


def test_every_rule_of_the_pack_is_on_its_page_as_informational_where_it_is() -> None:
    page = (POLICY_FOLDER / "README.md").read_text(encoding="utf-8").partition("## What it does not")[0]
    rows = "\n".join(line for line in page.splitlines() if line.startswith("| ") and line[2].isdigit())
    told, recorded = set[str](), set[str]()
    for row in rows.splitlines():
        cell = row.split("|")[2]
        loud, _, quiet = cell.partition("informational:")
        told.update(re.findall(r"`([a-z-]+)`", loud))
        recorded.update(re.findall(r"`([a-z-]+)`", quiet))
    rules = load_rules().rules
    assert sorted(told) == [r.id for r in rules if r.severity != "informational"]
    assert sorted(recorded) == [r.id for r in rules if r.severity == "informational"]
