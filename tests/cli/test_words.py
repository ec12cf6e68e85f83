"""What loads and then means nothing, because nobody knows the name or the word, is named with what was meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agents.context.rosterroles import ROLES
from agents.rules.loader import POLICY_FOLDER
from infra.run import words
from infra.run.checks import Check
from tests.cli.command import Ran, aupstream

FILES = {
    "aupstream.toml": """\
data = "data"
[district]
domains = ["s.example"]
inventory = "inventory.csv"
roster = "roster.csv"
permits = "permits.csv"
[district.calendar.duty_by_role]
coach = "12:00-18:00"
custodain = "05:00-13:00"
[rules]
paths = ["rules"]
[[notify.routes]]
to = ["personnel"]
roles = ["Student", "custodian"]
""",
    "roster.csv": """\
account,roles,mail,supervisor
head,principal,head@s.example,
coach,coach,coach.lee@s.example,head
tom,custodian,,head
""",
    "inventory.csv": """\
mac,owner,kind,site
3c:52:82:00:00:01,coahc,laptop,
3c:52:82:00:00:02,,crat,
3c:52:82:00:00:03,tom,crat,
3c:52:82:00:00:04,coach.lee@s.example,Cart,
3c:52:82:00:00:05,,smartboard,
3c:52:82:00:00:06,,hologram,
""",
    "permits.csv": """\
who,clause,from,to,granted_by,reason
coach,11,2026-01-01,2199-01-01,head,season
coahc,11,2026-01-01,2199-01-01,head,season
coach,11,2026-01-01,2199-01-01,haed,season
head,11,2026-01-01,2199-01-01,coach,season
gone,11,2020-01-01,2020-02-01,gone,over long ago
3c:52:82:00:00:09,8,2026-01-01,2199-01-01,head,imaging
""",
    "rules/own.yml": """\
title: Boards
name: boards
description: x
level: low
falsepositives: [x]
logsource: {category: proxy}
detection:
  board: {source_device_kind: smartboard}
  staff:
    - {person_roles|contains: custodian}
    - person_roles: [studnet, it]
  condition: board and not staff
aupstream: {clause: 2, group-by: [source_mac]}
""",
}
EXPECTED = [
    ("permits.csv:3", "'coahc' is nobody", "did you mean 'coach'?"),
    ("permits.csv:4", "nobody in the roster", "did you mean 'head'?"),
    ("permits.csv:5", "no supervisor of who is permitted", "have it granted"),
    ("permits.csv:7", "'3c:52:82:00:00:09' is nobody", "a device of the inventory"),
    ("inventory.csv:2", "the owner 'coahc' is nobody", "did you mean 'coach'?"),
    ("inventory.csv:3", "'crat' is no kind", "did you mean 'cart'?"),
    ("inventory.csv:7", "'hologram' is no kind", "known: "),
    ("aupstream.toml:14:10", "'Student' is no role", "did you mean 'student'?"),
    ("aupstream.toml:9:1", "'custodain' is no role", "did you mean 'custodian'?"),
    ("own.yml:11:22", "'studnet' is no role", "did you mean 'student'?"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def _doctor(folder: Path) -> tuple[Ran, list[Check]]:
    ran = aupstream("doctor", "-c", folder / "aupstream.toml", "--json")
    found = [Check(**json.loads(line)) for line in ran.out.splitlines()]
    return ran, [c for c in found if c.name in ("permits", "inventory", "roles")]


def test_each_is_named_with_its_place_and_the_nearest_word_and_none_is_a_mistake(folder: Path) -> None:
    ran, found = _doctor(folder)
    assert ran.code == 0, ran.err
    assert {c.state for c in found} == {"warning"}
    for check, (where, what, todo) in zip(found, EXPECTED, strict=True):
        assert f"{where}: " in check.detail, check
        assert what in check.detail, check
        assert todo in check.todo, check


def test_without_a_roster_nobody_is_called_a_stranger(folder: Path) -> None:
    file = folder / "aupstream.toml"
    file.write_text(file.read_text().replace('roster = "roster.csv"\n', ""))
    _, found = _doctor(folder)
    assert [c.detail.rpartition("/")[2].split(": ")[0] for c in found if c.name != "roles"] == [
        "permits.csv:7", "inventory.csv:3", "inventory.csv:7"
    ]  # fmt: skip


def test_of_very_many_the_first_are_told_and_how_many_more(folder: Path) -> None:
    lines = [f"3c:52:82:00:01:{n:02x},nobody{n},laptop," for n in range(words.MOST + 5)]
    (folder / "inventory.csv").write_text("mac,owner,kind,site\n" + "\n".join(lines) + "\n")
    _, found = _doctor(folder)
    told = [c for c in found if c.name == "inventory"]
    assert (len(told), told[-1].detail) == (words.MOST + 1, "5 more like these")


def test_the_shipped_rules_ask_for_no_unknown_word() -> None:
    documents = words.documents_of([POLICY_FOLDER])
    asked = {role for role, _ in words.asked_for(documents, ("person_roles", "user_roles"))}
    assert asked <= ROLES
    assert "substitute" in asked
    assert {"cart", "shared"} <= words.kinds_asked_for(documents) <= words.KINDS
