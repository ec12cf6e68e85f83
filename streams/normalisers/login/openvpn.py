r"""OpenVPN to login events: the server's own log, the same through syslog, and OpenVPN Access Server.

One connection is one `login`, whatever it was checked by:

- `login`: `Peer Connection Initiated` `success`; `TLS Auth Error: … verification failed` `failure`. The latter names
  nobody; where the source also has lines of a plugin or script that do (`user 'x' could not authenticate`), those are
  the failures from then on, and it is `authentication`. Access Server's `AUTH_FAILED` and its records are `login`.
- `authentication`: `Username/Password authentication succeeded`, also at each renegotiation; a plugin's acceptance.
- `handshake_failed`: a certificate that is refused (`VERIFY ERROR`), a TLS handshake that fails or never ends.
- `session_start`: an address was given (`MULTI_sva: pool returned`). `session_end`: the client instance exits or
  restarts, with the signal's reason. `refused`: a name that changes within a session.

`user_name` is the name that was authenticated for the same address and port, else the certificate's common name.
`source_mac` and `user_agent_original` are what the client says of itself (`push-peer-info`: IV_HWADDR, IV_GUI_VER).
What is known of a connection is kept until its end, for `MAX_PEERS` connections.

Facts: ssl_verify.c, ssl.c, multi.c, sig.c and error.c of OpenVPN 2.3 to 2.6; pfSense's and OPNsense's scripts;
OpenVPN Access Server's `logdba` (JSON) and openvpnas.log.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from schemas.kinds import EventKind
from streams.normalisers import addresses, moments
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.json_records import decoded
from streams.normalisers.json_records import text as scalar
from streams.normalisers.lines import Unreadable
from streams.normalisers.login.network_fields import framed, reason, stated, user, whole
from streams.normalisers.login.reasons_network import NetworkIgnored
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.records import Fact, Head, Read, RecordNormaliser

ACTIONS: Final = (
    "login", "authentication", "refused", "handshake_failed", "session_start", "session_end",
)  # fmt: skip

MAX_PEERS = 2_000
"""Connections of which something is known; beyond it the one that was longest silent is forgotten."""

_OWN = re.compile(
    r"([A-Z][a-z]{2} [A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d:\d\d \d{4}|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[+-]\d{4}|Z)?)"
    r" (?:us=(\d{1,6}) )?(.*)\Z",
    re.DOTALL | re.ASCII,
)
_WRAPPED = re.compile(
    r"\[[\w\-]{1,20}#\w{1,10}\] (?:\[[^\]]{1,32}\] )?(?:OUT: )?[\"']?(.*?)[\"']?\s*\Z", re.DOTALL | re.ASCII
)
_PEER = re.compile(
    r"(?:(.{1,128}?)/)?(?:[\w\-]{2,12}:)?(?:\[AF_INET6?\])?\[?([0-9A-Fa-f.:]{2,45}?)\]?:(\d{1,5}) (?=\S)",
    re.DOTALL | re.ASCII,
)
_INITIATED = re.compile(r"\[(.{0,256})\] Peer Connection Initiated with \[", re.DOTALL)
_SUCCEEDED = re.compile(r"TLS: Username/Password authentication succeeded for username '(.{0,256})'", re.DOTALL)
_POOL = re.compile(
    r"MULTI_sva: pool returned IPv4=([0-9.]{7,15}|\(Not enabled\))(?:, IPv6=(\S{2,45}|\(Not enabled\)))?"
)
_SIGNAL = re.compile(
    r"SIG(?:TERM|USR1|HUP|INT)\[\w+,([\w\- ]{0,64})\] received, client-instance (?:exiting|restarting)"
)
_VERIFY = re.compile(
    r"VERIFY (?:ERROR|KU ERROR|EKU ERROR|X509NAME ERROR): (?:depth=\d{1,2}, )?(?:error=([^:]{1,128}))?:? ?(.{0,512})",
    re.DOTALL,
)
_COMMON_NAME = re.compile(r"(?:^|[,/ ])CN=([^,/]{1,128})")
_PLUGIN = re.compile(
    r"[Uu]ser '(.{0,256})' (authenticated|could not authenticate)\.?(?: using '.{0,128}')?\s*\Z", re.DOTALL
)
_PEER_INFO = re.compile(r"peer info: (IV_HWADDR|IV_GUI_VER)=\"?(.{1,200}?)\"?\s*\Z", re.DOTALL)
_CHANGED = re.compile(r"TLS Auth Error: username attempted to change from '(.{0,256}?)' to '", re.DOTALL)
_AS_AUTH = re.compile(r"(?:VPN )?(?:AUTH|Auth) (SUCCESS|FAILED|Failed)[ :]")
_AS_VALUE = re.compile(
    r"'(user|reason|client_addr|common_name|client_hw_addr|auth method)': u?'((?:[^'\\]|\\.){0,256})'"
)
_HANDSHAKE = ("TLS Error: TLS handshake failed", "TLS Error: TLS key negotiation failed", "OpenSSL: error:")
_PROGRAMS = re.compile(r"openvpn|ovpn", re.IGNORECASE)


class OpenvpnNormaliser(RecordNormaliser):
    """Lines of an OpenVPN server."""

    kind = EventKind.LOGIN
    type_name = "openvpn"
    DATASET = "openvpn"
    fields = (
        "timestamp", "event_dataset", "event_action", "event_outcome", "event_reason", "observer_hostname",
        "process_name", "process_pid", "user_name", "user_domain", "source_ip", "source_port", "source_mac",
        "login_method", "service_name", "session_id", "session_seconds", "application_name", "assigned_ip",
        "user_agent_original",
    )  # fmt: skip

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self._peers: OrderedDict[str, dict[str, str]] = OrderedDict()
        self._named_failures = False  # a plugin's lines that name who failed were seen

    def _head(self, text: str) -> Head:
        own = _OWN.match(text)
        if own is None:
            return super()._head(text)
        stamp, micros, rest = own.groups()
        wrapped = _WRAPPED.match(rest) if rest[:1] == "[" else None
        if wrapped is not None:
            inner = _OWN.match(wrapped[1])
            return Head(stamp, None, "openvpn", None, inner[3] if inner is not None else wrapped[1])
        if micros and stamp[4:5] == "-" and len(stamp) == 19:
            stamp = f"{stamp}.{micros.zfill(6)}"
        return Head(stamp, None, None, None, rest)

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        message = head.message
        if message.startswith(("{", "[{")):
            return self._record(message)
        if head.program is not None and _PROGRAMS.search(head.program) is None:
            return Ignored.OTHER_PROGRAM
        if not head.stamp:
            return Unreadable(Refused.NO_HEADER, "no time in the line")
        peer = _PEER.match(message)
        if peer is None:
            return self._without_peer(message)
        return self._of_peer(message[peer.end() :], peer)

    def _without_peer(self, message: str) -> Read:
        plugin = _PLUGIN.search(message)
        if plugin is not None:
            good = plugin[2] == "authenticated"
            self._named_failures = self._named_failures or not good
            fact = _fact("authentication" if good else "login", "success" if good else "failure")
            user(fact, stated(plugin[1]))
            return fact
        said = _AS_AUTH.search(message)
        if said is None:
            return NetworkIgnored.OPENVPN_OTHER
        values = dict(_AS_VALUE.findall(message))
        good = said[1] == "SUCCESS"
        fact = _fact("authentication" if good else "login", "success" if good else "failure")
        user(fact, stated(values.get("user") or values.get("common_name")))
        if "client_addr" in values:
            fact["source_ip"] = addresses.ip(values["client_addr"])
        if "client_hw_addr" in values:
            fact["source_mac"] = addresses.mac(values["client_hw_addr"])
        if not good:
            fact["event_reason"] = reason(values.get("reason"))
        return fact

    def _of_peer(self, text: str, peer: re.Match[str]) -> Read:
        key = f"{peer[2]}:{peer[3]}"
        info = _PEER_INFO.match(text) if text.startswith("peer info: ") else None
        if info is not None:
            self._know(key, info[1], info[2])
            return NetworkIgnored.OPENVPN_OTHER
        fact = self._said(text, key)
        if fact is None:
            return NetworkIgnored.OPENVPN_OTHER
        fact["source_ip"] = addresses.ip(peer[2]) or fact.get("source_ip")
        fact["source_port"] = addresses.port(peer[3]) or None
        if "user_name" not in fact:
            user(fact, stated(self._peers.get(key, {}).get("user") or peer[1]))
        return fact

    def _said(self, text: str, key: str) -> Fact | None:
        """What a line about a connection says."""
        found = _INITIATED.match(text)
        if found is not None:
            return self._begun(found[1], key)
        found = _SUCCEEDED.match(text)
        if found is not None:
            self._know(key, "user", found[1])
            fact = _fact("authentication", "success")
            user(fact, stated(found[1]))
            fact["login_method"] = "password"
            return fact
        if text.startswith("TLS Auth Error:"):
            return self._refused(text)
        found = _POOL.match(text)
        if found is not None:
            fact = _fact("session_start", "success")
            _give(fact, found[1], found[2])
            return fact
        found = _SIGNAL.match(text)
        if found is not None:
            fact = _fact("session_end", "unknown")
            user(fact, stated(self._peers.pop(key, {}).get("user")))
            fact["event_reason"] = found[1].replace("-", " ")
            return fact
        return _handshake(text)

    def _begun(self, name: str, key: str) -> Fact:
        known = self._peers.get(key, {})
        fact = _fact("login", "success")
        user(fact, stated(known.get("user") or name))
        fact["login_method"] = "password" if "user" in known else "certificate"
        fact["source_mac"] = addresses.mac(known.get("IV_HWADDR", ""))
        fact["user_agent_original"] = known.get("IV_GUI_VER")
        return fact

    def _refused(self, text: str) -> Fact:
        changed = _CHANGED.match(text)
        if changed is not None:
            fact = _fact("refused", "failure")
            user(fact, stated(changed[1]))
            fact["event_reason"] = "name changed within a session"
            return fact
        fact = _fact("authentication" if self._named_failures else "login", "failure")
        fact["event_reason"] = reason(text.partition(": ")[2])
        fact["login_method"] = "password"
        return fact

    def _know(self, key: str, name: str, value: str) -> None:
        known = self._peers.pop(key, {})
        known[name] = value
        self._peers[key] = known
        if len(self._peers) > MAX_PEERS:
            self._peers.popitem(last=False)

    def _record(self, message: str) -> Read:
        """A session as Access Server's `logdba --json` tells it, one object or a list of them."""
        try:
            value = decoded(message)
        except ValueError as error:
            return Unreadable(Refused.BROKEN_PAYLOAD, f"no JSON: {error}"[:200])
        facts: list[Fact] = []
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict) and ("real_ip" in one or "username" in one):
                facts += _session({str(name): scalar(inner) for name, inner in one.items()})
        return facts or Ignored.OTHER_RECORD

    def remember(self) -> dict[str, Any]:
        """What is known of connections, and whether failures are named."""
        return {"peers": list(self._peers.items()), "named": self._named_failures}

    def recall(self, saved: Mapping[str, Any]) -> None:
        """See `RecordNormaliser.recall`."""
        found = saved.get("peers", [])
        self._peers = OrderedDict((str(key), {str(n): str(v) for n, v in dict(known).items()}) for key, known in found)
        self._named_failures = bool(saved.get("named", False))


def _fact(action: str, outcome: str) -> Fact:
    return {"event_action": action, "event_outcome": outcome, "service_name": "openvpn"}


def _give(fact: Fact, four: str | None, six: str | None) -> None:
    given = four if four and addresses.ip(four) else six
    source = fact.get("source_ip")
    if given is not None and addresses.ip(given) is not None:
        framed(fact, given)
        fact["source_ip"] = source


def _handshake(text: str) -> Fact | None:
    if text.startswith("VERIFY ") and "ERROR" in text[:24]:
        found = _VERIFY.match(text)
        if found is None:
            return None
        fact = _fact("handshake_failed", "failure")
        name = _COMMON_NAME.search(found[2])
        user(fact, stated(name[1]) if name is not None else None)
        fact["event_reason"], fact["login_method"] = reason(found[1] or "certificate refused"), "certificate"
        return fact
    if text.startswith(_HANDSHAKE[:2]):
        return {**_fact("handshake_failed", "failure"), "event_reason": reason(text.partition("Error: ")[2])}
    return None


def _session(said: Mapping[str, str | None]) -> list[Fact]:
    """A record of Access Server's log database: a login, and where it has ended the session's end."""
    started = moments.since_1970(said.get("start_time") or said.get("timestamp") or "")
    if started is None:
        return []
    failed = said.get("error") or (said.get("auth") in ("0", "false") and "not authenticated") or None
    fact = _fact("login", "failure" if failed else "success")
    fact["timestamp"] = started
    user(fact, stated(said.get("username") or said.get("common_name")))
    fact["source_ip"] = addresses.ip(said.get("real_ip") or "")
    fact["session_id"] = stated(said.get("session_id"))
    fact["application_name"] = stated(said.get("service"))
    fact["observer_hostname"] = stated(said.get("node"))
    fact["user_agent_original"] = stated(said.get("gui_version") or said.get("version"))
    if failed:
        return [{**fact, "event_reason": reason(str(failed))}]
    seconds = whole((said.get("duration") or "").partition(".")[0], 10**9)
    end = {**fact, "event_action": "session_end", "event_outcome": "unknown", "assigned_ip": None}
    end["assigned_ip"] = addresses.ip(said.get("vpn_ip") or "")
    if said.get("active") in ("1", "true") or seconds is None:
        return [fact]
    end["session_seconds"], end["timestamp"] = seconds, started + seconds * 1_000_000
    return [fact, end]
