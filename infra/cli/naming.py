"""`[NAME=]TYPE:FILE` of the command line to sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from zoneinfo import ZoneInfo

from schemas.errors import AupstreamError, ConfigError, Errors, InputError
from streams.config import SourceConfig
from streams.normalisers.custom.spec import FormatSpec
from streams.normalisers.registry import types
from streams.sources.folder import is_pattern, matching
from streams.sources.kafka_topic import KAFKA

_SHAPE = "write [NAME=]TYPE:FILE, e.g. mail=postfix:/var/log/mail.log"
_RESERVED = frozenset("/\\:=,\"'")
MAX_NAME = 100


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line says about its sources.

    Attributes:
        timezone: Zone of times that carry none; None: not said.
        year: Year of the first line; None: not said.
        formats: Formats of one's own, by name.
    """

    timezone: ZoneInfo | None
    year: int | None
    formats: Mapping[str, FormatSpec] = field(default_factory=dict)


def named(
    texts: Sequence[str], configured: Sequence[SourceConfig], zone: ZoneInfo, wishes: Wishes
) -> list[SourceConfig]:
    """Sources of the command line.

    Args:
        texts: `[NAME=]TYPE:FILE` each.
        configured: Sources of the configuration: one of the same name and type lends its settings.
        zone: Zone where nothing else says one.
        wishes: Win over everything.

    Raises:
        Errors: everything that is wrong with any of them.
    """
    errors: list[AupstreamError] = []
    made: list[SourceConfig] = []
    for text in texts:
        try:
            source = _source(text, configured, zone, wishes)
            _refuse_twice(source, made, text)
        except AupstreamError as error:
            errors.append(error)
        else:
            made.append(source)
    if errors:
        raise Errors(errors)
    return made


def _source(text: str, configured: Sequence[SourceConfig], zone: ZoneInfo, wishes: Wishes) -> SourceConfig:
    head, colon, file = text.partition(":")
    name, equals, type_name = head.partition("=")
    if not equals:
        name, type_name = head, head
    if not colon or not file:
        raise ConfigError("this names no source", where=text, hint=_SHAPE)
    if type_name not in types() and type_name not in wishes.formats:
        close = get_close_matches(type_name, [*types(), *wishes.formats], 1)
        hint = f"did you mean {close[0]}?" if close else "`aupstream normalise --list` names the types"
        raise ConfigError(f"{type_name!r} is no type of log", where=text, hint=f"{_SHAPE}; {hint}")
    _check_name(name, text)
    same = next((s for s in configured if (s.name, s.type) == (name, type_name)), None)
    source = same or SourceConfig(name, type_name, timezone=zone, format=wishes.formats.get(type_name))
    return replace(
        source,
        path=file,
        mode="once",
        timezone=wishes.timezone or source.timezone,
        year=source.year if wishes.year is None else wishes.year,
    )


def _check_name(name: str, text: str) -> None:
    strange = [c for c in name if c in _RESERVED or not c.isprintable()]
    if not name.strip() or name != name.strip() or strange or len(name) > MAX_NAME:
        what = f"{strange[0]!r} in" if strange else "this is"
        raise ConfigError(
            f"{what} no name of a source: {name!r}",
            where=text,
            hint=f"use letters, digits, dots, dashes and underscores, {MAX_NAME} at most",
        )


def _refuse_twice(source: SourceConfig, others: Sequence[SourceConfig], text: str) -> None:
    for other in others:
        if other.name == source.name:
            hint = "give each a name of its own: NAME=TYPE:FILE; it is part of every event's id"
            raise ConfigError(f"a second source is called {source.name!r}", where=text, hint=hint)
        if other.type == source.type and _same_file(other.path, source.path):
            raise ConfigError(f"{other.name!r} reads the same log", where=text, hint="name a file once")
        if other.path == source.path == "-":
            raise ConfigError("standard input can be read once", where=text, hint="write the other log to a file")


def _same_file(a: str, b: str) -> bool:
    return a == b or (a != "-" and b != "-" and Path(a).resolve() == Path(b).resolve())


def check_files(sources: Sequence[SourceConfig]) -> None:
    """Say at once which logs cannot be read.

    Raises:
        Errors: of `InputError`, every one.
    """
    errors: list[AupstreamError] = []
    for source in sources:
        if source.path == "-" or source.path.startswith(KAFKA):
            continue
        try:
            if is_pattern(source.path):
                if not matching(source.path):
                    raise FileNotFoundError(2, "no file matches")
                continue
            if Path(source.path).is_dir():
                raise IsADirectoryError(21, "it is a folder, not a log")
            with Path(source.path).open("rb"):
                pass
        except OSError as error:
            what, hint = (
                f"log of source {source.name!r} cannot be read: {error.strerror}",
                "check the name and who may read",
            )
            errors.append(InputError(what, where=source.path, hint=hint))
    if errors:
        raise Errors(errors)
