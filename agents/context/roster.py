"""The roster: the people of the district, what they are, where, and who answers for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from agents.context.csvfile import raise_all, read_text, rows
from agents.context.versions import content_version
from schemas.errors import ConfigError

COLUMNS = ("account", "roles")
OPTIONAL = ("mail", "site", "supervisor", "classes", "guardians", "active")
STUDENT, PRINCIPAL, SERVICE = "student", "principal", "service"
_INACTIVE = frozenset({"no", "false", "0", "inactive"})
_ACTIVE = frozenset({"", "yes", "true", "1", "active"})


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account.

    Attributes:
        account: Lower case, without domain: as group keys spell it.
        roles: Lower case: student, teacher, principal, it, security, health, counselor, substitute, service …
        mail: Addresses, lower case; the first is the main one.
        site: Building; empty where not said.
        supervisor: Account of who they report to; empty where not said.
        classes: Ids of the classes that they teach or are enrolled in.
        guardians: Accounts or mail addresses of a student's guardians, lower case; whose they are, `person_of` says.
        active: False for who has left.
    """

    account: str
    roles: tuple[str, ...]
    mail: tuple[str, ...] = ()
    site: str = ""
    supervisor: str = ""
    classes: frozenset[str] = frozenset()
    guardians: tuple[str, ...] = ()
    active: bool = True

    @property
    def is_human(self) -> bool:
        """False for an account of a machine or a service."""
        return SERVICE not in self.roles


class Supplement(Protocol):
    """What else is known of the people of a roster."""

    def merge(self, people: Sequence[Person], ids: Mapping[str, str], errors: list[ConfigError]) -> list[Person]:
        """The same people, in their order; see `agents.context.rosterroles`."""


@dataclass(frozen=True)
class Roster:
    """Everybody, by account.

    Attributes:
        people: By account, lower case.
        present: False where the district gave no roster: then nobody's role is known.
    """

    people: Mapping[str, Person] = field(default_factory=lambda: MappingProxyType({}))
    present: bool = False

    @staticmethod
    def of(people: Iterable[Person]) -> Roster:
        """A roster of people whose accounts are spelled already."""
        return Roster(MappingProxyType({p.account: p for p in people}), present=True)

    @staticmethod
    def read(path: Path, more: Supplement | None = None) -> Roster:
        """Read a CSV file with the columns `account,roles` and, where wanted, those of `OPTIONAL`.

        Several roles, addresses, classes or guardians are parted by semicolons.

        Args:
            path: The file.
            more: What else is known of these people.

        Raises:
            ConfigError: the file cannot be read.
            Errors: of `ConfigError`, every row that is wrong; nothing is taken from such a file.
        """
        return Roster.parse(read_text(path), str(path), more)

    @staticmethod
    def parse(text: str, file: str, more: Supplement | None = None) -> Roster:
        """`read` from a text; `file` is its name in errors."""
        errors: list[ConfigError] = []
        people: list[Person] = []
        places: list[str] = []
        for where, row in rows(text, file, COLUMNS, errors, optional=OPTIONAL):
            before = len(errors)
            person = _person(row, where, errors)
            if len(errors) == before:
                people.append(person)
                places.append(where)
        people = people if more is None else more.merge(people, {}, errors)
        check(people, places, errors)
        raise_all(errors)
        return Roster.of(people)

    def at_sites(self, names: Mapping[str, str]) -> Roster:
        """The same people, their buildings called by the district's names.

        Args:
            names: A site's name by another name of it.
        """
        if not names or not any(person.site in names for person in self.people.values()):
            return self
        people = {a: replace(p, site=names.get(p.site, p.site)) for a, p in self.people.items()}
        return Roster(MappingProxyType(people), self.present)

    @cached_property
    def version(self) -> str:
        """12 hexadecimal digits of a hash of its content."""
        listed = [
            [
                p.account,
                list(p.roles),
                list(p.mail),
                p.site,
                p.supervisor,
                sorted(p.classes),
                list(p.guardians),
                p.active,
            ]
            for _, p in sorted(self.people.items())
        ]
        return content_version([self.present, listed])

    @cached_property
    def _by_mail(self) -> Mapping[str, Person]:
        return {address: person for person in self.people.values() for address in person.mail}

    @cached_property
    def principals(self) -> Mapping[str, tuple[str, ...]]:
        """Accounts of the principals by building."""
        found: dict[str, tuple[str, ...]] = {}
        for person in self.people.values():
            if PRINCIPAL in person.roles and person.active and person.site:
                found[person.site] = (*found.get(person.site, ()), person.account)
        return found

    @cached_property
    def supervisors(self) -> frozenset[str]:
        """Accounts that somebody reports to."""
        return frozenset(p.supervisor for p in self.people.values() if p.supervisor and p.active)

    def person(self, account: str) -> Person | None:
        """Who has an account, spelled as in a group key; None for nobody that is listed."""
        return self.people.get(account)

    def by_mail(self, address: str) -> Person | None:
        """Whose mail address it is; in any case."""
        return self._by_mail.get(address.strip().lower())

    def teaches(self, one: str, other: str) -> bool:
        """True where two accounts have a class in common."""
        first, second = self.people.get(one), self.people.get(other)
        return first is not None and second is not None and bool(first.classes & second.classes)

    def reports_to(self, account: str, boss: str) -> bool:
        """True where an account's supervisors, theirs and so on include another."""
        seen: set[str] = set()
        person = self.people.get(account)
        while person is not None and person.supervisor and person.account not in seen:
            if person.supervisor == boss:
                return True
            seen.add(person.account)
            person = self.people.get(person.supervisor)
        return False


def check(people: list[Person], places: list[str], errors: list[ConfigError]) -> None:
    """Note what people contradict each other in: accounts and addresses that stand twice, supervisors that are nobody.

    Args:
        people: Everybody.
        places: file:line of each.
        errors: Where it goes.
    """
    accounts: dict[str, str] = {}
    addresses: dict[str, str] = {}
    for person, where in zip(people, places, strict=True):
        for what, one, first in (
            ("account", [person.account], accounts),
            ("mail address", person.mail, addresses),
        ):
            for name in one:
                other = first.setdefault(name, where)
                if other != where:
                    errors.append(
                        ConfigError(f"{what} {name!r} stands at {other} already", where=where, hint="keep one of them")
                    )
    by_account = {person.account: person for person in people}
    for person, where in zip(people, places, strict=True):
        if person.supervisor and person.supervisor not in by_account:
            hint = "add them, or leave the supervisor empty"
            errors.append(
                ConfigError(f"supervisor {person.supervisor!r} is nobody in this roster", where=where, hint=hint)
            )
        elif person.supervisor and _circle(person, by_account):
            errors.append(
                ConfigError(
                    f"{person.account!r} reports to themselves in the end", where=where, hint="break the circle"
                )
            )


def _circle(person: Person, people: Mapping[str, Person]) -> bool:
    seen: set[str] = set()
    at: Person | None = person
    while at is not None and at.account not in seen:
        seen.add(at.account)
        at = people.get(at.supervisor)
    return at is not None and at.account == person.account


def listed(text: str) -> tuple[str, ...]:
    """Parts of a cell, parted by semicolons, lower case, each once."""
    return tuple(dict.fromkeys(part for one in text.split(";") if (part := one.strip().lower())))


def _person(row: Mapping[str, str], where: str, errors: list[ConfigError]) -> Person:
    account, roles = row["account"].lower(), listed(row["roles"])
    if not account or "@" in account or "\\" in account:
        hint = "write the account without its domain; addresses go under `mail`"
        errors.append(ConfigError(f"{row['account']!r} is no account", where=where, hint=hint))
    if not roles:
        errors.append(ConfigError(f"{account!r} has no role", where=where, hint="such as student, teacher or staff"))
    mail = listed(row["mail"])
    wrong = [address for address in mail if address.count("@") != 1]
    hint = "part several by semicolons"
    errors += [ConfigError(f"{address!r} is no mail address", where=where, hint=hint) for address in wrong]
    active = row["active"].lower()
    if active not in _INACTIVE | _ACTIVE:
        errors.append(ConfigError(f"active is {row['active']!r}", where=where, hint="write yes or no"))
    return Person(
        account,
        roles,
        mail,
        row["site"],
        row["supervisor"].lower(),
        frozenset(listed(row["classes"])),
        listed(row["guardians"]),
        active not in _INACTIVE,
    )
