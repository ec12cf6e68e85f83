"""Whose a name is: an account, a mail address of the roster, with a tag, or one that only the account is known of."""

from __future__ import annotations

from collections.abc import Iterable

from agents.context.district import District
from agents.context.mac import normalise_mac
from agents.context.roster import Person


def person_of(district: District, name: str) -> Person | None:
    """Whose account or mail address it is. An address elsewhere is nobody's, whatever stands before its `@`.

    Without an `@` it is an account, else what stands before the `@` of somebody's address in the district.

    Args:
        district: Its roster and mail domains.
        name: As somebody wrote it.
    """
    roster, lowered = district.roster, name.strip().lower()
    for one in district.names_of_sender(lowered):
        if (found := roster.person(one) or roster.by_mail(one)) is not None:
            return found
    if "@" in lowered:
        return None
    return next((p for d in district.domains if (p := roster.by_mail(f"{lowered}@{d}")) is not None), None)


def spellings(district: District, name: str) -> tuple[str, ...]:
    """Every way in which others may write whom a name stands for, lower case; of a device its hardware address.

    What stands before the `@` of an address is one of them, unless it is somebody else's account.

    Args:
        district: Its roster and mail domains.
        name: An account, a mail address or a MAC address.
    """
    lowered = name.strip().lower()
    if (mac := normalise_mac(lowered)) is not None:
        return (mac,)
    person = person_of(district, lowered)
    found = dict.fromkeys((*district.names_of_sender(lowered), *_locals(district, lowered)))
    if person is None:
        return tuple(found)
    own = (one for one in found if "@" in one or district.roster.person(one) in (None, person))
    return tuple(dict.fromkeys((person.account, *own)))


def every_name(district: District, name: str) -> frozenset[str]:
    """`spellings`, and all addresses of who it is: for a search through what was recorded."""
    person = person_of(district, name)
    return frozenset(spellings(district, name)) | frozenset(() if person is None else person.mail)


def _locals(district: District, lowered: str) -> Iterable[str]:
    if "@" in lowered and district.is_internal_address(lowered):
        yield from (one.rpartition("@")[0] for one in district.names_of_sender(lowered) if "@" in one)
