"""A district's term of school days from a seed: raw logs, context files and the truth about all clauses."""

from infra.simulate.term.run import simulate_term

__all__ = ["simulate_term"]
