"""Who sent a message, and by which address they are called: the one place that says it, whatever the message says.

Where somebody logged in to hand it in, that is who sent it. A service's login is another matter: a copier, a form or a
list's software hands in what others give it, in whose name it likes. Its envelope sender counts then (`relayed`), so
that nothing hides behind the service, but only to be looked at by a person: whoever stands at the copier may write any
address, and what a list's software sends to two hundred was one message to who wrote it. So rules accuse nobody of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from agents.context.district import TAG, District
from agents.context.maillogins import mail_login
from agents.context.roster import Person


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent a message.

    Attributes:
        address: By which they are called, lower case; empty where nothing says who it was.
        account: Theirs, as group keys spell it: of who logged in, else of the envelope sender where that is the
            district's; None for none.
        logged_in: True where the account is of who logged in.
        relayed: True where that is a service, and the address what it said of who wrote.
    """

    address: str
    account: str | None = None
    logged_in: bool = False
    relayed: bool = False


def sender_of(district: District, envelope: str | None, login: str | None) -> Sender:
    """Who sent a message.

    Who logged in sent it, whatever address they gave. They are called by the first address of the district that the
    roster gives them; else by what they logged in with, if that is an address in its mail domains, by the address they
    gave, if it is called like their account, and else by their account in the first mail domain. Where nobody logged
    in, or a service did, it is the envelope sender's: without a tag (`anna+shop@`), and with several addresses the
    first in the roster. A service that gives no address is the sender itself.

    Args:
        district: Its roster and mail domains.
        envelope: Envelope sender as logged; None for none.
        login: Name that was logged in with to hand the message in (see `agents.context.handed_in.logins`).
    """
    written = (envelope or "").lower()
    address, account = written, None
    if district.insiders[written]:
        account = district.account_of(written)
        written = re.sub(TAG, "@", written)
        address = own_address(district, district.roster.by_mail(written)) or written
    name = "" if login is None else mail_login(district, login)
    if not name:
        return Sender(address, account)
    called, account = _of_login(district, written, name)
    who = district.roster.person(account)
    relayed = who is not None and not who.is_human and written != ""
    return Sender(address if relayed else called, account, logged_in=True, relayed=relayed)


def own_address(district: District, person: Person | None) -> str | None:
    """The first address of the district that the roster gives somebody."""
    addresses = () if person is None else person.mail
    return next(filter(district.insiders.__getitem__, addresses), None)


def names_of(district: District, sender: str) -> tuple[str, ...]:
    """What an address of `sender_of` goes by where it speaks in somebody's favour; their other addresses, too."""
    names = district.names_of_sender(sender)
    person = district.roster.by_mail(sender) if district.is_internal_address(sender) else None
    return names if person is None else tuple(dict.fromkeys((*names, *person.mail)))


def _of_login(district: District, written: str, name: str) -> tuple[str, str]:
    """Address and account of who logged in with an account or an address."""
    if _at_home(district, name):
        plain = re.sub(TAG, "@", name)
        person = _who_has(district, plain)
        return own_address(district, person) or plain, person.account if person else district.account_of(plain)
    account = district.account_of_login(name)
    if known := own_address(district, district.roster.person(account)):
        return known, account
    if "@" in account:
        return _of_realm(district, written, account)
    if not district.domains:
        return written or account, account
    alike = written.partition("@")[0] == account and _at_home(district, written)
    made = written if alike else f"{account}@{district.domains[0]}"
    return account if district.roster.by_mail(made) else made, account  # the address may be somebody else's


def _of_realm(district: District, written: str, name: str) -> tuple[str, str]:
    """Of a realm of a directory's own, such as example.local: who they say they are where they are called so."""
    local, theirs = name.rpartition("@")[0], district.roster.by_mail(written)
    if _at_home(district, written) and local in (written.partition("@")[0], theirs.account if theirs else ""):
        return own_address(district, theirs) or written, district.account_of(written)
    return name, name


def _who_has(district: District, address: str) -> Person | None:
    """Whose address it is, or whose account it begins with in a mail domain of theirs: elsewhere it is a namesake's."""
    name, _, domain = address.partition("@")
    listed, called = district.roster.by_mail(address), district.roster.person(name)
    if listed is None and called is not None and any(mail.partition("@")[2] == domain for mail in called.mail):
        return called
    return listed


def _at_home(district: District, address: str) -> bool:
    """True for an address in one of the mail domains that the district names."""
    return address.partition("@")[2].rstrip(".") in district.domains
