"""OpenLDAP's slapd to login events: the log level `stats`, through syslog.

A bind has two lines: `BIND` says who, `RESULT tag=97` how it ended; the address stands in the connection's `ACCEPT`.
What the first two say is remembered (at most `MAX_OPEN` connections; beyond it the oldest is forgotten, and its result
has no name), so that the result is the `login`.

- `login`: `RESULT tag=97`, with the user and address of its connection. Anonymous binds are `connection`.
- `login_step`: `BIND`: not decided yet; result 14, a SASL exchange that goes on.
- `connection`: `ACCEPT`. `disconnect`: `UNBIND` and `closed`.

`event_outcome` of a result: `err=0` success, else failure; `event_reason` is the code by its name in RFC 4511.
`user_name` is the value of the first part of the name, `user_domain` its `dc` parts joined by points.

Facts: OpenLDAP's servers/slapd/{bind,result,connection}.c (2.3 to 2.6), RFC 4511 section 4.1.9, slapd.conf(5) loglevel.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from schemas.kinds import EventKind
from streams.normalisers import addresses
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.login import cloud
from streams.normalisers.login.reasons_cloud import CloudIgnored
from streams.normalisers.reasons import Ignored
from streams.normalisers.records import Fact, Head, Read, RecordNormaliser

ACTIONS: Final = ("login", "login_step", "connection", "disconnect")

MAX_OPEN = 20_000
"""Connections remembered at once."""

_LINE = re.compile(
    r"(?:[0-9a-f]{8}(?:\.[0-9a-f]{1,9})? (?:0x[0-9a-f]{1,16} )?)?conn=(\d{1,18}) (?:op=(\d{1,10}) |fd=\d{1,10} )(.*)\Z",
    re.DOTALL | re.ASCII,
)
_ACCEPT = re.compile(r"ACCEPT from (?:IP=(\[?[0-9A-Fa-f:.]{2,45}\]?):(\d{1,5})|PATH=(\S{1,255})) ", re.ASCII)
_BIND = re.compile(
    r"BIND (?:dn=\"(.{0,2048})\"(?: (?:method=(\d{1,3})|mech=(\S{1,40}) .{0,200})?)?|"
    r"authcid=\"(.{0,1024})\" authzid=\"(.{0,1024})\"|anonymous .{0,200})\Z",
    re.DOTALL | re.ASCII,
)
_RESULT = re.compile(r"RESULT tag=97 err=(\d{1,4})(?: [qe]time=\S{1,24})*(?: text=(.*))?\Z", re.DOTALL | re.ASCII)
_METHODS: Final = {"128": "simple", "163": "sasl"}
_ERRORS: Final[Mapping[int, str]] = {
    1: "operationsError", 2: "protocolError", 7: "authMethodNotSupported", 8: "strongerAuthRequired",
    13: "confidentialityRequired", 14: "saslBindInProgress", 32: "noSuchObject", 34: "invalidDNSyntax",
    48: "inappropriateAuthentication", 49: "invalidCredentials", 50: "insufficientAccessRights", 51: "busy",
    52: "unavailable", 53: "unwillingToPerform", 80: "other",
}  # fmt: skip
_NAMING: Final = frozenset({"uid", "cn", "mail", "userid", "samaccountname", "userprincipalname"})


class OpenldapNormaliser(RecordNormaliser):
    """slapd through syslog, or its own log file (2.6)."""

    kind = EventKind.LOGIN
    type_name = "openldap"
    DATASET = "openldap"
    fields = tuple(
        "timestamp event_dataset event_action event_outcome event_reason observer_hostname process_name process_pid "
        "user_name user_domain source_ip source_port login_method service_name session_id".split()
    )

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self._open: OrderedDict[str, dict[str, Any]] = OrderedDict()  # connection to address, port, and the last bind

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        if head.program is not None and head.program != "slapd":
            return Ignored.OTHER_PROGRAM
        line = _LINE.match(head.message)
        if line is None:
            return Ignored.SERVICE_STATE
        connection, operation, said = line.groups()
        key = f"{head.host or ''} {head.pid or ''} {connection}"
        if said.startswith("ACCEPT"):
            return self._accepted(key, connection, said)
        if said.startswith("BIND "):
            return self._bound(key, connection, operation, said)
        result = _RESULT.match(said)
        if result is not None:
            return self._decided(key, connection, operation, result)
        if said.startswith(("UNBIND", "closed")):
            known = self._open.pop(key, {}) if said.startswith("closed") else self._open.get(key, {})
            reason = said.partition("(")[2].rstrip(")") or None
            fact: Fact = {"event_action": "disconnect", "event_outcome": "unknown", "event_reason": reason}
            return _fact(connection, known, fact)
        return CloudIgnored.LDAP_OPERATION

    def _accepted(self, key: str, connection: str, said: str) -> Read:
        found = _ACCEPT.match(said)
        if found is None:
            return CloudIgnored.LDAP_OPERATION
        known = {"ip": addresses.ip(found[1] or ""), "port": addresses.port(found[2])}
        self._open[key] = known
        self._forget()
        return _fact(connection, known, {"event_action": "connection", "event_outcome": "unknown"})

    def _bound(self, key: str, connection: str, operation: str | None, said: str) -> Read:
        """`BIND dn="uid=bob,dc=example,dc=org" method=128`; newer versions write a second line with `mech=`."""
        found = _BIND.match(said)
        if found is None:
            return CloudIgnored.LDAP_OPERATION
        name, method, mechanism, authcid, authzid = found.groups()
        known = self._open.setdefault(key, {})
        self._forget()
        if mechanism is not None:  # what the server found out, after the fact
            method = mechanism.lower()
        elif authcid is not None or authzid is not None:
            name, method = authzid or authcid, "sasl"
        else:
            method = _METHODS.get(method or "", method)
        known |= {"op": operation, "name": name or "", "method": method}
        return _fact(connection, known, {"event_action": "login_step", "event_outcome": "unknown"}, whole=True)

    def _decided(self, key: str, connection: str, operation: str | None, result: re.Match[str]) -> Read:
        known = self._open.get(key, {})
        code = int(result[1])
        bound = known.get("op") == operation
        outcome = "success" if code == 0 else "failure"
        reason = None if code == 0 else _ERRORS.get(code, f"error {code}")
        said = cloud.stated(result[2])
        if reason is not None and said is not None:
            reason = f"{reason}: {said}"[:200]
        action = "login" if code != 14 else "login_step"
        if bound and not known.get("name") and known.get("method") in ("simple", None):
            action = "connection"
        outcome = "unknown" if code == 14 else outcome
        decided: Fact = {"event_action": action, "event_outcome": outcome, "event_reason": reason}
        return _fact(connection, known, decided, whole=bound)

    def _forget(self) -> None:
        """Keep at most `MAX_OPEN` connections: a result whose connection is forgotten has no name."""
        while len(self._open) > MAX_OPEN:
            self._open.popitem(last=False)

    def remember(self) -> dict[str, Any]:
        """The open connections."""
        return {"open": dict(self._open)}

    def recall(self, saved: Mapping[str, Any]) -> None:
        """See `RecordNormaliser.recall`."""
        found = saved.get("open", {})
        if not isinstance(found, dict) or not all(isinstance(known, dict) for known in found.values()):
            raise TypeError("open connections have another form")
        self._open = OrderedDict(found)


def _fact(connection: str, known: Mapping[str, Any], fact: Fact, *, whole: bool = False) -> Fact:
    fact |= {
        "source_ip": known.get("ip"),
        "source_port": known.get("port"),
        "service_name": "ldap",
        "session_id": connection,
    }
    if whole:
        fact["login_method"] = known.get("method")
        _name(fact, known.get("name") or None)
    return fact


def _name(fact: Fact, name: str | None) -> None:
    """`uid=bob,ou=people,dc=example,dc=org` is `bob` of `example.org`; a name of another form is taken whole."""
    if name is None:
        return
    parts = [part.strip() for part in name.split(",")]
    key, sign, value = parts[0].partition("=")
    if not sign or key.strip().lower() not in _NAMING or not value:
        cloud.name_account(fact, name)
        return
    domain = ".".join(part[3:] for part in parts[1:] if part[:3].lower() == "dc=").lower()
    fact["user_name"], fact["user_domain"] = value, domain or None
