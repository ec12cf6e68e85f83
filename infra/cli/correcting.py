"""`rejudge --corrected`: what is said to have been so all along, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from agents.build import FILES
from infra.config import Config
from infra.rejudge.comparing import Scope
from infra.rejudge.corrections import AS_IT_WAS, ROWS, Correction, What, append, what_of
from infra.rejudge.judging import past_of
from infra.rejudge.past import Past, keep_now
from infra.run.paths import DataPaths
from schemas.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Said:
    """What is said to have been wrong then, and of what that is not said any more.

    Attributes:
        corrected: Was wrong, and is right now.
        back: Was right as it was.
    """

    corrected: tuple[What, ...] = ()
    back: tuple[What, ...] = ()

    @staticmethod
    def of(corrected: Sequence[str], back: Sequence[str]) -> Said:
        """From the command line. Raises `ConfigError`."""
        return Said(tuple(map(what_of, corrected)), tuple(what_of(text, "--as-it-was") for text in back))

    def __bool__(self) -> bool:
        return bool(self.corrected or self.back)

    def for_time(self, scope: Scope, version: str) -> list[Correction]:
        """What is to be written down.

        Args:
            scope: For what time it is said.
            version: Has the files as they are now.
        """
        both = ((self.corrected, version), (self.back, AS_IT_WAS))
        return [Correction(what, scope.start, scope.end, v) for some, v in both for what in some]

    def causes(self) -> tuple[str, ...]:
        """For the table: without rows, which may be names."""
        return tuple(dict.fromkeys(f"corrected {what.file}" for what in (*self.corrected, *self.back)))


def check(config: Config, said: Said, scope: Scope) -> None:
    """Whether there is what is said to be corrected.

    Raises:
        ConfigError: a file is not configured, or a row is not in it and was not in it then.
    """
    past = past_of(config) if said else None
    for what in (*said.corrected, *said.back):
        if getattr(config.district, what.file) is None:
            hint = f"name it under [district] {what.file}"
            raise ConfigError(f"there is no {what.file}", where=str(what), hint=hint)
        if past is not None and what.row and not past.has(what, scope.start, scope.end):
            hint = f"name the row by {ROWS[what.file]}, as the file does"
            raise ConfigError(f"the {what.file} has no such row, and had none then", where=str(what), hint=hint)


def correct(config: Config, said: Said, scope: Scope, by: dict[str, str]) -> None:
    """Keep the files as they are now, and write down for what time they count.

    Raises:
        Errors: the files are wrong.
        InputError: it cannot be written down.
    """
    if said:
        folder = DataPaths(config.data.absolute()).context
        version = keep_now(config.district, folder) if said.corrected else ""
        append(folder, said.for_time(scope, version), {**by, "recorded": datetime.now(UTC).isoformat()})


def compared(past: Past, before: Past, said: Said, scope: Scope) -> Iterator[str]:
    """What whoever asks should know: which files are other ones now, and count for that time or do not.

    Args:
        past: As it is judged by.
        before: As it was judged by without what is said now.
        said: What is said now.
        scope: For what time.
    """
    files = [name for name in FILES if getattr(past.settings, name) is not None]
    if files and past.eras[0].version is None:
        yield f"no versions of {', '.join(files)} are kept here: the files count as they are now"
        return
    whole = {what.file for what in said.corrected if not what.row}
    for file in ROWS:
        if file in whole:
            number = len(before.differences(file, scope.start, scope.end))
            yield f"{file}: {number} rows count for that time as they are now, and not as they were"
        elif number := len(past.differences(file, scope.start, scope.end)):
            row = "ACCOUNT" if file == "roster" else "MAC" if file == "inventory" else "ADDRESS"
            yield (
                f"{file}: {number} rows are others now than they were in that time, and count as they were; if one "
                f"was wrong, say --corrected {file}:{row}, or --corrected {file} where all of it was"
            )
