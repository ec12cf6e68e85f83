r"""Mimecast's logs to mail events: the SIEM files (bars and JSON), the events of API 2.0, the threat logs of the API.

`event_action` is

- `message`: a delivery to a recipient that ended: outcome `success` (the recipient is `sent`) or `failure` (`bounced`);
- `deferred`: a delivery that failed and is tried again; outcome `unknown`;
- `accepted`, `rejected`: Mimecast took or refused a message at its door (receipt); outcome `success` or `failure`;
- `processed`, `held`, `discarded`: what its policies made of it (process): outcome `success`, `unknown`, `failure`;
- `journalled`: a copy of a message that the district's own server delivered; outcome `unknown`;
- `detected`: a virus, a spammer, an impersonation, an attachment or address that was looked at; outcome `unknown`, or
  `failure` where that record says that the message was blocked;
- `clicked`: a recipient followed an address in a message; outcome `success` where that was allowed, else `failure`.

Mimecast writes receipt, process and delivery into files of their own, fetched one by one, and nothing tells that a
message is done: so they stay events of their own, with one `email_local_id` (aCode, or aggregateId) and one Message-ID.
Only a `message` has a recipient that is `sent`.

In the files with bars a sender chooses the text of some fields and may put a bar and a key of ours into it. So of a key
that comes twice the first counts where it stands before all such texts, else the last.

Facts: Mimecast's "Understanding SIEM Logs", "Get SIEM Logs", "Threats, Security Events and Data for CG" (API 2.0) and
"Get TTP URL Logs", "… Attachment Protection Logs", "… Impersonation Protect Logs", "Get DLP Logs".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from schemas.kinds import EventKind
from streams.normalisers import addresses, moments
from streams.normalisers.json_records import MAX_DEPTH, JsonNormaliser
from streams.normalisers.json_records import text as said
from streams.normalisers.lines import Unreadable
from streams.normalisers.mail import gateway_facts as facts
from streams.normalisers.mail.mimecast_words import KEYS, VALUES, action_of, verdict_of
from streams.normalisers.mail.parts import clipped, message_id, subject_facts
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused
from streams.normalisers.records import Fact, Head, Read

ACTIONS: Final = (
    "message", "deferred", "accepted", "rejected", "processed", "held", "discarded", "journalled", "detected",
    "clicked",
)  # fmt: skip

Values: TypeAlias = dict[str, Any]
"""What a record says, by our names for its fields (`mimecast_words.NAMES`)."""

_PAGES = frozenset({"clickLogs", "attachmentLogs", "impersonationLogs", "dlpLogs", "data"})
_CHOSEN = frozenset({"MsgId", "Subject", "headerFrom", "fileName", "AttNames", "url", "URL", "subject", "msgid"})
_FILE = re.compile(r"(?:filename=\\?\"?)?(receipt|process|delivery|jrnl|av|spam|ttp_url|ttp_ap|ttp_ip|iep)_?", re.ASCII)
_QUOTED_NAME = re.compile(r'"((?:[^"\\]|\\.)*)"')
_BLOCKED = re.compile(r"block|reject|bounce|delete|quarantin|hold")
_NO_TYPE = "no kind of record"


class MimecastNormaliser(JsonNormaliser):
    """SIEM files, API 2.0 events and threat logs of Mimecast; see the module."""

    kind = EventKind.MAIL
    type_name = "mimecast"
    DATASET = "mimecast"
    fields = (
        "timestamp", "event_dataset", "event_action", "event_outcome", "event_reason", "observer_hostname",
        "process_name", "process_pid", "email_message_id", "email_local_id", "email_from_address",
        "email_header_from_address", "email_to_address", "email_to_original_address", "email_to_status", "email_to_dsn",
        "email_to_relay", "email_to_filter", "email_to_attempts", "email_size", "email_subject_hash",
        "source_ip", "email_direction", "email_verdict", "email_threat", "email_spam_score", "email_attachment_name",
        "email_attachment_type", "email_attachment_hash", "email_attachment_size",
    )  # fmt: skip

    def _head(self, text: str) -> Head:
        return Head("", None, None, None, text) if text.startswith("datetime=") else super()._head(text)

    def own(self, obj: dict[str, Any]) -> bool:
        """Whether an object is a record, no page of them."""
        if not _PAGES.isdisjoint(obj) and any(isinstance(obj.get(page), list) for page in _PAGES):
            return False
        return VALUES.known(obj)

    def unwrapped(self, value: Any, depth: int) -> Iterator[dict[str, Any]]:
        """See `JsonNormaliser.unwrapped`; a page of the threat logs' API holds its records by their kind."""
        if isinstance(value, dict):
            for page in _PAGES & value.keys():
                inner = value[page]
                if isinstance(inner, list) and depth < MAX_DEPTH:
                    for one in inner:
                        yield from self.unwrapped(one, depth + 1)
                    return
        yield from super().unwrapped(value, depth)

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        message = head.message
        if message[:1] not in "{[":
            start = message.find("datetime=")
            if start >= 0 and "|" in message:
                return self.fact(barred(message[start:]), head)
        return super().read(head)

    def foreign(self, head: Head) -> IgnoredReason | Unreadable:
        """A line without any JSON."""
        del head
        return Unreadable(Refused.UNKNOWN_FORM, "neither `datetime=…|` nor JSON")

    def fact(self, obj: dict[str, Any], head: Head) -> Read:
        """What a record says."""
        del head
        values = VALUES.of(obj)
        kind = _kind_of(obj, values)
        if kind is None:
            return Ignored.OTHER_RECORD if VALUES.other(obj) else Unreadable(Refused.UNKNOWN_FORM, _NO_TYPE)
        when = self._moment(values)
        if when is None:
            return Unreadable(Refused.BAD_TIME, f"no such time: {said(values.get('time'))!r:.80}")
        fact = _KINDS[kind](values)
        if fact is None:
            return Unreadable(Refused.UNKNOWN_FORM, f"a {kind} record that names nobody and nothing")
        self._common(fact, values)
        fact["timestamp"] = when
        return fact

    def _moment(self, values: Values) -> int | None:
        stated = values.get("time")
        if isinstance(stated, (int, float)) and not isinstance(stated, bool):
            return self.clock.seen(moments.since_1970(str(int(stated))) or -(2**62))
        if not isinstance(stated, str):
            return None
        found = moments.zoned(stated)
        if found is not None:
            return self.clock.seen(found)
        if stated.isdigit():
            return self.clock.seen(moments.since_1970(stated) or -(2**62))
        return self.clock.micros(stated)

    def _common(self, fact: Fact, values: Values) -> None:
        """Add what all kinds of records may say."""
        get = values.get
        if "message_id" in values:
            fact["email_message_id"] = message_id(said(get("message_id")) or "")
        if "header_from" in values:
            fact["email_header_from_address"] = facts.header_address(said(get("header_from")))
        if "client" in values:
            fact["source_ip"] = addresses.ip(said(get("client")) or "")
        if "size" in values:
            fact["email_size"] = facts.whole(get("size"))
        if "score" in values:
            fact["email_spam_score"] = facts.number(get("score"))
        if "subject" in values:
            fact |= subject_facts(said(get("subject")), keep=self.settings.keep_subject)
        stated = facts.direction(said(get("direction"))) if "direction" in values else None
        fact["email_direction"] = stated or facts.direction(said(get("route")))
        fact["email_local_id"] = said(get("code"))
        fact["email_from_address"] = facts.sender(said(get("sender")))


def barred(message: str) -> dict[str, Any]:
    """The fields of a line with bars, by Mimecast's names; see the module for keys that come twice."""
    parts = message.split("|")
    try:
        found: dict[str, Any] = dict([part.split("=", 1) for part in parts])
    except ValueError:
        found = {}
    if len(found) != len(parts) or not KEYS.issuperset(found):
        found = _disentangled(parts)
    if "\\" in message:
        for key, value in found.items():
            if value and (value[0] == "\\" or value[0].isspace() or value[-1].isspace()):
                found[key] = _plain(value)
    return found


def _disentangled(parts: Sequence[str]) -> dict[str, Any]:
    """The fields of a line whose texts have bars in them."""
    found: dict[str, Any] = {}
    firm: set[str] = set()  # keys seen before any text that a sender chooses
    chosen = False
    last = ""
    for part in parts:
        key, sign, value = part.partition("=")
        if not sign or key not in KEYS:
            if last:  # a bar inside a value
                found[last] = f"{found[last]}|{part}"
            continue
        chosen = chosen or key in _CHOSEN
        last = "" if key in firm else key
        if last:
            found[key] = value
            if not chosen:
                firm.add(key)
    return found


def _plain(value: str) -> str:
    r"""A value without the backslashes that Mimecast puts around some texts: `\message subject\`."""
    value = value.strip()
    return value[1:-1].strip() if len(value) > 1 and value[0] == value[-1] == "\\" else value


def _kind_of(obj: dict[str, Any], values: Values) -> str | None:
    """Which kind of record this is: as it says itself, by the file that it came in, else by what it has."""
    if "type" in obj and (kind := VALUES.kind(said(obj["type"]) or "")) is not None:
        return kind
    if "Content-Disposition" in obj:
        named = _FILE.search(said(obj["Content-Disposition"]) or "")
        if named is not None:
            return VALUES.kind(named[1])
    return VALUES.guessed(obj, values)


def _recipients(values: Values) -> list[str]:
    stated = values.get("recipient")
    if isinstance(stated, str):
        return [stated] if "," not in stated and ";" not in stated else re.split(r"[,;]\s*", stated)
    return [one for one in stated if isinstance(one, str)] if isinstance(stated, list) else []


def _reason(values: Values, *keys: str) -> str | None:
    words = [word for key in keys if key in values and (word := said(values[key]))]
    return clipped(words[0] if len(words) == 1 else "; ".join(dict.fromkeys(words))) if words else None


def _receipt(values: Values) -> Fact | None:
    refused = action_of(said(values.get("action")))
    outcome = {"accepted": "success", "rejected": "failure", "discarded": "failure"}.get(refused or "")
    if refused is None or outcome is None:
        refused, outcome = ("rejected", "failure") if values.get("reject_type") else ("accepted", "success")
    reason = _reason(values, "reject_type", "reject_info", "error")
    dsn = facts.enhanced_code(said(values.get("reject_info"))) or facts.enhanced_code(reason)
    return {
        "event_action": refused,
        "event_outcome": outcome,
        "event_reason": reason,
        "email_threat": said(values.get("virus")),
        "email_verdict": "virus" if values.get("virus") else verdict_of(reason) if refused != "accepted" else None,
        **facts.sent_to(_recipients(values), refused, dsn),
    }


def _process(values: Values) -> Fact | None:
    action = action_of(said(values.get("action"))) or "processed"
    action = {"accepted": "processed", "rejected": "discarded"}.get(action, action)
    outcome = {"processed": "success", "held": "unknown"}.get(action, "failure")
    reason = _reason(values, "hold_reason")
    return {
        "event_action": action,
        "event_outcome": outcome,
        "event_reason": reason,
        "email_verdict": verdict_of(reason),
        **facts.sent_to(_recipients(values), {"processed": "accepted", "held": "quarantined"}.get(action, action)),
        **_attachment_names(values),
    }


def _attachment_names(values: Values) -> Fact:
    stated = values.get("attachments")
    if not stated:  # most by far
        return {}
    names = [one for one in stated if isinstance(one, str)] if isinstance(stated, list) else []
    if isinstance(stated, str) and stated:
        quoted = _QUOTED_NAME.findall(stated)
        names = quoted or [name.strip() for name in stated.split(",") if name.strip()]
    size = facts.whole(values.get("attachments_size"))
    alone = len(names) == 1 and size is not None
    return facts.attachments(facts.Attachment(name, size=size or 0 if alone else -1) for name in names)


def _delivery(values: Values) -> Fact | None:
    arrived = str(values.get("delivered")).lower()
    code = said(values.get("reject_code")) or ""
    reason = _reason(values, "reject_type", "reject_info", "error")
    if arrived == "true":
        status, answer = "sent", said(values.get("answer"))
        reason = None
    else:
        answer = said(values.get("reject_info"))
        permanent = code.startswith("5") or facts.enhanced_code(answer).startswith("5")
        status = "bounced" if permanent else "deferred"
    values["server"] = values.get("server") or values.pop("client", None)  # `IP` is the next server here in files too
    relay = said(values.get("host")) or said(values.get("route")) or ""
    relay = f"{relay}[{values['server']}]" if values["server"] else relay
    tried = facts.whole(values.get("attempt"), 2**31 - 1) or 1
    return {
        "event_action": "deferred" if status == "deferred" else "message",
        "event_outcome": {"sent": "success", "bounced": "failure"}.get(status, "unknown"),
        "event_reason": reason,
        **facts.sent_to(_recipients(values), status, facts.enhanced_code(answer), relay, tried),
    }


def _journal(values: Values) -> Fact | None:
    return {"event_action": "journalled", "event_outcome": "unknown", **facts.sent_to(_recipients(values), "accepted")}


def _detected(values: Values, verdict: str | None, threat: str | None, reason: str | None) -> Fact:
    """A threat in a message, with what the record says was done about it."""
    action = (said(values.get("action")) or said(values.get("actions")) or "").lower()
    blocked = _BLOCKED.search(action) is not None
    return {
        "event_action": "detected",
        "event_outcome": "failure" if blocked and "hold" not in action else "unknown",
        "event_reason": reason,
        "email_verdict": verdict,
        "email_threat": threat,
        **facts.sent_to(_recipients(values), "quarantined" if blocked else "accepted"),
    }


def _file(values: Values) -> Fact:
    name = said(values.get("file_name")) or ""
    kind = said(values.get("file_mime")) or said(values.get("file_extension")) or ""
    found = facts.digest(*(said(values.get(key)) for key in ("md5", "sha1", "sha256")))
    size = facts.whole(values.get("file_size"))
    return facts.attachments([facts.Attachment(name, kind, found, -1 if size is None else size)])


def _virus(values: Values) -> Fact | None:
    threat = said(values.get("virus"))
    verdict = "phish" if threat and "phish" in threat.lower() else "virus"
    return {**_detected(values, verdict, threat, None), **_file(values)}


def _spam(values: Values) -> Fact | None:
    return _detected(values, "spam", None, None)


def _impersonation(values: Values) -> Fact | None:
    return _detected(values, "spoof", said(values.get("definition")), _reason(values, "hits", "identifiers"))


def _internal(values: Values) -> Fact | None:
    threat = said(values.get("category")) or said(values.get("scan_result"))
    return _detected(values, verdict_of(threat) or "unknown", threat, said(values.get("scan_result")))


def _attachment(values: Values) -> Fact | None:
    result = (said(values.get("scan_result")) or "malicious").lower()
    clean = result in ("safe", "clean")
    fact = {**_detected(values, "clean" if clean else "malware", None, said(values.get("action"))), **_file(values)}
    return fact if fact.keys() & {"email_to_address", "email_attachment_name"} else None


def _url(values: Values) -> Fact | None:
    """A click, or an address that was looked at when the message came in."""
    how = (said(values.get("creation")) or "").lower()
    scan = said(values.get("scan_result"))
    threat = said(values.get("category"))
    clean = scan is not None and scan.lower() in ("clean", "safe")
    bad = None if scan is None else verdict_of(threat) or "malware"
    fact = _detected(values, "clean", None, scan) if clean else _detected(values, bad, threat, scan)
    if "scan" in how:
        return fact
    action = (said(values.get("action")) or "").lower()
    allowed = action in ("allow", "continue", "none")
    return {**fact, "event_action": "clicked", "event_outcome": "success" if allowed else "failure"}


def _policy(values: Values) -> Fact | None:
    return _detected(values, "policy", said(values.get("definition")), said(values.get("action")))


def _entity(values: Values) -> Fact | None:
    """A message that Mimecast's cloud-integrated product looked at in the mailbox's own system."""
    state = (said(values.get("state")) or "").lower()
    found = said(values.get("threat_type"))
    clean = found in (None, "NO_DETECTIONS", "POLICIES_DISABLED")
    blocked = "block" in state or "quarantin" in state
    return {
        "event_action": "held" if blocked else "accepted",
        "event_outcome": "unknown" if blocked else "success",
        "event_reason": said(values.get("state")),
        "email_verdict": "clean" if clean else verdict_of(found) or "unknown",
        "email_threat": None if clean else found,
        **facts.sent_to(_recipients(values), "quarantined" if blocked else "accepted"),
        **_attachment_names(values),
    }


_KINDS: Mapping[str, Callable[[Values], Fact | None]] = {
    "receipt": _receipt,
    "process": _process,
    "delivery": _delivery,
    "journal": _journal,
    "av": _virus,
    "spam": _spam,
    "impersonation": _impersonation,
    "internal": _internal,
    "attachment": _attachment,
    "url": _url,
    "dlp": _policy,
    "entity": _entity,
}
