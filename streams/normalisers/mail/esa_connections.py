"""The connections of a Cisco ESA's log: who handed messages in (ICID), and where they went (DCID)."""

from __future__ import annotations

from typing import Any

from streams.normalisers import addresses
from streams.normalisers.lines import Unreadable
from streams.normalisers.mail import esa_lines as lines
from streams.normalisers.mail import gateway_facts as facts
from streams.normalisers.mail.join_lines import Single, Taken
from streams.normalisers.mail.joins import Messages
from streams.normalisers.mail.parts import clipped
from streams.normalisers.mail.reasons_services import ServicesIgnored
from streams.normalisers.masking import masked_user
from streams.normalisers.reasons import Refused


class Connections:
    """What is remembered of connections, in the bounded memory that is saved with the joins.

    Args:
        messages: The joins of the source.
    """

    def __init__(self, messages: Messages) -> None:
        self._recent = messages.recent

    def client(self, host: str, icid: str) -> dict[str, Any]:
        """Columns of the client of a connection; empty where nothing is known of it."""
        return {name: value for name, value in self._of(host, icid).items() if name != "flow"}

    def flow(self, host: str, icid: str) -> str | None:
        """How the sender group takes the connection: `ACCEPT`, `RELAY` and so on."""
        return self._of(host, icid).get("flow")

    def server(self, host: str, dcid: str) -> str:
        """Address and port that a delivery went to; empty where not known."""
        return self._recent.get(f"DCID {host} {dcid}") or ""

    def _of(self, host: str, icid: str) -> dict[str, Any]:
        return self._recent.get(f"ICID {host} {icid}") or {}

    def opened(self, host: str, text: str) -> bool:
        """Note a connection that begins; whether the line is one."""
        client = lines.CLIENT.match(text)
        if client is not None:
            icid, ip, domain = client.groups()
            named = None if domain in (None, "unknown") else clipped(domain).lower()
            self._recent.keep(f"ICID {host} {icid}", {"source_ip": addresses.ip(ip), "source_domain": named})
            return True
        server = lines.SERVER.match(text)
        if server is not None:
            dcid, ip, port = server.groups()
            self._recent.keep(f"DCID {host} {dcid}", f"[{ip}]:{port or 25}")
        return server is not None

    def line(self, host: str, text: str) -> Taken:
        """A line that starts with an ICID."""
        policy = lines.POLICY.match(text)
        if policy is not None:
            return self._policy(host, *policy.groups())
        to, sender = lines.TO.match(text), lines.FROM.match(text)
        words = (to[5] if to is not None else sender[4] if sender is not None else None) or ""
        if "reject" not in words.lower():
            return ServicesIgnored.MAIL_TLS if " TLS " in text[:32] else ServicesIgnored.MAIL_CONNECTION
        icid = to[2] if to is not None else sender[2] if sender is not None else ""
        fact = self.client(host, icid)
        fact |= {"event_action": "rejected", "event_outcome": "failure", "event_reason": clipped(words)}
        if to is None and sender is not None:
            fact["email_from_address"] = facts.bare_address(sender[3])
        recipient = facts.bare_address(to[4]) if to is not None else ""
        return Single(fact, {recipient: ["", "rejected", "", "", False, 0]} if recipient else {})

    def _policy(self, host: str, icid: str, word: str, group: str | None, words: str) -> Taken:
        known = {**self._of(host, icid), "flow": word}
        self._recent.keep(f"ICID {host} {icid}", known)
        if word not in ("REJECT", "TCPREFUSE"):
            return ServicesIgnored.MAIL_CONNECTION
        reason = clipped(" ".join(part for part in (word, group, words.strip()) if part))
        fact = self.client(host, icid)
        return Single({**fact, "event_action": "rejected", "event_outcome": "failure", "event_reason": reason})

    def authentication(self, host: str, text: str) -> Taken:
        """A line about SMTP authentication."""
        said = lines.SMTP_AUTH.match(text)
        if said is None:
            return Unreadable(Refused.UNKNOWN_FORM, "starts like an SMTP authentication")
        icid, word, user, method = said.groups()
        known = dict(self._of(host, icid))
        good = word == "succeeded"
        if good and user:
            known["user_name"], known["login_method"] = clipped(user), method
            self._recent.keep(f"ICID {host} {icid}", known)
        fact = self.client(host, icid)
        fact["user_name"] = None if not user else clipped(user) if good else masked_user(clipped(user))
        fact["login_method"] = method
        fact["event_action"] = "authenticated" if good else "authentication_failed"
        fact["event_outcome"] = "success" if good else "failure"
        return Single(fact)
