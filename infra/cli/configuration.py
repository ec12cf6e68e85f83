"""Which configuration a command works with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.output import talk
from schemas.errors import ConfigError

if TYPE_CHECKING:
    from infra.config import Config

DEFAULT = "aupstream.toml"

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        envvar="AUPSTREAM_CONFIG",
        help=f"Configuration. Without it {DEFAULT} of the working directory, where there is one, else defaults.",
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Data folder, in place of the configuration's."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON, one object a line, also on a terminal.")]
FailOption = Annotated[
    bool, typer.Option("--fail-on-violation", help="Exit with 1 where there is one of status `violation`.")
]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A configuration and where it is from.

    Attributes:
        config: `infra.config.Config`.
        file: Its file; None: defaults and the environment.
    """

    config: Config
    file: Path | None


def choose(file: Path | None, data: Path | None = None, *, quiet: bool = False) -> Chosen:
    """Load the configuration that was named, or the one that lies here.

    Raises:
        ConfigError: it cannot be read, or its data folder is none.
        Errors: every key that is wrong.
    """
    from infra.config import file_of, load  # noqa: PLC0415 - `--help` needs no configuration
    from infra.run.paths import DataPaths  # noqa: PLC0415 - likewise

    if file is None and Path(DEFAULT).is_file():
        file = Path(DEFAULT)
        if not quiet:
            talk(f"using {file}")
    config = load(file)
    if data is not None:
        config = config.model_copy(update={"data": data.absolute()})
    blocked = DataPaths(config.data.absolute()).in_the_way
    if blocked is not None:
        where = "--data" if data is not None else file_of(file).where(("data",))
        hint = f"name a folder, there or still to be made, in place of {config.data}"
        raise ConfigError(f"{blocked} is no folder: nothing can be kept there", where=where, hint=hint)
    kept = config.district.model_copy(update={"kept": DataPaths(config.data.absolute()).context})
    config = config.model_copy(update={"district": kept})
    return Chosen(config, file)
