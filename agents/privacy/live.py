"""The names of a process that runs for long: keys are read again when they change."""

from __future__ import annotations

import logging
from pathlib import Path

import polars as pl

from agents.context.district import District
from agents.privacy.columns import Names
from agents.privacy.keys import read
from agents.privacy.pseudonyms import Pseudonymiser, Sealed
from schemas.codec import encode
from schemas.errors import ConfigError, SchemaError
from schemas.kinds import EventKind

log = logging.getLogger(__name__)
LOOK_S = 5.0  # between looks at the key file
AGAIN_S = 86_400.0  # every name is written again after a day, which says that it is still in use


class LiveNames:
    """Pseudonyms under the newest key of a file.

    Args:
        path: Key file.
        district: Whose accounts they are.

    Raises:
        ConfigError: the key file cannot be used: nothing may be written then.
    """

    def __init__(self, path: Path, district: District) -> None:
        self._path, self._district = path, district
        self._changed = self._stamp()
        self._looked_s = self._began_s = -1.0
        self._left: list[Sealed] = []
        keyring = read(path)
        self.names = Names(Pseudonymiser(keyring), district)
        self.sealer = keyring.sealer()

    def tick(self, now_s: float) -> None:
        """Look at the key file now and then; a file that is wrong changes nothing and is told in the log."""
        if now_s - self._looked_s < LOOK_S and self._looked_s >= 0:
            return
        self._looked_s = now_s
        if self._began_s < 0 or now_s - self._began_s >= AGAIN_S:
            self._began_s = now_s
            self.names.pseudonyms.forget()
        if self._stamp() == self._changed:
            return
        try:
            keyring = read(self._path)
        except ConfigError as error:
            log.error("the keys stay as they were: %s", error)  # noqa: TRY400 - the traceback says no more
            return
        self._changed = self._stamp()
        # What is new under the old key must still be written: it may be in rows that wait.
        self._left = self.take_new()
        self.names = Names(Pseudonymiser(keyring), self._district)
        self.sealer = keyring.sealer()
        log.info("pseudonyms are made with key %s from now on", keyring.newest.id)

    def take_new(self) -> list[Sealed]:
        """Names to be written before any row that uses them; given once."""
        left, self._left = self._left, []
        return left + self.names.pseudonyms.take_new()

    def containers(self, kind: str, frame: pl.DataFrame) -> list[bytes]:
        """Events as containers without names: one, or more where pseudonyms make one too large.

        Raises:
            SchemaError: a single row is too large.
        """
        return _encoded(kind, self.names.event_frame(EventKind(kind), frame))

    def _stamp(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0)
        return (found.st_mtime_ns, found.st_ino)


def _encoded(kind: str, frame: pl.DataFrame) -> list[bytes]:
    try:
        return [encode(kind, frame)]
    except SchemaError:
        if frame.height < 2:
            raise
        half = frame.height // 2
        return [*_encoded(kind, frame.head(half)), *_encoded(kind, frame.tail(frame.height - half))]
