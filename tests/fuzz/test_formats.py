"""The short part of the fuzzing: every format against seeded damage. The long one: `python -m tests.fuzz`."""

from __future__ import annotations

import pytest

from streams.normalisers.registry import types
from tests.fuzz.run import fuzz

LINES = 2_000


@pytest.mark.parametrize("type_name", types())
def test_damaged_lines_raise_nothing_lose_nothing_and_cost_no_other_line(type_name: str) -> None:
    outcome = fuzz(type_name, LINES, "short")
    assert not outcome.faults
    assert outcome.lines == LINES
