"""What PAM's modules say, whatever program called them.

`pam_unix(sshd:auth): authentication failure; logname= uid=0 … rhost=192.0.2.1  user=bob`, and the older forms without
service or with it in the tag. Display managers give no verdict of their own, so that PAM's is their `login`; for all
others it is `authentication`.
"""

from __future__ import annotations

import re

from streams.normalisers import addresses
from streams.normalisers.lines import Fields, Taken
from streams.normalisers.login.login_fields import LoginFields, login_row
from streams.normalisers.masking import masked_user
from streams.normalisers.reasons import Ignored

_HEAD = re.compile(r"\(?(pam_\w+)(?:\[\d+\])?(?:\(([^:)\s]+)(?::(\w+))?\))?\)?:? *(.*)\Z", re.DOTALL | re.ASCII)
_MORE = re.compile(r"PAM (\d{1,4}) more authentication failures?; (.*)\Z", re.DOTALL | re.ASCII)
_PAIR = re.compile(r"(logname|uid|euid|tty|ruser|rhost|user)=(\S*)")
_OPENED = re.compile(r"session (opened|closed) for user ([^\s(]+)(?:\(uid=\d+\))?(?: by (\S*))?")
_BRACKETED = re.compile(r"\[([^\]]*)\]")
_TALLY = re.compile(r"user (\S+) \(\d+\) tally (\d+), deny (\d+)")
_LOCKED = re.compile(r"(?:Consecutive login failures for|.*?user) (?:user )?(\S+) account (?:temporarily )?locked")
_NAMED = re.compile(r"(?:user|User|account|for user|for) [\"'\[]?([^\s\"'\];,:]+)")
_DISPLAY = ("gdm", "lightdm", "sddm", "kdm", "xdm", "lxdm", "xrdp-sesman", "login-screen", "cinnamon-screensaver")

_FAILURES = (
    "authentication failure", "auth could not identify", "2 more authentication", "more authentication failure",
    "authentication fails", "received for user", "password check failed", "Authentication failure",
    "authentication error",
)  # fmt: skip
_SUCCESSES = ("authentication success", "authentication succeeds", "granted access", "user granted")
_UNKNOWN = ("check pass; user unknown", "bad username", "user unknown", "could not identify user", "User not known")
_DENIED = (
    "account ",
    "access denied",
    "Access denied",
    "denied",
    "expired password",
    "user not allowed",
    "requirement ",
)


def pam(message: str, program: str) -> Taken:  # noqa: PLR0911 - one return a message
    """What a PAM message says; `program` is the one in the syslog tag."""
    more = _MORE.match(message)
    if more is not None:
        return _failure(more[2], program, f"{more[1]} more authentication failures", "auth")
    head = _HEAD.match(message)
    if head is None:
        return Ignored.PAM_CHATTER
    module, service, _, text = head.groups()
    name = service or program
    session = _OPENED.match(text)
    if session is not None:
        return _session(session, name)
    tally = _TALLY.match(text) or _LOCKED.match(text)
    if tally is not None:
        return _row("attempts_exceeded", "failure", name, {"user_name": tally[1], "event_reason": text})
    if text.startswith(_FAILURES):
        return _failure(text, name, text.partition(";")[0], module)
    if text.startswith(_SUCCESSES):
        return _row(_action(name), "success", name, _pairs(text))
    if text.startswith(_UNKNOWN):
        found = _BRACKETED.search(text)
        user = masked_user(found[1]) if found and found[1] else None
        fields: LoginFields = {"user_name": user, "user_known": False, "event_reason": text.partition("[")[0].strip()}
        return _row("authentication", "failure", name, fields)
    if text.startswith(_DENIED) or "denied" in text[:80]:
        named = _NAMED.search(text)
        return _row("refused", "failure", name, {"user_name": named[1] if named else None, "event_reason": text})
    return Ignored.PAM_CHATTER


def _action(service: str) -> str:
    return "login" if service.startswith(_DISPLAY) and "greeter" not in service else "authentication"


def _session(match: re.Match[str], service: str) -> Fields:
    started = match[1] == "opened"
    action = "session_start" if started else "session_end"
    if started and _action(service) == "login":
        action = "login"
    return _row(action, "success", service, {"user_name": match[2]})


def _failure(text: str, service: str, reason: str, module: str) -> Fields:
    fields = _pairs(text)
    fields["event_reason"] = reason.strip(" :")
    if "user_name" not in fields:
        named = _BRACKETED.search(text) or (_NAMED.search(text) if module != "auth" and ";" not in text else None)
        if named and named[1]:
            fields["user_name"] = named[1]
    if "not known" in text:  # pam_sss: the account does not exist, and what was typed may be a password
        fields["user_known"] = False
        fields["event_reason"] = "user not known"
        fields["user_name"] = masked_user(fields.get("user_name") or "") or None
    return _row(_action(service), "failure", service, fields)


def _pairs(text: str) -> LoginFields:
    pairs = dict(_PAIR.findall(text))
    fields: LoginFields = {}
    if pairs.get("user"):
        fields["user_name"] = pairs["user"]
    if pairs.get("tty"):
        fields["terminal_name"] = pairs["tty"]
    remote = pairs.get("rhost")
    if remote:
        ip = addresses.ip(remote)
        if ip is not None:
            fields["source_ip"] = ip
        else:
            fields["source_domain"] = remote
    return fields


def _row(action: str, outcome: str, service: str, fields: LoginFields) -> Fields:
    return login_row("pam", action, outcome, service or None, fields)
