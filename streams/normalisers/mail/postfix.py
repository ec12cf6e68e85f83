"""Postfix's log to mail events: the lines of a queue id joined into one event with every recipient.

What comes out (`event_action`, a closed list):

- `message`: a message, from all lines of its queue id. `event_outcome` is `success` if every recipient that is no
  content filter got it, `failure` if none did, else `unknown`. `email_complete` is true where the message is gone from
  the queue; false where the join was flushed: because the log went on for `join_max_s` after its newest line, because
  there are too many open joins (the oldest goes), because it grew to `FULL_BYTES`, because its queue id began again, or
  by `finish`. What comes of the message after a flush is a further event with the same queue id, Message-ID, sender.
- `rejected`, `discarded`, `held`, `filtered`, `redirected`, `warned`, `noted`: what was done to an attempt that has no
  queue id (yet), from a line of its own; `accepted`: a before-queue filter took a message, whose queue id it names.
- `authentication_failed`, and `authenticated` (of a session without a queue id).

A rejected recipient's status is `rejected`; one that is only mentioned is `accepted`. Retries of a recipient change its
state and count as attempts. A Message-ID is the first logged, else the `Resent-Message-ID`. A reason is the words of
the last failure, null where all is well in the end. Other lines are ignored for a reason of
`postfix_chatter.IGNORED`.

A flushed join has the time that the log had reached, so that it is not late. `email_to_attempts` counts from the flush
a message was flushed. A line whose time is wrong and far ahead flushes all joins that are open: more events, no other
loss.
"""

from __future__ import annotations

import json
import re
from typing import Final

from schemas.errors import StateError
from schemas.kinds import EventKind
from streams.normalisers.abstract import LineChunk, Normalised, Normaliser, NormaliserSettings, Reject
from streams.normalisers.lines import MAX_REPEATS, read_state
from streams.normalisers.mail import postfix_lines as lines
from streams.normalisers.mail.postfix_chatter import COMMONEST, daemon_of, reason_of
from streams.normalisers.mail.postfix_columns import FIELDS, Events
from streams.normalisers.mail.postfix_messages import HELD, UNREADABLE, Messages
from streams.normalisers.mail.postfix_single import single
from streams.normalisers.masking import mask_bytes
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.syslog import split
from streams.normalisers.times import SourceClock

ACTIONS: Final = (
    "message",
    "rejected",
    "discarded",
    "held",
    "filtered",
    "redirected",
    "warned",
    "noted",
    "accepted",
    "authentication_failed",
    "authenticated",
)

_VERSION = 1
_CHECKED = re.compile(rb"(: (?:header|body|content|mime-error) ).+", re.DOTALL)
"""What a check looked at in a message: text of it, which no dead letter holds."""
_HINT = "remove the source's saved state to read it from its start"
_SECOND = 1_000_000
_match_head = lines.HEAD.match
_MAX_PROGRAM = 256  # characters of a name that may be Postfix
_MAX_PROGRAMS = 1_000  # program names whose daemon is remembered; then all are forgotten and found again


class PostfixNormaliser(Normaliser):
    """Lines of one or several Postfix instances; see the module.

    Args:
        settings: What the source's configuration tells.
    """

    kind = EventKind.MAIL
    type_name = "postfix"
    joins = True
    fields = FIELDS

    def __init__(self, settings: NormaliserSettings) -> None:
        self._settings = settings
        self._clock = SourceClock(settings)
        self._messages = Messages(settings.max_joins, settings.join_max_s * _SECOND, keep_subject=settings.keep_subject)
        self._daemons: dict[str | None, str | None] = {}
        self._rejects: list[Reject] = []
        self._ignored: list[tuple[int, str]] = []

    def normalise(self, chunk: LineChunk) -> Normalised:
        """Take the next lines; see `Normaliser.normalise`."""
        self._start()
        at, longest, offsets, decide = self._messages.at, self._settings.max_line_bytes, chunk.offsets, self._line
        for index, raw in enumerate(chunk.lines):
            at.index, at.sub, at.offset = index, 0, offsets[index]
            if len(raw) > longest:
                self._refuse(raw[:longest], Refused.LINE_TOO_LONG, f"{len(raw)} bytes", None)
            else:
                decide(raw)
        return Normalised(self._messages.events.frame(), tuple(self._rejects), tuple(self._ignored))

    def finish(self) -> Normalised | None:
        """Flush all open joins, in the order of their newest lines. They are remembered: further lines may follow."""
        if not self._messages.joins.open:
            return None
        self._start()
        self._messages.at.index = self._messages.at.sub = 0
        self._messages.flush_all()
        return Normalised(self._messages.events.frame())

    @property
    def open_lines(self) -> int:
        """Number of lines held in open joins."""
        return self._messages.joins.lines

    def _start(self) -> None:
        self._messages.events, self._rejects, self._ignored = Events(), [], []

    def _line(self, raw: bytes) -> None:
        """Decide one line; its place is set."""
        messages = self._messages
        at = messages.at
        head = _match_head(raw.decode("utf-8", "backslashreplace"))
        if head is not None:
            stamp, at.host, program, pid, qid, rest = head.groups()
            at.pid = int(pid) if pid else None
        else:
            taken = self._uncommon(raw)
            if taken is None:
                return
            stamp, at.host, program, at.pid, qid, rest = taken
        now = self._clock.micros(stamp)
        if now is None:
            self._refuse(raw, Refused.BAD_TIME, f"no such time: {stamp}", None)
            return
        at.before, at.now, at.program = at.now, now, program
        if now > messages.joins.next_due:
            messages.flush_due(now)
        daemon = self._daemons[program] if program in self._daemons else self._daemon(program)
        if daemon is None:
            self._foreign(program, rest)
            return
        at.daemon = daemon
        if qid is not None and qid != lines.NO_QUEUE:
            what = messages.take(qid, rest)
            if what != HELD:
                self._decide(raw, what)
        else:
            self._without_queue(raw, qid, rest)

    def _uncommon(self, raw: bytes) -> tuple[str, str | None, str | None, int | None, str | None, str] | None:
        """A line whose header is not one of the two commonest; None where it is decided."""
        line = split(raw.decode("utf-8", "backslashreplace"))
        if line is None:
            if raw.strip():
                self._refuse(raw, Refused.NO_HEADER, "no syslog header", None)
            else:
                self._ignore(Ignored.BLANK_LINE.value)
            return None
        match = lines.WITH_ID.match(line.message)
        qid, rest = match.groups() if match else (None, line.message)
        return line.stamp, line.host, line.program, line.pid, qid, rest

    def _foreign(self, program: str | None, rest: str) -> None:
        repeated = program is None or program == "last"
        last = repeated and "message repeated" in rest
        self._ignore((Ignored.REPEATED_OTHER if last else Ignored.OTHER_PROGRAM).value)

    def _without_queue(self, raw: bytes, qid: str | None, rest: str) -> None:
        if rest.startswith(COMMONEST):
            self._ignore("connection")
            return
        times = 1
        repeated = lines.REPEATED.match(rest) if rest.startswith("message repeated") else None
        if repeated is not None:
            times, rest = min(int(repeated[1]), MAX_REPEATS), repeated[2]
            known = lines.WITH_ID.match(rest)
            if known is not None and known[1] != lines.NO_QUEUE:
                self._decide(raw, self._messages.take(known[1], known[2]))
                return
            qid, rest = (known[1], known[2]) if known is not None else (None, rest)
        for _ in range(times):
            if not single(self._messages.events, self._messages.at, qid, rest):
                self._chatter(raw, qid, rest)
                return
        if not times:
            self._ignore(Ignored.REPEATED_OTHER.value)

    def _chatter(self, raw: bytes, qid: str | None, rest: str) -> None:
        """A line without a queue id that is no event, or one about a queue id in other words."""
        at = self._messages.at
        if qid is not None and lines.REFUSED_START.match(rest):
            self._decide(raw, UNREADABLE)
            return
        warned = lines.WARNED_ID.match(rest)
        if warned is not None and self._messages.mention(warned[1]):
            return
        self._ignore(reason_of(at.daemon, rest))

    def _decide(self, raw: bytes, what: str) -> None:
        if what == UNREADABLE:
            self._refuse(raw, Refused.UNKNOWN_FORM, "starts like a line about a message", self._messages.at.now)
        elif what != HELD:
            self._ignore(what)

    def _ignore(self, reason: str) -> None:
        self._ignored.append((self._messages.at.index, reason))

    def _refuse(self, raw: bytes, reason: Refused, detail: str, timestamp: int | None) -> None:
        masked, changed = mask_bytes(raw)
        masked, looked_at = _CHECKED.subn(rb"\1(masked)", masked)
        changed = changed or looked_at > 0
        self._rejects.append(Reject(self._messages.at.index, reason.value, detail, masked, changed, timestamp))

    def _daemon(self, program: str | None) -> str | None:
        if program is not None and len(program) > _MAX_PROGRAM:
            return None
        if len(self._daemons) >= _MAX_PROGRAMS:
            self._daemons.clear()
        daemon = self._daemons[program] = daemon_of(program)
        return daemon

    def save(self) -> bytes:
        """Open joins, envelopes that are remembered, and the clock: JSON, UTF-8."""
        state = {"type": self.type_name, "version": _VERSION, "clock": self._clock.state(), **self._messages.state()}
        return json.dumps(state, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")

    def load(self, state: bytes) -> None:
        """Take back what `save` gave; `{}` is a new source.

        Raises:
            StateError: it is something else.
        """
        saved = dict(read_state(state, self.type_name))
        if not saved:
            return
        try:
            self._messages.restore(saved)
            self._clock.restore(saved["clock"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise StateError(f"saved state of a postfix source has another form: {error!r}", hint=_HINT) from error
