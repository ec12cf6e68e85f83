"""Context files: CSV with a header, read whole or refused whole."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from schemas.errors import ConfigError, Errors

MAX_BYTES = 64 * 2**20  # a context file larger than this is refused
csv.field_size_limit(MAX_BYTES)  # of the process: Python's own of 128 KB is less than the members of a large list
MAX_ERRORS = 200  # errors listed at most; the last one says how many more there are


def read_text(path: Path) -> str:
    """Text of a context file, UTF-8 with or without a byte order mark.

    Raises:
        ConfigError: it is missing, unreadable, too large or not UTF-8.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"file has more than {MAX_BYTES} bytes", where=str(path), hint="split or thin it out")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(
            f"file cannot be read: {error.strerror}", where=str(path), hint="check the name and its permissions"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"file is not UTF-8 at byte {error.start}", where=str(path), hint="save it as CSV UTF-8"
        ) from error


def rows(
    text: str, file: str, columns: Sequence[str], errors: list[ConfigError], *, optional: Sequence[str] | None = ()
) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows of a CSV text as (file:line, values stripped by column name); empty lines and `#` comments are skipped.

    Columns may stand in any order; each of `columns` must be in the header, others only if `optional` names them (None:
    any may). An optional column that is missing is empty. What is wrong goes to `errors`, and a row with an error is
    not yielded.
    """
    header: list[str] | None = None
    for where, cells in _numbered(text, file, errors):
        values = [c.strip() for c in cells]
        if not any(values) or values[0].startswith("#"):
            continue
        if header is None:
            header = [v.lower() for v in values]
            if not _header_ok(header, where, (columns, optional), errors):
                return
        elif len(values) != len(header):
            what = f"row has {len(values)} cells, the header has {len(header)}"
            errors.append(ConfigError(what, where=where, hint="put a value that contains a comma in quotes"))
        else:
            yield where, dict.fromkeys(optional or (), "") | dict(zip(header, values, strict=True))
    if header is None:
        hint = f"first line: {','.join(columns)}"
        errors.append(ConfigError("file has no header", where=f"{file}:1", hint=hint))


def _numbered(text: str, file: str, errors: list[ConfigError]) -> Iterator[tuple[str, list[str]]]:
    """Cells with the line that they start on; a quoted cell may run over several lines."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    start = 1
    try:
        for cells in reader:
            yield f"{file}:{start}", cells
            start = reader.line_num + 1
    except csv.Error as error:
        errors.append(ConfigError(f"not CSV: {error}", where=f"{file}:{start}", hint="check the quotes"))


def _header_ok(
    header: list[str], where: str, known: tuple[Sequence[str], Sequence[str] | None], errors: list[ConfigError]
) -> bool:
    columns, optional = known
    hint = f"first line: {','.join(columns)}" + (f"; and, where wanted, {','.join(optional)}" if optional else "")
    missing = [c for c in columns if c not in header]
    extra = [c for c in header if optional is not None and c not in (*columns, *optional)]
    twice = sorted({c for c in header if header.count(c) > 1})
    for what, names in (("header lacks", missing), ("header has unknown", extra), ("header has twice", twice)):
        if names:
            errors.append(ConfigError(f"{what} {', '.join(map(repr, names))}", where=where, hint=hint))
    return not (missing or extra or twice)


def raise_all(errors: list[ConfigError]) -> None:
    """Raise what was found, if anything.

    Raises:
        Errors: at least one error.
    """
    if len(errors) > MAX_ERRORS:
        more = ConfigError(f"{len(errors) - MAX_ERRORS} more errors", where=errors[-1].where.rpartition(":")[0])
        raise Errors([*errors[:MAX_ERRORS], more])
    if errors:
        raise Errors(list(errors))
