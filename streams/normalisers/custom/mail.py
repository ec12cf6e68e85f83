"""The parallel lists of a mail event of one's own: what the format leaves out is filled up to their common length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from schemas.kinds import EventKind
from streams.normalisers.columns import event_columns
from streams.normalisers.records import Fact

_STATUS = {"success": "sent", "failure": "bounced"}
_RECIPIENT: dict[str, Any] = {
    "email_to_original_address": "",
    "email_to_dsn": "",
    "email_to_relay": "",
    "email_to_filter": False,
    "email_to_attempts": 1,
}
_ATTACHMENT: dict[str, Any] = {
    "email_attachment_type": "",
    "email_attachment_hash": "",
    "email_attachment_size": -1,
}
_LISTS = tuple(name for name, dtype in event_columns(EventKind.MAIL).items() if isinstance(dtype, pl.List))


def mail_columns(facts: Sequence[Fact]) -> dict[str, list[Any]]:
    """Columns of mail events. A recipient without a status has that of the message: `sent`, `bounced` or `accepted`."""
    whole = [_whole(fact) for fact in facts]
    names = {name for fact in whole for name in fact}
    return {name: [fact.get(name, [] if name in _LISTS else None) for fact in whole] for name in names}


def _whole(fact: Fact) -> Fact:
    status = _STATUS.get(str(fact.get("event_outcome")), "accepted")
    recipients, names = fact.get("email_to_address", []), fact.get("email_attachment_name", [])
    made: Fact = {"email_complete": True, **fact}
    for column, usual in {"email_to_status": status, **_RECIPIENT}.items():
        made[column] = _of_length(fact.get(column, []), len(recipients), usual)
    for column, usual in _ATTACHMENT.items():
        made[column] = _of_length(fact.get(column, []), len(names), usual)
    return made


def _of_length(given: list[Any], length: int, usual: Any) -> list[Any]:
    """A list cut or filled; one value for several is meant for all of them."""
    if len(given) == 1 and length > 1:
        given = given * length
    return (given + [usual] * length)[:length]
