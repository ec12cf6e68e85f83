"""FreeRADIUS' linelog module to login events: lines whose form the administrator wrote.

Read are the forms of the module's own configuration file (2.1 to 3.2: `Accepted user: …`, `Rejected user: …`,
`Connect: […] (did … cli … port … ip …)`, `Disconnect: … N seconds`), forms that many sites use, and those of the option
`formats`: the strings of the configuration (`%S %{reply:Packet-Type} user=%{User-Name} …`), one or a list of them.

- `login`: Access-Accept, Access-Reject. `login_step`: Access-Request, Access-Challenge.
- `session_start`, `session_end`, `session_update`: Acct-Status-Type Start, Stop, Interim-Update.

What a line is, its `%{Packet-Type}` or `%{Acct-Status-Type}` says, else the words of its format (accept, reject,
connect …). The time is what `%t`, `%S`, `%l`, `%T` or `%{Event-Timestamp}` stands for, else that of the syslog header.
F-Ticks lines (eduroam) are read too; they name a realm and no user.
A user's name may be anything; every other value ends where the format's next sign begins.

Facts: `rlm_linelog`, `mods-available/linelog` and the one-character expansions in `xlat.c` of FreeRADIUS 2.1 to 3.2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from schemas.errors import ConfigError
from schemas.kinds import EventKind
from streams.normalisers import addresses, moments
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.lines import Unreadable
from streams.normalisers.login.network_fields import is_mac_name, method, radius, reason, stated, user, whole
from streams.normalisers.login.nps_codes import end_reason
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.records import Fact, Head, Read, RecordNormaliser

ACTIONS: Final = ("login", "login_step", "session_start", "session_end", "session_update")

_STATIONS = (
    "[%{User-Name}] (did %{Called-Station-Id} cli %{Calling-Station-Id} port %{NAS-Port} ip %{Framed-IP-Address})"
)
_PLACE = "mac=%{Calling-Station-Id} ap=%{Called-Station-Id} nas=%{NAS-IP-Address}"
_FATE = "vlan=%{reply:Tunnel-Private-Group-Id} session=%{Acct-Session-Id} reason=%{Module-Failure-Message}"
_PORT = "port %{NAS-Port} cli %{Calling-Station-Id}"

DEFAULT_FORMATS: Final = (
    "Accepted user: [%{User-Name}] (cli %{Calling-Station-Id} port %{NAS-Port})",
    "Rejected user: [%{User-Name}] (cli %{Calling-Station-Id} port %{NAS-Port})",
    "Accepted user: %{User-Name}",
    "Rejected user: %{User-Name}",
    "Sent challenge: %{User-Name}",
    "Requested access: %{User-Name}",
    "Rejected access: %{User-Name}",
    f"Connect: {_STATIONS}",
    f"Disconnect: {_STATIONS} %{{Acct-Session-Time}} seconds",
    "%S %{reply:Packet-Type} user=%{User-Name} cli=%{Calling-Station-Id} nas=%{NAS-IP-Address}",
    f"%t : %{{reply:Packet-Type}}: [%{{User-Name}}] (from client %{{Client-Shortname}} {_PORT})",
    f"%S %{{reply:Packet-Type}} user=%{{User-Name}} {_PLACE} {_FATE}",
    "%t %{Acct-Status-Type} %{User-Name} %{Calling-Station-Id} %{Called-Station-Id} %{Framed-IP-Address}",
)
"""Forms that are read without any option; the first that fits counts."""

MAX_FORMATS = 50

_TOKEN = re.compile(r"%\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}|%([A-Za-z%])|\\([nt\"'\\])")
_NAME = re.compile(
    r"(?:%\{)*&?(?:(?:request|reply|control|outer\.request|session-state|proxy-request):)?&?([\w.\-]{1,64})"
)
_TIMES: Final[Mapping[str, str]] = {
    "t": r"[A-Z][a-z]{2} [A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d:\d\d \d{4}",
    "S": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d",
    "T": r"\d{4}-\d\d-\d\d-\d\d\.\d\d\.\d\d\.\d{6}",
    "l": r"\d{9,11}",
}
_WORDS: Final = (
    ("disconnect", "stop"), ("connect", "start"), ("accept", "access-accept"), ("login ok", "access-accept"),
    ("reject", "access-reject"), ("incorrect", "access-reject"), ("challenge", "access-challenge"),
    ("request", "access-request"),
)  # fmt: skip
_KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "access-accept": ("login", "success"),
    "access-reject": ("login", "failure"),
    "access-challenge": ("login_step", "unknown"),
    "access-request": ("login_step", "unknown"),
    "start": ("session_start", "unknown"),
    "stop": ("session_end", "unknown"),
    "interim-update": ("session_update", "unknown"),
    "alive": ("session_update", "unknown"),
}


class Format(NamedTuple):
    """A format, ready to be matched.

    Attributes:
        pattern: Matches a whole message.
        names: What its groups are, in their order: attributes in lower case, or `%t` and the like.
        kind: What the format's own words say; None where a value says it.
    """

    pattern: re.Pattern[str]
    names: tuple[str, ...]
    kind: str | None


def compiled(text: str) -> Format:
    """A format string of the configuration as a pattern.

    Raises:
        ValueError: neither a value nor a word of it says what a line is, or it names no user.
    """
    parts: list[str] = []
    names: list[str] = []
    literal, at = "", 0
    tokens = list(_TOKEN.finditer(text))
    for number, token in enumerate(tokens):
        between = text[at : token.start()]
        literal += between
        parts.append(re.escape(between))
        at = token.end()
        if token[3] is not None:
            parts.append(re.escape({"n": "", "t": "\t"}.get(token[3], token[3])))
        elif token[2] == "%":
            parts.append("%")
        elif token[2] is not None and token[2] in _TIMES:
            parts.append(f"({_TIMES[token[2]]})")
            names.append(f"%{token[2]}")
        else:
            follow = text[at : tokens[number + 1].start()] if number + 1 < len(tokens) else text[at:]
            name = _named(token[1] or "")
            parts.append(r"(.{0,253})" if name == "user-name" else rf"([^{re.escape(follow[:1] or chr(10))}]{{0,253}})")
            names.append(name)
    literal += text[at:]
    parts.append(re.escape(text[at:]))
    kind = None if {"packet-type", "acct-status-type"} & set(names) else _of_words(literal)
    if "user-name" not in names:
        raise ValueError("the format has no %{User-Name}")
    return Format(re.compile("".join(parts) + r"\s*\Z", re.DOTALL), tuple(names), kind)


def _named(inner: str) -> str:
    """The attribute that an expansion begins with, without its list: `%{%{reply:User-Name}:-none}` is `user-name`."""
    found = _NAME.match(inner)
    name = found[1].lower() if found is not None else ""
    return "user-name" if name in ("stripped-user-name", "eap-identity") else name


def _of_words(literal: str) -> str:
    lower = literal.lower()
    for word, kind in _WORDS:
        if word in lower:
            return kind
    raise ValueError(
        "neither %{Packet-Type}, %{Acct-Status-Type} nor a word such as accept or reject says what a line is"
    )


def _ticks(message: str) -> Read:
    """A line of F-Ticks, as eduroam's servers write it: without the user's name, so that the realm alone is known."""
    said = {key.lower(): text for part in message.split("#")[1:] for key, _, text in [part.partition("=")] if text}
    result = said.get("result", "").upper()
    if result not in ("OK", "FAIL"):
        return Unreadable(Refused.BAD_FIELD, "an F-Ticks line without a result")
    fact: Fact = {"event_action": "login", "event_outcome": "success" if result == "OK" else "failure"}
    fact["service_name"] = "radius"
    fact["user_domain"] = stated(said.get("realm"))
    fact["source_mac"] = addresses.mac(said.get("csi", ""))
    fact["access_point"] = stated(said.get("visinst"))
    seconds = said.get("timestamp")
    if seconds is not None:
        when = moments.since_1970(seconds)
        if when is None:
            return Unreadable(Refused.BAD_TIME, f"no such time: {seconds[:20]}")
        fact["timestamp"] = when
    return fact


class FreeradiusLinelogNormaliser(RecordNormaliser):
    """Lines of linelog files, or of linelog through syslog."""

    kind = EventKind.LOGIN
    type_name = "freeradius_linelog"
    DATASET = "freeradius_linelog"
    fields = (
        "timestamp", "event_dataset", "event_action", "event_outcome", "event_reason", "observer_hostname",
        "process_name", "process_pid", "user_name", "user_domain", "source_ip", "source_mac", "login_method",
        "service_name", "session_id", "session_seconds", "access_point", "network_ssid", "nas_ip", "nas_port",
        "assigned_ip", "network_vlan",
    )  # fmt: skip

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        given = settings.options.get("formats", ())
        own = [given] if isinstance(given, str) else list(given) if isinstance(given, Sequence) else [given]
        if len(own) > MAX_FORMATS or not all(isinstance(text, str) for text in own):
            raise ConfigError(
                f"formats must be at most {MAX_FORMATS} strings",
                where="options.formats",
                hint="as in mods-enabled/linelog",
            )
        self._formats: list[Format] = []
        for text in (*own, *DEFAULT_FORMATS):
            try:
                self._formats.append(compiled(text))
            except (ValueError, re.error) as error:
                raise ConfigError(
                    f"format {text!r}: {error}", where="options.formats", hint="see the type's page"
                ) from error
        self._timed = [form for form in self._formats if form.names[0][:1] == "%"]

    def _head(self, text: str) -> Head:
        """A line that begins with its own time is no syslog line, even where it looks like one."""
        if any(form.pattern.match(text) is not None for form in self._timed):
            return Head("", None, None, None, text)
        return super()._head(text)

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        program = head.program
        if program is not None and "radius" not in program.lower():
            return Ignored.OTHER_PROGRAM
        if head.message.startswith("F-TICKS/"):
            return _ticks(head.message)
        for form in self._formats:
            found = form.pattern.match(head.message)
            if found is not None:
                said = {n: text for n, value in zip(form.names, found.groups(), strict=True) if (text := stated(value))}
                return self._fact(form, said)
        if " just " in head.message or head.message.startswith(("NAS ", "Unknown packet type")):
            return Ignored.RADIUS_SERVER
        return Unreadable(Refused.UNKNOWN_FORM, "a line of none of the formats")

    def _fact(self, form: Format, said: Mapping[str, str]) -> Read:
        kind = form.kind or (said.get("packet-type") or said.get("acct-status-type") or "").lower()
        known = _KINDS.get(kind)
        if known is None:
            return Ignored.RADIUS_OTHER
        fact: Fact = {"event_action": known[0], "event_outcome": known[1], "service_name": "radius"}
        stamp = next((said[name] for name in ("%t", "%S", "%T", "%l", "event-timestamp") if name in said), None)
        if stamp is not None:
            when = self._time(stamp)
            if when is None:
                return Unreadable(Refused.BAD_TIME, f"no such time: {stamp[:40]}")
            fact["timestamp"] = when
        name = said.get("user-name")
        user(fact, name)
        radius(fact, said)
        if "client-shortname" in said:
            fact.setdefault("access_point", said["client-shortname"])
        eap = said.get("eap-type")
        fact["login_method"] = method(f"eap-{eap}") if eap else "mab" if is_mac_name(name) else None
        fact["session_seconds"] = whole(said.get("acct-session-time"))
        if known[0] == "session_end":
            fact["event_reason"] = end_reason(said.get("acct-terminate-cause"))
        elif known[1] == "failure":
            fact["event_reason"] = reason(said.get("module-failure-message") or said.get("reply-message"))
        return fact

    def _time(self, stamp: str) -> int | None:
        if stamp.isdigit():
            return moments.since_1970(stamp)
        if stamp[10:11] == "-":  # %T
            stamp = f"{stamp[:10]} {stamp[11:19].replace('.', ':')}{stamp[19:]}"
        return self.clock.micros(stamp) or moments.zoned(stamp)
