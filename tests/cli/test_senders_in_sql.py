"""Who sent a mail: SQL says the same as the engine."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import polars.selectors as cs
import pytest

from agents.context.inventory import Inventory
from agents.context.maillists import MailLists
from agents.engine.enrich import Enricher
from agents.rules.convert_keys import Keys
from agents.rules.convert_senders import with_senders
from agents.rules.examples import frame_of
from agents.sinks.avro_columns import clickhouse_columns
from schemas.codec import encode
from schemas.kinds import EventKind
from tests.detect.test_senders import DISTRICT, FORGED, NOBODYS, PLAIN, POSTFIX, ROSTER, SASL
from tests.embedded.databases import events_database
from tests.embedded.servers_fixture import RunningServers


@pytest.mark.servers
@pytest.mark.parametrize("known", ["nobody", "people", "lists"])
def test_who_sent_a_mail_is_the_same_in_sql(embedded_servers: RunningServers, known: str) -> None:
    lists = MailLists.parse("address,owners\nstaff@school.example,js@staff.school.example;ben\n", "lists.csv")
    district = {"nobody": PLAIN, "people": DISTRICT, "lists": PLAIN.knowing(ROSTER, lists=lists)}[known]
    columns = ["sender_address", "sender_internal", "sender_kind", "delivered_recipients", "mailed_recipients"]
    mails = frame_of(EventKind.MAIL, [_row(n, mail) for n, mail in enumerate(_mails())])
    mails = mails.with_columns(cs.list().fill_null([]), cs.boolean().fill_null(value=False))
    judged = Enricher(district, Inventory.none()).add(mails, EventKind.MAIL, columns)
    said = Keys(district, Inventory.none()).derived(EventKind.MAIL)
    with events_database(embedded_servers) as store:
        store.insert_containers("events_mail", clickhouse_columns("mail"), [(encode("mail", mails), None)])
        table = with_senders("events_mail", district, Keys(district, Inventory.none()).internal)
        query = f"SELECT event_id, {', '.join(said[c] for c in columns)} FROM {table} ORDER BY event_id"  # noqa: S608
        found = store.execute(query)
    expected = judged.select("event_id", *columns).sort("event_id").rows()
    assert [tuple(row) for row in found] == expected
    assert len(set(judged["sender_address"])) > 10


def _row(number: int, mail: dict[str, Any]) -> dict[str, Any]:
    """A mail with what every event has."""
    at = datetime(2026, 3, 2, tzinfo=UTC) + timedelta(seconds=number)
    place = {"log_source": "m", "log_generation": "g", "log_offset": number, "log_sub": 0, "log_hash": "h"}
    flags = {"late": False, "time_suspect": False}
    return {
        "event_id": f"{number:04}",
        "timestamp": at,
        "event_dataset": "x",
        "email_local_id": "q",
        **place,
        **flags,
        **mail,
    }


def _mails() -> Iterator[dict[str, Any]]:
    """Every login with every envelope sender, and every server; to a list and to somebody."""
    logins = (None, "", "anna", " SCHOOL\\Ben", "js@staff.school.example", "lms", "cleo@mail.school.example", "home",
              "x@shop.example", "john.smith", "jsmith@mailhost", "m\\xfcller",
              "anna@staff.school.example", "jsmith@school.example", "kai+x@school.example", "anna@ad.local",
              "jsmith@ad.local", "lms@school.example.", "SCHOOL\\post@staff.school.example", "post", "SCHOOLS/Ben",
              "SCHOOLS\\x/ben", "uid= anna ,dc=x", "UID=kim+sn=k", "cn=ben,dc=x", "samaccountname=lms",
              "11-22-33-44-55-66@x", "123456789012", "scan1$", "other$", *NOBODYS)  # fmt: skip
    written = (
        None,
        "",
        "anna",
        "Anna+x@school.example",
        "js@staff.school.example.",
        "jsmith@school.example",
        "staff-bounces@school.example",
        "lms@school.example",
        "home@elsewhere.example",
        "cleo@a.school.example",
    )
    servers = ({**POSTFIX}, FORGED, SASL, {"event_dataset": "m365_trace", "email_direction": "inbound"})
    reached = {
        "email_to_address": ["staff@school.example", "fan@elsewhere.example"],
        "email_to_original_address": ["", ""],
        "email_to_status": ["sent", "sent"],
        "email_to_filter": [False, False],
    }
    for login, envelope, server in itertools.product(logins, written, servers):
        yield {"user_name": login, "email_from_address": envelope, **server, **reached}


@pytest.mark.servers
def test_an_answer_and_whom_it_was_mailed_to_are_the_same_in_sql(embedded_servers: RunningServers) -> None:
    columns = ["email_reply", "mailed_recipients", "recipients_outside"]
    subjects = (
        "Re: x",
        "[EXTERNAL] RE : x",
        "Fwd: Re: x",
        "R\u00c9P\u00a0: x",
        "\u56de\u590d\uff1ax",
        "x\nRe: x",
        "",
        None,
    )
    people = {n: [f"p{i}@school.example" for i in range(2)] + [f"f{i}@x.example" for i in range(n)] for n in (0, 9, 10)}
    mails = [
        {"email_subject": subject, "email_message_id": f"m{n}", "email_to_address": to,
         "email_to_status": ["sent"] * len(to), "email_to_filter": [False] * len(to)}
        for subject in subjects for n, to in people.items()
    ]  # fmt: skip
    frame = frame_of(EventKind.MAIL, [_row(n, mail) for n, mail in enumerate(mails)])
    frame = frame.with_columns(cs.list().fill_null([]), cs.boolean().fill_null(value=False))
    judged = Enricher(PLAIN, Inventory.none()).add(frame, EventKind.MAIL, columns)
    said, internal = Keys(PLAIN, Inventory.none()).derived(EventKind.MAIL), Keys(PLAIN, Inventory.none()).internal
    with events_database(embedded_servers) as store:
        store.insert_containers("events_mail", clickhouse_columns("mail"), [(encode("mail", frame), None)])
        table = with_senders("events_mail", PLAIN, internal)
        query = f"SELECT event_id, {', '.join(said[c] for c in columns)} FROM {table} ORDER BY event_id"  # noqa: S608
        found = store.execute(query)
    assert [tuple(row) for row in found] == judged.select("event_id", *columns).sort("event_id").rows()
    assert judged["email_reply"].sum() == 4 * len(people)
