"""What single lines of a Cisco ESA's log tell of the message of their MID, and how messages go on as others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from streams.normalisers.mail import esa_lines as lines
from streams.normalisers.mail import gateway_facts as facts
from streams.normalisers.mail.esa_verdicts import WORST, verdict_of
from streams.normalisers.mail.joins import Join, Messages
from streams.normalisers.mail.parts import clipped, message_id, subject_facts, whole
from streams.normalisers.masking import mask_text

MOST_RIDS: Final = 2_000  # recipients of one message that are remembered beyond its event, by their numbers


class File(NamedTuple):
    """What AMP says of a file: MID, attachment as in a `Join`, verdict and threat where it has them."""

    mid: str
    file: list[Any]
    verdict: str | None
    threat: str | None


def _response(join: Join, rest: str, _: bool) -> None:  # noqa: FBT001 - see FACTS
    said = lines.RESPONSE.match(rest)
    dsn = facts.enhanced_code(said[2]) if said is not None else ""
    for rid in lines.rids(said[1]) if said is not None else ():
        known = join.recipients.get(join.notes.get("rids", {}).get(rid))
        if known is not None and dsn:
            known[2] = dsn


def _subject(join: Join, rest: str, keep: bool) -> None:  # noqa: FBT001
    join.learn(**subject_facts(lines.subject_of(rest), keep=keep))


def _message_id(join: Join, rest: str, _: bool) -> None:  # noqa: FBT001
    join.learn(email_message_id=message_id(rest[11:].strip().strip("'")))


def _ready(join: Join, rest: str, _: bool) -> None:  # noqa: FBT001
    said = lines.READY.match(rest)
    if said is not None:
        join.learn(email_size=whole(said[1]), email_from_address=facts.bare_address(rest[said.end() - 1 :]))


def _policy(join: Join, rest: str, _: bool) -> None:  # noqa: FBT001
    said = lines.TABLE.match(rest)
    if said is not None:
        join.learn(email_direction=said[1])


def _attachment(join: Join, rest: str, _: bool) -> None:  # noqa: FBT001
    said = lines.ATTACHMENT.match(rest)
    if said is not None and len(join.attachments) < facts.MOST_ATTACHMENTS:
        join.attach(clipped(said[1]))


def dropped(join: Join, rest: str, _: bool = False) -> None:  # noqa: FBT001, FBT002
    """The message is not delivered, for a reason."""
    join.notes["dropped"] = "aborted" if "Receiving aborted" in rest else "dropped"
    join.reason = clipped(rest)


def judged(join: Join, rest: str, _: bool = False) -> None:  # noqa: FBT001, FBT002
    """An engine's verdict; the worst of all counts."""
    verdict, threat = verdict_of(rest)
    if verdict is not None and WORST[verdict] > WORST.get(join.facts.get("email_verdict") or "", 0):
        join.facts["email_verdict"] = verdict
        if threat:
            join.facts["email_threat"] = threat


FACTS: Final[Mapping[str, Callable[[Join, str, bool], None]]] = {
    "RID": _response,
    "Subject": _subject,
    "Message-ID": _message_id,
    "ready": _ready,
    "matched": _policy,
    "attachment": _attachment,
    "Dropped": dropped,
    "aborted": dropped,
    "interim": judged,
    "using": judged,
    "antivirus": judged,
    "AMP": judged,
    "Outbreak": judged,
    "Threat": judged,
    "DLP": judged,
}
"""By the first word behind `MID n`: takes the join, what follows the MID, and whether subjects are kept."""


def merge(messages: Messages, join: Join, to: Join) -> None:
    """Let a join go on as another: no event comes of the first."""
    messages.joins.close(join)
    to.learn(**join.facts)
    for name, value in join.notes.items():
        to.notes.setdefault(name, value)
    for address, known in join.recipients.items():
        to.recipients.setdefault(address, known)
    to.attachments[:0] = join.attachments
    to.offsets = sorted(join.offsets + to.offsets)
    to.first, to.newest = min(join.first, to.first), max(join.newest, to.newest)
    to.reason, to.seq = to.reason or join.reason, max(join.seq, to.seq)
    to.head = join.head if to.head == (None, None, None) else to.head
    to.weight += join.weight
    messages.joins.count(to)


def leave(join: Join, address: str) -> None:
    """A recipient goes on in a message that was split off."""
    known = join.recipients.get(address)
    if known is not None and known[1] == "accepted":
        del join.recipients[address]


def inherited(join: Join) -> dict[str, Any]:
    """What a message that was split off, or a copy, has of the first."""
    return {name: value for name, value in join.facts.items() if name != "email_local_id"}


def complement(join: Join, file: list[Any]) -> None:
    """What is said of a file goes to the attachment of its name, or of its hash."""
    for known in join.attachments:
        if (file[0] and known[0] == file[0]) or (file[2] and known[2] == file[2]):
            known[1], known[2] = known[1] or file[1], known[2] or file[2]
            known[3] = file[3] if known[3] < 0 else known[3]
            return
    if len(join.attachments) < facts.MOST_ATTACHMENTS:
        join.attach(*file)


def amp(text: str) -> File | None:
    """Read a line of the AMP engine about a file of a message; None where it is none."""
    query = lines.AMP_QUERY.match(text)
    if query is not None:
        name, mid, size, kind = query.groups()
        return File(mid, [clipped(mask_text(name)), kind, "", whole(size) or 0], None, None)
    answer = lines.AMP_ANSWER.match(text)
    if answer is not None:
        name, mid, word, threat, found = answer.groups()
        verdict = {"MALICIOUS": "malware", "CLEAN": "clean"}.get(word.strip().upper(), "unknown")
        named = threat.strip()
        file = [clipped(mask_text(name)), "", found.lower(), -1]
        return File(mid, file, verdict, None if named in ("None", "") else named)
    sent = lines.AMP_NOT_SENT.match(text)
    return None if sent is None else File(sent[1], ["", sent[3], sent[2].lower(), -1], None, None)
