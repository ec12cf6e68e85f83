"""Exim's main log to mail events: the lines of a message id joined into one event with every recipient.

What comes out (`event_action`):

- `message`: a message, complete with `Completed`; see `joins` for when it is flushed before.
- `rejected`, `discarded`: a connection, sender, recipient or content that was refused or dropped, from a line of its
  own; refusals after DATA have the message id that was never used.
- `noted`: a sender whose verification failed; the refusal, if any, has a line of its own.
- `authentication_failed`.

`event_outcome` is that of the recipients (`parts.outcome_of`), `failure` for refusals. A recipient is the final
address; what it was before expansion (list, alias or forwarding person) is `email_to_original_address`. Local
deliveries are logged without a domain: theirs is that of the address before. Deliveries to files and pipes, and those
discarded, are the original address's. A recipient named on arrival (log selector `received_recipients`) that is
expanded gives way to what it became. A line `retry time not reached` is no attempt.

Read the main log alone: the reject log repeats its refusals, with headers that are ignored here.
"""

from __future__ import annotations

import re
from typing import Any, Final

from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.lines import Unreadable
from streams.normalisers.mail import exim_lines as lines
from streams.normalisers.mail.join_lines import HELD, JOIN_FIELDS, JoinNormaliser, Single, Taken
from streams.normalisers.mail.joins import Join
from streams.normalisers.mail.parts import clipped, subject_facts
from streams.normalisers.mail.reasons_services import ServicesIgnored
from streams.normalisers.masking import mask_text, masked_user
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused
from streams.normalisers.syslog import SyslogLine

ACTIONS: Final = ("message", "rejected", "discarded", "noted", "authentication_failed")

_DELIVERED = frozenset({"=>", "->", ">>"})
_UNATTEMPTED = re.compile(r"retry time not reached|retry timeout exceeded", re.ASCII)
_GONE = re.compile(r"(?:message )?(?:removed|cancelled) by |\[cancelled|Message abandoned", re.ASCII)
_CHATTER: tuple[tuple[re.Pattern[str], IgnoredReason], ...] = (
    (
        re.compile(r"(?:Start|End) queue run|retry time|[Ss]pool file|no immediate delivery|Frozen|[Uu]nfrozen"),
        ServicesIgnored.MAIL_QUEUE,
    ),
    (
        re.compile(
            r"\A(?:exim \S{1,64} daemon|SIG[A-Z]{2,5} received|pid \d|cwd=|daemon|[Ee]xim|configuration|socket bind"
            r"|event |listening)"
        ),
        Ignored.SERVICE_STATE,
    ),
    (re.compile(r"\ADKIM:|\AARC|Warning: |\Amalware|\Aspam|dnslists"), ServicesIgnored.MAIL_FILTER),
    (re.compile(r"TLS |STARTTLS|DANE|\ASSL|tls[_:]"), ServicesIgnored.MAIL_TLS),
    (
        re.compile(r"SMTP (?:protocol|syntax|call)|synchronization error|too many (?:syntax|unrec|nonmail|bad)|syntax"),
        ServicesIgnored.MAIL_PROTOCOL,
    ),
    (
        re.compile(
            r"SMTP (?:connection|command|data timeout)|no MAIL in|unexpected disconn|\A[Cc]onnection|\Aident|\Alost "
            r"|closed connection|Connection (?:refused|timed out|reset)|timed out|[Ll]ost connection|Network Error"
        ),
        ServicesIgnored.MAIL_CONNECTION,
    ),
)
_CHATTER_SEEN = 400  # characters of a line that are looked at to name why it is ignored


class EximNormaliser(JoinNormaliser):
    """Exim's main log, as a file or through syslog; see the module."""

    type_name = "exim"
    DATASET = "exim"
    KEPT_NOTES = ("arrived",)
    fields = (
        *JOIN_FIELDS, "event_reason", "observer_hostname", "process_name", "process_pid", "email_message_id",
        "email_local_id", "email_from_address", "email_to_original_address", "email_to_dsn", "email_to_relay",
        "email_to_filter", "email_to_attempts", "email_size", "email_subject_hash", "source_ip", "source_port",
        "source_domain", "user_name", "login_method", "email_helo", "email_protocol", "email_subject",
    )  # fmt: skip

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self._handlers = {
            "<=": self._arrival, "(=": self._arrival, "=>": self._delivery, "->": self._delivery, ">>": self._delivery,
            "*>": self._delivery, "**": self._failure, "==": self._deferral, "Completed": self._completed,
        }  # fmt: skip

    def head(self, text: str) -> SyslogLine | None:
        """Exim's own time, also where syslog's stands before it; else syslog's."""
        own = lines.LINE.match(text)
        if own is not None:
            stamp, zone, pid, message = own.groups()
            return SyslogLine(stamp + (zone or ""), None, None, int(pid) if pid else None, message)
        line = self._splitter.split(text)
        if line is None:
            return SyslogLine("@0", None, None, None, text) if lines.HEADERS.match(text) and text.strip() else None
        own = lines.LINE.match(line.message)
        if own is None:
            return line
        stamp, zone, pid, message = own.groups()
        return line._replace(stamp=stamp + (zone or ""), message=message)

    def moment(self, head: SyslogLine) -> int | None:
        """See `JoinNormaliser.moment`. A header's line in the reject log has none: that of the line before is taken."""
        return self.messages.at.now if head.stamp == "@0" else self.clock.micros(head.stamp)

    def take(self, head: SyslogLine) -> Taken:
        """See `JoinNormaliser.take`."""
        message = head.message
        if head.stamp == "@0":
            return ServicesIgnored.MAIL_HEADERS
        if head.program is not None and not head.program.startswith("exim"):
            return Ignored.OTHER_PROGRAM
        match = lines.WITH_ID.match(message)
        if match is None:
            return ServicesIgnored.MAIL_PIECE if lines.PIECE.match(message) else self._unqueued(message, None)
        qid, flag, rest = match.groups()
        handler = self._handlers.get(flag)
        key = f"{head.host or ''} {qid}"
        if handler is None:
            return self._other(key, qid, f"{flag} {rest or ''}".rstrip())
        return handler(key, qid, flag, rest or "")

    def _join(self, key: str, qid: str) -> Join:
        join = self.messages.of(key)
        join.facts.setdefault("email_local_id", qid)
        return join

    def _arrival(self, key: str, qid: str, flag: str, rest: str) -> Taken:
        del flag
        said = lines.arrival(rest)
        if said is None:
            return Unreadable(Refused.UNKNOWN_FORM, "starts like an arrival")
        join = self._join(key, qid)
        if "arrived" in join.notes:
            self.messages.begin(key)
            join = self._join(key, qid)
        join.notes["arrived"] = True
        join.learn(
            email_from_address=said.sender, email_size=said.size, email_message_id=said.message_id,
            email_protocol=said.protocol, user_name=said.user, login_method=said.method, **_client_facts(said.client),
            **subject_facts(said.subject, keep=self.settings.keep_subject),
        )  # fmt: skip
        for to in said.recipients:
            join.mention(to)
        self.messages.touch(join)
        return HELD

    def _delivery(self, key: str, qid: str, flag: str, rest: str) -> Taken:
        if rest.startswith("blackhole ("):  # an ACL dropped all recipients
            return self._dropped(key, qid, rest)
        said = lines.delivery(rest)
        if said is None:
            return Unreadable(Refused.UNKNOWN_FORM, "starts like a delivery")
        join = self._join(key, qid)
        if said.to:
            dropped = said.discarded or flag not in _DELIVERED
            _expand(join, said)
            join.deliver(said.to, "discarded" if dropped else "sent", "", said.relay, said.original)
        self.messages.touch(join)
        return HELD

    def _dropped(self, key: str, qid: str, rest: str) -> Taken:
        join = self._join(key, qid)
        for known in join.recipients.values():
            known[1] = "discarded" if known[1] == "accepted" else known[1]
        join.facts["event_outcome"], join.reason = "failure", clipped(rest.partition("(")[2].replace(")", "", 1))
        self.messages.touch(join)
        return HELD

    def _failure(self, key: str, qid: str, flag: str, rest: str) -> Taken:
        del flag
        said = lines.delivery(rest)
        if said is None or " is set but " in rest[:64]:
            return self._other(key, qid, rest)
        join = self._join(key, qid)
        words, dsn = lines.failure(said.rest)
        expired = "retry timeout exceeded" in words
        _expand(join, said)
        known = join.recipients.get(said.to)
        join.deliver(
            said.to, "expired" if expired and (known is None or known[1] == "deferred") else "bounced",
            dsn or (known[2] if expired and known is not None else ""), said.relay, said.original,
            tried=0 if expired else 1,
        )  # fmt: skip
        join.reason = clipped(words) or join.reason
        self.messages.touch(join)
        return HELD

    def _deferral(self, key: str, qid: str, flag: str, rest: str) -> Taken:
        del flag
        said = lines.delivery(rest)
        why = None if said is None else lines.deferral(said.rest)
        if said is None or why is None:
            return Unreadable(Refused.UNKNOWN_FORM, "starts like a delivery that was put off")
        join = self._join(key, qid)
        words, dsn = why
        _expand(join, said)
        if _UNATTEMPTED.search(words) is None:
            join.deliver(said.to, "deferred", dsn, said.relay, said.original)
            join.reason = clipped(words) or join.reason
        elif said.to not in join.recipients:
            join.deliver(said.to, "deferred", "", said.relay, said.original, tried=0)
        self.messages.touch(join)
        return HELD

    def _completed(self, key: str, qid: str, flag: str, rest: str) -> Taken:
        del flag, rest
        join = self.messages.get(key)
        if join is None:
            if self.messages.known(key) is None:
                return ServicesIgnored.MAIL_UNATTACHED
            join = self._join(key, qid)
        self.messages.complete(join)
        return HELD

    def _other(self, key: str, qid: str, text: str) -> Taken:
        join = self.messages.get(key)
        if join is None:
            taken = self._unqueued(text, qid)
            return ServicesIgnored.MAIL_UNATTACHED if taken is ServicesIgnored.MAIL_WARNING else taken
        if _GONE.match(text):
            for known in join.recipients.values():
                known[1] = "discarded" if known[1] in {"accepted", "deferred"} else known[1]
            join.reason = clipped(text)
        self.messages.touch(join)
        return HELD

    # Lines that are events by themselves, and chatter

    def _unqueued(self, text: str, qid: str | None) -> Taken:
        if "authenticator failed for" in text[:180]:
            return self._failed(text)
        if "rejected" in text or "refused" in text or "discarded" in text:
            refused = lines.rejection(text)
            if refused is not None:
                return _single(refused, "discarded" if refused.stage.startswith("discarded") else "rejected", qid)
        if "sender verify " in text:
            verified = lines.verification(text)
            if verified is not None:
                return _single(verified, "noted", qid)
        return next(
            (reason for pattern, reason in _CHATTER if pattern.search(text, 0, _CHATTER_SEEN)),
            ServicesIgnored.MAIL_WARNING,
        )

    @staticmethod
    def _failed(text: str) -> Taken:
        said = lines.failed(text)
        if said is None:
            return Unreadable(Refused.UNKNOWN_FORM, "starts like a failed authentication")
        method, client, words, user = said
        return Single({
            "event_action": "authentication_failed", "event_outcome": "failure", "login_method": method,
            "event_reason": clipped(mask_text(words)) or None, "user_name": user and masked_user(user),
            **_client_facts(client),
        })  # fmt: skip


def _expand(join: Join, said: lines.Delivery) -> None:
    """A recipient named on arrival became another one: what is known is what it became."""
    if said.original:
        known = join.recipients.get(said.original)
        if known is not None and known[1] == "accepted" and not known[5]:
            del join.recipients[said.original]


def _single(said: lines.Rejection, action: str, qid: str | None) -> Single:
    fact = {
        "event_action": action, "event_outcome": "failure", "event_reason": clipped(said.words) or said.stage,
        "email_local_id": qid, "email_from_address": said.sender, "user_name": said.user, "login_method": said.method,
        **_client_facts(said.client),
    }  # fmt: skip
    status = "discarded" if action == "discarded" else "rejected"
    recipients: dict[str, Any] = {}
    if said.to is not None:
        recipients[said.to] = ["", status, lines.dsn(said.words), "", False, 0]
    return Single(fact, recipients)


def _client_facts(client: lines.Client) -> dict[str, Any]:
    if client is lines.NOBODY:
        return {}
    return {
        "source_ip": client.ip, "source_port": client.port, "source_domain": client.domain, "email_helo": client.helo,
    }  # fmt: skip
