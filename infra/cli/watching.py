"""Commands that say what could be watched and who it was, and judge again what is past: coverage, whois, rejudge."""

from __future__ import annotations

from typing import Annotated

import typer

from infra.cli.configuration import ConfigOption, DataOption, JsonOption
from infra.cli.judging import TimezoneOption, YearOption
from infra.cli.privacy import ReasonOption


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(coverage)
    app.command()(whois)
    app.command()(rejudge)
    app.command()(backfill)


def backfill(  # noqa: PLR0913 - options
    sources: Annotated[
        list[str], typer.Argument(metavar="[NAME=]TYPE:FILE…", help="Old logs, e.g. proxy=squid:/old/access.log.7.gz")
    ],
    *,
    timezone: TimezoneOption = None,
    year: YearOption = None,
    rejudge: Annotated[bool, typer.Option("--rejudge", help="Judge the windows again that it touches.")] = False,
    reason: ReasonOption = "",
    overlap: Annotated[
        bool, typer.Option("--overlap", help="Read a log though some of its lines are stored out of another one.")
    ] = False,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read old logs while everything runs: those of a time when nothing read them.

    Each in a timeline of its own, so that nothing that was judged waits for it or is changed by it. Rules without a
    window judge its events at once; the windows that were judged without them are named, and --rejudge judges them
    again. A log that was read before under the same NAME is refused, and one that overlaps such a log; without NAME the
    type is the name, and logs of other names are not looked at. A reading that was cut off goes on where it was, and so
    does one of a file that was damaged or cut off, once the whole file is here. Of a longer copy of a log that was
    read, live or by this command, the rest is read, unless its lines are joined, as those of mails.

    Example: `aupstream backfill proxy=squid:/mnt/old/access.log --rejudge --reason "the collector was down in May"`
    """
    from infra.cli.backfilling import Asked, run  # noqa: PLC0415 - heavy

    run(Asked(tuple(sources), timezone, year, reason, rejudge, overlap), config, data, as_json=as_json)


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


def rejudge(  # noqa: PLR0913 - options
    *,
    start: Annotated[str, typer.Option("--from", metavar="TIME", help="First events from then on: ISO 8601.")] = "",
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="And before then; a date includes that day.")] = "",
    key: Annotated[
        list[str] | None, typer.Option("--key", metavar="NAME", help="Only what is about this; repeatable.")
    ] = None,
    rule: Annotated[list[str] | None, typer.Option("--rule", help="Only of this rule; repeatable.")] = None,
    reason: ReasonOption = "",
    corrected: Annotated[
        list[str] | None,
        typer.Option(
            "--corrected",
            metavar="FILE[:ROW]",
            help="Was wrong then, and right as it is now: roster, inventory, lists or permits, or a row of it by "
            "account, MAC or list address; repeatable.",
        ),
    ] = None,
    as_it_was: Annotated[
        list[str] | None,
        typer.Option("--as-it-was", metavar="FILE[:ROW]", help="Takes back a --corrected of that; repeatable."),
    ] = None,
    due: Annotated[bool, typer.Option("--due", help="What late leases and new permits ask for, and no more.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be different.")] = False,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge again what is past, after inventory, roster, lists or permits were corrected.

    From the stored events, with the rules that were in force, and by the inventory, roster and lists that were: who was
    a student in March is one for March's events. What was wrong then is named by --corrected: that row, or the whole
    file, counts for the time from --from to --to as it is now, and whenever that time is judged again. Permits say
    themselves from when to when they count. Leases and logins that came late are believed, too. A violation that was
    none is withdrawn, one that nobody knew of is raised, and they name each other; both stay readable, and whoever was
    told is told again. What is still going on is left as it is. With
    `aupstream run` late leases, logins and permits lead to this by themselves.

    Example: `aupstream rejudge --from 2026-03-02 --to 2026-03-06 --corrected inventory:3c:52:82:01:02:03 --reason "the
    cart was missing in the inventory"`
    """
    from infra.cli.rejudging import Asked, run  # noqa: PLC0415 - heavy

    said = tuple(corrected or ()), tuple(as_it_was or ())
    asked = Asked(start, end, tuple(key or ()), tuple(rule or ()), reason, due, dry_run, *said)
    run(asked, config, data, as_json=as_json)
