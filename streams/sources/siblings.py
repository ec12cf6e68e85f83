"""Rotated files beside a log, oldest first, and what is in them."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from streams.sources.content import ContentSettings, open_content

MAX_SIBLINGS = 1_000  # the newest ones; a folder with more is not one that logrotate keeps
COMPRESSED = (".gz", ".zst", ".bz2")
_NUMBER = re.compile(r"\.(\d{1,4})$")
# logrotate's dateext (-YYYYMMDD, with dateformat also -HH or -EPOCH), newsyslog's .YYYYMMDDTHHMMSS and alike
_DATE = re.compile(r"[.\-_](\d{4}-?\d{2}-?\d{2}(?:[T\-_.]?\d{2,10})?)$")


@dataclass(frozen=True, slots=True)
class Sibling:
    """A file that may hold older content of the log.

    Attributes:
        path: Where it is now.
        identity: Device, inode.
        size: Bytes on disk.
        mtime_ns: When it was last written.
        live: True for the log itself.
    """

    path: Path
    identity: tuple[int, int]
    size: int
    mtime_ns: int
    live: bool = False


class Family(ABC):
    """Files that hold the contents of one log, one behind the other."""

    where: str  # for people
    reads_all = False  # True where a log that is new to us is read from its oldest file on
    remembered = 64  # contents that are remembered as read

    def at(self, now_us: int) -> None:
        """What is asked for now may be as old as a look at most a second ago; microseconds."""

    @abstractmethod
    def files(self) -> list[Sibling]:
        """Oldest first; the last one is the live one where there is one."""

    @abstractmethod
    def live(self) -> Sibling:
        """The file that is being written.

        Raises:
            OSError: it is not there (`FileNotFoundError`) or cannot be asked.
        """


class Rotated(Family):
    """A log of a name of its own and its rotated files, which have that name and something behind it.

    Args:
        path: The log's own name.
    """

    def __init__(self, path: Path) -> None:
        self._path, self.where = path, str(path)

    def files(self) -> list[Sibling]:
        """See `Family`."""
        return siblings(self._path)

    def live(self) -> Sibling:
        """See `Family`."""
        s = self._path.stat()
        return Sibling(self._path, (s.st_dev, s.st_ino), s.st_size, s.st_mtime_ns, live=True)


def siblings(path: Path) -> list[Sibling]:
    """The log's rotated files, oldest first, then the log itself where it is there.

    Numbers count backwards in time (`.2` is older than `.1`), dates forwards; where a folder has both, the time of
    last writing decides. Of a file and its compressed copy, the plain one comes first.
    """
    found: list[tuple[tuple[int, str], bool, Sibling]] = []
    try:
        names = sorted(os.listdir(path.parent))  # noqa: PTH208 - names only, no path objects for a big folder
    except OSError:
        names = []
    for name in names:
        key = _suffix(name, path.name)
        entry = stat_of(path.parent / name) if key is not None else None
        if key is not None and entry is not None:
            found.append((key, name.endswith(COMPRESSED), entry))
    schemes = {key[0] == 0 for key, _, _ in found}
    if len(schemes) > 1:
        found.sort(key=lambda f: (f[2].mtime_ns, f[1]))
    else:
        found.sort(key=lambda f: (f[0], f[1]))
    here = stat_of(path)
    live = [] if here is None else [Sibling(here.path, here.identity, here.size, here.mtime_ns, live=True)]
    return [f[2] for f in found[-MAX_SIBLINGS:]] + live


def _suffix(name: str, base: str) -> tuple[int, str] | None:
    """Sort key of a rotated file's name, oldest least; None for a name that is not one."""
    if not name.startswith(base) or name == base:
        return None
    rest = name[len(base) :]
    for ending in COMPRESSED:
        rest = rest.removesuffix(ending)
    if number := _NUMBER.fullmatch(rest):
        return (-int(number[1]), "")
    if date := _DATE.fullmatch(rest):
        return (1, re.sub(r"\D", "", date[1]))
    return None


def stat_of(path: Path) -> Sibling | None:
    """A file as it is now; None where it is not there or cannot be asked."""
    try:
        s = path.stat()
    except OSError:
        return None
    return Sibling(path, (s.st_dev, s.st_ino), s.st_size, s.st_mtime_ns)


def is_readable(file: Sibling) -> bool:
    """False where a file cannot be opened or its first byte not be read: for want of permission, or of its disk."""
    try:
        with file.path.open("rb", buffering=0) as stream:
            stream.read(1)
    except OSError:
        return False
    return True


class Generations:
    """Names of the contents of files, remembered while the files stay as they are.

    Args:
        settings: As for the content.
    """

    def __init__(self, settings: ContentSettings) -> None:
        self._settings = settings
        self._known: dict[tuple[tuple[int, int], int, int], str] = {}

    def of(self, file: Sibling) -> str:
        """Generation of a file; empty where it has no complete data line (of a rotated file: none) or is unreadable."""
        key = (file.identity, file.size, file.mtime_ns)
        known = self._known.get(key)
        if known is not None:
            return known
        try:
            content = open_content(file.path, self._settings)
        except OSError:
            return ""
        try:
            generation = content.identify(final=not file.live)
        except OSError:  # a disk error
            return ""
        finally:
            content.close()
        if len(self._known) > 4 * MAX_SIBLINGS:
            self._known.clear()
        self._known[key] = generation
        return generation
