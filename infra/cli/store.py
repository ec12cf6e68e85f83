"""ClickHouse for the commands that read from it: where it is, as whom, and what its errors mean."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clickhouse_driver import Client
from clickhouse_driver.errors import Error, NetworkError, ServerException, SocketTimeoutError

from agents.sinks.clickhouse import of_the_values
from infra.cli.configuration import Chosen
from infra.embedded import ANALYST, USER, Endpoints, Layout, read_endpoints
from infra.run.paths import DataPaths
from schemas.errors import AupstreamError, ConfigError, ServerError

_CONNECT_S = 5
_NO_TABLE, _NO_DATABASE, _WRONG_PASSWORD = 60, 81, (193, 516)


def embedded(chosen: Chosen) -> Endpoints | None:
    """Where the embedded servers of the configuration's data folder can be reached; None: they do not run."""
    return read_endpoints(DataPaths(chosen.config.data.absolute()).servers)


def dsn_of(chosen: Chosen, *, analyst: bool = False) -> str:
    """The DSN to use.

    Args:
        chosen: A DSN in it wins over the embedded server.
        analyst: As a user who may only read, and no names: the embedded server's, or that of the configuration.

    Raises:
        ServerError: there is none, and the embedded server does not run.
    """
    if analyst and chosen.config.clickhouse.analyst_dsn:
        return chosen.config.clickhouse.analyst_dsn
    if chosen.config.clickhouse.dsn:
        return chosen.config.clickhouse.dsn
    endpoints = embedded(chosen)
    folder = DataPaths(chosen.config.data.absolute()).servers
    if endpoints is None:
        raise ServerError(
            "no embedded ClickHouse is running",
            where=str(folder),
            hint="start `aupstream up` or `aupstream run`, name the data folder with --data, or set "
            "AUPSTREAM_CLICKHOUSE__DSN",
        )
    if not analyst:
        return endpoints.clickhouse
    secret = Layout(folder).password(ANALYST).read_text("utf-8").strip()
    rest = endpoints.clickhouse.rpartition("@")[2]
    return f"clickhouse://{ANALYST}:{secret}@{rest}"


class Store:
    """One connection for reading.

    Args:
        dsn: clickhouse-driver DSN.
        settings: Of ClickHouse, for every statement.
    """

    def __init__(self, dsn: str, settings: Mapping[str, object] | None = None) -> None:
        self._where = (dsn.rpartition("@")[2] or dsn).partition("?")[0]
        settings = {"connect_timeout": _CONNECT_S, "client_name": "aupstream", **(settings or {})}
        try:
            # The driver logs a traceback of its own; what a person needs is in the error that we raise.
            logging.getLogger("clickhouse_driver").setLevel(logging.CRITICAL)
            self._client = Client.from_url(_with(dsn, settings))
        except (ValueError, KeyError, TypeError) as error:
            hint = "write clickhouse://user:password@host:port/database"
            raise ConfigError(f"this is no DSN: {error}", where="clickhouse.dsn", hint=hint) from error

    def rows(self, query: str, values: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
        """All rows of a statement of ours, by column name.

        Raises:
            ServerError: the server does not answer, or has not our tables.
        """
        columns, found = self.stream(query, values)
        return [dict(zip(columns, row, strict=True)) for row in found]

    def stream(
        self, query: str, values: Mapping[str, object] | None = None
    ) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
        """Column names, and rows as they come.

        Raises:
            ServerError: see `rows`; also while rows come.
        """
        try:
            found = self._client.execute_iter(query, dict(values) if values else None, with_column_types=True)
            head = next(found, ())  # names and types come before the first row; nothing of what gives no rows
        except (Error, OSError, EOFError) as error:
            raise self._meaning(error) from error
        return [str(name) for name, _ in head], self._rest(found)

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[tuple[object, ...]]) -> None:
        """Insert rows of plain values.

        Raises:
            ServerError: see `rows`.
        """
        try:
            self._client.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES", list(rows))
        except (Error, OSError, EOFError) as error:
            raise self._meaning(error) from error

    def _rest(self, found: Iterator[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        try:
            yield from found
        except (Error, OSError, EOFError) as error:
            raise self._meaning(error) from error

    def _meaning(self, error: Exception) -> AupstreamError:
        if isinstance(error, ServerException):
            text = str(error.message).removeprefix("DB::Exception: ").partition("Stack trace:")[0].strip()
            text = text.removeprefix("DB::Exception: ")
            if error.code in _WRONG_PASSWORD:
                return ServerError("ClickHouse refuses user or password", where=self._where, hint="check the DSN")
            missing = error.code in (_NO_TABLE, _NO_DATABASE)
            hint = "check the name; `aupstream up` and `aupstream run` make our tables" if missing else ""
            return ServerError(f"ClickHouse refuses (code {error.code}): {text}", where=self._where, hint=hint)
        if isinstance(error, NetworkError | SocketTimeoutError | OSError | EOFError):
            return ServerError(f"ClickHouse does not answer: {error}", where=self._where, hint="is it running?")
        if isinstance(error, Error) and (told := of_the_values(error, self._where)) is not None:
            return told
        return ServerError(f"the connection to ClickHouse broke: {error}", where=self._where)

    def close(self) -> None:
        """Close the connection."""
        self._client.disconnect()


def _with(dsn: str, settings: Mapping[str, object]) -> str:
    mark = "&" if "?" in dsn else "?"
    return dsn + mark + "&".join(f"{k}={v}" for k, v in settings.items() if f"{k}=" not in dsn)


__all__ = ["USER", "Store", "dsn_of", "embedded"]
