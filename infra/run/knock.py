"""Why Kafka does not let us in: one connection by hand, since a client says no more than that it cannot bootstrap.

TLS as configured, then the login: `SaslHandshake` (key 17, version 1) and `SaslAuthenticate` (key 36, version 0), field
by field after https://kafka.apache.org/protocol. The steps of a mechanism are those of Kafka's client.
"""

from __future__ import annotations

import socket
import ssl
import struct
import time
from typing import Any

from kafka.errors import AuthorizationError, KafkaError
from kafka.net.sasl import get_sasl_mechanism

from schemas.errors import AupstreamError, RetryableError, ServerError
from schemas.kafkaaddress import KafkaAddress, kafka_options

TIMEOUT_S = 5.0
_HANDSHAKE, _AUTHENTICATE = (17, 1), (36, 0)
_API_VERSIONS = (18, 0)
_CLIENT = b"aupstream"
_UNKNOWN_MECHANISM = 33


def knock(text: str) -> None:
    """Come in as a client would, at the first server that listens.

    Raises:
        ServerError: it does not let us in: TLS fails, the login is refused. Where no server listens nothing is raised:
            that may pass, and who calls waits for it.
        RetryableError: it ends the connection or says nothing: it may be no place for us, or a network that fails.
        ConfigError: a file of the address cannot be read.
    """
    address = KafkaAddress.of(text)
    for server in address.servers.split(","):
        host, _, port = server.rpartition(":")
        try:
            plain = socket.create_connection((host.strip("[]"), int(port)), timeout=TIMEOUT_S)
        except (OSError, ValueError):
            continue
        with plain:
            _come_in(plain, address, server, host)
        return


def refused(text: str, error: KafkaError, doing: str) -> AupstreamError:
    """What to say of an error of Kafka's client.

    Args:
        text: The address.
        error: What the client said.
        doing: What was being done, e.g. `topics cannot be made`.
    """
    address = KafkaAddress.of(text)
    if isinstance(error, AuthorizationError):
        who = address.user or "this account"
        hint = f"give {who} leave (an ACL) for topics and groups that begin with aup, and for the cluster's Create"
        return ServerError(
            f"{doing}: {who} is not allowed to ({type(error).__name__})", where=address.servers, hint=hint
        )
    return ServerError(f"{doing}: {error}", where=address.servers, hint="is it running?")


def _come_in(plain: socket.socket, address: KafkaAddress, server: str, host: str) -> None:
    context = address.context()
    try:
        connection = plain if context is None else context.wrap_socket(plain, server_hostname=host.strip("[]"))
        with connection:
            connection.settimeout(TIMEOUT_S)
            if address.mechanism:
                _log_in(connection, address, server)
            else:
                _ask(connection, _API_VERSIONS, b"")
    except ssl.SSLCertVerificationError as error:
        hint = "name the authority that signed it under kafka.ca, and the server by a name that is in it"
        raise ServerError(
            f"Kafka's certificate is not trusted: {error.verify_message}", where=server, hint=hint
        ) from error
    except ssl.SSLError as error:
        if (ended := _expired(address.certificate)) is not None:
            hint = "renew it; it is read again when it changes"
            raise ServerError(f"our own certificate ended on {ended}", where=address.certificate, hint=hint) from error
        raise ServerError(f"TLS with Kafka fails: {_words(error)}", where=server, hint=_hint(error, address)) from error
    except (OSError, EOFError, struct.error) as error:
        if context is None and not address.mechanism:
            hint = "does it ask for TLS or a login? Then set kafka.tls, kafka.ca and kafka.mechanism"
        elif address.mechanism:
            hint = "check kafka.mechanism, and that this port is one with TLS and a login"
        else:
            hint = "does it ask for a certificate of our own? Then set kafka.certificate and kafka.key"
        raise RetryableError(
            f"Kafka ends the connection: {str(error) or 'without a word'}", where=server, hint=hint
        ) from error


def _expired(certificate: str) -> str | None:
    """When a certificate of ours ended; None where it has not, or where that cannot be told."""
    try:
        ends = str(ssl._ssl._test_decode_cert(certificate)["notAfter"])  # type: ignore[attr-defined]  # noqa: SLF001
        return ends if ssl.cert_time_to_seconds(ends) < time.time() else None
    except (OSError, ValueError, KeyError, AttributeError, ssl.SSLError):
        return None


def _words(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()


def _hint(error: ssl.SSLError, address: KafkaAddress) -> str:
    reason = _words(error)
    if "certificate" in reason and address.certificate:
        return f"does this Kafka trust {address.certificate}, and is it still valid? It is read again when it changes"
    if "certificate" in reason:
        return "it asks for a certificate of our own: set kafka.certificate and kafka.key"
    if "wrong version" in reason or "record" in reason:
        return "this port speaks no TLS: name another, or leave kafka.tls and kafka.ca out"
    return "check kafka.ca, kafka.certificate and kafka.key"


def _log_in(connection: socket.socket, address: KafkaAddress, server: str) -> None:
    options = kafka_options(str(address))
    answer = _ask(connection, _HANDSHAKE, _text(address.mechanism.encode()))
    (code,) = struct.unpack_from(">h", answer)
    if code == _UNKNOWN_MECHANISM:
        hint = "set kafka.mechanism to one of them"
        raise ServerError(f"Kafka does not take {address.mechanism}; it takes {_list(answer)}", where=server, hint=hint)
    steps: Any = get_sasl_mechanism(address.mechanism)(**options, host=server)
    while not steps.is_done():
        sent = steps.auth_bytes()
        answer = _ask(connection, _AUTHENTICATE, struct.pack(">i", len(sent)) + sent)
        code, length = struct.unpack_from(">hh", answer)
        said = answer[4 : 4 + max(0, length)]
        if code:
            where = address.token_file or address.password_file
            hint = f"check user and secret: {where} is read at every connection"
            raise ServerError(
                f"Kafka refuses the login of {address.user or 'the token'}: {said.decode()}", where=server, hint=hint
            )
        (size,) = struct.unpack_from(">i", answer, 4 + len(said))
        try:
            steps.receive(answer[8 + len(said) : 8 + len(said) + size])
        except (ValueError, KafkaError) as error:
            raise ServerError(f"the login fails: {error}", where=server, hint="check user and secret") from error
        if address.token_file and size > 0:  # RFC 7628: what stands there is the error
            raise ServerError("Kafka refuses the token", where=server, hint=f"renew {address.token_file}")


def _ask(connection: socket.socket, api: tuple[int, int], body: bytes) -> bytes:
    key, version = api
    request = struct.pack(">hhi", key, version, 1) + _text(_CLIENT) + body
    connection.sendall(struct.pack(">i", len(request)) + request)
    (size,) = struct.unpack(">i", _exactly(connection, 4))
    return _exactly(connection, size)[4:]


def _exactly(connection: socket.socket, count: int) -> bytes:
    content = b""
    while len(content) < count:
        piece = connection.recv(count - len(content))
        if not piece:
            raise EOFError
        content += piece
    return content


def _text(text: bytes) -> bytes:
    return struct.pack(">h", len(text)) + text


def _list(answer: bytes) -> str:
    """The mechanisms that a broker names."""
    (count,) = struct.unpack_from(">i", answer, 2)
    names, at = [], 6
    for _ in range(count):
        (length,) = struct.unpack_from(">h", answer, at)
        names.append(answer[at + 2 : at + 2 + length].decode())
        at += 2 + length
    return ", ".join(names)
