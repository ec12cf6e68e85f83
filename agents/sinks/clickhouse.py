"""ClickHouse as an idempotent store: what is written twice merges into one row.

Events and dead letters go in as the very Avro containers they travelled in: the server decodes them, this process only
passes bytes on. Works on any ClickHouse from 24 on; the DSN is the only difference.
"""

from __future__ import annotations

import base64
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from clickhouse_driver import Client
from clickhouse_driver.errors import (
    CannotParseDomainError,
    CannotParseUuidError,
    Error,
    NetworkError,
    ServerException,
    SocketTimeoutError,
    TooLargeStringSize,
    TypeMismatchError,
    UnknownTypeError,
)
from tenacity import RetryCallState, Retrying, before_sleep_log, retry_if_exception_type, wait_random_exponential
from tenacity.stop import stop_when_event_set

from agents.privacy.pseudonyms import Sealed
from agents.sinks import patience
from schemas import metrics as names
from schemas.errors import RetryableError, ServerError
from schemas.headers import Position
from schemas.ledger import FIELDS
from schemas.metrics import Metrics

log = logging.getLogger(__name__)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Codes that say that the server is not ready, or busy: the same statement may succeed later.
_TRANSIENT = frozenset({159, 160, 202, 203, 209, 210, 241, 242, 252, 999})
# What it says of the values themselves, by the names in ClickHouse's list of error codes: CANNOT_PARSE_TEXT 6,
# CANNOT_PARSE_INPUT_ASSERTION_FAILED 27, CANNOT_READ_ALL_DATA 33, CANNOT_PARSE_DATE 38, _DATETIME 41, TYPE_MISMATCH 53,
# ARGUMENT_OUT_OF_BOUND 69, CANNOT_CONVERT_TYPE 70, CANNOT_PARSE_NUMBER 72, INCORRECT_DATA 117,
# TOO_LARGE_STRING_SIZE 131, VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE 321, CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN 349,
# CANNOT_EXTRACT_TABLE_STRUCTURE 636, STD_EXCEPTION 1001 (what its Avro library throws).
_OF_DATA = frozenset({6, 27, 33, 38, 41, 53, 69, 70, 72, 117, 131, 321, 349, 636, 1001})
# What the driver says of the values themselves: it would say so every time.
_OF_VALUES = (UnknownTypeError, TypeMismatchError, CannotParseUuidError, CannotParseDomainError, TooLargeStringSize)
Rows = list[tuple[Any, ...]]


class RefusedValuesError(ServerError):
    """ClickHouse or its driver refuses the values that are to be written, whoever asks and however often."""


# Rows of one id are merged later like those of several inserts, not in the insert too: a fifth of its processor time.
_AS_THEY_ARE = {"optimize_on_insert": 0}
# Containers of earlier releases lack the newer columns.
_OLDER = {"input_format_avro_allow_missing_fields": 1}


def utc(microseconds: int) -> datetime:
    """A time as clickhouse-driver wants it."""
    return _EPOCH + timedelta(microseconds=microseconds)


def of_the_values(error: Error, where: str) -> ServerError | None:
    """What to say where the driver cannot read an answer or write values, however often it is asked; else None."""
    if not isinstance(error, _OF_VALUES):
        return None
    if not isinstance(error, UnknownTypeError):
        return RefusedValuesError(f"values do not fit the statement: {error.message}", where=where)
    hint = "give the column one plain type, such as toFloat64(…) in each part of a UNION ALL, or toString(…)"
    return ServerError(f"the answer has a column that cannot be read: {error.message}", where=where, hint=hint)


class ClickHouse:
    """One connection, used from one thread at a time. Waits for ever while the server is away, until told to stop.

    Args:
        dsn: clickhouse-driver DSN.
        stop: Set to give up waiting; the call then raises `RetryableError`.
        metrics: Counted into.
    """

    def __init__(self, dsn: str, stop: threading.Event, metrics: Metrics | None = None) -> None:
        self._dsn, self._stop, self._metrics = dsn, stop, metrics or Metrics()
        self._client: Client | None = None
        self._retrying = Retrying(
            retry=retry_if_exception_type((RetryableError,)),
            wait=wait_random_exponential(multiplier=0.2, max=5),
            stop=stop_when_event_set(stop),
            before_sleep=self._again,
            reraise=True,
        )

    def _again(self, state: RetryCallState) -> None:
        patience.waits(self)
        self._metrics.add(names.STORE_RETRIES)
        before_sleep_log(log, logging.WARNING)(state)

    def count(self, table: str, rows: int) -> None:
        """Rows of a table are confirmed."""
        self._metrics.add(names.ROWS_WRITTEN, rows, table=table)

    def execute(self, query: str, data: object = None, **options: Any) -> Any:
        """Run a statement, again and again while the server is away or busy.

        Raises:
            ServerError: the server refuses the statement, or the driver the values or the types of its columns.
            RetryableError: told to stop while waiting.
        """
        try:
            return self._retrying(self._once, query, data, options)
        finally:
            patience.waits_no_more(self)

    def _once(self, query: str, data: object, options: Mapping[str, Any]) -> Any:
        try:
            if self._client is None:
                self._client = Client.from_url(self._dsn)
            return self._client.execute(query, data, **options)
        except ServerException as error:
            message = f"ClickHouse refuses with code {error.code}: {str(error.message)[:500]}"
            if error.code in _TRANSIENT:
                self._drop()
                raise RetryableError(message, where=query[:80]) from error
            refused = RefusedValuesError if error.code in _OF_DATA else ServerError
            raise refused(message, where=query[:80]) from error
        except (NetworkError, SocketTimeoutError, EOFError, OSError) as error:
            self._drop()
            raise RetryableError(f"ClickHouse does not answer: {error}", hint="it is tried again") from error
        except Error as error:
            self._drop()
            never = of_the_values(error, query[:80])
            if never is not None:
                raise never from error
            raise RetryableError(f"the connection to ClickHouse broke: {error}", hint="it is tried again") from error

    def _drop(self) -> None:
        if self._client is not None:
            self._client.disconnect()
            self._client = None

    def insert_containers(
        self, table: str, columns: Mapping[str, str], containers: Sequence[tuple[bytes, Position | None]]
    ) -> None:
        """Insert the rows of Avro containers in one statement; of each those after a position only (None: all).

        A container that an earlier release wrote lacks the newer columns: they get their types' defaults.

        Args:
            table: Where to.
            columns: Names and types, of the table.
            containers: Their bytes, and the position after which rows are new.
        """
        names = ", ".join(columns)
        structure = ", ".join(f"{name} {kind}" for name, kind in columns.items()).replace("'", "\\'")
        parts = []
        for container, after in containers:
            new = "" if after is None else f" WHERE (log_offset, log_sub) > ({after.offset}, {after.sub})"
            body = base64.b64encode(container).decode("ascii")
            # The statement is made of base64 and our own names only.
            parts.append(f"SELECT {names} FROM format('Avro', '{structure}', base64Decode('{body}')){new}")  # noqa: S608
        query = f"INSERT INTO {table} ({names}) {' UNION ALL '.join(parts)}"
        self.execute(
            query, settings={"max_query_size": len(query) + 10_000, "max_threads": 1, **_AS_THEY_ARE, **_OLDER}
        )

    def insert_rows(self, table: str, columns: Sequence[str], rows: Rows) -> None:
        """Insert rows of plain values."""
        if rows:
            self.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES", rows)
            self.count(table, len(rows))

    def close(self) -> None:
        """Give up the connection."""
        self._drop()


_VIOLATION = (
    "id version rule_id rule_version rule_title clause policy severity status state group_key count value "
    "value_lower_bound permit evidence_dropped incomplete timeline related"
).split()
_TIMES = ("first_seen", "last_seen", "opened_at", "closed_at")
_EVIDENCE = "event_id base log_source log_generation log_offset log_hash summary facts".split()


def insert_violations(store: ClickHouse, records: Iterable[Mapping[str, Any]]) -> None:
    """Insert violation versions and their evidence; evidence first, so that what can be seen has its evidence."""
    violations: Rows = []
    evidence: Rows = []
    for r in records:
        times = [None if r[name] is None else utc(r[name]) for name in _TIMES]
        limits = [[t[part] for t in r["thresholds"]] for part in ("name", "limit", "value")]
        violations.append((*(r[name] for name in _VIOLATION), bool(r.get("shadow")), *times, *limits))
        for number, e in enumerate(r["evidence"]):
            parts = (e[name] for name in _EVIDENCE)
            evidence.append((r["id"], r["version"], number, utc(r["first_seen"]), utc(e["timestamp"]), *parts))
    heads = ("violation_id", "violation_version", "number", "first_seen", "timestamp")
    store.insert_rows("evidence", (*heads, *_EVIDENCE), evidence)
    names = ("threshold_names", "threshold_limits", "threshold_values")
    store.insert_rows("violations", (*_VIOLATION, "shadow", *_TIMES, *names), violations)


def insert_names(store: ClickHouse, names: Iterable[Sealed]) -> None:
    """Insert sealed names; those that are there already merge."""
    columns = ("pseudonym", "kind", "key_id", "sealed")
    store.insert_rows("sealed_names", columns, [(n.pseudonym, n.kind, n.key_id, n.sealed) for n in names])


def insert_ledger(store: ClickHouse, records: Iterable[Mapping[str, Any]]) -> None:
    """Insert ledger records, whole."""
    store.insert_rows("ledger", FIELDS, [tuple(r[name] for name in FIELDS) for r in records])


def wait_until_ready(store: ClickHouse, say: Callable[[str], None]) -> None:
    """Block until the server answers."""
    say("waiting for ClickHouse")
    store.execute("SELECT 1")
