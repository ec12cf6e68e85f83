"""What a command shows: results on standard output, talk on standard error.

On a terminal results are tables; elsewhere they are plain text with tabs, or JSON lines, without colours or boxes.
Everything goes out as UTF-8 whatever the locale says.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

import typer

from schemas.errors import AupstreamError
from schemas.logs import as_json

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# C0 but for nothing, DEL and C1: a log line must not steer somebody's terminal.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class ReaderGoneError(Exception):
    """Whoever read standard output has gone, e.g. `head`: nothing is wrong, and nothing more is to be done."""


class OutputError(AupstreamError):
    """Standard output takes no more, e.g. because the disk behind it is full."""


def on_terminal() -> bool:
    """True where a person reads standard output."""
    return sys.stdout.isatty()


def talk(sentence: str) -> None:
    """Say what is being done, on standard error."""
    if as_json():
        logging.getLogger("aupstream.command").info(printable(sentence))
        return
    typer.echo(printable(sentence), err=True)


def warn(sentence: str) -> None:
    """Say what a reader should know before trusting the result."""
    typer.echo(f"{typer.style('warning:', fg=typer.colors.YELLOW)} {sentence}", err=True)


def printable(text: str) -> str:
    """Text without control characters, which are shown as escapes."""
    return _CONTROL.sub(lambda m: m[0].encode("unicode_escape").decode("ascii"), text)


def write(data: bytes) -> None:
    """Bytes on standard output.

    Raises:
        ReaderGoneError: nobody reads it any more.
        OutputError: it takes no more.
    """
    with _delivered():
        sys.stdout.buffer.write(data)


def flush() -> None:
    """Send on what was written. Raises as `write`."""
    with _delivered():
        sys.stdout.flush()


@contextmanager
def _delivered() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise ReaderGoneError from error
    except OSError as error:
        hint = "make room, or send it somewhere else; what was written is not complete"
        raise OutputError(f"cannot be written: {error.strerror}", where="standard output", hint=hint) from error


def line(text: str = "") -> None:
    """One line of text on standard output."""
    write(text.encode("utf-8", "backslashreplace") + b"\n")


def json_line(value: object) -> None:
    """One JSON value on a line of its own (RFC 8259, UTF-8)."""
    line(json_text(value))


def json_text(value: object) -> str:
    """JSON of plain values; times as ISO 8601 in UTC, what JSON does not have as text."""
    return json.dumps(value, ensure_ascii=False, default=plain)


def plain(value: object) -> object:
    """A value that JSON does not have, as one that it has."""
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, date | UUID):
        return str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    return str(value)


def iso(when: datetime | int) -> str:
    """ISO 8601 in UTC with a Z; a fraction only where there is one.

    Args:
        when: Microseconds since 1970 UTC, or a time; one without a zone is taken for UTC.
    """
    if isinstance(when, int):
        when = _EPOCH + timedelta(microseconds=when)
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return when.replace(tzinfo=None).isoformat() + "Z"


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str = "",
    empty: str = "",
    whole: Sequence[str] = (),
) -> None:
    """A table on a terminal; elsewhere lines with tabs, the first one with the names of the columns.

    Args:
        columns: Names.
        rows: Cells; None is shown as nothing.
        title: For the terminal.
        empty: Said on standard error where there are no rows.
        whole: Columns that stay on one line on a narrow terminal.
    """
    if not on_terminal():
        line("\t".join(columns))
        for row in rows:
            line("\t".join(printable(cell(v)) for v in row))
        return
    kept = [[printable(cell(v)) for v in row] for row in rows]
    if not kept and empty:
        talk(empty)
        return
    _rich_table(columns, kept, title, whole)


def _rich_table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str, whole: Sequence[str]) -> None:
    from rich import box  # noqa: PLC0415 - only for people
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    made = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left")
    for name in columns:
        made.add_column(name, overflow="fold", no_wrap=name in whole)
    for row in rows:
        made.add_row(*map(Text, row))
    Console().print(made)


def count(number: int, what: str) -> str:
    """A number and its noun."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def cell(value: object) -> str:
    """A value as text for people."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, Mapping | list | tuple):
        return json_text(value)
    made = plain(value) if not isinstance(value, str | int | float) else value
    return str(made)


class Advance(Protocol):
    """Told how much more has been done."""

    def __call__(self, amount: int, /) -> None:
        """So much more."""


class Bar:
    """What a progress bar is told; without one it forgets it."""

    def __init__(self, bar: Progress | None = None, task: TaskID | None = None) -> None:
        self._bar, self._task = bar, task

    def __call__(self, amount: int, /) -> None:
        """So much more has been done."""
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task, amount)

    def expect(self, total: int) -> None:
        """So much will have to be done in all."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, total=total)


@contextmanager
def progress(what: str, total: int | None, *, size: bool = True) -> Iterator[Bar]:
    """A progress bar on standard error, where that is a terminal.

    Args:
        what: What is being done.
        total: Of what; None: not known yet.
        size: Amounts are bytes.
    """
    if not sys.stderr.isatty():
        yield Bar()
        return
    from rich import progress as bars  # noqa: PLC0415 - only for people
    from rich.console import Console  # noqa: PLC0415

    columns = [bars.TextColumn("{task.description}"), bars.BarColumn(), bars.TimeRemainingColumn()]
    columns.insert(2, bars.DownloadColumn() if size else bars.MofNCompleteColumn())
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield Bar(bar, bar.add_task(what, total=total))


def file_size(paths: Iterable[Path]) -> int | None:
    """Bytes of some files together; None where one has no size that can be known."""
    total = 0
    for path in paths:
        if not path.is_file():
            return None
        total += path.stat().st_size
    return total
