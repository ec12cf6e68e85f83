"""Who has been heard of since messages were lost: whoever has not may follow what nobody will ever send again."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

_Place = TypeVar("_Place", bound=Hashable)


@dataclass(slots=True)
class Heard(Generic[_Place]):
    """Places heard of since a loss.

    Attributes:
        since: They; None where nothing was lost.
    """

    since: set[_Place] | None = None

    def lost(self) -> None:
        """Messages were lost, and it is not known whose: from now on nobody has been heard of."""
        self.since = set()

    def may_lack(self, place: _Place) -> bool:
        """True where what is missing before the next message of a place may be what was lost."""
        return self.since is not None and place not in self.since

    def hear(self, place: _Place) -> None:
        """A message of a place was taken: what is missing from now on is something else."""
        if self.since is not None:
            self.since.add(place)

    def save(self) -> list[list[object]] | None:
        """Plain values for a snapshot; places are tuples."""
        return None if self.since is None else sorted([*place] for place in self.since)  # type: ignore[misc]

    def load(self, saved: Iterable[Iterable[object]] | None) -> None:
        """Take back what `save` gave; None of a release that had none."""
        self.since = None if saved is None else {tuple(place) for place in saved}  # type: ignore[misc]  # of tuples
