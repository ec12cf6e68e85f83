"""Chance that is the same everywhere: raw bits of a counted generator, and nothing of a library's distributions.

NumPy promises that a bit generator's stream never changes, but makes no such promise for what is drawn from it. So all
that a simulation draws is made here out of raw bits with integer arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T")
Ints = npt.NDArray[np.int64]
_BLOCK = 4096


class Draw:
    """An endless, reproducible source of small whole numbers.

    Args:
        seed: The simulation's seed, any whole number.
        name: What the numbers are for: each name has a stream of its own, so that drawing more for one part changes
            nothing in another.
    """

    def __init__(self, seed: int, name: str) -> None:
        digest = blake2b(f"{seed}/{name}".encode(), digest_size=16, person=b"aup-simulate").digest()
        self._bits = np.random.PCG64(int.from_bytes(digest, "big"))
        self._scalars = self._scalar_stream()

    def _scalar_stream(self) -> Iterator[int]:
        while True:
            yield from (self._bits.random_raw(_BLOCK) >> np.uint64(32)).tolist()

    def array(self, count: int, below: int) -> Ints:
        """`count` whole numbers in [0, below), below at most 2**31."""
        raw = self._bits.random_raw(count) >> np.uint64(32)
        return ((raw * np.uint64(below)) >> np.uint64(32)).astype(np.int64)

    def scaled(self, below: Ints) -> Ints:
        """One whole number in [0, below[i]) for every i; every bound from 1 to 2**31."""
        raw = self._bits.random_raw(len(below)) >> np.uint64(32)
        return ((raw * below.astype(np.uint64)) >> np.uint64(32)).astype(np.int64)

    def below(self, bound: int) -> int:
        """A whole number in [0, bound)."""
        return (next(self._scalars) * bound) >> 32

    def between(self, least: int, most: int) -> int:
        """A whole number from `least` to `most`, both included."""
        return least + self.below(most - least + 1)

    def chance(self, percent: int) -> bool:
        """True in so many cases of a hundred."""
        return self.below(100) < percent

    def choice(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[self.below(len(items))]

    def sample(self, bound: int, count: int) -> list[int]:
        """`count` different whole numbers in [0, bound), in a random order."""
        moved: dict[int, int] = {}
        picked = []
        for i in range(count):
            j = self.between(i, bound - 1)
            picked.append(moved.get(j, j))
            moved[j] = moved.get(i, i)
        return picked

    def digits(self, count: int, alphabet: str = "0123456789abcdef") -> str:
        """A word of so many letters of an alphabet."""
        return "".join(alphabet[self.below(len(alphabet))] for _ in range(count))
