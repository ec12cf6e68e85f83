"""Files of a folder that are one log: found by a pattern, put in order, read one behind the other."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Sequence
from pathlib import Path

from schemas.errors import InputError
from streams.sources.siblings import COMPRESSED, Family, Sibling, stat_of

MAX_FILES = 1_000  # the newest ones
_LOOK_US = 1_000_000  # between two looks into the folder
_DIGITS = re.compile(r"(\d+)")
_WEEKDAY = re.compile(r"(?i)(?<![a-z])(?:mon|tue|wed|thu|fri|sat|sun)(?![a-z])")


def is_pattern(path: str) -> bool:
    """True where a path is a pattern for files and not the name of one that is there."""
    return any(c in path for c in "*?[") and not os.path.lexists(path)


def natural(name: str) -> tuple[tuple[str, int], ...]:
    """Sort key of a name in which numbers count as numbers."""
    parts = _DIGITS.split(_plain(name))
    return tuple((text, int(number or 0)) for text, number in zip(parts[::2], [*parts[1::2], ""], strict=True))


def in_order(files: Sequence[Sibling], *, by_time: bool) -> list[Sibling]:
    """Files, oldest first.

    Names that differ in their numbers only (`u_ex260504.log`) are in the order of the numbers; those of the days of the
    week in the order of last writing.

    Args:
        files: In any order.
        by_time: Whether other names are in the order of last writing too; else in that of the alphabet.
    """
    shapes = {_DIGITS.sub("0", _plain(f.path.name)) for f in files}
    weekdays = {_WEEKDAY.sub("day", shape) for shape in shapes}
    if len(shapes) > 1 and (by_time or len(weekdays) == 1):
        return sorted(files, key=lambda f: (f.mtime_ns, natural(f.path.name), f.path.name))
    return sorted(files, key=lambda f: (natural(f.path.name), f.path.name))


def matching(pattern: str) -> list[Sibling]:
    """Regular files that a pattern matches; `*` and `?` in its last part only.

    Raises:
        OSError: the folder cannot be listed.
    """
    folder, name = os.path.split(pattern)
    found = []
    for entry in os.listdir(folder or "."):  # noqa: PTH208 - names only, no path objects for a big folder
        if fnmatch.fnmatchcase(entry, name):
            path = Path(folder) / entry
            file = stat_of(path) if path.is_file() else None
            if file is not None:
                found.append(file)
    return found


class Folder(Family):
    """All files that match a pattern; the newest is the live one.

    Args:
        pattern: Path with `*`, `?` or `[…]` in its last part.
    """

    reads_all = True
    remembered = 4 * MAX_FILES

    def __init__(self, pattern: str) -> None:
        self.where = pattern
        self._now_us = 0
        self._looked_us: int | None = None
        self._found: list[Sibling] = []

    def at(self, now_us: int) -> None:
        """See `Family`."""
        self._now_us = now_us

    def files(self) -> list[Sibling]:
        """See `Family`."""
        if self._looked_us is None or not 0 <= self._now_us - self._looked_us < _LOOK_US:
            self._looked_us = self._now_us
            try:
                found = in_order(matching(self.where), by_time=True)[-MAX_FILES:]
            except OSError:
                found = []
            self._found = [
                Sibling(f.path, f.identity, f.size, f.mtime_ns, live=i == len(found) - 1) for i, f in enumerate(found)
            ]
        return self._found

    def live(self) -> Sibling:
        """See `Family`."""
        files = self.files()
        if not files:
            raise FileNotFoundError(2, "no file matches", self.where)
        return files[-1]


def left_behind(where: str, file: Sibling, count: int) -> InputError:
    """What to say of an older file that has bytes that are not read."""
    return InputError(
        f"{count} bytes in {file.path.name} are not read: they came when a newer file had taken over",
        where=where,
        hint="the pattern matches files that are written at the same time: declare a source for each name pattern",
    )


def is_packed(file: Sibling) -> bool:
    """True where its name says that it is compressed."""
    return file.path.name.endswith(COMPRESSED)


def _plain(name: str) -> str:
    """A name without the ending of a compression."""
    for ending in COMPRESSED:
        name = name.removesuffix(ending)
    return name
