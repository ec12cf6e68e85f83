"""Stands in the place of a collector that could not be made (`streams.runner.Reader`): the other sources are read."""

from __future__ import annotations

from schemas.errors import InputError, StateError
from streams.config import SourceConfig


class Unmade:
    """Fails at its first step with what it could not be made for: from then on it is one that failed.

    Args:
        config: The source.
        error: Why there is no collector: a saved position that is damaged, a log that is gone in the middle.
    """

    def __init__(self, config: SourceConfig, error: InputError | StateError) -> None:
        self.config, self._error = config, error
        self.problem: InputError | StateError | None = error
        self.told: InputError | StateError | None = error
        self.finished = self.done = False
        self.open_lines = 0
        self.newest: int | None = None
        self.stepped_us: int | None = None

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
