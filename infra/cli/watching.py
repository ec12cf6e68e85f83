"""Commands that say what could be watched, and who it was: coverage, whois."""

from __future__ import annotations

from typing import Annotated

import typer

from infra.cli.configuration import ConfigOption, DataOption, JsonOption


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(coverage)
    app.command()(whois)


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


def whois(
    asked: Annotated[str, typer.Argument(metavar="IP|MAC|USER", help="An address, a device, or an account.")],
    at: Annotated[str, typer.Option("--at", metavar="TIME", help="When; without an offset local to the district.")],
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show who had an address, a device or what an account used at a time, how sure that is, and which log says so.

    From the DHCP and login logs of the configuration, without servers. It names people: mind who may see that.

    Example: `aupstream whois 10.20.3.4 --at 2026-03-02T09:15`
    """
    from infra.cli.whois import run  # noqa: PLC0415 - heavy

    run(asked, at, config, as_json=as_json)
