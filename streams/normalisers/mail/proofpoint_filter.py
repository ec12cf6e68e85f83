"""The lines that Proofpoint's filter writes about messages, to syslog or its own log, and what they tell.

A line is `rprt s=SESSION m=NUMBER x=SESSION-NUMBER mod=MODULE cmd=WORD key=value …`. Values with blanks stand in
quotes, or without; a sender chooses some of them (addresses, HELO name, Message-ID, subject, names of files).

Facts: Proofpoint Protection Server, administration guide ("Logging", filter log); the keys as public parsers of real
logs list them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from streams.normalisers import addresses
from streams.normalisers.mail import gateway_facts as facts
from streams.normalisers.mail.joins import Join
from streams.normalisers.mail.parts import clipped, message_id, subject_facts, whole
from streams.normalisers.mail.proofpoint_json import word_verdict

_PAIR = re.compile(
    r"([A-Za-z][\w.\-]{0,63})=(?:\"([^\"\\]*(?:\\.[^\"\\]*)*)\"(?=\s|\Z)|(\S*(?:\s+(?![A-Za-z][\w.\-]{0,63}=)\S+)*))",
    re.ASCII,
)
_ZONES: Final = {"value": 1, "ofrom": 1, "file": 1, "hdr_mid": 1, "helo": 1, "from": 1, "rcpt": 1, "subject": 2}
_SIZES = re.compile(r"\d{1,18}\Z", re.ASCII)


def fields(message: str) -> dict[str, str]:
    """The pairs of a line."""
    found = [(key, quoted or bare) for key, quoted, bare in _PAIR.findall(message)]
    said = dict(found)
    return said if len(said) == len(found) else facts.disentangled(found, _ZONES)


def connection(said: Mapping[str, str]) -> dict[str, str | None]:
    """Columns of the client, from a session's `connect`, `resolve` or an `env_from`."""
    ip, host = addresses.ip(said.get("ip", "")), said.get("host", "")
    named = None if host in ("", "unknown") or host.startswith("[") else clipped(host).lower()
    return {"source_ip": ip, "source_domain": named}


def _sender(join: Join, said: Mapping[str, str], _: bool) -> None:  # noqa: FBT001 - see LEARN
    join.learn(email_from_address=facts.bare_address(said.get("ofrom") or said.get("value", "")), **connection(said))
    _route(join, said)


def _recipient(join: Join, said: Mapping[str, str], _: bool) -> None:  # noqa: FBT001
    to = facts.bare_address(said.get("value", ""))
    if to and len(join.recipients) < facts.MOST_RECIPIENTS:
        join.mention(to)
    _route(join, said)


def _helo(join: Join, said: Mapping[str, str], _: bool) -> None:  # noqa: FBT001
    join.learn(email_helo=clipped(said.get("value", "")) or None)


def _file(join: Join, said: Mapping[str, str], _: bool) -> None:  # noqa: FBT001
    name, kind = said.get("file", ""), said.get("omime") or said.get("mime", "")
    body = name.lower() in ("text.txt", "text.html") or said.get("virtual") in ("1", "t")
    if name and not body and len(join.attachments) < facts.MOST_ATTACHMENTS:
        size = said.get("size", "")
        join.attach(
            clipped(name), clipped(kind), facts.digest(said.get("sha256")), int(size) if _SIZES.match(size) else -1
        )


def _spam(join: Join, said: Mapping[str, str], _: bool) -> None:  # noqa: FBT001
    score = facts.number(said.get("score"))
    join.learn(email_spam_score=score)
    rule = said.get("rule", "")
    verdict = "clean" if rule in ("notspam", "safe") else word_verdict(rule)
    if verdict and join.facts.get("email_verdict") in (None, "clean"):
        join.facts["email_verdict"] = verdict


def _virus(join: Join, said: Mapping[str, str], _: bool) -> None:  # noqa: FBT001
    rule, name = said.get("rule", ""), said.get("name", "")
    if rule == "clean":
        join.learn(email_verdict="clean")
    elif name or "virus" in rule or "infected" in rule:
        join.facts["email_verdict"], join.facts["email_threat"] = "virus", clipped(name) or None


def _dispose(join: Join, said: Mapping[str, str], _: bool) -> None:  # noqa: FBT001
    action = said.get("action", "")
    if action in ("discard", "reject", "retry"):
        join.notes["end"] = "discarded" if action == "discard" else "rejected"
        join.reason = clipped(": ".join(word for word in (said.get("module"), said.get("rule"), action) if word))
        if join.facts.get("email_verdict") in (None, "clean"):
            join.facts["email_verdict"] = word_verdict(said.get("module"), said.get("rule")) or "policy"


def _store(join: Join, said: Mapping[str, str], _: bool) -> None:  # noqa: FBT001
    join.notes["end"] = "quarantined"
    join.reason = clipped(
        ": ".join(word for word in (said.get("folder"), said.get("module"), said.get("rule")) if word)
    )
    if join.facts.get("email_verdict") in (None, "clean"):
        join.facts["email_verdict"] = word_verdict(said.get("folder"), said.get("module"), said.get("rule")) or "policy"


def _message(join: Join, said: Mapping[str, str], keep: bool) -> None:  # noqa: FBT001
    join.learn(
        email_message_id=message_id(said.get("hdr_mid", "")),
        email_size=whole(said.get("size")),
        email_recipient_count=facts.whole(said.get("rcpts"), 2**31 - 1),
        email_spam_score=facts.number(said.get("spamscore")),
        **subject_facts(said.get("subject"), keep=keep),
    )
    if said.get("virusname"):
        join.facts["email_verdict"], join.facts["email_threat"] = "virus", clipped(said["virusname"])
    _route(join, said)
    _dispose(join, said, keep)


def _route(join: Join, said: Mapping[str, str]) -> None:
    routes = said.get("routes", "").split(",")
    if "default_inbound" in routes:
        join.learn(email_direction="inbound")
    elif "outbound" in routes or "allow_relay" in routes:
        join.learn(email_direction="outbound")


LEARN: Final[Mapping[tuple[str, str], Callable[[Join, Mapping[str, str], bool], None]]] = {
    ("mail", "env_from"): _sender,
    ("mail", "env_rcpt"): _recipient,
    ("mail", "helo"): _helo,
    ("mail", "attachment"): _file,
    ("mail", "msg"): _message,
    ("spam", "run"): _spam,
    ("av", "run"): _virus,
    ("zerohour", "run"): _virus,
    ("session", "dispose"): _dispose,
    ("session", "store"): _store,
}
"""By module and command: takes the join, the pairs, and whether subjects are kept."""
