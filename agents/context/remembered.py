"""Answers that are remembered: the same people and sites come again with every batch."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

LIMIT = 65_536  # answers remembered; at the limit all are forgotten and learned again: only time is lost
_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class Remembered(dict[_Key, _Value], Generic[_Key, _Value]):
    """A function whose answers depend on nothing but what is asked; asked by subscript.

    Args:
        find: The function.
        limit: How many answers are remembered.
    """

    def __init__(self, find: Callable[[_Key], _Value], limit: int = LIMIT) -> None:
        super().__init__()
        self._find, self._limit = find, limit

    def __missing__(self, key: _Key) -> _Value:
        """What is not remembered is found."""
        if len(self) >= self._limit:
            self.clear()
        found = self[key] = self._find(key)
        return found
