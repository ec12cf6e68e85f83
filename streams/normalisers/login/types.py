"""Logins to hosts, services and domains."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from schemas.kinds import EventKind
from streams.normalisers.types import NormaliserType, program

TYPES: Final[Mapping[str, NormaliserType]] = {
    "openssh": NormaliserType(
        EventKind.LOGIN,
        "streams.normalisers.login.openssh:OpensshNormaliser",
        "auth.log or secure: OpenSSH, Dropbear, PAM, su, sudo, login",
        needs="LogLevel VERBOSE in sshd_config to see the keys that failed; UseDNS no",
        claims=program("sshd|sshd-session|sshd-auth|dropbear|sudo|su|login|systemd-logind"),
    ),
    "dovecot": NormaliserType(
        EventKind.LOGIN,
        "streams.normalisers.login.dovecot:DovecotNormaliser",
        "Dovecot: IMAP, POP3, ManageSieve and submission logins, through syslog or its own log file",
        needs="login_log_format_elements with user, method, rip and session; auth_verbose_passwords = no",
        claims=re.compile(
            rb"(?:^|[ /])dovecot(?:\[\d+\])?: |"
            rb"(?:^|[\d\s])(?:imap|pop3|managesieve|submission)-login: (?:Info: )?(?:Login|Disconnected|Aborted login)"
        ),
    ),
}
