"""The pairs of FortiMail's records, and the words of its classifiers and dispositions.

Facts: FortiMail Log Reference and Administration Guide, "Classifiers and dispositions in history logs". A log that goes
to a syslog server has words; in raw log files that were downloaded from the unit both are hexadecimal numbers.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from streams.normalisers.mail.gateway_facts import disentangled

_PAIR = re.compile(
    r"(?<![\w.\-])([A-Za-z_]\w{0,40})="
    r"(?:\"([^\"]*(?:\"(?!\s*\Z|[ ,]+[A-Za-z_]\w{0,40}=|,)[^\"]*){0,64})\"(?=\s*\Z|[ ,])"
    r"|'([^']*(?:'(?!\s*\Z|[ ,]+[A-Za-z_]\w{0,40}=|,)[^']*){0,64})'(?=\s*\Z|[ ,])"
    r"|([^\s,\"']*))",
    re.ASCII,
)
"""A value in quotes ends at a quote behind which the next key, a comma or the end stands: FortiMail does not say how a
quote inside is escaped."""

_ZONES: Final = {"from": 1, "subject": 2, "message_id": 2, "msg": 2, "detail": 2, "url": 2}
"""Where texts begin that a sender chooses."""

_FROM_0: Final = (
    "Undefined|User Safe|User Block|System Safe|System Block|DNSBL|SURBL|FortiGuard AntiSpam|FortiGuard AntiSpam-Safe|"
    "Bayesian|Heuristic|Dictionary Filter|Banned Word|Deep Header|Forged IP|Quarantine Control|Virus as Spam|"
    "Attachment Filter|Grey List|Bypass Scan On Auth|Disclaimer|Defer Delivery|Session Domain|Session Limits"
)
_FROM_33: Final = (
    "Domain Safe|Domain Block|SPF|Domain Key|DKIM|Recipient Verification|Bounce Verification|Endpoint Reputation|"
    "TLS Enforcement|Message Cryptography|Delivery Control|Encrypted Content|SPF Failure as Spam|Fragmented Email|"
    "Email Contains Image|Content Requires Encryption|FortiGuard AntiSpam-IP|Session Remote|FortiGuard Phishing|"
    "AntiVirus|Sender Address Rate Control|SMTP Auth Failure|Access Control List Reject|Access Control List Discard|"
    "Access Control List Bypass|FortiGuard Antispam Webfilter|Newsletter Suspicious|TLS Streaming|Policy Match|"
    "Dynamic Safe List|Sender Verification|Behavior Analysis"
)
_CLASSIFIERS: Final = {
    **dict(enumerate(_FROM_0.split("|"))),
    **dict(enumerate(_FROM_33.split("|"), start=33)),
}

_VERDICTS: Final = (
    (re.compile(r"phish"), "phish"),
    (re.compile(r"imperson|cousin|spoof|compromise|forged|dmarc|\bspf\b|dkim|domain key|alignment"), "spoof"),
    (re.compile(r"sandbox|malware|malicious|file signature|content disarm"), "malware"),
    (re.compile(r"virus"), "virus"),
    (re.compile(r"newsletter|bulk"), "bulk"),
    (re.compile(r"safe|not spam|bypass|disclaimer"), "clean"),
    (
        re.compile(
            r"spam|dnsbl|\brbl\b|surbl|bayes|heuristic|banned|dictionary|deep header|reputation|webfilter|behavior"
            r"|image|outbreak|grey ?list"
        ),
        "spam",
    ),
    (
        re.compile(
            r"attachment|content|dlp|session|access control|policy|verification|tls|rate control|auth fail|discard"
            r"|block|encrypt|quarantine control|delivery control|fragmented"
        ),
        "policy",
    ),
)
"""What a message was taken for, by a classifier or a category in lower case; the first that fits."""

_STATUSES: Final = (
    (re.compile(r"reject|delay|temporar|block"), "rejected"),
    (re.compile(r"discard|delete"), "discarded"),
    (re.compile(r"quarantine"), "quarantined"),
)


def fields(message: str) -> dict[str, str]:
    """The pairs of a record; see `fortimail` for keys that come twice."""
    found = [(key, double or single or bare) for key, double, single, bare in _PAIR.findall(message)]
    said = dict(found)
    return said if len(said) == len(found) else disentangled(found, _ZONES)


def classifier(word: str) -> str:
    """The name of a classifier that is logged as a word or as a hexadecimal number; an unknown number is as logged."""
    if word.lower().startswith("0x") and len(word) <= 6:
        try:
            return _CLASSIFIERS.get(int(word, 16), word)
        except ValueError:
            return word
    return word


@lru_cache(maxsize=4_096)
def status_of(disposition: str) -> str:
    """What becomes of a recipient by the dispositions of a history record, several separated by semicolons."""
    words = disposition.lower()
    return next((status for pattern, status in _STATUSES if pattern.search(words)), "accepted")


@lru_cache(maxsize=4_096)
def verdict_of(scanner: str, status: str, virus: str) -> str | None:
    """What a message was taken for, by the scanner that decided; `virus` names one where one was found."""
    if virus:
        return "virus"
    words = scanner.lower()
    if not words or words == "undefined":
        return "clean" if status == "accepted" and words else None
    return next((verdict for pattern, verdict in _VERDICTS if pattern.search(words)), "unknown")
