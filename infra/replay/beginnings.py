"""What is known of an old log before it is read: its content's name, and whether reading it has begun."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from schemas.errors import StateError
from streams.config import SourceConfig
from streams.positions import PositionFile
from streams.sources.content import Content, open_content, unreadable
from streams.sources.make import content_settings

TIMELINE = "backfill-"
_ENDING = ".position.json"


def opened(source: SourceConfig) -> Content | None:
    """The content of a source that is a plain or compressed file; None of anything else.

    Raises:
        InputError: it cannot be read.
    """
    path = Path(source.path)
    if not path.is_file():
        return None
    try:
        return open_content(path, content_settings(source))
    except OSError as error:
        raise unreadable(path, error) from error


def generation(source: SourceConfig) -> str:
    """Name of a file's content; empty where it is not known before it is read.

    Raises:
        InputError: see `opened`.
    """
    content = opened(source)
    if content is None:
        return ""
    try:
        return content.identify(final=True)
    except OSError as error:
        raise unreadable(Path(source.path), error) from error
    finally:
        content.close()


def stopped(folder: Path, source: SourceConfig) -> str:
    """Timeline in which reading a file's content stopped, whatever the file was called then; empty: in none.

    Args:
        folder: Of positions.
        source: The file.

    Raises:
        InputError: see `opened`.
    """
    found = (str(s["timeline"]) for s in states(folder, source, generation(source)) if not s["finished"])
    return next(found, "")


def states(folder: Path, source: SourceConfig, name: str) -> list[Mapping[str, Any]]:
    """What is kept in a folder of the readings of a content.

    Args:
        folder: Of positions.
        source: Whose content; its name and type count.
        name: Of the content; empty: there are none.
    """
    found: list[Mapping[str, Any]] = []
    for path in sorted(folder.glob(f"{quote(source.name, safe='')}@{TIMELINE}*{_ENDING}")) if name else ():
        timeline = unquote(path.name.removesuffix(_ENDING).rpartition("@")[2])
        with contextlib.suppress(StateError):  # that of another log may be damaged
            state = PositionFile(folder, source.name, timeline).load()
            if state is not None and (state["type"], state["intake"]["generation"]) == (source.type, name):
                found.append(state)
    return found
