"""amavis (amavisd-new, also Zimbra's) to mail events: the line that sums up a message, `Passed …` or `Blocked …`.

`event_action` is `message`. `event_outcome` is that of the recipients: relayed to the next server is `sent`, and a
hand-over (`email_to_filter`): the mail server logs the message again. Blocked recipients are `quarantined`,
`discarded`, `bounced`, `rejected` or, after a temporary failure, `deferred`, by the actions in braces; in logs of old
releases, which have none, `quarantined` or `discarded`.

A long line comes in pieces: one ends with three dots, the next begins with them. The pieces are joined.

Facts: the default `$log_templ` in amavisd (2.6 to 2.13) and README.customize (macros), RELEASE_NOTES of 2.8 (actions).
"""

from __future__ import annotations

import re
from typing import Any, Final

from streams.normalisers import addresses
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.lines import Unreadable
from streams.normalisers.mail.exchange_events import mailbox
from streams.normalisers.mail.join_lines import HELD, JOIN_FIELDS, JoinNormaliser, Single, Taken
from streams.normalisers.mail.joins import Join
from streams.normalisers.mail.parts import address, clipped, message_id, outcome_of, subject_facts, whole
from streams.normalisers.mail.reasons_services import ServicesIgnored
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.syslog import SyslogLine

ACTIONS: Final = ("message",)

_PROGRAM = re.compile(r"(?:\S{0,64}/)?amavis(?:d|d-new|-new)?\Z", re.ASCII)
_TASK = re.compile(r"\((\d{1,10}-[\w\-]{1,32})\) (.*)", re.DOTALL | re.ASCII)
_VERDICT = re.compile(
    r"(Passed|Blocked) ([A-Z][A-Z\-]{2,30})(?:-?\d{1,3}(?:,\d{1,3})?)?(?: \((.{0,2000}?)\)(?= \{[\w,]{0,200}\},|, ))?"
    r"(?: \{([\w,]{0,200})\})?, ",
    re.DOTALL | re.ASCII,
)
_QUOTED = r'"(?:[^"\\]|\\.){0,512}"'
_ONE = rf"<(?:{_QUOTED})?[^>]*>|\([^)]*\)"
_PATH = re.compile(
    rf"(?:[A-Za-z][\w/.\-]{{0,64}} ){{0,8}}(?:\[(?:IPv6:)?([0-9A-Fa-f:.]{{2,64}})\](?::(\d{{1,5}}))? )?"
    rf"(?:\[(?:IPv6:)?[0-9A-Fa-f:.]{{0,64}}\] )?(?:\[[^\]]{{0,64}}\] )?({_ONE}|\S{{1,512}}) -> "
    rf"((?:{_ONE}|[^\s,<]{{1,512}})(?:, ?(?:{_ONE}))*)(?=, |,?\Z)",
    re.DOTALL | re.ASCII,
)
_ADDRESS = re.compile(_ONE, re.DOTALL | re.ASCII)
_FIELD = re.compile(
    r", (quarantine|Queue-ID|Message-ID|Resent-Message-ID|mail_id|Hits|size|Subject|From|helo)(?:: |=)"
    rf"(<[^>]*>|{_QUOTED}(?: <[^>]*>)?|[^\s,]*)",
    re.DOTALL | re.ASCII,
)
_SCORE = re.compile(r"-?\d{1,6}(?:\.\d{1,6})?")
_VERDICTS = {
    "CLEAN": "clean", "SPAM": "spam", "SPAMMY": "spam", "INFECTED": "virus", "BANNED": "policy", "OVERSIZED": "policy",
    "UNCHECKED": "unknown",
}  # fmt: skip
_STATES = (
    ("Relayed", "sent"), ("Accepted", "sent"), ("Quarantined", "quarantined"), ("TempFailed", "deferred"),
    ("Discarded", "discarded"), ("Bounced", "bounced"), ("Rejected", "rejected"),
)  # fmt: skip
_OUTCOMES = {status: outcome_of([status]) for _, status in _STATES}
_MOST_TEXT = 60_000


class AmavisNormaliser(JoinNormaliser):
    """Lines of amavis behind a syslog header; see the module."""

    type_name = "amavis"
    DATASET = "amavis"
    fields = (
        *JOIN_FIELDS, "event_reason", "observer_hostname", "process_name", "process_pid", "email_message_id",
        "email_local_id", "email_from_address", "email_header_from_address", "email_to_original_address",
        "email_to_dsn", "email_to_relay", "email_to_filter", "email_to_attempts", "email_size", "email_subject_hash",
        "email_subject", "email_direction", "email_verdict", "email_threat", "email_spam_score",
        "email_attachment_name", "email_attachment_type", "email_attachment_hash", "email_attachment_size",
        "source_ip", "source_port", "email_helo",
    )  # fmt: skip

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self._ours: dict[str | None, bool] = {}

    def take(self, head: SyslogLine) -> Taken:
        """See `JoinNormaliser.take`."""
        ours = self._ours.get(head.program)
        if ours is None:
            if len(self._ours) >= 1_000:
                self._ours.clear()
            ours = self._ours[head.program] = bool(head.program and _PROGRAM.match(head.program))
        if not ours:
            return Ignored.OTHER_PROGRAM
        task = _TASK.match(head.message)
        if task is None:
            return Ignored.SERVICE_STATE
        number, said = task.groups()
        key = f"{head.host or ''} {number}"
        if said[:3] == "...":
            return self._piece(key, said)
        if said[:7] not in {"Passed ", "Blocked"}:
            return ServicesIgnored.MAIL_FILTER
        if said[-3:] == "..." and _VERDICT.match(said):
            join = self.messages.begin(key)
            join.notes["text"] = said[:-3]
            join.weight += len(said)
            self.messages.touch(join)
            return HELD
        single = _summary(said, keep_subject=self.settings.keep_subject)
        return single or Unreadable(Refused.UNKNOWN_FORM, "starts like the summary of a message")

    def _piece(self, key: str, said: str) -> Taken:
        join = self.messages.get(key)
        if join is None:
            return ServicesIgnored.MAIL_UNATTACHED
        more = said[-3:] == "..."
        text = join.notes["text"]
        if len(text) < _MOST_TEXT:
            join.notes["text"] = text + said[3 : -3 if more else None]
            join.weight += len(said)
        if more:
            self.messages.touch(join)
        else:
            self.messages.complete(join)
        return HELD

    def closing(self, join: Join) -> None:
        """What the pieces say together."""
        single = _summary(join.notes["text"], keep_subject=self.settings.keep_subject)
        if single is None:
            join.facts["event_outcome"] = "unknown"
            return
        join.facts.update(single.fact)
        join.recipients = {to: list(known) for to, known in single.recipients.items()}
        join.attachments = [list(one) for one in single.attachments]


def _summary(said: str, *, keep_subject: bool) -> Single | None:
    """The event of a whole summary; None where it has another form."""
    verdict = _VERDICT.match(said)
    path = None if verdict is None else _PATH.match(said, verdict.end())
    if verdict is None or path is None:
        return None
    passed, category, detail, actions = verdict.groups()
    ip, port, sender, to = path.groups()
    fields: dict[str, str] = {}
    for key, value in _FIELD.findall(said, path.end()):
        fields.setdefault(key, value)
    status = _status(passed == "Passed", actions, quarantined="quarantine" in fields)
    recipients: dict[str, list[Any]] = {
        mailbox(one): ["", status, "", "", status == "sent", 1 if status in {"sent", "bounced"} else 0]
        for one in (_ADDRESS.findall(to) or [to])
    }
    infected, banned = category == "INFECTED", category == "BANNED"
    hits = fields.get("Hits", "")
    fact: dict[str, Any] = {
        "event_action": "message", "event_outcome": _OUTCOMES[status],
        "event_reason": None if passed == "Passed" else clipped(f"{category} ({detail})" if detail else category),
        "email_message_id": message_id(fields.get("Message-ID", "")) or message_id(fields.get("Resent-Message-ID", "")),
        "email_local_id": fields.get("Queue-ID") or fields.get("mail_id") or None,
        "email_from_address": mailbox(sender), "email_size": whole(fields.get("size")),
        "email_header_from_address": _header(fields.get("From", "")),
        "email_verdict": _VERDICTS.get(category.partition("-")[0]),
        "email_threat": clipped(detail) if infected and detail else None,
        "email_spam_score": float(hits) if _SCORE.fullmatch(hits) else None,
        "email_direction": _direction(actions), "source_ip": addresses.ip(ip) if ip else None,
        "source_port": addresses.port(port), "email_helo": clipped(fields.get("helo", "")) or None,
        **subject_facts(fields.get("Subject", "").strip('"'), keep=keep_subject),
    }  # fmt: skip
    return Single(fact, recipients, _banned(detail) if banned and detail else ())


def _header(text: str) -> str | None:
    found = address(text.rpartition("<")[2].rstrip(">"))
    return found if "@" in found else None


def _status(passed: bool, actions: str | None, *, quarantined: bool) -> str:  # noqa: FBT001 - of one word of the line
    """By the first of the known actions; a message that is kept aside as well as dropped is `quarantined`."""
    if not actions:
        return "sent" if passed else "quarantined" if quarantined else "discarded"
    return next((status for start, status in _STATES if start in actions), "sent" if passed else "discarded")


def _direction(actions: str | None) -> str | None:
    for word in ("Inbound", "Outbound", "Internal"):
        if actions and word in actions:
            return word.lower()
    return None


def _banned(detail: str) -> list[tuple[str, str, str, int]]:
    """The banned part: `multipart/mixed | application/x-msdownload,.exe,bill.exe` is a path whose last step counts."""
    *kinds, name = detail.rpartition(" | ")[2].split(",")
    kind = next((kind for kind in kinds if "/" in kind), kinds[-1] if kinds else "")
    return [("" if name[:1] == "." and not kinds else clipped(name), clipped(kind), "", -1)]
