"""Codes of Windows' security log in words: normalisers write them into events, rules look for the word of a code.

Facts: [MS-ERREF] section 2.3 (NTSTATUS), RFC 4120 section 7.5.9 and Microsoft's "4768", "4769", "4771" (Kerberos result
codes), Microsoft's "4624" (logon types).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

NO_SUCH_USER: Final = 0xC0000064
KERBEROS_NO_SUCH_USER: Final = 0x6

NTSTATUS: Final[Mapping[int, str]] = {
    0xC000005E: "no logon servers available",
    0xC0000022: "access denied",
    0xC0000064: "no such user",
    0xC000006A: "wrong password",
    0xC000006C: "password policy not met",
    0xC000006D: "bad user name or password",
    0xC000006E: "account restriction",
    0xC000006F: "outside logon hours",
    0xC0000070: "not allowed from this workstation",
    0xC0000071: "password expired",
    0xC0000072: "account disabled",
    0xC000009A: "insufficient resources",
    0xC00000DC: "server in the wrong state",
    0xC00000DF: "no such domain",
    0xC0000133: "clocks too far apart",
    0xC000015B: "logon type not granted",
    0xC000018A: "no trust secret",
    0xC000018B: "no trust account",
    0xC000018C: "trusted domain failure",
    0xC000018D: "trusted relationship failure",
    0xC0000190: "trust failure",
    0xC0000192: "netlogon not started",
    0xC0000193: "account expired",
    0xC0000199: "workstation trust account used",
    0xC000019B: "duplicate domain name",
    0xC0000224: "password must change",
    0xC0000225: "not found (a fault of Windows, no risk)",
    0xC0000234: "account locked out",
    0xC00002EE: "an error occurred during logon",
    0xC0000371: "no local secret",
    0xC000035B: "channel binding failed",
    0xC0000388: "downgrade detected",
    0xC0000413: "authentication firewall",
    0xC000A102: "no access from this device",
}

KERBEROS: Final[Mapping[int, str]] = {
    0x1: "client entry expired",
    0x2: "server entry expired",
    0x3: "protocol version not supported",
    0x6: "no such user",
    0x7: "no such service",
    0x8: "duplicate principal",
    0x9: "no master key",
    0xA: "ticket not postdatable",
    0xB: "requested start later than end",
    0xC: "not allowed by policy or from this workstation",
    0xD: "option not accommodated",
    0xE: "encryption type not supported",
    0xF: "checksum type not supported",
    0x10: "pre-authentication type not supported",
    0x11: "transited type not supported",
    0x12: "account disabled, expired or locked out",
    0x13: "service account disabled",
    0x14: "ticket granting ticket revoked",
    0x15: "client not valid yet",
    0x16: "server not valid yet",
    0x17: "password expired",
    0x18: "wrong password",
    0x19: "pre-authentication required",
    0x1A: "server does not match ticket",
    0x1B: "user-to-user ticket required",
    0x1D: "service unavailable",
    0x1F: "integrity check failed",
    0x20: "ticket expired",
    0x21: "ticket not valid yet",
    0x22: "request is a replay",
    0x23: "ticket is not for us",
    0x24: "ticket and authenticator do not match",
    0x25: "clocks too far apart",
    0x26: "address does not match",
    0x28: "invalid message type",
    0x29: "message modified",
    0x2D: "no service key",
    0x3C: "generic error",
    0x3D: "field too long",
    0x3E: "client not trusted",
    0x3F: "server not trusted",
    0x40: "invalid signature",
    0x43: "no ticket granting ticket",
    0x44: "wrong realm",
}

REASONS: Final[Mapping[int, str]] = {**NTSTATUS, **KERBEROS}
"""`Status`, `SubStatus` and `FailureCode`, as `event_reason` has them."""

LOGON_TYPES: Final[Mapping[str, str]] = {
    "0": "system",
    "2": "interactive",
    "3": "network",
    "4": "batch",
    "5": "service",
    "7": "unlock",
    "8": "network_cleartext",
    "9": "new_credentials",
    "10": "remote_interactive",
    "11": "cached",
    "12": "cached_remote_interactive",
    "13": "cached_unlock",
}

MESSAGES: Final[Mapping[str, str]] = {
    "%%2305": "account expired",
    "%%2306": "netlogon not started",
    "%%2307": "account locked out",
    "%%2308": "logon type not granted",
    "%%2309": "password expired",
    "%%2310": "account disabled",
    "%%2311": "outside logon hours",
    "%%2312": "not allowed from this workstation",
    "%%2313": "bad user name or password",
    "%%2304": "an error occurred during logon",
}
"""Failure reasons that stand as a number of a message table."""

_SMART_CARD: Final = frozenset({"15", "16", "17"})


def number(text: str | None) -> int | None:
    """A code as logged, hexadecimal with `0x` or decimal, also as a signed one of 32 bits; None for none."""
    if text is None or len(text) > 20:
        return None
    try:
        value = int(text, 16) if text[:2] in ("0x", "0X") else int(text)
    except ValueError:
        return None
    return value + 2**32 if -(2**31) <= value < 0 else value


def in_words(code: int, table: Mapping[int, str]) -> str:
    """A code's meaning; its number where the table has none."""
    return table.get(code) or f"code {code:#x}"


def kerberos_method(pre_authentication: str | None) -> str:
    """Pre-authentication types 15 to 17 are a certificate (RFC 4556), 2 and the others a key made of a password."""
    return "kerberos-pkinit" if pre_authentication in _SMART_CARD else "kerberos"
