"""Who is told of a violation: by its clause, its severity, and the role and building of whom it is about.

Never told are those whom it is about, and those who report to them. A student's violation goes to the principals of
that student's building, an employee's to the supervisor and to personnel, that of IT and security staff and of nobody
known to security. Where nobody is left of these, it goes to security; where security is whom it is about, to the
supervisors above them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from agents.context.district import District
from agents.context.inventory import Inventory
from agents.context.roster import STUDENT, Person
from agents.rules.shape import LEVELS

ABOUT: Final = ("person", "subject", "who", "user_name", "email_from_address", "source_mac")
"""Columns of a group key that say whom a violation is about."""

PRINCIPAL, SUPERVISOR, PERSONNEL, SECURITY = "principal", "supervisor", "personnel", "security"
WORDS = (PRINCIPAL, SUPERVISOR, PERSONNEL, SECURITY)
GUARDS = frozenset({"it", "security"})


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the routing table; the first whose every part fits is taken.

    Attributes:
        to: Words of `WORDS` and mail addresses.
        clauses: Clauses; empty for any.
        least: Severity from which on it holds.
        roles: Roles of whom it is about; empty for any.
        sites: Their buildings; empty for any.
    """

    to: tuple[str, ...]
    clauses: tuple[int, ...] = ()
    least: str = LEVELS[0]
    roles: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()

    def fits(self, violation: Mapping[str, Any], people: Sequence[Person]) -> bool:
        """True where a violation about some people goes this way."""
        if self.clauses and violation["clause"] not in self.clauses:
            return False
        if LEVELS.index(violation["severity"]) < LEVELS.index(self.least):
            return False
        if self.roles and not any(set(self.roles) & set(person.roles) for person in people):
            return False
        return not self.sites or any(person.site in self.sites for person in people)


DEFAULT = (
    Route((PRINCIPAL,), roles=(STUDENT,)),
    Route((SECURITY,), roles=tuple(sorted(GUARDS))),
)


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who is told.

    Attributes:
        address: Mail address.
        account: Account, where the roster has the address.
        why: principal, supervisor, personnel, security or `address`.
    """

    address: str
    account: str
    why: str


@dataclass(frozen=True, slots=True)
class Routed:
    """Where a violation goes.

    Attributes:
        about: Accounts of whom it is about, as far as they are known.
        recipients: Who is told, each once.
        withheld: Who would have been, and must not be.
    """

    about: tuple[str, ...]
    recipients: tuple[Recipient, ...]
    withheld: tuple[Recipient, ...]


@dataclass(frozen=True, slots=True)
class Router:
    """The routing table with the people that it is about.

    Attributes:
        district: Its people.
        inventory: Whose the devices are.
        routes: The district's own lines, before ours.
        teams: Mail addresses of `personnel` and `security`.
    """

    district: District
    inventory: Inventory
    routes: tuple[Route, ...] = ()
    teams: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def route(self, violation: Mapping[str, Any]) -> Routed:
        """Where a violation (schema `violation`) goes."""
        about = self.about(violation["group_key"])
        people = [person for account in about if (person := self.district.roster.person(account)) is not None]
        line = next((route for route in (*self.routes, *DEFAULT) if route.fits(violation, people)), None)
        to = line.to if line is not None else (SUPERVISOR, PERSONNEL) if people else (SECURITY,)
        told = self._found(to, people)
        if not any(self._may_know(one, about) for one in told):
            told += self._found((SECURITY,), people)
        if not any(self._may_know(one, about) for one in told):
            told += self._above(people, about)
        kept = [one for one in told if self._may_know(one, about)]
        withheld = [one for one in told if not self._may_know(one, about)]
        return Routed(about, _each_once(kept), _each_once(withheld))

    def about(self, group_key: Mapping[str, str]) -> tuple[str, ...]:
        """Accounts that a group key stands for: themselves, of a mail address its holder, of a device its owner."""
        found: list[str] = []
        for column in ABOUT:
            value = group_key.get(column, "").lower()
            if not value:
                continue
            device = self.inventory.device(value)
            listed = self.district.roster.by_mail(value) if "@" in value else self.district.roster.person(value)
            if device is not None:
                found += [device.owner.lower()] if device.owner else []
            elif listed is not None:
                found.append(listed.account)
            elif column in ("person", "user_name"):
                found.append(value)
        return tuple(dict.fromkeys(found))

    def _found(self, to: Iterable[str], people: Sequence[Person]) -> list[Recipient]:
        roster = self.district.roster
        told: list[Recipient] = []
        for word in to:
            if word == PRINCIPAL:
                accounts = [a for person in people for a in roster.principals.get(person.site, ())]
                told += self._of_accounts(accounts, word)
            elif word == SUPERVISOR:
                told += self._of_accounts([p.supervisor for p in people if p.supervisor], word)
            elif word in WORDS:
                told += [self._of_address(address, word) for address in self.teams.get(word, ())]
            else:
                told.append(self._of_address(word, "address"))
        return told

    def _above(self, people: Sequence[Person], about: Sequence[str]) -> list[Recipient]:
        """The nearest supervisors of supervisors who may know."""
        for person in people:
            at, seen = self.district.roster.person(person.supervisor), {person.account}
            while at is not None and at.account not in seen:
                seen.add(at.account)
                told = self._of_accounts([at.account], SUPERVISOR)
                if told and at.account not in about:
                    return told
                at = self.district.roster.person(at.supervisor)
        return []

    def _of_accounts(self, accounts: Iterable[str], why: str) -> list[Recipient]:
        people = [self.district.roster.person(account) for account in accounts]
        return [Recipient(p.mail[0], p.account, why) for p in people if p is not None and p.mail and p.active]

    def _of_address(self, address: str, why: str) -> Recipient:
        listed = self.district.roster.by_mail(address)
        return Recipient(address.lower(), listed.account if listed is not None else "", why)

    def _may_know(self, recipient: Recipient, about: Sequence[str]) -> bool:
        account = recipient.account
        return account not in about and not any(account and self.district.roster.reports_to(account, a) for a in about)


def _each_once(told: Iterable[Recipient]) -> tuple[Recipient, ...]:
    return tuple({one.address: one for one in reversed(list(told))}.values())[::-1]
