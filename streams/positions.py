"""Where each source is, kept over restarts: one file a source, replaced atomically."""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from schemas.errors import StateError
from streams.config import SourceConfig

VERSION = 1


class Positions(Protocol):
    """Keeps one state a source."""

    def load(self) -> Mapping[str, Any] | None:
        """The last state saved; None where there is none."""

    def save(self, state: Mapping[str, Any]) -> None:
        """Keep a state in place of the one before: after a crash one of the two is there, whole."""


class Forgetful:
    """Keeps nothing: for a source that is read once and to its end without a break (`backtest`)."""

    def load(self) -> None:
        """Nothing was kept."""

    def save(self, state: Mapping[str, Any]) -> None:
        """Keep nothing."""


class PositionFile:
    """A JSON file of two lines: checksum and version, then the state.

    Args:
        folder: State folder; made where it is missing.
        source: Source name.
        timeline: Empty for live.
    """

    def __init__(self, folder: Path, source: str, timeline: str = "") -> None:
        name = quote(source, safe="") + (f"@{quote(timeline, safe='')}" if timeline else "")
        self.path = folder / f"{name}.position.json"
        self._source = source

    def load(self) -> Mapping[str, Any] | None:
        """See `Positions`.

        Raises:
            StateError: the file is damaged, of a later release, or cannot be read.
        """
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._wrong(f"cannot be read: {error.strerror}") from error
        head, _, body = raw.partition(b"\n")
        try:
            said = json.loads(head)
            version, checksum = int(said["version"]), int(said["crc32"])
        except (ValueError, KeyError, TypeError) as error:
            raise self._wrong("has no readable first line") from error
        if version != VERSION:
            raise self._wrong(f"is of version {version}, this release knows {VERSION}")
        if zlib.crc32(body) != checksum:
            raise self._wrong("is damaged: its checksum is another")
        state: Mapping[str, Any] = json.loads(body)
        return state

    def save(self, state: Mapping[str, Any]) -> None:
        """See `Positions`.

        Raises:
            StateError: it cannot be written.
        """
        body = json.dumps(state, separators=(",", ":"), sort_keys=True).encode()
        head = json.dumps({"version": VERSION, "crc32": zlib.crc32(body)}).encode()
        temporary = self.path.with_suffix(".new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(head + b"\n" + body)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path)
            _sync_folder(self.path.parent)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise StateError(
                f"the position of source {self._source} cannot be saved: {error.strerror}",
                where=str(self.path),
                hint="make room, or give the collector's user leave to write there; reading stops until then",
            ) from error

    def _wrong(self, what: str) -> StateError:
        return StateError(
            f"the saved position of source {self._source} {what}",
            where=str(self.path),
            hint="put back a copy; or move the file away, and the file that the log is now is read from its start: "
            "rows that were sent before are recognised as repeats. Files that were rotated since are not read by "
            "that: give each to `aupstream backfill`, which goes on where reading stopped",
        )


def check_same(state: Mapping[str, Any], config: SourceConfig) -> None:
    """Refuse the state of something else.

    Args:
        state: As it was kept.
        config: The source that is to go on from it.

    Raises:
        StateError: it is of another source or type.
    """
    if state["type"] != config.type or state["source"] != config.name:
        raise StateError(
            f"the saved position is of source {state['source']} of type {state['type']}",
            where=config.name,
            hint="give the source that is read as another type another name",
        )


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
