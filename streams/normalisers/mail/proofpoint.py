"""Proofpoint's logs to mail events: the filter's lines with sendmail's beside them, on Demand's records, TAP's.

`event_action` is

- `message`: a message. From the filter's lines (PPS, by `x=`), joined with sendmail's of the same queue id; complete
  with `cmd=msg` or `cmd=send` where the filter says the end, or the source never had a sendmail `to=`, else when every
  recipient has an end, at most ten minutes of the log's own time later. From sendmail's lines alone (also Proofpoint
  on Demand's maillog), when all that `nrcpts` counts have an end. From a message record of Proofpoint on Demand, whose
  recipients are `sent` where it says delivered. From one of TAP, which tells only of messages with threats.
- `delivery`: what became of recipients of a message whose event is out: sendmail's lines that came later, and the
  maillog of a message whose record of Proofpoint on Demand came before, in the same source;
- `rejected`: a message, client or recipient that was refused; outcome `failure`;
- `clicked`: TAP: somebody followed an address; outcome `success` where that was permitted, else `failure`;
- `released`: out of quarantine; outcome `success`.

`event_outcome` of a message is that of its recipients (`parts.outcome_of`). Records of Proofpoint on Demand hold parts
of the message's body: they are in no column, and are cut out of dead letters.

Facts: see `proofpoint_json`, `proofpoint_filter` and `sendmail_lines`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from streams.normalisers.abstract import NormaliserSettings, Reject
from streams.normalisers.json_records import MAX_DEPTH, decoded, text
from streams.normalisers.lines import Unreadable
from streams.normalisers.mail import gateway_facts as facts
from streams.normalisers.mail import proofpoint_json as records
from streams.normalisers.mail import sendmail_lines as sendmail
from streams.normalisers.mail.join_lines import HELD, JOIN_FIELDS, JoinNormaliser, Single, Taken
from streams.normalisers.mail.joins import Join
from streams.normalisers.mail.parts import clipped
from streams.normalisers.mail.proofpoint_filter import LEARN, connection, fields
from streams.normalisers.mail.reasons_gateways import GatewaysIgnored
from streams.normalisers.mail.reasons_services import ServicesIgnored
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused
from streams.normalisers.syslog import SyslogLine

ACTIONS: Final = ("message", "delivery", "rejected", "clicked", "released")

WAIT: Final = 600_000_000
"""Microseconds of the log's own time that a message waits for its deliveries, at most."""

_OWN = re.compile(r"\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?) ?([+-]\d{4})\] (.*)", re.DOTALL | re.ASCII)
_LEVEL = re.compile(r"(rprt|info|note|warn|err|eror|error|crit|debug|dbug) +(.*)", re.DOTALL | re.ASCII)
_TAP = re.compile(
    r"(?:<\d{1,3}> ?)?1 (\S{1,64}) (\S{1,255}) ProofpointTAP \S{1,64} (MSGBLK|MSGDLV|CLKPER|CLKBLK) (\[.*)",
    re.DOTALL | re.ASCII,
)
_PARAMETER = re.compile(r"([A-Za-z][\w.]{0,40})=\"([^\"\\]*(?:\\.[^\"\\]*)*)\"", re.ASCII)
_ESCAPED = re.compile(r"\\([\"\\\]])")
_BODY = re.compile(rb'"(dataBase64|textExtracted)"\s{0,4}:\s{0,4}"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_PROGRAM = re.compile(r"filter_instance\w{0,64}|pps-?\w{0,64}|filterd?", re.ASCII)
_WRAPPERS = ("message", "event", "_raw", "log", "data", "_source", "detail")
_KINDS = {"MSGBLK": "blocked", "MSGDLV": "delivered", "CLKPER": "permitted", "CLKBLK": "blocked"}
_FINAL = frozenset({"sent", "bounced", "expired", "rejected", "discarded", "quarantined"})
_DELIVERIES = "deliveries"  # remembered where the source has had a `to=`
_OF_A_MESSAGE = (
    "email_message_id",
    "email_from_address",
    "email_header_from_address",
    "email_direction",
    "email_subject_hash",
)


class ProofpointNormaliser(JoinNormaliser):
    """PPS through syslog, Proofpoint on Demand's and TAP's JSON, TAP's syslog form; see the module."""

    type_name = "proofpoint"
    DATASET = "proofpoint"
    KEPT_NOTES = ("filter", "mta", "expected", "told")
    fields = (
        *JOIN_FIELDS, "event_reason", "observer_hostname", "process_name", "process_pid", "email_message_id",
        "email_local_id", "email_from_address", "email_header_from_address", "email_to_original_address",
        "email_to_dsn", "email_to_relay", "email_to_filter", "email_to_attempts", "email_size", "email_recipient_count",
        "email_subject_hash", "source_ip", "source_domain", "email_helo", "email_protocol", "email_direction",
        "email_verdict", "email_threat", "email_spam_score", "email_attachment_name", "email_attachment_type",
        "email_attachment_hash", "email_attachment_size",
    )  # fmt: skip

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self.messages.joins.wait = min(self.messages.joins.wait, WAIT)

    # Envelopes

    def _line(self, raw: bytes) -> None:
        line = raw.decode("utf-8", "backslashreplace")
        if line[:1] in ("{", "[") and (line[1:2] != "2" or _OWN.match(line) is None) and "__REALTIME_TIM" not in line:
            self._json_line(raw, line)
        else:
            super()._line(raw)

    def _json_line(self, raw: bytes, line: str) -> None:
        try:
            value = decoded(line)
        except ValueError as error:
            self._refuse(raw, Unreadable(Refused.BROKEN_PAYLOAD, f"no JSON: {error}"[:200]), None)
            return
        found = [(records.kind_of(value), value)] if _is_record(value) else list(self._objects(value, None, 0))
        now = next((when for _, obj in found if (when := records.moment_of(obj)) is not None), None)
        if found and now is None:
            self._refuse(raw, Unreadable(Refused.BAD_TIME, "no time, or none that exists"), None)
            return
        at = self.messages.at
        at.before, at.now, at.head = at.now, at.now if now is None else now, (None, None, None)
        self.messages.seq += 1
        if now is not None and now > self.messages.joins.next_due:
            self.messages.flush_due(now)
        self._decide(raw, self._taken(found, value, ""))

    def head(self, text_: str) -> SyslogLine | None:
        """The envelope taken off."""
        own = _OWN.match(text_) if text_[:1] == "[" else None
        if own is not None:
            return SyslogLine(f"{own[1]}{own[2]}", None, "filter_instance", None, own[3])
        if "ProofpointTAP" in text_[:160]:
            tap = _TAP.match(text_)
            if tap is not None:
                return SyslogLine(
                    tap[1], None if tap[2] == "-" else tap[2], "ProofpointTAP", None, f"{tap[3]} {tap[4]}"
                )
        return self._splitter.split(text_)

    def take(self, head: SyslogLine) -> Taken:
        """See `JoinNormaliser.take`."""
        message, program, host = head.message, head.program or "", head.host or ""
        if message[:1] == "{":
            try:
                value = decoded(message)
            except ValueError as error:
                return Unreadable(Refused.BROKEN_PAYLOAD, f"no JSON: {error}"[:200])
            return self._taken(list(self._objects(value, None, 0)), value, host)
        if program == "ProofpointTAP":
            return self._tap_line(message)
        level = _LEVEL.match(message) if _PROGRAM.match(program) or message[:5] == "rprt " else None
        if level is not None:
            return self._filter_line(host, level[1], level[2])
        if program.startswith(("sendmail", "sm-")):
            return self._sendmail_line(host, message)
        return Ignored.OTHER_PROGRAM

    def _refuse(self, raw: bytes, why: Unreadable, timestamp: int | None) -> None:
        has_body = b'"dataBase64"' in raw or b'"textExtracted"' in raw
        bare = _BODY.sub(rb'"\1":"(masked)"', raw) if has_body else raw
        super()._refuse(bare, why, timestamp)
        if bare != raw:
            last = self._rejects[-1]
            self._rejects[-1] = Reject(last.line, last.reason, last.detail, last.raw, True, last.timestamp)

    # JSON records

    def _objects(self, value: Any, kind: str | None, depth: int) -> Iterator[tuple[str | None, dict[str, Any]]]:
        """The records in a value, each with what the list that it stands in says of it."""
        if depth > MAX_DEPTH:
            return
        if isinstance(value, list):
            for one in value:
                yield from self._objects(one, kind, depth + 1)
        elif isinstance(value, str) and value[:1] in ("{", "["):
            try:
                yield from self._objects(decoded(value), kind, depth + 1)
            except ValueError:
                return
        elif isinstance(value, dict):
            yield from self._unwrapped(value, kind, depth)

    def _unwrapped(
        self, obj: dict[str, Any], kind: str | None, depth: int
    ) -> Iterator[tuple[str | None, dict[str, Any]]]:
        if _is_record(obj):
            yield kind or records.kind_of(obj), obj
            return
        lists = [name for name in records.PAGES if isinstance(obj.get(name), list)]
        for name in lists:
            yield from self._objects(obj[name], records.PAGES[name], depth + 1)
        if not lists:
            for name in _WRAPPERS:
                if isinstance(obj.get(name), (dict, str)):
                    yield from self._objects(obj[name], kind, depth + 1)

    def _taken(self, found: list[tuple[str | None, dict[str, Any]]], value: Any, host: str) -> Taken:
        """What the records of a line say together."""
        singles: list[Single] = []
        other: Taken | None = None
        for kind, obj in found:
            taken = self._record(obj, kind, host)
            if isinstance(taken, Single):
                singles.append(taken)
            elif other is None or taken is HELD:
                other = taken
        if singles:
            return singles
        if other is not None:
            return other
        ours = isinstance(value, dict) and ("queryEndTime" in value or "audit" in value or "metadata" in value)
        return Ignored.OTHER_RECORD if ours else Unreadable(Refused.UNKNOWN_FORM, "no record of Proofpoint's")

    def _record(self, obj: dict[str, Any], kind: str | None, host: str) -> Taken:
        if "sm" in obj:
            return self._maillog(obj, host)
        if records.is_click(obj):
            single = records.click(obj, kind)
        elif records.is_tap_message(obj):
            single = records.tap_message(obj, kind, self.settings)
        else:
            single = records.pod_message(obj, self.settings)
            known = {name: single.fact[name] for name in _OF_A_MESSAGE if single.fact.get(name) is not None}
            if single.fact.get("email_local_id"):
                self.messages.recent.keep(f"record {single.fact['email_local_id']}", known)
        if single.fact["timestamp"] is None:
            return Unreadable(Refused.BAD_TIME, "no time, or none that exists")
        return single

    def _maillog(self, obj: Mapping[str, Any], host: str) -> Taken:
        """A sendmail line of Proofpoint on Demand: as text, and taken apart."""
        agent = text(obj.get("pps", {}).get("agent")) if isinstance(obj.get("pps"), dict) else None
        line = self._splitter.split(text(obj.get("data")) or "")
        if line is not None and line.message:
            self.messages.at.head = (line.host, line.program, line.pid)
            return self._sendmail_line(agent or line.host or host, line.message)
        return self._sendmail_line(agent or host, records.sendmail_line(obj["sm"]))

    def _tap_line(self, message: str) -> Taken:
        word, _, rest = message.partition(" ")
        obj: dict[str, Any] = {}
        for key, value in _PARAMETER.findall(rest):
            plain = _ESCAPED.sub(r"\1", value)
            if plain[:1] in ("[", "{"):
                try:
                    obj.setdefault(key, decoded(plain))
                except ValueError:
                    obj.setdefault(key, plain)
            elif plain:
                obj.setdefault(key, plain)
        if word not in _KINDS or not (records.is_click(obj) or records.is_tap_message(obj)):
            return Unreadable(Refused.UNKNOWN_FORM, "a TAP record without its fields")
        return self._record(obj, _KINDS[word], "")

    # The filter's lines

    def _filter_line(self, host: str, level: str, message: str) -> Taken:
        said = fields(message)
        session, module, command = said.get("s"), said.get("mod", ""), said.get("cmd", "")
        if level != "rprt" or session is None:
            return GatewaysIgnored.GATEWAY_ENGINE
        number = said.get("x") or (f"{session}-{said['m']}" if "m" in said else None)
        if module == "session" and command in ("connect", "resolve"):
            place = f"session {host} {session}"
            known = {**(self.messages.recent.get(place) or {})}
            known |= {name: value for name, value in connection(said).items() if value is not None}
            self.messages.recent.keep(place, known)
            return ServicesIgnored.MAIL_CONNECTION
        if number is None:
            return ServicesIgnored.MAIL_CONNECTION
        key = f"{host} {number}"
        if command == "release":
            return self._released(key, said)
        if (module, command) not in LEARN and command != "send" and self.messages.get(key) is None:
            return GatewaysIgnored.GATEWAY_CHECK
        return self._of_filter(key, host, session, said)

    def _of_filter(self, key: str, host: str, session: str, said: dict[str, str]) -> Taken:
        module, command = said.get("mod", ""), said.get("cmd", "")
        join = self.messages.of(key)
        client = self.messages.recent.get(f"session {host} {session}")
        if client:
            join.learn(**client)
        qid = said.get("qid")
        if qid:
            join.facts["email_local_id"] = qid
            self.messages.recent.keep(f"queue {host} {qid}", key)
        join.facts.setdefault("email_local_id", key.rpartition(" ")[2])
        learn = LEARN.get((module, command))
        if learn is not None:
            learn(join, said, self.settings.keep_subject)
        if command == "send":
            for one in re.split(r"[,;] *", said.get("rcpts", "")):
                if one and len(join.recipients) < facts.MOST_RECIPIENTS:
                    join.mention(facts.bare_address(one))
        if command == "send" or (module, command) == ("mail", "msg"):
            join.notes["filter"] = True
            if "end" in join.notes or self.messages.recent.get(_DELIVERIES) is None or _ended(join):
                self.messages.complete(join)
                return HELD
        self.messages.touch(join)
        return HELD

    def _released(self, key: str, said: dict[str, str]) -> Taken:
        known = self.messages.known(key) or [{}, {}]
        fact = {**known[0], "event_action": "released", "event_outcome": "success"}
        fact["event_reason"] = clipped(" ".join(word for word in (said.get("status"), said.get("err")) if word)) or None
        fact.setdefault("email_local_id", key.rpartition(" ")[2])
        return Single(fact)

    def closing(self, join: Join) -> None:
        """What the filter did instead of delivering; what is known of a message whose maillog this is."""
        end = join.notes.pop("end", None)
        if end is not None:
            for known in join.recipients.values():
                known[1] = end if known[1] == "accepted" else known[1]
            if end == "rejected":
                join.facts["event_action"] = "rejected"
            if not join.recipients and end != "quarantined":
                join.facts["event_outcome"] = "failure"
        if "mta" in join.notes and "filter" not in join.notes:
            record = self.messages.recent.get(f"record {join.facts.get('email_local_id')}")
            if record is not None:
                join.learn(**record)
                join.notes["told"] = True
        if "told" in join.notes and "event_action" not in join.facts:
            join.facts["event_action"] = "delivery"
        join.notes["told"] = True

    # Sendmail's lines

    def _sendmail_line(self, host: str, message: str) -> Taken:
        match = sendmail.WITH_ID.match(message)
        if match is None or match[1] == "NOQUEUE":
            return self._unqueued(match[2] if match is not None else message)
        qid, rest = match.groups()
        if not rest.startswith(("from=", "to=")):
            refused = self._unqueued(rest)
            return (
                refused._replace(fact={**refused.fact, "email_local_id": qid})
                if isinstance(refused, Single)
                else refused
            )
        sent, said = sendmail.sender(rest), sendmail.delivery(rest)
        if sent is None and said is None:
            return Unreadable(Refused.UNKNOWN_FORM, "starts like a line of sendmail's about a message")
        key = self.messages.recent.get(f"queue {host} {qid}") or f"{host} mta {qid}"
        join = self.messages.of(key)
        join.facts.setdefault("email_local_id", qid)
        join.notes["mta"] = True
        if sent is not None and rest.startswith("from="):
            self._sender(join, sent)
        elif said is not None:
            self._delivered(join, said)
        expected = join.notes.get("expected")
        known = "filter" in join.notes or (expected is not None and len(join.recipients) >= expected)
        if known and join.recipients and _ended(join):
            self.messages.complete(join)
        else:
            self.messages.touch(join)
        return HELD

    @staticmethod
    def _sender(join: Join, said: sendmail.Sender) -> None:
        client = said.client if "filter" not in join.notes else None
        if client is not None and client.ip is not None and client.ip.startswith(("127.", "::1")):
            client = None  # the filter beside it
        join.learn(
            email_from_address=said.sender, email_size=said.size, email_message_id=said.message_id,
            email_protocol=said.protocol, email_recipient_count=said.recipients, source_ip=client and client.ip,
            source_domain=client and client.domain,
        )  # fmt: skip
        if said.recipients is not None:
            join.notes["expected"] = said.recipients

    def _delivered(self, join: Join, said: sendmail.Delivery) -> None:
        self.messages.recent.keep(_DELIVERIES, True)
        if said.status != "sent":
            join.reason = clipped(said.words) or join.reason
        for to in said.to:
            join.deliver(to, said.status, said.dsn, said.relay.strip(), to_filter=said.to_filter)

    @staticmethod
    def _unqueued(rest: str) -> Single | IgnoredReason:
        refused = sendmail.refusal(rest) if rest.startswith(("ruleset=", "Milter", "milter=")) else None
        if refused is None:
            return ServicesIgnored.MAIL_TLS if rest.startswith("STARTTLS") else ServicesIgnored.MAIL_WARNING
        client = refused.client
        fact = {
            "event_action": "rejected", "event_outcome": "failure", "event_reason": clipped(refused.words) or None,
            "source_ip": client and client.ip, "source_domain": client and client.domain,
        }  # fmt: skip
        to = sendmail.bare(refused.about) if refused.stage in ("check_rcpt", "to") else ""
        return Single(fact, {to: ["", "rejected", refused.dsn, "", False, 0]} if to else {})


def _is_record(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return records.is_click(value) or records.is_tap_message(value) or records.is_pod_message(value) or "sm" in value


def _ended(join: Join) -> bool:
    return all(known[1] in _FINAL for known in join.recipients.values())
