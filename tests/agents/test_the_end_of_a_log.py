"""Where logs end, what is missing is missed up to the same time by workers and by a backtest, whatever was told before.

Progress at plus infinity says that nothing will come, not up to when it is known that nothing came.
"""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agents.context.district import District
from agents.context.inventory import Inventory
from agents.delivery.rulebook import Always
from agents.engine.episodes import Judge, Records
from agents.rules.examples import read_example
from agents.rules.loader import parse_rules
from tests.agents.collecting import SentSource, sourced
from tests.agents.test_stages_on_a_bus import Given, in_one_process_of, on_a_bus

MINUTE = 60_000_000
BEGIN = datetime(2026, 3, 2, 9, tzinfo=UTC)
RULES = parse_rules("""
title: Nothing came of a user
name: silence
level: low
correlation: {type: event_count, rules: [login, page], group-by: [user_name], timespan: 30m, condition: {lt: 1}}
aupstream: {kind: absence, expect: [{user_name: anna}, {user_name: ben}, {user_name: cleo}]}
---
title: Somebody signed in
name: login
level: informational
logsource: {category: authentication}
detection: {any: {user_name|exists: true}, condition: any}
---
title: A page was fetched
name: page
level: informational
logsource: {category: proxy}
detection: {any: {user_name|exists: true}, condition: any}
""")
GIVEN = Given(District.of("School", "UTC", [], []), Inventory.none(), Judge())


def _log(name: str, kind: str, minutes: list[tuple[int, str]]) -> SentSource:
    events = [{"kind": kind, "at": (BEGIN + timedelta(minutes=m)).isoformat(), "user_name": who} for m, who in minutes]
    (found,) = read_example({"name": name, "events": events, "violations": []}, name).frames.items()
    return sourced(name, *found)


def _found(records: Records) -> list[tuple[Any, ...]]:
    begin = BEGIN.timestamp() * 1e6

    def minutes(t: int | None) -> float | None:
        return None if t is None else (t - begin) / MINUTE

    return sorted((r["group_key"]["user_name"], minutes(r["opened_at"]), minutes(r["closed_at"])) for r in records)


def _on_a_bus(sent: list[SentSource], seed: int, chaos: float = 0.05) -> Records:
    return on_a_bus(sent, GIVEN, seed, chaos, [1, 2, 7], lambda _: Always(RULES))


def test_silence_counts_up_to_the_newest_event_and_not_beyond() -> None:
    sent = [_log("a", "login", [(0, "anna"), (0, "ben"), (5, "cleo"), (31, "anna")])]
    # Of cleo something is due at 35, and nothing is known of that time.
    expected = [("anna", 30.0, 31.0), ("ben", 30.0, None)]
    assert _found(in_one_process_of(RULES, sent, GIVEN)) == expected
    assert _found(_on_a_bus([replace(s, lateness=10 * MINUTE) for s in sent], 0)) == expected


def test_a_kind_of_logs_that_has_ended_says_nothing_of_what_came_later() -> None:
    sent = [_log("a", "login", [(0, "anna"), (20, "ben")]), _log("b", "proxy", [(0, "cleo"), (200, "cleo")])]
    assert _found(in_one_process_of(RULES, sent, GIVEN)) == []
    for seed in range(4):
        assert _found(_on_a_bus(sent, seed)) == []


def test_logs_of_one_kind_cover_as_much_as_the_one_that_goes_on_longest() -> None:
    sent = [_log("a", "login", [(0, "anna"), (20, "ben")]), _log("b", "login", [(0, "cleo"), (51, "cleo")])]
    expected = [("anna", 30.0, None), ("ben", 50.0, None), ("cleo", 30.0, 51.0)]
    assert _found(in_one_process_of(RULES, sent, GIVEN)) == expected
    for seed in range(4):
        assert _found(_on_a_bus(sent, seed)) == expected


def test_a_log_without_any_event_is_no_end() -> None:
    empty = _log("c", "proxy", [(0, "anna")])
    sent = [_log("a", "login", [(0, "anna"), (40, "ben")]), replace(empty, frame=empty.frame.clear())]
    expected = in_one_process_of(RULES, sent, GIVEN)
    assert [who for who, *_ in _found(expected)] == ["anna", "ben", "cleo"]
    assert _on_a_bus(sent, 0) == expected


@pytest.mark.parametrize("seed", range(8))
def test_workers_miss_what_a_backtest_misses_whatever_markers_came_before(seed: int) -> None:
    dice = random.Random(seed)
    kinds = ["login", dice.choice(["login", "proxy"])]
    sent = []
    for name, kind in zip("ab", kinds, strict=True):
        times = [(dice.randrange(240), dice.choice(["anna", "ben", "cleo", "dora"])) for _ in range(12)]
        made = _log(name, kind, sorted(times))
        lateness = dice.choice([0, 1, 25, 90]) * MINUTE
        sent.append(replace(made, lateness=lateness, marked=dice.randrange(3)))
    expected = in_one_process_of(RULES, sent, GIVEN)
    assert expected
    for chaos in (0.0, 0.1):
        assert _on_a_bus(sent, seed, chaos) == expected
