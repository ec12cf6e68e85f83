"""Proofpoint's JSON records to mail events: TAP's, and the message records of Proofpoint on Demand.

Facts: Proofpoint TAP "SIEM API" (messages and clicks, JSON and syslog form), Proofpoint on Demand "Log Service"
(schemas of message and maillog, `20200420` and before).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from streams.normalisers import addresses, moments
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.json_records import at, text
from streams.normalisers.mail import gateway_facts as facts
from streams.normalisers.mail.join_lines import Single
from streams.normalisers.mail.parts import clipped, message_id, outcome_of, subject_facts
from streams.normalisers.masking import mask_text

PAGES: Final[Mapping[str, str]] = {
    "messagesBlocked": "blocked",
    "messagesDelivered": "delivered",
    "clicksBlocked": "blocked",
    "clicksPermitted": "permitted",
}
"""Lists of a page of TAP's interface, and what they say of the records in them."""

_CLASSES: Final[Mapping[str, str]] = {"malware": "malware", "phish": "phish", "spam": "spam", "impostor": "spoof"}
_RANK: Final = ("spam", "spoof", "phish", "malware")
_OVER: Final = frozenset({"cleared", "falsepositive", "false_positive"})
_BODY_PART: Final = re.compile(r"text\.(?:html?|txt|plain)\Z", re.IGNORECASE)
_WORDS: Final = (
    ("virus", "virus"),
    ("malware", "malware"),
    ("attachment defense", "malware"),
    ("phish", "phish"),
    ("impost", "spoof"),
    ("spoof", "spoof"),
    ("dmarc", "spoof"),
    ("bulk", "bulk"),
    ("spam", "spam"),
    ("adult", "spam"),
    ("block", "policy"),
    ("policy", "policy"),
)


def moment(value: Any) -> int | None:
    """Microseconds UTC of a time of Proofpoint's, which always has a zone."""
    return moments.zoned(value.strip()) if isinstance(value, str) else None


def word_verdict(*words: str | None) -> str | None:
    """What a message was taken for, by the names of a rule, folder or module; None where they do not tell."""
    joined = " ".join(word for word in words if word).lower()
    return next((verdict for word, verdict in _WORDS if word in joined), None)


def is_click(obj: Mapping[str, Any]) -> bool:
    """Whether an object is one of TAP's clicks."""
    return "clickTime" in obj and ("clickIP" in obj or "url" in obj)


def is_tap_message(obj: Mapping[str, Any]) -> bool:
    """Whether an object is one of TAP's messages."""
    return "messageTime" in obj and ("sender" in obj or "recipient" in obj)


def is_pod_message(obj: Mapping[str, Any]) -> bool:
    """Whether an object is a message record of Proofpoint on Demand."""
    return isinstance(obj.get("envelope"), dict) or (isinstance(obj.get("filter"), dict) and "msg" in obj)


def click(obj: Mapping[str, Any], kind: str | None) -> Single:
    """A click; `kind` is `permitted`, `blocked` or None where it is not known which."""
    fact = {
        "timestamp": moment(obj.get("clickTime")),
        "event_action": "clicked",
        "event_outcome": {"permitted": "success", "blocked": "failure"}.get(kind or "", "unknown"),
        "email_verdict": _CLASSES.get((text(obj.get("classification")) or "").lower(), "unknown"),
        "email_threat": _threat(text(obj.get("url"))),
        **_common(obj),
    }
    return Single(fact, _recipients(obj.get("recipient"), "accepted"))


def _common(obj: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "email_message_id": message_id(text(obj.get("messageID")) or ""),
        "email_local_id": text(obj.get("QID")) or text(obj.get("GUID")),
        "email_from_address": facts.sender(text(obj.get("sender"))),
        "source_ip": addresses.ip(text(obj.get("senderIP")) or ""),
    }


def _threat(value: str | None) -> str | None:
    return clipped(mask_text(value)) if value else None


def _recipients(value: Any, status: str, tried: int = 0) -> dict[str, list[Any]]:
    stated = value if isinstance(value, list) else re.split(r"[,;] *", value) if isinstance(value, str) else []
    found = [facts.bare_address(one) for one in stated[: facts.MOST_RECIPIENTS] if isinstance(one, str)]
    return {one: ["", status, "", "", False, tried] for one in found if one}


def tap_message(obj: Mapping[str, Any], kind: str | None, settings: NormaliserSettings) -> Single:
    """A message that TAP found a threat in; `kind` is `delivered`, `blocked` or None where it is not known which."""
    folder, rule = text(obj.get("quarantineFolder")), text(obj.get("quarantineRule"))
    status = {"delivered": "sent", "blocked": "discarded"}.get(kind or "", "accepted")
    status = "quarantined" if folder and status != "sent" else status
    verdict, threat = _worst(obj.get("threatsInfoMap"))
    senders = obj.get("fromAddress")
    header = text(obj.get("headerFrom")) or (
        text(senders[0]) if isinstance(senders, list) and senders else text(senders)
    )
    fact = {
        "timestamp": moment(obj.get("messageTime")),
        "event_action": "message",
        "event_outcome": outcome_of([status]),
        "event_reason": clipped(": ".join(word for word in (folder, rule) if word)) or None,
        "email_header_from_address": facts.header_address(header),
        "email_size": facts.whole(obj.get("messageSize")),
        "email_spam_score": facts.number(obj.get("spamScore")),
        "email_verdict": verdict or word_verdict(folder, rule),
        "email_threat": threat,
        **_common(obj),
        **subject_facts(text(obj.get("subject")), keep=settings.keep_subject),
    }
    to = _recipients(obj.get("recipient") or obj.get("toAddresses"), status, 1 if status == "sent" else 0)
    return Single(fact, to, _tap_files(obj))


def _worst(threats: Any) -> tuple[str | None, str | None]:
    """Verdict and threat of the worst of TAP's threats that still holds."""
    worst: tuple[int, str | None, str | None] = (-1, None, None)
    for one in threats if isinstance(threats, list) else []:
        if not isinstance(one, dict) or (text(one.get("threatStatus")) or "").lower() in _OVER:
            continue
        verdict = _CLASSES.get((text(one.get("classification")) or "").lower(), "unknown")
        rank = _RANK.index(verdict) + 1 if verdict in _RANK else 0
        if rank > worst[0]:
            worst = rank, verdict, _threat(text(one.get("threat")))
    return worst[1], worst[2]


def _tap_files(obj: Mapping[str, Any]) -> list[list[Any]]:
    files = []
    parts = obj.get("messageParts")
    for part in parts if isinstance(parts, list) else []:
        if isinstance(part, dict):
            name = text(part.get("filename")) or ""
            if text(part.get("disposition")) == "inline" and _BODY_PART.match(name):
                continue
            kind = text(part.get("oContentType")) or text(part.get("contentType")) or ""
            files.append(
                [clipped(name), clipped(kind), facts.digest(text(part.get("sha256")), text(part.get("md5"))), -1]
            )
    threats = obj.get("threatsInfoMap")
    if not files:
        for one in threats if isinstance(threats, list) else []:
            if isinstance(one, dict) and (text(one.get("threatType")) or "").lower() == "attachment":
                threat = text(one.get("threat")) or ""
                found = facts.digest(threat)
                files.append(["" if found else clipped(threat), "", found, -1])
    return files[: facts.MOST_ATTACHMENTS]


def pod_message(obj: Mapping[str, Any], settings: NormaliserSettings) -> Single:
    """A message record of Proofpoint on Demand: what the filter made of a message."""
    disposition = text(at(obj, "filter", "disposition")) or text(obj.get("final_action")) or ""
    folder, rule = text(at(obj, "filter", "quarantine", "folder")), text(at(obj, "filter", "quarantine", "rule"))
    delivered = {facts.bare_address(one) for one in _texts(at(obj, "filter", "delivered", "rcpts"))}
    status = {"discard": "discarded", "reject": "rejected", "retry": "rejected"}.get(disposition.lower(), "accepted")
    status = "quarantined" if folder and status in ("accepted", "discarded") else status
    to = _recipients(at(obj, "envelope", "rcpts"), status)
    for one in delivered:
        to[one] = ["", "sent", "", "", False, 1]
    module, final, _ = _final(obj)
    score = at(obj, "filter", "modules", "spam", "scores", "overall")
    names = _texts(at(obj, "filter", "modules", "av", "virusNames"))
    fact = {
        "timestamp": moment(obj.get("ts")),
        "event_action": "rejected" if status == "rejected" else "message",
        "event_outcome": outcome_of([known[1] for known in to.values()] or [status]),
        "email_verdict": "virus" if names else _pod_verdict(obj, folder, rule, module, final),
        "email_threat": _threat(names[0]) if names else None,
        "email_spam_score": facts.number(score),
        **_pod_facts(obj),
        **subject_facts(_first(obj, "subject"), keep=settings.keep_subject),
    }
    if fact["event_outcome"] != "success":
        fact["event_reason"] = clipped(": ".join(word for word in (folder, module, final, disposition) if word)) or None
    return Single(fact, to, _pod_files(obj))


def _pod_facts(obj: Mapping[str, Any]) -> dict[str, Any]:
    host = text(at(obj, "connection", "host"))
    sender = at(obj, "envelope", "from")
    return {
        "observer_hostname": text(at(obj, "metadata", "origin", "data", "agent")) or text(at(obj, "pps", "agent")),
        "email_message_id": message_id(_first(obj, "message-id") or ""),
        "email_local_id": text(at(obj, "filter", "qid")) or text(obj.get("guid")),
        "email_from_address": "" if sender in ("", "<>") else facts.sender(text(sender)),
        "email_header_from_address": facts.header_address(_first(obj, "from")),
        "email_size": facts.whole(at(obj, "filter", "msgSizeBytes")) or facts.whole(at(obj, "msg", "sizeBytes")),
        "email_direction": facts.direction(text(at(obj, "filter", "routeDirection"))),
        "email_helo": clipped(text(at(obj, "connection", "helo")) or "") or None,
        "email_protocol": text(at(obj, "connection", "protocol")),
        "source_ip": addresses.ip(text(at(obj, "connection", "ip")) or ""),
        "source_domain": None if host in (None, "unknown") else clipped(host).lower(),
    }


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _first(obj: Mapping[str, Any], name: str) -> str | None:
    """A header's first value, decoded by Proofpoint where it did so."""
    for where in ("normalizedHeader", "header"):
        found = _texts(at(obj, "msg", where, name))
        if found:
            return found[0]
    return None


def _final(obj: Mapping[str, Any]) -> tuple[str | None, str | None, str | None]:
    """Module, rule and action of the filter that decided."""
    actions = at(obj, "filter", "actions")
    for one in actions if isinstance(actions, list) else []:
        if isinstance(one, dict) and one.get("isFinal") is True:
            return text(one.get("module")), text(one.get("rule")), text(one.get("action"))
    return text(obj.get("final_module")), text(obj.get("final_rule")), text(obj.get("final_action"))


def _pod_verdict(obj: Mapping[str, Any], *words: str | None) -> str | None:
    classifier = text(at(obj, "filter", "modules", "spam", "triggeredClassifier"))
    verdict = word_verdict(classifier) or word_verdict(words[0], words[1])
    if verdict is None and words[2] in ("av", "spam", "dmarc", "zerohour"):
        verdict = "clean" if words[3] in ("clean", "notspam", "pass", "safe") else word_verdict(words[3], words[2])
    if verdict is None:
        actions = at(obj, "filter", "actions")
        rules = (
            {text(one.get("rule")) for one in actions if isinstance(one, dict)} if isinstance(actions, list) else set()
        )
        verdict = "clean" if rules & {"clean", "notspam"} else None
    return verdict


def _pod_files(obj: Mapping[str, Any]) -> list[list[Any]]:
    files = []
    parts = obj.get("msgParts")
    for part in parts if isinstance(parts, list) else []:
        if not isinstance(part, dict) or part.get("isVirtual") is True:
            continue
        name = text(part.get("labeledName")) or text(part.get("detectedName")) or ""
        if text(part.get("disposition")) == "inline" and (not name or _BODY_PART.match(name)):
            continue
        kind = text(part.get("labeledMime")) or text(part.get("detectedMime")) or ""
        size = facts.whole(part.get("sizeDecodedBytes"))
        found = facts.digest(text(part.get("sha256")), text(part.get("md5")))
        files.append([clipped(name), clipped(kind), found, -1 if size is None else size])
    return files[: facts.MOST_ATTACHMENTS]


def moment_of(obj: Mapping[str, Any]) -> int | None:
    """Time of any record."""
    return moment(obj.get("ts") or obj.get("messageTime") or obj.get("clickTime"))


def kind_of(obj: Mapping[str, Any]) -> str | None:
    """Delivered, blocked or permitted, where a collector put the kind of a TAP record into it."""
    word = (text(obj.get("eventType")) or text(obj.get("EventType")) or text(obj.get("type")) or "").lower()
    return next((kind for kind in ("delivered", "blocked", "permitted") if kind in word), None)


def sendmail_line(said: Any) -> str:
    """A line of sendmail's from its parts in a maillog record; empty where they are none."""
    if not isinstance(said, dict):
        return ""
    qid, to = text(said.get("qid")) or "NOQUEUE", said.get("to")
    names = (
        ("delay", "mailer", "relay", "dsn") if isinstance(to, list) else ("size", "class", "nrcpts", "msgid", "proto")
    )
    values = {**said, "size": said.get("sizeBytes"), "class": "0"}
    parts = ", ".join(f"{name}={text(values.get(name)) or ''}" for name in names)
    if isinstance(to, list):
        return f"{qid}: to={','.join(str(one) for one in to)}, {parts}, stat={text(said.get('stat')) or ''}"
    return f"{qid}: from={text(said.get('from')) or ''}, {parts}"
