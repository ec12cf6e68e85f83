"""W3C extended logs: fields that change, rows of any spelling, and options."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ConfigError, StateError
from streams.normalisers.abstract import LineChunk, NormaliserSettings
from streams.normalisers.proxy.w3c_fields import LAYOUTS, Layout
from streams.normalisers.proxy.w3c_rows import by_layout, cells, of_cells
from streams.normalisers.registry import make, preamble_of

FIELDS = b"#Fields: date time c-ip cs-username cs-method cs-uri-scheme cs-host cs-uri-path sc-status cs(User-Agent)"
VALUE = st.one_of(
    st.sampled_from(["-", '""', "a", '"a b"', '"-"', "2024-03-01", "10.1.1.1", "x=y", "ü", '"', 'a"b']),
    st.text(st.characters(blacklist_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=6),
)


def events(lines: list[bytes], **options: Any) -> list[dict[str, Any]]:
    normaliser = make("w3c", NormaliserSettings(options=options))
    return normaliser.normalise(LineChunk(lines, list(range(len(lines))))).events.to_dicts()


@given(rows=st.lists(st.lists(VALUE, min_size=10, max_size=10).map(" ".join), min_size=1, max_size=6))
def test_the_reader_of_tables_reads_what_a_row_alone_says(rows: list[str]) -> None:
    import polars as pl

    layout = Layout(tuple(FIELDS.decode().split()[1:]))
    captures = by_layout(pl.Series(rows, dtype=pl.String), layout).to_dicts()
    for row, found in zip(rows, captures, strict=True):
        if found.pop("fits"):
            alone = of_cells(cells(row, tabs=False), layout)
            stated = {name: value for name, value in found.items() if value not in (None, "-") and name != "dataset"}
            assert stated == alone


def test_new_fields_count_from_their_line_on() -> None:
    rows = events(
        [FIELDS, b"2024-03-01 08:00:00 10.1.1.1 - GET http a.example.org / 200 -", b"#Fields: date time cs-uri c-ip",
         b"2024-03-01 08:00:01 http://b.example.org/ 10.1.1.2"]
    )  # fmt: skip
    assert [(row["source_ip"], row["url_domain"]) for row in rows] == [
        ("10.1.1.1", "a.example.org"), ("10.1.1.2", "b.example.org"),
    ]  # fmt: skip


@pytest.mark.parametrize("names", LAYOUTS, ids=lambda names: f"{len(names)}-{names[-1]}")
def test_a_usual_set_is_known_by_its_rows(names: list[str]) -> None:
    said = {
        "date": "2024-03-01", "time": "08:00:00", "date-local": "2024-03-01", "time-local": "08:00:00",
        "c-ip": "10.1.1.1", "s-ip": "10.0.0.1", "cs-method": "GET", "sc-status": "200", "s-port": "443",
        "sc-win32-status": "0", "bytes": "5", "timetakenms": "5",
        "sc-bytes": "5", "cs-bytes": "5", "time-taken": "5", "cs-uri-port": "443",
        "cs-uri-scheme": "http", "sc-filter-result": "OBSERVED", "sc-substatus": "0", "cs-uri-stem": "/a",
    }  # fmt: skip
    row = " ".join(said.get(name.lower(), "-") for name in names).encode()
    assert [event["source_ip"] for event in events([row])] == ["10.1.1.1"]


def test_a_file_s_head_is_no_part_of_its_generation() -> None:
    is_head = preamble_of("w3c")
    assert is_head is not None
    assert is_head(b"\xef\xbb\xbf#Software: x")
    assert is_head(FIELDS)
    assert not is_head(b"2024-03-01 08:00:00")


@pytest.mark.parametrize(("option", "value"), [("fields", [1]), ("fields", 5), ("local_time", "yes")])
def test_an_option_of_another_type_is_refused(option: str, value: object) -> None:
    with pytest.raises(ConfigError, match=option):
        make("w3c", NormaliserSettings(options={option: value}))


@pytest.mark.parametrize("state", [b'{"names": 5}', b'{"names": ["a", 1]}', b'{"software": 1}', b'{"clock": 1}', b"[]"])
def test_a_state_of_another_form_is_refused(state: bytes) -> None:
    with pytest.raises(StateError):
        make("w3c", NormaliserSettings()).load(state)


def test_a_client_cannot_make_its_rows_look_like_something_else() -> None:
    agents = ['"x c-ip=1"', '"a #Fields: evil"', '"<Event Microsoft-Windows-IIS-Logging"', '"#Software: evil"']
    rows = [f"2024-03-01 08:00:00 10.1.1.1 - GET http a.example.org / 200 {agent}".encode() for agent in agents]
    found = events([FIELDS, *rows])
    assert [row["user_agent_original"] for row in found] == [agent.strip('"') for agent in agents]
