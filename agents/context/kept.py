"""Versions of the context files that were in force before, and whether somebody might permit something when they did.

`aupstream run` keeps every version of the context files in a folder named by the time from which it was judged by.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from agents.context.district import District
from agents.context.permit import Permit

log = logging.getLogger(__name__)
STAMP = "%Y-%m-%dT%H-%M-%S.%fZ"
READ = 8  # districts of before that are kept in memory
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Then = Callable[[Permit], District | None]


def versions(folder: Path) -> Iterator[tuple[int, Path]]:
    """Time from which it was judged by, microseconds UTC, and folder of every version that is kept, oldest first."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        try:
            at = datetime.strptime(path.name, STAMP).replace(tzinfo=UTC)
        except ValueError:
            continue
        yield (at - _EPOCH) // timedelta(microseconds=1), path


def copy_of(version: Path, name: str) -> Path | None:
    """The file of a name in a version, whatever it ends in; None where there was none."""
    return next((path for path in sorted(version.iterdir()) if path.name.partition(".")[0] == name), None)


def nothing_kept(permit: Permit) -> District | None:
    """Of no time it is known who might permit what."""
    del permit
    return None


class Kept:
    """See module. Folders are read when they are asked for: a permit that today's roster accepts asks for none.

    Args:
        folder: Has a folder a version.
        district: Reads the district as it was by a version; None where that version has no roster.
        permits: Reads the ids of permits in the file of a version.
    """

    def __init__(
        self, folder: Path, district: Callable[[Path], District | None], permits: Callable[[Path], frozenset[str]]
    ) -> None:
        self._folder = folder
        self._district = lru_cache(READ)(district)
        self._permits = lru_cache(None)(permits)

    def __call__(self, permit: Permit) -> District | None:
        """The district as it was when a permit was given; None where that was not kept."""
        found = self.version_of(permit)
        return None if found is None else self._district(found)

    def version_of(self, permit: Permit) -> Path | None:
        """The version that says whether a permit might be given; None where it was not kept.

        One that was entered is of the version in force when it was written down, or of the oldest, if that is newer:
        who is in it then had not left before. One of the file is of the first version whose file has it.
        """
        kept = list(versions(self._folder))
        if not permit.entered:
            return next((path for _, path in kept if permit.id in self._permits(path)), None)
        if permit.recorded_us is None:
            return None
        before = [path for t_us, path in kept if t_us <= permit.recorded_us]
        return before[-1] if before else next((path for _, path in kept), None)
