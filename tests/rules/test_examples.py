"""Every rule's own examples hold, and would not hold of another rule."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from agents.context.district import District
from agents.context.inventory import Inventory
from agents.context.permits import Permits
from agents.engine.enrich_people import SHARED_KINDS
from agents.engine.episodes import Judge
from agents.engine.pipeline import run
from agents.rules.examples import Frames, Violation, run_examples
from agents.rules.loader import POLICY_FOLDER, load_rules, parse_rules
from agents.rules.model import RuleSet

RULES = load_rules()


def _judge(
    rules: RuleSet, district: District, inventory: Inventory, permits: Permits, frames: Frames
) -> Sequence[Violation]:
    return run(rules, district, inventory, Judge(permits), frames.items())


def test_every_example_of_every_rule_holds() -> None:
    assert [f"{r.rule_id}: {r.name}: {r.problem}" for r in run_examples(RULES, _judge) if not r.passed] == []


@pytest.mark.parametrize("rule", [r for r in RULES.rules if not r.silent], ids=lambda r: r.id)
def test_every_rule_has_examples_that_match_and_that_do_not(rule: object) -> None:
    examples = getattr(rule, "examples", ())
    assert any(e["violations"] for e in examples)
    assert any(not e["violations"] for e in examples)


def test_a_device_of_every_kind_that_many_use_accuses_nobody() -> None:
    (kinds,) = re.findall(r"source_device_kind: \[(.*)\]", _text("shared-device"))
    assert set(kinds.split(", ")) == SHARED_KINDS


def _text(rule: str) -> str:
    (path,) = Path(POLICY_FOLDER).rglob(f"{rule}.yml")
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("rule", "was", "becomes"),
    [
        ("mass-mail", "where: internal, gte: 100", "where: internal, gte: 101"),
        ("mass-mail", "where: internal, gte: 100", "where: internal, gte: 99"),
        ("mass-mail", "where: outside, gte: 50", "where: outside, gte: 51"),
        ("mass-mail", "per: message, gte: 50", "per: message, gte: 51"),
        ("mass-mail", "timespan: 1h", "timespan: 61m"),
        ("mass-mail", "timespan: 1h", "timespan: 59m"),
        ("mass-mail", "sender_internal: true", "email_complete: true"),
        ("mass-mail", "\n  clause: 11\n", "\n  clause: 12\n"),
        ("new-device", "source_mac_random: false", "source_mac|exists: true"),
        ("new-device", "informational-bases: [new-device-randomised]", "informational-bases: []"),
        ("new-device", "time: 14d", "time: 13d"),
        ("new-device", "time: 14d", "time: 16d"),
        ("new-device", "unless: inventory", "unless: ~"),
        ("new-device", "and not no_device", ""),
        ("new-device", "unknown and not guest and", "unknown and"),
        ("new-device", "    event_action: [offer, ack, renew, inform, bound]  # what a", "    # what a"),
        ("new-device", "ack, renew, inform, bound]  #", "ack, inform, bound]  #"),
        ("new-device", "[offer, ack, renew, inform, bound]  #", "[ack, renew, inform, bound]  #"),
        ("shared-device", "gte: 3}", "gte: 2}"),
        ("shared-device", "gte: 3}", "gte: 4}"),
        ("shared-device", "timespan: 30m", "timespan: 31m"),
        ("shared-device", "timespan: 30m", "timespan: 29m"),
        ("shared-device", "or shared or", "or"),
        ("shared-device", "or nobody", ""),
        ("shared-device", "- user_name: anonymous", "- user_name: nobody"),
        ("shared-device", "[:.-]?", "[x]"),
        ("two-sites", "or nobody", ""),
        ("two-sites", "- user_name: anonymous", "- user_name: nobody"),
        ("guessed-password", "or nobody", ""),
        ("shared-device", "event_outcome: success\n  switched", "event_outcome: [success, failure]\n  switched"),
        ("two-sites", "gte: 2}", "gte: 3}"),
        ("two-sites", "timespan: 10m", "timespan: 11m"),
        ("two-sites", "timespan: 10m", "timespan: 9m"),
        ("two-sites", "event_outcome: success\n    source_site", "source_site"),
        ("guessed-password", "counts: [8, 1]", "counts: [7, 1]"),
        ("guessed-password", "counts: [8, 1]", "counts: [9, 1]"),
        ("guessed-password", "timespan: 5m", "timespan: 6m"),
        ("guessed-password", "timespan: 5m", "timespan: 4m"),
        ("guessed-password", "failed and not (no_password or", "failed and not ("),
        ("guessed-password", "succeeded and not (no_password or", "succeeded and not ("),
        ("guessed-password", "[user_name, login_source]", "[login_source]"),
        ("guessed-password", "[user_name, login_source]", "[user_name]"),
    ],
)
def test_a_rule_tuned_otherwise_fails_its_examples(rule: str, was: str, becomes: str) -> None:
    text = _text(rule)
    assert was in text
    changed = text.replace(was, becomes)
    if "gte" in becomes:  # the condition's limit must stay the lowest threshold
        lowest = min(int(n) for n in re.findall(r"name: .*gte: (\d+)", changed)) if "thresholds:" in changed else 0
        changed = re.sub(r"(delivered_recipients, gte: )\d+", rf"\g<1>{lowest}", changed)
    results = run_examples(parse_rules(changed), _judge)
    assert any(not r.passed for r in results)


def test_an_example_that_cannot_be_read_did_not_pass_and_says_why() -> None:
    text = _text("two-sites").replace("user_name: ben, source_ip", "repeat: {times: 0}, user_name: ben, source_ip")
    (wrong,) = [r for r in run_examples(parse_rules(text), _judge) if not r.passed]
    assert "repeat {'times': 0} cannot be read" in wrong.problem
