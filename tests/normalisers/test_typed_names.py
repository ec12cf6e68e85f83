"""A password typed where the user name goes, in formats whose servers do not say that the account is none."""

from __future__ import annotations

import pytest

from streams.normalisers.abstract import LineChunk
from streams.normalisers.masking import MASK
from streams.normalisers.registry import make
from tests.normalisers.golden_files import SETTINGS

FAILED = [
    (
        "dovecot",
        (
            "Mar  1 08:00:00 mx dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<{}>, "
            "method=PLAIN, rip=203.0.113.9, lip=192.0.2.1, TLS, session=<x>"
        ),
    ),
    (
        "freeradius",
        (
            "Fri Mar  1 08:00:00 2024 : Auth: (7) Login incorrect (ldap: User not found: {}): [{}] "
            "(from client ap1 port 3 cli 02-00-00-00-00-01)"
        ),
    ),
    ("vsftpd", 'Fri Mar  1 08:00:00 2024 [pid 2] [{}] FAIL LOGIN: Client "198.51.100.7"'),
    ("pure_ftpd", "Mar  1 08:30:06 ftp3 pure-ftpd: (?@198.51.100.7) [WARNING] Authentication failed for user [{}]"),
    ("routeros", "Mar  1 08:00:00 gw system,error,critical login failure for user {} from 198.51.100.7 via ssh"),
    ("squid", "1709287262.125 42 10.20.1.15 TCP_DENIED/407 4120 GET http://a.example/ {} HIER_NONE/- text/html"),
]


def events_of(type_name: str, line: str) -> list[dict[str, object]]:
    return make(type_name, SETTINGS).normalise(LineChunk([line.encode()], [0])).events.to_dicts()


@pytest.mark.parametrize("typed", ["Summer2025!", "P@ssw0rd1", "xK7pQ2w9zz"])
@pytest.mark.parametrize(("type_name", "line"), FAILED, ids=[name for name, _ in FAILED])
def test_what_looks_like_a_password_is_nowhere_in_the_event(type_name: str, line: str, typed: str) -> None:
    (event,) = events_of(type_name, line.replace("{}", typed))
    assert event["user_name"] == MASK
    assert typed not in str(event)
    assert typed.rpartition("@")[2] not in str(event)


@pytest.mark.parametrize("typed", ["jdoe", "JSmith2024", "m.jones", "DESKTOP-1$", "jdoe@example.org", "SCHOOL1\\jdoe"])
@pytest.mark.parametrize(("type_name", "line"), FAILED, ids=[name for name, _ in FAILED])
def test_names_stay_readable(type_name: str, line: str, typed: str) -> None:
    (event,) = events_of(type_name, line.replace("{}", typed))
    assert event["user_name"] == typed.rpartition("\\")[2].partition("@")[0]


def test_an_account_that_logs_in_keeps_its_name_whatever_it_looks_like() -> None:
    line = 'Fri Mar  1 08:00:00 2024 [pid 2] [Summer2025!] OK LOGIN: Client "198.51.100.7"'
    (event,) = events_of("vsftpd", line)
    assert event["user_name"] == "Summer2025!"


def test_where_the_server_says_which_accounts_are_none_the_others_keep_their_names() -> None:
    line = "Mar  1 07:00:00 gate sshd[1]: Failed password for {}Kiosk#3room from 192.0.2.7 port 22 ssh2"
    (known,) = events_of("openssh", line.format(""))
    (unknown,) = events_of("openssh", line.format("invalid user "))
    assert (known["user_name"], unknown["user_name"]) == ("Kiosk#3room", MASK)
