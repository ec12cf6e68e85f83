"""Zimbra Collaboration's audit.log and mailbox.log to login events.

- `login`: audit.log's `cmd=Auth`, `AdminAuth` and `PreAuth`, with or without `error=`.
- `authentication`: what mailbox.log says about the same attempt (`authentication failed for [bob]`, `user bob
  authenticated`): a site that reads both files counts nothing twice.
- `attempts_exceeded`: the account is locked out after too many failures.

`event_outcome` is `failure` where there is an error. `source_ip` is the original client (`oip`), else the peer (`ip`).
A line in which the context seems to end twice was written by somebody's agent or user name: it is a dead letter.

Facts: Zimbra's wiki "Log Files" and the class ZimbraLog; zimbraAudit lines of versions 8 to 10.
"""

from __future__ import annotations

import re
from typing import Any, Final

from schemas.kinds import EventKind
from streams.normalisers import addresses
from streams.normalisers.lines import Unreadable
from streams.normalisers.login import cloud
from streams.normalisers.login.reasons_cloud import CloudIgnored
from streams.normalisers.login.stamped import StampedNormaliser
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.records import Fact, Head, Read

ACTIONS: Final = ("login", "authentication", "attempts_exceeded")

_LEVELS = "TRACE|DEBUG|INFO|WARN|ERROR|FATAL"
_END = re.compile(r"(?:\[|;)\] ([A-Za-z][\w.]{0,40}) - ")
_COMMAND = re.compile(r"cmd=(\w{1,32});(.*)\Z", re.DOTALL)
_FAILED = re.compile(
    r"(?:handler exception: |.{0,64}?: )?authentication failed for \[(.*)\](?:, | \()(.*?)\)?;?\Z", re.DOTALL
)
_DONE = re.compile(r"user (\S{1,256}) authenticated(?:, mechanism=(\w{1,32}))?")
_PROGRAMS = ("mailboxd", "zimbra", "zmmailbox", "java", "mailbox", "audit")
_LOGINS = frozenset({"Auth", "AdminAuth", "PreAuth"})


class ZimbraNormaliser(StampedNormaliser):
    """audit.log or mailbox.log, also through syslog."""

    kind = EventKind.LOGIN
    type_name = "zimbra"
    DATASET = "zimbra"
    OWN = (
        re.compile(
            rf"(?P<stamp>\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d,\d{{3}}) (?P<rest>(?:(?:{_LEVELS}) +)?\[.*)\Z",
            re.DOTALL | re.ASCII,
        ),
    )
    fields = tuple(
        "timestamp event_dataset event_action event_outcome event_reason observer_hostname process_name process_pid "
        "user_name user_domain user_known source_ip source_port login_method service_name user_agent_original".split()
    )

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        message = head.message
        ends = list(_END.finditer(message))
        if not ends:
            if head.program is not None and not head.program.lower().startswith(_PROGRAMS):
                return Ignored.OTHER_PROGRAM
            return CloudIgnored.ZIMBRA_OTHER
        if len(ends) > 1:
            return Unreadable(Refused.BAD_FIELD, "the context ends twice")
        end = ends[0]
        said = message[end.end() :]
        context = message[: end.start()]
        if end[1] == "security":
            return _audited(said, _context(context))
        failed = _FAILED.match(said)
        if failed is not None:
            fact = _fact("authentication", "failure", failed[2], _context(context))
            cloud.name_account(fact, failed[1], unknown="account not found" in failed[2])
            return fact
        done = _DONE.match(said)
        if done is None:
            return CloudIgnored.ZIMBRA_OTHER
        fact = _fact("authentication", "success", None, _context(context))
        fact["login_method"] = done[2] and done[2].lower()
        cloud.name_account(fact, done[1])
        return fact


def _context(text: str) -> dict[str, str]:
    """The values of `[name=bob@example.org;oip=192.0.2.1;ua=…;]`; of equal keys the first counts."""
    found: dict[str, str] = {}
    start = text.rfind("] [")
    for part in text[start + 3 if start >= 0 else 0 :].split(";"):
        key, sign, value = part.partition("=")
        if sign and key.lstrip(" [") not in found:
            found[key.lstrip(" [")] = value
    return found


def _audited(said: str, context: dict[str, str]) -> Read:
    command = _COMMAND.match(said)
    if command is None or command[1] not in _LOGINS:
        return CloudIgnored.ADMINISTRATION
    values: dict[str, str] = {}
    rest, _, error = command[2].partition(" error=")
    for part in rest.split(";"):
        key, sign, value = part.strip().partition("=")
        if sign:
            values.setdefault(key, value)
    why = error.removesuffix(";") or None
    named = _FAILED.match(error)
    if named is not None:  # the name in it may be a password
        why = named[2]
    action = "attempts_exceeded" if why is not None and "lockout" in why else "login"
    fact = _fact(action, "failure" if why else "success", why, context)
    fact["login_method"] = "preauth" if command[1] == "PreAuth" else "password"
    fact["service_name"] = values.get("protocol") or "zimbra"
    cloud.name_account(fact, values.get("account"), unknown=why is not None and "account not found" in why)
    return fact


def _fact(action: str, outcome: str, reason: str | None, context: dict[str, str]) -> Fact:
    peer: Any = context.get("oip") or context.get("ip")
    ip, _ = cloud.address(peer and peer.partition(",")[0].strip())
    return {
        "event_action": action,
        "event_outcome": outcome,
        "event_reason": cloud.reason(reason),
        "source_ip": ip,
        "source_port": addresses.port(context.get("oport") or context.get("port")),
        "service_name": context.get("oproto") or "zimbra",
        "user_agent_original": context.get("ua") or None,
    }
