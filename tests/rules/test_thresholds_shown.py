"""A violation lists limits as they were written, in numbers that JSON knows."""

from __future__ import annotations

import json
from math import inf, nextafter

from agents.rules.model import Threshold


def test_limits_are_shown_as_they_were_written() -> None:
    limits = {
        3.0: Threshold("gte", 3.0),
        4.0: Threshold("gt", nextafter(4.0, inf)),
        2.0: Threshold("lt", -inf, lte=nextafter(2.0, -inf)),
        5.0: Threshold("neq", -inf, neq=5.0),
        0.1: Threshold("range", 0.1, lte=0.9),
    }
    assert {limit: t.shown for limit, t in limits.items()} == {limit: limit for limit in limits}
    assert json.loads(json.dumps([t.shown for t in limits.values()], allow_nan=False)) == list(limits)
