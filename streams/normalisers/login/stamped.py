"""Logs whose lines begin with a time of the program's own, alone or behind a syslog header."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from streams.normalisers.records import Head, RecordNormaliser


class StampedNormaliser(RecordNormaliser):
    """See the module.

    A subclass gives in `OWN` patterns that match a line, with the groups `stamp` and `rest`. The time counts before
    that of a syslog header, whose host, program and process id are kept.
    """

    OWN: ClassVar[Sequence[re.Pattern[str]]]

    def stamp(self, text: str) -> str:
        """The time as `SourceClock.micros` reads it; a class whose times are written otherwise overrides it."""
        return text

    def _head(self, text: str) -> Head:
        own = self._own(text)
        if own is not None:
            return Head(self.stamp(own["stamp"]), None, None, None, own["rest"])
        head = super()._head(text)
        own = self._own(head.message) if head.stamp else None
        if own is None:
            return head
        return head._replace(stamp=self.stamp(own["stamp"]), message=own["rest"])

    def _own(self, text: str) -> re.Match[str] | None:
        for pattern in self.OWN:
            found = pattern.match(text)
            if found is not None:
                return found
        return None
