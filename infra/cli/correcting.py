"""`rejudge --corrected`: what is said to have been so all along, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from agents.build import FILES
from infra.config import Config
from infra.rejudge.comparing import Scope
from infra.rejudge.corrections import ROWS, Correction, What, append
from infra.rejudge.judging import past_of
from infra.rejudge.past import Past, keep_now
from infra.run.paths import DataPaths
from schemas.errors import ConfigError


def check(config: Config, corrected: Sequence[What], scope: Scope) -> None:
    """Whether there is what is said to be corrected.

    Raises:
        ConfigError: a file is not configured, or a row is not in it and was not in it then.
    """
    past = past_of(config) if corrected else None
    for what in corrected:
        if getattr(config.district, what.file) is None:
            hint = f"name it under [district] {what.file}"
            raise ConfigError(f"there is no {what.file}", where=f"--corrected {what}", hint=hint)
        if past is not None and what.row and not past.has(what, scope.start, scope.end):
            hint = f"name the row by {ROWS[what.file]}, as the file does"
            raise ConfigError(
                f"the {what.file} has no such row, and had none then", where=f"--corrected {what}", hint=hint
            )


def correct(config: Config, corrected: Sequence[What], scope: Scope, said: dict[str, str]) -> None:
    """Keep the files as they are now, and write down for what time they count.

    Raises:
        Errors: the files are wrong.
        InputError: it cannot be written down.
    """
    if corrected:
        folder = DataPaths(config.data.absolute()).context
        version = keep_now(config.district, folder)
        new = [Correction(what, scope.start, scope.end, version) for what in corrected]
        append(folder, new, {**said, "recorded": datetime.now(UTC).isoformat()})


def compared(past: Past, before: Past, corrected: Sequence[What], scope: Scope) -> Iterator[str]:
    """What whoever asks should know: which files are other ones now, and count for that time or do not.

    Args:
        past: As it is judged by.
        before: Without what is said to be corrected, if that is not written down yet.
        corrected: What is said to be corrected.
        scope: For what time.
    """
    files = [name for name in FILES if getattr(past.settings, name) is not None]
    if files and past.eras[0].version is None:
        yield f"no versions of {', '.join(files)} are kept here: the files count as they are now"
        return
    whole = {what.file for what in corrected if not what.row}
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
