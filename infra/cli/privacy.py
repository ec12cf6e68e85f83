"""Commands about names: unmask, hold, release, privacy."""

from __future__ import annotations

from typing import Annotated

import typer

from infra.cli.configuration import ConfigOption, DataOption, JsonOption

ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is kept.")]
CaseOption = Annotated[str, typer.Option("--case", metavar="ID", help="The case that it is for; it is kept.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(unmask)
    app.command()(hold)
    app.command()(release)
    group = typer.Typer(no_args_is_help=True, help="Pseudonyms, their keys, and how long what is kept.")
    for command in (show, rotate, find, purge):
        group.command()(command)
    app.add_typer(group, name="privacy")


def unmask(
    pseudonyms: Annotated[list[str] | None, typer.Argument(metavar="PSEUDONYM…", help="As analysts see them.")] = None,
    *,
    reason: ReasonOption = "",
    case: CaseOption = "",
    log: Annotated[bool, typer.Option("--log", help="List who unmasked what and why, and end.")] = False,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the names behind pseudonyms.

    Each request is written down first: who, when, why, and what was asked, in a log that is only appended to.
    `aupstream audit` proves that nothing in it was changed or taken out. Without a reason nothing is shown. The file
    with the keys must be readable here.

    Example: `aupstream unmask user-9c41-3f9a1c0d5be27a6401c8 --reason "appeal by the parents" --case 2026-17`
    """
    from infra.cli.unmasking import listing, run  # noqa: PLC0415 - heavy

    if log:
        listing(config, data, as_json=as_json)
    else:
        run(tuple(pseudonyms or ()), reason, case, config, data, as_json=as_json)


def hold(
    violation: Annotated[str, typer.Argument(metavar="ID", help="Of a violation, or the start of it.")],
    *,
    reason: ReasonOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Keep a violation with its evidence whatever retention says, for example while it is appealed against.

    Example: `aupstream hold 4e4cfcc64fb7 --reason "appeal of 3 March"`
    """
    from infra.cli.holding import run  # noqa: PLC0415 - heavy

    run(violation, reason, config, data, held=True)


def release(
    violation: Annotated[str, typer.Argument(metavar="ID", help="Of a violation, or the start of it.")],
    *,
    reason: ReasonOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """End a hold: retention applies again.

    Example: `aupstream release 4e4cfcc64fb7 --reason "appeal decided"`
    """
    from infra.cli.holding import run  # noqa: PLC0415 - heavy

    run(violation, reason, config, data, held=False)


def show(*, config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Say what is replaced, with which keys, how long what is kept, and what does not go together.

    Example: `aupstream privacy show`
    """
    from infra.cli.showing_privacy import run  # noqa: PLC0415 - heavy

    run(config, data, as_json=as_json)


def rotate(
    *,
    new: Annotated[
        bool, typer.Option("--new", help="Begin a new file of keys, since the one there was is lost for ever.")
    ] = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Make a new key: pseudonyms from now on are others, the old ones can still be unmasked.

    What runs takes the new key within seconds. A person's old and new pseudonyms are not the same text any more:
    `aupstream privacy find` gives all of them. With --new names that were sealed with lost keys stay sealed.

    Example: `aupstream privacy rotate`
    """
    from infra.cli.unmasking import rotate_keys  # noqa: PLC0415 - heavy

    rotate_keys(config, data, new=new)


def find(
    name: Annotated[str, typer.Argument(metavar="NAME", help="An account, mail, MAC or IP address, or host name.")],
    *,
    kind: Annotated[
        str, typer.Option("--kind", help="user, mail, device or address; without it what the name looks like.")
    ] = "",
    reason: ReasonOption = "",
    case: CaseOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give the pseudonyms of a name, one for every key. It is logged as `aupstream unmask` is.

    Example: `aupstream privacy find anna.weber --reason "her own request"`
    """
    from infra.cli.unmasking import find_name  # noqa: PLC0415 - heavy

    find_name(name, kind, reason, case, config, data, as_json=as_json)


def purge(*, config: ConfigOption = None, data: DataOption = None) -> None:
    """Delete now what is older than [privacy.retention] says; `aupstream run` does it once a day.

    Example: `aupstream privacy purge`
    """
    from infra.cli.holding import purge_now  # noqa: PLC0415 - heavy

    purge_now(config, data)
