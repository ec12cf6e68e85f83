"""Keeps Kafka's metadata through what Kafka itself does not survive: a disk that fills up while it recovers.

Killed, and started again on a disk that is full before it is ready, Kafka 4.1 takes the log of its metadata for damaged
and cuts it off at its beginning ("Found invalid offset during recovery"); at the start after that it knows no topic,
and puts every log that it finds aside as stray. So a copy is made before each start, and put back where the log has
become shorter since: it only ever grows.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

_FOLDER: Final = "__cluster_metadata-0"
_FIRST: Final = "00000000000000000000.log"
_INDEXES: Final = ("*.index", "*.timeindex")  # sparse files of 10 MB, which Kafka makes anew


def keep(data: Path, copy: Path, say: Callable[[str], None]) -> None:
    """Copy the metadata of a Kafka that does not run, or put the copy back.

    Args:
        data: Kafka's log folder.
        copy: Folder for the copy.
        say: Told where the copy is put back.

    Raises:
        OSError: neither can be done.
    """
    own = data / _FOLDER
    now, before = _size(own / _FIRST), _size(copy / _FIRST)
    if now is None and before is None:
        return  # the first start; or so old that the first segment is gone: a snapshot stands for it
    # A first segment that is there never became shorter by itself; one that is gone may have been deleted, being old.
    gone = now is None and not list(own.glob("*.checkpoint"))
    if before is not None and (gone or (now is not None and now < before)):
        say(f"Kafka's metadata had been cut off ({now or 0} bytes of {before}): put back as it was at the last start")
        _copy(copy, own)
    else:
        _copy(own, copy)


def _copy(source: Path, target: Path) -> None:
    """Whole or not at all, as far as two renames go."""
    part, old = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.old")
    for left in (part, old):
        shutil.rmtree(left, ignore_errors=True)
    shutil.copytree(source, part, ignore=shutil.ignore_patterns(*_INDEXES))
    if target.exists():
        target.rename(old)
    part.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.exists() else None
