"""What su, sudo and login say of their own verdicts."""

from __future__ import annotations

import re

from streams.normalisers import addresses
from streams.normalisers.lines import MAX_REPEATS, Fields, Taken, Unreadable
from streams.normalisers.login.login_fields import LoginFields, login_row
from streams.normalisers.masking import masked_user
from streams.normalisers.reasons import Ignored, Refused

# sudo: `user : [reason ; ]TTY=pts/0 ; PWD=/home/user ; USER=root ; COMMAND=/bin/true` (sudo's logging.c)
_SUDO = re.compile(r"\s*(\S+) : (?:(?!TTY=)(.*?) ; )?(?:.*?)?TTY=(\S+) ; PWD=.*? ; (?:.*?)USER=([^\s;]+)", re.DOTALL)
_SUDO_WRONG = re.compile(r"(\d{1,4}) incorrect password attempts?", re.ASCII)

_SU_BY = re.compile(r"(Successful|FAILED) su for (\S+) by (\S+)")
_SU_TO = re.compile(r"(FAILED SU )?\(to ([^)\s]+)\) (\S+) on (\S+)")
_SU_BSD = re.compile(r"(BAD SU )?(\S+) to (\S+) on (/\S+)")
_SU_SIGN = re.compile(r"([+-]) (\S+) ([^\s:-]+)[:-](\S+)")

_LOGIN_ON = re.compile(r"(?:ROOT )?(?:LOGIN|DIALUP AT \S+)(?: ON (\S+))?(?: BY (\S+))?(?: FROM (\S+))?")
_LOGIN_FAILED = re.compile(
    r"(FAILED LOGIN|TOO MANY LOGIN TRIES|LOGIN FAILURE)(?: (?:SESSION )?\(?(\d+)\)?)?"
    r"(?: (?:FROM|on|ON) '?([^\s',]+)'?)?(?: from '?([^\s',]+)'?)? (?:FOR|for) '?(.*?)'?(?:, (.*))?\Z",
    re.DOTALL,
)


def sudo(message: str) -> Taken:
    """A line of sudo: a command run is a success; wrong passwords are that many failures, at most `MAX_REPEATS`."""
    match = _SUDO.match(message)
    if match is None:
        looks_so = " ; COMMAND=" in message or "incorrect password attempt" in message
        return Unreadable(Refused.UNKNOWN_FORM, "a sudo record of unknown form") if looks_so else Ignored.SUDO_OTHER
    user, reason, terminal, target = match.groups()
    fields: LoginFields = {"user_name": user, "terminal_name": terminal, "target_user_name": target}
    if not reason or reason.startswith(("HOST=", "TTY=", "PWD=", "CWD=")):
        return _row("sudo", "login", "success", fields)
    fields["event_reason"] = reason
    wrong = _SUDO_WRONG.match(reason)
    if wrong is None:
        return _row("sudo", "refused", "failure", fields)
    fields["login_method"] = "password"
    return [_row("sudo", "login", "failure", fields)] * max(1, min(int(wrong[1]), MAX_REPEATS))


def su(message: str) -> Taken:
    """A line of su, as shadow, util-linux and the BSDs write it."""
    by = _SU_BY.match(message)
    if by is not None:
        return _su(by[1] == "Successful", by[3], by[2], None)
    to = _SU_TO.match(message)
    if to is not None:
        return _su(to[1] is None, to[3], to[2], to[4])
    sign = _SU_SIGN.match(message)
    if sign is not None:  # shadow writes it beside `Successful su`: no second verdict
        fields: LoginFields = {"user_name": sign[3], "target_user_name": sign[4], "terminal_name": sign[2]}
        return _row("su", "authentication", "success" if sign[1] == "+" else "failure", fields)
    bsd = _SU_BSD.match(message)
    return Ignored.SU_OTHER if bsd is None else _su(bsd[1] is None, bsd[2], bsd[3], bsd[4])


def _su(good: bool, user: str, target: str, terminal: str | None) -> Fields:  # noqa: FBT001 - private, one meaning
    fields: LoginFields = {"user_name": user, "target_user_name": target, "terminal_name": terminal}
    return _row("su", "login", "success" if good else "failure", fields)


def login_program(message: str) -> Taken:
    """A line of login(1), as util-linux and shadow write it."""
    failed = _LOGIN_FAILED.match(message)
    if failed is not None:
        what, _, terminal, remote, name, reason = failed.groups()
        user = None if name in ("", "UNKNOWN", "(unknown)") else masked_user(name)
        fields: LoginFields = {"user_name": user, "event_reason": reason or what.lower()}
        fields["user_known"] = False if user is None else None
        where = remote or terminal
        if where and addresses.ip(where):
            fields["source_ip"] = addresses.ip(where)
        elif terminal:
            fields["terminal_name"] = terminal
        action = "attempts_exceeded" if what == "TOO MANY LOGIN TRIES" else "login"
        return _row("login", action, "failure", fields)
    on = _LOGIN_ON.match(message)
    if on is None:
        return Ignored.LOGIN_OTHER
    fields = {"terminal_name": on[1], "user_name": on[2] or ("root" if message.startswith("ROOT") else None)}
    if on[3]:
        ip = addresses.ip(on[3])
        fields.update({"source_ip": ip} if ip else {"source_domain": on[3]})
    return _row("login", "login", "success", fields)


def _row(service: str, action: str, outcome: str, fields: LoginFields) -> Fields:
    return login_row("pam", action, outcome, service, fields)
