"""Commands about permits: add, list, show, revoke, check."""

from __future__ import annotations

from typing import Annotated

import typer

from infra.cli.configuration import ConfigOption, DataOption, JsonOption
from infra.cli.privacy import ReasonOption

WhoOption = Annotated[str, typer.Option("--who", metavar="NAME", help="An account, a mail address or a MAC address.")]
ClauseOption = Annotated[int, typer.Option("--clause", min=1, max=13, help="Clause of the policy.")]
RuleOption = Annotated[str, typer.Option("--rule", metavar="NAME", help="Only what this rule finds.")]
ListOption = Annotated[str, typer.Option("--list", metavar="ADDRESS", help="Only mail to this mailing list.")]
DeviceOption = Annotated[str, typer.Option("--device", metavar="MAC", help="Only on this device.")]
CategoryOption = Annotated[str, typer.Option("--category", metavar="NAME", help="Only pages of this category.")]
AtOption = Annotated[
    str, typer.Option("--at", metavar="TIME", help="ISO 8601; without an offset, local to the district. Default: now.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Supervisors' permissions: given, taken back, looked up.")
    for command in (add, list_, show, revoke, check):
        group.command(command.__name__.strip("_"))(command)
    app.add_typer(group, name="permits")


def add(  # noqa: PLR0913 - options
    *,
    who: WhoOption,
    clause: ClauseOption,
    start: Annotated[str, typer.Option("--from", metavar="TIME", help="First moment: ISO 8601, or a date.")],
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="Up to when; a date alone includes that day.")],
    granted_by: Annotated[str, typer.Option("--granted-by", metavar="NAME", help="The supervisor.")],
    reason: ReasonOption,
    rule: RuleOption = "",
    recipients: Annotated[int, typer.Option("--recipients", min=0, help="Up to so many; 0: as many as wanted.")] = 0,
    list_: ListOption = "",
    device: DeviceOption = "",
    category: CategoryOption = "",
    hours: Annotated[str, typer.Option("--hours", help="A standing permit, e.g. 'Mon-Fri 08:00-10:00'.")] = "",
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write down that somebody is permitted something, and print the permit's id.

    It is kept in `permits.jsonl` of the data folder, which is only appended to, and told to the agents at once where
    they run. Who grants must be a supervisor by the roster, where there is one. What was judged before is judged again
    by `aupstream rejudge`.

    Example: `aupstream permits add --who coach --clause 11 --from 2026-03-02 --to 2026-03-06 --granted-by principal
    --recipients 300 --reason "season opening"`
    """
    from infra.cli.permitting import grant  # noqa: PLC0415 - heavy

    row = {
        "who": who, "clause": str(clause), "from": start, "to": end, "granted_by": granted_by, "reason": reason,
        "rule": rule, "recipients": str(recipients) if recipients else "", "list": list_, "device": device,
        "category": category, "hours": hours,
    }  # fmt: skip
    grant(row, config, data, as_json=as_json)


def list_(
    *,
    who: Annotated[str, typer.Option("--who", metavar="NAME", help="Only of this holder.")] = "",
    clause: Annotated[int, typer.Option("--clause", min=0, max=13, help="Only of this clause; 0: of all.")] = 0,
    at: AtOption = "",
    everything: Annotated[bool, typer.Option("--all", help="Also those that have ended.")] = False,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List permits of the configuration's file and those that were entered, with what has become of each.

    Example: `aupstream permits list --clause 11 --all`
    """
    from infra.cli.permitting import listing  # noqa: PLC0415 - heavy

    listing(who, clause, at, config, data, everything=everything, as_json=as_json)


def show(
    permit: Annotated[str, typer.Argument(metavar="ID", help="Of a permit.")],
    *,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one permit: everything in it, where it stands, and whether it counts.

    Example: `aupstream permits show 4e4cfcc64fb7`
    """
    from infra.cli.permitting import showing  # noqa: PLC0415 - heavy

    showing(permit, config, data, as_json=as_json)


def revoke(
    permit: Annotated[str, typer.Argument(metavar="ID", help="Of a permit that was entered with `add`.")],
    *,
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="The supervisor who takes it back.")],
    reason: ReasonOption,
    at: AtOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a permit back from a time on. What it covered before stays permitted.

    Example: `aupstream permits revoke 4e4cfcc64fb7 --by principal --reason "the concert is cancelled"`
    """
    from infra.cli.permitting import revoking  # noqa: PLC0415 - heavy

    revoking(permit, (by, reason, at), config, data, as_json=as_json)


def check(  # noqa: PLR0913 - options
    who: Annotated[str, typer.Argument(metavar="NAME", help="An account, a mail address or a MAC address.")],
    *,
    clause: ClauseOption,
    at: AtOption = "",
    rule: RuleOption = "",
    list_: ListOption = "",
    device: DeviceOption = "",
    category: CategoryOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether somebody is permitted something at a time, by which permit, or why not. Exits with 1 where not.

    Example: `aupstream permits check coach@schools.example --clause 11 --at 2026-03-02T09:00`
    """
    from infra.cli.permitting import Question, checking  # noqa: PLC0415 - heavy

    checking(Question(who, clause, at, rule, list_, device, category), config, data, as_json=as_json)
