"""Encoded words of a header (RFC 2047), `=?utf-8?q?Re:_x?=`, as the text that they stand for."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error, a2b_qp
from typing import Final

_WORD: Final = re.compile(r"=\?([A-Za-z0-9._+-]{1,40})(?:\*[A-Za-z0-9-]{1,20})?\?([bBqQ])\?([^?\s]*)\?=")
_BETWEEN: Final = re.compile(r"(\?=)\s+(?==\?[A-Za-z0-9._+*-]{1,61}\?[bBqQ]\?)")
# Of what Python can decode some is slow (idna, punycode) or none of mail's (unicode_escape).
_CHARSET: Final = re.compile(
    r"utf-?8|(?:us-)?ascii|iso-?8859-\d{1,2}|windows-\d{3,4}|cp\d{3,4}|koi8-[rtu]|macintosh|tis-620|gb2312|gbk|gb18030|big5"
    r"|big5-hkscs|euc-(?:jp|kr)|ks_c_5601-1987|shift_jis|iso-2022-(?:jp|kr)"
)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")  # no part of a header's text


def decoded(text: str) -> str:
    """A header's text with its encoded words read; one that cannot be read stays as it is.

    Blanks between two encoded words are none of the text (RFC 2047, 6.2). Neighbours in one character set and encoding
    are put together before they are read: some programmes part them within a character.
    """
    if "=?" not in text:
        return text
    whole = _BETWEEN.sub(r"\1", text)
    parts: list[str] = []
    end, waiting, written, charset = 0, b"", "", ""
    for found in _WORD.finditer(whole):
        octets = _octets(found[2], found[3])
        if waiting and (octets is None or found.start() != end or found[1].lower() != charset):
            parts.append(_read(waiting, charset, written))
            waiting, written = b"", ""
        parts.append(whole[end : found.start()])
        end = found.end()
        if octets is None:
            parts.append(found[0])
            continue
        waiting, written, charset = waiting + octets, written + found[0], found[1].lower()
    if waiting:
        parts.append(_read(waiting, charset, written))
    return "".join((*parts, whole[end:]))


def _octets(encoding: str, said: str) -> bytes | None:
    if encoding in "qQ":
        return a2b_qp(said.encode("utf-8", "backslashreplace"), header=True)
    try:
        return b64decode(said + "=" * (-len(said) % 4), validate=True)
    except (Error, ValueError):
        return None


def _read(octets: bytes, charset: str, written: str) -> str:
    if not _CHARSET.fullmatch(charset):
        return written
    try:
        return _CONTROL.sub(" ", octets.decode(charset, "replace"))
    except LookupError:
        return written
