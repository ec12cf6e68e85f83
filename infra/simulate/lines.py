"""Lines of one log file on their way to disk: put in order, counted, with the broken ones remembered."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from infra.simulate.draw import Draw
from infra.simulate.truth import Broken

MOST_LATE = 3  # seconds that a line may be written after a newer one: far below the usual lateness of 30


def some_delay(draw: Draw) -> int:
    """Seconds by which a group of lines comes late to the file: mostly none, at times 1 to `MOST_LATE`."""
    return draw.between(1, MOST_LATE) if draw.chance(4) else 0


@dataclass
class LogFile:
    """All lines of a small log, kept in memory until `write`.

    The simulation's limit of lines bounds it: an eighth of them at some 350 bytes each.

    Attributes:
        name: File name.
    """

    name: str
    _places: list[int] = field(default_factory=list)
    _texts: list[str] = field(default_factory=list)
    _broken: list[tuple[int, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, place: int, text: str) -> None:
        """Take a line without its end. Lines of the same second stay in the order in which they are added.

        Args:
            place: Second of the day at which it reaches the file.
            text: The line.
        """
        self._places.append(place)
        self._texts.append(text)

    def add_broken(self, place: int, text: str, reason: str) -> None:
        """Take a line that must become a dead letter for that reason."""
        self._broken.append((len(self._texts), reason))
        self.add(place, text)

    def come_late(self, draw: Draw, most: int) -> None:
        """Let each line come up to so many seconds late, as a service hands on what its servers tell it."""
        late = draw.array(len(self._places), most + 1).tolist()
        self._places = [place + wait for place, wait in zip(self._places, late, strict=True)]

    def append(self, path: Path) -> list[Broken]:
        """Write all lines in order at the end of a file; the broken ones with their numbers among these, from 1."""
        return self._write(path, "a")

    def write(self, path: Path) -> list[Broken]:
        """Write all lines in order, UTF-8, each ended by LF; the broken ones with their numbers, from 1."""
        return self._write(path, "w")

    def _write(self, path: Path, mode: Literal["a", "w"]) -> list[Broken]:
        order = np.argsort(np.array(self._places, dtype=np.int64), kind="stable")
        texts = self._texts
        with path.open(mode, encoding="utf-8", newline="\n") as out:
            out.writelines(f"{texts[i]}\n" for i in order.tolist())
        line_of = np.empty(len(order), dtype=np.int64)
        line_of[order] = np.arange(1, len(order) + 1)
        return [Broken(self.name, int(line_of[i]), reason) for i, reason in self._broken]
