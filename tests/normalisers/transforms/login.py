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


def _without_year(text: str) -> Any:
    """Month, day, hour, minute and second of `2021-05-28T18:08:01.124Z`, `-01-07T…`, `Mon Jun 8 12:08:53 2020`."""
    named = re.match(r"(?:[A-Z][a-z]{2} )?([A-Z][a-z]{2}) +(\d+) (\d\d):(\d\d):(\d\d)", text)
    if named is not None:
        month = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split().index(named[1]) + 1
        return (month, *map(int, named.groups()[1:]))
    numbers = re.search(r"-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)", text)
    return NOT_STATED if numbers is None else tuple(map(int, numbers.groups()))


def _parts(ours: datetime | None) -> Any:
    return ours and (ours.month, ours.day, ours.hour, ours.minute, ours.second)


def _ldap_name(name: str) -> str:
    """`uid=bob,dc=example,dc=org` as `bob@example.org`; a name of several parts in one as it is."""
    first, *rest = name.split(",")
    if "+" in first or "=" not in first:
        return name
    return f"{first.partition('=')[2]}@{'.'.join(part[3:] for part in rest if part.startswith('dc='))}"


def _failed_words(text: str) -> Any:
    """`smb_failed_auth`, `auth_failed`: a failure; the name of a log alone states nothing."""
    return "failure" if "fail" in text or "invalid" in text or "attempt" in text else NOT_STATED


TRANSFORMS: dict[str, Transform] = {
    "ldap_name": (_ldap_name, lambda ours: ours),
    "ldap_action": words(
        BIND="login_step",
        ACCEPT="connection",
        CLOSE="disconnect",
        UNBIND="disconnect",
        RESULT="login",
        **{"BIND SASL": "login_step"},
    ),
    "ldap_status": words(Success="success"),
    "name_alone": (lambda text: text.partition("@")[0] or NOT_STATED, lambda ours: ours),
    "failed_words": (_failed_words, lambda ours: ours),
    "authelia_status": words(Successful="success", Unsuccessful="failure"),
    "without_year": (_without_year, _parts),
    "ftp_type": words(ftp_failed_auth="failure", **{"pftpd_failed-auth": "failure"}),
    "dovecot_message": (_dovecot_message, lambda ours: ours and ours.removeprefix("pam_authenticate() failed: ")),
    "dovecot_result": words(auth_failed="failure"),
    "keycloak_type": words(LOGIN="success", LOGIN_ERROR="failure"),
    "cas_type": words(**{"cas_failed-auth": "failure"}),
    "iso_comma": (lambda text: datetime.fromisoformat(text).replace(tzinfo=UTC), lambda ours: ours),
}
