"""The scan for literals finds the rows that the conditions match, whatever was chosen to be looked for."""

from __future__ import annotations

import json
import re
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.engine import patterns
from agents.engine.patterns import Patterns
from agents.engine.scan import Scanner
from agents.rules.columns import keyword_columns
from agents.rules.compiled import Compiled
from agents.rules.examples import frame_of
from agents.rules.loader import parse_rules
from agents.rules.triggers import regex_literals
from schemas.kinds import EventKind
from tests.rules.test_conditions_equal_oracle import ROWS, rule_text, rules

KEYWORDS = keyword_columns(EventKind.PROXY)
ORDINARY = frame_of(
    EventKind.PROXY, [{"url_original": f"http://{i}.example/", "user_name": f"u{i}"} for i in range(50)]
)
ODD = [
    "kit",
    "KIT",
    "\u212ait",
    "\u0130t",
    "i\u0307t",
    "\u017fit",
    "sit",
    "É",
    "é",
    "\0kit",
    "xkityk",
    "",
    "ki",
    "t",
    "KÉS",
]
FIELDS = ["c-uri", "c-uri|contains", "c-uri|startswith", "c-uri|endswith|cased", "c-uri|re", "c-uri|re|i"]
WORDS = st.sampled_from(["kit", "KIT", "it", "s", "é", "k?t", "*kit", "kit*", "\u212ait", "i\u0307t", "sit", ""])


def _compiled(text: str) -> Compiled:
    expression = parse_rules(text).detection("drawn").expression
    assert isinstance(expression, Compiled)
    return expression


def _selection(selection: Any) -> Compiled:
    rule = {"title": "t", "name": "drawn", "logsource": {"category": "proxy"}, "level": "low"}
    return _compiled(json.dumps(rule | {"detection": {"s": selection, "condition": "s"}}))


def _by_scan(conditions: dict[str, Compiled], frame: pl.DataFrame) -> dict[str, list[int]]:
    """Rows by condition; what to look for is chosen from traffic that has none of it."""
    scanner = Scanner(conditions, KEYWORDS)
    scanner.find(ORDINARY)
    found = scanner.find(frame)
    return {name: found.filter(pl.col(name))["row"].to_list() for name in found.columns if name != "row"}


def _by_condition(conditions: dict[str, Compiled], frame: pl.DataFrame) -> dict[str, list[int]]:
    masks = {name: frame.select(hit=c.possible)["hit"].arg_true().to_list() for name, c in conditions.items()}
    return {name: rows for name, rows in masks.items() if rows}


@given(st.lists(rules(), min_size=1, max_size=4), ROWS)
def test_several_conditions_at_once_find_what_each_by_itself_does(drawn: list[Any], rows: list[dict[str, Any]]) -> None:
    conditions = {f"r{i}": _compiled(rule_text(selections, c[0])) for i, (selections, c) in enumerate(drawn)}
    frame = frame_of(EventKind.PROXY, rows)
    assert _by_scan(conditions, frame) == _by_condition(conditions, frame)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(FIELDS),
            st.lists(WORDS.map(lambda w: re.sub("[*?]", "", w)) | st.just("[kx]it|s.t"), min_size=1, max_size=6),
        ),
        min_size=1,
        max_size=3,
    ),
    st.lists(st.none() | st.sampled_from(ODD), min_size=1, max_size=20),
)  # fmt: skip
def test_letters_that_change_their_alphabet_with_their_case_hide_nothing(
    selections: list[tuple[str, list[str]]], texts: list[str | None]
) -> None:
    conditions = {f"r{i}": _selection({field: values}) for i, (field, values) in enumerate(selections)}
    frame = frame_of(EventKind.PROXY, [{"url_original": text} for text in texts])
    assert _by_scan(conditions, frame) == _by_condition(conditions, frame)


@pytest.mark.parametrize(
    ("selection", "text"),
    [
        ({"c-uri|contains": "kit"}, "a\u212ait"),
        ({"c-uri": "kit"}, "\u212aIT"),
        ({"c-uri|endswith": "\u0130t"}, "\u0130T"),
        ({"c-uri|re|i": "sit"}, "a\u017fit"),
        ({"c-uri|re|i": "kit|abc"}, "\u212ait"),
        (["kit"], "a \u212ait"),
    ],
)
def test_a_letter_that_becomes_ascii_is_found_by_its_ascii_letter(selection: Any, text: str) -> None:
    conditions = {"r": _selection(selection)}
    frame = frame_of(EventKind.PROXY, [{"url_original": "x"}, {"url_original": text}])
    assert _by_scan(conditions, frame) == _by_condition(conditions, frame) == {"r": [1]}


@given(
    st.lists(st.sampled_from(["kit", "foo bar", "bar", "é", "x*y"]), min_size=1, max_size=3, unique=True),
    st.booleans(),
    st.lists(st.fixed_dictionaries({c: st.none() | st.sampled_from(["a foo bar", "KIT", "x1y", "É", "fookit"])
                                    for c in ("url_original", "user_name", "proxy_category")}), min_size=1, max_size=9),
)  # fmt: skip
def test_a_value_without_a_field_is_found_in_whatever_column_it_stands(
    words: list[str], every: bool, rows: list[dict[str, Any]]
) -> None:
    conditions = {"r": _selection({"|all": words} if every else words)}
    frame = frame_of(EventKind.PROXY, rows)
    assert _by_scan(conditions, frame) == _by_condition(conditions, frame)


def test_an_occurrence_that_spans_two_rows_is_none() -> None:
    rows, hits = Patterns(["kit", "tk"]).find(pl.Series(["k", "it", None, "kit", "kitkit"])) or ([], [])
    assert sorted({(int(r), int(h)) for r, h in zip(rows, hits, strict=True)}) == [(3, 0), (4, 0), (4, 1)]


@pytest.mark.parametrize("start", [0, 1, 3, 5])
def test_a_slice_of_a_column_has_its_own_rows(start: int) -> None:
    column = pl.Series(["kit", "", None, "xkit", "KIT"]).slice(start)
    rows, _ = Patterns(["kit"]).find(column) or ([], [])
    assert sorted(int(r) for r in rows) == [i for i, text in enumerate(column) if text and "kit" in text.lower()]


def test_a_flood_in_which_every_row_matches_every_condition_is_judged_by_the_conditions() -> None:
    conditions = {f"r{i}": _selection({"c-uri|contains": f"kit{i}"}) for i in range(20)}
    everything = " ".join(f"kit{i}" for i in range(20))
    frame = frame_of(EventKind.PROXY, [{"url_original": everything}] * 3_000)
    assert Patterns([f"kit{i}" for i in range(20)]).find(frame["url_original"]) is None
    assert _by_scan(conditions, frame) == {name: list(range(3_000)) for name in conditions}


def test_no_more_occurrences_are_listed_than_the_limit_says() -> None:
    within = pl.Series(["kit"] * patterns.HITS_AT_LEAST)
    assert Patterns(["kit"]).find(within) is not None
    assert Patterns(["kit"]).find(pl.Series(["kit " * (patterns.HITS_AT_LEAST + 1)])) is None


def test_conditions_whose_literals_are_everywhere_are_chosen_again_and_find_the_same() -> None:
    conditions = {"r": _selection({"c-uri|contains|all": ["kit", "foo"]})}
    scanner = Scanner(conditions, KEYWORDS)
    first = frame_of(EventKind.PROXY, [{"url_original": "kit"}] * 1_000)
    later = frame_of(EventKind.PROXY, [{"url_original": "foo"}] * 25_000 + [{"url_original": "foo kit"}])
    scanner.find(first)
    assert [scanner.find(later)["row"].to_list() for _ in range(3)] == [[25_000]] * 3


PIECES = st.sampled_from(
    ["a", "B", "k", r"\.", r"\d", ".", "[a-c]", "[^]x]", "(ab|c)", "(?:d)?", "a?", "b*", "c+", "x{0,2}", "^", "$", "|"]
)


@given(st.lists(PIECES, max_size=7).map("".join), st.data())
def test_what_an_expression_matches_contains_the_texts_of_one_of_its_alternatives(
    pattern: str, data: st.DataObject
) -> None:
    try:
        compiled = re.compile(pattern)
    except re.error:
        return
    text = data.draw(st.from_regex(compiled) | st.text("aBkbc.1x", max_size=8))
    if compiled.search(text):
        assert any(all(piece in text for piece in branch) for branch in regex_literals(pattern))


@pytest.mark.parametrize("pattern", [r"\x41bc", r"\p{Greek}ab", "(?x) a b", r"\Qab\E", "[a[b]c]d", r"\bab\b{end}"])
def test_an_expression_that_is_not_plain_says_nothing(pattern: str) -> None:
    assert regex_literals(pattern) == [[]]
