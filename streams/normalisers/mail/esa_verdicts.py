"""What a Cisco ESA's engines took a message for.

Facts: Cisco "User Guide for AsyncOS", chapters on anti-spam, graymail, anti-virus, file reputation, outbreak filters
and data loss prevention, and their lines in the text mail logs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from streams.normalisers.mail import esa_lines as lines

WORST: Final[Mapping[str, int]] = {
    "clean": 1,
    "unknown": 2,
    "bulk": 3,
    "policy": 4,
    "spam": 5,
    "spoof": 6,
    "phish": 7,
    "malware": 8,
    "virus": 9,
}
"""How bad a verdict is: of those of several engines the worst counts."""

_OUTBREAK: Final = {"phish": "phish", "scam": "phish", "virus": "virus", "malware": "malware"}


def verdict_of(rest: str) -> tuple[str | None, str | None]:
    """Verdict and threat of what follows `MID n` in an engine's line; None where it says none."""
    engine = lines.ENGINE.match(rest)
    if engine is not None:
        return _engine(engine[1], engine[2].lower()), None
    interim = lines.INTERIM_AV.match(rest)
    if interim is not None:
        return {"CLEAN": "clean", "VIRAL": "virus"}.get(interim[2].upper(), "unknown"), None
    virus = lines.ANTIVIRUS.match(rest)
    if virus is not None:
        word = {"negative": "clean", "positive": "virus", "repaired": "virus"}.get(virus[1], "unknown")
        return word, virus[2]
    amp = lines.AMP.match(rest)
    if amp is not None:
        return {"CLEAN": "clean", "MALICIOUS": "malware"}.get(amp[1].upper()), None
    return _further(rest)


def _engine(name: str, word: str) -> str | None:
    if name == "GRAYMAIL":
        return "bulk" if word.startswith("positive") else None
    if word.startswith(("spam positive", "positive", "spam suspect", "suspect")):
        return "spam"
    if word.startswith(("bulk", "marketing", "social")):
        return "bulk"
    return "clean" if word.startswith(("spam negative", "negative")) else None


def _further(rest: str) -> tuple[str | None, str | None]:
    level = lines.THREAT_LEVEL.match(rest)
    if level is not None:
        return _OUTBREAK.get(level[1].lower(), "malware"), level[2]
    outbreak = lines.OUTBREAK.match(rest)
    if outbreak is not None:
        return ("malware" if outbreak[1].lower() == "positive" else "clean"), None
    if rest.startswith("DLP violation"):
        return "policy", None
    if "verdict:VIRAL" in rest or "a/v verdict" in rest:
        return "virus", None
    return None, None
