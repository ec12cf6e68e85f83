"""By which address whoever sent a message is called: one for one person, whatever the message says it is from."""

from __future__ import annotations

import re

from agents.context.district import TAG, District, bare_account
from agents.context.roster import Person

MACHINE = r"@[^@.]*$"  # behind a login: the name of a server, which SASL appends where it has no other realm


def sender_address(district: District, envelope: str | None, login: str | None) -> str:
    """Address of who sent a message, lower case; empty where nothing says who did.

    Who logged in sent it, whatever address they gave. They are called by the first address of the district that the
    roster gives them; else by what they logged in with, if that is an address in its mail domains, by the address they
    gave, if it is called like their account, and else by their account in the first mail domain. Where nobody logged
    in it is the envelope sender's: without a tag (`anna+shop@`), and with several addresses the first in the roster.

    Args:
        district: Its roster and mail domains.
        envelope: Envelope sender as logged; None for none.
        login: Name that was logged in with to hand the message in (see `agents.context.handed_in.logins`).
    """
    written = (envelope or "").lower()
    if district.insiders[written]:
        written = re.sub(TAG, "@", written)
        if login is None and (known := own_address(district, district.roster.by_mail(written))):
            return known
    return written if login is None else _of_login(district, written, login)


def own_address(district: District, person: Person | None) -> str | None:
    """The first address of the district that the roster gives somebody."""
    addresses = () if person is None else person.mail
    return next(filter(district.insiders.__getitem__, addresses), None)


def names_of(district: District, sender: str) -> tuple[str, ...]:
    """What an address of `sender_address` goes by where it speaks in somebody's favour; their other addresses, too."""
    names = district.names_of_sender(sender)
    person = district.roster.by_mail(sender) if district.is_internal_address(sender) else None
    return names if person is None else tuple(dict.fromkeys((*names, *person.mail)))


def _of_login(district: District, written: str, login: str) -> str:
    bare = re.sub(MACHINE, "", bare_account(login))
    if _at_home(district, bare):
        plain = re.sub(TAG, "@", bare)
        return own_address(district, _who_has(district, plain)) or plain
    account = district.account_of_login(bare)
    if known := own_address(district, district.roster.person(account)):
        return known
    if (
        "@" in account
    ):  # a realm of a directory's own, such as example.local: it is who they say where they are called so
        name, theirs = account.rpartition("@")[0], district.roster.by_mail(written)
        if _at_home(district, written) and name in (written.partition("@")[0], theirs.account if theirs else ""):
            return own_address(district, theirs) or written
        return account
    if not district.domains:
        return written or account
    alike = written.partition("@")[0] == account and _at_home(district, written)
    made = written if alike else f"{account}@{district.domains[0]}"
    return account if district.roster.by_mail(made) else made  # the address may be somebody else's


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
