"""What of an event goes into the evidence of a violation."""

from __future__ import annotations

import polars as pl

from agents.engine.jsoncolumns import json_objects
from schemas.kinds import EventKind

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
        "recipients_outside", "email_size",
    ),
    EventKind.LOGIN: (
        "event_action", "event_outcome", "user_name", "user_domain", "source_ip", "source_mac", "source_site",
        "source_device_kind", "access_point", "service_name", "login_method", "observer_hostname",
    ),
}  # fmt: skip


def summaries(frame: pl.DataFrame, kind: EventKind) -> pl.Series:
    """JSON object of each row's evidence columns, keys sorted, what is null left out."""
    return json_objects(frame, {c: c for c in SUMMARY_COLUMNS[kind] if c in frame.columns}).alias("summary")
