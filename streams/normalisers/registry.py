"""The types of log that there are, by the name that a source's configuration gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import cast

from schemas.errors import ConfigError
from schemas.kinds import EventKind
from streams.normalisers.abstract import Normaliser, NormaliserSettings
from streams.normalisers.columns import event_columns
from streams.normalisers.custom.spec import FormatSpec
from streams.normalisers.types import NormaliserType

__all__ = ["NormaliserType", "claims_of", "fields_of", "kind_of", "make", "preamble_of", "types"]

_TABLES = (
    "proxy.types",
    "proxy.types_appliances",
    "dhcp.types",
    "mail.types",
    "mail.types_gateways",
    "login.types",
    "login.types_network",
    "login.types_cloud",
)


@cache
def types() -> Mapping[str, NormaliserType]:
    """All types, in alphabetical order of their names."""
    found: dict[str, NormaliserType] = {}
    for table in _TABLES:
        found.update(import_module(f"streams.normalisers.{table}").TYPES)
    return MappingProxyType(dict(sorted(found.items())))


def _known(type_name: str) -> NormaliserType:
    known = types()
    if type_name not in known:
        raise ConfigError(
            f"there is no log type {type_name!r}",
            where="type",
            hint="`aupstream normalise --list` names them all; or use auto",
        )
    return known[type_name]


@cache
def _class_of(type_name: str) -> type[Normaliser]:
    module, _, name = _known(type_name).made_by.partition(":")
    return cast("type[Normaliser]", getattr(import_module(module), name))


def make(type_name: str, settings: NormaliserSettings) -> Normaliser:
    """A normaliser without state.

    Raises:
        ConfigError: there is no such type, or it refuses one of its options.
    """
    if settings.format is not None:
        return _custom(type_name, settings)
    made_by = cast("Callable[[NormaliserSettings], Normaliser]", _class_of(type_name))
    unknown = sorted(set(settings.options) - set(_known(type_name).options))
    if unknown:
        known = ", ".join(_known(type_name).options) or "it has none"
        raise ConfigError(
            f"type {type_name} has no option {unknown[0]!r}", where=f"options.{unknown[0]}", hint=f"known are: {known}"
        )
    return made_by(settings)


def _custom(name: str, settings: NormaliserSettings) -> Normaliser:
    from streams.normalisers.custom.normaliser import CustomNormaliser  # noqa: PLC0415 - normalisers only where used

    assert settings.format is not None
    return CustomNormaliser(name, settings.format, settings)


def kind_of(type_name: str) -> EventKind:
    """Kind of a type's events.

    Raises:
        ConfigError: there is no such type.
    """
    return _known(type_name).kind


def fields_of(type_name: str) -> tuple[str, ...]:
    """Columns that a type can fill, in the order of the kind's schema.

    Raises:
        ConfigError: there is no such type.
    """
    given = set(_class_of(type_name).fields)
    return tuple(name for name in event_columns(kind_of(type_name)) if name in given)


def preamble_of(type_name: str, own: FormatSpec | None = None) -> Callable[[bytes], bool] | None:
    """Tells the lines at the head of a file that are the same in every file of the type; None where it has none.

    Args:
        type_name: The type.
        own: A format of one's own of that name.

    Raises:
        ConfigError: there is no such type.
    """
    if own is not None:
        return own.preamble
    pattern = _known(type_name).preamble
    return None if pattern is None else lambda line: pattern.match(line) is not None


def claims_of(type_name: str) -> Callable[[bytes], bool]:
    """Tells the lines that are surely of a type, among those of other types. A format of one's own claims nothing."""
    entry = types().get(type_name)
    pattern = None if entry is None else entry.claims
    return (lambda _: False) if pattern is None else lambda line: pattern.search(line) is not None
