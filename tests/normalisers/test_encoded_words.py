"""Encoded words in subjects (RFC 2047) are read; what cannot be read stays as it is."""

from __future__ import annotations

from email.header import Header, decode_header, make_header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.normalisers.mail.encoded_words import decoded
from streams.normalisers.mail.parts import subject_facts


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Re: picnic", "Re: picnic"),
        ("=?utf-8?q?Re:_x?=", "Re: x"),
        ("=?UTF-8?B?UmU6IHg=?=", "Re: x"),
        ("=?utf-8?B?UmU6IHg?=", "Re: x"),
        ("=?iso-8859-1*de?Q?Gr=FC=DFe?= an alle", "Grüße an alle"),
        ("[EXTERNAL] =?utf-8?q?Re=3A?= x", "[EXTERNAL] Re: x"),
        ("=?utf-8?q?a?= \t =?utf-8?q?b?=", "ab"),
        ("=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
        ("=?utf-8?q?=C3?= =?utf-8?q?=A9?=", "é"),
        ("=?utf-8?q?a?= =?iso-8859-1?q?=E9?=", "aé"),
        ("=?utf-8?q?=FF?=", "\ufffd"),
        ("=?utf-8?q?a=0D=0Ab?=", "a  b"),
        ("=?no-such?q?a?=", "=?no-such?q?a?="),
        ("=?idna?q?a?= =?punycode?q?a?=", "=?idna?q?a?==?punycode?q?a?="),
        ("=?utf-8?b?!?=", "=?utf-8?b?!?="),
        ("=?utf-8?q?cut off", "=?utf-8?q?cut off"),
        ("what =? and ?=", "what =? and ?="),
    ],
)
def test_encoded_words_are_read_as_what_they_stand_for(written: str, read: str) -> None:
    assert decoded(written) == read


@given(st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=200))
def test_what_pythons_own_writer_encodes_is_read_as_its_own_reader_reads_it(text: str) -> None:
    written = Header(text, "utf-8", maxlinelen=76).encode().replace("\n", "")
    assert decoded(written) == str(make_header(decode_header(written))) == text


@given(st.text("=?utf8-qbQB_ \udc80\n", max_size=300))
def test_any_text_is_read(text: str) -> None:
    decoded(text)


def test_one_subject_has_one_hash_however_it_is_encoded() -> None:
    plain = subject_facts("Re: Grüße", keep=True)
    assert plain["email_subject"] == "Re: Grüße"
    assert subject_facts("=?utf-8?q?Re:_Gr=C3=BC=C3=9Fe?=", keep=True) == plain
    assert subject_facts("=?iso-8859-1?b?UmU6IEdy/N9l?=", keep=True) == plain
