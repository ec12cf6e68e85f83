"""The command that says what could be watched: coverage."""

from __future__ import annotations

from typing import Annotated

import typer

from infra.cli.configuration import ConfigOption, DataOption, JsonOption


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(coverage)


def coverage(
    *,
    first: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="First local day, like 2026-03-02.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DAY", help="Last local day.")] = None,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how well each clause could be watched on each day, from 0 (blind) to 1, and what is missing.

    From ClickHouse, of the last four weeks unless days are named. That a clause was not broken says only as much as
    this figure.

    Example: `aupstream coverage --from 2026-03-02 --to 2026-03-06`
    """
    from infra.cli.covering import run  # noqa: PLC0415 - heavy

    run(first, last, config, data, as_json=as_json)
