"""Comparison of a normaliser with other projects' parsers over public samples.

A table (`peer_keys*.toml`) says which key of which peer is which column of ours, and by which transform the two are
made comparable. A second one (`peer_disagreements*.toml`) lists every disagreement, who is right and why.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from streams.normalisers.abstract import LineChunk, Normalised, Normaliser
from streams.normalisers.addresses import ip, mac

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / ".." / "shared" / "samples"
HERE = Path(__file__).resolve().parent

NOT_STATED = object()
"""What a transform gives where the peer states nothing."""


@dataclass(frozen=True)
class Case:
    """One line of the samples, and what the peer makes of it (keys of nested objects joined by dots)."""

    id: str
    repo: str
    path: str
    raw: str
    expected: Mapping[str, Any]


@dataclass(frozen=True)
class Key:
    """A peer's key, our column (or several joined by a sign: `user_name@user_domain`), and a transform."""

    key: str
    column: str
    transform: str = "text"


@dataclass(frozen=True)
class Comparison:
    """One field of one case."""

    case: str
    key: str
    column: str
    theirs: Any
    ours: Any

    @property
    def agrees(self) -> bool:
        return bool(self.theirs == self.ours)


@dataclass
class Tally:
    """What the cases of a format became."""

    lines: int = 0
    fates: dict[str, int] = field(default_factory=dict)
    comparisons: list[Comparison] = field(default_factory=list)

    @property
    def disagreements(self) -> list[Comparison]:
        return [c for c in self.comparisons if not c.agrees]

    def report(self, name: str) -> str:
        total = len(self.comparisons)
        agree = total - len(self.disagreements)
        fates = ", ".join(f"{count} {fate}" for fate, count in sorted(self.fates.items()))
        share = agree / max(total, 1)
        return f"{name}: {self.lines} lines ({fates}); {agree} of {total} compared fields agree ({share:.1%})"


def cases(sample_format: str, samples: Path = SAMPLES) -> list[Case]:
    """Cases of a format that have a line, in the order of the file."""
    found = []
    with (samples / "cases.jsonl").open(encoding="utf-8") as file:
        for line in file:
            case = json.loads(line)
            if case["format"] == sample_format and case["raw"] is not None:
                expected = case["expected"] if isinstance(case["expected"], dict) else {}
                stated = expected if case["expected_kind"] == "fields" else {}
                found.append(Case(case["id"], case["repo"], case["path"], case["raw"], flatten(stated)))
    return found


def flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested objects to one, keys joined by dots."""
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        if isinstance(inner, dict):
            flat.update(flatten(inner, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = inner
    return flat


def load_keys(path: Path, sample_format: str) -> dict[str, list[Key]]:
    """Keys by repository, of one format, from a committed table."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))[sample_format]
    return {repo: [Key(key, **entry) for key, entry in keys.items()] for repo, keys in table.items()}


def load_disagreements(path: Path, sample_format: str) -> dict[tuple[str, str], Mapping[str, str]]:
    """Listed disagreements of one format by (case, key); each has `right` (`us`, `peer` or `neither`) and `why`."""
    listed = tomllib.loads(path.read_text(encoding="utf-8")).get(sample_format, [])
    return {(entry["case"], entry["key"]): entry for entry in listed}


def one_line(normaliser: Normaliser, line: str) -> Normalised:
    """What becomes of a line alone."""
    return normaliser.normalise(LineChunk([line.encode()], [0]))


def compare(case: Case, row: Mapping[str, Any] | None, keys: Iterable[Key]) -> list[Comparison]:
    """All mapped fields that the peer states of a case; `row` is our event, or None where there is none."""
    compared = []
    for key in keys:
        if key.key not in case.expected:
            continue
        to_ours, of_ours = TRANSFORMS[key.transform]
        theirs = to_ours(case.expected[key.key])
        if theirs is NOT_STATED:
            continue
        ours = None if row is None else of_ours(_column(row, key.column))
        compared.append(Comparison(case.id, key.key, key.column, theirs, ours))
    return compared


def tally(
    found: Sequence[Case],
    keys: Mapping[str, list[Key]],
    fresh: Callable[[], Normaliser],
    whole_line: Callable[[Case], str] = lambda case: case.raw,
) -> Tally:
    """Every case as a source of its own, compared where it is not ignored.

    Args:
        found: The cases.
        keys: Mapped keys by repository.
        fresh: Makes a normaliser without state.
        whole_line: Gives a fragment a syslog header.
    """
    result = Tally()
    for case in found:
        normaliser = fresh()
        out = one_line(normaliser, whole_line(case))
        rows = out.events.to_dicts()
        if not rows and normaliser.open_lines:
            finished = normaliser.finish()
            rows = finished.events.to_dicts() if finished is not None else []
        fate = "events" if rows else (f"ignored: {out.ignored[0][1]}" if out.ignored else "")
        fate = fate or (f"dead letter: {out.rejects[0].reason}" if out.rejects else "lost")
        result.lines += 1
        result.fates[fate] = result.fates.get(fate, 0) + 1
        if not out.ignored:
            result.comparisons += compare(case, rows[0] if rows else None, keys.get(case.repo, []))
    return result


def _column(row: Mapping[str, Any], column: str) -> Any:
    for sign in ("@", ":"):
        if sign in column:
            parts = [row[name] for name in column.split(sign)]
            return sign.join(str(part) for part in parts if part is not None) or None
    return row[column]


# --- transforms: (theirs to the comparable value, ours to the comparable value) ---------------------------------------

Transform = tuple[Callable[[Any], Any], Callable[[Any], Any]]


def _same(value: Any) -> Any:
    return value


def _stated(read: Callable[[str], Any], *nothing: str) -> Callable[[Any], Any]:
    """`read`, except that the empty text, null and the given words state nothing."""

    def to_ours(value: Any) -> Any:
        return NOT_STATED if value is None or str(value) in ("", *nothing) else read(str(value))

    return to_ours


def _moment(text: str) -> Any:
    return (
        datetime.fromisoformat(text).replace(tzinfo=UTC)
        if "+" not in text and "Z" not in text
        else datetime.fromisoformat(text)
    )


def _epoch(scale: float) -> Callable[[str], Any]:
    return lambda text: datetime.fromtimestamp(round(float(text) / scale * 1000) / 1000, UTC)


def _to_millisecond(moment: datetime | None) -> Any:
    return moment and moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _month_to_second(moment: datetime | None) -> Any:
    return moment and (moment.month, moment.day, moment.hour, moment.minute, moment.second)


def _bsd_stamp(text: str) -> Any:
    return _month_to_second(datetime.strptime(f"2000 {text}", "%Y %b %d %H:%M:%S").replace(tzinfo=UTC))


def _iso_without_year(text: str) -> Any:
    month, day, clock = (
        text.partition("T")[0].split("-")[-2],
        text.partition("T")[0].split("-")[-1],
        text.partition("T")[2],
    )
    hour, minute, second = clock.rstrip("Z").split(":")
    return int(month), int(day), int(hour), int(minute), int(second)


TRANSFORMS: dict[str, Transform] = {
    "text": (_stated(_same, "-"), _same),
    "lower": (_stated(str.lower, "-"), lambda ours: ours and str(ours).lower()),
    "upper": (_stated(str.upper, "-"), lambda ours: ours and str(ours).upper()),
    "integer": (_stated(lambda text: int(float(text)), "-"), _same),
    "status": (_stated(lambda text: int(text) or None, "-"), _same),  # 000 is no status: null
    "ip": (_stated(lambda text: ip(text) or text, "-"), _same),
    "mac": (_stated(lambda text: mac(text) or text, "-"), _same),
    "milliseconds": (_stated(lambda text: int(float(text) * 1_000_000), "-"), _same),
    "nanoseconds": (_stated(lambda text: int(float(text)), "-"), _same),
    "iso": (_stated(_moment), lambda ours: ours and ours.replace(microsecond=ours.microsecond)),
    "iso_seconds": (_stated(_moment), lambda ours: ours and ours.replace(microsecond=0)),
    "epoch_seconds": (_stated(_epoch(1)), _to_millisecond),
    "epoch_milliseconds": (_stated(_epoch(1000)), _to_millisecond),
    "bsd_stamp": (_stated(_bsd_stamp), _month_to_second),
    "iso_without_year": (_stated(_iso_without_year), _month_to_second),
}


def words(**meaning: Any) -> Transform:
    """A transform of a closed set of the peer's words; a word that is not in it is compared as it is."""
    return _stated(lambda text: meaning.get(text, text)), _same


def _query(name: str) -> Transform:
    return _stated(_same), lambda ours: ours and (parse_qs(ours).get(name) or [None])[0]


def _wallix_date(text: str) -> Any:
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    if text.startswith("datetime.utc"):
        return datetime.fromtimestamp(numbers[0], UTC).replace(microsecond=numbers[1] * 1000)
    return datetime(*numbers, tzinfo=UTC)  # type: ignore[arg-type,misc]


def _category(status: int | None) -> Any:
    names = {2: "Success", 3: "Notice", 4: "Warning", 5: "Error"}
    return status and names[status // 100]


def _level(status: int | None) -> Any:
    return status and {2: "ok", 3: "notice", 4: "warn", 5: "error"}[status // 100]


def _pam_type(action: str | None) -> Any:
    return {"authentication": "auth", "session_start": "session", "session_end": "session"}.get(action or "", action)


_CROWDSEC_SUCCESS = {"auth_success": "success"}
_PLASO = {
    "syslog:ssh:login": "login", "syslog:ssh:failed_connection": "login", "syslog:ssh:opened_connection": "connection",
}  # fmt: skip

TRANSFORMS.update({
    "may_be_empty": (lambda theirs: theirs or None, _same),
    "lower_theirs": (_stated(str.lower), _same),
    "dhcp_type": (_stated(lambda text: text.removeprefix("DHCP").lower()), _same),
    "wallix_date": (_stated(_wallix_date), _to_millisecond),
    "usiem_outcome": words(ALLOW="success", BLOCK="failure"),
    "datadog_category": (_stated(_same), _category),
    "datadog_level": (_stated(_same), _level),
    "before_underscore": (_stated(_same), lambda ours: ours and ours.partition("_")[0]),
    "after_underscore": (_stated(_same), lambda ours: ours and ours.partition("_")[2]),
    "query_queryParam1": _query("queryParam1"),
    "query_queryParam2": _query("queryParam2"),
    "last_word": (_stated(lambda text: text.split()[-1]), _same),
    "accepted": words(Accepted="success", Failed="failure"),
    "wallix_action": words(accept="success", fail="failure", open="success"),
    "pam_component": words(pam_unix="pam"),
    "pam_type": (_stated(_same), _pam_type),
    "crowdsec_service": (_stated(_same), lambda ours: {"sshd": "ssh", "sudo": "pam"}.get(ours, ours)),
    "crowdsec_log_type": (_stated(lambda text: _CROWDSEC_SUCCESS.get(text, "failure")), _same),
    "plaso_type": (_stated(lambda text: _PLASO.get(text, text)), _same),
})  # fmt: skip
