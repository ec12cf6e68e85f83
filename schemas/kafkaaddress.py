"""How Kafka is reached: servers, TLS and login in one text, which names files and never holds a secret.

`host:port,host:port` for a broker without either, else the same with `?` and settings behind it, percent-encoded, such
as `kafka-1:9093?ca=%2Fetc%2Fca.pem&mechanism=SCRAM-SHA-512&user=aup&password_file=%2Frun%2Fsecret`. It may stand in
command lines, settings files and errors. Files are read where a connection is made; certificates are read again when
they change, so that they can be rotated under a running process.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from schemas.errors import ConfigError

SCRAM = ("SCRAM-SHA-256", "SCRAM-SHA-512")
OAUTH = "OAUTHBEARER"
MECHANISMS = (*SCRAM, OAUTH, "PLAIN")
log = logging.getLogger(__name__)
LOOK_AGAIN_S = 10.0  # how often certificates are looked at


@dataclass(frozen=True, slots=True)
class KafkaAddress:
    """Where Kafka is and how to come in.

    Attributes:
        servers: host:port, several separated by commas.
        tls: "1" where connections are encrypted; also where any of the files below is named.
        ca: File of the authorities that are trusted (PEM); empty: the system's.
        certificate: File of our own certificate (PEM), where Kafka asks for one.
        key: File of its key; empty: in the same file.
        mechanism: One of `MECHANISMS`; empty: no login.
        user: Account.
        password_file: File with its password.
        token_file: File with a bearer token, kept fresh by whoever gives it out; read at every connection.
    """

    servers: str
    tls: str = ""
    ca: str = ""
    certificate: str = ""
    key: str = ""
    mechanism: str = ""
    user: str = ""
    password_file: str = ""
    token_file: str = ""

    def __str__(self) -> str:
        """The text that `of` reads."""
        given = {name: getattr(self, name) for name in _SETTINGS if getattr(self, name)}
        return f"{self.servers}?{urlencode(given)}" if given else self.servers

    @staticmethod
    def of(text: str) -> KafkaAddress:
        """Read an address.

        Raises:
            ConfigError: a setting is unknown, or settings do not fit each other.
        """
        servers, _, query = text.partition("?")
        given = dict(parse_qsl(query, keep_blank_values=True))
        if unknown := sorted(given.keys() - set(_SETTINGS)):
            raise ConfigError(
                f"Kafka has no setting {unknown[0]!r}", where=servers, hint=f"known: {', '.join(_SETTINGS)}"
            )
        address = KafkaAddress(servers, **given)
        address.check()
        return address

    def check(self) -> None:
        """See whether settings fit each other.

        Raises:
            ConfigError: they do not.
        """
        for wrong, what, hint in (
            (
                self.mechanism and self.mechanism not in MECHANISMS,
                f"mechanism {self.mechanism!r} is unknown",
                f"one of {', '.join(MECHANISMS)}",
            ),
            (self.key and not self.certificate, "key is given without certificate", "name the certificate, too"),
            (
                self.mechanism == OAUTH and not self.token_file,
                f"{OAUTH} needs token_file",
                "name the file of the token",
            ),
            (
                self.mechanism in (*SCRAM, "PLAIN") and not (self.user and self.password_file),
                f"{self.mechanism} needs user and password_file",
                "name both",
            ),
            (
                not self.mechanism and (self.user or self.password_file or self.token_file),
                "a login without mechanism",
                f"set mechanism to one of {', '.join(MECHANISMS)}",
            ),
            (
                self.mechanism == "PLAIN" and not self.encrypted,
                "PLAIN without TLS would send the password to whoever listens",
                "set tls = true, or use SCRAM-SHA-512",
            ),
        ):
            if wrong:
                raise ConfigError(what, where=f"kafka ({self.servers})", hint=hint)

    @property
    def encrypted(self) -> bool:
        """Whether connections are encrypted."""
        return bool(self.tls or self.ca or self.certificate)

    @property
    def protocol(self) -> str:
        """Kafka's name for it."""
        wire = "SSL" if self.encrypted else "PLAINTEXT"
        return f"SASL_{wire}" if self.mechanism else wire

    def context(self) -> ssl.SSLContext | None:
        """TLS as configured, one object a process for the same files; None without TLS.

        Raises:
            ConfigError: a file cannot be read, or holds something else.
        """
        return _context(self.ca, self.certificate, self.key) if self.encrypted else None

    def password(self) -> str:
        """The password, read anew.

        Raises:
            ConfigError: the file cannot be read.
        """
        return _secret(self.password_file)

    def token(self) -> str:
        """The bearer token, read anew.

        Raises:
            ConfigError: the file cannot be read.
        """
        return _secret(self.token_file)


_SETTINGS = tuple(field.name for field in fields(KafkaAddress) if field.name != "servers")


def kafka_options(text: str) -> dict[str, Any]:
    """Settings of kafka-python's clients for an address.

    Raises:
        ConfigError: it is none, or a file of it cannot be read.
    """
    address = KafkaAddress.of(text)
    options: dict[str, Any] = {"bootstrap_servers": address.servers.split(",")}
    if address.protocol == "PLAINTEXT":
        return options
    options |= {"security_protocol": address.protocol, "ssl_context": address.context()}
    if address.mechanism == OAUTH:
        return options | {"sasl_mechanism": OAUTH, "sasl_oauth_token_provider": _token_provider(address)}
    if address.mechanism:
        options |= {"sasl_mechanism": address.mechanism, "sasl_plain_username": address.user}
        options["sasl_plain_password"] = address.password()
    return options


def _token_provider(address: KafkaAddress) -> object:
    # Imported here: contracts need Kafka's client for nothing else.
    from kafka.net.sasl.oauth import AbstractTokenProvider  # noqa: PLC0415

    class Provider(AbstractTokenProvider):  # type: ignore[misc]  # the client is untyped
        """Reads the file whenever a connection asks."""

        def token(self) -> str:
            return address.token()

    return Provider()


def _secret(path: str) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigError(
            f"the secret cannot be read: {reason}", where=path, hint="it must be readable by this account"
        ) from error


@cache
def _context(ca: str, certificate: str, key: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if ca else ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, ca, certificate, key)
    files = tuple(filter(None, (ca, certificate, key)))
    if files:
        threading.Thread(target=_follow, args=(context, files, (ca, certificate, key)), name="tls", daemon=True).start()
    return context


def _load(context: ssl.SSLContext, ca: str, certificate: str, key: str) -> None:
    for path in filter(None, (ca, certificate, key)):
        _secret(path)  # OpenSSL would not say which file it cannot read
    try:
        if ca:
            context.load_verify_locations(ca)
        if certificate:
            context.load_cert_chain(certificate, key or None)
    except (ssl.SSLError, OSError) as error:
        where = ", ".join(filter(None, (ca, certificate, key)))
        raise ConfigError(
            f"these are no certificates for TLS: {error}", where=where, hint="PEM files, and a key that fits"
        ) from error


def _follow(context: ssl.SSLContext, files: tuple[str, ...], names: tuple[str, str, str]) -> None:
    """Read files again when they have changed. Half a rotation is passed over: what was read before goes on."""
    seen = told = _stamps(files)
    while True:
        time.sleep(LOOK_AGAIN_S)
        now = _stamps(files)
        if now == seen:
            continue
        try:
            # In a context that nobody uses: one that is given a certificate and not its key is left without either.
            _load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), *names)
            _load(context, *names)
        except ConfigError as error:
            if now != told:
                log.warning("the certificates read before stay in use: %s", error)
            told = now
        else:
            seen = told = now
            log.info("certificates for Kafka were read again")


def _stamps(files: tuple[str, ...]) -> list[tuple[int, int]]:
    found = []
    for path in files:
        try:
            status = Path(path).stat()
            found.append((status.st_mtime_ns, status.st_ino))
        except OSError:
            found.append((0, 0))
    return found
