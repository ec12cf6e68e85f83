"""What a client sends, parsed: hello, query with its client information and settings, questions about tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from infra.embedded.native import constants
from infra.embedded.native.constants import Code
from infra.embedded.native.faults import refuse
from infra.embedded.native.wire import Reader

_IMPORTANT: Final = 1
_TCP_INTERFACE: Final = 1
_HTTP_INTERFACE: Final = 2
_NUMBERS: Final = (
    *("UInt64", "NonZeroUInt64", "Bool", "Seconds", "Milliseconds", "MaxThreads", "UInt64Auto", "BoolAuto"),
    *("Int64", "Int32"),
)


@dataclass(frozen=True)
class ClientHello:
    """First message of a connection. ``revision`` is the smaller of the client's and ours."""

    client: str
    revision: int
    database: str
    user: str
    password: str


@dataclass(frozen=True)
class Setting:
    """A setting sent with a query; an important one must not be ignored when it is not known."""

    value: str
    important: bool


@dataclass(frozen=True)
class Query:
    """A query as it came."""

    query_id: str
    settings: dict[str, Setting]
    stage: int
    compressed: bool
    text: str


def read_hello(reader: Reader) -> ClientHello:
    """The hello after its packet number."""
    client = reader.string()
    reader.varuint(), reader.varuint()
    revision = min(reader.varuint(), constants.REVISION)
    return ClientHello(client, revision, reader.string(), reader.string(), reader.string())


def read_query(reader: Reader, revision: int, type_of_setting: Callable[[str], str | None]) -> Query:
    """The query after its packet number. ``type_of_setting`` is asked for clients before revision 54429 only."""
    query_id = reader.string()
    if revision >= constants.SINCE_CLIENT_INFO:
        _skip_client_info(reader, revision)
    if revision >= constants.SINCE_SETTINGS_AS_STRINGS:
        settings = _read_settings(reader)
    else:
        settings = _read_old_settings(reader, type_of_setting)
    stage = reader.varuint()
    compressed = reader.varuint() == 1
    return Query(query_id, settings, stage, compressed, reader.string())


def read_tables(reader: Reader) -> list[tuple[str, str]]:
    """Database and name of the tables that a client asks about."""
    count = reader.varuint()
    if count > 100_000:
        raise refuse(Code.UNEXPECTED_PACKET_FROM_CLIENT, "Too many tables asked about", fatal=True)
    return [(reader.string(), reader.string()) for _ in range(count)]


def _skip_client_info(reader: Reader, revision: int) -> None:
    """ClickHouse ``src/Interpreters/ClientInfo.cpp``. Nothing in it matters to a server for one machine."""
    if reader.u8() == 0:
        return
    for _ in range(3):
        reader.string_bytes()
    interface = reader.u8()
    if interface == _TCP_INTERFACE:
        for _ in range(3):
            reader.string_bytes()
        for _ in range(3):
            reader.varuint()
    elif interface == _HTTP_INTERFACE:
        # A server that passes on what it was asked over HTTP.
        reader.skip(1)
        reader.string_bytes()
    if revision >= constants.SINCE_QUOTA_KEY:
        reader.string_bytes()
    if interface == _TCP_INTERFACE and revision >= constants.SINCE_VERSION_PATCH:
        reader.varuint()


def _read_settings(reader: Reader) -> dict[str, Setting]:
    settings = {}
    while name := reader.string():
        flags = reader.varuint()
        settings[name] = Setting(reader.string(), bool(flags & _IMPORTANT))
    return settings


def _read_old_settings(reader: Reader, type_of_setting: Callable[[str], str | None]) -> dict[str, Setting]:
    """Before 54429 a value's form depends on the setting's type, so an unknown name cannot be passed over."""
    settings = {}
    while name := reader.string():
        kind = type_of_setting(name)
        if kind is None:
            message = f"Setting {name} is unknown here, and this old client sends it in a form that needs its type"
            raise refuse(Code.UNKNOWN_SETTING, message, fatal=True)
        value = str(reader.varuint()) if kind in _NUMBERS else reader.string()
        settings[name] = Setting(value, important=True)
    return settings
