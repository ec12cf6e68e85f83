"""Whom a mail is put down to: who logged in to send it, else its sender; nobody where somebody outside handed it in."""

from __future__ import annotations

from typing import Any

import pytest

from agents.context.district import District, Site
from agents.context.inventory import Inventory
from agents.context.roster import Roster
from agents.context.senders import Sender, names_of, sender_of
from agents.engine.enrich import Enricher
from agents.rules.examples import frame_of
from schemas.kinds import EventKind

ROSTER = Roster.parse(
    "account,roles,mail\n"
    "anna,teacher,anna@school.example\nben,teacher,ben@school.example\ncleo,teacher,\n"
    "jsmith,teacher,john.smith@school.example;js@staff.school.example\nhome,substitute,home@elsewhere.example\n"
    "lms,service,\npost,service,mailer@school.example\nscan1$,service,\n",
    "roster.csv",
)
PLAIN = District.of("d", "UTC", ["school.example", "staff.school.example"], [Site("north", ("198.51.100.0/24",))])
DISTRICT = PLAIN.knowing(ROSTER)
OUTSIDE, POSTFIX = "203.0.113.9", {"event_dataset": "postfix"}
FORGED = {**POSTFIX, "source_ip": OUTSIDE}
SASL = {**FORGED, "login_method": "PLAIN"}


def _sent(mail: dict[str, Any], district: District = DISTRICT) -> tuple[str | None, str | None, str | None]:
    """Person, subject and kind of sender."""
    frame = frame_of(EventKind.MAIL, [{"email_from_address": "anna@school.example", **mail}])
    made = Enricher(district, Inventory.none()).add(frame, EventKind.MAIL, ["person", "subject", "sender_kind"])
    return made["person"][0], made["subject"][0], made["sender_kind"][0]


@pytest.mark.parametrize(
    ("mail", "person"),
    [
        ({}, "anna"),
        ({**POSTFIX, "source_ip": "10.3.0.4"}, "anna"),
        ({**POSTFIX, "source_ip": "::1"}, "anna"),
        ({**POSTFIX, "source_ip": "198.51.100.7"}, "anna"),
        ({**FORGED, "source_domain": "mail-eopbgr1.outbound.protection.outlook.com"}, "anna"),
        ({"event_dataset": "m365_trace", "source_ip": OUTSIDE, "email_direction": "internal"}, "anna"),
        ({"event_dataset": "barracuda", "source_ip": OUTSIDE}, "anna"),
        ({"event_dataset": "fortimail", "source_ip": "10.3.0.4", "email_direction": "inbound"}, "anna"),
        ({**SASL, "user_name": "anna"}, "anna"),
        ({**SASL, "user_name": "SCHOOL\\Anna"}, "anna"),
        ({**SASL, "user_name": "Anna@school.example"}, "anna"),
        ({**SASL, "user_name": "ben"}, "ben"),
        ({**SASL, "user_name": "John.Smith@school.example", "email_from_address": "me@elsewhere.example"}, "jsmith"),
        ({"event_dataset": "google_mail_log", "user_name": "ben@school.example"}, "ben"),
        ({**POSTFIX, "user_name": "33"}, "anna"),
        ({"event_dataset": "sendmail", "user_name": "apache"}, "anna"),
        ({"event_dataset": "fortimail", "event_action": "released", "user_name": "ben"}, "anna"),
    ],
)
def test_a_mail_of_somebody_is_put_down_to(mail: dict[str, Any], person: str) -> None:
    assert _sent(mail)[:2] == (person, person)


@pytest.mark.parametrize(
    "mail",
    [
        {"email_direction": "inbound"},
        {"email_direction": "inbound", "source_ip": "10.3.0.4", "event_dataset": "exchange_tracking"},
        FORGED,
        {**FORGED, "source_domain": "mail.evilgoogle.com"},
        {**FORGED, "user_name": "4711"},
        {**FORGED, "event_dataset": "fortimail", "email_direction": "inbound"},
    ],
)
def test_a_sender_that_somebody_outside_gave_as_theirs_is_nobody(mail: dict[str, Any]) -> None:
    assert _sent(mail) == (None, None, "outside")


def test_senders_of_elsewhere_stay_who_they_are() -> None:
    assert _sent({**FORGED, "email_from_address": "x@shop.example"}) == (None, "x@shop.example", None)


def test_where_the_district_names_no_network_no_client_is_known_to_be_outside() -> None:
    assert _sent(FORGED, District.of("d", "UTC", ["school.example"]))[0] == "anna"


@pytest.mark.parametrize(
    ("address", "account"),
    [
        ("Anna@School.example", "anna"),
        ("anna+shop@school.example", "anna"),
        ("john.smith+x@school.example", "jsmith"),
        ("js@staff.school.example", "jsmith"),
        ("jsmith@school.example", "jsmith@school.example"),
        ("jsmith+x@school.example", "jsmith+x@school.example"),
        ("jsmith@alumni.school.example", "jsmith@alumni.school.example"),
        ("anna@staff.school.example", "anna@staff.school.example"),
        ("cleo@school.example", "cleo"),
        ("cleo+x@school.example.", "cleo"),
        ("cleo@staff.school.example", "cleo"),
        ("cleo@alumni.school.example", "cleo@alumni.school.example"),
        ("home@school.example", "home"),
        ("office@school.example", "office"),
        ("jsmith", "jsmith"),
    ],
)
def test_an_address_is_of_an_account_by_the_roster_or_by_what_stands_before_the_at(address: str, account: str) -> None:
    assert DISTRICT.account_of(address) == account
    assert _sent({"email_from_address": address})[0] == account


def test_without_a_roster_what_stands_before_the_at_is_the_account() -> None:
    assert PLAIN.account_of("Anna@school.example") == "anna"


@pytest.mark.parametrize(
    ("name", "account"),
    [
        ("SCHOOL\\JSmith", "jsmith"),
        (" jsmith@school.example", "jsmith"),
        ("john.smith@school.example", "jsmith"),
        ("jsmith@other.example", "jsmith@other.example"),
        ("m\\xfcller", "m\\xfcller"),
    ],
)
def test_a_name_that_somebody_logs_in_with_is_of_an_account(name: str, account: str) -> None:
    assert DISTRICT.account_of_login(name) == account


@pytest.mark.parametrize(
    ("login", "written", "address"),
    [
        ("anna", "anna@school.example", "anna@school.example"),
        ("anna", "Ben+x@school.example", "anna@school.example"),
        ("anna", "news@shop.example", "anna@school.example"),
        ("anna", None, "anna@school.example"),
        ("anna", "anna+x@north.school.example", "anna@school.example"),
        ("jsmith", "js@staff.school.example", "john.smith@school.example"),
        ("js@staff.school.example", "x@shop.example", "john.smith@school.example"),
        ("SCHOOL\\JSmith@mailhost", "anna@school.example", "john.smith@school.example"),
        ("cleo", "cleo@staff.school.example", "cleo@staff.school.example"),
        ("cleo", "cleo@alumni.school.example", "cleo@school.example"),
        ("cleo@staff.school.example", "anna@school.example", "cleo@staff.school.example"),
        ("cleo@mail.school.example", "anna@school.example", "cleo@school.example"),
        ("home", "anna@school.example", "home@school.example"),
        ("x@shop.example", "anna@school.example", "x@shop.example"),
        ("anna@staff.school.example", "anna@staff.school.example", "anna@staff.school.example"),  # another's namesake
        ("jsmith@school.example", "x@shop.example", "john.smith@school.example"),
        ("kai+x@school.example", "kai@school.example", "kai@school.example"),
        ("anna@EXAMPLE.LOCAL", "anna@school.example", "anna@school.example"),
        ("jsmith@example.local", "js@staff.school.example", "john.smith@school.example"),
        ("ben@example.local", "anna@school.example", "ben@example.local"),
        ("SCHOOLS/anna", "ben@school.example", "anna@school.example"),
        ("uid=Anna,ou=people,dc=school,dc=example", "ben@school.example", "anna@school.example"),
        ("uid=kim+sn=Kim,dc=example", "ben@school.example", "kim@school.example"),
        ("sAMAccountName=anna", "ben@school.example", "anna@school.example"),
        ("CN=anna,OU=Staff,DC=example", "ben@school.example", "anna@school.example"),
        ("lms", "Ben+x@school.example", "ben@school.example"),  # a service says who wrote
        ("lms", None, "lms@school.example"),
        ("lms@school.example.", "x@shop.example", "x@shop.example"),
        ("john.smith", "anna@school.example", "john.smith"),  # an account whose name is in another's address
        (None, "Anna+x@School.example", "anna@school.example"),
        (None, "js+x@staff.school.example", "john.smith@school.example"),
        (None, "home@elsewhere.example", "home@elsewhere.example"),
        (None, "X+a@shop.example", "x+a@shop.example"),
        (None, None, ""),
    ],
)
def test_a_sender_has_one_address_whatever_a_message_says(login: str | None, written: str | None, address: str) -> None:
    assert sender_of(DISTRICT, written, login).address == address


NOBODYS = ("ws1$", "SCHOOLS\\WS1$", "ws1$@school.example", "host/print.school.example", "anonymous@",
           "anonymous@lab.example", "3c:52:82:01:02:03", "(masked)", "\\", "smtp/anna", "anna/admin", "cleo/anna",
           "SCHOOLS/kim", "smtp/mail@example.local", "cn=Anna Lind,ou=people,dc=example", "cn=Lind\\, Anna,dc=example",
           "uid=a\\2cb,dc=example", "ou=people,dc=example", "/o=School/ou=x/cn=Recipients/cn=anna")  # fmt: skip


@pytest.mark.parametrize("login", NOBODYS)
def test_a_login_that_is_nobodys_is_none(login: str) -> None:
    assert sender_of(DISTRICT, "anna+x@school.example", login) == Sender("anna@school.example", "anna")
    assert _sent({**SASL, "user_name": login}) == (None, None, "outside")  # as without a login
    assert _sent({**POSTFIX, "source_ip": "10.3.0.4", "user_name": login}) == ("anna", "anna", "person")


def test_a_machine_that_the_roster_has_is_itself() -> None:
    roster = Roster.parse("account,roles\nscan1$,service\nhttp/x,teacher\n", "roster.csv")
    district = PLAIN.knowing(roster)
    assert sender_of(district, "", "scan1$") == Sender("scan1$@school.example", "scan1$", logged_in=True)
    assert sender_of(district, "", "http/x").account == "http/x"


@pytest.mark.parametrize(
    ("login", "person"),
    [
        ("anna@example.local", "anna"),
        ("jsmith@mailhost", "jsmith"),
        ("anna@staff.school.example", "anna@staff.school.example"),  # a namesake's
        ("kai+x@school.example", "kai"),
        ("john.smith", "john.smith"),
        ("x@shop.example", "x@shop.example"),
        ("uid=ben,dc=example", "ben"),
    ],
)
def test_a_person_is_whom_the_address_of_the_sender_is_of(login: str, person: str) -> None:
    sent = sender_of(DISTRICT, "anna@school.example", login)
    assert DISTRICT.account_of(sent.address) == sent.account == person
    assert _sent({**SASL, "user_name": login})[0] == person


def test_a_service_says_who_wrote_and_nobody_is_accused_by_that() -> None:
    relayed = {**SASL, "user_name": "SCHOOL\\lms"}
    assert _sent(relayed) == (None, "lms", "relayed")
    assert _sent({**relayed, "email_from_address": "lms@school.example"}) == (None, "lms", "service")
    assert _sent({**relayed, "email_from_address": "x@shop.example"}) == (None, "lms", None)
    assert _sent({**relayed, "email_from_address": None}) == (None, "lms", "service")


def test_without_a_mail_domain_a_login_says_nothing_of_addresses() -> None:
    assert sender_of(District(), "anna@school.example", "ben").address == "anna@school.example"
    assert sender_of(District(), None, "ben").address == "ben"


def test_all_addresses_of_a_sender_speak_in_their_favour() -> None:
    names = names_of(DISTRICT, "john.smith@school.example")
    assert {"jsmith", "js@staff.school.example"} <= set(names)
    assert names_of(DISTRICT, "home@elsewhere.example") == ("home@elsewhere.example",)
