"""How a command ends: exit codes, and what is said of an error. No traceback reaches a user.

0 fine, 1 findings where asked, 2 usage or configuration, 3 bad rules, 4 input or server, 130 interrupted.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import traceback
from typing import Any

import typer
from typer.core import TyperGroup

from infra.cli.output import OutputError, ReaderGoneError, flush, printable
from schemas.errors import AupstreamError, Errors
from schemas.logs import as_json

FINDINGS, USAGE, BAD_RULES, TROUBLE = 1, 2, 3, 4


class Commands(TyperGroup):
    """The group of all commands: whatever a command raises ends here."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; every error but a usage error is reported here and becomes an exit code."""
        try:
            return self._run(ctx)
        except (typer.Exit, typer.Abort, KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except ReaderGoneError:
            _close_stdout()
            raise typer.Exit(0) from None
        except OutputError as error:
            _close_stdout()
            raise typer.Exit(_report(error)) from error
        except AupstreamError as error:
            raise typer.Exit(_report(error)) from error
        except BaseException as error:  # Polars' panics are no Exceptions
            if hasattr(error, "exit_code"):  # a usage error: typer's own words are good
                raise
            raise typer.Exit(_report_other(error)) from error

    def _run(self, ctx: Any) -> Any:
        """Run the command, and notice here where its last output cannot be delivered."""
        try:
            result = super().invoke(ctx)
        except typer.Exit:
            flush()
            raise
        flush()
        return result


def say_error(text: str) -> None:
    """One error on standard error."""
    if as_json():
        logging.getLogger("aupstream.command").error(printable(text))
        return
    typer.echo(f"{typer.style('error:', fg=typer.colors.RED, bold=True)} {_lines(text)}", err=True)


def _lines(text: str) -> str:
    """Text of one or more lines without control characters: it may quote a log."""
    return "\n".join(map(printable, text.splitlines()))


def _report(error: AupstreamError) -> int:
    for one in error.errors if isinstance(error, Errors) else [error]:
        say_error(str(one))
    return error.exit_code


def _report_other(error: BaseException) -> int:
    from infra.embedded.errors import EmbeddedError  # noqa: PLC0415 - the servers' package is large

    if isinstance(error, EmbeddedError):
        say_error(f"{error.where}: {error.what} ({error.todo})")
        return TROUBLE
    what = str(error).strip().partition("\n")[0]
    say_error(f"unexpected {type(error).__name__}{': ' if what else ''}{what} (the whole story: {_write(error)})")
    return TROUBLE


def _write(error: BaseException) -> str:
    """Keep the traceback in a file that only this user may read: it may hold parts of logs."""
    try:
        handle, path = tempfile.mkstemp(prefix="aupstream-error-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(traceback.format_exception(error))
    except OSError as full:
        return f"could not be kept, {full}"
    return path


def _close_stdout() -> None:
    """Whoever read the output has gone: what is left in the buffer must not raise again at the end."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return
