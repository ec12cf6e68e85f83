"""Symantec Messaging Gateway's message audit log to mail events, joined by the audit ID.

A line is `seconds|audit ID|EVENT|values`, written by `bmserver` (the filter) and `ecelerity` (the mail server).
`event_action` is

- `message`: a message; complete when every recipient that ORCPTS names has an end (DELIVER, DELIVERY_FAILURE with a
  lasting code, an action that keeps it from him), else flushed ten minutes of the log's own time after its newest line;
- `delivery`: what became of a message whose event is out;
- `rejected`: the gateway refused the client, the sender or the message; outcome `failure`.

`event_outcome` of the others is that of the recipients (`parts.outcome_of`). A delivery to port 41025 is one to the
spam quarantine of the Control Center. `event_reason` is the verdict and the policy, or what the next server said.

Facts: Symantec Messaging Gateway Administration Guide 9 to 10.8 ("Message Audit Log", "Logging to remote syslog"); its
knowledge base on the format of audit logs for remote syslog and on verdicts in the Message Audit Log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from streams.normalisers import addresses
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.lines import Unreadable
from streams.normalisers.mail import gateway_facts as facts
from streams.normalisers.mail.join_lines import HELD, JOIN_FIELDS, JoinNormaliser, Taken
from streams.normalisers.mail.joins import Join
from streams.normalisers.mail.parts import clipped, message_id, subject_facts
from streams.normalisers.mail.reasons_gateways import GatewaysIgnored
from streams.normalisers.mail.reasons_services import ServicesIgnored
from streams.normalisers.masking import mask_text
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.syslog import SyslogLine

ACTIONS: Final = ("message", "delivery", "rejected")

WAIT: Final = 600_000_000
"""Microseconds of the log's own time that a message waits for its deliveries, at most."""

_LINE = re.compile(
    r"(?:\[\d{1,10}\] )?(?:MAIL\|)?(\d{9,10})\|([\w\-]{0,100})\|([A-Z][A-Z_]{1,31})(?:\| ?(.*))?", re.DOTALL | re.ASCII
)
_LIKE_OURS = re.compile(r"(?:MAIL\|)?\d{9,10}\|", re.ASCII)
_ADDRESS_PORT = re.compile(r"\[?([0-9A-Fa-f.:]*?[0-9A-Fa-f.])\]?(?::(\d{1,5}))?", re.ASCII)
_TO_QUARANTINE = "41025"
_PROGRAMS = frozenset(
    {"bmserver", "ecelerity", "conduit", "jlu-controller", "bmagent", "bmifsession", "liveupdate", "mta", "Brightmail"}
)
_FINAL = frozenset({"sent", "bounced", "expired", "rejected", "discarded", "quarantined"})
_RANK: Final = ("clean", "unknown", "policy", "bulk", "spam", "spoof", "phish", "malware", "virus")
_VERDICTS: Final = (
    (re.compile(r"none\Z|safe|(?:sys|dns|user)[_-]allow|local_good|bounce_valid"), "clean"),
    (re.compile(r"connection[_-]class"), None),
    (re.compile(r"virus|worm|spyware|freq[_-]va|unrepairable"), "virus"),
    (re.compile(r"malware|threat[_-]?defen|sandbox|disarm|malicious"), "malware"),
    (re.compile(r"phish|fraud"), "phish"),
    (re.compile(r"spf|dkim|dmarc|sender[_-]?(?:auth|id)|spoof|imperson"), "spoof"),
    (re.compile(r"newsletter|marketing|bulk"), "bulk"),
    (re.compile(r"spam|opl\Z|dns[_-]deny|freq[_-]sa|suspicious[_-]url|url"), "spam"),
    (re.compile(r"content|deny|freq[_-]dha|lang|unscannable|encrypted|attach|bounce|dlp|compliance"), "policy"),
)
_ACTIONS: Final = (
    (re.compile(r"delete|drop|discard", re.IGNORECASE), "discarded"),
    (re.compile(r"quarantine|hold|incident|suspect", re.IGNORECASE), "quarantined"),
    (re.compile(r"reject", re.IGNORECASE), "rejected"),
    (re.compile(r"bounce", re.IGNORECASE), "bounced"),
)
_REFUSED_CLIENTS = re.compile(r"(?:sys|dns|user)[_-]deny|opl\Z|freq[_-]|lang", re.ASCII)
_CODE = re.compile(r" ?([45])\d\d\b", re.ASCII)


class SymantecSmgNormaliser(JoinNormaliser):
    """Lines of the message audit log, alone or behind a syslog header; see the module."""

    type_name = "symantec_smg"
    DATASET = "symantec_smg"
    KEPT_NOTES = ("told",)
    fields = (
        *JOIN_FIELDS, "event_reason", "observer_hostname", "process_name", "process_pid", "email_message_id",
        "email_local_id", "email_from_address", "email_to_original_address", "email_to_dsn", "email_to_relay",
        "email_to_filter", "email_to_attempts", "email_size", "email_recipient_count", "email_subject_hash",
        "source_ip", "email_helo", "email_direction", "email_verdict", "email_threat", "email_attachment_name",
        "email_attachment_type", "email_attachment_hash", "email_attachment_size",
    )  # fmt: skip

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self.messages.joins.wait = min(self.messages.joins.wait, WAIT)

    def head(self, text: str) -> SyslogLine | None:
        """The envelope taken off; the time is that of the record, which has a year and no zone to guess."""
        bare = _LIKE_OURS.match(text)
        line = SyslogLine("", None, None, None, text) if bare else self._splitter.split(text)
        record = bare or (_LIKE_OURS.match(line.message) if line is not None else None)
        if line is None or record is None:
            return line
        return line._replace(stamp=f"@{record[0].removeprefix('MAIL|')[:-1]}.000000")

    def take(self, head: SyslogLine) -> Taken:
        """See `JoinNormaliser.take`."""
        match = _LINE.fullmatch(head.message)
        if match is None:
            return self._other(head)
        _, audit_id, event, values = match.groups()
        if not audit_id:
            return ServicesIgnored.MAIL_UNATTACHED
        key = f"{head.host or ''} {audit_id}"
        learn = _LEARN.get(event)
        if learn is None or (event not in _DELIVERIES and self.messages.get(key) is None and self.messages.known(key)):
            return ServicesIgnored.MAIL_UNATTACHED
        join = self.messages.of(key)
        join.facts.setdefault("email_local_id", audit_id)
        if event == "SUBJECT":
            join.learn(**subject_facts(values, keep=self.settings.keep_subject))
        else:
            learn(join, values or "")
        if event in _ENDS and _complete(join):
            self.messages.complete(join)
        else:
            self.messages.touch(join)
        return HELD

    @staticmethod
    def _other(head: SyslogLine) -> Taken:
        message = head.message
        if _LIKE_OURS.match(message):
            return Unreadable(Refused.UNKNOWN_FORM, "starts like a record of the audit log")
        if "ML-" in message[:40]:
            return Ignored.OTHER_RECORD  # the mail server's own log, which tells the same
        if "A message from " in message and "returned Disposition" in message:
            return GatewaysIgnored.GATEWAY_CHECK
        if head.program == "AuditEventLogManager" or "AuditEventLogManager" in message[:80]:
            return GatewaysIgnored.GATEWAY_ADMIN
        if head.program in _PROGRAMS or message.startswith("[Brightmail]"):
            return GatewaysIgnored.GATEWAY_ENGINE
        return Ignored.OTHER_PROGRAM

    def closing(self, join: Join) -> None:
        """What the verdict's action says where no delivery is told."""
        if join.facts.get("event_action") is None:
            refused = bool(join.recipients) and all(known[1] == "rejected" for known in join.recipients.values())
            if refused or ("refused" in join.notes and not join.recipients):
                join.facts["event_action"], join.facts["event_outcome"] = "rejected", "failure"
            elif "told" in join.notes:
                join.facts["event_action"] = "delivery"
        join.notes["told"] = True


def _complete(join: Join) -> bool:
    known = "orcpts" in join.notes or "told" in join.notes
    return known and bool(join.recipients) and all(one[1] in _FINAL for one in join.recipients.values())


def _split(values: str) -> tuple[list[str], list[str]]:
    """The recipients that the values begin with, and the others."""
    parts = values.split("|")
    count = next((at for at, part in enumerate(parts) if "@" not in part and part != "<none>"), len(parts))
    return [facts.bare_address(part) for part in parts[:count] if part != "<none>"], parts[count:]


def _client(join: Join, values: str) -> None:
    found = _ADDRESS_PORT.fullmatch(values.strip())
    join.learn(source_ip=addresses.ip(found[1]) if found else addresses.ip(values.strip()))


def _sender(join: Join, values: str) -> None:
    said = values.strip()
    join.learn(email_from_address="" if said in ("", "<>", "<none>", "\\") else facts.bare_address(said))


def _recipients(join: Join, values: str) -> None:
    stated = [facts.bare_address(one) for one in values.split("|")]
    for one in stated:
        if one and len(join.recipients) < facts.MOST_RECIPIENTS:
            join.mention(one)
    join.learn(email_recipient_count=len({one for one in stated if one}) or None)
    join.notes["orcpts"] = True


def _attached(join: Join, values: str) -> None:
    known = {attachment[0] for attachment in join.attachments}
    for name in values.split("|"):
        named = clipped(name.strip())
        if named and named not in known and len(join.attachments) < facts.MOST_ATTACHMENTS:
            known.add(named)
            join.attach(named)


def _verdict(join: Join, values: str) -> None:
    _, said = _split(values)
    word = said[0].lower() if said else ""
    _judge(join, word)
    if not word or word == "none" or "connection" in word[:12]:
        return
    if _REFUSED_CLIENTS.search(word):
        join.notes["refused"] = True
    join.reason = join.reason or clipped(": ".join(part for part in (said[0], *said[2:3]) if part))


def _judge(join: Join, word: str) -> None:
    verdict = next((verdict for pattern, verdict in _VERDICTS if pattern.search(word)), "unknown" if word else None)
    if verdict is not None and _RANK.index(verdict) >= _RANK.index(join.facts.get("email_verdict") or "clean"):
        join.facts["email_verdict"] = verdict


def _fired(join: Join, values: str) -> None:
    for word in _split(values)[1][:100]:
        if word != "none":
            _judge(join, word.lower())


def _virus(join: Join, values: str) -> None:
    name = _split(values)[1]
    join.facts["email_verdict"] = "virus"
    join.learn(email_threat=clipped(name[0].strip()) or None if name else None)


def _action(join: Join, values: str) -> None:
    to, said = _split(values)
    status = next((status for pattern, status in _ACTIONS if any(pattern.search(word) for word in said)), None)
    if status is None:
        return
    for one in to or list(join.recipients):
        known = join.recipients.get(one)
        if (known is None or known[1] == "accepted") and len(join.recipients) < facts.MOST_RECIPIENTS:
            join.deliver(one, status, tried=0)
    join.reason = join.reason or clipped(" ".join(said))


def _delivered(join: Join, values: str) -> None:
    where, _, rest = values.partition("|")
    found = _ADDRESS_PORT.fullmatch(where.strip())
    kept = found is not None and found[2] == _TO_QUARANTINE
    for one in _split(rest)[0]:
        if len(join.recipients) < facts.MOST_RECIPIENTS or one in join.recipients:
            join.deliver(one, "quarantined" if kept else "sent", "", clipped(where.strip()), tried=0 if kept else 1)


def _failed(join: Join, values: str) -> None:
    parts = values.split("|")
    at = len(parts)
    while at > 1 and "@" in parts[at - 1] and " " not in parts[at - 1].strip():
        at -= 1
    words, to = "|".join(parts[:at]), [facts.bare_address(part) for part in parts[at:]]
    code = _CODE.match(words)
    lasting = code is None or code[1] == "5"
    status = "expired" if lasting and "max time" in words else "bounced" if lasting else "deferred"
    join.reason = clipped(mask_text(words)) or join.reason
    for one in to:
        if len(join.recipients) < facts.MOST_RECIPIENTS or one in join.recipients:
            join.deliver(one, status, facts.enhanced_code(words))


def _nothing(_: Join, __: str) -> None:
    pass


_LEARN: Final[Mapping[str, Callable[[Join, str], None]]] = {
    "ACCEPT": _client,
    "LOGICAL_IP": _client,
    "EHLO": lambda join, values: join.learn(email_helo=clipped(values.strip()) or None),
    "SENDER": _sender,
    "ORCPTS": _recipients,
    "MSGID": lambda join, values: join.learn(email_message_id=message_id(values.strip())),
    "MSG_SIZE": lambda join, values: join.learn(email_size=facts.whole(values.strip())),
    "SUBJECT": _nothing,
    "SOURCE": lambda join, values: join.learn(
        email_direction={"external": "inbound", "internal": "outbound"}.get(values.strip().lower())
    ),
    "ATTACH": _attached,
    "ATTACHFILTER": _attached,
    "VERDICT": _verdict,
    "FIRED": _fired,
    "UNTESTED": _nothing,
    "TRACKERID": _nothing,
    "VIRUS": _virus,
    "IRCPTACTION": _action,
    "DELIVER": _delivered,
    "DELIVERY_FAILURE": _failed,
}
"""What an event tells a join; the subject is told by the class, which knows whether it is kept."""

_DELIVERIES: Final = frozenset({"DELIVER", "DELIVERY_FAILURE"})
_ENDS: Final = _DELIVERIES | {"IRCPTACTION", "ORCPTS"}
