"""Mistakes of a configuration, named with file, line, column and key."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.tomlplaces import nearest, places
from schemas.errors import ConfigError
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.custom.checks import mistakes
from streams.normalisers.registry import make, types

if TYPE_CHECKING:
    from infra.config import Config, Source


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A configuration file as it was written, for what is to be said about it.

    Attributes:
        path: The file; None where there is none.
        text: Its text.
        data: Its values.
    """

    path: Path | None
    text: str
    data: Mapping[str, Any]

    def where(self, keys: tuple[str | int, ...]) -> str:
        """`file:line:column: key`, or the environment's variable for what is not in the file."""
        shown = ".".join(str(key + 1) if isinstance(key, int) else key for key in keys)
        if self.path is None or not self._has(keys[:1]):
            return f"environment AUPSTREAM_{'__'.join(str(key) for key in keys).upper()}"
        place = nearest(places(self.text), keys)
        return f"{self.path}: {shown}" if place is None else f"{self.path}:{place[0]}:{place[1]}: {shown}"

    def _has(self, keys: tuple[str | int, ...]) -> bool:
        return bool(keys) and keys[0] in self.data

    def mistake(self, error: Mapping[str, Any]) -> ConfigError:
        """What is wrong with the shape or the value of a key."""
        # An inner part that names a branch of a union is no key of the file.
        keys = tuple(part for part in error["loc"] if isinstance(part, int) or not part.startswith("function-"))
        if error["type"] == "extra_forbidden":
            what, hint = "there is no such key", "remove it, or look for a typing mistake"
        elif error["type"] == "missing":
            what, hint = "this key is missing", ""
        else:
            what, hint = str(error["msg"]).removeprefix("Value error, "), ""
        return ConfigError(what, where=self.where(keys), hint=hint)


def contradictions(config: Config, file: ConfigFile) -> Iterator[ConfigError]:
    """What is wrong between the parts of a configuration whose every part has the right shape."""
    known = types()
    if config.agents.machine and not (config.kafka.bootstrap and config.clickhouse.dsn):
        what = "a further machine has no servers of its own to embed"
        hint = "name those of all: [kafka] bootstrap and [clickhouse] dsn"
        yield ConfigError(what, where=file.where(("agents", "machine")), hint=hint)
    for name, spec in config.formats.items():
        if name in known or name == "auto":
            where = file.where(("formats", name))
            yield ConfigError(f"{name!r} is a type that comes with aupstream", where=where, hint="give it another name")
        for path, what, hint in mistakes(spec):
            yield ConfigError(what, where=file.where(("formats", name, *path)), hint=hint)
    for number, source in enumerate(config.sources):
        options = known[source.type].options if source.type in known else {}
        if source.type in known and options.keys() >= source.options.keys():
            yield from _refused_options(source, number, file)
        for option in source.options if source.type in {*known, *config.formats} else ():
            if option not in options:
                where = file.where(("sources", number, "options", option))
                hint = f"known are: {', '.join(options)}" if options else "it has none"
                yield ConfigError(f"type {source.type} has no option {option!r}", where=where, hint=hint)


def _refused_options(source: Source, number: int, file: ConfigFile) -> Iterator[ConfigError]:
    """What the type itself says of its options, such as a `logformat` with a mistake."""
    if not source.options:
        return
    try:
        make(source.type, NormaliserSettings(options=source.options))
    except ConfigError as error:
        option = error.where.removeprefix("options.")
        keys: tuple[str | int, ...] = ("sources", number, "options", *([option] if option in source.options else []))
        yield ConfigError(error.what, where=file.where(keys), hint=error.hint)


def unknown_types(file: ConfigFile) -> Iterator[ConfigError]:
    """Sources whose type is none, told even where other keys have the wrong shape."""
    formats, sources = file.data.get("formats"), file.data.get("sources")
    known = [*types(), *(formats if isinstance(formats, dict) else ())]
    for number, source in enumerate(sources if isinstance(sources, list) else ()):
        name = source.get("type") if isinstance(source, dict) else None
        if isinstance(name, str) and name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else "`aupstream normalise --list` names them all"
            yield ConfigError(f"{name!r} is no source type", where=file.where(("sources", number, "type")), hint=hint)
