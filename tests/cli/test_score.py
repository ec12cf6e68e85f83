"""`aupstream score`: what was found held against the truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Ran, aupstream

NOON = "2026-03-02T12:00:00Z"


def _deed(**other: Any) -> dict[str, Any]:
    plain = {
        "rule_id": "mass-mail", "clause": 11, "group_key": {"email_from_address": "coach@school.example"},
        "first_seen": NOON, "status": "violation", "why": "one message to 60 people",
    }  # fmt: skip
    return plain | other


def _found(**other: Any) -> dict[str, Any]:
    plain = {
        "id": "a" * 32, "rule_id": "mass-mail", "clause": 11, "status": "violation", "shadow": False,
        "group_key": {"email_from_address": "Coach@school.example"}, "first_seen": NOON, "last_seen": NOON,
    }  # fmt: skip
    return plain | other


def _scored(folder: Path, expected: list[Any], found: list[Any], *options: object, lookalikes: object = ()) -> Ran:
    (folder / "truth.json").write_text(json.dumps({"expected": expected, "lookalikes": lookalikes}))
    (folder / "found.jsonl").write_text("".join(json.dumps(one) + "\n" for one in found))
    return aupstream("score", folder, folder / "found.jsonl", "--json", *options)


def _figures(ran: Ran) -> tuple[int, int, int, float | None, float | None]:
    assert ran.code == 0, ran.err
    (made,) = ran.objects
    return made["hits"], len(made["missed"]), made["false"], made["precision"], made["recall"]


@pytest.mark.parametrize(
    ("expected", "found", "figures"),
    [
        ([_deed()], [_found()], (1, 0, 0, 1.0, 1.0)),
        ([_deed()], [], (0, 1, 0, None, 0.0)),
        ([], [_found()], (0, 0, 1, 0.0, None)),
        ([_deed()], [_found(clause=5)], (0, 1, 1, 0.0, 0.0)),
        ([_deed()], [_found(rule_id="other")], (0, 1, 1, 0.0, 0.0)),
        ([_deed(rule_id="")], [_found(rule_id="other")], (1, 0, 0, 1.0, 1.0)),
        ([_deed(group_key={"user_name": "coach"})], [_found()], (1, 0, 0, 1.0, 1.0)),
        ([_deed(group_key={"user_name": "anna"})], [_found()], (0, 1, 1, 0.0, 0.0)),
        ([_deed(first_seen="2026-03-02T12:10:00Z")], [_found()], (1, 0, 0, 1.0, 1.0)),
        ([_deed(first_seen="2026-03-02T12:11:00Z")], [_found()], (0, 1, 1, 0.0, 0.0)),
        ([_deed(first_seen="2026-03-02T13:00:00Z")], [_found(last_seen="2026-03-02T13:00:00Z")], (1, 0, 0, 1.0, 1.0)),
        ([_deed(status="permitted")], [_found(status="permitted")], (1, 0, 0, None, 1.0)),
        ([_deed(status="permitted")], [_found()], (0, 1, 1, 0.0, 0.0)),
        ([_deed()], [_found(status="permitted")], (0, 1, 0, None, 0.0)),
        ([_deed()], [_found(status="withdrawn")], (0, 1, 0, None, 0.0)),
        ([], [_found(status="informational")], (0, 0, 0, None, None)),
        ([], [_found(shadow=True)], (0, 0, 0, None, None)),
        ([_deed(rule_id="")], [_found(), _found(rule_id="other")], (1, 0, 0, 1.0, 1.0)),
        ([_deed(), _deed(group_key={"x": "ben"})], [_found()], (1, 1, 0, 1.0, 0.5)),
    ],
)
def test_figures(
    tmp_path: Path, expected: list[Any], found: list[Any], figures: tuple[int, int, int, float | None, float | None]
) -> None:
    assert _figures(_scored(tmp_path, expected, found)) == figures


def test_a_false_accusation_is_explained_where_its_cause_is_known(tmp_path: Path) -> None:
    lookalike = {"kind": "ninety-nine", "rule_id": "mass-mail", "who": "coach@school.example", "why": "99 in an hour"}
    (made,) = _scored(tmp_path, [], [_found()], lookalikes=[lookalike]).objects
    assert made["accused"][0].endswith("ninety-nine: 99 in an hour")
    (made,) = _scored(tmp_path, [_deed(status="permitted")], [_found()]).objects
    assert made["accused"][0].endswith("it is permitted: one message to 60 people")
    assert made["missed"][0].endswith("it stands as violation")
    assert made["clauses"]["11"]["precision"] == 0.0


def test_it_ends_with_1_below_what_is_asked_for_only(tmp_path: Path) -> None:
    both = [_deed(), _deed(group_key={"x": "ben"})]
    assert _scored(tmp_path, both, [_found()], "--least-recall", 0.5).code == 0
    assert _scored(tmp_path, both, [_found()], "--least-recall", 0.6).code == 1


def test_a_simulated_day_is_found_whole(tmp_path: Path) -> None:
    aupstream("simulate", "--seed", 5, "--lines", 4_000, tmp_path)
    found = aupstream("backtest", "--config", tmp_path / "aupstream.toml")
    (tmp_path / "found.jsonl").write_text(found.out)
    ran = aupstream("score", tmp_path, tmp_path / "found.jsonl", "--json")
    hits, missed, false, precision, recall = _figures(ran)
    assert (hits > 5, missed, false, precision, recall) == (True, 0, 0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("truth", "found", "says"),
    [
        ("{", "", "the truth cannot be read"),
        ("[]", "", "no list `expected`"),
        ('{"expected": [{"clause": 1}]}', "", "entry 1 of `expected`"),
        (json.dumps({"expected": [_deed(status="maybe")]}), "", "status 'maybe'"),
        ('{"expected": []}', "nonsense\n", "found.jsonl:1"),
        ('{"expected": []}', '{"id": "a"}\n', "this is no violation"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, truth: str, found: str, says: str) -> None:
    (tmp_path / "truth.json").write_text(truth)
    (tmp_path / "found.jsonl").write_text(found)
    ran = aupstream("score", tmp_path, tmp_path / "found.jsonl")
    assert (ran.code, says in ran.err) == (4, True), ran.err
