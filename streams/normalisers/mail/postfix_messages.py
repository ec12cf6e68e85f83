"""What the lines of a queue id mean for its message: when a join opens, what it learns, when it is complete.

The life of a queue id in the log: `client=` (smtpd) or `uid=` (pickup) or, for what Postfix makes itself, at once
`message-id=` (cleanup); `from=, size=, nrcpt=` whenever the queue manager takes it up; a line for every delivery that
was tried; `removed`. Any of them may be missing: the log may start in the middle or have lost lines, and nothing tells
that a queue id is used again but its first line.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Final

from schemas.ids import MAX_SUB
from streams.normalisers.lines import MAX_REPEATS
from streams.normalisers.mail import postfix_lines as lines
from streams.normalisers.mail.encoded_words import decoded
from streams.normalisers.mail.open_joins import FULL_BYTES, LINE_BYTES, Joins
from streams.normalisers.mail.postfix_columns import Events
from streams.normalisers.mail.postfix_join import Join, Memory

MOST_JOINS = MAX_SUB - MAX_REPEATS - 15
"""Open joins kept at most, whatever the settings say: one line or `finish` may flush them all, and then be repeats
themselves, and each event of a line needs a sub-index of its own (16 bits)."""

FLUSHED_KEPT = 10_000  # envelopes of messages that were flushed before they were complete
REMOVED_KEPT = 256  # and of complete ones, for a delivery line that its `removed` overtook
OVERTAKEN = 10_000_000  # microseconds within which that is believed
FORGIVEN = 60_000_000  # microseconds that a message's other first lines may come before its `client=`

HELD: Final = ""  # the line is in a join, or in the event that it completed
UNREADABLE: Final = "!"  # the line starts like one that we report and goes on differently
UNATTACHED: Final = "unattached"

_DROPPED = {"reject": "rejected", "milter-reject": "rejected", "discard": "discarded", "milter-discard": "discarded"}
_CONTENT = frozenset({"header", "body", "content", "mime-error"})
_SUBJECT = "subject:"


def _check(said: lines.Handling) -> str:
    """What a header or body check is called where it gives no words of its own. Never the text that it looked at."""
    name = said.content.partition(":")[0] if said.stage == "header" else ""
    return f"{said.stage} check" + (f": {name}" if name.isascii() and 0 < len(name) <= 40 else "")


class Place:
    """Where the line that is being read stands, and what its header says. One object, set anew for each line."""

    __slots__ = ("before", "daemon", "host", "index", "now", "offset", "pid", "program", "sub")

    def __init__(self) -> None:
        self.index = self.sub = self.offset = 0
        self.now = self.before = 0  # time of the line, and of the one before it
        self.host: str | None = None
        self.program: str | None = None
        self.pid: int | None = None
        self.daemon = ""


class Messages:
    """The open joins of one source and what becomes of them.

    Args:
        limit: Open joins kept at most.
        wait: Microseconds of the log's own time after its newest line at which a join is flushed.
        keep_subject: Keep subjects themselves, not their hashes alone.
    """

    def __init__(self, limit: int, wait: int, *, keep_subject: bool = False) -> None:
        self._keep_subject = keep_subject
        self.joins: Joins[Join] = Joins(max(1, min(limit, MOST_JOINS)), wait)
        self.flushed, self.removed = Memory(FLUSHED_KEPT), Memory(REMOVED_KEPT)
        self.seq = 0
        self.events = Events()
        self.at = Place()
        self._handlers = {
            "to": self._delivery, "from": self._sender, "client": self._client, "uid": self._pickup,
            "message-id": self._message_id, "resent-message-id": self._message_id,
        }  # fmt: skip

    def flush_due(self, now: int) -> None:
        """Flush what a line of this time makes due."""
        for join in self.joins.due(now):
            self._flush(join)

    def flush_all(self) -> None:
        """Flush every open join, oldest newest line first, at the time of the last line."""
        self.at.before = self.at.now
        while (join := self.joins.pop_oldest()) is not None:
            self._flush(join)

    def take(self, qid: str, rest: str) -> str:
        """The next line of a queue id; its header is in `at`.

        Returns:
            `HELD`, `UNREADABLE`, or the reason for which the line is ignored.
        """
        self.seq += 1
        key = f"{self.at.host or ''} {qid}"
        handler = self._handlers.get(rest.partition("=")[0])
        if handler is not None:
            return handler(key, qid, rest)
        if rest.startswith("removed"):
            return self._gone(key, qid)
        return self._other(key, qid, rest)

    def mention(self, qid: str) -> bool:
        """A line that names a queue id in the middle: it is held if that is open."""
        self.seq += 1
        join = self.joins.open.get(f"{self.at.host or ''} {qid}")
        if join is not None:
            self._touch(join)
        return join is not None

    # What a line says

    def _client(self, key: str, qid: str, rest: str) -> str:
        said = lines.submission(rest)
        if said is None:
            return UNREADABLE
        join = self._begin(key, qid)
        join.domain, join.ip, join.port, join.method, join.user = said
        return self._touch(join)

    def _pickup(self, key: str, qid: str, rest: str) -> str:
        match = lines.PICKUP.match(rest)
        if match is None:
            return UNREADABLE
        join = self._begin(key, qid)
        join.user = match[1]
        join.sender = lines.address(match[2] if match[2] is not None else match[3])
        return self._touch(join)

    def _message_id(self, key: str, qid: str, rest: str) -> str:
        name, _, text = rest.partition("=")
        join = self.joins.open.get(key)
        if join is not None and (join.tried or (join.queued and join.message_id is not None)):
            self._flush_open(join)
            join = None
        if join is None:
            seed = self.flushed.kept.get(key)
            known = seed is not None and (seed.queued or seed.message_id is not None)
            join = self._open(key, qid, new=known)
        said = lines.message_id(text)
        if name == "message-id":
            join.message_id = join.message_id or said
        else:
            join.resent_id = join.resent_id or said
        return self._complete(join) if join.doomed and name == "message-id" else self._touch(join)

    def _sender(self, key: str, qid: str, rest: str) -> str:
        match = lines.ACTIVE.match(rest)
        if match is None:
            return self._expired(key, qid, rest)
        sender = lines.address(match[1] if match[1] is not None else match[2])
        size = int(match[3])
        join = self.joins.open.get(key)
        if join is not None and join.queued and (join.sender, join.size) != (sender, size):
            self._flush_open(join)  # another message: the lines between were lost
            join = None
        if join is None:
            seed = self.flushed.kept.get(key)
            other = seed is not None and seed.queued and (seed.sender, seed.size) != (sender, size)
            join = self._open(key, qid, new=other)
        join.sender, join.size, join.queued = sender, size, True
        join.nrcpt = min(int(match[4]), 2**31 - 1)
        return self._touch(join)

    def _expired(self, key: str, qid: str, rest: str) -> str:
        match = lines.EXPIRED.match(rest)
        if match is None:
            return UNREADABLE
        join = self.joins.open.get(key) or self._open(key, qid)
        join.sender = lines.address(match[1] if match[1] is not None else match[2])
        join.reason = lines.clipped(match[3])
        join.expire()
        return self._touch(join)

    def _delivery(self, key: str, qid: str, rest: str) -> str:
        said = lines.delivery(rest)
        if said is None:
            return UNREADABLE
        join = self.joins.open.get(key) or self._open(key, qid, overtaken=True)
        join.tried = True
        if said.status != "sent" and said.response:
            join.reason = lines.clipped(said.response)
        to_filter = lines.handed_to_filter(self.at.daemon, said)
        join.deliver(said, to_filter=to_filter)
        return self._touch(join)

    def _gone(self, key: str, qid: str) -> str:
        join = self.joins.open.get(key)
        if join is None:
            if key not in self.flushed.kept:
                return UNATTACHED
            join = self._open(key, qid)
        return self._complete(join)

    def _other(self, key: str, qid: str, rest: str) -> str:
        join = self.joins.open.get(key)
        if rest == "requeued":
            return self._complete(join) if join is not None else UNATTACHED
        said = lines.handling(rest)
        if said is None:
            return self._touch(join) if join is not None else UNATTACHED
        join = join or self._open(key, qid)
        self._learn(join, said)
        return self._complete(join) if self._final(join, said) else self._touch(join)

    def _learn(self, join: Join, said: lines.Handling) -> None:
        join.sender = said.sender if join.sender is None else join.sender
        join.protocol, join.helo = join.protocol or said.protocol, join.helo or said.helo
        if join.ip is None and said.ip is not None:
            join.domain, join.ip, join.port = said.domain, said.ip, said.port
        join.user = join.user or said.user
        if said.content[: len(_SUBJECT)].lower() == _SUBJECT:
            text = decoded(said.content[len(_SUBJECT) :]).strip()
            join.subject = blake2b(text.encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()
            join.subject_text = lines.clipped(text) if self._keep_subject else None
        status = _DROPPED.get(said.action)
        if status is None:
            join.hint = join.hint or said.to
            return
        join.reason = lines.clipped(said.reason or _check(said)) or join.reason
        if said.to is not None:
            join.refuse(said.to, status, said.dsn)

    @staticmethod
    def _final(join: Join, said: lines.Handling) -> bool:
        """Whether nothing is to come: the message as a whole was dropped, and what cleanup logs has been logged."""
        if said.action not in _DROPPED:
            return False
        if said.stage == "END-OF-MESSAGE":
            return True
        if said.stage in _CONTENT or said.action == "discard":
            join.doomed = True
        return join.doomed and join.message_id is not None

    # How joins open and close

    def _begin(self, key: str, qid: str) -> Join:
        """A message's first line: whatever is open under its queue id is another one."""
        join = self.joins.open.get(key)
        if join is not None:
            if not join.began and not join.recipients and 0 <= self.at.now - join.first <= FORGIVEN:
                join.began = True  # its first lines came in another order
                return join
            self._flush_open(join)
        join = self._open(key, qid, new=True)
        join.began = True
        return join

    def _open(self, key: str, qid: str, *, new: bool = False, overtaken: bool = False) -> Join:
        """Open a join: of a new message, or with what is remembered of the one that had this queue id."""
        seed = self.flushed.kept.get(key)
        if seed is None and overtaken:
            gone = self.removed.kept.get(key)
            seed = gone if gone is not None and 0 <= self.at.now - gone.newest <= OVERTAKEN else None
        self.flushed.forget(key)
        self.removed.forget(key)
        while len(self.joins.open) >= self.joins.limit and (oldest := self.joins.pop_oldest()) is not None:
            self._flush(oldest)
        at = self.at
        join = Join(key, qid, at.host, at.now) if new or seed is None else seed.further(at.now)
        join.seq = self.seq
        self.joins.add(join)
        return join

    def _touch(self, join: Join) -> str:
        """The line being read is of this join."""
        at = self.at
        if at.now > join.newest:  # noqa: PLR1730 - a third of the time of max(), for every line
            join.newest = at.now
        join.seq, join.program, join.pid = self.seq, at.program, at.pid
        join.offsets.append(at.offset)
        join.weight += LINE_BYTES
        self.joins.count(join)
        if join.weight > FULL_BYTES:
            self._flush_open(join)
        while self.joins.too_much and (oldest := self.joins.pop_oldest()) is not None:
            self._flush(oldest)
        return HELD

    def _complete(self, join: Join) -> str:
        at = self.at
        join.offsets.append(at.offset)
        join.newest, join.program, join.pid = max(join.newest, at.now), at.program, at.pid
        self.joins.close(join)
        row = join.row(at.now, at.index, at.sub, complete=True)
        self.events.add(row, join.offsets, join.recipients)
        at.sub += 1
        self.removed.keep(join)
        return HELD

    def _flush_open(self, join: Join) -> None:
        self.joins.close(join)
        self._flush(join)

    def _flush(self, join: Join) -> None:
        """The event of a join that is closed already, though more may come of its message."""
        at = self.at
        # As far as the log had come: by its newest line's own time it would be late, and a message that stays in the
        # queue for one bad address would be in no window. The line that flushes it may have a wrong time, far ahead.
        row = join.row(max(at.before, join.newest), at.index, at.sub, complete=False)
        self.events.add(row, join.offsets, join.recipients)
        at.sub += 1
        self.flushed.keep(join)

    # Saving

    def state(self) -> dict[str, Any]:
        """JSON-able; read back by `restore`."""
        kept = {"open": self.joins.open, "flushed": self.flushed.kept, "removed": self.removed.kept}
        return {
            "seq": self.seq,
            "now": self.at.now,
            **{name: [j.dump() for j in joins.values()] for name, joins in kept.items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave; raises KeyError, TypeError or ValueError where it is something else."""
        self.seq, self.at.now = int(state["seq"]), int(state.get("now", 0))
        for memory, name in ((self.flushed, "flushed"), (self.removed, "removed")):
            memory.kept.clear()
            for saved in state[name]:
                memory.keep(Join.read(saved))
        self.joins.restore(Join.read(saved) for saved in state["open"])
