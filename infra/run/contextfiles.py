"""Inventory, roster, roles, permits and lists while everything runs: read again when changed, versions with times.

Workers read copies in the data folder, never the files themselves: one that is being written, or is wrong, changes
nothing. A wrong file is refused whole, and every bad row of it is told once. Lists of categories are read where they
are, since they are large; a change of them counts from the next start of the workers on.

An event is judged by the files as they are when it is read. One that comes late may be of before they changed: to judge
by what was in force at its time is what judging again does (`infra.rejudge.past`).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from agents.build import FILES, as_kept, district_of, inventory_of, written_permits
from agents.context.kept import STAMP
from agents.settings import DistrictSettings
from schemas.errors import AupstreamError

_PART = ".part"
SETTLED_S = 2.0  # a file is read when nothing has been written to it for so long
_Seen = tuple[tuple[str, int, int], ...]


class ContextFiles:
    """See module.

    Args:
        settings: Where the files are.
        folder: Where copies are kept, one folder a version.
    """

    def __init__(self, settings: DistrictSettings, folder: Path) -> None:
        self._settings, self._folder = settings, folder
        self._read = self._seen()
        self._changed_s = 0.0
        self._newest = self._read
        self._kept = settings
        self.version = ""

    def keep(self) -> DistrictSettings:
        """Copy the files as they are and read the copies.

        Returns:
            Settings that name the copies.

        Raises:
            Errors: everything that is wrong with any of them, by the names of the files themselves.
        """
        self._read = self._newest = self._seen()
        copies, folder = self._copied()
        try:
            district = district_of(copies)
            versions = (district.version, inventory_of(copies).version, written_permits(copies, district).version)
        except (AupstreamError, OSError):
            shutil.rmtree(folder, ignore_errors=True)
            _raise_of_the_files(self._settings)
            raise
        version = "-".join(versions)
        if version == self.version:  # written again, and says the same
            shutil.rmtree(folder, ignore_errors=True)
        else:
            kept = folder.rename(folder.with_suffix(""))
            self._kept, self.version = as_kept(self._settings, kept), version
        return self._kept

    def changed(self) -> bool:
        """True once after the files have changed and have been left alone for a while."""
        seen, now = self._seen(), time.monotonic()
        if seen != self._newest:
            self._newest, self._changed_s = seen, now
        return self._newest != self._read and now - self._changed_s >= SETTLED_S

    def _copied(self) -> tuple[DistrictSettings, Path]:
        stamp = datetime.now(UTC).strftime(STAMP)
        folder = self._folder / f"{stamp}{_PART}"  # half a version would say that there was no roster
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # names of people are in them
        folder.mkdir()
        copies = {}
        for name in FILES:
            path: Path | None = getattr(self._settings, name)
            if path is not None and path.exists():
                copies[name] = folder / f"{name}{'' if path.is_dir() else path.suffix}"
                (shutil.copytree if path.is_dir() else shutil.copy2)(path, copies[name])
        return self._settings.model_copy(update=copies), folder

    def _seen(self) -> _Seen:
        return tuple(sorted(_state(path) for path in self._paths()))

    def _paths(self) -> Iterator[Path]:
        for name in FILES:
            path: Path | None = getattr(self._settings, name)
            if path is not None:
                yield from path.iterdir() if path.is_dir() else (path,)


def _state(path: Path) -> tuple[str, int, int]:
    try:
        found = path.stat()
    except OSError:
        return str(path), 0, -1
    return str(path), found.st_mtime_ns, found.st_size


def _raise_of_the_files(settings: DistrictSettings) -> None:
    """Raise what is wrong by the files' own names, and not by those of copies that nobody has seen."""
    district = district_of(settings)
    inventory_of(settings)
    written_permits(settings, district)
