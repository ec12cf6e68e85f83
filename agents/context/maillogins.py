"""Who a name is that a client handed mail in with: what servers and directories write around it taken away.

A name may be written as a mail address, with a Windows domain or a realm, as a distinguished name of a directory, or be
nobody's: a computer's, a guest's, a Kerberos principal's. What nobody is named by is no login: the message is judged as
if none had been, by its envelope and by where it came from.
"""

from __future__ import annotations

import re
from typing import Final

from agents.context.accounts import is_nobody
from agents.context.district import District, bare_account

MACHINE: Final = r"@[^@.]*$"  # behind a login: the name of a server, which SASL appends where it has no other realm
ROOT: Final = r"(@[^@]*?)[.]+$"  # a domain with the dot of the root: what stands before it is the same one
# RFC 4514. A `uid` is what somebody logs in with (RFC 4519); a `cn` may be that, or how they are called.
UID_OF_DN: Final = r"^(?:uid|userid|samaccountname)=([^,+=\\/]+)(?:[,+]|$)"
CN_OF_DN: Final = r"^cn=([^,+=\\/]+)(?:[,+]|$)"
DOMAIN_AND_NAME: Final = r"^([^/@=]+)/([^/@=]+)$"  # Samba with another separator; or a principal: smtp/mail, anna/admin
NO_ACCOUNT: Final = r"[/=,]"  # signs that no account has: Active Directory and Unix forbid them
# Of Kerberos principals (`smtp/mail.schools.example`): what stands behind them is a machine, however it is called.
SERVICES: Final = ("afpserver", "cifs", "ftp", "host", "http", "imap", "ldap", "nfs", "pop", "sieve", "smtp", "xmpp")


def mail_login(district: District, login: str) -> str:
    """Account or address of who logged in, lower case; empty where the login is nobody's.

    A name of the roster is somebody's whatever it looks like. `DOMAIN/name` is read only where the roster has the name
    and not the domain, and the `cn` of a directory only where it is an account there: neither is sure otherwise.
    Any other name is an account, though the roster does not have it: a service that is not listed is called by its own.

    Args:
        district: Its roster and mail domains.
        login: As logged.
    """
    people = district.roster.people
    name = _of_directory(login.strip().lower(), district)
    if name is None:
        name = re.sub(MACHINE, "", re.sub(ROOT, r"\1", bare_account(login)))
        parts = re.match(DOMAIN_AND_NAME, name)
        if parts and parts[1] not in (*SERVICES, *people) and parts[2] in people:
            name = parts[2]
    if district.account_of_login(name) in people:
        return name
    return "" if is_nobody(name) or re.search(NO_ACCOUNT, name) else name


def _of_directory(whole: str, district: District) -> str | None:
    """Account in a distinguished name; None for what is none, or is not sure."""
    if uid := re.match(UID_OF_DN, whole):
        return uid[1].strip()
    common = re.match(CN_OF_DN, whole)
    return common[1].strip() if common and common[1].strip() in district.roster.people else None
