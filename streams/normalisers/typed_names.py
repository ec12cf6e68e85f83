"""Passwords that somebody typed where the user name goes: masked in the events of every format, by one rule.

Few servers say that an account does not exist. So in a login that failed, or a request that a proxy or web server
answered with "authenticate first" (401, 407), a name that looks like a password is masked, unless the server is one
that says which accounts do not exist and said nothing of this one. A login that succeeds keeps its name whatever it
looks like: it is one.
"""

from __future__ import annotations

import re

import polars as pl

from schemas.kinds import EventKind
from streams.normalisers.masking import MASK, looks_like_password

_SAY = ("openssh", "pam", "windows_security", "entra_signin", "samba", "okta", "keycloak")
"""Datasets whose every refusal of an unknown account says so (`user_known` false): no other name there is a guess."""

_COLUMNS = ("user_name", "user_domain", "event_reason")
_MAYBE = r"[^A-Za-z0-9._\-]|[A-Z].*[0-9]|[0-9].*[A-Z]|.{24}"
"""For the `regex` engine of Polars: what every name that looks like a password has."""

_WINDOWS_DOMAIN = re.compile(r"[A-Z][A-Z0-9\-_]{0,14}\Z", re.ASCII)  # of NetBIOS, parted from its name by a backslash


def mask_typed_names(frame: pl.DataFrame, kind: EventKind) -> pl.DataFrame:
    """The events with such names masked, in the user's column and where the reason repeats them.

    Args:
        frame: Events of the kind, all its columns.
        kind: Kind of event; those of DHCP and mail name nobody who logs in.
    """
    if kind is EventKind.LOGIN:
        guess = pl.col("user_known").eq_missing(False) | ~pl.col("event_dataset").is_in(_SAY)
        failed = (pl.col("event_outcome") == "failure") & guess
    elif kind is EventKind.PROXY:
        failed = pl.col("http_response_status_code").is_in([401, 407])
    else:
        return frame
    maybe = failed & (pl.col("user_name").str.contains(_MAYBE) | pl.col("user_domain").is_not_null())
    rows = frame.select(maybe.fill_null(value=False).arg_true()).to_series()
    if not len(rows):
        return frame
    kept = frame.select(_COLUMNS)
    changed = [_masked(*row) for row in kept[rows].iter_rows()]
    return frame.with_columns(
        kept[name].scatter(rows, [values[at] for values in changed]) for at, name in enumerate(_COLUMNS)
    )


def _masked(name: str | None, domain: str | None, reason: str | None) -> tuple[str | None, str | None, str | None]:
    """Name, domain and reason as they may be kept."""
    typed = name or ""
    if " " in typed:  # an attempt to forge a line must stay readable
        return name, domain, reason
    if not looks_like_password(typed):
        typed = f"{name}@{domain}"  # P@ssw0rd was parted at its sign
        if name is None or not domain or _WINDOWS_DOMAIN.match(domain) or not looks_like_password(typed):
            return name, domain, reason
        domain = None
    return MASK, domain, reason and reason.replace(typed, MASK)
