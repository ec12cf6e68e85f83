"""Accounts of mail and file servers, which are mail addresses as often as not."""

from __future__ import annotations

from streams.normalisers.addresses import account
from streams.normalisers.login.login_fields import LoginFields
from streams.normalisers.masking import masked_user


def put_account(fields: LoginFields, name: str | None, *, unknown: bool = False) -> None:
    """Put an account into an event, its domain in lower case; a name that no account has is masked where needed."""
    if not name:
        return
    if unknown:
        fields["user_known"] = False
        name = masked_user(name)
    if "@" in name or "\\" in name:
        user, domain = account(name)
        fields["user_name"], fields["user_domain"] = user, domain and (domain if "\\" in name else domain.lower())
    else:
        fields["user_name"] = name
