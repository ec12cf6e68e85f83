"""Events that are one line: attempts and sessions that have no queue id (yet)."""

from __future__ import annotations

from streams.normalisers.mail import postfix_lines as lines
from streams.normalisers.mail.postfix_columns import Events, MailRow, Recipient
from streams.normalisers.mail.postfix_messages import Place
from streams.normalisers.masking import mask_text, masked_user

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


_NONE_SAID = lines.Handling("", "", None, None, None, "", "", None, None, None, None, None, "")


def single(events: Events, at: Place, qid: str | None, body: str) -> bool:
    """Add the event that a line without a queue id is; False where it is none.

    Args:
        events: Where to.
        at: The line's place and header. Its `sub` moves on.
        qid: `NOQUEUE` where that stood before `body`, else None.
        body: The rest.
    """
    if qid is None:
        if body.startswith("proxy-"):
            said = lines.proxied(body)
            return said is not None and _handled(events, at, said, lines.queued_as(said.reason))
        return "SASL" in body and _failed(events, at, body)
    if body.startswith("client="):
        return _authenticated(events, at, body)
    said = lines.handling(body)
    return said is not None and _handled(events, at, said, None)


def _handled(events: Events, at: Place, said: lines.Handling, qid: str | None) -> bool:
    action, outcome, status = _ACTIONS.get(said.action, _OTHER_ACTION)
    recipients: dict[str, Recipient] = {}
    if said.to is not None:
        recipients[said.to] = ("", status, said.dsn, "", said.action in _TO_FILTER, 0)
    _add(events, at, (action, outcome, lines.clipped(said.reason) or None), said, recipients, qid=qid)
    return True


def _failed(events: Events, at: Place, body: str) -> bool:
    match = lines.SASL_FAILED.match(body)
    if match is None:
        return False
    domain, ip, port = lines.client(match[1], match[2], match[3])
    user = None if match[7] in {None, "", "(unavailable)"} else masked_user(lines.clipped(match[7]))
    reason = f"authentication {match[5]}" + (f": {mask_text(match[6])}" if match[6] else "")
    said = _NONE_SAID._replace(domain=domain, ip=ip, port=port, user=user)
    _add(events, at, ("authentication_failed", "failure", lines.clipped(reason)), said, {}, method=match[4])
    return True


def _authenticated(events: Events, at: Place, body: str) -> bool:
    by = lines.submission(body)
    if by is None or by.user is None:
        return False
    said = _NONE_SAID._replace(domain=by.domain, ip=by.ip, port=by.port, user=by.user)
    _add(events, at, ("authenticated", "success", None), said, {}, method=by.method)
    return True


def _add(
    events: Events,
    at: Place,
    happened: tuple[str, str, str | None],
    said: lines.Handling,
    recipients: dict[str, Recipient],
    *,
    qid: str | None = None,
    method: str | None = None,
) -> None:
    """One event of one line. `email_complete` is true: nothing of it is to come."""
    row = MailRow(
        at.now, *happened, at.host, at.program, at.pid, at.sub, None, None, qid, said.sender, None, None, None, None,
        said.ip, said.port, said.domain, said.user, method, said.helo, said.protocol, True, at.index,
    )  # fmt: skip
    events.add(row, (), recipients)
    at.sub += 1
