"""The codes and words of Barracuda's logs: what was done with a message, why, and what that takes the message for.

Facts: Barracuda "Syslog and the Barracuda Email Security Gateway" (tables of action and reason codes); Email Gateway
Defense, "Syslog Integration" and "Understanding the Message Log".
"""

from __future__ import annotations

from typing import Final

ACTIONS: Final = {
    "0": ("allowed", "accepted"),
    "1": ("aborted", "rejected"),
    "2": ("blocked", "discarded"),
    "3": ("quarantined", "quarantined"),
    "4": ("tagged", "accepted"),
    "5": ("deferred", "deferred"),
    "6": ("quarantined for the user", "quarantined"),
    "7": ("allowed by list", "accepted"),
    "8": ("encrypted", "accepted"),
    "9": ("redirected", "accepted"),
    "10": ("attachments stubbed", "accepted"),
}
"""Codes of RECV and SCAN: in words, and as a recipient's status."""

DELIVERIES: Final = {"1": "sent", "2": "bounced", "3": "deferred", "4": "expired"}
"""Codes of SEND as a recipient's status."""

REASONS: Final = {
    "1": "virus", "2": "banned attachment", "3": "RBL match", "4": "rate control", "5": "too many messages in session",
    "6": "timeout", "7": "no such domain", "8": "no such user", "9": "subject filter", "11": "client IP",
    "12": "recipient address", "13": "no valid recipients", "14": "domain not found", "15": "sender address",
    "17": "recipient not fully qualified", "18": "sender not fully qualified", "19": "unsupported command",
    "20": "MAIL FROM syntax", "21": "bad address syntax", "22": "RCPT TO syntax", "23": "send EHLO/HELO first",
    "24": "need MAIL command", "25": "nested MAIL command", "27": "EHLO/HELO syntax", "30": "mail protocol violation",
    "31": "score", "34": "header filter", "35": "sender block or accept", "36": "recipient block or accept",
    "37": "body filter", "38": "message size bypass", "39": "intention analysis", "40": "SPF or Caller-ID",
    "41": "client host rejected", "44": "authentication not enabled", "45": "message size exceeded",
    "46": "too many recipients", "47": "need RCPT command", "48": "DATA syntax", "49": "internal error",
    "50": "too many hops", "51": "mail protocol error", "55": "invalid parameter syntax", "56": "STARTTLS syntax",
    "57": "TLS already active", "58": "too many errors", "59": "need STARTTLS first", "60": "spam fingerprint",
    "61": "Barracuda Reputation allow list", "62": "Barracuda Reputation block list", "63": "DomainKeys",
    "64": "recipient verification unavailable", "65": "realtime intent", "66": "client reverse DNS",
    "67": "email registry", "68": "invalid bounce", "69": "intent: adult", "70": "intent: political",
    "71": "multi-level intent", "72": "attachment limit", "73": "system busy", "74": "BRTS intent",
    "75": "per domain recipient", "76": "per domain sender", "77": "per domain client IP", "78": "sender spoofed",
    "79": "attachment content", "80": "Outlook add-in", "82": "Barracuda IP/domain reputation",
    "83": "authentication failure", "85": "attachment size", "86": "virus by extended malware protection",
    "87": "extended malware protection busy", "88": "email category", "89": "macro blocked",
}  # fmt: skip
"""Codes of reasons, in words."""

NO_LOGIN: Final = "83"
NAMED_FILES: Final = frozenset({"2", "79", "85", "89"})
"""Reasons behind which the file's name may stand."""
NAMED_THREATS: Final = frozenset({"1", "86"})

_BY_REASON: Final = {
    **dict.fromkeys(("1",), "virus"),
    **dict.fromkeys(("86",), "malware"),
    **dict.fromkeys(("40", "63", "78"), "spoof"),
    **dict.fromkeys(("88",), "bulk"),
    **dict.fromkeys(("3", "31", "39", "60", "62", "65", "67", "68", "69", "70", "71", "74", "80", "82"), "spam"),
    **dict.fromkeys(("2", "9", "11", "12", "15", "34", "35", "36", "37", "72", "75", "76", "77", "79", "85"), "policy"),
    **dict.fromkeys(("89",), "policy"),
}
_WORDS: Final = (
    (("antivirus", "virus"), "virus"),
    (("atp", "advanced threat", "malware", "zero"), "malware"),
    (("fraud", "phish", "link protection"), "phish"),
    (("spoof", "imperson", "spf", "dkim", "dmarc", "domainkeys"), "spoof"),
    (("bulk", "category", "newsletter", "marketing"), "bulk"),
    (("spam", "intent", "score", "reputation", "rbl", "bbl", "fingerprint", "brts", "cloudscan", "barracuda"), "spam"),
    (("attach", "filter", "policy", "policies", "content", "polic", "block", "predefined", "subject"), "policy"),
)


def verdict_of(action: str, reason: str) -> str | None:
    """`email_verdict` by a line's codes."""
    if action in ("0", "7", "8", "9", "10"):
        return "clean"
    return _BY_REASON.get(reason, "spam" if action == "4" else None)


def word_verdict(action: str, reason: str) -> str | None:
    """`email_verdict` by the words of Email Gateway Defense."""
    if action in ("allowed", "encrypted", "redirected"):
        return "clean"
    if action == "deferred":
        return None  # often only until it is scanned
    return next((verdict for words, verdict in _WORDS if any(word in reason for word in words)), None)
