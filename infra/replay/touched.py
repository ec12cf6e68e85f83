"""What old lines that were read anew concern: windows that were judged without them."""

from __future__ import annotations

from collections.abc import Iterable

from agents.rules.model import Rule, RuleSet
from agents.rules.own import Quota
from infra.replay.sending import Sent
from schemas.kinds import EventKind

DAY_US = 86_400_000_000
WEEK_US = 7 * DAY_US


def touched(rules: RuleSet, kinds: Iterable[EventKind]) -> list[str]:
    """Ids of the rules that look at several events together, some of these kinds among them; by name."""
    read = frozenset(kinds)
    return sorted(rule.id for rule in rules.rules if rule.kind != "single" and rule.kinds & read)


def span(sent: Sent, rules: RuleSet) -> tuple[int, int] | None:
    """Times of first events of violations that may be others with these events, microseconds UTC; None: no event.

    A window that holds one of them began up to its length before, and an episode that began within it may begin
    elsewhere now.
    """
    if sent.first is None or sent.last is None:
        return None
    longest = reach(rule for rule in rules.rules if rule.kinds & sent.events.keys())
    return sent.first - longest, sent.last + longest


def reach(rules: Iterable[Rule]) -> int:
    """How far apart events may be that a window of some rules holds together, microseconds; a day at least."""
    return max((DAY_US, *(WEEK_US if isinstance(rule.own, Quota) else rule.timespan_us for rule in rules)))
