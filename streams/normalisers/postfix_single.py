"""Events that are one line: attempts and sessions that have no queue id (yet)."""

from __future__ import annotations

from streams.normalisers import postfix_lines as lines
from streams.normalisers.masking import mask_text, masked_user
from streams.normalisers.postfix_columns import MailRow
from streams.normalisers.postfix_join import short
from streams.normalisers.postfix_messages import Place

_ACTIONS = {
    "reject": ("rejected", "failure", "rejected"),
    "milter-reject": ("rejected", "failure", "rejected"),
    "proxy-reject": ("rejected", "failure", "rejected"),
    "discard": ("discarded", "failure", "discarded"),
    "milter-discard": ("discarded", "failure", "discarded"),
    "proxy-accept": ("accepted", "success", "accepted"),
    "reject_warning": ("warned", "unknown", "accepted"),
    "warn": ("warned", "unknown", "accepted"),
    "hold": ("held", "unknown", "accepted"),
    "milter-hold": ("held", "unknown", "accepted"),
    "filter": ("filtered", "unknown", "accepted"),
    "redirect": ("redirected", "unknown", "accepted"),
}
"""Action as logged -> event_action, event_outcome, status of the recipient."""

_OTHER_ACTION = ("noted", "unknown", "accepted")
_TO_FILTER = frozenset({"filter", "proxy-accept"})  # the message comes again, under a queue id


def single(at: Place, qid: str | None, body: str) -> MailRow | None:
    """The event that a line without a queue id is; None where it is none.

    Args:
        at: Its place and header.
        qid: `NOQUEUE` where that stood before `body`, else None.
        body: The rest.
    """
    if qid is None:
        if body.startswith("proxy-"):
            said = lines.proxied(body)
            return None if said is None else _handled(at, said, lines.queued_as(said.reason))
        return _failed(at, body) if "SASL" in body else None
    if body.startswith("client="):
        return _authenticated(at, body)
    said = lines.handling(body)
    return None if said is None else _handled(at, said, None)


def _handled(at: Place, said: lines.Handling, qid: str | None) -> MailRow:
    action, outcome, status = _ACTIONS.get(said.action, _OTHER_ACTION)
    to = [] if said.to is None else [said.to]
    more = [""] * len(to)
    return _blank(at)._replace(
        event_action=action, event_outcome=outcome, event_reason=short(said.reason) or None, email_local_id=qid,
        email_from_address=said.sender, email_to_address=to, email_to_original_address=more,
        email_to_status=[status] * len(to), email_to_dsn=[said.dsn] * len(to), email_to_relay=more,
        email_to_filter=[said.action in _TO_FILTER] * len(to), email_to_attempts=[0] * len(to), source_ip=said.ip,
        source_port=said.port, source_domain=said.domain, user_name=said.user, email_helo=said.helo,
        email_protocol=said.protocol,
    )  # fmt: skip


def _failed(at: Place, body: str) -> MailRow | None:
    match = lines.SASL_FAILED.match(body)
    if match is None:
        return None
    domain, ip, port = lines.client(match[1], match[2], match[3])
    user = None if match[7] in {None, "", "(unavailable)"} else masked_user(match[7])
    reason = f"authentication {match[5]}" + (f": {mask_text(match[6])}" if match[6] else "")
    return _blank(at)._replace(
        event_action="authentication_failed", event_outcome="failure", event_reason=short(reason), source_ip=ip,
        source_port=port, source_domain=domain, user_name=user, login_method=match[4],
    )  # fmt: skip


def _authenticated(at: Place, body: str) -> MailRow | None:
    said = lines.submission(body)
    if said is None or said.user is None:
        return None
    return _blank(at)._replace(
        event_action="authenticated", event_outcome="success", source_ip=said.ip, source_port=said.port,
        source_domain=said.domain, user_name=said.user, login_method=said.method,
    )  # fmt: skip


def _blank(at: Place) -> MailRow:
    """Position and header; everything else as in an event that knows nothing. `email_complete`: nothing is to come."""
    return MailRow(
        at.now, "", "", None, at.host, at.program, at.pid, at.sub, None, [], None, None, None, [], [], [], [], [], [],
        [], None, None, None, None, None, None, None, None, None, None, True, at.index,
    )  # fmt: skip
