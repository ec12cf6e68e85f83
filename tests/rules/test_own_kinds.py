"""Kinds that Sigma has no word for: their examples hold, and every mistake in them is told with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.engine.episodes import Judge
from agents.engine.pipeline import run
from agents.rules.examples import run_examples
from agents.rules.loader import lint_files, parse_rules
from agents.rules.own import Absence, NewValue
from schemas.errors import Errors

PAGE = Path(__file__).with_name("own_kinds.yml").read_text("utf-8")
EXPECT = "expect: [{observer_hostname: mail-1}, {observer_hostname: mail-2}]"


def test_every_example_of_every_kind_holds() -> None:
    results = run_examples(parse_rules(PAGE), lambda r, d, i, p, f: run(r, d, i, Judge(p), f.items()))
    assert len(results) == 13
    assert [f"{r.rule_id}: {r.name}: {r.problem}" for r in results if not r.passed] == []


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("ends: [ended]", "ends: []"),
        ("timespan: 8h", "timespan: 59m"),
        ("proxies: [203.0.113.0/24]", "proxies: []"),
        ("km: 150", "km: 1"),
        ("km-per-h: 900", "km-per-h: 9000"),
        ("timespan: 4h", "timespan: 59m"),
        ("gte: 500000000", "gte: 900000001"),
        ("least: 3,", "least: 4,"),
        ("factor: 3", "factor: 4.1"),
        ("least: 3, factor", "least: 2, factor"),
        ("timespan: 15m", "timespan: 61m"),
        ("{observer_hostname: mail-1},", "{observer_hostname: mail-3},"),
        ("known: [Backup]", "known: []"),
        ("forget: 2d", "forget: 3d"),
        ("school-days: false", "school-days: true"),
        ('hours: "22:00-06:00"', 'hours: "00:00-24:00"'),
        ("outside: false", "outside: true"),
    ],
)
def test_a_rule_tuned_otherwise_fails_its_examples(was: str, becomes: str) -> None:
    assert was in PAGE
    rules = parse_rules(PAGE.replace(was, becomes))
    results = run_examples(rules, lambda r, d, i, p, f: run(r, d, i, Judge(p), f.items()))
    assert any(not r.passed for r in results)


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("type: value_sum", "type: value_avg", "kind quota must stand on correlation type event_count or value_count"),
        ("kind: concurrent", "kind: concurent", "did you mean 'concurrent'?"),
        ("ends: [ended]", "ends: [endd]", "did you mean 'ended'?"),
        ("ends: [ended]", "ends: [ended, began]", "no rule begins a session"),
        ("id: session_id, ", "", "what ends a session must say which"),
        ("id: session_id", "id: sesion_id", "did you mean 'session_id'?"),
        ("source_site, gte: 2", "source_site, gte: 1", "two of them at least"),
        ("source_ip, gte: 2", "source_ip, gte: 3", "two by two"),
        ("km: 150", "km: -1", "km must be a number above 0, not -1"),
        ("km: 150", "kilometres: 150", "unknown key 'kilometres' in travel"),
        ("{field: source_ip, gte: 2}", "{field: user_name, gte: 2}", "told by source_ip, and not by user_name"),
        ("203.0.113.0/24", "203.0.113.0/240", "is no network"),
        ("\n  per: day", "", "a quota says no period"),
        ("\n  per: day", "\n  per: month", "per 'month' is not known"),
        ("\n  per: day", "\n  per: week", "a rule per week has the timespan 1w"),
        ("\n  per: day", "\n  per: day\n  window: tumbling", "a quota rule knows no window"),
        ("gte: 500000000", "lte: 5", "takes a lower limit only"),
        ("least: 3, factor: 3", "least: 3", "a spike says not how high"),
        ("least: 3,", "least: 6,", "least must be a whole number from 1 to 5"),
        ("condition: {lt: 1}", "condition: {lt: 2}", "an absence needs the condition `lt: 1`"),
        ("{observer_hostname: mail-1}", "{hostname: mail-1}", "is no key of this rule (give observer_hostname)"),
        (EXPECT, "by: 7", "7 is no time of day"),
        (EXPECT, "within: 1m", "says not what it expects"),
        (EXPECT, "expect: no.csv", "cannot be read"),
        ("kind: absence", "kind: absence\n  forget: 1d", "forget belongs to kind new_value"),
        ("known: [Backup]", "known-list: nowhere.txt", "file cannot be read"),
        ('"22:00-06:00"', '"22-06"', "'22-06' are no hours"),
        ("school-days: false", "days: [monday]", "did you mean 'mon'?"),
        ("school-days: false", "school-days: no-idea", "must be true or false"),
        ("outside: false", "zone: Mars", "time zone 'Mars' is not known"),
        ("rules: [success]\n", "rules: [message]\n", "mail events know no place"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(was: str, becomes: str, says: str) -> None:
    assert was in PAGE
    text = PAGE.replace(was, becomes, 1)
    with pytest.raises(Errors) as raised:
        parse_rules(text, "r.yml")
    told = [e for e in raised.value.errors if says in str(e)]
    assert len(told) == 1, raised.value.errors
    _, line_text, column = told[0].where.split(":")
    line = int(line_text)
    first = text[: PAGE.index(was)].count("\n") + 1
    assert abs(line - first) <= 5
    assert text.splitlines()[line - 1][int(column) - 1 :].strip()


def test_lists_may_stand_in_files_beside_the_rule(tmp_path: Path) -> None:
    changed = PAGE.replace("known: [Backup]", "known-list: known.txt").replace(EXPECT, "expect: relays.csv")
    (tmp_path / "rules.yml").write_text(changed, "utf-8")
    (tmp_path / "known.txt").write_text("# service accounts\nbackup\n\nScanner\n", "utf-8")
    (tmp_path / "relays.csv").write_text("observer_hostname\nmail-1\nmail-2\n", "utf-8")
    lint = lint_files([tmp_path])
    assert lint.errors == ()
    assert lint.ruleset is not None
    owns = [r.own for r in lint.ruleset.rules]
    assert [o.known for o in owns if isinstance(o, NewValue)] == [frozenset({"backup", "scanner"})]
    (expect,) = [o.expect for o in owns if isinstance(o, Absence)]
    assert expect == {'{"observer_hostname":"mail-1"}', '{"observer_hostname":"mail-2"}'}
    before = lint.ruleset.rule("silent-relay").version
    (tmp_path / "relays.csv").write_text("observer_hostname\nmail-1\n", "utf-8")
    again = lint_files([tmp_path]).ruleset
    assert again is not None
    assert again.rule("silent-relay").version != before


@pytest.mark.parametrize(
    ("account", "key"), [("Anna", "anna"), ("SCHOOL\\Anna", "anna"), ("anna@school.example", None)]
)
def test_an_account_that_is_expected_is_spelled_as_group_keys_spell_it(account: str, key: str | None) -> None:
    text = PAGE.replace("group-by: [observer_hostname]", "group-by: [user_name]").replace(
        "[{observer_hostname: mail-1}, {observer_hostname: mail-2}]", f"[{{user_name: '{account}'}}]"
    )
    if key is None:
        with pytest.raises(Errors, match="names an account by an address"):
            parse_rules(text, "r.yml")
        return
    [rule] = [rule for rule in parse_rules(text, "r.yml").rules if isinstance(rule.own, Absence)]
    assert isinstance(rule.own, Absence)
    assert rule.own.expect == {f'{{"user_name":"{key}"}}'}
