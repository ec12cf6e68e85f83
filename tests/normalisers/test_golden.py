"""Hand-written lines of each format, and what becomes of them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from schemas.kinds import EventKind
from streams.normalisers.abstract import COLLECTOR_COLUMNS, LineChunk
from streams.normalisers.columns import event_columns
from streams.normalisers.mail.postfix_chatter import PostfixIgnored
from streams.normalisers.reasons import Refused, vocabulary
from streams.normalisers.registry import fields_of, make, types
from tests.normalisers.golden_files import SETTINGS, expected_of, in_chunks, lines_of, made, with_options

TYPES = [name for name in types() if name != "postfix"]  # whose joins have golden files of their own


@pytest.mark.parametrize("type_name", TYPES)
def test_golden_lines_become_what_the_golden_file_says(type_name: str) -> None:
    assert in_chunks(make(type_name, SETTINGS), lines_of(type_name), 5000) == expected_of(type_name)


@pytest.mark.parametrize("size", [1, 3, 5000])
@pytest.mark.parametrize("name", with_options())
def test_golden_lines_of_a_source_with_options_become_what_the_golden_file_says(name: str, size: int) -> None:
    assert in_chunks(made(name), lines_of(name), size) == expected_of(name)


@pytest.mark.parametrize("size", [1, 3, 7])
@pytest.mark.parametrize("type_name", TYPES)
def test_any_chunking_gives_the_same_events(type_name: str, size: int) -> None:
    assert in_chunks(make(type_name, SETTINGS), lines_of(type_name), size) == expected_of(type_name)


@pytest.mark.parametrize("type_name", TYPES)
def test_saving_and_loading_between_chunks_changes_nothing(type_name: str) -> None:
    found = []
    state = make(type_name, SETTINGS).save()
    for index, line in enumerate(lines_of(type_name)):
        normaliser = make(type_name, SETTINGS)
        normaliser.load(state)
        found += [{**fate, "line": index} for fate in in_chunks(normaliser, [line], 1, index)]
        state = normaliser.save()
    assert found == expected_of(type_name)


@pytest.mark.parametrize("type_name", TYPES)
def test_a_frame_has_the_columns_and_types_of_its_schema(type_name: str) -> None:
    normaliser = make(type_name, SETTINGS)
    lines = lines_of(type_name)
    frame = normaliser.normalise(LineChunk(lines, list(range(len(lines))))).events
    assert dict(frame.schema) == dict(event_columns(normaliser.kind))
    assert frame["timestamp"].null_count() == 0
    assert frame.select("line", "log_sub").equals(frame.select("line", "log_sub").sort("line", "log_sub"))
    empty = normaliser.normalise(LineChunk([b""], [0])).events
    assert empty.schema == frame.schema


@pytest.mark.parametrize("kind", list(EventKind))
def test_columns_are_those_of_the_schema_less_the_collectors(kind: EventKind) -> None:
    assert not set(event_columns(kind)) & set(COLLECTOR_COLUMNS)
    assert next(iter(event_columns(kind))) == "timestamp"


@pytest.mark.parametrize("type_name", TYPES)
def test_golden_lines_show_every_action(type_name: str) -> None:
    module = import_module(types()[type_name].made_by.partition(":")[0])
    shown = {fate["event_action"] for fate in expected_of(type_name) if "event_action" in fate}
    assert shown <= set(module.ACTIONS)
    assert set(module.ACTIONS) - shown <= {"connection"}


def test_golden_lines_show_every_reason() -> None:
    for name in TYPES:
        make(name, SETTINGS)  # imports its reasons
    fates = [fate for name in TYPES for file in (name, *with_options(name)) for fate in expected_of(file)]
    refused = {fate["dead_letter"] for fate in fates if "dead_letter" in fate}
    assert {str(reason) for reason in Refused} - refused <= {"line_too_long", "no_fields", "broken_payload"}
    unshown = {"ssh_handshake", "ssh_key_check", "ssh_name_lookup", "ssh_other", "pam_chatter", "sudo_other"}
    unshown |= {"su_other", "login_other", "dropbear_other", "header", "other_record"}
    ignored = {fate["ignored"] for fate in fates if "ignored" in fate}
    assert ignored <= vocabulary()
    assert vocabulary() - ignored <= unshown | {*map(str, PostfixIgnored), "as_configured"}


@pytest.mark.parametrize("type_name", TYPES)
def test_golden_lines_fill_only_the_columns_that_the_type_names_and_all_of_them(type_name: str) -> None:
    own = {"line", "log_sub", "ignored", "dead_letter", "masked", "raw", "email_complete"}
    all_of = [fate for name in (type_name, *with_options(type_name)) for fate in expected_of(name)]
    shown = {key for fate in all_of for key, value in fate.items() if value != []} - own
    named = set(fields_of(type_name))
    assert shown <= named
    named_by_setting = {"email_subject"}  # only with keep_subject
    assert named - shown <= {"observer_hostname", "process_name", "process_pid"} | named_by_setting


@pytest.mark.parametrize("type_name", TYPES)
def test_a_line_above_the_limit_is_a_dead_letter_cut_at_it(type_name: str) -> None:
    normaliser = make(type_name, SETTINGS)
    line = lines_of(type_name)[0] + b"x" * SETTINGS.max_line_bytes
    out = normaliser.normalise(LineChunk([line], [0]))
    assert [r.reason for r in out.rejects] == ["line_too_long"]
    raw, masked = out.rejects[0].raw, out.rejects[0].masked
    assert len(raw) == SETTINGS.max_line_bytes or (masked and len(raw) < SETTINGS.max_line_bytes)


@pytest.mark.parametrize("type_name", TYPES)
def test_one_line_of_bad_bytes_loses_no_other(type_name: str) -> None:
    lines = lines_of(type_name)
    broken = [b"\xff\xfe\x00" + lines[0], *lines, lines[1][:40] + b"\xc3\x28" + lines[1][40:]]
    fates = in_chunks(make(type_name, SETTINGS), broken, 5000)
    shifted = [shifted_back(fate) for fate in fates if 1 <= fate["line"] <= len(lines)]
    assert shifted == expected_of(type_name)


def shifted_back(fate: dict[str, Any]) -> dict[str, Any]:
    """The fate of a line, and the places of the lines of its join, one line earlier."""
    places = {"log_offsets": [place - 1 for place in fate["log_offsets"]]} if fate.get("log_offsets") else {}
    return {**fate, **places, "line": fate["line"] - 1}
