"""Lines of one queue id, joined into one message.

The key of a join is host and queue id, without the instance's name: `postfix/smtpd` and `postfix-submission/smtpd` may
well be the same queue, and two instances on one host cannot have the same inode open.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from streams.normalisers.mail.open_joins import RECIPIENT_BYTES
from streams.normalisers.mail.postfix_columns import MailRow, Recipient
from streams.normalisers.mail.postfix_lines import Delivery

_GOOD = frozenset({"sent", "deliverable"})

_PLAIN = (
    "key", "qid", "host", "program", "pid", "first", "newest", "seq", "message_id", "resent_id", "sender", "size",
    "nrcpt", "ip", "port", "domain", "user", "method", "helo", "protocol", "subject", "reason", "hint", "began",
    "queued", "tried", "doomed", "weight", "subject_text",
)  # fmt: skip


class Join:
    """What the lines of one queue id said so far. Mutable; owned by one `open_joins.Joins`."""

    __slots__ = (*_PLAIN, "counted", "offsets", "recipients")

    def __init__(self, key: str, qid: str, host: str | None, first: int) -> None:
        self.key, self.qid, self.host = key, qid, host
        self.program: str | None = None
        self.pid: int | None = None
        self.first = self.newest = first
        self.seq = 0  # number of its newest line among all lines of the source
        self.message_id: str | None = None
        self.resent_id: str | None = None
        self.sender: str | None = None
        self.size: int | None = None
        self.nrcpt: int | None = None
        self.ip: str | None = None
        self.port: int | None = None
        self.domain: str | None = None
        self.user: str | None = None
        self.method: str | None = None
        self.helo: str | None = None
        self.protocol: str | None = None
        self.subject: str | None = None
        self.subject_text: str | None = None  # only where the source keeps subjects
        self.reason: str | None = None
        self.hint: str | None = None  # a recipient that is only mentioned, told if no other comes
        self.began = False  # its first line (client=, uid=) was seen
        self.queued = False  # the queue manager has named its sender
        self.tried = False  # a delivery was tried
        self.doomed = False  # refused for its content: complete once its Message-ID is known
        self.weight = 0
        self.counted = 0  # what of its weight is in the weight of all
        self.offsets: list[int] = []
        self.recipients: dict[str, Recipient] = {}  # by address, in order of first appearance

    def deliver(self, said: Delivery, *, to_filter: bool) -> None:
        """One more try for a recipient: its state is that of the last."""
        to, original, relay, dsn, status, _ = said
        known = self.recipients.get(to)
        if known is None:
            self.recipients[to] = (original, status, dsn, relay, to_filter, 1)
            self.weight += len(to) + len(original) + len(status) + len(dsn) + len(relay) + RECIPIENT_BYTES
        else:
            self.weight += len(relay) - len(known[3])
            self.recipients[to] = (known[0], status, dsn, relay, to_filter, known[5] + 1)

    def refuse(self, to: str, status: str, dsn: str) -> None:
        """A recipient that was refused, without a delivery."""
        if to not in self.recipients:
            self.recipients[to] = ("", status, dsn, "", False, 0)
            self.weight += len(to) + len(status) + len(dsn) + RECIPIENT_BYTES

    def expire(self) -> None:
        """The queue manager gives up on those that are still deferred."""
        for to, (original, status, dsn, relay, to_filter, attempts) in self.recipients.items():
            if status == "deferred":
                self.recipients[to] = (original, "expired", dsn, relay, to_filter, attempts)

    def row(self, timestamp: int, line: int, sub: int, *, complete: bool) -> MailRow:
        """The event that the join is now, completed or flushed by a line (index in the chunk)."""
        if not self.recipients and self.hint is not None:
            self.recipients[self.hint] = ("", "accepted", "", "", False, 0)
        outcome = self._outcome()
        reason = None if outcome == "success" else self.reason
        return MailRow(
            timestamp, "message", outcome, reason, self.host, self.program, self.pid, sub, self.first,
            self.message_id or self.resent_id, self.qid, self.sender, self.size, self.nrcpt, self.subject,
            self.subject_text, self.ip, self.port, self.domain, self.user, self.method, self.helo, self.protocol,
            complete, line,
        )  # fmt: skip

    def _outcome(self) -> str:
        good = bad = 0
        for value in self.recipients.values():
            if value[1] in _GOOD:
                good += 1
            elif value[1] == "accepted":
                return "unknown"
            else:
                bad += 1
        if not good and not bad:
            return "failure" if self.doomed else "unknown"
        return "success" if not bad else "unknown" if good else "failure"

    def further(self, first: int) -> Join:
        """An empty join of the same message, for what is still to come of it."""
        join = Join(self.key, self.qid, self.host, first)
        for name in ("message_id", "resent_id", "sender", "size", "nrcpt", "ip", "port", "domain", "user", "method",
                     "helo", "protocol", "subject", "subject_text", "began", "queued"):  # fmt: skip
            setattr(join, name, getattr(self, name))
        return join

    def dump(self) -> list[Any]:
        """JSON-able form, for `read`."""
        return [*(getattr(self, name) for name in _PLAIN), self.offsets, self.recipients]

    @staticmethod
    def read(saved: list[Any]) -> Join:
        """Take back what `dump` gave; raises ValueError where it is something else."""
        *plain, offsets, recipients = saved
        join = Join("", "", None, 0)
        if len(plain) == len(_PLAIN) - 1:  # of the release before subjects could be kept
            plain.append(None)
        for name, value in zip(_PLAIN, plain, strict=True):
            setattr(join, name, value)
        join.counted = join.weight
        join.offsets, join.recipients = list(offsets), {to: tuple(known) for to, known in recipients.items()}
        return join


class Memory:
    """Envelopes of messages whose event is out, for what may still come of them: the newest `limit` of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.kept: OrderedDict[str, Join] = OrderedDict()

    def keep(self, join: Join) -> None:
        """Remember a join, without its recipients and lines."""
        join.recipients, join.offsets = {}, []
        self.kept.pop(join.key, None)
        self.kept[join.key] = join
        if len(self.kept) > self._limit:
            self.kept.popitem(last=False)

    def forget(self, key: str) -> None:
        """The queue id is in use again."""
        if self.kept:
            self.kept.pop(key, None)
