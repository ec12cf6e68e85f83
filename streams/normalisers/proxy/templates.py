"""Lines written by a format string of the site's own: a pattern made from it, for whole chunks and for odd lines.

A format string is signs and *codes*. A code's text reaches up to the next sign, so that what a client chose (a URL, a
header) cannot reach into the fields around it as long as the proxy escapes that sign, which all of them do by default.
Where one does not (a URL with a blank in Squid), the line is *odd*: it is tried again with one such code reaching as
far as the rest of the line allows; the last fitting end counts, so that a URL cannot forge what follows it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import polars as pl

from streams.normalisers.proxy.chunks import FITS, Form, no_text
from streams.normalisers.proxy.columns import mapped

NUMBER = r"[0-9.\-]+"
QUOTED = r'(?:[^"\\]|\\.)*'
_META = re.compile(r"[\\.+*?()|\[\]{}^$#&\-~]")


@dataclass(frozen=True, slots=True)
class Code:
    """A place in a line.

    Attributes:
        label: As written in the format, for messages.
        column: Where it stands there, from 1.
        capture: Name of its capture; empty: passed over.
        pattern: What it can be, without groups; empty: anything up to the next sign.
        free: Whether it may hold the next sign after all.
        padded: Whether blanks may stand before it (`l`) or behind it (`r`).
        decode: Undoes the escaping of its text; None: nothing to undo.
    """

    label: str
    column: int
    capture: str = ""
    pattern: str = ""
    free: bool = False
    padded: str = ""
    decode: Callable[[str], str | None] | None = None


class SideBySideError(ValueError):
    """Two codes without a sign between them: nobody can tell where the one ends."""

    def __init__(self, first: Code, second: Code) -> None:
        super().__init__(f"{first.label} and {second.label} stand side by side at column {second.column}")
        self.second = second


class Template:
    """A format string, understood. Calling it is the `chunks.Form` of the lines that are not odd.

    Args:
        parts: Signs and codes, in their order.
        trailing: Whether further fields may stand behind, after a blank.

    Raises:
        SideBySideError: two codes have no sign between them.
    """

    def __init__(self, parts: Sequence[str | Code], *, trailing: bool = False) -> None:
        self.parts = _joined(parts)
        self.codes = [part for part in self.parts if isinstance(part, Code)]
        self.captures = tuple(code.capture for code in self.codes if code.capture)
        self._end = r"(?: .*)?" if trailing else r" *"
        self._fast = self._whole(None, self._end)
        self._decoded = [code for code in self.codes if code.capture and code.decode]

    def __call__(self, texts: pl.Series) -> pl.DataFrame:
        """See `chunks.Form`."""
        return self._taken(texts, self._fast)

    def odd_forms(self) -> list[Form]:
        """Forms of lines in which one free code, the URL first, holds the sign behind it."""
        free = sorted((code for code in self.codes if code.free), key=lambda code: code.capture != "url")
        ends = (r" *", self._end) if self._end != r" *" else (r" *",)
        patterns = [self._whole(code, end) for code in free for end in ends]
        return [partial(self._taken, pattern=pattern) for pattern in patterns]

    def _taken(self, texts: pl.Series, pattern: str) -> pl.DataFrame:
        captures = texts.str.extract_groups(pattern).struct.unnest()
        captures = captures.with_columns(pl.any_horizontal(pl.all().is_not_null()).alias(FITS))
        for code in self._decoded:
            given = captures[code.capture]
            coded = given.str.contains(r"[\\%\"]").fill_null(value=False)
            if coded.any() and code.decode is not None:
                plain = mapped(given.zip_with(coded, no_text(1)), code.decode)
                captures = captures.with_columns(given.zip_with(~coded, plain))
        return captures

    def _whole(self, wide: Code | None, end: str) -> str:
        """A pattern of whole lines, for the `regex` engine, whose time is linear whatever the pattern.

        Args:
            wide: A code whose text may hold anything.
            end: Pattern of what stands behind the last part.
        """
        whole, seen = "(?s)^", set[str]()
        for index, part in enumerate(self.parts):
            if isinstance(part, str):
                whole += escaped(part)
                continue
            behind = self.parts[index + 1] if index + 1 < len(self.parts) else ""
            before = self.parts[index - 1] if index else ""
            inner = ".+" if part is wide else part.pattern or _up_to(before, behind)
            named = part.capture and part.capture not in seen
            seen.add(part.capture)
            inner = f"(?P<{part.capture}>{inner})" if named else f"(?:{inner})"
            whole += (" *" if "l" in part.padded else "") + inner + (" *" if "r" in part.padded else "")
        return f"{whole}{end}$"


def escaped(text: str) -> str:
    """A text as a pattern that finds it, in both engines."""
    return _META.sub(r"\\\g<0>", text)


def _up_to(before: str | Code, behind: str | Code) -> str:
    """What a text can be between two signs."""
    sign = behind[:1] if isinstance(behind, str) else ""
    if not sign:
        return ".*"
    if sign == '"' and isinstance(before, str) and before.endswith('"'):
        return QUOTED
    return f"[^{escaped(sign)}]*" if sign != " " else "[^ ]+"


def _joined(parts: Sequence[str | Code]) -> tuple[str | Code, ...]:
    """Neighbouring signs put together; no two codes side by side."""
    joined: list[str | Code] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(part, str):
            if isinstance(last, str):
                joined[-1] = last + part
            elif part:
                joined.append(part)
        elif isinstance(last, Code):
            raise SideBySideError(last, part)
        else:
            joined.append(part)
    return tuple(joined)
