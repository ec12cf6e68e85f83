"""Alerts by e-mail: a message to each who is to be told, so that none sees who else is."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from agents.alerts.sending import Alert, UndeliveredError
from agents.rules.model import VICTIM

PORTS = {"starttls": 587, "tls": 465, "none": 25}
_PERMANENT = 500  # reply codes from here on are final (RFC 5321, 4.2.1)
_KEY_NOT_ACCEPTED = 535  # RFC 4954: credentials; a password may just be being changed, so it is tried again


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where messages are handed in.

    Attributes:
        host: Name or address.
        port: TCP port.
        tls: `starttls` (after a greeting in the clear, and nothing more), `tls` from the first byte, or `none`.
        ca: File of trusted authorities (PEM); empty: the system's.
        user: Account; empty: none is asked for.
        password_file: File with its password, read anew for each message.
        timeout_s: Of one step.
    """

    host: str
    port: int
    tls: Literal["starttls", "tls", "none"] = "starttls"
    ca: str = ""
    user: str = ""
    password_file: str = ""
    timeout_s: float = 10.0

    @contextmanager
    def connected(self) -> Iterator[smtplib.SMTP]:
        """A connection, logged in.

        Raises:
            UndeliveredError: there is none to be had. Its words hold no password.
        """
        try:
            with self._open() as connection:
                if self.tls == "starttls":
                    connection.starttls(context=self._context())
                if self.user:
                    connection.login(self.user, Path(self.password_file).read_text("utf-8").strip())
                yield connection
        except smtplib.SMTPResponseException as error:
            for_good = error.smtp_code >= _PERMANENT and error.smtp_code != _KEY_NOT_ACCEPTED
            raise UndeliveredError(_answer(error.smtp_code, error.smtp_error), for_good=for_good) from error
        except smtplib.SMTPRecipientsRefused as error:
            ((code, text),) = error.recipients.values()
            raise UndeliveredError(_answer(code, text), for_good=code >= _PERMANENT) from error
        except (smtplib.SMTPException, OSError, UnicodeError) as error:
            message = f"{type(error).__name__}: {error}"
            raise UndeliveredError(message) from error

    def _open(self) -> smtplib.SMTP:
        if self.tls == "tls":
            return smtplib.SMTP_SSL(self.host, self.port, timeout=self.timeout_s, context=self._context())
        return smtplib.SMTP(self.host, self.port, timeout=self.timeout_s)

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.ca or None)


def _answer(code: int, text: bytes | str) -> str:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"it answers {code} {' '.join(words.split())[:200]}"


class Mail:
    """See `Channel`: one message a recipient.

    The same violation's messages are one thread to a mail program; the same version of it is the same message, so that
    one which comes twice can be told.

    Args:
        server: Takes the messages.
        sender: Address that they are from.
        zone: Zone of the times that they say.
        now: The time.
    """

    name = "mail server"

    def __init__(self, server: MailServer, sender: str, zone: ZoneInfo, now: Callable[[], datetime]) -> None:
        self._server, self._sender, self._zone, self._now = server, sender, zone, now

    def deliveries(self, alert: Alert) -> Sequence[Callable[[], None]]:
        """See `Channel`."""
        return [partial(self._send, alert, recipient) for recipient in alert["recipients"]]

    def _send(self, alert: Alert, recipient: str) -> None:
        try:
            message = self.message(alert, recipient)
        except (ValueError, IndexError) as error:  # how the standard library refuses an address or a title
            why = f"no message can be made of it: {error}"
            raise UndeliveredError(why, for_good=True) from error
        with self._server.connected() as connection:
            connection.send_message(message, self._sender, [recipient])

    def message(self, alert: Alert, recipient: str) -> EmailMessage:
        """What somebody gets."""
        domain = self._sender.rpartition("@")[2]
        to = blake2b(recipient.lower().encode(), digest_size=6).hexdigest()
        made = EmailMessage()
        taken_back = alert["status"] != "violation"
        title = " ".join(str(alert["title"]).split())
        made["Subject"] = (
            f"{alert['status'].capitalize() + ': ' if taken_back else ''}clause {alert['clause']}: {title}"
        )
        made["From"], made["To"] = self._sender, recipient
        made["Date"] = format_datetime(self._now().astimezone(self._zone))
        made["Message-ID"] = f"<{alert['id']}.{alert['version']}.{to}@{domain}>"
        made["References"] = f"<{alert['id']}@{domain}>"
        made["Auto-Submitted"] = "auto-generated"  # RFC 3834: nothing that is away answers it
        made.set_content("\n".join(self._lines(alert)) + "\n")
        return made

    def _lines(self, alert: Alert) -> Iterator[str]:
        seen = datetime.fromisoformat(alert["first_seen"]).astimezone(self._zone)
        if alert["status"] != "violation":
            yield f"What was reported before is now {alert['status']}."
            yield ""
        yield f"{alert['title']} (clause {alert['clause']}, {alert['severity']})"
        yield ""
        yield from (f"{column}: {text}" for column, text in alert["group_key"].items())
        if alert.get("about") == VICTIM:
            yield "The account is that of whom it was done to: it says nothing of who did it."
        yield f"since: {seen:%Y-%m-%d %H:%M:%S %Z}"
        yield f"events: {alert['count']}, measure: {alert['value']:g}"
        yield f"violation: {alert['id']}, version {alert['version']}"
        yield ""
        yield "This is what logs show, not a judgement. Evidence and known innocent causes are with the violation."

    def close(self) -> None:
        """Nothing stays open."""
