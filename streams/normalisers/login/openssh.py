"""The authentication log of a Unix host to login events: OpenSSH, Dropbear, PAM, su, sudo and login.

One attempt is one countable event. `login` is only ever the verdict of the program that decided: sshd's `Accepted` and
`Failed`, Dropbear's, su's, sudo's and login's own lines, and PAM's for display managers, which say nothing themselves.
What others write about the same attempt has an action of its own:

- `login`: a verdict, `success` or `failure`.
- `login_step`: not a verdict: `Failed none` (a probe for the methods offered), `Postponed`, `Partial`.
- `authentication`: PAM's result for a program that gives its own verdict.
- `unknown_user`: the account does not exist; the verdict has a line of its own.
- `refused`: turned away by a rule: not allowed, not in sudoers, refused connect.
- `attempts_exceeded`: too many attempts, an account locked by pam_tally2 or pam_faillock.
- `handshake_failed`: it never came to a login: no common algorithm, no SSH at the other end, time out.
- `connection`, `disconnect`, `session_start`, `session_end`.

`event_dataset` is `openssh` for SSH servers and `pam` for PAM and the programs around it.

Facts: the messages in OpenSSH's auth.c, auth2.c, sshd.c, packet.c, session.c and monitor.c (3.8 to 9.9), linux-PAM's
pam_unix, pam_tally2, pam_faillock and pam_succeed_if, sudo's logging, shadow's and util-linux' su and login, and
Dropbear's svr-auth*.c.
"""

from __future__ import annotations

import re
from typing import Final

from schemas.kinds import EventKind
from streams.normalisers.lines import LineNormaliser, Taken
from streams.normalisers.login.dropbear import dropbear
from streams.normalisers.login.login_fields import LOGIN_COLUMNS
from streams.normalisers.login.pam import pam
from streams.normalisers.login.sshd import sshd
from streams.normalisers.login.switching import login_program, su, sudo
from streams.normalisers.reasons import Ignored
from streams.normalisers.syslog import SyslogLine

ACTIONS: Final = (
    "login",
    "login_step",
    "authentication",
    "unknown_user",
    "refused",
    "attempts_exceeded",
    "handshake_failed",
    "connection",
    "disconnect",
    "session_start",
    "session_end",
)

_SSHD = frozenset({"sshd", "sshd-session", "sshd-auth", "ssh"})
_PAM = re.compile(r"(?:\()?pam_\w+[(:)\[]|PAM \d+ more authentication failure")
_OLD_PAM = re.compile(r"(.+)\((pam_\w+)\)\Z")  # Red Hat's tag of old: sshd(pam_unix)[123]
_MANAGERS = ("systemd-logind", "systemd", "polkitd", "dbus", "gnome-keyring", "ssh-agent")
_TRANSFER = ("sftp-server", "internal-sftp", "scponly", "scp")


class OpensshNormaliser(LineNormaliser):
    """auth.log, secure or the journal's text: every program that writes there."""

    kind = EventKind.LOGIN
    type_name = "openssh"
    COLUMNS = LOGIN_COLUMNS
    NEVER = frozenset("access_point nas_port source_mac session_id".split())

    def take(self, line: SyslogLine) -> Taken:
        """What a line says."""
        program, message = line.program or "", line.message
        name = program.rpartition("/")[2]
        if message.startswith(("pam_", "(pam_", "PAM ")) and _PAM.match(message):
            return pam(message, name)
        if name in _SSHD or (not name and message):
            return sshd(message)
        if name == "dropbear":
            return dropbear(message)
        return _other(name, message)


def _other(name: str, message: str) -> Taken:
    """Lines of programs beside the SSH servers."""
    lower = name.lower()
    old_pam = _OLD_PAM.match(name)
    if old_pam:
        return pam(f"{old_pam[2]}({old_pam[1]}): {message}", old_pam[1])
    if lower == "sudo":
        return sudo(message)
    if lower in ("su", "su-l"):
        return su(message)
    if lower == "login":
        return login_program(message)
    if lower in ("cron", "crond", "atd", "anacron"):
        return Ignored.CRON_JOB
    if lower in _TRANSFER:
        return Ignored.FILE_TRANSFER
    return Ignored.SESSION_MANAGER if lower.startswith(_MANAGERS) else Ignored.OTHER_PROGRAM
