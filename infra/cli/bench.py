"""`aupstream bench`: the command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(bench)


def bench(
    *,
    lines: Annotated[
        int | None, typer.Option("--lines", help="Lines of the simulated day: 400,000, or 100,000 with --quick.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the simulated day.")] = 1,
    quick: Annotated[bool, typer.Option("--quick", help="One run of each, for a first impression.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", metavar="DIR", help="Work here and leave it; else nothing is kept."),
    ] = None,
    keys: Annotated[bool, typer.Option("--keys", help="Explain every key of the result and end.")] = False,
) -> None:
    """Measure what this machine does, on the real road with embedded servers.

    Sends a simulated day through collectors, Kafka, agents and ClickHouse, the same through a plain Faust pipeline for
    comparison, measures parts on one core, and how long a violation takes from its log line to its row. Takes some
    minutes; other work on the machine shows in the figures.

    Example: `aupstream bench --quick --json`
    """
    from infra.bench import KEYS, Options, run  # noqa: PLC0415 - heavy
    from infra.cli.output import json_line, table, talk  # noqa: PLC0415 - heavy

    if keys:
        result: dict[str, object] = dict(KEYS)
    elif quick:
        result = run(Options.quick(lines, seed, folder, talk))
    else:
        result = run(Options(lines or Options.lines, seed, folder=folder, say=talk))
    if as_json:
        json_line(result)
    else:
        table(("key", "value"), list(result.items()), title="bench")
