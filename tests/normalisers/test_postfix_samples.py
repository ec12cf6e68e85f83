"""Every Postfix line of the public samples, and every field that a peer states of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

import pytest

from streams.normalisers.addresses import ip
from streams.normalisers.mail.postfix_chatter import IGNORED
from streams.normalisers.syslog import split
from tests.normalisers.comparison import HERE, SAMPLES, Case, Comparison, cases, load_disagreements, load_keys
from tests.normalisers.postfix_helpers import Run, assert_conserved, run

pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no samples in {SAMPLES}")

FRAGMENTS = ("command_counter_data", "delays", "relay", "tls_features")
"""Samples of whyscream's that are a part of a line of smtp(8) or smtpd(8), or a whole line of smtp(8)."""

_PAIR = re.compile(r"([a-z_]+)=(<[^>]*>|[^,\s]*)")
_CODES = re.compile(r"(?:\d{3} )?(?:\d\.\d+\.\d+ )?")
_MILTER = re.compile(r"\S+ from \S+: (?:\d\.\d+\.\d+ )?")
_STAMP = re.compile(r"(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)")


def daemon_of(case: Case) -> str:
    """The daemon that a fragment is of, by the name of its file."""
    stem = case.path.rpartition("/")[2].partition(".")[0]
    name = re.sub(r"_\d+$", "", stem)
    known = {"trivial_rewrite": "trivial-rewrite", "command_counter_data": "smtpd", "postfix": "smtp"}
    return known.get(name, "smtp" if name in FRAGMENTS else name)


def whole_line(case: Case) -> str:
    """The line as syslogd would write it: with a header, line feeds escaped."""
    text = case.raw.replace("\n", "#012")
    return text if split(text) is not None else f"Oct 26 18:13:50 mail postfix/{daemon_of(case)}[1]: {text}"


@cache
def outcome(line: str) -> Run:
    return run([line])


def stated(case: Case) -> Mapping[str, Any]:
    """What the peer states, with the parts of its composite texts."""
    said = dict(case.expected)
    for name in ("postfix_keyvalue_data", "Parsed.kvItems"):
        for key, value in _PAIR.findall(said.get(name, "")):
            said[f"{name}.{key}"] = value.removeprefix("<").removesuffix(">")
    message = re.match(r"SASL (\S+) authentication failed: (.*)", said.get("postfix_message", ""))
    if message:
        said["postfix_message.method"], said["postfix_message.reason"] = message.groups()
    if said.get("postfix_status") == "sent":
        said = {key: value for key, value in said.items() if not key.endswith("_response")}
    return said


def _clock(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.month, value.day, value.hour, value.minute, value.second
    iso = _STAMP.search(value)
    moment = datetime.strptime(f"2000 {value}", "%Y %b %d %H:%M:%S") if iso is None else None  # noqa: DTZ007
    return _clock(moment) if iso is None else tuple(int(part) for part in iso.groups())


def _text(value: Any) -> Any:
    return None if value is None else str(value)


ACTIONS = {
    "reject": "rejected", "milter-reject": "rejected", "reject_warning": "warned", "discard": "discarded",
    "filter": "filtered", "accept": "accepted",
}  # fmt: skip
SAME: Callable[[Any], Any] = lambda value: value  # noqa: E731
TRANSFORMS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "text": (str, _text),
    "maybe": (lambda theirs: str(theirs) or None, SAME),  # an empty Message-ID is none
    "integer": (int, SAME),
    "ip": (ip, SAME),
    "host": (lambda theirs: None if theirs == "unknown" else theirs, SAME),
    "host_of": (lambda theirs: theirs.partition("[")[0], SAME),
    "queue_id": (lambda theirs: None if theirs == "NOQUEUE" else theirs, SAME),
    "action": (lambda theirs: ACTIONS[theirs], SAME),
    "milter": (lambda theirs: {"reject": "rejected", "header-redirect": "accepted"}[theirs], SAME),
    "milter_words": (lambda theirs: _MILTER.sub("", theirs), SAME),
    "without_codes": (lambda theirs: _CODES.sub("", theirs, count=1) or None, SAME),
    "failure": (lambda theirs: f"authentication failed: {theirs.strip()}", SAME),
    "month_to_second": (_clock, _clock),
    "instance": (SAME, lambda ours: ours.partition("/")[0]),
    "daemon": (SAME, lambda ours: ours.rpartition("/")[2]),
}


def first(value: Any) -> Any:
    """Of a list the first, which may be none; anything else itself."""
    return (value[0] if value else None) if isinstance(value, list) else value


@cache
def comparisons() -> tuple[Comparison, ...]:
    keys, found = load_keys(HERE / "peer_keys_postfix.toml", "postfix"), []
    for case in cases("postfix"):
        events, said = outcome(whole_line(case)).all_events, stated(case)
        for key in keys.get(case.repo, []) if events else []:
            if key.key in said:
                theirs, ours = TRANSFORMS[key.transform]
                mine = first(events[0][key.column])
                found.append(Comparison(case.id, key.key, key.column, theirs(said[key.key]), ours(mine)))
    return tuple(found)


def test_every_line_is_an_event_or_part_of_one_or_ignored_for_a_named_reason() -> None:
    fates: Counter[str] = Counter()
    for case in cases("postfix"):
        line = whole_line(case)
        result = outcome(line)
        assert_conserved([line], result)
        assert not result.rejects, f"{case.id}: {line}"
        assert {reason for _, reason in result.ignored} <= set(IGNORED), case.id
        fates.update(["single event" if result.events else "joined event" if result.finished else result.ignored[0][1]])
    print(f"postfix: {sum(fates.values())} lines: {dict(fates)}")  # noqa: T201 - part of the result
    assert sum(fates.values()) >= 219


def test_what_is_not_known_is_what_is_no_line() -> None:
    unknown = {
        case.path.rpartition("/")[2]
        for case in cases("postfix")
        if ("postfix_other" in str(outcome(whole_line(case)).ignored))
    }
    assert all(name.startswith(FRAGMENTS) for name in unknown), unknown


def test_every_line_that_has_a_sender_or_a_recipient_is_an_event() -> None:
    for case in cases("postfix"):
        said = stated(case)
        if {"postfix_keyvalue_data.to", "postfix_keyvalue_data.from", "message_recipient", "postfix_from"} & set(said):
            assert outcome(whole_line(case)).all_events, case.id


def test_peers_agree_in_95_of_100_fields_and_each_disagreement_is_explained() -> None:
    compared = comparisons()
    apart = [c for c in compared if not c.agrees]
    print(f"postfix: {len(compared) - len(apart)} of {len(compared)} compared fields agree")  # noqa: T201
    listed = load_disagreements(HERE / "peer_disagreements_postfix.toml", "postfix")
    unlisted = [c for c in apart if (c.case, c.key) not in listed]
    assert not unlisted, "\n".join(f"{c.case} {c.key}: {c.theirs!r}, ours {c.column} {c.ours!r}" for c in unlisted)
    assert set(listed) == {(c.case, c.key) for c in apart}, "a listed disagreement is none any more"
    assert all(entry["right"] in {"us", "peer", "neither"} and entry["why"] for entry in listed.values())
    assert len(apart) <= 0.05 * len(compared)


def test_every_mapped_key_is_stated_by_some_case() -> None:
    for repo, keys in load_keys(HERE / "peer_keys_postfix.toml", "postfix").items():
        said = {key for case in cases("postfix") if case.repo == repo for key in stated(case)}
        assert {key.key for key in keys} <= said, repo
