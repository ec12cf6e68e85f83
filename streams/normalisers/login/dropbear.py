"""What Dropbear, the SSH server of access points and routers, says (svr-auth.c, svr-authpasswd.c, svr-session.c)."""

from __future__ import annotations

import re

from streams.normalisers import addresses
from streams.normalisers.lines import Fields, Taken, Unreadable
from streams.normalisers.login.login_fields import LoginFields, login_row
from streams.normalisers.masking import masked_user
from streams.normalisers.reasons import Ignored, Refused

_PEER = r"<?(\[?[0-9A-Fa-f:.]+?\]?):(\d{1,5})>?"
_SUCCEEDED = re.compile(
    r"(?:PAM )?(Password|Pubkey|password) auth succeeded for '(.*?)'"
    rf"(?: with (?:\S+ )?key (?:\S+ )?(\S+))? from {_PEER}\Z",
    re.ASCII,
)
_BAD = re.compile(rf"Bad (?:PAM )?password attempt for '(.*)' from {_PEER}\Z", re.DOTALL | re.ASCII)
_NONEXISTENT = re.compile(rf"Login attempt for nonexistent user(?: '(.*)')? from {_PEER}\Z", re.DOTALL | re.ASCII)
_DENIED = re.compile(
    rf"(?:root login rejected|User '(.*)' rejected|User '(.*)' has invalid shell, rejected)(?: from {_PEER})?"
)
_EXIT_BEFORE = re.compile(
    rf"Exit before auth(?: \(user '(.*)', \d+ fails\))?(?: from {_PEER})?: (.*)\Z", re.DOTALL | re.ASCII
)
_EXIT = re.compile(rf"Exit \((.*?)\)(?: from {_PEER})?: (.*)\Z", re.DOTALL | re.ASCII)
_CHILD = re.compile(rf"Child connection from {_PEER}\Z", re.ASCII)
_STARTS = ("Bad ", "Login attempt", "Password auth", "Pubkey auth", "PAM password")


def dropbear(message: str) -> Taken:  # noqa: PLR0911 - one return a message
    """What a message says."""
    found = _SUCCEEDED.match(message)
    if found is not None:
        method = "publickey" if found[1] == "Pubkey" else "password"
        fields: LoginFields = {"user_name": found[2], "login_method": method, "key_fingerprint": found[3]}
        return _row("login", "success", found[4], found[5], fields)
    found = _BAD.match(message)
    if found is not None:
        return _row("login", "failure", found[2], found[3], {"user_name": found[1], "login_method": "password"})
    found = _NONEXISTENT.match(message)
    if found is not None:  # Dropbear gives no further verdict for it
        user = masked_user(found[1]) if found[1] else None
        return _row("login", "failure", found[2], found[3], {"user_name": user, "user_known": False})
    found = _DENIED.match(message)
    if found is not None:
        user = found[1] or found[2] or "root"
        return _row("refused", "failure", found[3], found[4], {"user_name": user, "event_reason": "rejected"})
    found = _EXIT_BEFORE.match(message)
    if found is not None:
        fields = {"user_name": found[1], "event_reason": found[4]}
        return _row("disconnect", "failure", found[2], found[3], fields)
    found = _EXIT.match(message)
    if found is not None:
        return _row("session_end", "success", found[2], found[3], {"user_name": found[1], "event_reason": found[4]})
    found = _CHILD.match(message)
    if found is not None:
        return _row("connection", "unknown", found[1], found[2], {})
    if message.startswith(_STARTS):
        return Unreadable(Refused.UNKNOWN_FORM, "a Dropbear verdict of unknown form")
    return Ignored.DROPBEAR_OTHER


def _row(action: str, outcome: str, ip: str | None, port: str | None, fields: LoginFields) -> Fields:
    fields["source_ip"] = addresses.ip(ip) if ip else None
    fields["source_port"] = addresses.port(port)
    return login_row("openssh", action, outcome, "dropbear", fields)
