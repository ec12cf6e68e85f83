"""What the tests of the Postfix normaliser share: running lines, and where each line went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from streams.normalisers.abstract import LineChunk, Normalised, NormaliserSettings
from streams.normalisers.mail.postfix import PostfixNormaliser

SETTINGS = NormaliserSettings(year=2025)
SENT = "relay=mx.example.org[203.0.113.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 Ok)"
DEFERRED = "relay=none, delay=9, delays=0/0/9/0, dsn=4.4.1, status=deferred (connect to mx: Connection timed out)"
BOUNCED = "relay=mx.example.org[203.0.113.9]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced (user unknown)"

NOT_COMPARED = frozenset({"line"})


def lined(*rests: str, at: str = "Mar 10 09:00:00", program: str = "postfix/smtpd") -> list[str]:
    """Lines of one daemon at one time; a text that starts with `/` names another daemon: `/qmgr ABC123: removed`."""
    out = []
    for rest in rests:
        daemon, text = (
            (f"postfix{rest.partition(' ')[0]}", rest.partition(" ")[2]) if rest[0] == "/" else (program, rest)
        )
        out.append(f"{at} mail {daemon}[7]: {text}")
    return out


def message(qid: str, *recipients: str, sender: str = "ann@school.example", at: str = "Mar 10 09:00:00") -> list[str]:
    """The lines of a whole message that was delivered to all its recipients at once."""
    lines = [
        f"{qid}: client=lab-7.school.example[192.0.2.7], sasl_method=PLAIN, sasl_username=ann",
        f"/cleanup {qid}: message-id=<{qid}@school.example>",
        f"/qmgr {qid}: from=<{sender}>, size=1200, nrcpt={len(recipients)} (queue active)",
        *(f"/smtp {qid}: to=<{to}>, {SENT}" for to in recipients),
        f"/qmgr {qid}: removed",
    ]
    return lined(*lines, at=at)


@dataclass
class Run:
    """All that came of some lines: events as they are told apart by the absolute number of their line."""

    events: list[dict[str, Any]] = field(default_factory=list)
    finished: list[dict[str, Any]] = field(default_factory=list)
    ignored: list[tuple[int, str]] = field(default_factory=list)
    rejects: list[tuple[int, str]] = field(default_factory=list)

    @property
    def all_events(self) -> list[dict[str, Any]]:
        return self.events + self.finished

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [event for event in self.all_events if event["event_action"] == "message"]

    def add(self, out: Normalised, before: int) -> None:
        """Take the outcome of a chunk with so many lines before it."""
        self.events += [{**row, "line": row["line"] + before} for row in out.events.to_dicts()]
        self.ignored += [(line + before, reason) for line, reason in out.ignored]
        self.rejects += [(reject.line + before, reject.reason) for reject in out.rejects]


def offsets_of(lines: Sequence[bytes]) -> list[int]:
    """Where each line starts in a file of them."""
    starts, at = [], 0
    for line in lines:
        starts.append(at)
        at += len(line) + 1
    return starts


def run(
    lines: Iterable[str | bytes],
    settings: NormaliserSettings = SETTINGS,
    *,
    cuts: Sequence[int] = (),
    reload_at_cuts: bool = False,
    finish: bool = True,
) -> Run:
    """Feed lines in chunks that end at `cuts`; optionally save and load a new normaliser at each cut."""
    raw = [line if isinstance(line, bytes) else line.encode() for line in lines]
    starts = offsets_of(raw)
    normaliser, result = PostfixNormaliser(settings), Run()
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(raw)}), len(raw)]
    for begin, end in pairwise(edges):
        if begin == end:
            continue
        result.add(normaliser.normalise(LineChunk(raw[begin:end], starts[begin:end])), begin)
        if reload_at_cuts:
            saved = normaliser.save()
            normaliser = PostfixNormaliser(settings)
            normaliser.load(saved)
            assert normaliser.save() == saved
    if finish:
        last = normaliser.finish()
        result.finished = [] if last is None else last.events.to_dicts()
        assert normaliser.open_lines == 0
    return result


def assert_conserved(lines: Sequence[str | bytes], result: Run) -> None:
    """Each line is in exactly one of: a sole line of events, a joined event, ignored, dead letters."""
    raw = [line if isinstance(line, bytes) else line.encode() for line in lines]
    starts = offsets_of(raw)
    places: Counter[int] = Counter(offset for event in result.all_events for offset in event["log_offsets"])
    places.update({starts[event["line"]] for event in result.events if not event["log_offsets"]})
    places.update(starts[line] for line, _ in result.ignored)
    places.update(starts[line] for line, _ in result.rejects)
    assert places == Counter(starts)


def flat(event: dict[str, Any]) -> dict[str, Any]:
    """An event without what is empty, and without `line`."""
    return {key: value for key, value in event.items() if value not in (None, []) and key not in NOT_COMPARED}
