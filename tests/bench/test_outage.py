"""What the outage benchmark calls lost."""

from __future__ import annotations

from infra.bench.live_lines import Injected
from tests.benchmarks.bench_outage import compared


def test_what_is_missing_and_what_nobody_made_is_named_and_the_warm_up_is_neither() -> None:
    injected = [Injected("mass-mail", "a", 100.0), Injected("mass-mail", "b", 101.0)]
    warm = {("mass-mail", "w"): 90.0}
    assert compared(injected, {("mass-mail", "a"): 100.0, ("mass-mail", "b"): 101.0, **warm}) == ([], [])
    assert compared(injected, {("mass-mail", "a"): 100.0, **warm}) == (["mass-mail b"], [])
    strange = {("mass-mail", "a"): 100.0, ("mass-mail", "b"): 101.0, ("new-device", "x"): 105.0}
    assert compared(injected, strange) == ([], ["new-device x"])
