"""What of a log was not read and will not be: counted for good, and said for a week, over restarts."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schemas.errors import InputError

SAID_US = 7 * 86_400_000_000

log = logging.getLogger(__name__)


class Losses:
    """Losses of one log.

    Attributes:
        bytes: That are there and were not read, as far as they are known.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._newest: InputError | None = None
        self._at_us: int | None = None  # when the newest was found; None until the clock is known

    def add(self, what: str, path: Path | str, size: int = 0) -> None:
        """Count one and say it.

        Args:
            what: Was lost, and why.
            path: Where it lies, or lay.
            size: Bytes, where that is known.
        """
        hint = "if lines are missing, read that file with `aupstream backfill`; it goes on where reading stopped"
        self._newest, self._at_us = InputError(what, where=str(path), hint=hint), None
        self.bytes += max(0, size)
        log.warning("%s", self._newest)

    def said(self, now_us: int) -> InputError | None:
        """The newest one while it is to be said.

        Args:
            now_us: Wall clock, microseconds UTC.
        """
        if self._newest is None:
            return None
        if self._at_us is None:
            self._at_us = now_us
        return self._newest if now_us - self._at_us < SAID_US else None

    def save(self) -> dict[str, Any]:
        """State as JSON values; empty while there is none."""
        if self._newest is None:
            return {}
        return {
            "bytes": self.bytes,
            "what": self._newest.what,
            "where": self._newest.where,
            "hint": self._newest.hint,
            "at_us": self._at_us,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `save` gave; nothing of a release that kept none."""
        if state:
            self.bytes, self._at_us = int(state["bytes"]), state["at_us"]
            self._newest = InputError(str(state["what"]), where=str(state["where"]), hint=str(state["hint"]))
