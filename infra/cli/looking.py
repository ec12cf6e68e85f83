"""Commands that look at what there is: violations, sql, audit, deadletters, status."""

from __future__ import annotations

from typing import Annotated

import typer

from infra.cli.configuration import ConfigOption, DataOption, FailOption, JsonOption
from infra.cli.privacy import CaseOption, ReasonOption


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(violations)
    app.command()(sql)
    app.command()(audit)
    letters = typer.Typer(no_args_is_help=True, help="Look at lines that could not be read, and read them again.")
    letters.command("list")(list_letters)
    letters.command("show")(show_letter)
    letters.command("replay")(replay_letters)
    app.add_typer(letters, name="deadletters")
    app.command()(status)
    app.command()(doctor)


def violations(  # noqa: PLR0913 - options
    *,
    rule: Annotated[list[str] | None, typer.Option("--rule", help="Only of this rule; repeatable.")] = None,
    clause: Annotated[list[int] | None, typer.Option("--clause", help="Only of this clause; repeatable.")] = None,
    status: Annotated[
        list[str] | None,
        typer.Option(
            "--status",
            help="Only of this status: violation, permitted, informational, withdrawn; repeatable. Without it all but "
            "withdrawn.",
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="WHEN",
            help="Only what went on since then: 30m, 12h, 7d or ISO 8601 (UTC where it says no offset).",
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="The newest so many; 0 for all.")] = 1_000,
    names: Annotated[
        bool, typer.Option("--names", help="Names in place of pseudonyms; needs --reason, as `aupstream unmask`.")
    ] = False,
    reason: ReasonOption = "",
    case: CaseOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
    fail_on_violation: FailOption = False,
) -> None:
    """Show the violations that stand, by time, with their evidence.

    From ClickHouse: the one of the configuration, or the embedded one of a running `up`, `run` or `demo`. As JSON lines
    they are the same as those of `aupstream backtest --pseudonyms`: people, mailboxes, devices and addresses have
    pseudonyms, unless the configuration says `[privacy] pseudonyms = false`.

    Example: `aupstream violations --clause 13 --since 7d`
    """
    from infra.cli.standing import Filters, Unmasking, run  # noqa: PLC0415 - heavy

    filters = Filters(tuple(rule or ()), tuple(clause or ()), tuple(status or ()), since, limit)
    wanted = Unmasking(names, reason, case)
    run(filters, config, data, as_json=as_json, fail=fail_on_violation, unmasking=wanted)


def sql(
    query: Annotated[str, typer.Argument(help="One statement; - reads it from standard input.")],
    *,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
    write: Annotated[bool, typer.Option("--write", help="Permit statements that change something.")] = False,
) -> None:
    """Ask ClickHouse.

    A table on a terminal; elsewhere lines with tabs, or with --json one object a row. Statements may only read, unless
    --write is given. The views to start from: `violations_now`, `evidence_now`, `ledger_now`, `dead_letters_now`;
    events are in `events_proxy`, `events_dhcp`, `events_mail` and `events_login`. The same person, mailbox, device or
    address has the same pseudonym in all of them.

    Example: `aupstream sql "SELECT rule_id, count() FROM violations_now GROUP BY rule_id"`
    """
    from infra.cli.asking import run  # noqa: PLC0415 - heavy

    run(query, config, data, as_json=as_json, write=write)


def audit(*, config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Prove that no line was lost.

    Of every source: lines read = lines in events + dead letters + lines ignored by a named reason + lines held in open
    joins; the ledger's chunks follow each other without a gap; and ClickHouse holds as many events and dead letters as
    the ledger says, but for those that retention deleted and counted. Of the log of who unmasked whom: that no entry
    was changed, taken out or cut off, or at which one it breaks. Ends with 1 where that is not so. While rows are still
    on their way it is not so: see `aupstream status`.

    Example: `aupstream audit --json`
    """
    from infra.cli.auditing import run  # noqa: PLC0415 - heavy

    run(config, data, as_json=as_json)


def list_letters(
    *,
    source: Annotated[list[str] | None, typer.Option("--source", help="Only of this source; repeatable.")] = None,
    reason: Annotated[list[str] | None, typer.Option("--reason", help="Only for this reason; repeatable.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="So many; 0 for all.")] = 100,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List lines that could not be read, by source and position; sealed ones without what they say.

    Messages that an agent refused are among them: their source is `kafka:` and the topic, their offset that of Kafka.

    Example: `aupstream deadletters list --reason bad_time`
    """
    from infra.cli.letters import list_all  # noqa: PLC0415 - heavy

    list_all(tuple(source or ()), tuple(reason or ()), limit, config, data, as_json=as_json)


def show_letter(
    event_id: Annotated[str, typer.Argument(metavar="ID", help="Its id, or the start of it.")],
    *,
    reason: ReasonOption = "",
    case: CaseOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one line that could not be read: all that is known of it, secrets masked.

    Such a line may say anything of anybody, so it is stored sealed: it is shown for a reason, which is kept in the same
    log as those of `aupstream unmask`. Without --reason everything but the line is shown.

    Example: `aupstream deadletters show 4e4cfcc64fb77a01000000000202 --reason "the proxy was updated, what is new?"`
    """
    from infra.cli.letters import show  # noqa: PLC0415 - heavy

    show(event_id, (reason, case), config, data, as_json=as_json)


def replay_letters(  # noqa: PLR0913 - options
    event_id: Annotated[
        list[str] | None, typer.Argument(metavar="ID…", help="Ids or starts of them; without any, all of the sources.")
    ] = None,
    *,
    source: Annotated[list[str] | None, typer.Option("--source", help="Only of this source; repeatable.")] = None,
    why_not: Annotated[
        list[str] | None, typer.Option("--because", help="Only those that were not read for this; repeatable.")
    ] = None,
    reason: ReasonOption = "",
    case: CaseOption = "",
    rejudge: Annotated[bool, typer.Option("--rejudge", help="Judge the windows again that it touches.")] = False,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read lines again that could not be read, once their format is configured rightly.

    While everything runs. The events get the ids that they would have had; rules without a window judge them at once;
    the ledger moves the lines from dead letters to events. Windows that were judged without them stay as they are: it
    is said which those are, and --rejudge judges them again. What still cannot be read stays where it is.

    Example: `aupstream deadletters replay --source badge --reason "the pattern was wrong" --rejudge`
    """
    from infra.cli.replaying import Asked, run  # noqa: PLC0415 - heavy

    asked = Asked(tuple(source or ()), tuple(why_not or ()), tuple(event_id or ()), (reason, case), rejudge)
    run(asked, config, data, as_json=as_json)


def status(*, config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Say what runs and how far it is.

    Servers, workers with what they still have to do, sources and dead letters. Ends with 4 where a server does not
    answer.

    Example: `aupstream status --json`
    """
    from infra.cli.reporting import run  # noqa: PLC0415 - heavy

    run(config, data, as_json=as_json)


def doctor(*, config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Look for whatever may be wrong, and say what to do.

    Configuration, disks, secrets that others may read, logs, rules, Kafka with its topics and their retention,
    ClickHouse with its tables and its clock, workers. Changes nothing. Ends with 1 where something is bad.

    Example: `aupstream doctor --config aupstream.toml`
    """
    from infra.cli.doctoring import run  # noqa: PLC0415 - heavy

    run(config, data, as_json=as_json)
