"""The names of the fields in Mimecast's logs, and the words in them.

The files with bars and their JSON form have one set of names, API 2.0 another, the threat logs of the API a third, that
differs from one to the next. Several spellings are one field here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

NAMES: Final[Mapping[str, str]] = {
    spelling: name
    for name, spellings in {
        "time": "datetime timestamp eventTime date",
        "account": "acc accountId",
        "code": "aCode aggregateId",
        "message_id": "MsgId messageId msgid",
        "sender": "Sender senderEnvelope senderAddress sender fromUserEmailAddress",
        "header_from": "headerFrom senderHeader HeaderFrom",
        "sender_domain": "SenderDomain senderDomain",
        "recipient": "Rcpt recipients Recipient recipientAddress recipient userEmailAddress",
        "subject": "Subject subject",
        "client": "IP senderIp SourceIP sourceIp senderIpAddress sendingIp",
        "server": "destinationIp",
        "host": "Hostname",
        "direction": "Dir direction",
        "route": "Route route",
        "action": "Act action Action actionTriggered",
        "actions": "actions",
        "hold_reason": "Hld holdReason",
        "size": "MsgSize emailSize",
        "score": "SpamScore spamScore",
        "virus": "Virus virusFound",
        "reject_type": "RejType rejectionType",
        "reject_info": "RejInfo rejectionInfo",
        "reject_code": "RejCode rejectionCode",
        "error": "Err Error error deliveryErrors receiptErrors",
        "delivered": "Delivered delivered",
        "attempt": "Attempt deliveryAttempts",
        "answer": "ReceiptAck",
        "attachments": "AttNames attachments",
        "attachments_count": "AttCnt numberAttachments",
        "attachments_size": "AttSize totalSizeAttachments",
        "file_name": "fileName",
        "file_extension": "fileExt fileExtension",
        "file_mime": "fileMime fileType",
        "file_size": "Size fileSize",
        "md5": "md5",
        "sha1": "sha1",
        "sha256": "sha256 fileHash",
        "category": "urlCategory UrlCategory category",
        "url": "url URL",
        "scan_result": "scanResult scanResults ScanResultInfo result reason",
        "creation": "creationMethod",
        "definition": "Definition definition policy ttpDefinition",
        "hits": "Hits hits itemsDetected",
        "identifiers": "identifiers",
        "journal": "RcptActType RcptHdrType",
        "state": "threatState",
        "threat_type": "threatType",
    }.items()
    for spelling in spellings.split()
}
"""Our name of a field by each of Mimecast's spellings; of two spellings in a record the first that says something."""

KEYS: Final = NAMES.keys() | frozenset(
    "Snt Latency TlsVer Cphr UseTls SpamInfo SpamLimit SpamProcessingDetail MimecastIP CustomerIP SenderDomainInternal"
    " IPInternalName IPNewDomain IPReplyMismatch IPSimilarDomain IPThreadDict InternalName NewDomain ReplyMismatch"
    " SimilarInternalDomain SimilarCustomExternalDomain SimilarMimecastExternalDomain ThreatDictionary CustomName"
    " CustomThreatDictionary TaggedExternal TaggedMalicious credentialTheft Receipt".split()
)
"""Keys that the files with bars may have: those, and further ones that have no column."""

_TIMES: Final = frozenset(key for key, name in NAMES.items() if name == "time")
_WHO: Final = frozenset(
    key for key, name in NAMES.items() if name in ("account", "message_id", "recipient", "sender", "code")
)

_KINDS: Final[Mapping[str, str]] = {
    "receipt": "receipt",
    "process": "process",
    "delivery": "delivery",
    "journal": "journal",
    "jrnl": "journal",
    "av": "av",
    "antivirus": "av",
    "spam": "spam",
    "impersonation": "impersonation",
    "impersonation protect": "impersonation",
    "ttp_ip": "impersonation",
    "internal email protect": "internal",
    "iep": "internal",
    "url protect": "url",
    "url click": "url",
    "ttp_url": "url",
    "attachment protect": "attachment",
    "ttp_ap": "attachment",
    "entities": "entity",
}
_OTHER_KINDS: Final = frozenset({"mailflow", "attachments", "metadata"})

_ACTIONS: Final[Mapping[str, str]] = {
    "acc": "accepted",
    "accepted": "accepted",
    "rej": "rejected",
    "rejected": "rejected",
    "ign": "discarded",
    "bnc": "discarded",
    "del": "discarded",
    "hld": "held",
    "hold": "held",
    "sdbx": "held",
    "sbx": "held",
    "retry": "held",
}

_VERDICTS: Final = (
    (re.compile(r"phish|fraud|credential"), "phish"),
    (re.compile(r"virus|\bvir\b"), "virus"),
    (re.compile(r"malware|malicious|dangerous|compromised|\bzip\b|unscannable|sandbox"), "malware"),
    (re.compile(r"spoof|imperson|dmarc|untrustworthy|\bspf\b|dkim"), "spoof"),
    (re.compile(r"spam|\bspm\b|\brbl\b|reputation|greylist|botnet"), "spam"),
    (re.compile(r"bulk|newsletter|graymail"), "bulk"),
    (re.compile(r"polic|content|attachment|manual|blocked sender|\badc?\b|block|limit|hold"), "policy"),
)
"""Verdict by what a reason of Mimecast's has in it, in lower case; the first that fits."""


class _Values:
    """A record's values by our names, and what they tell of its kind."""

    def of(self, obj: Mapping[str, Any]) -> dict[str, Any]:
        """What a record says, by our names; null and empty text are nothing."""
        found: dict[str, Any] = {}
        for key, value in obj.items():
            name = NAMES.get(key)
            if name is not None and value is not None and value != "" and name not in found:
                found[name] = value
        return found

    def known(self, obj: Mapping[str, Any]) -> bool:
        """Whether an object has what every record has: a time, and an account, a message or people."""
        keys = obj.keys()
        return not _TIMES.isdisjoint(keys) and not _WHO.isdisjoint(keys)

    def kind(self, stated: str) -> str | None:
        """The kind of record that a word of Mimecast's means; None where it is none of ours."""
        return _KINDS.get(stated.lower())

    def other(self, obj: Mapping[str, Any]) -> bool:
        """Whether a record is about something else: administration, searches, what has no message of its own."""
        stated = obj.get("type")
        if isinstance(stated, str) and stated.lower() in _OTHER_KINDS:
            return True
        return bool({"auditType", "eventInfo", "searchText", "searchReason", "meta"} & obj.keys())

    def guessed(self, obj: Mapping[str, Any], values: Mapping[str, Any]) -> str | None:
        """The kind of a record that does not say it, by the fields that only this kind has."""
        kind = _signed(tuple(obj))
        if kind is not None:
            return kind
        if "Hits" in obj or "identifiers" in obj:
            return "impersonation"
        if "policy" in obj and "recipient" in values:
            return "dlp"
        if "action" in values and "recipient" in values:
            return "receipt"
        if {"sender_domain", "client", "recipient"} <= values.keys():
            return "spam"
        return None


_SIGNS: Final[tuple[tuple[str, Iterable[str]], ...]] = (
    ("delivery", ("Delivered", "Snt", "ReceiptAck", "deliveryAttempts")),
    ("journal", ("RcptActType", "RcptHdrType")),
    ("receipt", ("RejType", "rejectionType", "SpamLimit", "SpamProcessingDetail")),
    ("url", ("url", "urlCategory")),
    ("internal", ("URL", "ScanResultInfo", "UrlCategory")),
    ("av", ("Virus",)),
    ("attachment", ("fileName", "sha256", "fileHash")),
    ("process", ("AttNames", "AttCnt", "Hld", "holdReason")),
)
"""Kinds by their own fields, the surest first."""

_OF_SIGN: Final = {key: (rank, kind) for rank, (kind, has) in enumerate(_SIGNS) for key in has}


@lru_cache(maxsize=256)
def _signed(keys: tuple[str, ...]) -> str | None:
    """The kind of record that has these keys; records of one kind have mostly the same."""
    return min((_OF_SIGN[key] for key in keys if key in _OF_SIGN), default=(0, None))[1]


VALUES: Final = _Values()


def action_of(word: str | None) -> str | None:
    """Our word for what Mimecast did; None for a word that is not known."""
    return _ACTIONS.get(word.lower()) if word else None


def verdict_of(reason: str | None) -> str | None:
    """What the message was taken for, by the words of a reason or a threat; None where they do not tell."""
    if not reason:
        return None
    reason = reason.lower()
    return next((verdict for pattern, verdict in _VERDICTS if pattern.search(reason)), None)
