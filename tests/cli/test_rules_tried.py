"""`rules test`: what examples leave untried; `rules lint`: warnings."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from agents.rules.loader import POLICY_FOLDER
from tests.cli.command import aupstream
from tests.cli.test_rules import GOOD


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "rules" / "printer.yml"
    path.parent.mkdir()
    path.write_text(GOOD)
    return path


OUTCOME = """
        - name: a login that failed
          events:
              - kind: login
                at: 2026-03-25T10:00:00-06:00
                observer_hostname: printer1
                event_outcome: failure
                user_name: ada
          violations: []
"""


def test_a_change_that_no_example_notices_is_told_and_ends_with_1(good: Path) -> None:
    ran = aupstream("rules", "test", good, "--mutate")
    assert ran.code == 1
    (told,) = [line for line in ran.out.splitlines() if line.startswith("UNNOTICED")]
    assert told.startswith("UNNOTICED printer-login: printer-login: selection without event_outcome")
    assert "3 changes tried, 1 noticed by no example" in ran.err


def test_with_an_example_for_each_part_every_change_is_noticed(good: Path) -> None:
    good.write_text(GOOD.rstrip() + OUTCOME)
    ran = aupstream("rules", "test", good, "--mutate")
    assert ran.code == 0, ran.out
    assert "3 changes tried, 0 noticed by no example" in ran.err


def test_changes_of_a_rule_that_comes_along_are_tried_one_by_one() -> None:
    ran = aupstream("rules", "test", "--rule", "two-sites", "--mutate", "--json")
    noticed = {c["mutation"]["what"]: c["mutation"]["noticed"] for c in ran.objects if "mutation" in c}
    assert noticed["two-sites-login without nobody"] is True
    assert noticed["timespan: 20m"] is True
    assert noticed["gte: 3"] is True
    assert ran.code == (1 if False in noticed.values() else 0)


def test_only_the_rule_asked_for_is_tried() -> None:
    ran = aupstream("rules", "test", "--rule", "two-sites", "--json")
    assert {o["rule_id"] for o in ran.objects} == {"two-sites"}
    assert aupstream("rules", "test", "--rule", "two-site").code == 3


def test_a_report_for_build_servers_counts_what_failed(good: Path, tmp_path: Path) -> None:
    good.write_text(GOOD.replace("observer_hostname: other", "observer_hostname: printer1"))
    report = tmp_path / "report.xml"
    assert aupstream("rules", "test", good, "--junit", report).code == 1
    suite = ET.parse(report).getroot()  # noqa: S314 - written just now
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert "expected 0 violations" in (suite.findall("testcase/failure")[0].text or "")


def test_examples_may_stand_in_a_file_beside_the_rule(good: Path) -> None:
    alone, _, examples = GOOD.partition("    examples:\n")
    good.write_text(alone)
    beside = good.with_name("printer.examples.yml")
    beside.write_text("rule: printer-login\nexamples:\n" + examples)
    for named in (good, good.parent):
        ran = aupstream("rules", "test", named)
        assert ran.code == 0, ran.err
        assert "2 examples of 1 rule, 0 did not pass" in ran.err
    assert aupstream("rules", "lint", good.parent).code == 0
    beside.write_text("rule: printer-logon\nexamples: []\n")
    ran = aupstream("rules", "test", good)
    assert ran.code == 3
    assert f"{beside}:1:7: there is no rule 'printer-logon' (did you mean 'printer-login'?)" in ran.err


def test_what_no_example_shows_at_work_is_told(good: Path) -> None:
    good.write_text(GOOD.partition("        - name: a login elsewhere")[0])
    assert "printer-login: no example must make no violation" in aupstream("rules", "test", good).err
    good.write_text(GOOD.partition("    examples:\n")[0])
    assert "printer-login: it has no example" in aupstream("rules", "test", good).err
    ran = aupstream("rules", "test", "--rule", "mass-mail")
    assert "no example passes" not in ran.err


@pytest.mark.parametrize(
    ("was", "becomes", "place", "said"),
    [
        (
            "    condition: selection",
            "    unused: {user_name: b}\n    condition: selection",
            "11:5",
            "'unused' is never used",
        ),
        ("condition: selection", "condition: selection and not selection", "11:16", "can never hold"),
        (
            "        event_outcome: success\n",
            "        event_outcome|all: [success, failure]\n",
            "11:16",
            "can never hold",
        ),
        ("condition: selection", "condition: not selection", "11:16", "holds of an event that says nothing"),
    ],
)
def test_what_is_probably_not_meant_is_a_warning(good: Path, was: str, becomes: str, place: str, said: str) -> None:
    head, examples = GOOD.split("    examples:\n")
    good.write_text(head.replace(was, becomes, 1) + "    examples:\n" + examples)
    ran = aupstream("rules", "lint", good)
    assert ran.code == 0
    assert any(text.startswith(f"{good}:{place}: warning: ") and said in text for text in ran.out.splitlines()), ran.out
    assert aupstream("rules", "lint", good, "--strict").code == 3
    assert aupstream("rules", "lint", good, "--json").objects[0]["warning"] is True


def test_a_rule_without_an_example_is_warned_of(good: Path) -> None:
    good.write_text(GOOD.partition("    examples:\n")[0])
    assert "warning: the rule has no example" in aupstream("rules", "lint", good).out


def test_the_rules_that_come_along_give_no_warning_and_say_what_they_wait_for() -> None:
    ran = aupstream("rules", "lint", "--strict", POLICY_FOLDER)
    assert (ran.code, ran.out) == (0, "")
    assert "shared-device waits until it is known whose device an address was" in ran.err
    assert "mass-mail waits" not in ran.err
