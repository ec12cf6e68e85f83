"""What judging again changes, by what stood and what comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agents.delivery.rulebook import Period
from infra.rejudge.comparing import STEP, Outcome, Scope, compare
from infra.rejudge.judging import parts
from schemas.headers import NEVER
from tests.cli.command import aupstream

ALL = Scope(0, 1_000)


def test_a_scope_is_cut_where_rules_were_changed_and_nowhere_else() -> None:
    known = [Period(NEVER, "a"), Period(100, "b"), Period(200, "c")]
    assert parts(Scope(50, 150, frozenset({"anna"})), known) == [
        (Scope(50, 100, frozenset({"anna"})), "a"),
        (Scope(100, 150, frozenset({"anna"})), "b"),
    ]
    assert parts(Scope(100, 200), known) == [(Scope(100, 200), "b")]
    assert [version for _, version in parts(Scope(0, 1_000), known)] == ["a", "b", "c"]
    assert parts(Scope(5, 9), known[:1]) == [(Scope(5, 9), "a")]


def _record(name: str, **other: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "id": name, "version": 3, "rule_id": "r", "status": "violation", "state": "closed", "severity": "low",
        "group_key": {"user_name": "anna"}, "first_seen": 10, "last_seen": 20, "closed_at": 30, "count": 2,
        "value": 2.0, "permit": None, "thresholds": [], "timeline": "", "related": [],
        "evidence": [{"event_id": f"e-{name}", "summary": '{"source_ip":"10.0.0.1"}'}],
    }  # fmt: skip
    return plain | other


def _compared(
    stored: list[dict[str, Any]],
    judged: list[dict[str, Any]],
    scope: Scope = ALL,
    covered: int = 100,
    gone: frozenset[str] = frozenset(),
) -> Outcome:
    return compare(stored, judged, scope, covered=lambda _: covered, there=lambda event: event not in gone)


def test_what_rested_on_events_that_are_not_there_any_more_is_left_as_it_is() -> None:
    kept, lost = _record("a"), _record("b", evidence=[*_record("b")["evidence"], *_record("c")["evidence"]])
    outcome = _compared([kept, lost], [], gone=frozenset({"e-c"}))
    assert [r["id"] for r in outcome.withdrawn] == ["a"]
    assert outcome.unsettled == ["b"]
    less = _compared([lost], [_record("b", count=1)], gone=frozenset({"e-c"}))
    assert (less.records, less.unsettled) == ([], ["b"])


def test_what_comes_out_as_it_stands_changes_nothing() -> None:
    again = _record("a", version=2, related=[], incomplete=True)
    assert _compared([_record("a")], [again]).records == []


def test_what_was_none_is_withdrawn_and_what_stands_in_its_place_raised_and_they_name_each_other() -> None:
    shared = {"evidence": [{"event_id": "e", "summary": "{}"}]}
    outcome = _compared([_record("a", **shared)], [_record("b", version=2, **shared)])
    ((old,), (new,)) = outcome.withdrawn, outcome.raised
    assert (old["id"], old["status"], old["version"], old["related"]) == ("a", "withdrawn", STEP + 3, ["b"])
    assert (new["id"], new["status"], new["version"], new["related"]) == ("b", "violation", 2, ["a"])


def test_without_an_event_in_common_those_of_the_same_time_and_rule_name_each_other() -> None:
    outcome = _compared(
        [_record("a")], [_record("b", first_seen=15), _record("c", first_seen=25), _record("d", rule_id="s")]
    )
    assert outcome.withdrawn[0]["related"] == ["b"]
    assert [new["related"] for new in outcome.raised] == [["a"], [], []]


def test_what_is_something_else_now_is_a_new_version_above_all_before() -> None:
    permitted = _record("a", status="permitted", version=2)
    (new,) = _compared([_record("a")], [permitted]).changed
    assert (new["status"], new["version"]) == ("permitted", STEP + 2)
    (third,) = _compared([new], [_record("a", version=2)]).changed
    assert (third["status"], third["version"]) == ("violation", 2 * STEP + 2)
    (back,) = _compared([_record("a", status="withdrawn", version=STEP + 3, related=["b"])], [_record("a")]).changed
    assert (back["status"], back["related"]) == ("violation", ["b"])


def test_what_was_withdrawn_is_not_withdrawn_again() -> None:
    assert _compared([_record("a", status="withdrawn")], []).records == []


def test_what_is_still_going_on_is_left_as_it_is() -> None:
    outcome = _compared([_record("a", state="open")], [])
    assert (outcome.records, outcome.open) == ([], ["a"])


def test_what_does_not_end_within_the_events_is_left_for_another_time() -> None:
    outcome = _compared([_record("a")], [_record("a", count=3, closed_at=31), _record("b", closed_at=31)], covered=30)
    assert (outcome.records, outcome.unsettled) == ([], ["a", "b"])


def test_only_what_is_in_the_scope_is_touched() -> None:
    stored = [
        _record("a"),
        _record("b", first_seen=5),
        _record("c", group_key={"user_name": "ben"}),
        _record("d", rule_id="s"),
    ]
    stored[2]["evidence"] = [{"event_id": "x", "summary": '{"source_ip":"10.0.0.9"}'}]

    def withdrawn(scope: Scope) -> list[str]:
        return [r["id"] for r in _compared(stored, [], scope).withdrawn]

    assert withdrawn(ALL) == ["a", "b", "c", "d"]
    assert withdrawn(Scope(6, 11)) == ["a", "c", "d"]
    assert withdrawn(Scope(0, 99, frozenset({"ben"}))) == ["c"]
    assert withdrawn(Scope(0, 99, frozenset({"10.0.0.1"}))) == ["a", "b", "d"]
    assert withdrawn(Scope(0, 99, rules=frozenset({"s"}))) == ["d"]
    assert [r["id"] for r in _compared([], [_record("b", first_seen=5)], Scope(6, 11)).raised] == []


def test_an_account_is_also_the_first_half_of_an_address() -> None:
    stored = [_record("a", group_key={"email_from_address": "Anna@school.example"})]
    assert [r["id"] for r in _compared(stored, [], Scope(0, 99, frozenset({"anna"}))).withdrawn] == ["a"]


def test_those_of_another_timeline_are_left_alone() -> None:
    assert _compared([_record("a", timeline="backfill")], []).records == []


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--from", "yesterday", "--to", "2026-01-01", "--reason", "x"), "'yesterday' is no time"),
        (("--from", "2026-01-03", "--to", "2026-01-01", "--reason", "x"), "it ends before it begins"),
        (("--from", "2026-01-01", "--to", "2026-01-03"), "reason"),
    ],
)
def test_what_is_wrong_with_the_question_is_told_before_a_server_is_waited_for(
    tmp_path: Path, asked: tuple[str, ...], said: str
) -> None:
    config = tmp_path / "aupstream.toml"
    config.write_text(
        '[kafka]\nbootstrap = "nowhere.invalid:1"\n[clickhouse]\ndsn = "clickhouse://nowhere.invalid:1/d"\n'
    )
    ran = aupstream("rejudge", *asked, "-c", config)
    assert ran.code == 2
    assert said in ran.err
