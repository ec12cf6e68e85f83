"""`aupstream simulate`: a made-up district's day as raw logs, and what must be found in them."""

from infra.simulate.run import simulate
from infra.simulate.term import simulate_term
from infra.simulate.truth import Broken, Expected, Lookalike, Truth

__all__ = ["Broken", "Expected", "Lookalike", "Truth", "simulate", "simulate_term"]
