"""Commands that start something: up, run, collect, agents, demo; and repartition, between two starts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from infra.cli.configuration import ConfigOption, DataOption, JsonOption


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(run)
    app.command()(collect)
    app.command()(listen)
    app.command()(agents)
    app.command()(repartition)
    app.command()(demo)


def up(*, config: ConfigOption = None, data: DataOption = None) -> None:
    """Run the embedded servers, Apache Kafka and ClickHouse, until Ctrl-C or SIGTERM.

    All they keep is under one data folder, on free ports of this machine only. Standard output says how to connect, as
    soon as they are ready. Topics and tables are made. A part that dies is started again.

    Example: `aupstream up --data /var/lib/aupstream`
    """
    from infra.cli.serving import up as serve  # noqa: PLC0415 - heavy

    serve(config, data)


def run(
    *,
    config: ConfigOption = None,
    data: DataOption = None,
    once: Annotated[
        bool, typer.Option("--once", help="End when all sources are read and everything has come out.")
    ] = False,
) -> None:
    """Run everything: servers where embedded, collectors and agents.

    Reads the sources of the configuration, until Ctrl-C or SIGTERM. Servers that already run (`aupstream up` on the
    same data folder) are used. Stopped or killed, it goes on where it was when it is started again. With --once the
    violations that stand at the end are printed, as `aupstream violations` does it.

    Example: `aupstream run --config aupstream.toml --once`
    """
    from infra.cli.serving import run as serve  # noqa: PLC0415 - heavy

    serve(config, data, once=once)


def collect(*, config: ConfigOption = None, data: DataOption = None) -> None:
    """Run the collectors only: logs to events on Kafka, until their ends, Ctrl-C or SIGTERM.

    Kafka must run: the configuration's, or the embedded one of `aupstream up`.

    Example: `aupstream collect --config aupstream.toml`
    """
    from infra.cli.serving import collect as serve  # noqa: PLC0415 - heavy

    serve(config, data)


def listen(*, config: ConfigOption = None, data: DataOption = None) -> None:
    """Run the listeners only: lines from the network into spools on disk, until Ctrl-C or SIGTERM.

    No server must run. `aupstream run` has the listeners with it.

    Example: `aupstream listen --config aupstream.toml`
    """
    from infra.cli.serving import listen as serve  # noqa: PLC0415 - heavy

    serve(config, data)


def agents(*, config: ConfigOption = None, data: DataOption = None) -> None:
    """Run the agents only: events on Kafka to violations in ClickHouse, until Ctrl-C or SIGTERM.

    Servers must run: the configuration's, or the embedded ones of `aupstream up`.

    Example: `aupstream agents --config aupstream.toml`
    """
    from infra.cli.serving import agents as serve  # noqa: PLC0415 - heavy

    serve(config, data)


def repartition(*, config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Give aup.detections the configuration's number of partitions.

    Servers must run, the agents must not; collectors may go on. The topic and the state of detect and correlate are
    made anew: the agents then read all events that Kafka still has and come to the same violations; nobody is alerted
    again. What a rule remembers from before Kafka's retention is gone, and what may rest on it is marked incomplete
    until `aupstream rejudge`. Cut off, it may be given again.

    Example: `aupstream repartition --config aupstream.toml`
    """
    from infra.cli.repartitioning import run as serve  # noqa: PLC0415 - heavy

    serve(config, data, as_json=as_json)


def demo(
    *,
    once: Annotated[
        bool, typer.Option("--once", help="End when it is through, in place of going on until Ctrl-C.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    seed: Annotated[int, typer.Option("--seed", help="Of the simulated day.")] = 1,
    lines: Annotated[int, typer.Option("--lines", help="Lines of all logs together, 2,000 to 20,000,000.")] = 20_000,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", metavar="DIR", help="New or empty folder to keep everything in; else it is thrown away."
        ),
    ] = None,
    fail_on_violation: Annotated[
        bool, typer.Option("--fail-on-violation", help="Exit with 1 where there is one of status `violation`.")
    ] = False,
) -> None:
    """Simulate a school day and run the whole road on it, on embedded servers.

    Shows what was found of what had been hidden in the logs, and proves that no line was lost. Without --once the
    servers then stay up, for a look with `aupstream violations`, `aupstream sql` and `aupstream audit` from another
    terminal. Ends with 4 where something was missed, or found that is not there.

    The object of --json has the integers `lines`, `lines_in_events`, `events`, `dead_letters`, `open_joins`,
    `expected` and `found`, the lists `missed` and `unexpected`, the objects `ignored` (lines by reason) and
    `violations` (by rule), and `seconds`.

    Example: `aupstream demo --once`
    """
    from infra.cli.demonstrating import Wanted  # noqa: PLC0415 - heavy
    from infra.cli.demonstrating import run as show  # noqa: PLC0415 - heavy

    show(Wanted(once, as_json, seed, lines, data, fail_on_violation))
