"""Cisco Umbrella's and Secure Access' web (proxy) log to proxy events: the CSV files that they put into a bucket.

The columns stand in one order to which each version of the log appended some (1 to 13); rows of any version are read
alike, with or without the optional line that names the columns. DNS, firewall, IPS, audit, IP and DLP rows are
ignored.

`event_action` is `denied` where the action is BLOCKED, else `allowed` (so WARN and ISOLATE, which go on).
`event_outcome` is `failure` for what was denied and for status 400 and above, `success` below, `unknown` without a
status. Of what was denied the category is the blocked one. Times are UTC.

Facts: Cisco Umbrella, "Log Formats and Versioning", "Web Log Formats", "DNS Log Formats", "Cloud Firewall Log Formats".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from streams.normalisers.lines import Unreadable
from streams.normalisers.moments import zoned
from streams.normalisers.proxy.appliance import RAW, RawFacts
from streams.normalisers.proxy.facts import URL_FIELDS
from streams.normalisers.proxy.reasons_logs import LogIgnored
from streams.normalisers.proxy.values import column
from streams.normalisers.proxy.w3c_rows import quoted_cells
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.records import Fact, Head, Read, RecordNormaliser

ACTIONS: Final = ("allowed", "denied")

ORDER: Final = (
    "timestamp policy_identity internal_ip external_ip destination_ip content_type action url referer user_agent "
    "status_code request_size response_size response_body_size sha256 categories av_detections puas "
    "amp_disposition amp_malware amp_score policy_identity_type blocked_categories identities identity_types "
    "request_method dlp_status certificate_errors file_name ruleset_id rule_id destination_list_ids "
    "isolate_action file_action warn_status forwarding_method producer msp_organization_id blocked_countries "
    "application_ids hostname data_center egress server_name time_based_rule security_overridden "
    "detected_file_type warn_categories organization_id application_entity_name application_entity_category"
).split()
"""The web log's columns."""

_NAMES = {  # the optional first line's, in lower case without signs, where they differ
    "policy identity label": "policy_identity", "most granular identity": "policy_identity",
    "internal client ip": "internal_ip", "internal ip": "internal_ip", "external client ip": "external_ip",
    "external ip": "external_ip", "verdict": "action", "action type": "action", "referrer": "referer",
    "useragent": "user_agent", "sha": "sha256", "sha—sha256": "sha256", "amp malware name": "amp_malware",
    "policy identity type": "policy_identity_type", "identity type": "policy_identity_type", "filename": "file_name",
    "all identities": "identities", "all identity types": "identity_types", "statuscode": "status_code",
    "requestsize": "request_size", "responsesize": "response_size", "responsebodysize": "response_body_size",
    "request size bytes": "request_size", "response size bytes": "response_size", "http method": "request_method",
}  # fmt: skip
_WORD = re.compile(r"[^a-z0-9— ]")
_WHEN = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d", re.ASCII)
_WEB_ACTION = re.compile(r"(?i)allowed|blocked|warn|isolat|proxied|coached|observed")
_MAIL = re.compile(r"\(([^()\s@]{1,128}@[^()\s@]{1,253})\)\s*\Z")
_USERS = ("user",)  # AD Users, SWG Users, Google Users …
_DEVICES = ("computer", "roaming", "device", "anyconnect")


class UmbrellaNormaliser(RawFacts, RecordNormaliser):
    """Rows of the web log; the newest line that names the columns counts, and is saved with the position."""

    type_name = "umbrella"
    DATASET = "umbrella.proxy"
    fields = (
        *("timestamp", "event_dataset", "event_action", "event_outcome", "event_reason", "observer_hostname"),
        *("process_name", "process_pid", "source_ip", "user_name", "user_domain", "http_request_method", *URL_FIELDS),
        *("http_response_status_code", "http_response_bytes", "http_request_bytes", "http_response_mime_type"),
        *("http_request_referrer", "user_agent_original", "destination_ip", "proxy_category", "host_name"),
        *("application_name", "proxy_policy", "proxy_threat", "file_name", "file_hash", "proxy_result"),
    )
    COLUMNS = (
        column("source_ip", "internal_ip external_ip", "ip"),
        column("user_name", "own_user", "user"),
        column("host_name", "own_device"),
        column("http_request_method", "request_method"),
        column("http_response_status_code", "status_code", "status"),
        column("http_response_bytes", "response_size", "count"),
        column("http_request_bytes", "request_size", "count"),
        column("http_response_mime_type", "content_type"),
        column("http_request_referrer", "referer"),
        column("user_agent_original", "user_agent"),
        column("destination_ip", "destination_ip", "ip"),
        column("proxy_category", "own_category"),
        column("application_name", "application_entity_name"),
        column("proxy_policy", "rule_id ruleset_id"),
        column("proxy_threat", "amp_malware av_detections puas"),
        column("file_name", "file_name"),
        column("file_hash", "sha256", "hash"),
        column("proxy_result", "action"),
        column("event_reason", "warn_status certificate_errors"),
    )

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self._order: Sequence[str] = ORDER

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        message = head.message.removeprefix("\ufeff")
        if "," not in message:
            return Ignored.OTHER_PROGRAM if head.program else Unreadable(Refused.UNKNOWN_FORM, "no row of a table")
        row = quoted_cells(message)
        if row is None:
            return Unreadable(Refused.BROKEN_PAYLOAD, "a quote is not closed")
        if row[0].strip().lower() in ("timestamp", "date", "time"):
            self._order = [_named(name) for name in row]
            return Ignored.HEADER
        values = dict(zip(self._order, row, strict=False))
        if not _WHEN.match(values.get("timestamp", "")):
            return _foreign(head, row)
        if not _is_web(values):
            return LogIgnored.UMBRELLA_OTHER if len(row) > 5 else Unreadable(Refused.UNKNOWN_FORM, f"{len(row)} values")
        return self._fact(values)

    def _fact(self, values: dict[str, str]) -> Fact | Unreadable:
        micros = zoned(f"{values['timestamp'][:19].replace(' ', 'T')}Z")
        if micros is None:
            return Unreadable(Refused.BAD_TIME, f"no such time: {values['timestamp']}"[:100])
        denied = values["action"].lower().startswith("block")
        values["own_category"] = (values.get("blocked_categories") if denied else "") or values.get("categories", "")
        get = values.get
        user, device = _identities(
            get("identities", ""),
            get("identity_types", ""),
            get("policy_identity", ""),
            get("policy_identity_type", ""),
        )
        values["own_user"], values["own_device"] = user, device
        action, url = "denied" if denied else "allowed", values.get("url") or None
        return self.kept({"timestamp": micros, "event_action": action, "url_original": url, RAW: values})

    def remember(self) -> dict[str, Any]:
        """The columns."""
        return {"order": list(self._order)}

    def recall(self, saved: Mapping[str, Any]) -> None:
        """See `RecordNormaliser.recall`."""
        order = saved.get("order", list(ORDER))
        if not isinstance(order, list) or not all(isinstance(name, str) for name in order):
            raise ValueError(f"names of columns are {order!r:.80}")
        self._order = order


def _named(name: str) -> str:
    said = _WORD.sub(" ", name.strip().lower())
    said = " ".join(said.split())
    return _NAMES.get(said, said.replace(" ", "_"))


def _is_web(values: Mapping[str, str]) -> bool:
    action, url = values.get("action", ""), values.get("url", "")
    return bool(_WEB_ACTION.match(action)) and ("://" in url or not url) and "status_code" in values


@lru_cache(maxsize=16_384)
def _identities(names: str, types: str, label: str, kind: str) -> tuple[str, str]:
    """The user and the device among those that a request is of; of a user the mail address behind the name, if any.

    Args:
        names: All identities, separated by commas.
        types: Their types.
        label: The identity that the policy was chosen by.
        kind: Its type.
    """
    same = names.count(",") == types.count(",")
    pairs = [*(zip(names.split(","), types.split(","), strict=True) if same else ()), (label, kind)]
    user = next((name for name, own in pairs if own.strip().lower().rstrip("s").endswith(_USERS)), "").strip()
    device = next((name for name, own in pairs if any(word in own.lower() for word in _DEVICES)), "").strip()
    if not user and not kind and not types and "@" in label:
        user = label
    mail = _MAIL.search(user)
    return (mail[1] if mail else user), device


def _foreign(head: Head, row: Sequence[str]) -> Read:
    """A row that has no time in front."""
    if head.program is not None:
        return Ignored.OTHER_PROGRAM
    if any(_WHEN.match(value) for value in row[1:4]):
        return LogIgnored.UMBRELLA_OTHER  # the audit log has an id in front
    return Unreadable(Refused.UNKNOWN_FORM, "no row of the web log")
