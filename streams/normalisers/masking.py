"""Secrets that logs hold by accident, masked before anything leaves the collector.

Masked are, in text for fields and in bytes for dead letters:

- the user information of a URL (`scheme://user:password@host`, and `user:password@host` as the target of CONNECT);
- values of query, fragment and path parameters that carry credentials by their name, also where the URL is itself a
  percent-encoded parameter;
- the values of Authorization, Proxy-Authorization, Cookie and Set-Cookie headers, plain or percent-encoded;
- a password typed as user name (`looks_like_password`), where the account does not exist, in dead letters wherever a
  field of a record is called a user's name;
- what FreeRADIUS writes behind the user name with `auth_badpass` or `auth_goodpass`.

Every pattern runs in time linear in the length of the line: repeats are over one character class or bounded.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

MASK = "(masked)"

_NAMES = (
    "pass|passwd|password|passphrase|passcode|pwd|secret|client_secret|token|apikey|api_key|api-key|access_key|"
    "session|sessionid|session_id|session-id|sid|jsessionid|phpsessid|sessid|sig|signature|auth|authorization|"
    "credential|credentials|assertion|samlresponse|samlrequest|otp|ticket|jwt"
)
_PREFIX = r"[\w.\-\[\]$]{0,40}?[_.\-\[]"  # user_password, X-Amz-Signature, login[password]
_COMPOUND = r"[\w.\-]{0,40}?(?:password|passwd|token|secret|sessionid|apikey)"
_VALUE = r"((?:[^&;#%\s\"'<>]|%[013-9a-fA-F]|%2[0-57-9a-fA-F]|%(?![0-9a-fA-F]))+)"
_VALUE_ALONE = r"((?:[^&;#%]|%[013-9a-fA-F]|%2[0-57-9a-fA-F]|%(?![0-9a-fA-F]))+)"
_PARAMETER = (
    rf"((?:^|[?&;#,\s\"'{{(]|%3[fF]|%26|%23|%3[bB])(?:(?:{_PREFIX})?(?:{_NAMES})\]?|{_COMPOUND})(?:=|%3[dD]))"
    rf"{_VALUE}"
)
_USERINFO = r"(://)[^\s/?#\"'<>]{1,1024}@"
_CONNECT = r"(CONNECT )[^\s/?#@\"'<>]{1,512}:[^\s/?#\"'<>]{1,512}@"
_HEADER = (
    r"((?:proxy-)?authorization|(?:set-)?cookie2?)(%3[aA]|:)"
    r"((?:[^%\\\"\]\r\n]|%(?!0[dDaA])|\\(?![rn]))+)"
)
_TYPED_NAME = r"((?:invalid|illegal|unknown) user |nonexistent user '|FOR '?)([^\s',]+)"
_NAME_FIELD = (  # of a record: XML, JSON, pairs, texts of Windows, RADIUS attributes, Cisco's angle brackets
    r"((?:(?:Target|Subject)UserName|[Uu]ser[\-_]?[Nn]ame|\bduser|\busrName)(?:\\?\"|')?(?:>| ?[=:] ?)(?:\\?\"|')?"
    r"|Account Name:\s{1,16}|\bUser <|: user = )([^\s<>\"',|]{6,})"
)
_RADIUS = (
    r"((?:Login OK|Login incorrect|Invalid user|Rejected in post-auth|Multiple logins)[^\[]{0,512}"
    r"(?:\[MPP attempt\])?: \[(?:host/[^\]/\s]{1,256}|[^\]/\s]{0,256})/)(?!<)(?:(?!\] \(from client ).)+"
)

_TEXT = [
    (re.compile(_USERINFO, re.ASCII), rf"\1{MASK}@"),
    (re.compile(_CONNECT, re.ASCII), rf"\1{MASK}@"),
    (re.compile(_HEADER, re.ASCII | re.IGNORECASE), rf"\1\2{MASK}"),
    (re.compile(_PARAMETER, re.ASCII | re.IGNORECASE), rf"\1{MASK}"),
]
_BYTES = [(re.compile(p.pattern.encode(), p.flags & ~re.UNICODE), r.encode()) for p, r in _TEXT]
_TYPED_NAME_BYTES = re.compile(_TYPED_NAME.encode())
_NAME_FIELD_BYTES = re.compile(_NAME_FIELD.encode())
_RADIUS_BYTES = re.compile(_RADIUS.encode(), re.DOTALL)

TRIGGERS = (
    r"(?i)@|pass|pwd|secret|token|api.?key|access_key|sess|sid(?:=|%3d|])|sig|auth|credential|assertion|saml|otp|ticket"
    r"|jwt|cookie"
)
"""For the `regex` engine of Polars: what no masked text lacks. A text that it does not find needs no masking."""

_SIGNS = frozenset('!#%^&*=<>?~|{}[];"`')
_NAME_LIKE = re.compile(r"[A-Z]{0,3}[a-z]*[A-Z]?[a-z]*[0-9]{0,6}\Z", re.ASCII)
_DOMAIN_LIKE = re.compile(r"[A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)+\Z", re.ASCII)
_REALM_LIKE = re.compile(r"[A-Za-z\-_]+\Z", re.ASCII)
_MIN_PASSWORD = 6
_LONG_TOKEN = 24
_LONGEST_NAME = 256  # bytes: no account's name is longer


def mask_text(text: str) -> str:
    """The text with credentials in URLs, parameters and headers replaced by `(masked)`."""
    userinfo, connect, header, parameter = _TEXT
    if "@" in text:
        text = userinfo[0].sub(userinfo[1], text)
        text = connect[0].sub(connect[1], text)
    lower = text.lower()
    if "authorization" in lower or "cookie" in lower:
        text = header[0].sub(header[1], text)
    if "=" not in text and "%3" not in text:
        return text
    return parameter[0].sub(parameter[1], text)


def mask_bytes(line: bytes) -> tuple[bytes, bool]:
    """The line with every known secret pattern masked, and whether there was one."""
    userinfo, connect, header, parameter = _BYTES
    masked = line
    if b"@" in line:
        masked = userinfo[0].sub(userinfo[1], masked)
        masked = connect[0].sub(connect[1], masked)
    lower = line.lower()
    if b"authorization" in lower or b"cookie" in lower:
        masked = header[0].sub(header[1], masked)
    if b"=" in line or b"%3" in line:
        masked = parameter[0].sub(parameter[1], masked)
    if b": [" in line:
        masked = _RADIUS_BYTES.sub(rb"\1" + MASK.encode(), masked)
    if b"user " in line or b"FOR " in line:
        masked = _TYPED_NAME_BYTES.sub(_typed_name, masked)
    masked = _NAME_FIELD_BYTES.sub(_typed_name, masked)
    return masked, masked != line


class Masker:
    """`mask_text` and `mask_bytes`, and the values of a source's own list of URL parameters as well.

    Args:
        parameters: Names as they stand in URLs, in any case (`NormaliserSettings.mask_parameters`).
    """

    def __init__(self, parameters: Collection[str] = ()) -> None:
        self.triggers = TRIGGERS  # for the `regex` engine of Polars: what no masked text lacks
        self._own: re.Pattern[str] | None = None
        if parameters:
            names = "|".join(sorted(re.escape(name) for name in parameters))
            start = rf"((?:^|[?&;#,\s\"'{{(]|%3[fF]|%26|%23|%3[bB])(?:{names})(?:=|%3[dD]))"
            # Where a URL ends in a line, its quote or blank says; in a field the URL is all there is.
            self._own = re.compile(f"{start}{_VALUE_ALONE}", re.ASCII | re.IGNORECASE)
            self._own_bytes = re.compile(f"{start}{_VALUE}".encode(), re.IGNORECASE)
            self.triggers = f"{TRIGGERS}|{names}"

    def text(self, text: str) -> str:
        """See `mask_text`."""
        masked = mask_text(text)
        return masked if self._own is None else self._own.sub(rf"\1{MASK}", masked)

    def line(self, line: bytes) -> tuple[bytes, bool]:
        """See `mask_bytes`."""
        masked, changed = mask_bytes(line)
        if self._own is None:
            return masked, changed
        own = self._own_bytes.sub(rb"\1" + MASK.encode(), masked)
        return own, changed or own != masked


def _typed_name(match: re.Match[bytes]) -> bytes:
    if len(match[2]) > _LONGEST_NAME:
        return match[1] + MASK.encode()
    name = match[2].decode("utf-8", "backslashreplace")
    return match[1] + (MASK.encode() if looks_like_password(name) else match[2])


@lru_cache(maxsize=4096)
def looks_like_password(name: str) -> bool:
    """Whether a user name that no account has is rather a password.

    It is taken for one where it has at least six characters, among them a letter or digit, and

    - a sign that account names don't have (`!#%^&*=<>?~|{}[];"` or a back tick, or `$` that does not end the name), or
    - an `@` that no domain or realm follows (`P@ssw0rd`; `p@realm` with a one-letter user counts as such too), or
    - small and capital letters and digits mixed in another way than a name with a number behind it (`xK7pQ2w9`), or
    - 24 and more letters and digits mixed, without any separator.

    So `Winter2024` is kept, because `JSmith2024` looks the same: names of people who mistype must stay readable.
    Names with a blank are kept too, for what follows them may be an attempt to forge a line.
    """
    user, at, realm = name.rpartition("@")
    if at:
        if _DOMAIN_LIKE.match(realm) or (len(user) > 1 and _REALM_LIKE.match(realm)):
            return looks_like_password(user)
        return len(name) >= _MIN_PASSWORD and user != ""
    domain, backslash, user = name.partition("\\")
    if backslash and domain and user:
        return looks_like_password(user.removeprefix("\\"))  # doubled by programs that escape what they log
    if len(name) < _MIN_PASSWORD or " " in name or not any(c.isalnum() for c in name):
        return False
    if any(c in _SIGNS for c in name) or "$" in name[:-1]:
        return True
    if not (name.isascii() and name.isalnum()) or not any(c.isdigit() for c in name) or name.isdigit():
        return False
    if len(name) >= _LONG_TOKEN:
        return True
    mixed = any(c.isupper() for c in name) and any(c.islower() for c in name)
    return mixed and len(name) >= _MIN_PASSWORD + 2 and _NAME_LIKE.match(name) is None


def masked_user(name: str) -> str:
    """A name that no account has, or `(masked)` where it looks like a password."""
    return MASK if looks_like_password(name) else name
