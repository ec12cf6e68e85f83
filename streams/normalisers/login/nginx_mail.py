"""nginx as a mail proxy: its error log to login events.

- `login`: `client logged in` and `client login failed` with a login name.
- `session_start`: `client logged in` without one: SMTP that needs no login.
- `refused`: `client login failed` without a login name.
- `session_end`: `proxied session done`. `connection`: `client … connected to …`.

`event_reason` of a failure is what the authentication server answered.

Facts: nginx's ngx_mail_handler.c, ngx_mail_auth_http_module.c and ngx_mail_proxy_module.c: messages of level `info`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from schemas.kinds import EventKind
from streams.normalisers import addresses
from streams.normalisers.login import cloud
from streams.normalisers.login.reasons_cloud import CloudIgnored
from streams.normalisers.login.stamped import StampedNormaliser
from streams.normalisers.records import Fact, Head, Read

ACTIONS: Final = ("login", "session_start", "refused", "session_end", "connection")

_HEAD = re.compile(r"\[(\w{1,8})\] (\d{1,10})#\d{1,10}: (?:\*(\d{1,18}) )?(.*)\Z", re.DOTALL | re.ASCII)
_CONNECTED = re.compile(r"client (\[?[0-9A-Fa-f:.]{2,45}\]?):(\d{1,5}) connected to (\S{1,64})\Z", re.ASCII)
_FAILED = re.compile(r'client login failed: "(.{0,1024}?)" while in http auth state(, client: .*)\Z', re.DOTALL)
_CONTEXT = re.compile(
    r", client: ([^\s,]{1,64})(?: using starttls)?, server: ([^\s,]{1,64})"
    r'(?:, login: "(.*)")?(?:, upstream: [^\s,"]{1,128})?(?: .*)?\Z',
    re.DOTALL,
)
_PORTS: Final[Mapping[str, str]] = {
    "25": "smtp", "465": "smtp", "587": "smtp", "143": "imap", "993": "imap", "110": "pop3", "995": "pop3",
}  # fmt: skip


class NginxMailNormaliser(StampedNormaliser):
    """error.log at level info."""

    kind = EventKind.LOGIN
    type_name = "nginx_mail"
    DATASET = "nginx_mail"
    OWN = (re.compile(r"(?P<stamp>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) (?P<rest>.*)\Z", re.DOTALL | re.ASCII),)
    fields = tuple(
        "timestamp event_dataset event_action event_outcome event_reason observer_hostname process_name process_pid "
        "user_name user_domain source_ip source_port service_name session_id".split()
    )

    def stamp(self, text: str) -> str:
        """`2024/03/01 08:30:00` as ISO 8601."""
        return text.replace("/", "-")

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        found = _HEAD.match(head.message)
        if found is None:
            return CloudIgnored.NGINX_OTHER
        _, pid, connection, said = found.groups()
        fact: Fact = {"process_name": "nginx", "process_pid": int(pid), "session_id": connection}
        connected = _CONNECTED.match(said)
        if connected is not None:
            ip, port = addresses.ip(connected[1]), addresses.port(connected[2])
            return _filled(fact, "connection", "unknown", {"source_ip": ip, "source_port": port}, connected[3])
        failed = _FAILED.match(said)
        if failed is not None:
            return _session(fact, failed[2], "refused", "login", "failure", failed[1])
        if said.startswith("client logged in, client: "):
            return _session(fact, said.removeprefix("client logged in"), "session_start", "login", "success")
        if said.startswith("proxied session done, client: "):
            return _session(fact, said.removeprefix("proxied session done"), "session_end", "session_end", "success")
        return CloudIgnored.NGINX_OTHER


def _session(fact: Fact, text: str, nameless: str, named: str, outcome: str, reason: str | None = None) -> Read:
    """A message with `, client: …, server: …, login: "…"` behind it; the client chooses the name, which stands last."""
    context = _CONTEXT.match(text)
    if context is None:
        return CloudIgnored.NGINX_OTHER
    ip, _ = cloud.address(context[1])
    more = {"source_ip": ip, "event_reason": cloud.reason(reason)}
    cloud.name_account(fact, context[3] or None)
    return _filled(fact, named if context[3] else nameless, outcome, more, context[2])


def _filled(fact: Fact, action: str, outcome: str, more: Fact, server: str) -> Fact:
    fact |= more
    fact["event_action"], fact["event_outcome"] = action, outcome
    fact["service_name"] = _PORTS.get(server.rpartition(":")[2], "mail")
    return fact
