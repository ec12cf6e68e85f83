"""Names in events and violations: the fast road over frames equals the slow one over values, and nothing is left."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.context.accounts import MASKED_USER
from agents.context.district import District
from agents.privacy import keys
from agents.privacy.columns import KINDS, TEXTS, Names
from agents.privacy.live import LOOK_S, LiveNames
from agents.privacy.pseudonyms import PATTERN, Kind, Pseudonymiser, unseal
from agents.privacy.records import WITHHELD, group_key, violation
from agents.rules.columns import DERIVED
from schemas.codec import decode
from schemas.kinds import EventKind
from schemas.registry import polars_schema
from tests.privacy.records import SECRETS, violation_of

DISTRICT = District.of("d", "UTC", ["schools.example"])
KEYRING = keys.Keyring((keys.Key(b"k" * 32),))


def _names() -> Names:
    return Names(Pseudonymiser(KEYRING), DISTRICT)


def _frame(kind: EventKind, **columns: list[object]) -> pl.DataFrame:
    rows = len(next(iter(columns.values())))
    types = polars_schema(kind.value)
    return pl.DataFrame({n: columns.get(n, [None] * rows) for n in types}, schema=types)


ACCOUNTS = ["ada", "Ada ", "SCHOOLS\\ada", "ada@schools.example", "ada@Staff.Schools.example"]


@pytest.mark.parametrize("text", ACCOUNTS)
def test_an_account_has_one_pseudonym_however_it_was_logged(text: str) -> None:
    frame = _names().event_frame(
        EventKind.LOGIN, _frame(EventKind.LOGIN, user_name=[text, "ada"], user_domain=[None] * 2)
    )
    first, second = frame["user_name"].to_list()
    assert first == second == _names().user("ada")
    assert _names().user(text) == first


def test_an_account_of_another_realm_is_somebody_else() -> None:
    frame = _frame(EventKind.LOGIN, user_name=["ada", "ada"], user_domain=["elsewhere.example", "schools.example"])
    first, second = _names().event_frame(EventKind.LOGIN, frame)["user_name"].to_list()
    assert (first, second) == (_names().user("ada@elsewhere.example"), _names().user("ada"))
    assert first != second


def test_nobody_stays_nobody() -> None:
    frame = _frame(EventKind.LOGIN, user_name=[None, "", MASKED_USER], source_ip=[None, "", "10.0.0.1"])
    made = _names().event_frame(EventKind.LOGIN, frame)
    assert made["user_name"].to_list() == [None, "", MASKED_USER]
    assert made["source_ip"].to_list()[:2] == [None, ""]


_WORD = st.text("aAbB.@\\:1é %/-_", max_size=12)


@given(st.lists(st.tuples(_WORD, st.none() | _WORD, _WORD, st.lists(_WORD, max_size=3), _WORD), min_size=1, max_size=6))
def test_a_frame_is_replaced_as_its_values_one_by_one_are(
    rows: list[tuple[str, str | None, str, list[str], str]],
) -> None:
    users, froms, macs, recipients, texts = (list(column) for column in zip(*rows, strict=True))
    mail = _frame(
        EventKind.MAIL, user_name=users, email_from_address=froms, email_to_address=recipients, event_reason=texts,
        source_domain=macs,
    )  # fmt: skip
    made, names = _names().event_frame(EventKind.MAIL, mail), _names()
    assert made["user_name"].to_list() == [names.user(u) for u in users]
    for column, given_values in (("email_from_address", froms), ("source_domain", macs)):
        assert made[column].to_list() == [None if v is None else names.value(column, v) for v in given_values]
    wanted = [[names.value("email_to_address", v) for v in values] for values in recipients]
    assert made["email_to_address"].to_list() == wanted
    own = [names.account(u) for u in users]
    scrubbed = [names.scrub("event_reason", t, a) for t, a in zip(texts, own, strict=True)]
    assert made["event_reason"].to_list() == scrubbed
    assert made.columns == mail.columns
    assert made.schema == mail.schema


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("http://x.example/~ada/photo.jpg?u=ADA", "http://x.example/~U/photo.jpg?u=U"),
        ("http://x.example/?mail=Bob.B%40gmail.example&x=1", "http://x.example/?mail=M&x=1"),
        ("from='josé.o'neil@gmail.example' to=x", "from='M' to=x"),
        ("http://x.example/canada/adage", "http://x.example/canada/adage"),
        ("http://x.example/mailto:bob@gmail.example.", "http://x.example/mailto:M."),
    ],
)
def test_a_url_loses_mailboxes_and_the_account_of_its_own_event(text: str, left: str) -> None:
    frame = _frame(EventKind.PROXY, user_name=["ada"], url_original=[text], url_domain=["x.example"])
    made = _names().event_frame(EventKind.PROXY, frame)
    got = made["url_original"][0].replace(_names().user("ada"), "U")
    assert PATTERN.sub("M", got) == left
    assert made["url_domain"].to_list() == ["x.example"], "servers keep their names"


def test_every_column_of_ours_is_either_a_name_or_text_or_known_to_be_neither() -> None:
    """A new column must be thought about: add it here, to KINDS or to TEXTS."""
    words = ("user", "address", "mac", "host_name", "client_id", "duid", "device", "subject", "url_", "referrer")
    plain = {
        "email_subject_hash", "url_scheme", "url_domain", "url_port", "url_extension", "user_agent_original",
        "user_domain", "user_known",
    }  # fmt: skip
    columns = {c for kind in EventKind for c in polars_schema(kind.value)}
    forgotten = {c for c in columns if any(w in c for w in words)} - KINDS.keys() - TEXTS - plain
    assert not forgotten


KEY = {
    "user_name": "ada",
    "email_from_address": "ada@schools.example",
    "source_ip": "10.9.8.7",
    "source_mac": "aa:bb:cc:dd:ee:ff",
    "source_site": "north",
    "internal_ip": "10.9.8.7",
    "an_alias": "ada",
}


def test_a_violation_keeps_all_but_names() -> None:
    summary = {
        "user_name": "SCHOOLS\\Ada", "source_ip": "10.9.8.7", "url_path": "/home/ada/", "event_outcome": "failure",
        "recipients_outside": 3, "message": "ada",
    }  # fmt: skip
    record = violation_of(KEY, summary)
    before = json.dumps(record)
    names = _names()
    made = violation(names, record)
    assert json.dumps(record) == before, "what goes on to others is not changed"
    assert {k for k in record if record[k] != made[k]} == {"group_key", "permit", "evidence"}
    ada, address = names.user("ada"), names.pseudonyms.of(Kind.ADDRESS, "10.9.8.7")
    key = made["group_key"]
    assert (key["user_name"], key["an_alias"], key["source_ip"], key["internal_ip"]) == (ada, ada, address, address)
    assert key["source_site"] == "north"
    shown = json.loads(made["evidence"][0]["summary"])
    assert (shown["user_name"], shown["url_path"], shown["message"]) == (ada, f"/home/{ada}/", ada)
    assert (shown["event_outcome"], shown["recipients_outside"]) == ("failure", 3)
    permit = json.loads(made["permit"])
    assert permit == {"who": ada, "granted_by": names.user("bob"), "reason": WITHHELD, "clause": 13}
    text = json.dumps(made).lower()
    assert not [word for word in ("ada", "10.9.8.7", "aa:bb", SECRETS[2]) if word in PATTERN.sub("", text)]


def test_computed_columns_count_as_names_unless_they_are_known_not_to_be() -> None:
    names = _names()
    computed = {d.name for d in DERIVED} | {"person", "subject", "recipient_person", "a_new_one"}
    told = {c for c in computed if group_key(names, {c: "ada"})[c] == "ada"}
    assert told <= {
        "sender_internal", "recipients_internal", "recipients_outside", "source_site", "source_device_kind",
        "source_mac_known", "source_mac_random", "source_address_shared", "source_mac_vendor", "sender_kind",
        "dhcp_server_known", "outside_domain", "addressed_outside",
        "public_domains", "url_categories", "navigation", "download_kind",
        "active_minute", "person_roles", "person_site", "user_roles", "host_name_known",
        "message_key", "executable_attachment",  # free text: scrubbed
    }  # fmt: skip
    kinds = {"ada": "user", "aa:bb:cc:dd:ee:ff": "device", "10.9.8.7": "address", "ada@gmail.example": "mail"}
    for text, kind in kinds.items():
        assert group_key(names, {"subject": text})["subject"].startswith(f"{kind}-")
    assert group_key(names, {"subject": "ada"})["subject"] == group_key(names, {"user_name": "ada"})["user_name"]


def test_new_keys_are_taken_and_names_of_the_old_one_are_still_written(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    keys.ensure(path)
    live = LiveNames(path, DISTRICT)
    live.tick(0.0)
    old = live.names.user("ada")
    keyring = keys.rotate(path)
    live.tick(LOOK_S / 2)
    assert live.names.user("ada") == old, "not yet looked"
    live.tick(LOOK_S * 2)
    new = live.names.user("ada")
    written = {n.pseudonym: unseal(keyring, n.pseudonym, n.sealed) for n in live.take_new()}
    assert (old != new, written) == (True, {old: "ada", new: "ada"})
    assert live.take_new() == []
    path.write_text("")
    live.tick(LOOK_S * 4)
    assert live.names.user("ada") == new, "a file that is wrong changes nothing"


def test_a_container_comes_out_as_it_went_in_but_for_names(tmp_path: Path) -> None:
    keys.ensure(tmp_path / "keys")
    frame = _frame(EventKind.DHCP, source_mac=["aa:bb:cc:dd:ee:ff"] * 3, event_id=["x"] * 3)
    frame = frame.with_columns(pl.col(pl.String).fill_null(""), pl.col(pl.Int64, pl.Int32).fill_null(0))
    frame = frame.with_columns(
        pl.col(pl.Boolean).fill_null(value=False), timestamp=pl.lit(0).cast(frame["timestamp"].dtype)
    )
    (data,) = LiveNames(tmp_path / "keys", DISTRICT).containers("dhcp", frame)
    back = decode("dhcp", data)
    assert back.drop("source_mac").equals(frame.select(back.columns).drop("source_mac"))
    assert back["source_mac"].str.starts_with("device-").all()


def test_a_subject_and_an_alias_have_the_pseudonym_of_what_they_are() -> None:
    names = _names()
    for text, column in (
        ("ada", "user_name"), ("aa:bb:cc:dd:ee:ff", "source_mac"), ("10.9.8.7", "source_ip"),
        ("x@else.example", "email_from_address"),
    ):  # fmt: skip
        same = group_key(names, {column: text})[column]
        assert same != text
        assert group_key(names, {"subject": text, "who": text}) == {"subject": same, "who": same}


def test_details_that_name_somebody_are_pseudonyms_too() -> None:
    names = _names()
    got = names.value("event_details", "SubjectUserName=Ada")
    assert got == f"SubjectUserName={names.user('ada')}"
    assert names.value("event_details", "LogonProcessName=User32") == "LogonProcessName=User32"
