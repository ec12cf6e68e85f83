r"""Format strings of web servers: Apache's `LogFormat` and nginx' `log_format`.

Facts: Apache's mod_log_config and mod_logio ("Custom Log Formats", "Modifiers"), nginx' ngx_http_log_module and its
"Alphabetical index of variables". Both escape quotes, backslashes and control characters in what clients send
(`\"`, `\x22`), so that a text ends at the next sign of the format.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from schemas.errors import ConfigError
from streams.normalisers.proxy.format_times import TimeCodes
from streams.normalisers.proxy.strftimes import written
from streams.normalisers.proxy.templates import NUMBER, Code, SideBySideError, Template

COMMON: Final = '%h %l %u %t "%r" %>s %b'
BUILT_IN: Final = {
    "common": COMMON,
    "combined": f'{COMMON} "%{{Referer}}i" "%{{User-Agent}}i"',
    "vhost_common": f"%v {COMMON}",
    "vhost_combined": f'%v:%p {COMMON} "%{{Referer}}i" "%{{User-Agent}}i"',
    "combinedio": f'{COMMON} "%{{Referer}}i" "%{{User-Agent}}i" %I %O',
    "referer": "%{Referer}i -> %U",
    "agent": "%{User-agent}i",
}
_WHERE = "options.log_format"
_CLF = "%d/%b/%Y:%H:%M:%S %z"

_APACHE = {
    "a": "client", "A": "", "B": "bytes", "b": "bytes", "D": "microseconds", "f": "", "h": "client_name",
    "H": "version", "k": "", "l": "", "L": "", "m": "method", "P": "", "q": "u_query", "r": "request", "R": "",
    "s": "status", "T": "seconds", "u": "user", "U": "u_path", "v": "vhost", "V": "vhost", "X": "",
    "I": "request_bytes", "O": "bytes_all", "S": "", "p": "vport", "e": "", "n": "", "C": "", "i": ">", "o": "<",
}  # fmt: skip
_NGINX = {
    "remote_addr": "client", "remote_port": "client_port", "remote_user": "user", "request": "request",
    "request_method": "method", "request_uri": "u_path", "uri": "u_path", "document_uri": "u_path", "args": "u_query",
    "query_string": "u_query", "scheme": "u_scheme", "host": "vhost", "http_host": "vhost", "server_name": "vhost",
    "server_port": "vport", "server_protocol": "version", "status": "status", "body_bytes_sent": "bytes",
    "bytes_sent": "bytes_all", "request_length": "request_bytes", "request_time": "seconds", "http_referer": "referrer",
    "http_user_agent": "agent", "sent_http_content_type": "mime", "http_x_forwarded_for": "forwarded",
    "upstream_addr": "upstream", "ssl_preread_server_name": "sni", "ssl_server_name": "sni", "realip_remote_addr": "",
    "http_x_real_ip": "", "proxy_host": "", "proxy_add_x_forwarded_for": "",
}  # fmt: skip
_HEADERS = {
    ">user-agent": "agent", ">referer": "referrer", ">host": "vhost", ">x-forwarded-for": "forwarded",
    "<content-type": "mime",
}  # fmt: skip
_PATTERNS = {
    **dict.fromkeys(("bytes", "bytes_all", "request_bytes", "microseconds", "milliseconds", "seconds"), NUMBER),
    **dict.fromkeys(("vport", "client_port"), NUMBER),
    "status": "(?:[0-9]{3}|-)",
    "client_name": "[0-9A-Za-z:][^ ]*",  # no dash: then it is an ident, and the client is the word before
}
_LIST = r"[^ ,\"]*(?:(?:, | : )[^ ,\"]+)*"  # nginx tried several servers
_FREE = frozenset({"request", "agent", "referrer", "user", "u_path", "u_query"})
_DECODED = frozenset({"agent", "referrer"})
_UNITS = {"sec": 1, "msec": 1_000, "usec": 1_000_000}
_FRACTIONS = {"msec_frac": 3, "usec_frac": 6}
_APACHE_CODE = re.compile(
    r"%(?P<on>!?[0-9]{3}(?:,[0-9]{3})*)?(?P<which>[<>]?)(?:\{(?P<argument>[^}]*)\})?(?P<name>\^?[A-Za-z%][A-Za-z]?)"
)
_NGINX_CODE = re.compile(r"\$(?:\{(?P<braced>\w+)\}|(?P<name>\w+))", re.ASCII)
_APACHE_LINE = re.compile(r'\s*LogFormat\s+"((?:[^"\\]|\\.)*)"(?:\s+\S+)?\s*\Z', re.DOTALL)
_NGINX_LINE = re.compile(r"\s*log_format\s+\S+\s+(?:escape=(?P<escape>\w+)\s+)?(?P<format>.*?);?\s*\Z", re.DOTALL)
_QUOTED_PART = re.compile(r"'([^']*)'|\"([^\"]*)\"|(\S+)")
_C_ESCAPED = re.compile(r"(?:\\x[0-9A-Fa-f]{2})+|\\(.)", re.DOTALL)
_C_SIGNS = {"n": "\n", "t": "\t", "r": "\r"}


class WebFormat(NamedTuple):
    """A format, understood: what reads its lines, which captures tell the time, and whose it is.

    `quick` reads lines whose request is a plain one, at once; None where the format has no request in quotes.
    """

    template: Template
    quick: Template | None
    times: TimeCodes
    dataset: str


@dataclass(slots=True)
class _Parts:
    """What a format string is made of, as it is read."""

    text: str
    made: list[str | Code] = field(default_factory=list)
    times: TimeCodes = field(default_factory=TimeCodes)

    def error(self, what: str, at: int) -> ConfigError:
        return ConfigError(f"{what} at column {at + 1} of the log format", where=_WHERE, hint="see the server's manual")

    def code(self, label: str, at: int, capture: str) -> None:
        decode = unescaped if capture in _DECODED else None
        pattern = _LIST if "upstream_" in label else _PATTERNS.get(capture, "")
        last = self.made[-1] if self.made else ""
        if isinstance(last, Code) and last.capture in ("u_path", "") and ("is_args" in label or capture == "u_query"):
            return  # the path's text goes on with a question mark
        if isinstance(last, Code) and last.capture == "vhost" and capture == "u_path":
            self.made[-1:] = [replace(last, pattern='[^/ "]*'), "/"]  # a path begins with that sign
            pattern = '[^ "]*'
        if capture in ("client", "client_name") and self.text[at + len(label) : at + len(label) + 1] == ":":
            pattern = r"[0-9A-Fa-f.:\[\]\-]+"  # an IPv6 address has that sign itself
        self.made.append(Code(label, at + 1, capture, pattern, free=capture in _FREE, decode=decode))

    def time(self, label: str, at: int, strftime: str) -> None:
        try:
            how = written(strftime)
        except ValueError as error:
            directive, index = error.args
            raise self.error(
                f"{directive!r} in {label!r} tells no time", at + max(label.find(directive), index)
            ) from error
        name = f"t_text{len(self.times.texts)}"
        self.times.texts[name] = how
        self.made.append(Code(label, at + 1, name, how.pattern))

    def finished(self, dataset: str, *, trailing: bool = False) -> WebFormat:
        if not self.times or not self.times.complete:
            raise ConfigError("the log format has no whole time", where=_WHERE, hint="add %t or [$time_local]")
        try:
            template = Template(self.made, trailing=trailing)
            quick = _with_plain_request(template, trailing=trailing)
            return WebFormat(template, quick, self.times, dataset)
        except SideBySideError as error:
            raise ConfigError(f"{error} of the log format", where=_WHERE, hint="put a sign between them") from error


def _with_plain_request(template: Template, *, trailing: bool) -> Template | None:
    """The template with method, URL and version in the place of the request."""
    parts: list[str | Code] = []
    for part in template.parts:
        if isinstance(part, Code) and part.capture == "request":
            place = replace(part, free=False)
            parts += [replace(place, capture="method", pattern=r"[A-Za-z][A-Za-z_\-]{0,31}"), " "]
            parts += [replace(place, capture="url", pattern=r"[^ \"\\]+"), " "]
            parts += [replace(place, capture="version", pattern=r"[A-Z]{1,8}/[0-9.]{1,5}")]
        else:
            parts.append(part)
    return Template(parts, trailing=trailing) if len(parts) > len(template.parts) else None


def web_format(option: object) -> WebFormat:
    """What the option `log_format` says: a name, a format, or a whole line of the server's configuration.

    Raises:
        ConfigError: it names what is wrong, and at which column of the format.
    """
    if not isinstance(option, str) or not option.strip():
        raise ConfigError("log_format is not a text", where=_WHERE, hint="give the server's own format string")
    apache, nginx = _APACHE_LINE.match(option), _NGINX_LINE.match(option)
    if apache is not None:
        return apache_format(_plain(apache[1]))
    if nginx is not None:
        return nginx_format("".join(a or b or c for a, b, c in _QUOTED_PART.findall(nginx["format"])))
    text = option.strip()
    if text in BUILT_IN:
        return apache_format(BUILT_IN[text])
    if "$" in text:
        return nginx_format(text)
    if "%" in text:
        return apache_format(_plain(text) if '\\"' in text else text)
    raise ConfigError(f"there is no log format {text[:40]!r}", where=_WHERE, hint=f"known are: {', '.join(BUILT_IN)}")


def apache_format(text: str, *, trailing: bool = False) -> WebFormat:
    """See `web_format`.

    Args:
        text: With quotes as they stand in the log.
        trailing: Whether further fields may stand behind.
    """
    parts, at = _Parts(text), 0
    while at < len(text):
        if text[at] != "%":
            parts.made.append(text[at])
            at += 1
            continue
        code = _APACHE_CODE.match(text, at)
        if code is None:
            raise parts.error(f"{text[at : at + 6]!r} is no code of Apache's LogFormat", at)
        at = _apache_code(parts, code, at)
    return parts.finished("apache.access", trailing=trailing)


def _apache_code(parts: _Parts, code: re.Match[str], at: int) -> int:
    """Take a code; where it ends."""
    name, argument = code["name"], code["argument"]
    if name.startswith("^"):
        if name not in ("^ti", "^to", "^FU", "^FB") and name[:2] != "^F":
            raise parts.error(f"{code[0]!r} is no code of Apache's LogFormat", at)
        parts.code(code[0], at, "")
        return code.end()
    letter = name[0]
    end = code.end() - len(name) + 1
    label = parts.text[at:end]
    if letter == "%":
        parts.made.append("%")
    elif letter == "t":
        _apache_time(parts, label, at, argument)
    elif letter not in _APACHE:
        raise parts.error(f"{label!r} is no code of Apache's LogFormat", at)
    else:
        capture = _APACHE[letter]
        if capture in (">", "<"):
            capture = _HEADERS.get(f"{capture}{(argument or '').lower()}", "")
        elif letter == "T" and argument in ("ms", "us"):
            capture = {"ms": "milliseconds", "us": "microseconds"}[argument]
        elif letter == "p" and argument == "remote":
            capture = "client_port"
        elif letter in "ah" and argument == "c":
            capture = ""  # the peer of the connection; the client is what mod_remoteip found
        parts.code(label, at, capture)
    return end


def _apache_time(parts: _Parts, label: str, at: int, argument: str | None) -> None:
    said = re.sub(r"^(?:begin|end):?", "", argument or "")
    if not said:
        parts.made.append("[")
        parts.time(label, at, _CLF)
        parts.made.append("]")
    elif said in _UNITS:
        parts.times.units[f"t_{said}"] = _UNITS[said]
        parts.made.append(Code(label, at + 1, f"t_{said}", "[0-9]{1,19}"))
    elif said in _FRACTIONS:
        parts.times.fraction = (f"t_{said}", _FRACTIONS[said])
        parts.made.append(Code(label, at + 1, f"t_{said}", "[0-9]{1,6}"))
    else:
        parts.time(label, at, said)


def nginx_format(text: str) -> WebFormat:
    """See `web_format`. Variables of the site's own are passed over."""
    parts, at = _Parts(text), 0
    for code in _NGINX_CODE.finditer(text):
        if code.start() > at:
            parts.made.append(text[at : code.start()])
        at = code.end()
        name, label, start = code["braced"] or code["name"], code[0], code.start()
        if name == "time_local":
            parts.time(label, start, _CLF)
        elif name == "time_iso8601":
            parts.time(label, start, "%Y-%m-%dT%H:%M:%S%z")
        elif name == "msec":
            parts.times.seconds = "t_seconds"
            parts.made.append(Code(label, start + 1, "t_seconds", r"[0-9]{1,11}\.[0-9]{1,9}"))
        else:
            parts.code(label, start, _NGINX.get(name, ""))
    parts.made.append(text[at:])
    return parts.finished("nginx.access")


def _plain(text: str) -> str:
    r"""A format as it stands between quotes in httpd.conf: `\"`, `\\`, `\n` and `\t` undone."""
    return re.sub(r"\\(.)", lambda match: _C_SIGNS.get(match[1], match[1]), text)


def unescaped(text: str) -> str:
    r"""A text as it was before a server escaped it as C does: `\"`, `\\`, `\n`, `\xc3\xbc`."""
    return _C_ESCAPED.sub(_unescape, text)


def _unescape(match: re.Match[str]) -> str:
    if match[1] is not None:
        return _C_SIGNS.get(match[1], match[1])
    return bytes.fromhex(match[0].replace("\\x", "")).decode("utf-8", "backslashreplace")
