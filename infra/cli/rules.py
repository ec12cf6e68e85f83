"""`aupstream rules`: lint, test, list."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from infra.cli.configuration import ConfigOption, JsonOption

PathsArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[PATH]…",
        help="Files, and folders that are searched for *.yml and *.yaml; without any, the configuration's rules or "
        "those that come with aupstream.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    rules = typer.Typer(no_args_is_help=True, help="Check, try and list rules.")
    rules.command("lint")(lint)
    rules.command("test")(try_rules)
    rules.command("list")(list_rules)
    app.add_typer(rules, name="rules")


def lint(paths: PathsArgument = None, *, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Say everything that is wrong with rule files.

    One line a mistake on standard output: file:line:column, what is wrong, and what to do. Ends with 3 where there is
    one.

    Example: `aupstream rules lint my-rules/`
    """
    from infra.cli.rulefiles import lint as run  # noqa: PLC0415 - heavy

    run(paths or (), config, as_json=as_json)


def try_rules(paths: PathsArgument = None, *, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Run the examples inside rule files.

    Every example is events and the violations that they must and must not make; they go through the engine that judges
    real logs. Ends with 1 where one did not pass, with 3 where the rules themselves are wrong.

    Example: `aupstream rules test my-rules/homework-help.yml`
    """
    from infra.cli.rulefiles import test as run  # noqa: PLC0415 - heavy

    run(paths or (), config, as_json=as_json)


def list_rules(paths: PathsArgument = None, *, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List rules: what each watches, per what, and when it holds.

    Example: `aupstream rules list`
    """
    from infra.cli.rulefiles import list_all as run  # noqa: PLC0415 - heavy

    run(paths or (), config, as_json=as_json)
