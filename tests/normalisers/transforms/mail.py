"""Transforms of mail samples."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime
from typing import Any

from streams.normalisers.mail.parts import subject_facts
from tests.normalisers.transforms.common import NOT_STATED, Transform, words


def _text(value: Any) -> Any:
    return NOT_STATED if value in (None, "", "-") else str(value)


def _hash(value: Any) -> Any:
    return NOT_STATED if value in (None, "", "-") else subject_facts(str(value), keep=False)["email_subject_hash"]


def _user_or_recipient(joined: str | None) -> Any:
    """Of `user_name:email_to_address`: the user, else the first recipient."""
    user, _, recipients = (joined or "").rpartition(":[")
    found: list[str] = ast.literal_eval(f"[{recipients}" if recipients[:1] != "[" else recipients)
    return user or (found[0] if found else None)


def _utc(form: str) -> Any:
    return lambda text: datetime.strptime(str(text), form).replace(tzinfo=UTC)


TRANSFORMS: dict[str, Transform] = {
    "iso_slashes": (_utc("%Y/%m/%d %H:%M:%S"), lambda ours: ours and ours.replace(microsecond=0)),
    "iso_minute": (_utc("%Y-%m-%d %H:%M"), lambda ours: ours and ours.replace(second=0, microsecond=0)),
    "behind_codes": (_text, lambda ours: ours and re.sub(r"^\d{3} [\d.]+ ", "", ours)),
    "amavis_category": words(INFECTED="virus"),
    "crowdsec_sub_type": words(auth_fail="failure", auth_success="success"),
    "first_of_list": (_text, lambda ours: ours[0] if ours else None),
    "subject_hash": (_hash, lambda ours: ours),
    "user_or_recipient": (_text, _user_or_recipient),
    "exchange_event": words(**{"SUBMIT": "submitted", "1019": "received", "1027": "submitted"}),
    "exim_log_type": words(exim_failed_auth="failure", **{"spam-attempt": "failure"}),
}
