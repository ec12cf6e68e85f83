"""What must be marked after messages were lost before they were read: state is gone, and so is what it came from.

Windows are whole again once they begin after everything that was lost. Until then what a rule says is `incomplete`;
what it had learned it learns anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from agents.engine.correlate import RuleTime
from agents.rules.model import Rule
from agents.rules.own import Absence, Quota, Spike
from schemas.headers import FOREVER, NEVER
from schemas.kinds import EventKind

_DAY_US = 86_400_000_000
_WEEK_US = 7 * _DAY_US
Reads = tuple[frozenset[EventKind], str]  # kinds and lane


class Blind:
    """Nothing is lost until `begin` is called."""

    def __init__(self) -> None:
        self._since: dict[Reads, int] | None = None  # event time that what was lost is not after
        self._kinds: frozenset[EventKind] = frozenset()  # of which something is lost

    @property
    def on(self) -> bool:
        """True where something is lost."""
        return self._since is not None

    def begin(self, kinds: Iterable[EventKind] = EventKind) -> None:
        """Something of these kinds is lost, up to what is read next."""
        lost = frozenset(kinds)
        self._since = {reads: at for reads, at in (self._since or {}).items() if not reads[0] & lost}
        self._kinds |= lost

    def mark(
        self, reads: Reads, rule: Rule, time: RuleTime, newest: int, learn: Callable[[Rule, int], None]
    ) -> RuleTime:
        """A rule's time, marked where its windows may lack something.

        Args:
            reads: What the rule reads.
            rule: The rule.
            time: What its sources have told.
            newest: Event time that any of them has come to, microseconds UTC.
            learn: Called once with each rule and the time that it has to learn from anew.
        """
        if self._since is None or not reads[0] & self._kinds:
            return time
        if reads not in self._since and time.watermark > NEVER:
            self._since[reads] = newest if time.watermark == FOREVER else max(newest, time.watermark)
        since = self._since.get(reads)
        if since is None:
            return replace(time, incomplete=True)
        learn(rule, since)
        memory = _memory_us(rule)
        return replace(time, incomplete=True) if memory is None else replace(time, whole_from=since + memory)

    def save(self) -> Any:
        """Plain values for a snapshot."""
        if self._since is None:
            return None
        return [[sorted(kinds), lane, at] for (kinds, lane), at in self._since.items()]

    def kinds(self) -> list[str]:
        """Plain values beside those of `save`."""
        return sorted(self._kinds)

    def load(self, plain: Sequence[Sequence[Any]] | None, kinds: Sequence[str] | None) -> None:
        """Take back what `save` and `kinds` gave; of the release before there are no kinds: all may be meant."""
        self._kinds = frozenset(map(EventKind, EventKind if kinds is None else kinds))
        self._since = None if plain is None else {
            (frozenset(map(EventKind, kinds)), lane): at for kinds, lane, at in plain
        }  # fmt: skip

    def figures(self) -> Mapping[str, float]:
        """Figures for the status file."""
        return {} if self._since is None else {"blind_since_s": max(self._since.values(), default=0) / 1e6}


def _memory_us(rule: Rule) -> int | None:
    """How far back what it says may rest on; None: for ever.

    Whether a value is new rests on all that ever came, and when an expected key is due on when it came last, which may
    be long ago. Judging again over what is stored knows both.
    """
    if rule.kind == "new_value" or isinstance(rule.own, Absence):
        return None
    if isinstance(rule.own, Quota):
        return _WEEK_US
    if isinstance(rule.own, Spike):
        period = {"day": _DAY_US, "week": _WEEK_US}.get(rule.own.per, rule.timespan_us)
        return period * (rule.own.periods + 1)
    return rule.timespan_us + rule.suppress_us + rule.rearm_us
