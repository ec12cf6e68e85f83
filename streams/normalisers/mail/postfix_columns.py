"""Mail events as they are made, and the frame that they become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from schemas.kinds import EventKind
from streams.normalisers.columns import empty_frame, event_frame

DATASET = "postfix"

Recipient = tuple[str, str, str, str, bool, int]
"""What is known of a recipient: original address, status, dsn, relay, hand-over to a filter, attempts."""


class MailRow(NamedTuple):
    """The columns of one event that hold one value each. Times in microseconds UTC."""

    timestamp: int
    event_action: str
    event_outcome: str
    event_reason: str | None
    observer_hostname: str | None
    process_name: str | None
    process_pid: int | None
    log_sub: int
    timestamp_first: int | None
    email_message_id: str | None
    email_local_id: str | None
    email_from_address: str | None
    email_size: int | None
    email_recipient_count: int | None
    email_subject_hash: str | None
    email_subject: str | None
    source_ip: str | None
    source_port: int | None
    source_domain: str | None
    user_name: str | None
    login_method: str | None
    email_helo: str | None
    email_protocol: str | None
    email_complete: bool
    line: int


_RECIPIENT_COLUMNS = {
    "email_to_original_address": pa.large_string(),
    "email_to_status": pa.large_string(),
    "email_to_dsn": pa.large_string(),
    "email_to_relay": pa.large_string(),
    "email_to_filter": pa.bool_(),
    "email_to_attempts": pa.int32(),
}


FIELDS = (
    *(name for name in MailRow._fields if name not in ("line", "log_sub")),
    "event_dataset",
    "log_offsets",
    "email_to_address",
    *_RECIPIENT_COLUMNS,
)
"""Columns that an event of Postfix can have."""


class Events:
    """The events of one chunk, in the order in which they are added."""

    def __init__(self) -> None:
        self._rows: list[MailRow] = []
        self._offsets: list[int] = []
        self._lines: list[int] = []  # number of offsets of each event
        self._addresses: list[str] = []
        self._recipients: list[Recipient] = []
        self._counts: list[int] = []  # number of recipients of each event

    def add(self, row: MailRow, offsets: Sequence[int], recipients: Mapping[str, Recipient]) -> None:
        """One more event: its single values, the places of its lines, and its recipients by address."""
        self._rows.append(row)
        self._offsets.extend(offsets)
        self._lines.append(len(offsets))
        self._addresses.extend(recipients)
        self._recipients.extend(recipients.values())
        self._counts.append(len(recipients))

    def frame(self) -> pl.DataFrame:
        """The events as a frame with the columns of the kind."""
        if not self._rows:
            return empty_frame(EventKind.MAIL)
        values = zip(*self._rows, strict=True)
        columns: dict[str, Sequence[Any] | pl.Series] = dict(zip(MailRow._fields, values, strict=True))
        columns["event_dataset"] = pl.repeat(DATASET, len(self._rows), dtype=pl.String, eager=True)
        columns["log_offsets"] = _nested(self._offsets, self._lines, pa.int64())
        columns["email_to_address"] = _nested(self._addresses, self._counts, pa.large_string())
        by_column = zip(*self._recipients, strict=True) if self._recipients else [()] * len(_RECIPIENT_COLUMNS)
        for (name, kind), flat in zip(_RECIPIENT_COLUMNS.items(), by_column, strict=True):
            columns[name] = _nested(flat, self._counts, kind)
        return event_frame(EventKind.MAIL, columns)


def _nested(flat: Sequence[Any], counts: Sequence[int], kind: pa.DataType) -> pl.Series:
    """Lists as a column, by way of Arrow: ten times as fast as handing Polars one list a row."""
    ends = np.fromiter(accumulate(counts, initial=0), dtype=np.int64, count=len(counts) + 1)
    made = pl.from_arrow(pa.LargeListArray.from_arrays(pa.array(ends), pa.array(flat, type=kind)))
    assert isinstance(made, pl.Series)
    return made
