"""Transforms of mail samples."""

from __future__ import annotations

import ast
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


TRANSFORMS: dict[str, Transform] = {
    "first_of_list": (_text, lambda ours: ours[0] if ours else None),
    "subject_hash": (_hash, lambda ours: ours),
    "user_or_recipient": (_text, _user_or_recipient),
    "exchange_event": words(**{"SUBMIT": "submitted", "1019": "received", "1027": "submitted"}),
    "exim_log_type": words(exim_failed_auth="failure", **{"spam-attempt": "failure"}),
}
