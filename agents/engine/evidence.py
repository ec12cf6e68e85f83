"""What of an event goes into the evidence of a violation."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import polars as pl

from agents.engine.jsoncolumns import json_objects
from schemas.kinds import EventKind

FIRST_LINE = "timestamp_first"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Enough to find and understand the line, and no more: no recipients by name, no full URLs with queries.
SUMMARY_COLUMNS: dict[EventKind, tuple[str, ...]] = {
    EventKind.PROXY: (
        "source_ip", "source_mac", "user_name", "http_request_method", "url_domain", "url_path",
        "http_response_status_code", "http_response_mime_type", "proxy_result", "proxy_category",
    ),
    EventKind.DHCP: (
        "event_action", "source_mac", "source_ip", "host_name", "dhcp_relay_ip", "dhcp_network", "source_site",
    ),
    EventKind.MAIL: (
        "email_from_address", "email_message_id", "email_local_id", "user_name", "source_ip", "recipients_internal",
        "recipients_outside", "email_lists", "email_size", "timestamp_first",
    ),
    EventKind.LOGIN: (
        "event_action", "event_outcome", "user_name", "user_domain", "source_ip", "source_mac", "source_site",
        "source_device_kind", "access_point", "service_name", "login_method", "observer_hostname",
    ),
}  # fmt: skip


def summaries(frame: pl.DataFrame, kind: EventKind) -> pl.Series:
    """JSON object of each row's evidence columns, keys sorted, what is null left out."""
    if FIRST_LINE in frame.columns:
        frame = frame.with_columns(pl.col(FIRST_LINE).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"))
    return json_objects(frame, {c: c for c in SUMMARY_COLUMNS[kind] if c in frame.columns}).alias("summary")


def acted_at(summary: str, t_us: int) -> int:
    """When what a row tells of was done, microseconds UTC: a joined event is done by its first line.

    Args:
        summary: As `summaries` gives it.
        t_us: The event's own time, for all that was not joined.
    """
    first = json.loads(summary).get(FIRST_LINE) if FIRST_LINE in summary else None
    return t_us if first is None else (datetime.fromisoformat(first) - _EPOCH) // timedelta(microseconds=1)
