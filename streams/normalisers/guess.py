"""Which type of log some lines are of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from streams.normalisers.abstract import LineChunk, NormaliserSettings
from streams.normalisers.columns import LINE
from streams.normalisers.reasons import Ignored
from streams.normalisers.registry import claims_of, make, types

MAX_LINES = 300
SURE = 0.5  # share from which on a guess is one to rely on, if the runner-up is clearly behind

_SAYS_NOTHING = frozenset(
    {
        Ignored.BLANK_LINE, Ignored.OTHER_PROGRAM, Ignored.REPEATED_OTHER, Ignored.CRON_JOB, Ignored.HEADER,
        Ignored.OTHER_RECORD,
    }
)  # fmt: skip
"""Reasons that are no sign of the type: any file has such lines for any of them."""

_WEAK = frozenset({Ignored.SESSION_MANAGER, Ignored.DHCP_OTHER, Ignored.SSH_OTHER, Ignored.RADIUS_SERVER})


class Guess(NamedTuple):
    """What some lines are taken for.

    Attributes:
        type_name: Name of a type; empty where no type can read any of the lines.
        share: Share of the lines that speak for it, 0 to 1.
        next_type: The likeliest other type; empty where there is none.
        next_share: Its share.
    """

    type_name: str
    share: float
    next_type: str = ""
    next_share: float = 0.0


class _Score(NamedTuple):
    """Compared in this order: what can be read, what is surely the type's, how much is found in a line."""

    share: float
    claimed: float
    filled: float


def guess(lines: Sequence[bytes]) -> Guess:
    """The likeliest type of the first lines of a file, and how sure that is.

    Every type reads the lines; a line that gives an event or is held for a join counts fully, one that is ignored for a
    reason of that format by half, others not at all; what a type takes for lines that name columns is left out. A type
    that finds no event is none, unless it claims a line.
    Where two types can read as much, the one counts that surely writes such lines (`claims`), then the one that finds
    more in them.

    Args:
        lines: Lines without line ends; the first `MAX_LINES` are used.
    """
    sample = [line for line in lines[:MAX_LINES] if line.strip()]
    if not sample:
        return Guess("", 0.0)
    scores = {name: _score(name, sample) for name in types()}
    first, second = sorted(scores, key=lambda name: scores[name], reverse=True)[:2]
    if scores[first].share <= 0:
        return Guess("", 0.0)
    other = second if scores[second].share > 0 else ""
    return Guess(first, scores[first].share, other, scores[second].share if other else 0.0)


def _score(name: str, sample: list[bytes]) -> _Score:
    # A leap year: a sample may hold 29 February, and which year it is does not matter here.
    normaliser = make(name, NormaliserSettings(first_seen=date(2024, 12, 31)))
    out = normaliser.normalise(LineChunk(sample, list(range(len(sample)))))
    ignored = dict(out.ignored)
    rejected = {reject.line for reject in out.rejects}
    decided_by_event = set(out.events[LINE].to_list())
    score = 0.0
    heads = sum(reason is Ignored.HEADER for index, reason in out.ignored if index not in decided_by_event)
    for index in range(len(sample)):
        if index in rejected:
            continue
        reason = ignored.get(index)
        if reason is None or index in decided_by_event:
            score += 1.0
        elif reason not in _SAYS_NOTHING:
            score += 0.1 if reason in _WEAK else 0.5
    claims = claims_of(name)
    claimed = sum(map(claims, sample)) / len(sample)
    events = out.events
    if not (events.height or normaliser.open_lines or claimed):
        return _Score(0.0, 0.0, 0.0)
    filled = sum(events.height - column.null_count() for column in events) / max(events.height, 1)
    return _Score(round(score / max(len(sample) - heads, 1), 3), round(claimed, 2), filled)
