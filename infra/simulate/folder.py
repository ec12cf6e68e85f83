"""The folder that a simulation is written to: all of it appears, or nothing does."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.simulate.truth import FILE
from schemas.errors import InputError

_UNFINISHED = ".part"


@dataclass(frozen=True)
class Folder:
    """Where files are written under another name until all are complete."""

    root: Path

    @staticmethod
    @contextmanager
    def prepare(root: Path, names: Sequence[str]) -> Iterator[Folder]:
        """A folder to write files of these names to; they take their names when the block ends without an error.

        Of a block that fails nothing is left; a killed one leaves only files whose names end in `.part`, which the next
        one replaces.

        Raises:
            InputError: the folder cannot be made or written, or holds files of these names that no simulation made.
        """
        try:
            root.mkdir(parents=True, exist_ok=True)
            _refuse_foreign(root, names)
            for name in names:
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / (name + _UNFINISHED)).unlink(missing_ok=True)
            try:
                yield Folder(root)
                # The truth first: should this be cut short, the next simulation still knows the files for its own.
                for name in sorted(names, key=lambda n: n != FILE):
                    os.replace(root / (name + _UNFINISHED), root / name)
            finally:
                for name in names:
                    (root / (name + _UNFINISHED)).unlink(missing_ok=True)
        except OSError as error:
            what = f"the simulation cannot be written: {error.strerror or error}"
            hint = "choose another folder, or make room: some 150 bytes a line"
            raise InputError(what, where=str(error.filename or root), hint=hint) from error

    def path(self, name: str) -> Path:
        """Where a file is written until it is complete."""
        return self.root / (name + _UNFINISHED)

    def text(self, name: str, text: str) -> None:
        """Write a small file, UTF-8, line ends as they are."""
        self.path(name).write_bytes(text.encode())


def _refuse_foreign(root: Path, names: Sequence[str]) -> None:
    there = [name for name in names if (root / name).exists()]
    if there and FILE not in there:
        what = f"there are files already that no simulation made: {', '.join(there)}"
        raise InputError(what, where=str(root), hint="choose an empty folder")
