"""Whom a violation is about, by its group key: who is accused, and who merely owns the device that was seen.

The owner of a device is no culprit: where the key is a device, it is because nobody could be named who was at it. An
account may even be the victim's, and then its rule says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from agents.context.district import District
from agents.context.inventory import Inventory
from agents.context.mac import normalise_mac
from agents.context.networks import parse_address
from agents.context.roster import STUDENT, Person
from agents.context.whose import person_of
from agents.rules.model import VICTIM

ABOUT: Final = ("person", "subject", "who", "user_name", "email_from_address", "source_mac")
"""Columns of a group key that say whom a violation is about."""


@dataclass(frozen=True, slots=True)
class Concerned:
    """Accounts, as far as they are known, each once.

    Attributes:
        accused: Whom it says to have done it.
        owners: Whose the devices are that it names in place of somebody.
        victims: Whom it was done to: they may be told.
        people: The accused that the roster knows; where nobody is accused, students who own such a device, since their
            building looks after both.
    """

    accused: tuple[str, ...]
    owners: tuple[str, ...]
    victims: tuple[str, ...]
    people: tuple[Person, ...]

    @property
    def barred(self) -> tuple[str, ...]:
        """Who is not told, nor who reports to them: one of them may have done it."""
        return tuple(dict.fromkeys((*self.accused, *self.owners)))


def concerned(violation: Mapping[str, Any], district: District, inventory: Inventory) -> Concerned:
    """Whom a violation (schema `violation`) is about."""
    accused: list[str] = []
    owners: list[str] = []
    for column in ABOUT:
        value = violation["group_key"].get(column, "").strip().lower()
        mac = normalise_mac(value)
        if mac is not None:
            device = inventory.device(mac)
            owners += account_of(district, device.owner) if device is not None else ()
        elif parse_address(value) is None:
            accused += account_of(district, value)
    if violation.get("about") == VICTIM:
        return Concerned((), tuple(dict.fromkeys(owners)), tuple(dict.fromkeys(accused)), ())
    roster = district.roster
    listed = [p for a in dict.fromkeys(accused) if (p := roster.person(a)) is not None]
    pupils = [p for a in dict.fromkeys(owners) if (p := roster.person(a)) is not None and STUDENT in p.roles]
    people = listed if accused else pupils
    return Concerned(tuple(dict.fromkeys(accused)), tuple(dict.fromkeys(owners)), (), tuple(people))


def account_of(district: District, name: str) -> tuple[str, ...]:
    """Account of a name: by the roster, else as it stands or what stands before the `@`; none for one of elsewhere."""
    if "@" not in name:
        person = person_of(district, name)
        account = name.strip().lower() if person is None else person.account
        return (account,) if account else ()
    # Surely theirs: who is told of a violation as somebody's supervisor must not be told of another person.
    account = district.account_of(name.strip())
    known = district.is_internal_address(name.strip()) or district.roster.person(account) is not None
    return (account,) if known else ()
