"""Cisco ESA's (AsyncOS') text mail logs and consolidated event logs to mail events.

`event_action` is

- `message`: a message, from all lines of its MID; a MID that was rewritten to another goes on under that one, and what
  was split off is a message of its own. It is complete with `Message finished`; one that went into a policy quarantine
  comes out at once (`quarantined`). A record of the consolidated event log is a `message` too: read the one log or the
  other, not both as one source.
- `delivery`: what became of recipients of a message whose event is out;
- `rejected`: a connection or recipient refused before there was a MID; outcome `failure`;
- `aborted`: the sender went away before the message was whole; outcome `failure`;
- `released`, `deleted`: what became of a message in a policy quarantine; outcome `success`, `failure`;
- `attachment`: what AMP says of a file of a message that is not being joined (an AMP log alone); outcome `unknown`;
- `authenticated`, `authentication_failed`: SMTP authentication.

`event_outcome` of a message is that of its recipients (`parts.outcome_of`): `sent` where `Message done` names their
RID, `bounced`, `deferred`, `rejected`, `discarded` where the message was dropped, `quarantined`. `email_verdict` is the
worst of the engines': virus, malware, phish, spam, policy (DLP), bulk (graymail), else clean.

Facts: see `esa_lines` and `esa_consolidated`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.lines import Unreadable
from streams.normalisers.mail import esa_lines as lines
from streams.normalisers.mail import gateway_facts as facts
from streams.normalisers.mail.esa_connections import Connections
from streams.normalisers.mail.esa_consolidated import consolidated
from streams.normalisers.mail.esa_facts import (
    FACTS,
    MOST_RIDS,
    amp,
    complement,
    dropped,
    inherited,
    judged,
    leave,
    merge,
)
from streams.normalisers.mail.esa_verdicts import verdict_of
from streams.normalisers.mail.join_lines import HELD, JOIN_FIELDS, JoinNormaliser, Single, Taken
from streams.normalisers.mail.joins import Join
from streams.normalisers.mail.parts import clipped
from streams.normalisers.mail.reasons_gateways import GatewaysIgnored
from streams.normalisers.mail.reasons_services import ServicesIgnored
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.syslog import SyslogLine

ACTIONS: Final = (
    "message",
    "delivery",
    "rejected",
    "aborted",
    "released",
    "deleted",
    "attachment",
    "authenticated",
    "authentication_failed",
)

_DAYS = frozenset("Mon Tue Wed Thu Fri Sat Sun".split())


class CiscoEsaNormaliser(JoinNormaliser):
    """Text mail logs (own files or behind a syslog header) and consolidated event logs; see the module."""

    type_name = "cisco_esa"
    DATASET = "cisco_esa"
    KEPT_NOTES = ("rids", "told")
    fields = (
        *JOIN_FIELDS, "event_reason", "observer_hostname", "process_name", "process_pid", "email_message_id",
        "email_local_id",
        "email_from_address", "email_header_from_address", "email_to_original_address", "email_to_dsn",
        "email_to_relay", "email_to_filter", "email_to_attempts", "email_size", "email_subject_hash", "source_ip",
        "source_domain", "user_name", "login_method", "email_helo", "email_direction", "email_verdict", "email_threat",
        "email_attachment_name", "email_attachment_type", "email_attachment_hash", "email_attachment_size",
    )  # fmt: skip

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self._ours = False  # whether the line being read has the log's own level word
        self._connections = Connections(self.messages)
        self._of_mid: dict[str, Callable[[Join, str, str], Taken]] = {
            "ICID": self._envelope, "rewritten": self._rewritten, "was": self._related,
            "quarantined": self._quarantined, "enqueued": self._quarantined, "released": self._left,
            "deleted": self._left,
        }  # fmt: skip

    def head(self, text: str) -> SyslogLine | None:
        """The envelope taken off, and the log's own time and level."""
        self._ours = False
        if text[:3] in _DAYS:
            return self._own(text)
        line = self._splitter.split(text)
        if line is None:
            return None
        at = line.message.find("CEF:") if lines.CONSOLIDATED in line.message else -1
        if at >= 0:
            host = line.host or line.program
            return SyslogLine(line.stamp, host, None, None, line.message[at:])
        said = lines.PREFIX.match(line.message)
        if said is None:
            return line
        self._ours = True
        stamp, host, _, words = said.groups()
        # The header is the syslog server's; a time of the log's own that has its year is better.
        own = stamp if stamp is not None and stamp[-5:-4] == " " else line.stamp
        return SyslogLine(own, line.host or host, line.program, line.pid, words)

    def _own(self, text: str) -> SyslogLine | None:
        said = lines.PREFIX.match(text)
        if said is not None and said[1] is not None:
            self._ours = True
            return SyslogLine(said[1], said[2], None, None, said[4])
        record = lines.OWN_CEF.match(text)
        return None if record is None else SyslogLine(record[1], None, None, None, record[2])

    def take(self, head: SyslogLine) -> Taken:
        """See `JoinNormaliser.take`."""
        text = head.message
        if text.startswith("CEF:") and lines.CONSOLIDATED in text:
            return consolidated(text, self.clock, self.settings)
        if not self._ours:
            return Ignored.OTHER_PROGRAM
        host = head.host or ""
        if text.startswith(("MID ", "Start MID", "Message finished MID", "Message aborted MID")):
            return self._about(host, text)
        if text.startswith("ICID "):
            return self._connections.line(host, text)
        if text.startswith(("Message done", "Delivery start")):
            return self._delivered(host, text)
        if text.startswith(("Bounced:", "Delayed:", "Double bounce:")):
            return self._failed(host, text)
        return self._other(host, text)

    # Lines of a MID

    def _join(self, host: str, mid: str) -> Join:
        """The join of a MID, or of the one that it was rewritten to."""
        key = f"{host} {mid}"
        if self.messages.get(key) is None:
            moved = self.messages.recent.get(f"moved {key}")
            key = moved if moved is not None and self.messages.get(moved) is not None else key
        join = self.messages.of(key)
        join.facts.setdefault("email_local_id", f"MID {mid}")
        return join

    def _about(self, host: str, text: str) -> Taken:
        start = lines.START.match(text)
        if start is not None:
            return self._start_of(host, *start.groups())
        found = lines.MID.match(text)
        if found is None:
            return Unreadable(Refused.UNKNOWN_FORM, "starts like a line about a message")
        mid, rest = found.groups()
        if text.startswith("Message"):
            return self._finished(host, mid, text.startswith("Message aborted"), rest)
        word = rest.partition(" ")[0]
        handler, fact = self._of_mid.get(word), FACTS.get(word)
        known = self.messages.get(f"{host} {mid}") or self.messages.recent.get(f"moved {host} {mid}")
        if known is None and handler is None and (fact is None or (fact is judged and verdict_of(rest)[0] is None)):
            return GatewaysIgnored.GATEWAY_CHECK
        if word in ("released", "deleted") and known is None:
            return self._out_of_quarantine(host, mid, rest)
        join = self._join(host, mid)
        if handler is not None:
            return handler(join, host, rest)
        if fact is not None:
            fact(join, rest, self.settings.keep_subject)
        return self._held(join)

    def _held(self, join: Join) -> Taken:
        self.messages.touch(join)
        return HELD

    def _start_of(self, host: str, mid: str, icid: str) -> Taken:
        self.messages.recent.forget(f"moved {host} {mid}")
        join = self.messages.begin(f"{host} {mid}")
        join.learn(email_local_id=f"MID {mid}", **self._connections.client(host, icid))
        join.notes["flow"] = self._connections.flow(host, icid)
        return self._held(join)

    def _envelope(self, join: Join, host: str, rest: str) -> Taken:
        del host
        to = lines.TO.match(rest)
        if to is not None:
            _, _, rid, recipient, words = to.groups()
            address = facts.bare_address(recipient)
            if words and "reject" in words.lower():
                join.deliver(address, "rejected", tried=0)
                join.reason = clipped(words)
                return self._held(join)
            join.mention(address)
            rids = join.notes.setdefault("rids", {})
            if rid is not None and len(rids) < MOST_RIDS:
                rids[rid] = address
            parent = self.messages.get(join.notes.get("parent", ""))
            if parent is not None:
                leave(parent, address)
            return self._held(join)
        sender = lines.FROM.match(rest)
        if sender is not None:
            join.learn(email_from_address=facts.bare_address(sender[3]))
            join.reason = clipped(sender[4]) if sender[4] else join.reason
        return self._held(join)

    def _rewritten(self, join: Join, host: str, rest: str) -> Taken:
        said = lines.REWRITTEN.match(rest)
        if said is None:
            return Unreadable(Refused.UNKNOWN_FORM, "starts like a message that was rewritten")
        old = join.key
        key = f"{host} {said[1]}"
        self.messages.touch(join)
        if key != old and self.messages.get(old) is join:
            to = self.messages.of(key)
            merge(self.messages, join, to)
            to.facts["email_local_id"] = f"MID {said[1]}"
        self.messages.recent.keep(f"moved {old}", key)
        return HELD

    def _related(self, join: Join, host: str, rest: str) -> Taken:
        """This message was split, or is a copy: both have what is known of the first, not its recipients."""
        split = lines.SPLIT.match(rest)
        if split is not None:
            child = self.messages.of(f"{host} {split[1]}")
            child.learn(email_local_id=f"MID {split[1]}", **inherited(join))
            child.notes["parent"] = join.key
            child.notes["flow"] = child.notes.get("flow") or join.notes.get("flow")
            join.notes["child"] = child.key
            for address in child.recipients:
                leave(join, address)
            return self._held(join)
        copy = lines.GENERATED.match(rest)
        parent = self.messages.get(f"{host} {copy[1]}") if copy is not None else None
        if parent is not None:
            join.learn(**inherited(parent))
        return self._held(join)

    def _quarantined(self, join: Join, host: str, rest: str) -> Taken:
        del host
        said = lines.QUARANTINED.match(rest)
        if said is None:
            return self._held(join)
        join.reason = clipped(": ".join(word for word in said.groups() if word))
        for known in join.recipients.values():
            known[1] = "quarantined" if known[1] == "accepted" else known[1]
        judged(join, said[2] or "")
        self.messages.touch(join)
        if self.messages.get(join.key) is join:
            self.messages.flush(join)
        return HELD

    def _left(self, join: Join, host: str, rest: str) -> Taken:
        """Out of quarantine while the message is being joined."""
        del join
        return self._out_of_quarantine(host, "", rest)

    def _out_of_quarantine(self, host: str, mid: str, rest: str) -> Taken:
        released, deleted = lines.RELEASED.match(rest), lines.DELETED.match(rest)
        said = released or deleted
        if said is None or (released is not None and said[1] is None):
            return GatewaysIgnored.GATEWAY_CHECK  # `from all quarantines` follows the line that names one
        known = self.messages.known(f"{host} {mid}") or [{}, {}]
        fact = {name: value for name, value in known[0].items() if name != "event_reason"}
        fact["email_local_id"] = fact.get("email_local_id") or (f"MID {mid}" if mid else None)
        fact["event_action"] = "released" if released is not None else "deleted"
        fact["event_outcome"] = "success" if released is not None else "failure"
        fact["event_reason"] = clipped(": ".join(word for word in said.groups() if word)) or None
        to = known[1].get("rids", {}).values()
        status = "accepted" if released is not None else "discarded"
        return Single(fact, {address: ["", status, "", "", False, 0] for address in to})

    def _finished(self, host: str, mid: str, aborted: bool, rest: str) -> Taken:  # noqa: FBT001 - which of two lines
        key = f"{host} {mid}"
        join = self.messages.get(key)
        if join is None:
            moved = self.messages.get(self.messages.recent.get(f"moved {key}") or "")
            if moved is None and not aborted:
                return ServicesIgnored.MAIL_UNATTACHED
            join = moved
            if join is not None:
                return self._held(join)
            join = self._join(host, mid)
        if aborted:
            dropped(join, rest)
            return self._held(join)
        child = self.messages.get(join.notes.get("child", ""))
        if child is not None and not join.recipients:  # all of it was split off
            self.messages.touch(join)
            merge(self.messages, join, child)
            return HELD
        self.messages.complete(join)
        return HELD

    def closing(self, join: Join) -> None:
        """Recipients of a message that was dropped, and the direction by the sender group where no policy said it."""
        end = join.notes.pop("dropped", None)
        if end is not None:
            for known in join.recipients.values():
                if known[1] == "accepted":
                    known[1] = "rejected" if end == "aborted" else "discarded"
            join.facts["event_outcome"] = None if join.recipients else "failure"
            if end == "aborted":
                join.facts["event_action"], join.facts["event_outcome"] = "aborted", "failure"
        flow = join.notes.get("flow")
        if flow is not None:
            join.learn(email_direction="outbound" if flow == "RELAY" else "inbound")
        if "told" in join.notes:
            join.facts.setdefault("event_action", "delivery")
        join.notes["told"] = True

    # Lines of a connection or a delivery

    def _delivered(self, host: str, text: str) -> Taken:
        done = lines.DONE.match(text)
        if done is None:
            begun = lines.BEGUN.match(text)
            join = self.messages.get(f"{host} {begun[2]}") if begun is not None else None
            if join is None:
                return ServicesIgnored.MAIL_QUEUE
            self.messages.touch(join)
            return HELD
        dcid, mid, rids = done.groups()
        join = self._join(host, mid)
        relay = self._connections.server(host, dcid)
        for rid in lines.rids(rids):
            address = join.notes.get("rids", {}).get(rid)
            if address is not None:
                dsn = join.recipients[address][2] if address in join.recipients else ""
                status = "quarantined" if join.notes.get("isq") else "sent"
                join.deliver(address, status, dsn if dsn[:1] == "2" else "", relay)
        self.messages.touch(join)
        return HELD

    def _failed(self, host: str, text: str) -> Taken:
        said = lines.failure(text)
        if said is None:
            return Unreadable(Refused.UNKNOWN_FORM, "starts like a delivery that failed")
        join = self._join(host, said.mid)
        address = join.notes.get("rids", {}).get(said.rid) or (facts.bare_address(said.to) if said.to else "")
        join.reason = clipped(said.words) or join.reason
        if address:
            relay = self._connections.server(host, said.dcid)
            join.deliver(address, "deferred" if said.word == "Delayed" else "bounced", said.dsn, relay)
        self.messages.touch(join)
        return HELD

    def _other(self, host: str, text: str) -> Taken:
        if self._connections.opened(host, text):
            return ServicesIgnored.MAIL_CONNECTION
        if text.startswith("SMTP Auth:"):
            return self._connections.authentication(host, text)
        isq = lines.ISQ.match(text)
        if isq is not None:
            return self._spam_quarantine(host, isq[1])
        if text.startswith(("File ", "Response received for file reputation")):
            return self._amp(host, text)
        if text.startswith("DCID "):
            return ServicesIgnored.MAIL_TLS if " TLS " in text[:32] else ServicesIgnored.MAIL_CONNECTION
        if text[:8] == "Message " and text[8:9].isdigit():
            return ServicesIgnored.MAIL_QUEUE
        return GatewaysIgnored.GATEWAY_ADMIN if lines.ADMIN.match(text) else GatewaysIgnored.GATEWAY_ENGINE

    def _spam_quarantine(self, host: str, mid: str) -> Taken:
        join = self.messages.get(f"{host} {mid}")
        if join is None:
            return ServicesIgnored.MAIL_UNATTACHED
        join.notes["isq"] = True
        for known in join.recipients.values():
            known[1] = "quarantined" if known[1] in ("accepted", "sent") else known[1]
        self.messages.touch(join)
        return HELD

    def _amp(self, host: str, text: str) -> Taken:
        said = amp(text)
        if said is None:
            return GatewaysIgnored.GATEWAY_ENGINE
        join = self.messages.get(f"{host} {said.mid}")
        if join is None:
            fact = {
                "event_action": "attachment", "event_outcome": "unknown", "email_local_id": f"MID {said.mid}",
                "email_verdict": said.verdict, "email_threat": said.threat,
            }  # fmt: skip
            return Single(fact, {}, [said.file])
        complement(join, said.file)
        if said.verdict == "malware":
            join.facts["email_verdict"], join.facts["email_threat"] = said.verdict, said.threat
        self.messages.touch(join)
        return HELD
