"""An Apache Kafka as a district has it: TLS with and without client certificates, SCRAM, OAUTHBEARER, and ACLs."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from infra.embedded import jars
from infra.embedded.child import Child
from infra.embedded.kafka import KafkaConfig, child_spec, prepare
from infra.embedded.kafka_probe import is_ready
from infra.embedded.ports import LOOPBACK, free_ports
from schemas.kafkaaddress import KafkaAddress
from tests.embedded.servers_fixture import jar_cache

USER, STRANGER, WRITER = "aup", "stranger", "writer"
PASSWORD = "correct horse"
_LISTENERS = {"SCRAM": "SASL_SSL", "OAUTH": "SASL_SSL", "TLS": "SSL"}


@dataclass(frozen=True)
class Secured:
    """A running broker.

    Attributes:
        folder: Of certificates and secrets.
        ports: By listener.
    """

    folder: Path
    ports: Mapping[str, int]

    @property
    def scram(self) -> KafkaAddress:
        """By password."""
        return self._at("SCRAM", mechanism="SCRAM-SHA-512", user=USER, password_file=str(self.folder / "password"))

    @property
    def oauth(self) -> KafkaAddress:
        """By bearer token."""
        return self._at("OAUTH", mechanism="OAUTHBEARER", token_file=str(self.folder / "token"))

    @property
    def certified(self) -> KafkaAddress:
        """By a certificate of our own."""
        return self._at("TLS", certificate=str(self.folder / "client.pem"), key=str(self.folder / "client.key"))

    def _at(self, listener: str, **given: str) -> KafkaAddress:
        return KafkaAddress(f"{LOOPBACK}:{self.ports[listener]}", ca=str(self.folder / "ca.pem"), **given)


@contextmanager
def secured(folder: Path) -> Iterator[Secured]:
    """A broker, started and stopped. User `aup` may do everything, `writer` write to topics, `stranger` nothing."""
    folder.mkdir(parents=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    _issue(authority, folder, "server", LOOPBACK)
    _issue(authority, folder, "client", USER)
    _issue(authority, folder, "expired", USER, expires=datetime.now(UTC) - timedelta(days=1))
    (folder / "password").write_text(f"{PASSWORD}\n")
    (folder / "token").write_text(_token(USER))
    plain, controller, *others = free_ports(2 + len(_LISTENERS))
    running = Secured(folder, dict(zip(_LISTENERS, others, strict=True)))
    config = KafkaConfig(
        folder / "kafka", plain, controller, 256, jars.ensure(jar_cache(), print), folder / "kafka.log",
        folder / "kafka.pid", extra=_settings(folder, plain, controller, running.ports),
    )  # fmt: skip
    prepare(config)
    broker = Child.start(child_spec(config))
    try:
        deadline = time.monotonic() + 90
        while not is_ready(plain)[0]:
            assert broker.exit_code() is None, (folder / "kafka.log").read_text()[-3_000:]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        _administer(f"{LOOPBACK}:{plain}")
        yield running
    finally:
        broker.stop()


def _settings(folder: Path, plain: int, controller: int, ports: Mapping[str, int]) -> dict[str, str]:
    listeners = {"PLAINTEXT": plain, **ports}
    listening = ",".join(f"{name}://{LOOPBACK}:{port}" for name, port in listeners.items())
    protocols = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT", **_LISTENERS}
    oauth = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required"
    return {
        "listeners": f"{listening},CONTROLLER://{LOOPBACK}:{controller}",
        "advertised.listeners": listening,
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in protocols.items()),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(folder / "server.both"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(folder / "ca.pem"),
        "listener.name.tls.ssl.client.auth": "required",
        "ssl.principal.mapping.rules": "RULE:^.*OU=([^,]+).*$/$1/,DEFAULT",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512,OAUTHBEARER",
        "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.scram.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "listener.name.oauth.sasl.enabled.mechanisms": "OAUTHBEARER",
        "listener.name.oauth.oauthbearer.sasl.jaas.config": f'{oauth} unsecuredLoginStringClaim_sub="broker";',
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }


def _administer(plain: str) -> None:
    """Passwords, and what the user may do; asked for by the way in that only this machine has."""
    admin = KafkaAdminClient(bootstrap_servers=plain)
    mechanism = ScramMechanism.SCRAM_SHA_512
    admin.alter_user_scram_credentials(
        [UserScramCredentialUpsertion(name, mechanism, PASSWORD) for name in (USER, STRANGER, WRITER)]
    )
    everything, writing = (
        (ACLOperation.ALL,),
        (ACLOperation.WRITE, ACLOperation.DESCRIBE, ACLOperation.DESCRIBE_CONFIGS),
    )
    given = (
        (USER, ResourceType.TOPIC, "aup.", everything), (USER, ResourceType.GROUP, "aup-", everything),
        (USER, ResourceType.CLUSTER, "kafka-cluster", everything), (WRITER, ResourceType.TOPIC, "aup.", writing),
    )  # fmt: skip
    admin.create_acls([_allowed(who, kind, name, one) for who, kind, name, some in given for one in some])
    admin.close()


def _allowed(who: str, kind: ResourceType, name: str, operation: ACLOperation) -> ACL:
    literal = kind is ResourceType.CLUSTER
    way = ACLResourcePatternType.LITERAL if literal else ACLResourcePatternType.PREFIXED
    return ACL(f"User:{who}", "*", operation, ACLPermissionType.ALLOW, ResourcePattern(kind, name, way))


def _issue(authority: trustme.CA, folder: Path, name: str, whose: str, *, expires: datetime | None = None) -> None:
    issued = authority.issue_cert(whose, organization_unit_name=USER, not_after=expires)
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    certificate = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    (folder / f"{name}.pem").write_bytes(certificate)
    (folder / f"{name}.key").write_bytes(plain)
    (folder / f"{name}.both").write_bytes(plain + certificate)


def _token(user: str) -> str:
    """A token that nobody has signed (RFC 7519, `alg` none): this broker takes it, and no real one does."""
    now = int(time.time())

    def part(claims: Mapping[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none'})}.{part({'sub': user, 'iat': now, 'exp': now + 3_600, 'scope': ''})}."
