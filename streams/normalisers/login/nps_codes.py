"""Codes of Network Policy Server in words.

Facts: Microsoft's "NPS Reason Codes" (0 to 37, 38 to 257, 258 to 282, 283 to 303), "Interpret NPS Database Format Log
Files" (authentication types), RFC 2866 section 5.10 and RFC 3580 section 3.20 (Acct-Terminate-Cause).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from streams.normalisers.login.network_fields import whole

NO_SUCH_USER: Final = 8

REASONS: Final[Mapping[int, str]] = {
    1: "internal error of the server",
    2: "not enough access rights",
    3: "malformed request",
    4: "global catalog unavailable",
    5: "domain controller unavailable",
    6: "server unavailable",
    7: "no such domain",
    8: "no such user",
    9: "discarded by an extension",
    10: "an extension failed",
    16: "wrong user name or password",
    17: "password change failed",
    18: "authentication type not supported",
    19: "no reversibly encrypted password",
    20: "LAN Manager authentication not enabled",
    21: "rejected by an extension",
    22: "EAP type cannot be processed",
    23: "error in the EAP exchange",
    32: "local users only",
    33: "password must change",
    34: "account disabled",
    35: "account expired",
    36: "account locked out",
    37: "outside logon hours",
    38: "account restriction",
    48: "no network policy matched",
    49: "no connection request policy matched",
    64: "remote access locked out",
    65: "network access permission denied",
    66: "authentication method not allowed by the policy",
    67: "calling station not allowed",
    68: "outside the hours of the policy",
    69: "called station not allowed",
    70: "port type not allowed",
    71: "restriction of the policy",
    72: "password may not be changed",
    73: "certificate not for client authentication",
    80: "no record in the log",
    96: "session timed out",
    97: "unexpected request",
    112: "rejected by the remote server",
    113: "no such group of remote servers",
    115: "neither a connection nor an accounting request",
    116: "request could not be forwarded",
    117: "no answer of the remote server",
    118: "malformed answer of the remote server",
    256: "certificate revoked",
    257: "revocation cannot be checked (library missing)",
    258: "revocation cannot be checked",
    259: "revocation server offline",
    260: "message altered",
    261: "no directory or account database",
    262: "message incomplete",
    263: "credentials incomplete",
    264: "clocks too far apart",
    265: "certificate of an untrusted authority",
    266: "message unexpected or badly formed",
    267: "certificate not for client authentication",
    268: "certificate expired",
    269: "no common algorithm",
    270: "smart card required",
    271: "server was shutting down",
    272: "certificate maps to several accounts",
    273: "trust provider unknown",
    274: "trust provider does not support the action",
    275: "trust provider does not support the form",
    276: "EAP program not trusted",
    277: "EAP program not signed",
    278: "certificate expired",
    279: "validity periods in the chain do not match",
    280: "certificate not of a valid authority",
    281: "certificate chain too long",
    282: "unknown critical extension in the certificate",
    283: "certificate not for client authentication",
    284: "certificate and its issuer do not match",
    285: "certificate missing or malformed",
    286: "certificate of an untrusted authority",
    287: "certificate of an untrusted authority",
    288: "unspecified trust failure",
    289: "certificate revoked",
    290: "test certificate not trusted",
    291: "revocation cannot be checked",
    292: "user name is not that of the certificate",
    293: "certificate not for client authentication",
    294: "certificate marked as untrusted",
    295: "certificate of an untrusted authority",
    296: "certificate not for client authentication",
    297: "certificate without a valid name",
    298: "user name is not that of the certificate",
    299: "verification out of sequence",
    300: "certificate malformed",
    301: "cryptobinding not valid",
    302: "cryptobinding missing",
}
"""Reason codes, put shortly; zero says nothing."""

AUTHENTICATION: Final[Mapping[str, str]] = {
    "1": "pap",
    "2": "chap",
    "3": "ms-chap",
    "4": "ms-chap-v2",
    "5": "eap",
    "7": "none",
    "8": "custom",
    "9": "ms-chap-cpw",
    "10": "ms-chap-v2-cpw",
    "11": "peap",
}
"""Authentication-Type; 9 and 10 change a password."""

ENDS: Final[Mapping[int, str]] = {
    1: "user request", 2: "lost carrier", 3: "lost service", 4: "idle timeout", 5: "session timeout", 6: "admin reset",
    7: "admin reboot", 8: "port error", 9: "nas error", 10: "nas request", 11: "nas reboot", 12: "port unneeded",
    13: "port preempted", 14: "port suspended", 15: "service unavailable", 16: "callback", 17: "user error",
    18: "host request", 19: "supplicant restart", 20: "reauthentication failure", 21: "port reinit",
    22: "port disabled",
}  # fmt: skip
"""Acct-Terminate-Cause."""


def end_reason(text: str | None) -> str | None:
    """Acct-Terminate-Cause in words, from its number or its name."""
    if text is None:
        return None
    code = whole(text, 99)
    return text.lower().replace("-", " ") if code is None else ENDS.get(code, f"cause {code}")
