"""Which type of log some lines are of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from streams.normalisers.abstract import LineChunk, NormaliserSettings
from streams.normalisers.reasons import Ignored
from streams.normalisers.registry import make, types

MAX_LINES = 300

_SAYS_NOTHING = frozenset({Ignored.BLANK_LINE, Ignored.OTHER_PROGRAM, Ignored.REPEATED_OTHER, Ignored.CRON_JOB})
"""Reasons that are no sign of the type: any syslog file has such lines for any of them."""

_WEAK = frozenset({Ignored.SESSION_MANAGER, Ignored.DHCP_OTHER, Ignored.SSH_OTHER, Ignored.RADIUS_SERVER})


def guess(lines: Sequence[bytes]) -> tuple[str, float]:
    """The likeliest type of the first lines of a file, and how sure that is.

    Every type reads the lines; a line that gives an event or is held for a join counts fully, one that is ignored for a
    reason of that format by half, others not at all.

    Args:
        lines: Lines without line ends; the first `MAX_LINES` are used.

    Returns:
        Name of a type, and the share of the lines that speak for it, 0 to 1. An empty name with 0 where none does.
    """
    sample = [line for line in lines[:MAX_LINES] if line.strip()]
    if not sample:
        return "", 0.0
    scores = {name: _score(name, sample) for name in types()}
    best = max(scores, key=lambda name: scores[name])
    return (best, round(scores[best], 3)) if scores[best] > 0 else ("", 0.0)


def _score(name: str, sample: list[bytes]) -> float:
    # A leap year: a sample may hold 29 February, and which year it is does not matter here.
    normaliser = make(name, NormaliserSettings(first_seen=date(2024, 12, 31)))
    out = normaliser.normalise(LineChunk(sample, list(range(len(sample)))))
    ignored = dict(out.ignored)
    rejected = {reject.line for reject in out.rejects}
    decided_by_event = set(out.events["line"].to_list())
    score = 0.0
    for index in range(len(sample)):
        if index in rejected:
            continue
        reason = ignored.get(index)
        if reason is None or index in decided_by_event:
            score += 1.0
        elif reason not in _SAYS_NOTHING:
            score += 0.1 if reason in _WEAK else 0.5
    return score / len(sample)
