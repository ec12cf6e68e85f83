"""Visits and minutes by hand: what a beat counts for, and what uneven pauses do."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest

from agents.engine.rows import Row
from agents.engine.visits import VisitCount, Visits, VisitTally
from agents.rules.loader import load_rules
from agents.rules.model import Rule

PAGES = load_rules().rule("filter-bypass")
MINERS = load_rules().rule("crypto-mining")
HOURS = load_rules().rule("selling")
START = 1_772_467_200


def _row(at: int, value: str) -> Row:
    row: list[object] = [at * 1_000_000, f"{at:032x}", "b", (value,), None, "s", "0" * 16, at, "0" * 32, "{}", ()]
    return Row(*row)  # type: ignore[arg-type]  # plain values in their order


def _at(place: str, times: Iterable[int]) -> list[str]:
    return [f"{place}\x1f{START + t}" for t in times]


def _counted(rule: Rule, values: Sequence[str]) -> int:
    visits = Visits(rule)
    for value in values:
        visits.add(value)
    return visits.value


def _sums(pauses: Iterable[int]) -> list[int]:
    made = [0]
    for pause in pauses:
        made.append(made[-1] + pause)
    return made


@pytest.mark.parametrize(
    ("pauses", "visits"),
    [
        ([], 1),
        ([3, 3, 3], 1),  # one moment
        ([200], 1),  # it may be a beat
        ([60] * 100, 1),
        ([60, 62, 61, 60, 61] * 9, 1),
        ([240, 240, 240, 480], 3),  # a beat that was missed: the first pause is known to be none then
        ([4] * 200, 1),
        ([70, 130], 3),
        ([70, 130, 95], 4),
        ([70, 130, 95, 95], 4),
        ([70, 130, 95, 70], 5),  # like the pause before the two newest: a person's may be
        ([15, 22, 40], 2),  # a minute apart, at least
        ([70, 20], 2),
    ],
)
def test_a_beat_is_one_visit_and_each_uneven_pause_is_another(pauses: list[int], visits: int) -> None:
    assert _counted(PAGES, _at("a.example", _sums(pauses))) == visits


def test_each_place_has_its_own_beat_and_a_value_without_a_time_counts_by_itself() -> None:
    beats = _at("a.example", range(0, 600, 60)) + _at("b.example", range(7, 600, 90)) + _at("c.example", [11])
    beats.sort(key=lambda value: value.partition("\x1f")[2])
    assert _counted(PAGES, [*beats, "d.example", "e.example", "d.example"]) == 5


def test_of_a_machine_every_minute_counts() -> None:
    assert _counted(MINERS, _at("a.example", range(0, 300, 30))) == 5
    assert _counted(MINERS, _at("a.example", [58, 61])) == 1, "over a minute's edge"


def test_minutes_count_for_five_minutes_after_an_uneven_pause() -> None:
    assert _counted(HOURS, _at("a.example", range(0, 36_000, 60))) == 1
    alone = _at("a.example", _sums([60] * 9 + [200] + [60] * 60))
    assert _counted(HOURS, alone) == 1 + 5, "nobody was there before, nor after"
    waits = random.Random(1)
    assert _counted(HOURS, _at("a.example", _sums(waits.randint(58, 62) for _ in range(600)))) == 1
    assert _counted(HOURS, _at("a.example", _sums(waits.randint(20, 120) for _ in range(120)))) > 90, "a person's"
    pages = [str((START + 60 * n) // 60) for n in range(3)]
    assert _counted(HOURS, [*pages, *_at("a.example", [0])]) == 3, "a minute counts once"


@pytest.mark.parametrize("rule", [PAGES, MINERS, replace(PAGES, value_field="active_minute")])
@pytest.mark.parametrize("longest", [4, 20, 120])
def test_a_window_forgets_what_left_it_and_counts_the_rest_anew(rule: Rule, longest: int) -> None:
    rng = random.Random(longest)
    window = VisitCount(rule)
    kept: list[Row] = []
    for t in _sums(rng.randint(0, longest) for _ in range(400)):
        place = rng.choice(["a", "a", "", "c"])
        row = _row(START + t, str((START + t) // 60) if place == "c" else f"{place}\x1f{START + t}")
        window.expire(row.t)
        window.add(row)
        kept = [one for one in [*kept, row] if one.t > row.t - rule.timespan_us]
        if rng.random() < 0.7:
            assert window.value == _counted(rule, list(dict.fromkeys(one.values[0] for one in kept)))


def test_a_period_goes_on_from_what_was_saved_also_by_the_release_before() -> None:
    values = _at("a.example", _sums([20, 47, 31, 66, 24, 52, 80, 36, 58] * 9))
    whole, half = VisitTally(HOURS), VisitTally(HOURS)
    for n, value in enumerate(values):
        whole.add(_row(n, value))
        half.add(_row(n, value))
        saved, half = half.to_state(), VisitTally(HOURS)
        half.from_state(saved)
    assert (whole.value, whole.to_state()) == (half.value, half.to_state())
    old = VisitTally(HOURS)
    old.from_state([False, ["29541120", "29541121"]])
    assert old.value == 2


def test_a_rule_counts_visits_by_what_it_counts() -> None:
    assert all(rule.counts_visits for rule in (PAGES, MINERS, HOURS))
    assert not replace(PAGES, value_field="url_domain").counts_visits
