"""Barracuda's mail logs to mail events: the Email Security Gateway's syslog, and Email Gateway Defense's JSON records.

`event_action` is

- `message`: a message that the gateway took and scanned (SCAN), with what became of its delivery (SEND), joined by the
  gateway's number. The gateway writes a line for each recipient; those with the same number that come before its SEND
  are one event. Complete with a SEND that is an end, or at once where the scan is (blocked, quarantined), else flushed
  ten minutes of the log's own time after its newest line. Also each record of Email Gateway Defense;
- `delivery`: a SEND that comes after the message's event, or whose SCAN is not in the log; a further record of Email
  Gateway Defense with the same number;
- `rejected`: RECV: refused before there was a message, for good or for now;
- `aborted`: RECV or SCAN: the sender went away;
- `authentication_failed`: RECV with the reason for that.

`event_outcome` of a message is that of its recipients (`parts.outcome_of`): what was blocked is `discarded`. It is
`failure` for the others but `delivery`. `event_reason` is the action and the reason, in words for the codes.

Facts: Barracuda "Syslog and the Barracuda Email Security Gateway" and "How to Parse the Barracuda Email Security
Gateway Syslog"; Email Gateway Defense, "Syslog Integration".
"""

from __future__ import annotations

import re
from typing import Any, Final

from streams.normalisers import addresses, moments
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.json_records import decoded, text
from streams.normalisers.lines import Unreadable
from streams.normalisers.mail import barracuda_words as words
from streams.normalisers.mail import gateway_facts as facts
from streams.normalisers.mail.join_lines import HELD, JOIN_FIELDS, JoinNormaliser, Single, Taken
from streams.normalisers.mail.joins import Join
from streams.normalisers.mail.parts import clipped, outcome_of, subject_facts, whole
from streams.normalisers.mail.reasons_gateways import GatewaysIgnored
from streams.normalisers.masking import mask_text, masked_user
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.syslog import SyslogLine

ACTIONS: Final = ("message", "delivery", "rejected", "aborted", "authentication_failed")

WAIT: Final = 600_000_000
"""Microseconds of the log's own time that a message waits for its delivery, at most."""

_LINE = re.compile(
    r"(?:(?:(\S{0,255})\[([0-9A-Fa-f.:]{0,45})\]|([0-9A-Fa-f.:]{2,45})) )?(\d{9,10}-[\w\-]{3,64}) \d{1,11} \d{1,11} "
    r"(RECV|SCAN|SEND) (.*)",
    re.DOTALL | re.ASCII,
)
_RECEIVED = re.compile(r"(\S+) (\S+) (\d{1,2}) (\d{1,3})(?: (.*))?", re.DOTALL | re.ASCII)
_SCANNED = re.compile(
    r"(?:\S+) (\S+) (\S+) (-?\d{1,6}(?:\.\d{1,6})?|-) (\d{1,2}) (\d{1,3})(?: (.*))?", re.DOTALL | re.ASCII
)
_SIZE = re.compile(r"(?:^| )SZ:(\d{1,18}) SUBJ:", re.ASCII)
_SUBJECT = re.compile(r"(?:^| )SUBJ:", re.ASCII)
_SENT = re.compile(r"(?:\S+) (\d) (\S+)(?: (.*))?", re.DOTALL | re.ASCII)
_NEXT = re.compile(r"#to#(\S{1,255})")
_USER = re.compile(r"\[([^\[\]]{1,255})\]\s*\Z")
_WEB = re.compile(r"\[[0-9A-Fa-f.:]{2,45}\] \S{0,64}\[[^\]]{0,255}\] [A-Z_]{4,40}\b", re.ASCII)
_PROGRAMS = frozenset({"inbound/pass1", "inbound/pass2", "scan", "outbound/smtp", "pass1", "pass2"})
_FINAL = frozenset({"sent", "bounced", "expired", "rejected", "discarded", "quarantined"})
_WAITING = frozenset({"accepted", "deferred"})
_BY_WORD = {"blocked": "discarded", "quarantined": "quarantined", "deferred": "deferred", "rejected": "rejected"}
_CODE = re.compile(r"(?<![\d.])[45]\d\d(?=[ \-]|\Z)", re.ASCII)


class BarracudaNormaliser(JoinNormaliser):
    """Lines of the gateway's mail syslog, and JSON records alone or behind a header; see the module."""

    type_name = "barracuda"
    DATASET = "barracuda"
    KEPT_NOTES = ("waiting",)
    fields = (
        *JOIN_FIELDS, "event_reason", "observer_hostname", "process_name", "process_pid",
        "email_local_id", "email_from_address", "email_header_from_address", "email_to_original_address",
        "email_to_dsn", "email_to_relay", "email_to_filter", "email_to_attempts", "email_size", "email_subject_hash",
        "source_ip", "source_domain", "user_name", "email_verdict", "email_threat", "email_spam_score",
        "email_attachment_name", "email_attachment_type", "email_attachment_hash", "email_attachment_size",
    )  # fmt: skip

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self.messages.joins.wait = min(self.messages.joins.wait, WAIT)

    def head(self, text_: str) -> SyslogLine | None:
        """The envelope taken off; a bare JSON record has its own time."""
        if text_[:1] == "{" and "__REALTIME_TIM" not in text_:
            found = re.search(r"\"timestamp\" ?: ?\"([^\"]{1,64})\"", text_)
            return None if found is None else SyslogLine(found[1], None, None, None, text_)
        return self._splitter.split(text_)

    def take(self, head: SyslogLine) -> Taken:
        """See `JoinNormaliser.take`."""
        message = head.message
        if message[:1] == "{":
            return self._json(message)
        match = _LINE.match(message)
        if match is None:
            if head.program in ("web", "webui") or _WEB.match(message):
                return GatewaysIgnored.GATEWAY_ADMIN
            if head.program not in _PROGRAMS:
                return Ignored.OTHER_PROGRAM
            if re.search(r"\b(?:RECV|SCAN|SEND) ", message) is None:
                return GatewaysIgnored.GATEWAY_ENGINE
            return Unreadable(Refused.UNKNOWN_FORM, "a line of the mail log without a message's number")
        name, ip, bare, number, service, rest = match.groups()
        key = f"{head.host or ''} {number}"
        if service == "SEND":
            return self._sent(key, number, rest)
        client = {
            "email_local_id": number,
            "source_ip": addresses.ip(ip or bare or ""),
            "source_domain": None if name in (None, "", "-", "unknown") else clipped(name).lower(),
        }
        return self._received(client, rest) if service == "RECV" else self._scanned(key, client, rest)

    def _received(self, client: dict[str, Any], rest: str) -> Taken:
        said = _RECEIVED.fullmatch(rest)
        if said is None:
            return Unreadable(Refused.UNKNOWN_FORM, "RECV without its codes")
        sender, to, action, reason, extra = said.groups()
        extra = "" if extra in (None, "-") else extra
        if action in ("0", "4", "7", "8", "9", "10"):
            return GatewaysIgnored.GATEWAY_CHECK  # its SCAN follows
        fact = {**client, "event_action": "rejected", "event_outcome": "failure"}
        fact["event_reason"] = _why(action, reason, extra)
        fact["email_from_address"] = facts.sender(sender)
        fact["email_verdict"] = words.verdict_of(action, reason)
        if reason == words.NO_LOGIN:
            user = _USER.search(extra)
            fact["event_action"], fact["event_reason"] = "authentication_failed", _why(action, reason, "")
            fact["user_name"] = masked_user(clipped(user[1])) if user else None
        elif action == "1":
            fact["event_action"] = "aborted"
        status = "quarantined" if action in ("3", "6") else "rejected"
        if status == "quarantined":
            fact["event_action"], fact["event_outcome"] = "message", "unknown"
        address = facts.bare_address("" if to == "-" else to)
        return Single(fact, {address: ["", status, facts.enhanced_code(extra), "", False, 0]} if address else {})

    def _scanned(self, key: str, client: dict[str, Any], rest: str) -> Taken:
        said = _SCANNED.fullmatch(rest)
        if said is None:
            return Unreadable(Refused.UNKNOWN_FORM, "SCAN without its codes")
        sender, to, score, action, reason, rest = said.groups()
        extra, size, subject = _tail(rest or "")
        known = self.messages.known(key)
        join = self.messages.of(key)
        if known is not None:
            join.facts, join.notes = {}, {}  # another recipient's, whose verdict is its own
        join.learn(
            **client, email_from_address=facts.sender(sender), email_size=size, email_spam_score=facts.number(score),
            **subject_facts(subject, keep=self.settings.keep_subject),
        )  # fmt: skip
        verdict = words.verdict_of(action, reason)
        if verdict is not None and join.facts.get("email_verdict") in (None, "clean"):
            join.facts["email_verdict"] = verdict
        if extra and reason in words.NAMED_THREATS:
            join.facts["email_threat"] = clipped(extra)
        elif extra and reason in words.NAMED_FILES and len(join.attachments) < facts.MOST_ATTACHMENTS:
            join.attach(clipped(extra))
        status = words.ACTIONS.get(action, ("", "accepted"))[1]
        if status != "accepted":
            join.reason = _why(action, reason, extra)
        if action == "1":
            join.facts["event_action"], join.facts["event_outcome"] = "aborted", "failure"
        address = facts.bare_address("" if to == "-" else to)
        if address and len(join.recipients) < facts.MOST_RECIPIENTS:
            join.deliver(address, status, tried=0)
        return self._done(join, join.recipients and _ended(join))

    def closing(self, join: Join) -> None:
        """Whom a later SEND is about."""
        join.notes["waiting"] = [to for to, known in join.recipients.items() if known[1] in _WAITING][:100]

    def _done(self, join: Join, ended: Any) -> Taken:
        if ended:
            self.messages.complete(join)
        else:
            self.messages.touch(join)
        return HELD

    def _sent(self, key: str, number: str, rest: str) -> Taken:
        said = _SENT.fullmatch(rest)
        status = words.DELIVERIES.get(said[1]) if said is not None else None
        if said is None or status is None:
            return Unreadable(Refused.UNKNOWN_FORM, "SEND without its code")
        answer = said[3] or ""
        join = self.messages.of(key)
        join.learn(email_local_id=number)
        relay = _NEXT.search(answer)
        if not join.recipients:
            join.facts["event_action"] = "delivery"
            join.facts["event_outcome"] = "success" if status == "sent" else "failure"
        waiting = [to for to, known in join.recipients.items() if known[1] in _WAITING] or join.notes.get("waiting", [])
        for to in waiting:
            join.deliver(to, status, facts.enhanced_code(answer), relay[1] if relay else "")
        if status != "sent":
            join.reason = clipped(mask_text(answer)) or join.reason
        return self._done(join, status != "deferred")

    # Email Gateway Defense

    def _json(self, message: str) -> Taken:
        try:
            obj = decoded(message)
        except ValueError as error:
            return Unreadable(Refused.BROKEN_PAYLOAD, f"no JSON: {error}"[:200])
        if not isinstance(obj, dict) or not ("env_from" in obj or isinstance(obj.get("recipients"), list)):
            return Unreadable(Refused.UNKNOWN_FORM, "no record of a message")
        if "account_id" in obj and not (obj.get("account_id") or obj.get("domain_id")):
            return Ignored.SERVICE_STATE  # the test of the connection
        when = text(obj.get("timestamp"))
        moment = moments.zoned(when) if when else None
        if when and moment is None:
            return Unreadable(Refused.BAD_TIME, f"no such time: {when}"[:200])
        return self._record(obj, moment)

    def _record(self, obj: dict[str, Any], moment: int | None) -> Single:
        recipients = _recipients(obj)
        spoken = [one for one in obj.get("recipients") or [] if isinstance(one, dict)]
        verdicts = [words.word_verdict(_lower(one, "action"), _lower(one, "reason")) for one in spoken]
        worst = next((verdict for verdict in verdicts if verdict not in (None, "clean")), None)
        host = text(obj.get("ptr_record"))
        fact: dict[str, Any] = {
            "event_action": "message",
            "event_outcome": outcome_of([known[1] for known in recipients.values()]),
            "event_reason": _reason(spoken),
            "email_local_id": text(obj.get("message_id")),
            "email_from_address": facts.sender(text(obj.get("env_from"))),
            "email_header_from_address": facts.header_address(text(obj.get("hdr_from"))),
            "email_size": facts.whole(obj.get("size")) or None,
            "source_ip": addresses.ip(text(obj.get("src_ip")) or ""),
            "source_domain": clipped(host).lower() if host and host not in ("unknown", "-") else None,
            "email_verdict": worst or ("clean" if "clean" in verdicts else None),
            **subject_facts(text(obj.get("subject")), keep=self.settings.keep_subject),
        }
        if moment is not None:
            fact["timestamp"] = moment
        number = text(obj.get("message_id"))
        if number is not None:
            if self.messages.recent.get(number) is not None:
                fact["event_action"] = "delivery"
            self.messages.recent.keep(number, True)
        files = obj.get("attachments")
        found = [_file(one) for one in (files if isinstance(files, list) else [])[: facts.MOST_ATTACHMENTS]]
        return Single(fact, recipients, [one for one in found if one is not None])


def _recipients(obj: dict[str, Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for one in (obj.get("recipients") or [])[: facts.MOST_RECIPIENTS]:
        address = facts.bare_address(text(one.get("email")) or "") if isinstance(one, dict) else ""
        if address:
            detail = text(one.get("delivery_detail")) or ""
            status, tried = _status(_lower(one, "action"), _lower(one, "delivered"), detail)
            relay = detail.partition(":")[0] if tried else ""
            found[address] = ["", status, facts.enhanced_code(detail), clipped(relay), False, tried]
    return found


def _status(action: str, delivered: str, detail: str) -> tuple[str, int]:
    """A recipient's status, and how often a delivery was tried."""
    if delivered == "delivered":
        return "sent", 1
    if action in _BY_WORD:
        return _BY_WORD[action], 0
    code = _CODE.search(detail[:1_000])
    if code is None:
        return ("deferred", 1) if delivered == "deferred" else ("accepted", 0)
    return ("bounced" if code[0][0] == "5" else "deferred"), 1


def _reason(spoken: list[dict[str, Any]]) -> str | None:
    """Why the first recipient who did not get the message did not."""
    for one in spoken:
        action, detail = _lower(one, "action"), text(one.get("delivery_detail"))
        if action not in ("allowed", "encrypted"):
            said = [text(one.get(name)) for name in ("action", "reason", "reason_extra")]
            return clipped(mask_text(": ".join(word for word in said if word))) or None
        if detail and _status(action, _lower(one, "delivered"), detail)[0] != "sent":
            return clipped(mask_text(detail))
    return None


def _lower(obj: dict[str, Any], name: str) -> str:
    return (text(obj.get(name)) or "").lower()


def _file(one: Any) -> list[Any] | None:
    if not isinstance(one, dict):
        return None
    name, size = text(one.get("name")) or text(one.get("filename")) or "", facts.whole(one.get("size"))
    kind, digest = text(one.get("type")) or "", facts.digest(text(one.get("sha256")), text(one.get("md5")))
    return [clipped(name), clipped(kind), digest, -1 if size is None else size] if name or digest else None


def _tail(rest: str) -> tuple[str, int | None, str]:
    """Words behind the reason, size, subject. A subject may hold the marks, too: the first count."""
    found = _SIZE.search(rest)
    if found is not None:
        extra, size, subject = rest[: found.start()], whole(found[1]), rest[found.end() :]
    else:
        mark = _SUBJECT.search(rest)
        extra = rest if mark is None else rest[: mark.start()]
        size, subject = None, "" if mark is None else rest[mark.end() :]
    return "" if extra.strip() == "-" else extra.strip(), size, subject


def _why(action: str, reason: str, extra: str) -> str:
    done = words.ACTIONS.get(action, (f"action {action}", ""))[0]
    said = f"{done}: {words.REASONS.get(reason, f'reason {reason}')}"
    return clipped(f"{said}: {mask_text(extra)}") if extra else said


def _ended(join: Join) -> bool:
    return all(known[1] in _FINAL for known in join.recipients.values())
