"""The row of a login event, as the auth log's parsers and FreeRADIUS make it."""

from __future__ import annotations

from typing import Any, TypedDict

from streams.normalisers.addresses import account
from streams.normalisers.lines import Fields

LOGIN_COLUMNS = (
    "event_dataset",
    "event_action",
    "event_outcome",
    "event_reason",
    "user_name",
    "user_domain",
    "user_known",
    "source_ip",
    "source_port",
    "source_mac",
    "source_domain",
    "login_method",
    "service_name",
    "session_id",
    "access_point",
    "nas_port",
    "terminal_name",
    "key_fingerprint",
    "target_user_name",
)

_COUNT = len(LOGIN_COLUMNS)
_AT = {name: index for index, name in enumerate(LOGIN_COLUMNS)}
_SERVICE = LOGIN_COLUMNS.index("service_name")
MAX_REASON = 200  # characters: a reason is a phrase; beyond it is what somebody else sent


class LoginFields(TypedDict, total=False):
    """Columns beside dataset, action and outcome."""

    event_reason: str | None
    user_name: str | None
    user_domain: str | None
    user_known: bool | None
    source_ip: str | None
    source_port: int | None
    source_mac: str | None
    source_domain: str | None
    login_method: str | None
    session_id: str | None
    access_point: str | None
    nas_port: str | None
    terminal_name: str | None
    key_fingerprint: str | None
    target_user_name: str | None


def login_row(dataset: str, action: str, outcome: str, service: str | None, fields: LoginFields) -> Fields:
    """A row in the order of `LOGIN_COLUMNS`; a `user_name` with a realm is split, a reason is cut at `MAX_REASON`."""
    row: list[Any] = [None] * _COUNT
    row[0], row[1], row[2], row[_SERVICE] = dataset, action, outcome, service
    for name, value in fields.items():
        row[_AT[name]] = value
    user, reason = row[4], row[3]
    if user is not None and row[5] is None and ("@" in user or "\\" in user):
        row[4], row[5] = account(user)
    if reason is not None and len(reason) > MAX_REASON:
        row[3] = reason[:MAX_REASON]
    return tuple(row)
