"""Our own kind `new_value`: which group keys one rule has seen in one bucket."""

from __future__ import annotations

import json
from collections.abc import Mapping

from agents.rules.own import NewValue

MAX_KNOWN = 250_000  # values known to a rule in a bucket; beyond it nothing is new any more: it can only miss


class NewValues:
    """Values with the time at which they were last seen, the longest unseen first.

    From the first `save` on it is noted which change, unless they are more than the values known: then `noting` is
    False and only `save` will do.

    Args:
        own: What the rule asks for.
    """

    __slots__ = ("_changed", "_forget_us", "_forgotten", "_listed", "_seen", "missed", "noting")

    def __init__(self, own: NewValue) -> None:
        self._listed, self._forget_us = own.known, own.forget_us
        self._seen: dict[str, int] = {}
        self._changed: set[str] = set()
        self._forgotten: int | None = None  # values last seen then or before were forgotten since the last checkpoint
        self.noting = False
        self.missed = 0  # values that were not reported because no more can be known

    def __len__(self) -> int:
        return len(self._seen)

    def is_new(self, group_key: str, t: int) -> bool:
        """See a value. Times never go back.

        Returns:
            True where it was not known, and is no value of the rule's own list.
        """
        last = self._seen.get(group_key)
        if last is not None:
            if not self._forget_us:
                return False
            del self._seen[group_key]
            self._see(group_key, t)
            return t - last >= self._forget_us
        if self._listed and not self._listed.isdisjoint(map(str.casefold, json.loads(group_key).values())):
            return False
        if len(self._seen) >= MAX_KNOWN and not self._forget(t):
            self.missed += 1
            return False
        self._see(group_key, t)
        return True

    def save(self) -> dict[str, int]:
        """Plain values."""
        self._changed, self._forgotten, self.noting = set(), None, True
        return self._seen

    def changes(self) -> tuple[dict[str, int], int | None]:
        """What changed since the last `save` or `changes`; only while `noting`.

        Returns:
            Values seen since, and the time up to which those last seen were forgotten before that, None where none was.
        """
        seen = {value: self._seen[value] for value in self._changed if value in self._seen}
        forgotten = self._forgotten
        self._changed, self._forgotten = set(), None
        return seen, forgotten

    def load(self, saved: Mapping[str, int]) -> None:
        """Take back what `save` gave."""
        self._seen = dict(sorted(saved.items(), key=lambda item: item[1]))

    def _see(self, group_key: str, t: int) -> None:
        self._seen[group_key] = t
        if self.noting:
            self._changed.add(group_key)

    def _forget(self, t: int) -> bool:
        """Make room by what was not seen for so long that it is new again; False where there is none."""
        before = len(self._seen)
        while self._forget_us and self._seen:
            value, last = next(iter(self._seen.items()))
            if t - last < self._forget_us:
                break
            del self._seen[value]
        if len(self._seen) == before:
            return False
        if self.noting:
            self._forgotten = t - self._forget_us  # times never go back, nor does this
            if len(self._changed) > len(self._seen) + MAX_KNOWN:
                self._changed, self.noting = set(), False
        return True
