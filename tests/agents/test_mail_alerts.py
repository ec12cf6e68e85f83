"""Alerts by e-mail, against a real mail server: who gets what, over which connection, and what goes wrong."""

from __future__ import annotations

import logging
import smtplib
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from pydantic import ValidationError

from agents.alerts import sending
from agents.alerts.mail import Mail, MailServer
from agents.alerts.sending import Alerts
from agents.alerts.wording import Wording
from agents.privacy.records import WITHHELD
from agents.settings import MailSettings
from agents.stages.notify import server_of
from infra.embedded.ports import LOOPBACK, free_ports
from schemas import metrics as names
from schemas.metrics import Metrics
from tests.privacy.records import violation_of

PASSWORD = "c0rrect-h0rse"
NOW = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
HEAD, DEAN = "head@school.example", "dean@school.example"


class Office:
    """A mail server's mind: what it took, whom it refuses with which codes, one after the other."""

    def __init__(self) -> None:
        self.took: list[tuple[str, list[str], Message]] = []
        self.refusals: dict[str, list[str]] = {}
        self.asked: list[str] = []
        self.password = PASSWORD

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        self.asked.append(address)
        if self.refusals.get(address):
            return self.refusals[address].pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        assert isinstance(content, bytes)
        self.took.append((envelope.mail_from or "", envelope.rcpt_tos, message_from_bytes(content)))
        return "250 OK"

    def authenticated(self, _server: SMTP, _session: Session, _envelope: Envelope, _way: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        good = (data.login, data.password) == (b"aup", self.password.encode())
        return AuthResult(success=good, handled=False)


@contextmanager
def _open(office: Office, folder: Path, tls: str = "none", *, login: bool = False) -> Iterator[MailServer]:
    ca = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert(LOOPBACK, "localhost").configure_cert(context)
    ca.cert_pem.write_to_path(folder / "ca.pem")
    (port,) = free_ports(1)
    more: dict[str, Any] = {"auth_required": True, "authenticator": office.authenticated} if login else {}
    if tls == "starttls":
        more |= {"tls_context": context, "require_starttls": True}
    elif login:
        more |= {"auth_require_tls": False}
    if tls == "tls":
        more["ssl_context"] = context
    server = Controller(office, hostname=LOOPBACK, port=port, **more)
    server.start()
    (folder / "password").write_text(f"{PASSWORD}\n")
    user, password = ("aup", str(folder / "password")) if login else ("", "")
    try:
        yield MailServer(LOOPBACK, port, tls, str(folder / "ca.pem"), user, password, 5.0)  # type: ignore[arg-type]  # one of three
    finally:
        server.stop()


def _violation(**changes: Any) -> dict[str, Any]:
    return violation_of({"email_from_address": "zoe@school.example", "source_site": "north"}) | changes


def _alerts(server: MailServer, tries: int = 1, metrics: Metrics | None = None) -> Alerts:
    mail = Mail(server, "aupstream@school.example", ZoneInfo("America/Denver"), lambda: NOW)
    return Alerts([mail], tries, threading.Event(), Wording(None), metrics)


def test_each_who_is_to_be_told_gets_a_message_of_their_own_without_a_name(tmp_path: Path) -> None:
    office, violation = Office(), _violation()
    with _open(office, tmp_path) as server:
        alerts = _alerts(server)
        alerts.send(violation, [HEAD, DEAN])
        alerts.send(violation | {"version": 2, "status": "withdrawn"}, [HEAD])
    assert [(sender, to, m["To"]) for sender, to, m in office.took] == [
        ("aupstream@school.example", [who], who) for who in (HEAD, DEAN, HEAD)
    ]
    first, other, later = (m for _, _, m in office.took)
    assert first["Subject"] == f"clause {violation['clause']}: {violation['rule_title']}"
    assert later["Subject"] == f"Withdrawn: {first['Subject']}"
    assert {m["References"] for m in (first, other, later)} == {f"<{violation['id']}@school.example>"}
    assert len({m["Message-ID"] for m in (first, other, later)}) == 3
    assert (first["Auto-Submitted"], first["Date"]) == ("auto-generated", "Mon, 02 Mar 2026 10:00:00 -0700")
    text = first.get_payload(decode=True)
    assert isinstance(text, bytes)
    lines = text.decode().splitlines()
    assert {f"email_from_address: {WITHHELD}", "source_site: north"} <= set(lines)
    assert f"violation: {violation['id']}, version {violation['version']}" in lines
    assert any(line.startswith("since: ") and line.endswith((" MST", " MDT")) for line in lines)
    assert not [m for m in (first, other, later) if "zoe" in m.as_string()]
    assert alerts.sent == 3


def test_what_comes_twice_is_the_same_message(tmp_path: Path) -> None:
    office = Office()
    with _open(office, tmp_path) as server:
        for _ in range(2):
            _alerts(server).send(_violation(), [HEAD])
    (_, _, first), (_, _, again) = office.took
    assert first["Message-ID"] == again["Message-ID"]


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_over_tls_with_a_password_that_is_read_anew(tmp_path: Path, tls: str) -> None:
    office = Office()
    with _open(office, tmp_path, tls, login=True) as server:
        alerts = _alerts(server)
        alerts.send(_violation(), [HEAD])
        office.password = "an0ther"
        (tmp_path / "password").write_text("an0ther")
        alerts.send(_violation(), [HEAD])
    assert (len(office.took), alerts.failed) == (2, 0)


def test_a_wrong_password_gets_a_clear_word_that_does_not_hold_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    office = Office()
    with _open(office, tmp_path, "starttls", login=True) as server, caplog.at_level(logging.ERROR):
        office.password = "changed"
        _alerts(server, tries=2).send(_violation(), [HEAD])
    (said,) = caplog.messages
    assert "was not delivered to the mail server: it answers 535" in said
    assert PASSWORD not in caplog.text


def test_an_unknown_authority_is_not_trusted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "other").mkdir()
    trustme.CA().cert_pem.write_to_path(tmp_path / "other" / "ca.pem")
    office = Office()
    with _open(office, tmp_path, "starttls", login=True) as server:
        other = MailServer(server.host, server.port, "starttls", str(tmp_path / "other" / "ca.pem"))
        _alerts(other).send(_violation(), [HEAD])
    assert "certificate verify failed" in caplog.text
    assert not office.took


def test_one_who_is_refused_does_not_keep_it_from_others_and_is_not_tried_again(tmp_path: Path) -> None:
    office, metrics = Office(), Metrics()
    office.refusals = {HEAD: ["550 no such mailbox"] * 3, DEAN: ["451 later"]}
    with _open(office, tmp_path) as server:
        alerts = _alerts(server, tries=3, metrics=metrics)
        alerts.send(_violation(), [HEAD, DEAN])
    assert [to for _, to, _ in office.took] == [[DEAN]]
    assert office.asked == [HEAD, DEAN, DEAN]
    assert (alerts.sent, alerts.failed) == (1, 1)
    assert metrics.value(names.ALERTS_FAILED, channel="mail server") == 1


def test_an_address_that_no_message_can_go_to_keeps_it_from_nobody_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    office = Office()
    with _open(office, tmp_path) as server:
        alerts = _alerts(server, tries=3)
        alerts.send(_violation(), ["head@school.example\nBcc: all@school.example", DEAN])
    assert [to for _, to, _ in office.took] == [[DEAN]]
    assert (alerts.sent, alerts.failed) == (1, 1)
    assert "no message can be made of it" in caplog.text


def test_a_server_that_is_away_is_tried_so_many_times(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    office = Office()
    with _open(office, tmp_path) as server:
        pass
    alerts = _alerts(server, tries=2)
    alerts.send(_violation(), [HEAD])
    assert alerts.failed == 1
    assert "ConnectionRefusedError" in caplog.text
    with pytest.raises(OSError, match="refused"):
        smtplib.SMTP(server.host, server.port, timeout=1)


def test_after_one_in_vain_the_next_are_tried_a_few_times_until_one_arrives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "FEW", 2)
    office, later = Office(), "451 later"
    with _open(office, tmp_path) as server:
        alerts = _alerts(server, tries=3)
        for refusals in ([later] * 3, [later] * 2, [], [later] * 3):
            office.refusals = {HEAD: list(refusals)}
            alerts.send(_violation(), [HEAD])
    assert len(office.asked) == 3 + 2 + 1 + 3
    assert (alerts.sent, alerts.failed) == (1, 3)


@pytest.mark.parametrize(
    ("written", "host", "port"),
    [
        ("smtp.example", "smtp.example", 587), ("smtp.example:2525", "smtp.example", 2525),
        ("10.0.0.5", "10.0.0.5", 587),
        ("[::1]", "::1", 587), ("[fd00::5]:25", "fd00::5", 25),
    ],
)  # fmt: skip
def test_a_server_is_written_with_or_without_a_port(written: str, host: str, port: int) -> None:
    server = server_of(MailSettings(server=written, sender="a@b.example"), 5.0)
    assert (server.host, server.port) == (host, port)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"server": "smtp example"}, "is no server"), ({"server": "smtp.example:99999"}, "is no server"),
        ({"server": "smtp://smtp.example"}, "is no server"), ({"sender": "nobody"}, "is no address"),
        ({"user": "aup"}, "belong together"),
        ({"user": "aup", "password_file": "p", "tls": "none"}, "in the clear"), ({"tls": "ssl"}, "starttls"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_meant_are_refused(changes: dict[str, str], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        MailSettings.model_validate({"server": "smtp.example", "sender": "a@b.example"} | changes)
