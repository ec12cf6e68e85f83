"""`aupstream rules`: lint, test, list, explain, convert, apply, history."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from infra.cli.configuration import ConfigOption, DataOption, JsonOption

PathsArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[PATH]…",
        help="Files, and folders that are searched for *.yml and *.yaml; without any, the configuration's rules or "
        "those that come with aupstream.",
    ),
]


RuleArgument = Annotated[str, typer.Argument(metavar="RULE", help="Its name.")]
RulesOption = Annotated[
    list[Path] | None,
    typer.Option("--rules", metavar="PATH", help="Files and folders of rules, as for `lint`; repeatable."),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    rules = typer.Typer(no_args_is_help=True, help="Check, try and list rules.")
    rules.command("lint")(lint)
    rules.command("test")(try_rules)
    rules.command("list")(list_rules)
    rules.command("explain")(explain)
    rules.command("convert")(convert)
    rules.command("apply")(apply)
    rules.command("history")(history)
    app.add_typer(rules, name="rules")


def lint(
    paths: PathsArgument = None,
    *,
    config: ConfigOption = None,
    lenient: Annotated[
        bool, typer.Option("--lenient", help="These are other people's rules: what cannot run here is no mistake.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are mistakes.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say everything that is wrong with rule files.

    One line a mistake on standard output: file:line:column, what is wrong, and what to do. Ends with 3 where there is
    one. Without mistakes warnings are told: a selection that is never used, a condition that can never hold or that
    holds of an event that says nothing, a rule without an example. Which rules wait for identity is told besides.

    Example: `aupstream rules lint my-rules/`
    """
    from infra.cli.rulefiles import lint as run  # noqa: PLC0415 - heavy

    run(paths or (), config, lenient=lenient, strict=strict, as_json=as_json)


def try_rules(
    paths: PathsArgument = None,
    *,
    rule: Annotated[list[str] | None, typer.Option("--rule", help="Only of this rule; repeatable.")] = None,
    mutate: Annotated[
        bool, typer.Option("--mutate", help="Change the rules part by part: does some example notice?")
    ] = False,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write a report that build servers read.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the examples inside rule files, and those in `*.examples.yml` beside them.

    Every example is events and the violations that they must and must not make; they go through the engine that judges
    real logs. What no example shows at work is told on standard error. With --mutate every selection, field and value
    is taken out, every limit moved by one (of a sum by a tenth), every time span halved and doubled, and what a kind of
    our own asks for taken out or moved, one change at a time; a change that no example notices is told. Ends with 1
    where an example did not pass or a change was not noticed, with 3 where the rules
    themselves are wrong.

    Example: `aupstream rules test my-rules/homework-help.yml --mutate`
    """
    from infra.cli.trying import Asked, run  # noqa: PLC0415 - heavy

    run(Asked(tuple(paths or ()), config, tuple(rule or ()), junit, mutate, as_json))


def list_rules(paths: PathsArgument = None, *, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List rules: what each watches, per what, and when it holds.

    Example: `aupstream rules list`
    """
    from infra.cli.rulefiles import list_all as run  # noqa: PLC0415 - heavy

    run(paths or (), config, as_json=as_json)


def convert(
    rule: RuleArgument,
    *,
    rules: RulesOption = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="WHEN", help="Only events since: 12h, 7d, or ISO 8601.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="WHEN", help="Only events before.")] = None,
    config: ConfigOption = None,
) -> None:
    """Print a rule as ClickHouse SQL over the tables of events, to be run over the past.

    The query gives what the engine makes of the same events: group key, first and last event, count, the time at
    which the condition held first and no longer, and the highest value; of a rule without a window one row an event.
    A window at --from begins with nothing inside. The district's domains, sites, calendar and inventory are those of
    the configuration; whose device an address was is looked up among all DHCP events, older ones too.
    What SQL cannot say is refused in words, with exit code 3. Where names are replaced by pseudonyms, conditions on
    names, domains and networks are not met in ClickHouse: that is warned of.

    Example: `aupstream rules convert guessed-password --from 30d | aupstream sql -`
    """
    from infra.cli.converting import run  # noqa: PLC0415 - heavy

    run(rule, tuple(rules or ()), config, start, end)


def explain(
    rule: RuleArgument,
    event: Annotated[
        str | None,
        typer.Argument(
            metavar="[EVENT]", help="JSON object, file of one a line, or -: our columns, or what `normalise` prints."
        ),
    ] = None,
    *,
    rules: RulesOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say why a rule matched events, or which part of it did not.

    Of every event: each selection and field of each detection, what was wanted and what was seen, which selections
    decided, and which fields are missing. Of a correlation also what the window held after each event, what it
    measured, when the condition held, what came of it, and why nothing did. The district, its inventory and permits
    are those
    of the configuration; devices are attributed by the events given. Without an event: what the rule asks for.

    Example: `aupstream normalise --source openssh auth.log | aupstream rules explain guessed-password -`
    """
    from infra.cli.explaining import run  # noqa: PLC0415 - heavy

    run(rule, event, tuple(rules or ()), config, as_json=as_json)


def apply(
    *,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="From this event time on, ISO 8601 with an offset; else soon."),
    ] = None,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put the configuration's rules in force while everything runs.

    They judge events from a time on that is ahead of all events there are: without --at a minute ahead of the clock and
    of the newest event. What is older goes by the rules before. Windows, known values and open episodes go on where a
    rule counts in the same way as before. Rules that are wrong change nothing. `kill -HUP` of `aupstream run` does the
    same.

    Example: `aupstream rules apply --at 2026-03-02T00:00:00-07:00`
    """
    from infra.cli.applying import apply as run  # noqa: PLC0415 - heavy

    run(at, config, data, as_json=as_json)


def history(*, config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List the sets of rules that were put in force, and from which event time on each is.

    Example: `aupstream rules history`
    """
    from infra.cli.applying import history as run  # noqa: PLC0415 - heavy

    run(config, data, as_json=as_json)
