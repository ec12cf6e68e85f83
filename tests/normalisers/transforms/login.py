"""Transforms of login samples."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from tests.normalisers.transforms.common import NOT_STATED, Transform, words


def _dovecot_message(text: str) -> Any:
    """The phrase in brackets of a disconnect; nothing for a login; without the password that was given."""
    inner = re.search(r"\(((?:auth failed|no auth)[^)]*)\)", text)
    if inner is not None:
        return inner[1]
    return NOT_STATED if text.endswith("Login") else re.sub(r" \([^()]*given password.*", "", text)


TRANSFORMS: dict[str, Transform] = {
    "dovecot_message": (_dovecot_message, lambda ours: ours and ours.removeprefix("pam_authenticate() failed: ")),
    "dovecot_result": words(auth_failed="failure"),
    "keycloak_type": words(LOGIN="success", LOGIN_ERROR="failure"),
    "cas_type": words(**{"cas_failed-auth": "failure"}),
    "iso_comma": (lambda text: datetime.fromisoformat(text).replace(tzinfo=UTC), lambda ours: ours),
}
