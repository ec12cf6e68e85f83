"""Is a message an answer? By its subject, in the words of mail programmes; shared by the engine and by SQL."""

from __future__ import annotations

from typing import Final

ANSWER: Final = (
    "(?i)^"
    # What a gateway or a mailing list puts in front: [EXTERNAL], {Spam?}, (ext), **External**, EXTERNAL:
    r"(?:[\s\x{A0}]|\[[^\[\]]{0,80}\]|\{[^{}]{0,80}\}|\*{1,3}[^*]{0,80}\*{1,3}"
    r"|\((?:external|extern|ext)\)|(?:external|extern|ext)[\s\x{A0}]*[:-])*"
    # Most languages; German, Dutch, Scandinavian, Finnish, Polish, Portuguese, French, Italian, Hungarian, Turkish,
    # Greek and Chinese. Forwards (Fwd, WG, TR, RV, VL, ENC, PD) are none.
    "(?:re|aw|antw|antwort|sv|vs|odp|res|resp|rép|rif|vá|ynt|απ|回复|回覆|答复|答覆)"
    r"(?:[\s\x{A0}]*(?:\[[0-9]{1,4}\]|\([0-9]{1,4}\)|\^[0-9]{1,4}))?[\s\x{A0}]*[:\x{FF1A}]"
)
"""Pattern of the subject of an answer, in what Rust's `regex` and RE2 have in common. `Re[2]:` is the second one.

A forward is none, whatever it forwards: it goes to others than the thread. Anybody may write such a subject.
"""

FEW_OUTSIDE: Final = 10
"""An answer that reaches so many outside is a mailing all the same."""
