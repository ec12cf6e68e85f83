"""Examples notice every change of a rule: of those that come along, and of every kind of our own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from agents.context.district import District
from agents.context.inventory import Inventory
from agents.context.permits import Permits
from agents.engine.episodes import Judge
from agents.engine.pipeline import run
from agents.rules.examples import Frames, Violation
from agents.rules.loader import built, load_rules
from agents.rules.model import RuleSet
from agents.rules.mutations import Mutation, mutations
from agents.rules.positions import read_documents
from agents.rules.reading import Beside, Prepared, prepare
from infra.cli.rulefiles import prepared_of

RULES = load_rules()
OWN_KINDS = Path(__file__).with_name("own_kinds.yml")


def _judge(
    rules: RuleSet, district: District, inventory: Inventory, permits: Permits, frames: Frames
) -> Sequence[Violation]:
    return run(rules, district, inventory, Judge(permits), frames.items())


def _tried(read: Prepared, name: str) -> dict[str, bool | None]:
    rules = built(read)
    return {m.what: m.noticed for m in mutations(rules, rules.rule(name), read, _judge)}


@pytest.mark.parametrize("rule", [r.id for r in RULES.rules if not r.silent])
def test_no_part_of_a_rule_that_comes_along_can_change_without_an_example_noticing(rule: str) -> None:
    found: list[Mutation] = list(mutations(RULES, RULES.rule(rule), prepared_of((), None), _judge))
    assert [m.what for m in found if m.noticed is False] == []
    assert sum(m.noticed is True for m in found) >= 7


@pytest.mark.parametrize(
    ("rule", "noticed", "unnoticed"),
    [
        ("two-places-at-once", ["ends without ended", "rules without ended", "gte: 3"], ["timespan: 16h"]),
        ("too-fast", ["proxies without 203.0.113.0/24"], ["km: 300", "km: 75", "km-per-h: 1800", "timespan: 7200s"]),
        ("day-quota", [], ["per: week", "gte: 550000000", "gte: 450000000"]),
        ("unusual", ["gte: 21", "least: 4", "least: 2", "factor: 6", "factor: 1.5", "per: week"], ["periods: 4"]),
        ("silent-relay", ["expect without {'observer_hostname': 'mail-2'}", "timespan: 30m", "timespan: 450s"], []),
        (
            "new-at-night",
            ["known without Backup", "forget: 4d", "outside: true", "without when school-days", "without when hours"],
            ["forget: 86400s", "hours: 21:00-06:00"],
        ),
    ],
)
def test_what_the_kinds_of_our_own_ask_for_is_changed_too(rule: str, noticed: list[str], unnoticed: list[str]) -> None:
    documents, _ = read_documents(OWN_KINDS.read_text("utf-8"), str(OWN_KINDS))
    tried = _tried(prepare(documents, (), Beside(), []), rule)
    assert {what: tried.get(what) for what in noticed} == dict.fromkeys(noticed, True)
    assert {what: tried.get(what) for what in unnoticed} == dict.fromkeys(unnoticed, False)


LEANING = """
title: Page of a list
name: listed-page
level: low
logsource: {category: proxy}
detection:
  listed: {site|expand: "%bad%"}
  condition: listed
aupstream:
  group-by: [user_name]
  examples:
    - name: one of the list, and one that the filter takes out
      events:
        - {kind: proxy, at: 2026-03-02T09:00:00-07:00, user_name: anna, url_domain: a.example}
        - {kind: proxy, at: 2026-03-02T09:00:00-07:00, user_name: ben, url_domain: a.example}
        - {kind: proxy, at: 2026-03-02T09:00:00-07:00, user_name: anna, url_domain: c.example}
      violations: [{group_key: {user_name: anna}}]
---
title: Not of Ben
name: not-ben
logsource: {category: proxy}
filter:
  rules: [listed-page]
  ben: {user_name: ben}
  condition: not ben
"""


def test_a_changed_rule_leans_on_the_same_lists_pipelines_and_filters(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "rule.yml").write_text(LEANING, "utf-8")
    (tmp_path / "rules" / "lists").mkdir()
    (tmp_path / "rules" / "lists" / "bad.txt").write_text("a.example\nb.example\n", "utf-8")
    mapping = "{type: field_name_mapping, mapping: {site: url_domain}}"
    (tmp_path / "pipeline.yml").write_text(f"name: mine\npriority: 10\ntransformations:\n  - {mapping}\n", "utf-8")
    documents, _ = read_documents(LEANING, str(tmp_path / "rules" / "rule.yml"))
    read = prepare(documents, [tmp_path / "rules"], Beside(pipelines=(tmp_path / "pipeline.yml",)), [])
    tried = _tried(read, "listed-page")
    assert len(tried) == 2  # the selection, and the filter's
    assert set(tried.values()) == {True}
