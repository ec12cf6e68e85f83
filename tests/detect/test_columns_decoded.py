"""What a rule set needs of an event is all that is decoded of it: the rest may be missing."""

from __future__ import annotations

import polars as pl
import pytest

from agents.engine.detect import Detector
from agents.engine.enrich import Enricher
from agents.engine.identity import FactIndex, facts_of
from agents.rules.columns import DERIVED, Derived
from agents.rules.examples import Example, read_example
from agents.rules.loader import load_rules
from schemas.kinds import EventKind

RULES = load_rules()
EXAMPLES = [read_example(raw, rule.id) for rule in RULES.rules for raw in rule.examples]


def _frames(kind: EventKind) -> list[tuple[Example, pl.DataFrame]]:
    return [(example, example.frames[kind]) for example in EXAMPLES if kind in example.frames]


@pytest.mark.parametrize("derived", DERIVED, ids=lambda d: d.name)
def test_a_computed_column_is_made_of_the_columns_that_it_reads(derived: Derived) -> None:
    values = 0
    for kind in derived.kinds:
        for example, frame in _frames(kind):
            enricher = Enricher(example.district, example.inventory)
            names = ["person", derived.name] if derived.name == "untaught_student" else [derived.name]
            whole = enricher.add(frame, kind, names)[derived.name]
            part = frame.select(c for c in frame.columns if c in derived.reads)
            assert enricher.add(part, kind, names)[derived.name].to_list() == whole.to_list(), (kind, example.name)
            values += len(whole.drop_nulls())
    assert values, "no example has such a column"


@pytest.mark.parametrize("kind", list(EventKind))
def test_the_columns_that_are_decoded_are_enough_for_all_rules(kind: EventKind) -> None:
    rows = 0
    for example, frame in _frames(kind):
        detector = Detector(RULES, example.district, example.inventory)
        facts = FactIndex()
        for other in (EventKind.DHCP, EventKind.LOGIN):
            if other in example.frames:
                facts.add(facts_of(example.frames[other], other))
        columns = detector.columns(kind)
        assert columns is not None
        assert set(columns) < set(frame.columns), "not all are needed"
        found = detector.detect(frame, kind, facts)
        assert detector.detect(frame.select(columns), kind, facts).equals(found), example.name
        rows += found.height
    assert rows
