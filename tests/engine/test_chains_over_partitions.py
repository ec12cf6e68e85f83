"""Rules of one chain are kept together, also where a chain has several ends: workers find what one bucket finds."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agents.engine.correlate import Bucket, RuleTime
from agents.engine.episodes import Judge
from agents.engine.rows import KeyedRow, Row
from agents.rules.loader import parse_rules
from schemas.headers import FOREVER
from tests.engine.staged import staged

PARTS = """
title: A
name: a-many
correlation: {type: event_count, rules: [d1], group-by: [user_name, source_ip], timespan: 1m, condition: {gte: 2}}
---
title: B
name: b-par
correlation: {type: event_count, rules: [a-many], group-by: [user_name], timespan: 1h, condition: {gte: 2}}
---
title: T
name: t-par
correlation: {type: temporal, rules: [a-many, d2], group-by: [user_name], timespan: 1h}
---
title: D1
name: d1
logsource: {category: authentication}
detection: {s: {event_outcome: failure}, condition: s}
---
title: D2
name: d2
logsource: {category: authentication}
detection: {s: {event_outcome: success}, condition: s}
"""
BY_ADDRESS = """---
title: C
name: c-par
correlation: {type: event_count, rules: [a-many], group-by: [source_ip], timespan: 1h, condition: {gte: 2}}
"""
_ONE = PARTS.strip()
SETS = [parse_rules(_ONE), parse_rules(f"{_ONE}\n{BY_ADDRESS}")]
SECOND = 1_000_000


@st.composite
def rows(draw: st.DrawFn) -> list[tuple[str, Row]]:
    """Rows of a few people and addresses, in order."""
    made = []
    for i, t in enumerate(sorted(draw(st.lists(st.integers(0, 600), min_size=4, max_size=24)))):
        base = draw(st.sampled_from(["d1", "d1", "d1", "d2"]))
        key = {"user_name": draw(st.sampled_from(["anna", "ben"]))}
        if base == "d1":
            key = {"source_ip": draw(st.sampled_from(["10.0.0.1", "10.0.0.2"])), **key}
        text = json.dumps(key, separators=(",", ":"))
        made.append((text, Row(t * SECOND, f"{i:032x}", base, (), None, "s", "0" * 16, i, "0" * 32, "{}", ())))
    return made


@given(st.data(), rows(), st.sampled_from(SETS))
def test_two_ends_over_one_rule_find_the_same_however_keys_are_spread(
    data: st.DataObject, log: list[tuple[str, Row]], ruleset: Any
) -> None:
    rules = {rule.id: rule for rule in ruleset.rules}
    reader = {"d1": "a-many", "d2": "t-par"}
    alone = Bucket(rules, Judge())
    alone.take(KeyedRow(reader[row.base], key, late=False, row=row, input_row=0) for key, row in log)
    made = alone.advance(dict.fromkeys(rules, RuleTime(FOREVER)))
    expected = {r["id"]: (r["rule_id"], r["group_key"], r["count"]) for r in made}
    behind = [rules[name] for name in sorted(rules, reverse=True) if name not in ("t-par", "a-many")]
    found = staged(data.draw, rules["t-par"], log, lateness=30 * SECOND, inner=[*behind, rules["a-many"]])
    assert {r["id"]: (r["rule_id"], r["group_key"], r["count"]) for r in found} == expected


def test_one_end_keeps_what_it_was_kept_by_and_several_what_they_have_in_common() -> None:
    kept = {r.id: (r.root, r.root_by) for r in parse_rules(_ONE).rules}
    assert kept == dict.fromkeys(("a-many", "b-par", "t-par"), ("b-par", ("user_name",)))
    assert {(r.root, r.root_by) for r in SETS[1].rules} == {("b-par", ())}
    assert {r.kept_by('{"user_name":"anna"}') for r in SETS[1].rules if r.id == "b-par"} == {("b-par", "{}")}
