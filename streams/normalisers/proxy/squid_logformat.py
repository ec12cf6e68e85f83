"""Squid's `logformat` directive: a site's own format of the access log, read from squid.conf syntax.

A code is `% [encoding] [-] [[0]width[.precision]] [{argument}] name [{argument}]`. Facts: `logformat` in Squid's
squid.conf documentation, and the tables of names in its `src/format/Token.cc` (Squid 2.7 to 7), looked up in Squid's
order: of several that fit, names of three and more letters, then of two, then of one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from urllib.parse import unquote

from schemas.errors import ConfigError
from streams.normalisers.proxy.format_times import TimeCodes
from streams.normalisers.proxy.strftimes import written
from streams.normalisers.proxy.templates import NUMBER, Code, SideBySideError, Template

BUILT_IN: Final = {
    "squid": "%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt",
    "common": '%>a %[ui %[un [%tl] "%rm %ru HTTP/%rv" %>Hs %<st %Ss:%Sh',
    "combined": '%>a %[ui %[un [%tl] "%rm %ru HTTP/%rv" %>Hs %<st "%{Referer}>h" "%{User-Agent}>h" %Ss:%Sh',
    "referrer": "%ts.%03tu %>a %{Referer}>h %ru",
    "useragent": '%>a [%tl] "%{User-Agent}>h"',
}
_WHERE = "options.logformat"
_HINT = "see the logformat directive in Squid's documentation"
_TIME = "%d/%b/%Y:%H:%M:%S %z"

_LONG = {
    "byte": "", ">eui": "mac", ">qos": "", "<qos": "", ">nfmark": "", "<nfmark": "", ">handshake": "",
    "err_code": "event_reason", "err_detail": "", "request_attempts": "", "note": "note", "credentials": "",
    "master_xaction": "", "busy_time": "", "ACL": "", "DATA": "", "DST": "u_domain", "EXT_LOG": "", "EXT_TAG": "",
    "EXT_USER": "user_external", "LOGIN": "user_login", "METHOD": "method", "MYADDR": "", "MYPORT": "",
    "PATH": "u_path", "PORT": "u_port", "PROTO": "u_scheme", "SRCEUI48": "mac", "SRCEUI64": "",
    "SRCPORT": "client_port", "SRC": "client", "TAG": "", "URI": "url_client", "USER_CERTCHAIN": "", "USER_CERT": "",
}  # fmt: skip
_TWO = {
    ">la": "", "la": "", ">lp": "", "lp": "", "<la": "", "oa": "", "<lp": "", "ts": "ts", "tu": "tu", "tl": "tl",
    "tg": "tl", "tS": "tS", "tr": "milliseconds", "<pt": "", "<tt": "", "dt": "", ">ha": ">h", "un": "user",
    "ul": "user_login", "ue": "user_external", "ui": "", "us": "", "Hs": "status", ">Hs": "status", "<Hs": "",
    "<bs": "", "Ss": "result", "Sh": "hierarchy", "mt": "mime", ">rm": "method", "<rm": "", ">ru": "url_client",
    "<ru": "", ">rs": "u_scheme", ">rd": "u_domain", ">rP": "u_port", ">rp": "u_path", "<rs": "",
    ">rv": "version_number", "<rd": "", "<rP": "", "<rp": "", "<rv": "", "rm": "method", "ru": "url", "rp": "u_path",
    "rv": "version_number", ">st": "request_bytes", ">sh": "", "<st": "bytes", "<sH": "", "<sS": "", "<sh": "",
    "st": "", "et": "", "ea": "", "sn": "",
}  # fmt: skip
_ONE = {
    ">a": "client", ">p": "client_port", ">A": "client_name", "<a": "peer", "<p": "peer_port", "<A": "peer_name",
    ">h": ">h", "<h": "<h", ">v": "version_number",
}  # fmt: skip
_NAMESPACES = {
    "icap": "tt|<last_h|<A|<service_name|ru|rm|>st|<st|<bs|>h|<h|tr|tio|to|Hs",
    "adapt": "all_trs|sum_trs|<last_h",
    "tls": (
        "bump_mode|>cert_subject|>cert_issuer|>sni|<cert_subject|<cert_issuer|<cert_errors|<cert|>negotiated_version|"
        "<negotiated_version|>negotiated_cipher|<negotiated_cipher|>received_hello_version|<received_hello_version|"
        ">received_supported_version|<received_supported_version"
    ),
    "proxy_protocol": ">h",
    "transport": ">connection_id",
}
_NAMESPACES["ssl"] = _NAMESPACES["tls"]
_HEADERS = {">h:user-agent": "agent", ">h:referer": "referrer", "<h:content-type": "mime"}
_PATTERNS = {
    **dict.fromkeys(("client_port", "peer_port", "u_port", "bytes", "request_bytes", "milliseconds"), NUMBER),
    **dict.fromkeys(("result", "hierarchy", "event_reason"), "(?:[A-Z][A-Z0-9_]*|-)"),
    "decimal_milliseconds": NUMBER, "status": "(?:[0-9]{1,3}|-)", "method": r"[A-Za-z0-9_\-]+",
}  # fmt: skip
_FREE = frozenset({"url", "url_client", "u_path", "user", "user_login", "user_external", "agent", "referrer", "mime"})
_SECRET = re.compile(r"credentials|authorization|cookie", re.IGNORECASE)
_START = re.compile(r"%(?P<encoding>[\"'\[#/]?)(?P<left>-?)(?P<zero>0?)(?P<width>[0-9]*)(?:\.(?P<precision>[0-9]+))?")
_ARGUMENT = re.compile(r"\{([^}]*)\}")
_ESCAPES = {"r": "\r", "n": "\n", "t": "\t"}
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(slots=True)
class SquidFormat:
    """A format, understood.

    Attributes:
        template: Reads its lines.
        times: Which captures tell the time.
        secret: Whether lines hold passwords or cookies without their names.
    """

    template: Template
    times: TimeCodes
    secret: bool


class _Said(NamedTuple):
    """A code as written: `label` at `column`, and what it is made of."""

    label: str
    column: int
    capture: str
    argument: str | None
    precision: int
    encoding: str
    padded: str


@dataclass(slots=True)
class _Parser:
    text: str
    at: int = 0
    parts: list[str | Code] = field(default_factory=list)
    times: TimeCodes = field(default_factory=TimeCodes)
    context: str = ""  # the sign that literal text has opened: a quote or a bracket

    def error(self, what: str, column: int) -> ConfigError:
        return ConfigError(f"{what} at column {column + 1} of the logformat", where=_WHERE, hint=_HINT)

    def run(self) -> SquidFormat:
        while self.at < len(self.text):
            if self.text[self.at] == "%":
                self._code()
            else:
                self._sign(self.text[self.at])
                self.at += 1
        self._check_time()
        try:
            template = Template(self.parts)
        except SideBySideError as error:
            raise ConfigError(f"{error} of the logformat", where=_WHERE, hint="put a sign between them") from error
        secret = any(_SECRET.search(code.label) for code in template.codes)
        return SquidFormat(template, self.times, secret=secret)

    def _check_time(self) -> None:
        if self.times.seconds == "t_start":
            self.times.fraction = None  # it has its own
        if self.times and not self.times.complete:
            raise ConfigError("the logformat's time lacks its date or its time of day", where=_WHERE, hint=_HINT)
        if not self.times:
            raise ConfigError("the logformat has no time", where=_WHERE, hint="add %ts.%03tu, or %tl in brackets")

    def _sign(self, sign: str) -> None:
        if sign == '"' and self.context in ("", '"'):
            self.context = "" if self.context else '"'
        elif (sign == "[" and not self.context) or (sign == "]" and self.context == "["):
            self.context = "[" if sign == "[" else ""
        self.parts.append(sign)

    def _code(self) -> None:
        start = self.at
        how = _START.match(self.text, start)
        assert how is not None
        at = how.end()
        argument, at = self._argument(at, start)
        name, capture, at = self._name(at, start)
        if argument is None:
            argument, at = self._argument(at, start)
        label = self.text[start:at]
        self.at = at
        if name == "%":
            self._sign("%")
            return
        if name == "byte":
            self._byte(argument, start)
            return
        encoding = how["encoding"] or self.context
        padded = "" if how["zero"] or not how["width"] else ("r" if how["left"] else "l")
        said = _Said(label, start + 1, capture, argument, int(how["precision"] or 0), encoding, padded)
        if capture in ("ts", "tu", "tS", "tl"):
            self.parts.append(self._time(said))
        else:
            self.parts.append(self._made(said))

    def _argument(self, at: int, start: int) -> tuple[str | None, int]:
        if self.text[at : at + 1] != "{":
            return None, at
        found = _ARGUMENT.match(self.text, at)
        if found is None:
            raise self.error(f"the argument of {self.text[start : at + 1]!r} has no closing brace", at)
        return found[1], found.end()

    def _name(self, at: int, start: int) -> tuple[str, str, int]:
        """Name of the code, the capture that it is for, and where it ends."""
        text = self.text
        if text[at : at + 1] == "%":
            return "%", "", at + 1
        for space, names in _NAMESPACES.items():
            if text.startswith(f"{space}::", at):
                inner = at + len(space) + 2
                for name in names.split("|"):
                    if text.startswith(name, inner):
                        return f"{space}::{name}", "sni" if name == ">sni" else "", inner + len(name)
        at += 6 if text.startswith("http::", at) else 0
        for table in (_LONG, _TWO, _ONE):
            for name, capture in table.items():
                if text.startswith(name, at):
                    return name, capture, at + len(name)
        shown = re.match(r"%[^\s\"\[\]]{0,20}", text[start:])
        raise self.error(f"{shown[0] if shown else '%'!r} is no format code of Squid", start)

    def _byte(self, argument: str | None, start: int) -> None:
        if argument is None or not re.fullmatch(r"[1-9][0-9]{0,2}", argument) or int(argument) > 255:
            raise self.error("%byte needs a number from 1 to 255 in braces", start)
        if argument in ("10", "13"):
            raise self.error("a record of several lines cannot be read: a line break", start)
        self.parts.append(chr(int(argument)))

    def _made(self, said: _Said) -> Code:
        capture, argument = said.capture, said.argument
        if capture in (">h", "<h"):
            if argument == "":
                raise self.error(f"{said.label!r} names no header", said.column - 1)
            capture = _HEADERS.get(f"{capture}:{(argument or '').lower()}", "")
        elif capture == "note":
            capture = "proxy_category" if (argument or "").lower() in ("category", "categories") else ""
        elif capture == "milliseconds" and said.precision:
            capture = "decimal_milliseconds"
        pattern = _PATTERNS.get(capture, "")
        if capture in ("client", "peer") and self.text[self.at : self.at + 1] == ":":
            pattern = r"[0-9A-Fa-f.:\-]+"  # an IPv6 address has that sign itself
        if said.encoding == "/" and not pattern:
            pattern = r'(?:"(?:[^"\\]|\\.)*"|[^ ]*)'
        decode = _decoder(capture, said.encoding)
        return Code(said.label, said.column, capture, pattern, free=capture in _FREE, padded=said.padded, decode=decode)

    def _time(self, said: _Said) -> Code:
        label, column, padded = said.label, said.column, said.padded
        if said.capture == "ts":
            self.times.seconds = "t_seconds"
            return Code(label, column, "t_seconds", "[0-9]{1,11}", padded=padded)
        if said.capture == "tS":
            self.times.seconds = self.times.seconds or "t_start"
            return Code(label, column, "t_start", r"[0-9]{1,11}(?:\.[0-9]{1,9})?", padded=padded)
        if said.capture == "tu":
            self.times.fraction = ("t_fraction", said.precision or 3)
            return Code(label, column, "t_fraction", "[0-9]{1,9}", padded=padded)
        try:
            how = written(said.argument or _TIME)
        except ValueError as error:
            directive, index = error.args
            place = column + label.find("{") + index
            raise self.error(f"{directive!r} in {label!r} tells no time", place) from error
        name = f"t_text{len(self.times.texts)}"
        self.times.texts[name] = how
        return Code(label, column, name, how.pattern, padded=padded)


def _decoder(capture: str, encoding: str) -> Callable[[str], str | None] | None:
    if encoding in ('"', "/"):
        return _unquoted
    if capture in ("agent", "mime") and encoding in ("", "#", "["):
        return lambda text: unquote(text, errors="backslashreplace")
    return None


def _unquoted(text: str) -> str:
    inner = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    return _ESCAPED.sub(lambda match: _ESCAPES.get(match[1], match[1]), inner)


def squid_format(option: object) -> SquidFormat:
    """What the option `logformat` says: a built-in name, a format, or a whole line of squid.conf.

    Raises:
        ConfigError: it names what is wrong, and at which column of the format.
    """
    if not isinstance(option, str) or not option.strip():
        raise ConfigError("logformat is not a text", where=_WHERE, hint="give a format, or squid, common, combined …")
    text = re.sub(r"\\\r?\n\s*", "", option).strip()
    line = re.match(r"logformat\s+\S+\s+", text)
    text = text[line.end() :] if line else text
    if "%" not in text and text not in BUILT_IN:
        raise ConfigError(
            f"there is no built-in logformat {text[:40]!r}", where=_WHERE, hint=f"known are: {', '.join(BUILT_IN)}"
        )
    return _Parser(BUILT_IN.get(text, text)).run()
