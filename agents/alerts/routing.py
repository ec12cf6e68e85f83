"""Who is told of a violation: by its clause, its severity, and the role and building of whom it is about.

Never told are those whom it is about, the owners of the devices that it names, and those who report to any of them; of
a mailing list with one of these the others are told one by one. A student's violation goes to the principals of that
student's building, an employee's to the supervisor and to personnel, that of IT and security staff, of nobody known, of
a device (unless a student's) and of a victim to security. Where nobody is left of these, it goes to security; where
security is whom it is about, to the supervisors above them. An address of the district's of which neither roster nor
lists say who reads it stands back where it may be the accused's: their own addresses are not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from agents.alerts.concerned import Concerned, account_of, concerned
from agents.context.district import District
from agents.context.inventory import Inventory
from agents.context.roster import STUDENT, Person
from agents.rules.shape import LEVELS

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
        account: Account that it is or may be the address of; empty for one of elsewhere.
        why: principal, supervisor, personnel, security or `address`.
        known: False where neither roster nor lists say who reads it.
    """

    address: str
    account: str
    why: str
    known: bool = True


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
        district: Its people and mailing lists.
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
        about = concerned(violation, self.district, self.inventory)
        told, withheld = self._sorted(self._to(violation, about), about)
        if not told:
            told, more = self._sorted((SECURITY,), about)
            withheld += more
        if not told:
            told = self._above(about)
        if not told:  # better one of whom it is not known who reads it than nobody
            told = [one for one in withheld if not one.known and one.account not in about.barred]
        kept = _each_once(told)
        return Routed(about.barred + about.victims, kept, _each_once(one for one in withheld if one not in kept))

    def _to(self, violation: Mapping[str, Any], about: Concerned) -> tuple[str, ...]:
        if about.victims:
            return (SECURITY,)
        line = next((route for route in (*self.routes, *DEFAULT) if route.fits(violation, about.people)), None)
        if line is not None:
            return line.to
        return (SUPERVISOR, PERSONNEL) if self._accused(about) else (SECURITY,)

    def _sorted(self, to: Iterable[str], about: Concerned) -> tuple[list[Recipient], list[Recipient]]:
        """Who is told, and who must not be."""
        found = [one for entry in self._found(to, about) for one in self._opened(entry, about)]
        kept = [one for one in found if self._may_know(one, about)]
        return kept, [one for one in found if one not in kept]

    def _found(self, to: Iterable[str], about: Concerned) -> Iterator[Recipient]:
        roster = self.district.roster
        for word in to:
            if word == PRINCIPAL:
                yield from self._of_accounts([a for p in about.people for a in roster.principals.get(p.site, ())], word)
            elif word == SUPERVISOR:
                yield from self._of_accounts([p.supervisor for p in self._accused(about) if p.supervisor], word)
            elif word in WORDS:
                yield from (self._of_address(address, word) for address in self.teams.get(word, ()))
            else:
                yield self._of_address(word, "address")

    def _opened(self, entry: Recipient, about: Concerned) -> Iterator[Recipient]:
        """A mailing list itself, or its members where one of them must not be told."""
        members = self.district.lists.behind(entry.address)
        named = [self._of_address(a, entry.why) for a in members if a not in self.district.lists.nameless]
        if named and not all(self._may_know(one, about) for one in named):
            yield from named
        elif named:
            yield replace(entry, account="", known=len(named) == len(members))
        else:
            yield entry

    def _accused(self, about: Concerned) -> list[Person]:
        return [person for person in about.people if person.account in about.accused]

    def _above(self, about: Concerned) -> list[Recipient]:
        """The nearest supervisors of supervisors who may know."""
        for person in self._accused(about):
            at, seen = self.district.roster.person(person.supervisor), {person.account}
            while at is not None and at.account not in seen:
                seen.add(at.account)
                told = self._of_accounts([at.account], SUPERVISOR)
                if told and at.account not in about.barred:
                    return told
                at = self.district.roster.person(at.supervisor)
        return []

    def _of_accounts(self, accounts: Iterable[str], why: str) -> list[Recipient]:
        people = [self.district.roster.person(account) for account in accounts]
        return [Recipient(p.mail[0], p.account, why) for p in people if p is not None and p.mail and p.active]

    def _of_address(self, address: str, why: str) -> Recipient:
        inside = self.district.is_internal_address(address)
        account = next(iter(account_of(self.district, address)), "")
        if inside:  # in a mail domain of another name too: it is not shown, so one who may be the accused is not told
            account = account.partition("@")[0]
        known = not inside or self.district.roster.person(account) is not None
        return Recipient(address.strip().lower(), account, why, known)

    def _may_know(self, recipient: Recipient, about: Concerned) -> bool:
        """False for one that it is about or who reports to them, and where nobody can say that it is none of these."""
        reports_to, account = self.district.roster.reports_to, recipient.account
        if account and (account in about.barred or any(reports_to(account, one) for one in about.barred)):
            return False
        return recipient.known or not any(_may_read(person, recipient) for person in self._accused(about))


def _may_read(person: Person, recipient: Recipient) -> bool:
    """True where an address that neither roster nor lists know may be somebody's, whose own the roster does not say."""
    team = GUARDS if recipient.why == SECURITY else {recipient.why}
    return not person.mail and (recipient.why == "address" or bool(team & set(person.roles)))


def _each_once(told: Iterable[Recipient]) -> tuple[Recipient, ...]:
    return tuple({one.address: one for one in reversed(list(told))}.values())[::-1]
