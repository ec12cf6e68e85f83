"""Sendmail's log to mail events: the lines of a queue id joined into one event with every recipient.

What comes out (`event_action`):

- `message`: a message. It is complete when every recipient that `nrcpts` counts has an end (sent or bounced), or with
  `done`; see `joins` for when it is flushed before. A recipient refused in the SMTP dialogue is `rejected` in the same
  event, and counts for no attempt; a message whose every recipient was refused has no others.
- `rejected`, `discarded`, `held`: a client, sender or attempt that a ruleset or milter refused, dropped or put into
  quarantine before there were recipients.
- `authenticated`, `authentication_failed`: of an SMTP session.

`event_outcome` is that of the recipients (`parts.outcome_of`). `email_to_original_address` is the controlling address
(`ctladdr`) where that is not the sender: the alias, list or `.forward` that the recipient came from. A delivery to the
daemon on the same machine is a hand-over (`email_to_filter`): the message comes again under another queue id. The user
is the one who authenticated in the same process from the same address, or the local user of `relay=user@localhost`.
"""

from __future__ import annotations

import re
from typing import Any, Final

from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.lines import Unreadable
from streams.normalisers.mail import sendmail_lines as lines
from streams.normalisers.mail.join_lines import HELD, JOIN_FIELDS, JoinNormaliser, Single, Taken
from streams.normalisers.mail.joins import Join
from streams.normalisers.mail.parts import clipped, message_id
from streams.normalisers.mail.reasons_services import ServicesIgnored
from streams.normalisers.masking import mask_text, masked_user
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused
from streams.normalisers.syslog import SyslogLine

ACTIONS: Final = ("message", "rejected", "discarded", "held", "authenticated", "authentication_failed")

_PROGRAM = re.compile(r"(?:sendmail|sm-)[\w\-]{0,64}\Z", re.ASCII)
_FINAL = frozenset({"sent", "bounced", "expired"})
_SINGLE = {"reject": "rejected", "temp": "rejected", "discard": "discarded", "quarantine": "held"}
_DROPPED = {"reject": "rejected", "temp": "rejected", "discard": "discarded", "quarantine": "quarantined"}
_GIVEN_UP = re.compile(r"(?:return to sender|sender notify|postmaster notify|DSN): Cannot send message", re.ASCII)
_HOST = r"\S{1,256}(?: \[[^\]]{1,64}\](?: \([^)]{1,64}\))?)?"
_CHATTER: tuple[tuple[re.Pattern[str], IgnoredReason], ...] = (
    (re.compile(r"STARTTLS|TLS|SSL|tls_|CRL"), ServicesIgnored.MAIL_TLS),
    (re.compile(r"<-- |--> |--- |smtp_|SMTP (?:outgoing|MAIL|RCPT)|AUTH=client|tempfail="), Ignored.DEBUG),
    (re.compile(r"[Mm]ilter|error connecting to filter"), ServicesIgnored.MAIL_FILTER),
    (
        re.compile(
            r"connect from |lost input channel|timeout (?:waiting|writing)|[Cc]onnection|collect: (?:premature|unex)"
            rf"|{_HOST} did not issue|rejecting (?:connections|commands from)"
        ),
        ServicesIgnored.MAIL_CONNECTION,
    ),
    (
        re.compile(
            rf"[Pp]ossible SMTP|{_HOST}: (?:VRFY|EXPN|ETRN)|probable open proxy|bad command|too many (?:bad )?commands"
        ),
        ServicesIgnored.MAIL_PROTOCOL,
    ),
    (
        re.compile(
            r"started as|starting daemon|restarting|stopping daemon|alias database|\S{1,256}: \d{1,9} aliases|daemon"
            r"|accepting connections"
        ),
        Ignored.SERVICE_STATE,
    ),
    (re.compile(r"runqueue|grew WorkList|queue"), ServicesIgnored.MAIL_QUEUE),
)


class SendmailNormaliser(JoinNormaliser):
    """Lines of sendmail and its submission program behind a syslog header; see the module."""

    type_name = "sendmail"
    DATASET = "sendmail"
    KEPT_NOTES = ("from",)
    fields = (
        *JOIN_FIELDS, "event_reason", "observer_hostname", "process_name", "process_pid", "email_message_id",
        "email_local_id", "email_from_address", "email_to_original_address", "email_to_dsn", "email_to_relay",
        "email_to_filter", "email_to_attempts", "email_size", "email_recipient_count", "source_ip", "source_domain",
        "user_name", "login_method", "email_protocol",
    )  # fmt: skip

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self._ours: dict[str | None, bool] = {}
        self._handlers = {"from": self._sender, "to": self._delivery, "size": self._sizes, "msgid": self._message_id}

    def take(self, head: SyslogLine) -> Taken:
        """See `JoinNormaliser.take`."""
        ours = self._ours.get(head.program)
        if ours is None:
            ours = self._is_ours(head.program)
        if not ours:
            return Ignored.OTHER_PROGRAM
        match = lines.WITH_ID.match(head.message)
        if match is None or match[1] == "NOQUEUE":
            return self._unqueued(match[2] if match is not None else head.message, head, None)
        qid, rest = match.groups()
        handler = self._handlers.get(rest.partition("=")[0])
        if handler is not None:
            return handler(f"{head.host or ''} {qid}", qid, rest)
        return self._other(f"{head.host or ''} {qid}", qid, rest, head)

    def _is_ours(self, program: str | None) -> bool:
        if len(self._ours) >= 1_000:
            self._ours.clear()
        ours = self._ours[program] = program is not None and _PROGRAM.match(program) is not None
        return ours

    # Lines with a queue id

    def _join(self, key: str, qid: str) -> Join:
        join = self.messages.of(key)
        join.facts.setdefault("email_local_id", qid)
        return join

    def _sender(self, key: str, qid: str, rest: str) -> Taken:
        said = lines.sender(rest)
        if said is None:
            return Unreadable(Refused.UNKNOWN_FORM, "starts like a sender's line")
        join = self._join(key, qid)
        known = join.notes.get("from")
        if known is not None and said.size is not None and known != [said.sender, said.size]:
            self.messages.begin(key)
            join = self._join(key, qid)
        join.notes["from"] = [said.sender, said.size]
        join.learn(
            email_from_address=said.sender, email_size=said.size, email_message_id=said.message_id,
            email_protocol=said.protocol, login_method=said.method,
        )  # fmt: skip
        self._count(join, said.recipients)
        self._learn_client(join, said.client)
        return self._done_or_held(join)

    def _learn_client(self, join: Join, client: lines.Client | None) -> None:
        if client is None:
            return
        join.learn(source_ip=client.ip, source_domain=client.domain)
        if client.ip is None:
            join.learn(user_name=client.user)  # `relay=bob@localhost`: called on the machine itself
        session = self.messages.recent.get(self._session())
        if session is not None and client.ip is not None and session[0] == client.ip:
            join.learn(user_name=session[1], login_method=session[2])

    def _session(self) -> str:
        host, program, pid = self.messages.at.head
        return f"{host or ''} {program} {pid}"

    @staticmethod
    def _count(join: Join, recipients: int | None) -> None:
        if recipients is not None:
            join.facts["email_recipient_count"] = join.notes["expected"] = recipients

    def _sizes(self, key: str, qid: str, rest: str) -> Taken:
        said = lines.sizes(rest)
        if said is None:
            return Unreadable(Refused.UNKNOWN_FORM, "starts like a line about the size")
        join = self._join(key, qid)
        join.learn(email_size=said[0])
        self._count(join, said[1])
        self.messages.touch(join)
        return HELD

    def _message_id(self, key: str, qid: str, rest: str) -> Taken:
        join = self._join(key, qid)
        join.learn(email_message_id=message_id(rest[6:]))
        self.messages.touch(join)
        return HELD

    def _delivery(self, key: str, qid: str, rest: str) -> Taken:
        said = lines.delivery(rest)
        if said is None:
            return Unreadable(Refused.UNKNOWN_FORM, "starts like a delivery line")
        join = self._join(key, qid)
        status, tried = said.status, 0 if said.status in {"accepted", "quarantined"} else 1
        if status == "bounced" and "dropped" in join.notes:
            status, tried = join.notes["dropped"], 0
        if status != "sent":
            join.reason = clipped(said.words) or join.reason
        original = "" if self._is_sender(said.control, join) else said.control
        for to in said.to:
            self._deliver(join, to, status, said, original if original != to else "", tried)
        return self._done_or_held(join)

    @staticmethod
    def _deliver(join: Join, to: str, status: str, said: lines.Delivery, original: str, tried: int) -> None:
        known = join.recipients.get(to)
        ended = known is not None and known[1] in _FINAL
        join.deliver(to, status, said.dsn, said.relay, original, to_filter=said.to_filter, tried=tried)
        ends = status in _FINAL or status == join.notes.get("dropped")
        join.notes["ended"] = join.notes.get("ended", 0) + ends - ended

    @staticmethod
    def _is_sender(control: str, join: Join) -> bool:
        """Whether the controlling user is who sent the message, so that nothing was expanded."""
        sender: str = join.facts.get("email_from_address") or ""
        return not control or control == sender or ("@" not in control and control == sender.rpartition("@")[0])

    def _done_or_held(self, join: Join) -> Taken:
        expected = join.notes.get("expected")
        if expected is not None and join.notes.get("ended", 0) >= expected:
            self.messages.complete(join)
        else:
            self.messages.touch(join)
        return HELD

    def _other(self, key: str, qid: str, rest: str, head: SyslogLine) -> Taken:
        join = self.messages.get(key)
        if rest.startswith("done; "):
            if join is None:
                return ServicesIgnored.MAIL_UNATTACHED
            self.messages.complete(join)
            return HELD
        refused = lines.refusal(rest) if rest.startswith(("ruleset=", "Milter", "milter=")) else None
        if refused is not None:
            return self._refused(key, qid, refused)
        unknown = lines.unknown(rest) if "... " in rest else None
        if unknown is not None:
            join = self._join(key, qid)
            join.deliver(unknown[0], "rejected", tried=0)
            join.reason = clipped(unknown[1])
            self.messages.touch(join)
            return HELD
        if join is None or rest.startswith("AUTH"):
            return self._unqueued(rest, head, ServicesIgnored.MAIL_UNATTACHED)
        bounce = lines.SECOND_ID.match(rest)
        if bounce is not None and _GIVEN_UP.match(bounce[2]):
            for known in join.recipients.values():
                known[1] = "expired" if known[1] == "deferred" else known[1]
            self.messages.complete(join)
        else:
            self.messages.touch(join)
        return HELD

    def _refused(self, key: str, qid: str, said: lines.Refusal) -> Taken:
        """Of a recipient or of content: part of the message, whose sender's line is to come or has come."""
        to = lines.bare(said.about) if said.stage in {"check_rcpt", "to"} and said.about else None
        join = self.messages.get(key)
        if to is None and (join is None or "from" not in join.notes):
            return self._single(said, qid)
        join = self._join(key, qid)
        join.reason = clipped(said.words) or join.reason
        self._learn_client(join, said.client)
        if to is not None:
            join.deliver(to, _DROPPED[said.action], said.dsn, tried=0)
        else:
            join.notes["dropped"] = _DROPPED[said.action]
        self.messages.touch(join)
        return HELD

    # Lines without a queue id, or of a session

    def _single(self, said: lines.Refusal, qid: str | None) -> Single:
        fact = {
            "event_action": _SINGLE[said.action],
            "event_outcome": "unknown" if said.action == "quarantine" else "failure",
            "event_reason": clipped(said.words) or None, "email_local_id": qid, **_client_facts(said.client),
        }  # fmt: skip
        if said.stage in {"check_mail", "from"} and said.about:
            fact["email_from_address"] = lines.bare(said.about)
        recipients: dict[str, Any] = {}
        if said.stage in {"check_rcpt", "to"} and said.about:
            recipients[lines.bare(said.about)] = ["", _DROPPED[said.action], said.dsn, "", False, 0]
        return Single(fact, recipients)

    def _unqueued(self, rest: str, head: SyslogLine, otherwise: IgnoredReason | None) -> Taken:
        if rest.startswith("AUTH"):
            return self._session_line(rest)
        if rest.startswith(("ruleset=", "Milter", "milter=")):
            refused = lines.refusal(rest)
            if refused is not None:
                return self._single(refused, None)
        del head
        reason = next((reason for pattern, reason in _CHATTER if pattern.match(rest)), None)
        return reason or otherwise or ServicesIgnored.MAIL_WARNING

    def _session_line(self, rest: str) -> Taken:
        said = lines.authenticated(rest)
        if said is not None:
            client, user, method = said
            if client is not None:
                self.messages.recent.keep(self._session(), [client.ip, user, method])
            return Single({"event_action": "authenticated", "event_outcome": "success", "user_name": user,
                           "login_method": method, **_client_facts(client)})  # fmt: skip
        failed = lines.failed(rest)
        if failed is not None:
            how, words, name, client = failed
            return Single({
                "event_action": "authentication_failed", "event_outcome": "failure", "login_method": how,
                "event_reason": clipped(mask_text(words)) or None, "user_name": name and masked_user(name),
                **_client_facts(client),
            })  # fmt: skip
        if rest.startswith("AUTH=server"):
            return Unreadable(Refused.UNKNOWN_FORM, "starts like an authentication")
        return Ignored.DEBUG if rest.startswith("AUTH=client") else ServicesIgnored.MAIL_WARNING


def _client_facts(client: lines.Client | None) -> dict[str, Any]:
    return {} if client is None else {"source_ip": client.ip, "source_domain": client.domain}
