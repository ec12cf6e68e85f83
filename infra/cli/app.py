"""The command line: every command with its options and help. What it does is imported when it is called."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from infra.cli import bench, judging, looking, permits, privacy, rules, running, watching
from infra.cli.failures import Commands

_ABOUT = """
Tells a school district from its logs when its acceptable-use policy is broken.

Proxy, DHCP, mail and login logs become events on Kafka; agents hold them against the rules of the policy; violations go
to ClickHouse. Nothing of that is needed for a first look: `aupstream backtest` reads log files and prints violations.

Try `aupstream demo`, or on your own logs: `aupstream backtest postfix:/var/log/mail.log`

Exit codes: 0 fine, 1 findings where asked for, 2 usage or configuration, 3 bad rules, 4 input or server.
"""


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    if wanted:
        try:
            typer.echo(f"aupstream {version('aupstream')}")
        except PackageNotFoundError:
            typer.echo("aupstream (from a checkout, not installed)")
        raise typer.Exit


app = typer.Typer(
    cls=Commands,
    help=_ABOUT,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown" if sys.stdout.isatty() else None,  # no boxes where nobody looks
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _all(
    *,
    shown: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    del shown


for module in (judging, running, looking, permits, privacy, watching, rules, bench):
    module.register(app)
