"""What came of a source's lines, as figures; and that nothing at all comes of them any more, as a problem."""

from __future__ import annotations

from schemas import metrics as names
from schemas.errors import InputError
from schemas.kinds import EventKind
from schemas.metrics import Metrics
from streams.config import SourceConfig
from streams.intake import Made

REJECTED_IN_A_ROW = 1_000  # without one event between them: a type that is wrong, or a log that has changed


class Counting:
    """Counts for one collector.

    Args:
        config: The source.
        kind: What its lines become.
        metrics: Counted into.
    """

    def __init__(self, config: SourceConfig, kind: EventKind, metrics: Metrics) -> None:
        self._config, self._kind, self._metrics = config, kind, metrics
        self._rejected = 0  # since the last event

    def read(self, lines: int, unread_bytes: int) -> None:
        """Lines were read, and so many bytes are left."""
        self._metrics.set(names.UNREAD_BYTES, unread_bytes, source=self._config.name)
        if lines:
            self._metrics.add(names.LINES_READ, lines, source=self._config.name)

    def made(self, made: Made) -> None:
        """Lines were decided."""
        source = self._config.name
        rows = sum(map(len, made.events))
        self._metrics.add(names.EVENTS, rows, source=source, kind=self._kind.value)
        self._metrics.add(names.LATE_ROWS, made.late, source=source)
        self._metrics.add(names.TIME_SUSPECT_ROWS, made.suspect, source=source)
        for reason in made.reasons:
            self._metrics.add(names.DEAD_LETTERS, 1, source=source, reason=reason)
        for _, reason in made.ignored:
            self._metrics.add(names.IGNORED, 1, source=source, reason=reason)
        self._rejected = 0 if rows else self._rejected + len(made.reasons)

    @property
    def problem(self) -> InputError | None:
        """Said while line after line is rejected. Reading goes on: they are dead letters, which can be replayed.

        A source that has a problem is not heard of, so it becomes absent: its watermark stands still, and rules that
        read it must not wait for lines that tell no time.
        """
        if self._rejected < REJECTED_IN_A_ROW:
            return None
        return InputError(
            f"no line of it can be read any more: at least {REJECTED_IN_A_ROW} in a row are dead letters",
            where=self._config.name,
            hint=f"is it really of type {self._config.type}? See `aupstream deadletters list --source "
            f"{self._config.name}`; give a log of another type another name, or describe the format and replay them",
        )
