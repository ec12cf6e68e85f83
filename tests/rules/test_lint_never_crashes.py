"""However a rule file is damaged, the answer is rules or a list of errors with places."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from agents.rules.loader import POLICY_FOLDER, parse_rules
from schemas.errors import AupstreamError, Errors

OWN = Path(__file__).with_name("own_kinds.yml")
PATHS = [*sorted(POLICY_FOLDER.rglob("*.yml")), OWN, OWN, OWN]
FILES = [re.sub(r"  examples:\n(    .*\n)+", "", p.read_text("utf-8")) for p in PATHS]
VALUES = st.sampled_from(
    [
        *"~ {} [] [[]] -1 1.5 .nan .inf true 2026-03-02 '*' \"\\\" not ( null 0x10 1e400 99999999999999999999".split(),
        *("", "{a: b}", "[{a: [b]}]", "!!binary eA==", "!x y", "&a [*a]", "1 of them", "\x00", "\t"),
    ]
)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A policy file with up to three lines changed: value replaced, line dropped, doubled, or moved in."""
    lines = draw(st.sampled_from(FILES)).splitlines()
    for _ in range(draw(st.integers(1, 3))):
        i = draw(st.integers(0, len(lines) - 1))
        how = draw(st.sampled_from(["value", "value", "value", "drop", "double", "indent", "key"]))
        key, colon, _ = lines[i].partition(":")
        if how == "value":
            lines[i] = f"{key}{colon} {draw(VALUES)}"
        elif how == "drop":
            lines[i] = ""
        elif how == "double":
            lines.insert(i, lines[i])
        elif how == "indent":
            lines[i] = f"  {lines[i]}"
        else:
            lines[i] = lines[i].replace(key.strip(), draw(VALUES), 1)
    return "\n".join(lines) + "\n"


@given(damaged() | st.text(max_size=60))
@example("detection: {a: {b|re: '['}, condition: a}\nlogsource: {category: proxy}\ntitle: t\nname: n\n")
@example("detection: {a: {user_name|re: ~}, condition: a}\nlogsource: {category: proxy}\ntitle: t\nname: n\n")
@example("correlation: ~\ntitle: t\nname: n\n")
@example(
    "correlation: {rules: [[x]], type: [x], timespan: {}, group-by: {a: b}, condition: [1]}\ntitle: [t]\nname: {n: n}\n"
)
@example("aupstream: [1]\ndetection: [1]\nlogsource: [1]\n")
@example("title: a\nname: \x1f\n")
@example("a: " + "[" * 5_000)
def test_a_damaged_rule_file_gives_rules_or_errors_with_places(text: str) -> None:
    wrong: list[AupstreamError] = []
    try:
        version = parse_rules(text, "r.yml").version
    except Errors as errors:
        version, wrong = "", errors.errors
    assert version or wrong
    assert [e.where for e in wrong if not re.fullmatch(r"r\.yml:\d+:\d+", e.where)] == []
