"""Commands that need no servers: normalise, backtest, simulate, score."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from infra.cli.configuration import ConfigOption, FailOption, JsonOption
from schemas.errors import ConfigError

TimezoneOption = Annotated[
    str | None,
    typer.Option("--timezone", metavar="ZONE", help="Zone of times that carry none, e.g. America/Denver."),
]
YearOption = Annotated[
    int | None,
    typer.Option("--year", min=1970, max=2200, help="Year of the first line, where times carry none."),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(normalise)
    app.command()(backtest)
    app.command()(simulate)
    app.command()(score)


def normalise(  # noqa: PLR0913 - options
    file: Annotated[
        str | None, typer.Argument(metavar="FILE|-", help="A log, also gzip, zstd or bzip2; - for standard input.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            metavar="NAME",
            help="A type of --list, a format or source of the configuration, or auto: guess from the first lines.",
        ),
    ] = None,
    *,
    config: ConfigOption = None,
    timezone: TimezoneOption = None,
    year: YearOption = None,
    avro: Annotated[
        Path | None,
        typer.Option("--avro", metavar="FILE", help="Write the events there, an Avro container, and print none."),
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="Name every type of log, and end.")] = False,
    json: JsonOption = False,
) -> None:
    """Read a log and print its events as JSON lines.

    One object an event on standard output, in the order of the line that completed each: `kind`, `event_id`,
    `source_line` (number of that line, from 1), `source_lines` (numbers of all its lines) and `fields` (our column
    names; times are ISO 8601 in UTC ending in Z, what is not known is left out). Ids are those that a source of this
    type's name gets everywhere else.

    One object on standard error for every line that is no event: `{line, dead_letter, reason}` where it cannot be
    read (its text with secrets masked, bytes that are no UTF-8 as backslash escapes), `{line, ignored, reason}` where
    it says nothing that is looked for.

    A source of the configuration lends its type, zone, year, encoding and options. Otherwise times without a zone are
    taken for UTC, unless --timezone says otherwise. Times without a year: that of --year for the first line, else the
    newest one that puts the first line not after tomorrow. With `auto`, the type and how sure it is (the share of the
    first lines that speak for it, and the next likely type) come first on standard error.

    With --list: `type`, `kind`, `description`, `needs` (what the vendor must be set to), `fields` (columns it can
    give), `options` and `page` of every type; with --json an object each.

    Examples: `aupstream normalise --source postfix --timezone America/Denver /var/log/mail.log`, and
    `zcat old.gz | aupstream normalise --source auto - 2>/dev/null | head`
    """
    from infra.cli.normalising import Asked, listing, run  # noqa: PLC0415 - heavy

    if listed:
        listing(config, as_json=json)
    else:
        run(Asked(file, source, config, timezone, year, avro))


def backtest(  # noqa: PLR0913 - options
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME=]TYPE:FILE…",
            help="Logs, e.g. postfix:mail.log; without any, the sources of the configuration. - is standard input. "
            "Or events: events:FILE, kafka:TOPIC[/PARTITION][@FROM..TO], clickhouse:",
        ),
    ] = None,
    *,
    config: ConfigOption = None,
    rules: Annotated[
        list[Path] | None,
        typer.Option("--rules", metavar="DIR", help="Rules, in place of those that come with aupstream; repeatable."),
    ] = None,
    inventory: Annotated[
        Path | None, typer.Option("--inventory", metavar="FILE", help="Known devices: CSV `mac,owner,kind,site`.")
    ] = None,
    permits: Annotated[
        Path | None,
        typer.Option("--permits", metavar="FILE", help="Permissions: CSV `who,clause,from,to,granted_by,reason`."),
    ] = None,
    timezone: TimezoneOption = None,
    year: YearOption = None,
    against: Annotated[
        list[Path] | None,
        typer.Option("--against", metavar="PATH", help="Rules to compare with, e.g. those in force; repeatable."),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="WHEN", help="With clickhouse: events since, 7d or ISO 8601.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="WHEN", help="With clickhouse: events before.")] = None,
    pseudonyms: Annotated[
        bool, typer.Option("--pseudonyms", help="Print pseudonyms in place of names, as `aupstream violations` does.")
    ] = False,
    fail_on_violation: FailOption = False,
    fail_on_difference: Annotated[
        bool, typer.Option("--fail-on-difference", help="Exit with 1 where --against differs.")
    ] = False,
) -> None:
    """Judge log files without any server and print the violations.

    The same events, rules and ids as of a running system with sources of the same names. Violations come as JSON lines
    on standard output, each in its last version, by time: `id`, `version`, `rule_id`, `clause`, `status`
    (violation, permitted, informational, withdrawn), `group_key`, `first_seen`, `last_seen`, `count`, `value`, `permit`
    and `evidence` first, times in ISO 8601 UTC. What was read is summed up on standard error.

    A source of the configuration that has the same name and type lends its time zone, year and lateness to one named
    here; --timezone and --year win over it.

    Events that are there already: `events:FILE` reads an Avro container (`normalise --avro`), or JSON lines with our
    columns or as `normalise` prints them, packed or not. `kafka:` reads a topic of events or a part of it, between
    offsets or times; `clickhouse:` the tables of events. With --against violations are not printed, but how they differ
    from those of the other rules: `change` is gained, lost or changed (then `was` says what it was); a violation is the
    same where rule, group key and first event are.

    Names are printed as logged, unless --pseudonyms or `[privacy] pseudonyms = true` says otherwise. Events of
    `clickhouse:` are judged by their names where the keys are here, and printed with pseudonyms.

    Examples: `aupstream backtest --year 2026 --timezone America/Denver dhcp=isc_dhcpd:dhcpd.log postfix:mail.log`, and
    `aupstream backtest --config aupstream.toml --rules my-rules/ --fail-on-violation`
    """
    from infra.cli.backtesting import Asked, run  # noqa: PLC0415 - heavy

    asked = Asked(
        *(tuple(sources or ()), config, tuple(rules or ()), inventory, permits, timezone, year),
        against=tuple(against or ()),
        start=start,
        end=end,
        pseudonyms=pseudonyms,
    )
    run(asked, fail=fail_on_violation, fail_on_difference=fail_on_difference)


def simulate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to; made where it is missing.")],
    seed: Annotated[int, typer.Option("--seed", help="Any whole number; the same one gives the same day.")] = 1,
    lines: Annotated[
        int | None, typer.Option("--lines", help="Lines of all logs together: 20,000; of a term 1,000,000.")
    ] = None,
    *,
    term: Annotated[bool, typer.Option("--term", help="A term in place of a day, with every clause broken.")] = False,
    schools: Annotated[int | None, typer.Option("--schools", min=1, help="Of a term: 2 to 100, usually 4.")] = None,
    days: Annotated[int | None, typer.Option("--days", min=1, help="Of a term: 10 to 90, usually 40.")] = None,
) -> None:
    """Write a made-up school day, or a term, as raw log files.

    Logs of every supported type with an inventory, permits and a ready `aupstream.toml`; `truth.json` lists the
    violations that are in them and the innocent look-alikes.

    Example: `aupstream simulate --seed 7 --lines 20000 day/ && aupstream backtest --config day/aupstream.toml`
    """
    from infra.cli.simulating import DAY_LINES, TERM_DAYS, TERM_LINES, TERM_SCHOOLS, run, run_term  # noqa: PLC0415 - heavy

    if term:
        term_lines = TERM_LINES if lines is None else lines
        run_term(seed, schools or TERM_SCHOOLS, days or TERM_DAYS, term_lines, folder)
        return
    if schools is not None or days is not None:
        raise ConfigError("a day has no schools and days to choose", where="--schools, --days", hint="add --term")
    run(seed, DAY_LINES if lines is None else lines, folder)


def score(
    truth: Annotated[Path, typer.Argument(metavar="TRUTH", help="`truth.json` of a simulation, or its folder.")],
    violations: Annotated[str, typer.Argument(metavar="VIOLATIONS|-", help="JSON lines, as backtest prints them.")],
    *,
    least_precision: Annotated[float, typer.Option("--least-precision", min=0, max=1)] = 0.0,
    least_recall: Annotated[float, typer.Option("--least-recall", min=0, max=1)] = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Hold what was found against the truth: precision and recall by clause, every miss and every false accusation.

    A hit is of the same clause (and rule, where the truth names one), about the same person, device or address, begins
    while the violation lasts, and has the status that the truth says: to be accused of what is permitted is a false
    accusation. The truth is an object with `expected`, a list of {clause, rule_id, group_key, first_seen, status, why},
    and `lookalikes`, a list of {kind, rule_id, who, why}. With --least-precision and --least-recall it exits with 1
    where all clauses together are below.

    Example: `aupstream backtest --config day/aupstream.toml | aupstream score day -`
    """
    from infra.cli.scoring import run  # noqa: PLC0415 - heavy

    run(truth, violations, (least_precision, least_recall), as_json=as_json)
