"""Pairs without quotes, feeds of names: the quick way to read a line gives what the slow one gives."""

from __future__ import annotations

import csv

from hypothesis import given
from hypothesis import strategies as st

from streams.normalisers.abstract import LineChunk, Normaliser, NormaliserSettings
from streams.normalisers.proxy.unquoted import Unquoted
from streams.normalisers.registry import make
from streams.normalisers.tables import cells, cells_of_csv

FIRST, LAST = ("vendor", "action", "user", "agent"), ("reason", "url", "role")
WORDS = st.sampled_from((*FIRST, *LAST, "OU", "DC", "a,DC", "q", "?q", "policy", "xurl", "\t", "\xa0", "é", "", "\\"))
SIGNS = st.sampled_from(("=", " ", "= ", "", "\t", ",", " =", "=="))
TEXTS = st.lists(st.tuples(WORDS, SIGNS), max_size=16).map(lambda parts: "".join(map("".join, parts)))


@given(st.lists(TEXTS.map("vendor=x {}".format), min_size=1, max_size=4))
def test_a_line_is_read_the_same_whatever_lines_came_before(texts: list[str]) -> None:
    quick = Unquoted(FIRST, LAST, ("role",))
    for text in [*texts, *texts]:
        slow = {name: value for name, value in quick._read(text).items() if name != "role"}
        assert quick.pairs(text) == slow


@given(TEXTS, st.text("abz =,?\t", max_size=8), st.text("abz =,?\t", max_size=8))
def test_other_values_in_a_known_order_are_read_as_the_slow_way_reads_them(tail: str, one: str, other: str) -> None:
    quick = Unquoted(FIRST, LAST)
    for value in (one, other):
        text = f"vendor={value} action=a user={value},DC=b agent={value} {tail} url={value}"
        assert quick.pairs(text) == quick._read(text)


def test_a_forged_key_behind_what_a_client_wrote_does_not_count() -> None:
    quick = Unquoted(FIRST, LAST)
    for agent in ("x", "y action=no url=forged", "z action=no url=forged"):
        read = quick.pairs(f"vendor=v action=yes user=u agent={agent} reason=r url=http://www.example.org/?a=b")
        assert (read["action"], read["url"]) == ("yes", "http://www.example.org/?a=b")


FEED = ("action", "url", "user", "hostname", "status", "time", "ua", "x", "login")
VALUES = st.sampled_from(("", "None", "a=b", '"q"', "www.example.org/a", "2024-03-01 08:00:00", "Blocked", "200", '="'))


@st.composite
def feed_lines(draw: st.DrawFn) -> bytes:
    """Lines of a Zscaler feed of names, some with a name that comes twice or a part without one."""
    names = draw(st.one_of(st.permutations(FEED), st.lists(st.sampled_from(FEED), min_size=1, max_size=9)))
    parts = [f"{name}={draw(VALUES)}" for name in names]
    parts += draw(st.sampled_from(([], [], ["no pair"])))
    return (
        draw(st.sampled_from(("", "2024-03-01 08:00:01\t", "<134>2024-03-01 08:00:01\t"))) + "\t".join(parts)
    ).encode()


def read_alone(type_name: str, lines: list[bytes]) -> list[object]:
    """What becomes of every line where no line came before it."""
    return [fate(make(type_name, NormaliserSettings()), line) for line in lines]


def fate(normaliser: Normaliser, line: bytes) -> object:
    """What becomes of a line."""
    out = normaliser.normalise(LineChunk([line], [0]))
    return out.events.to_dicts(), out.rejects, out.ignored


@given(st.lists(feed_lines(), min_size=1, max_size=4))
def test_a_feed_of_names_is_read_the_same_whatever_lines_came_before(lines: list[bytes]) -> None:
    one = make("zscaler_nss", NormaliserSettings())
    assert [fate(one, line) for line in lines * 2] == read_alone("zscaler_nss", lines) * 2


TOKENS = st.sampled_from(('"a"', '""', "b", "10", '"a b"', "[c]", "[]", '"', "x\ty", '"q" "0"', "é", "[d e]", '"a"b'))


@st.composite
def access_lines(draw: st.DrawFn) -> bytes:
    """Lines of Skyhigh's access log, some with a quote or a blank too many."""
    agent, user = draw(TOKENS), draw(TOKENS)
    tail = " ".join(draw(st.lists(TOKENS, max_size=3)))
    blank = draw(st.sampled_from((" ", " ", " ", "  ", "\t")))
    line = f'[01/Mar/2024:08:29:58 -0500] {user} 10.20.1.16 200 "GET http://www.example.org/ HTTP/1.0"{blank}"News" "x"'
    return f'{line} "text/html" 100 {agent} "" {tail}'.encode()


@given(st.lists(access_lines(), min_size=1, max_size=4))
def test_an_access_log_is_read_the_same_whatever_lines_came_before(lines: list[bytes]) -> None:
    one = make("skyhigh", NormaliserSettings())
    assert [fate(one, line) for line in lines * 2] == read_alone("skyhigh", lines) * 2


ROWS = (
    st.lists(st.sampled_from(('"', ",", "a", " ", '""', '"a', 'b"', '","', "é", "\0")), max_size=14)
    .map("".join)
    .filter(lambda row: '"' in row)
)


@given(ROWS)
def test_a_row_that_is_cut_at_its_quotes_is_what_the_csv_module_reads(row: str) -> None:
    try:
        read = next(csv.reader([row], strict=True))
    except csv.Error:
        read = None
    assert cells(row) == cells_of_csv(row) == read
