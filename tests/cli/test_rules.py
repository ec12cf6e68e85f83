"""`aupstream rules` over small rule files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import aupstream

GOOD = """\
title: Login to the print server
name: printer-login
status: experimental
description: Somebody logs in to the print server.
logsource:
    category: authentication
detection:
    selection:
        observer_hostname: printer1
        event_outcome: success
    condition: selection
level: low
falsepositives:
    - whoever looks after the printers
aupstream:
    clause: 12
    group-by: [user_name]
    examples:
        - name: a login there
          events:
              - kind: login
                at: 2026-03-25T10:00:00-06:00
                observer_hostname: printer1
                event_outcome: success
                user_name: ada
          violations:
              - {group_key: {user_name: ada}, first_seen: 2026-03-25T10:00:00-06:00}
        - name: a login elsewhere
          events:
              - kind: login
                at: 2026-03-25T10:00:00-06:00
                observer_hostname: other
                event_outcome: success
                user_name: ada
          violations: []
"""


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "rules" / "printer.yml"
    path.parent.mkdir()
    path.write_text(GOOD)
    return path


def test_the_rules_that_come_along_have_no_mistakes() -> None:
    ran = aupstream("rules", "lint")
    assert (ran.code, ran.out) == (0, "")
    assert "30 rules, no mistakes" in ran.err


def test_a_rule_of_ones_own_is_found_in_its_folder(good: Path) -> None:
    ran = aupstream("rules", "lint", good.parent)
    assert (ran.code, ran.out) == (0, "")
    assert "1 file, 1 rule, no mistakes" in ran.err


def test_lint_names_the_place_of_every_mistake_in_every_file(good: Path) -> None:
    good.write_text(
        GOOD.replace("observer_hostname: printer1\n", "hostnam: p\n", 1).replace("event_outcome", "outcom", 1)
    )
    level = good.with_name("level.yml")
    level.write_text(GOOD.replace("level: low", "level: lowish").replace("name: printer-login", "name: other"))
    broken = good.with_name("broken.yml")
    broken.write_text("title: [\n")
    ran = aupstream("rules", "lint", good.parent)
    assert ran.code == 3
    lines = ran.out.splitlines()
    for start, word in (
        (f"{good}:9:9: ", "'hostnam'"),
        (f"{good}:10:9: ", "'outcom'"),
        (f"{level}:12:", "'lowish'"),
        (f"{broken}:", ""),
    ):
        assert any(line.startswith(start) and word in line for line in lines), (start, lines)
    assert f"{len(lines)} mistakes in 3 files" in ran.err


def test_lint_as_json_has_place_and_advice(good: Path) -> None:
    good.write_text("title: nothing else\n")
    ran = aupstream("rules", "lint", "--json", good)
    assert ran.code == 3
    assert ran.objects == [
        {
            "where": f"{good}:1:1",
            "what": "neither a detection nor a correlation",
            "hint": "add `detection:` or `correlation:`",
        }
    ]


def test_examples_of_a_rule_are_run_and_each_is_shown(good: Path) -> None:
    ran = aupstream("rules", "test", good)
    assert ran.code == 0
    assert ran.out.splitlines() == ["ok   printer-login: a login there", "ok   printer-login: a login elsewhere"]
    assert "2 examples of 1 rule, 0 did not pass" in ran.err


def test_an_example_that_does_not_pass_says_why_and_ends_with_1(good: Path) -> None:
    good.write_text(GOOD.replace("observer_hostname: other", "observer_hostname: printer1"))
    ran = aupstream("rules", "test", good)
    assert ran.code == 1
    failed = ran.out.splitlines()[1:]
    assert failed[0] == "FAIL printer-login: a login elsewhere"
    assert failed[1].startswith(f"     {good}:1: expected 0 violations, found 1")


def test_examples_as_json(good: Path) -> None:
    first, _ = aupstream("rules", "test", "--json", good).objects
    assert first == {
        "rule_id": "printer-login",
        "name": "a login there",
        "passed": True,
        "problem": "",
        "where": f"{good}:1",
    }


def test_bad_rules_cannot_be_tried(good: Path) -> None:
    good.write_text("title: nothing else\n")
    ran = aupstream("rules", "test", good)
    assert (ran.code, ran.out) == (3, "")
    assert "neither a detection nor a correlation" in ran.err


def test_the_list_says_what_each_rule_watches() -> None:
    ran = aupstream("rules", "list")
    head, *rows = [line.split("\t") for line in ran.out.splitlines()]
    assert head == ["clause", "rule", "title", "severity", "kind", "per", "holds at"]
    by_rule = {row[1]: row for row in rows}
    assert by_rule["two-sites"][0] == "13"
    assert by_rule["two-sites"][6] == "value_count ≥ 2 in 10m"
    assert by_rule["guessed-password"][6].startswith("8 ")


def test_the_list_as_json_has_the_limits() -> None:
    rules = {r["id"]: r for r in aupstream("rules", "list", "--json").objects}
    assert {t["name"]: t["gte"] for t in rules["mass-mail"]["thresholds"]} == {
        "internal": 100,
        "outside": 50,
        "one-message": 50,
    }
    assert rules["mass-mail"]["timespan_s"] == 3600


@pytest.mark.parametrize("command", ["lint", "test", "list"])
def test_a_path_that_is_not_there_is_named(command: str) -> None:
    ran = aupstream("rules", command, "nowhere")
    assert ran.code == 3
    assert "nowhere: there is no such file or folder" in ran.out + ran.err


def test_of_other_peoples_rules_what_cannot_run_here_is_named_and_no_mistake(good: Path) -> None:
    (good.parent / "load.yml").write_text(
        GOOD.replace("printer-login", "load").replace("authentication", "image_load").partition("aupstream:")[0]
    )
    strict, lenient = aupstream("rules", "lint", good.parent), aupstream("rules", "lint", "--lenient", good.parent)
    assert (strict.code, lenient.code) == (3, 0)
    assert "load.yml:6:5: logsource 'image_load' is none that is collected" in lenient.out
    assert "2 files, 1 rule, no mistakes, 1 file with rules that cannot run here" in lenient.err


def test_a_collection_and_a_pipeline_of_the_configuration_are_read(good: Path) -> None:
    folder = good.parent.parent
    good.write_text(GOOD.replace("observer_hostname: printer1", "box: printer1", 1))
    (folder / "names.yml").write_text("transformations: [{type: field_name_mapping, mapping: {box: Computer}}]\n")
    (folder / "aupstream.toml").write_text('[rules]\ncollections = ["rules"]\npipelines = ["names.yml"]\n')
    listed = aupstream("rules", "list", "--config", folder / "aupstream.toml")
    assert listed.code == 0
    assert "printer-login" in listed.out
