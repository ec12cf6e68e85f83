"""Account names that are nobody's: of computers, of devices without a login, and those that hide who logs in."""

from __future__ import annotations

import re
from functools import lru_cache

from agents.context.mac import normalise_mac

MASKED_USER = "(masked)"  # what a normaliser writes where a password was typed as the user name: nobody
HIDDEN = ("", "anonymous", "anon", "eduroam", MASKED_USER)
_SEPARATED = re.compile(r"[:.-]")


def is_computer(name: str) -> bool:
    """True for the account of a computer: `host/lt1.schools.example` by 802.1X, `LT1$` or `lt1$@schools.example`."""
    bare = name.strip().lower().rpartition("\\")[2]
    return bare.startswith("host/") or bare.partition("@")[0].endswith("$")


def is_hidden(name: str) -> bool:
    """True for the outer identity of a login whose name is told inside its tunnel only: `anonymous@realm`, `@realm`.

    RFC 7542, section 2.4: what stands before the @ may be left out, or be `anonymous`. Set-up programmes of roaming
    networks write `anon` and `eduroam`, too.
    """
    return name.strip().lower().rpartition("\\")[2].partition("@")[0] in HIDDEN


def is_device(name: str, mac: str | None = None) -> bool:
    """True where a device gave its hardware address as its name: MAC authentication bypass.

    Twelve digits without a letter may be somebody's number, unless they are the device's very address.

    Args:
        name: As logged.
        mac: Hardware address of the login, lower case with colons; None where it is not logged.
    """
    bare = name.strip().lower().rpartition("\\")[2].partition("@")[0]
    found = normalise_mac(bare)
    return found is not None and (found == mac or bool(_SEPARATED.search(bare)) or not bare.isdecimal())


@lru_cache(maxsize=65_536)
def is_nobody(name: str, mac: str | None = None) -> bool:
    """True for any account name that says nothing of who it is."""
    return is_computer(name) or is_hidden(name) or is_device(name, mac)
