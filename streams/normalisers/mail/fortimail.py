"""FortiMail's log to mail events: the history of a message joined with what became of its deliveries.

`event_action` is

- `message`: a message that FortiMail took. From the history record (`type=statistics`) and the SMTP events of the same
  session: `from=`, and `to=` for every delivery that was tried. It is complete when every recipient has an end; at once
  with the history record where that says the end (quarantined, discarded), or where the source has never had a `to=`;
  else it is flushed ten minutes of the log's own time after its newest line;
- `delivery`: what SMTP events say later of a message whose event is out;
- `rejected`: a history record that says that the sender was refused, for good (`Reject`) or for now (`Delay`);
- `detected`: a finding in a message (`type=spam` and `type=virus`), with the file where it names one;
- `released`: somebody let a message out of quarantine.

`event_outcome` of a message is that of its recipients (`parts.outcome_of`): one that FortiMail accepted is `accepted`
until a delivery line says `sent`, `deferred` or `bounced`. It is `failure` for `rejected`, `success` for `released`,
`unknown` for `detected`. `event_reason` is the classifier and the disposition, in FortiMail's words.

Where a sender chooses the text of a field (from, to, subject, Message-ID) he may put a quote and a key of ours into it:
of a key that comes twice, the first counts before `from`, else the last before the subject, else the last.

Facts: FortiMail Log Reference 5.0 to 8.0 (header and body fields, history, mail event, antispam, antivirus, encryption
logs; classifiers and dispositions), Administration Guide ("Log message syntax"); for SMTP events see `sendmail_lines`.
"""

from __future__ import annotations

import re
from typing import Any, Final

from streams.normalisers import addresses
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.lines import Unreadable
from streams.normalisers.mail import gateway_facts as facts
from streams.normalisers.mail import sendmail_lines
from streams.normalisers.mail.fortimail_words import classifier, fields, status_of, verdict_of
from streams.normalisers.mail.join_lines import HELD, JOIN_FIELDS, JoinNormaliser, Single, Taken
from streams.normalisers.mail.joins import Join
from streams.normalisers.mail.parts import clipped, message_id, subject_facts, whole
from streams.normalisers.mail.reasons_services import ServicesIgnored
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.syslog import SyslogLine

ACTIONS: Final = ("message", "delivery", "rejected", "detected", "released")

WAIT: Final = 600_000_000
"""Microseconds of the log's own time that a message waits for its deliveries, at most."""

_OWN = re.compile(
    r"(?:<\d{1,3}>)? ?(?:date=\"?(\d{4}-\d\d-\d\d)\"?[, ] ?time=\"?|(\d{4}-\d\d-\d\d) )"
    r"(\d\d:\d\d:\d\d(?:\.\d{1,6})?)\"?[, ]+(.*)",
    re.DOTALL | re.ASCII,
)
_EVENT_TIME = re.compile(r"(?:tz=\"?[+\-\d:]{3,6}\"?[, ]+)?eventtime=\"?(\d{10,19})", re.ASCII)
_ZONE = re.compile(r"(?:eventtime=\"?\d{1,19}\"?[, ]+)?tz=\"?([+-]\d\d:?\d\d)", re.ASCII)
_LIKE_OURS = re.compile(r"(?:device_id|devid|log_id)=", re.ASCII)
_NAMED_CLIENT = re.compile(r"(\S*?) ?\[([0-9A-Fa-f.:]{2,45})\]", re.ASCII)
_INFECTED = re.compile(r"The file (.{1,255}?) is infected with (\S{1,255}?)\.?\Z", re.DOTALL)
_SCANNED = re.compile(r"File(?: name:)? (.{1,255}?) ?\(checksum: ?(\w{1,128})\)", re.DOTALL)
_FOUND = re.compile(r"\((?:detected|infected|suspicious)\)|rating=(?!CLEAN)\w+|infected|identified|detected", re.ASCII)
_NOTHING_FOUND = re.compile(r"\(clean\)|rating=CLEAN", re.ASCII)
_CATEGORY = re.compile(r"category: ([^,:)]{1,64})")
_RELEASED = re.compile(r"\breleased?\b", re.IGNORECASE)
_FINAL = frozenset({"sent", "bounced", "expired", "rejected", "discarded", "quarantined"})
_DELIVERIES = "deliveries"  # remembered where the source has had a `to=`


class FortimailNormaliser(JoinNormaliser):
    """FortiMail's records, alone or behind a syslog header; see the module."""

    type_name = "fortimail"
    DATASET = "fortimail"
    KEPT_NOTES = ("history", "told")
    fields = (
        *JOIN_FIELDS, "event_reason", "observer_hostname", "email_message_id", "email_local_id", "email_from_address",
        "email_header_from_address", "email_to_original_address", "email_to_dsn", "email_to_relay", "email_to_filter",
        "email_to_attempts", "email_size", "email_recipient_count", "email_subject_hash", "source_ip", "source_domain",
        "user_name", "email_protocol", "email_direction", "email_verdict", "email_threat", "email_attachment_name",
        "email_attachment_type", "email_attachment_hash", "email_attachment_size",
    )  # fmt: skip

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self.messages.joins.wait = min(self.messages.joins.wait, WAIT)

    def head(self, text: str) -> SyslogLine | None:
        """The envelope taken off, and the time that the record has itself."""
        host = None
        own = _OWN.match(text)
        if own is None:
            line = self._splitter.split(text)
            if line is None:
                return None
            host = line.host
            own = _OWN.match(line.message)
            if own is None:
                return line
        date, other_date, time, message = own.groups()
        if not message.startswith(("tz=", "eventtime=")):
            return SyslogLine(f"{date or other_date} {time}", host, None, None, message)
        exact = _EVENT_TIME.match(message)
        if exact is not None:
            return SyslogLine(_since_1970(exact[1]), host, None, None, message)
        zone = _ZONE.match(message)
        return SyslogLine(f"{date or other_date} {time}{zone[1] if zone else ''}", host, None, None, message)

    def take(self, head: SyslogLine) -> Taken:
        """See `JoinNormaliser.take`."""
        said = fields(head.message)
        kind = said.get("type")
        if kind is None:
            ours = _LIKE_OURS.search(head.message) is not None
            return Unreadable(Refused.UNKNOWN_FORM, "no type in the record") if ours else Ignored.OTHER_PROGRAM
        if kind == "statistics":
            return self._history(said, head.host)
        if kind == "event":
            return self._smtp(said, head.host) if said.get("subtype") == "smtp" else Ignored.OTHER_RECORD
        if kind in ("spam", "virus"):
            return self._finding(said, kind)
        return Ignored.OTHER_RECORD

    def closing(self, join: Join) -> None:
        """A message is told once; what comes later is about its deliveries."""
        if "told" in join.notes:
            join.facts["event_action"] = "delivery"
        join.notes["told"] = True

    def _key(self, said: dict[str, str], host: str | None) -> str | None:
        session = said.get("session_id")
        return f"{said.get('device_id') or host or ''} {session}" if session else None

    def _history(self, said: dict[str, str], host: str | None) -> Taken:
        disposition, virus = said.get("disposition", ""), said.get("virus", "")
        status = status_of(disposition)
        words = [classifier(said.get("classifier", "")), disposition, said.get("detail", "")]
        reason = clipped(": ".join([word for word in words if word])) or None
        common = self._message_facts(said)
        common["email_verdict"] = verdict_of(words[0], status, virus)
        common["email_threat"] = virus or None
        each = list(dict.fromkeys(_addresses(said.get("to", ""))))[: facts.MOST_RECIPIENTS]
        to: dict[str, list[Any]] = {one: ["", status, "", "", False, 0] for one in each}
        key = self._key(said, host)
        if status == "rejected" or key is None or not to:
            action = "rejected" if status == "rejected" else "message"
            outcome = "failure" if status in ("rejected", "discarded") else "unknown"
            return Single({"event_action": action, "event_outcome": outcome, "event_reason": reason, **common}, to)
        join = self.messages.of(key)
        join.learn(**common)
        join.reason = reason if join.reason is None else join.reason
        for address in to:
            known = join.recipients.get(address)
            if known is None or known[1] == "accepted":
                join.deliver(address, status, tried=0)
        join.notes["history"] = True
        if status != "accepted" or self.messages.recent.get(_DELIVERIES) is None or _ended(join):
            self.messages.complete(join)
        else:
            self.messages.touch(join)
        return HELD

    def _message_facts(self, said: dict[str, str]) -> dict[str, Any]:
        domain, ip = _client(said)
        sender = facts.sender(said.get("from"))
        if sender is None and "from" in said and said.get("to"):
            sender = ""  # with a recipient there was a MAIL FROM: the null sender
        return {
            "email_local_id": said.get("session_id") or None,
            "email_message_id": message_id(said.get("message_id", "")),
            "email_from_address": sender,
            "email_header_from_address": facts.header_address(said.get("hfrom")),
            "email_size": whole(said.get("message_length")) or None,  # 0: refused before it came
            "email_direction": facts.direction(said.get("direction")),
            "source_ip": ip,
            "source_domain": domain,
            **subject_facts(said.get("subject"), keep=self.settings.keep_subject),
        }

    def _smtp(self, said: dict[str, str], host: str | None) -> Taken:
        words = said.get("msg", "")
        if words.startswith("STARTTLS"):
            return ServicesIgnored.MAIL_TLS
        key = self._key(said, host)
        if key is None or not words.startswith(("from=", "to=")):
            return ServicesIgnored.MAIL_WARNING
        return self._sender(key, said, words) if words.startswith("from=") else self._delivery(key, said, words)

    def _sender(self, key: str, said: dict[str, str], words: str) -> Taken:
        line = sendmail_lines.sender(words)
        if line is None:
            return Unreadable(Refused.UNKNOWN_FORM, "an SMTP event that starts like a sender's")
        join = self.messages.of(key)
        client = line.client
        join.learn(
            email_local_id=said["session_id"], email_from_address=line.sender, email_size=line.size,
            email_message_id=line.message_id, email_protocol=line.protocol, email_recipient_count=line.recipients,
            source_ip=client and client.ip, source_domain=client and client.domain, user_name=client and client.user,
        )  # fmt: skip
        self.messages.touch(join)
        return HELD

    def _delivery(self, key: str, said: dict[str, str], words: str) -> Taken:
        line = sendmail_lines.delivery(words)
        if line is None:
            return Unreadable(Refused.UNKNOWN_FORM, "an SMTP event that starts like a delivery's")
        self.messages.recent.keep(_DELIVERIES, True)
        join = self.messages.of(key)
        join.learn(email_local_id=said["session_id"])
        if line.status != "sent":
            join.reason = clipped(line.words) or join.reason
        for to in line.to:
            join.deliver(to, line.status, line.dsn, line.relay.strip(), to_filter=line.to_filter)
        if "history" in join.notes and _ended(join):
            self.messages.complete(join)
        else:
            self.messages.touch(join)
        return HELD

    def _finding(self, said: dict[str, str], kind: str) -> Taken:
        words = said.get("msg", "")
        if _RELEASED.search(words) and ("quarantin" in words or said.get("subtype") in ("admin", "user")):
            return self._released(said, words)
        if not (said.get("from") or said.get("to") or said.get("session_id")):
            return Ignored.SERVICE_STATE
        if _NOTHING_FOUND.search(words) or (kind == "virus" and _FOUND.search(words) is None):
            return Ignored.OTHER_RECORD
        infected, scanned = _INFECTED.search(words), _SCANNED.search(words)
        category = _CATEGORY.search(words)
        threat = infected[2] if infected else said.get("virus") or (category[1] if category else None)
        name = infected[1] if infected else scanned[1] if scanned else ""
        attachments = [[clipped(name), "", facts.digest(scanned[2] if scanned else None), -1]] if name else []
        verdict = "virus" if kind == "virus" and infected else "malware" if kind == "virus" or name else None
        fact = {
            "event_action": "detected",
            "event_outcome": "unknown",
            "event_reason": clipped(self.masker.text(words)) or None,
            **self._message_facts(said),
            "email_verdict": verdict or verdict_of(category[1] if category else words, "", "") or "spam",
            "email_threat": threat,
        }
        to = _addresses(said.get("to", ""))
        return Single(fact, {one: ["", "accepted", "", "", False, 0] for one in to}, attachments)

    def _released(self, said: dict[str, str], words: str) -> Single:
        fact = {
            "event_action": "released",
            "event_outcome": "success",
            "event_reason": clipped(words),
            **self._message_facts(said),
            "user_name": said.get("user") or None,
        }
        to = facts.bare_address(said.get("to", ""))
        return Single(fact, {to: ["", "accepted", "", "", False, 0]} if to else {})


def _client(said: dict[str, str]) -> tuple[str | None, str | None]:
    """Host name and address of the client: in fields of their own, or both in one (`host [address]`)."""
    name = said.get("client_name", "")
    ip = addresses.ip(said.get("client_ip") or said.get("src") or "")
    both = _NAMED_CLIENT.match(name)
    if both is not None:
        name, ip = both[1], ip or addresses.ip(both[2])
    elif ip is None or addresses.ip(name) is not None:
        ip, name = ip or addresses.ip(name), "" if addresses.ip(name) is not None else name
    return clipped(name).lower() or None, ip


def _ended(join: Join) -> bool:
    return all(known[1] in _FINAL for known in join.recipients.values())


def _addresses(text: str) -> list[str]:
    """The addresses of a list, each as often as it stands there."""
    if "," not in text and ";" not in text:  # most by far
        alone = facts.bare_address(text)
        return [alone] if alone else []
    return [address for one in re.split(r"[,;] *", text) if (address := facts.bare_address(one))]


def _since_1970(digits: str) -> str:
    """Seconds, milli-, micro- or nanoseconds since 1970, as a stamp that the clock reads."""
    micros = int(digits) * 10 ** (16 - len(digits)) if len(digits) < 16 else int(digits) // 10 ** (len(digits) - 16)
    return f"@{micros // 1_000_000}.{micros % 1_000_000:06d}"
