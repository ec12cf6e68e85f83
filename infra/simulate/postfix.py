"""Lines of Postfix by syslog: what its daemons say of one message from the client to `removed`.

Worded as smtpd, cleanup, qmgr, lmtp, smtp, bounce and local log (Postfix's source, and its DEBUG_README and
FILTER_README for the content filter).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from infra.simulate.day import Day
from infra.simulate.draw import Draw
from infra.simulate.lines import LogFile, some_delay

STORE = "relay=store1.example-schools.org[10.1.0.25]:24"
_FILTER = "relay=127.0.0.1[127.0.0.1]:10024"
_INTERNAL = "example-schools.org"
_TOGETHER = 40  # recipients delivered in the same second
_ID_RANGE = 1 << 44
_ID_STEP = 4_986_321_077_123  # odd: each number another queue id


@dataclass(frozen=True, slots=True)
class Sender:
    """Who hands a message in.

    Attributes:
        address: Envelope sender; empty for the null sender.
        host: Client's name, `unknown` where it has none.
        ip: Client's address.
        login: Account that authenticated; empty for mail from outside.
    """

    address: str
    host: str
    ip: str
    login: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """What becomes of a message.

    Attributes:
        copies: 0: no content filter; else it comes back from the filter in so many copies of its recipients' parts.
        typed: The list address that the sender wrote, where it was expanded; empty where not.
        slow: So many recipients are deferred at first.
        retries: Seconds of the later tries; the last one delivers.
        never: True where the last of `retries` is deferred too, so that the message stays in the queue.
        bounced: So many of the last recipients do not exist.
    """

    copies: int = 0
    typed: str = ""
    slow: int = 0
    retries: tuple[int, ...] = ()
    never: bool = False
    bounced: int = 0


PLAIN = Route()


@dataclass(frozen=True, slots=True)
class _Entry:
    """One queue entry: its id, what it carries, and how late its lines come to the file."""

    queue_id: str
    message_id: str
    sender: str
    size: int
    delay: int


@dataclass
class Postfix:
    """Writer of one server's log."""

    day: Day
    draw: Draw
    log: LogFile
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def _put(self, second: int, delay: int, daemon: str, message: str) -> None:
        self.log.add(second + delay, f"{self.day.syslog(second)} mail1 postfix/{daemon}: {message}")

    def _queue_id(self) -> str:
        return f"{next(self._numbers) * _ID_STEP % _ID_RANGE:011X}"

    def _for(self, entry: _Entry, second: int, daemon: str, message: str) -> None:
        self._put(second, entry.delay, daemon, f"{entry.queue_id}: {message}")

    def send(self, at: int, sender: Sender, recipients: Sequence[str], route: Route = PLAIN) -> int:
        """One message, from connect to the last `removed`.

        Returns:
            Second of its first event that says of a delivery to a person: when its queue entry (the first copy, behind
            a filter) was removed; of what stays in the queue, of its last line.
        """
        message_id = f"{self.draw.digits(12)}.{at}@{_host_of(sender)}"
        size = self.draw.between(1_200, 90_000)
        entry = _Entry(self._queue_id(), message_id, sender.address, size, some_delay(self.draw))
        daemon = f"{'submission/' if sender.login else ''}smtpd[{self.draw.between(2200, 2290)}]"
        client = f"{sender.host}[{sender.ip}]"
        signed = f", sasl_method=PLAIN, sasl_username={sender.login}" if sender.login else ""
        said = f"ehlo=1 mail=1 rcpt={len(recipients)} data=1 quit=1"
        self._put(at, entry.delay, daemon, f"connect from {client}")
        self._for(entry, at, daemon, f"client={client}{signed}")
        self._accept(entry, at, len(recipients))
        self._put(at, entry.delay, daemon, f"disconnect from {client} {said}")
        if route.copies:
            return self._filter(entry, at + 1, recipients, route)
        return self._deliver(entry, at + 1, recipients, route)

    def _accept(self, entry: _Entry, at: int, recipients: int) -> None:
        self._for(entry, at, f"cleanup[{self.draw.between(2300, 2330)}]", f"message-id=<{entry.message_id}>")
        self._active(entry, at, recipients)

    def _active(self, entry: _Entry, at: int, recipients: int) -> None:
        envelope = f"from=<{entry.sender}>, size={entry.size}, nrcpt={recipients}"
        self._for(entry, at, "qmgr[901]", f"{envelope} (queue active)")

    def _filter(self, entry: _Entry, at: int, recipients: Sequence[str], route: Route) -> int:
        """Hand over to the filter, which queues one or more copies with the same Message-ID."""
        share = -(-len(recipients) // route.copies)
        smtp, local = f"smtp[{self.draw.between(2400, 2440)}]", "localhost[127.0.0.1]"
        done = []
        for start in range(0, len(recipients), share):
            part = recipients[start : start + share]
            copy = replace(entry, queue_id=self._queue_id(), size=entry.size + 612)
            daemon = f"smtpd[{self.draw.between(2500, 2520)}]"
            self._put(at, entry.delay, daemon, f"connect from {local}")
            self._for(copy, at, daemon, f"client={local}")
            self._accept(copy, at, len(part))
            answer = f"250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as {copy.queue_id}"
            for one in part:
                state = f"{_FILTER}, {self._delays()}, dsn=2.0.0, status=sent ({answer})"
                self._for(entry, at, smtp, f"to=<{one}>{_typed(route)}, {state}")
            self._put(at, entry.delay, daemon, f"disconnect from {local} ehlo=1 mail=1 rcpt={len(part)} data=1 quit=1")
            done.append(self._deliver(copy, at, part, replace(route, typed="")))
        self._for(entry, min(done), "qmgr[901]", "removed")
        return min(done)

    def _deliver(self, entry: _Entry, at: int, recipients: Sequence[str], route: Route) -> int:
        """Deliver to everybody; returns the second of the entry's last line."""
        reached, gone = recipients[: len(recipients) - route.bounced], recipients[len(recipients) - route.bounced :]
        last = at + (len(recipients) - 1) // _TOGETHER
        for i, one in enumerate(reached):
            self._try(entry, at + i // _TOGETHER, one, route, fails=i < route.slow)
        for one in gone:
            self._for(entry, last, self._daemon(one), f"to=<{one}>{_typed(route)}, {self._bounced(one)}")
        for number, retry in enumerate(route.retries if route.slow else (), start=1):
            last = max(retry, last)
            self._active(entry, last, len(recipients))
            for one in reached[: route.slow]:
                self._try(entry, last, one, route, fails=route.never or number < len(route.retries))
        if gone:
            self._notify(entry, last)
        if not route.never:
            self._for(entry, last, "qmgr[901]", "removed")
        return last

    def _try(self, entry: _Entry, at: int, recipient: str, route: Route, *, fails: bool) -> None:
        state = self._deferred(recipient) if fails else self._sent(recipient)
        self._for(entry, at, self._daemon(recipient), f"to=<{recipient}>{_typed(route)}, {state}")

    def _notify(self, entry: _Entry, at: int) -> None:
        """The notice of non-delivery: a message of its own, from nobody to the sender."""
        queue_id = self._queue_id()
        notice = _Entry(queue_id, f"{queue_id}@mail1.{_INTERNAL}", "", self.draw.between(2_500, 6_000), entry.delay)
        self._for(notice, at, f"cleanup[{self.draw.between(2300, 2330)}]", f"message-id=<{notice.message_id}>")
        self._for(entry, at, "bounce[2601]", f"sender non-delivery notification: {queue_id}")
        self._active(notice, at, 1)
        self._for(notice, at, self._daemon(entry.sender), f"to=<{entry.sender}>, {self._sent(entry.sender)}")
        self._for(notice, at, "qmgr[901]", "removed")

    def refuse(self, at: int, sender: Sender, recipient: str) -> None:
        """A client that wants to relay through the server and may not."""
        delay, daemon = some_delay(self.draw), f"smtpd[{self.draw.between(2200, 2290)}]"
        client = f"{sender.host}[{sender.ip}]"
        self._put(at, delay, daemon, f"connect from {client}")
        envelope = f"from=<{sender.address}> to=<{recipient}> proto=ESMTP helo=<{sender.host}>"
        words = f"554 5.7.1 <{recipient}>: Relay access denied"
        self._put(at, delay, daemon, f"NOQUEUE: reject: RCPT from {client}: {words}; {envelope}")
        self._put(at, delay, daemon, f"disconnect from {client} ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4")

    def cron(self, at: int) -> None:
        """The server's own report to its administrator, through an alias."""
        root, queue_id = f"root@mail1.{_INTERNAL}", self._queue_id()
        entry = _Entry(queue_id, f"{queue_id}@mail1.{_INTERNAL}", root, 800, some_delay(self.draw))
        self._for(entry, at, "pickup[2610]", "uid=0 from=<root>")
        self._accept(entry, at, 1)
        state = f"relay=local, {self._delays()}, dsn=2.0.0, status=sent (delivered to mailbox)"
        self._for(entry, at, "local[2611]", f"to=<{root}>, orig_to=<root>, {state}")
        self._for(entry, at, "qmgr[901]", "removed")

    def _daemon(self, recipient: str) -> str:
        number = self.draw.between(2400, 2440)
        return f"lmtp[{number + 300}]" if recipient.endswith(_INTERNAL) else f"smtp[{number}]"

    def _delays(self) -> str:
        before, connect, transmit = self.draw.below(9), self.draw.below(30), self.draw.below(60)
        return f"delay={(before + connect + transmit) / 100}, delays={before / 100}/0/{connect / 100}/{transmit / 100}"

    def _sent(self, recipient: str) -> str:
        if recipient.endswith(_INTERNAL):
            return f"{STORE}, {self._delays()}, dsn=2.1.5, status=sent (250 2.1.5 Ok)"
        answer = f"250 2.0.0 Ok: queued as {self.draw.digits(10, '0123456789ABCDEF')}"
        return f"{_exchanger(recipient)}, {self._delays()}, dsn=2.0.0, status=sent ({answer})"

    def _deferred(self, recipient: str) -> str:
        if recipient.endswith(_INTERNAL):
            words = (
                "host store1.example-schools.org[10.1.0.25] said: 452 4.2.2 Mailbox full (in reply to RCPT TO command)"
            )
            return f"{STORE}, {self._delays()}, dsn=4.2.2, status=deferred ({words})"
        words = f"connect to {_exchanger(recipient)[6:]}: Connection timed out"
        return f"relay=none, {self._delays()}, dsn=4.4.1, status=deferred ({words})"

    def _bounced(self, recipient: str) -> str:
        relay = STORE if recipient.endswith(_INTERNAL) else _exchanger(recipient)
        said = f"550 5.1.1 <{recipient}>: User unknown (in reply to RCPT TO command)"
        words = f"host {relay[6:].rpartition(':')[0]} said: {said}"
        return f"{relay}, {self._delays()}, dsn=5.1.1, status=bounced ({words})"


def _typed(route: Route) -> str:
    return f", orig_to=<{route.typed}>" if route.typed else ""


def _host_of(sender: Sender) -> str:
    return sender.address.rpartition("@")[2] or f"mail1.{_INTERNAL}"


def _exchanger(recipient: str) -> str:
    """Mail exchanger of an outside address, in the networks that RFC 5737 keeps for examples."""
    domain = recipient.rpartition("@")[2]
    last = sum(domain.encode()) % 200 + 20
    return f"relay=mx1.{domain}[198.51.100.{last}]:25"
