"""Stands in the place of a collector that could not be made, so that the other sources are read."""

from __future__ import annotations

from schemas.errors import InputError, StateError
from streams.collector import Collector
from streams.config import SourceConfig


class Unmade(Collector):
    """Fails at its first step with what it could not be made for: from then on it is one that failed.

    Args:
        config: The source.
        error: Why there is no collector: a saved position that is damaged, a log that is gone in the middle.
    """

    def __init__(self, config: SourceConfig, error: InputError | StateError) -> None:
        self.config, self.problem, self._error = config, error, error
        self.finished = self.done = False
        self.stepped_us = None

    @property
    def open_lines(self) -> int:
        """None is known of."""
        return 0

    @property
    def told(self) -> InputError | StateError:
        """Why there is none."""
        return self._error

    @property
    def newest(self) -> int | None:
        """Nothing is known of it."""
        return None

    def stop(self) -> None:
        """There is nothing to make safe."""

    def close(self) -> None:
        """There is nothing to let go of."""

    def step(self, now_us: int) -> bool:
        """Fail.

        Raises:
            InputError: see the class.
            StateError: the same.
        """
        del now_us
        raise self._error
