"""The road over a Kafka with TLS, logins and ACLs, and what is said where one of them does not let us in."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer

from infra.config import Config
from infra.run.checks_kafka import Found, kafka
from infra.run.knock import knock
from infra.run.topics import create, wanted
from schemas.errors import ConfigError, ServerError
from schemas.kafkaaddress import KafkaAddress, kafka_options
from tests.cli.command import aupstream
from tests.road.scene import WITHIN_S, backtest, simulated
from tests.road.secured import PASSWORD, STRANGER, WRITER, Secured, secured
from tests.road.stored import Stored, assert_conserved, assert_same

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with secured(tmp_path_factory.mktemp("secured") / "broker") as running:
        yield running


def _settings(address: KafkaAddress) -> dict[str, str]:
    """As keys of `[kafka]`."""
    names = ("ca", "certificate", "key", "mechanism", "user", "password_file", "token_file")
    return {"bootstrap": address.servers} | {n: getattr(address, n) for n in names if getattr(address, n)}


def test_the_whole_road_by_tls_and_scram_with_acls(broker: Secured, tmp_path: Path) -> None:
    scene = simulated(tmp_path, seed=6, lines=6_000)
    scene.change(kafka=_settings(broker.scram))
    lines = {str(s.name): Path(s.path).read_bytes().count(b"\n") for s in scene.config.sources}
    with scene.running() as system:
        assert PASSWORD not in system.paths.settings.read_text()
        assert not any(PASSWORD in word for p in system.processes.pids.values() for word in _command_line(p))
        system.wait_until_drained(within_s=WITHIN_S)
        stored = Stored(system)
        assert_conserved(stored, lines)
        assert_same(stored, backtest(scene.config))
        stored.close()
        assert PASSWORD not in "".join(path.read_text() for path in system.paths.logs.glob("*.log"))


def _command_line(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0") if sys.platform == "linux" else []


_FAUST = """
import asyncio, sys
address = sys.argv[1]
from agents.faust_app import credentials
from schemas.kafkaaddress import KafkaAddress
from aiokafka import AIOKafkaConsumer
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth
async def main():
    read = KafkaAddress.of(address)
    consumer = AIOKafkaConsumer(bootstrap_servers=read.servers, **credentials_to_aiokafka_auth(credentials(read)))
    await consumer.start()
    print(*sorted(await consumer.topics()))
    await consumer.stop()
asyncio.run(main())
"""


@pytest.mark.parametrize("way", ["oauth", "certified", "scram"])
def test_both_clients_come_in_by_token_certificate_and_password(broker: Secured, way: str) -> None:
    address = str(getattr(broker, way))
    create(address, wanted(4, 4), 1)
    producer = KafkaProducer(**kafka_options(address))
    producer.send("aup.rules", way.encode()).get(30)
    producer.close()
    consumer = KafkaConsumer("aup.rules", **kafka_options(address), auto_offset_reset="earliest")
    assert next(consumer).value
    consumer.close()
    done = subprocess.run(
        [sys.executable, "-c", _FAUST, address], capture_output=True, text=True, check=False, timeout=60
    )
    assert "aup.violations" in done.stdout.split(), done.stderr


def _wrong(broker: Secured) -> dict[str, tuple[KafkaAddress, str]]:
    (broker.folder / "wrong").write_text("wrong")
    (broker.folder / "no-token").write_text("x.y.z")
    return {
        "password": (
            replace(broker.scram, password_file=str(broker.folder / "wrong")),
            r"Kafka refuses the login of aup: .*invalid credentials.* \(check user and secret: .*wrong is read",
        ),
        "expired": (
            replace(broker.certified, certificate=f"{broker.folder}/expired.pem", key=f"{broker.folder}/expired.key"),
            r"expired\.pem: our own certificate ended on .* \(renew it",
        ),
        "no certificate": (
            replace(broker.certified, certificate="", key=""),
            r"certificate required \(it asks for a certificate of our own: set kafka\.certificate",
        ),
        "authority": (replace(broker.scram, ca="", tls="1"), r"certificate is not trusted: .* under kafka\.ca"),
        "token": (
            replace(broker.oauth, token_file=str(broker.folder / "no-token")),
            r"refuses the token \(renew .*no-token",
        ),
        "mechanism": (
            replace(broker.scram, mechanism="SCRAM-SHA-256"),
            r"Kafka does not take SCRAM-SHA-256; it takes SCRAM-SHA-512 \(set kafka\.mechanism",
        ),
        "no tls": (KafkaAddress(broker.scram.servers), r"Kafka ends the connection: .*Then set kafka\.tls"),
    }  # fmt: skip


@pytest.mark.parametrize("what", ["password", "expired", "no certificate", "authority", "token", "mechanism", "no tls"])
def test_who_is_not_let_in_is_told_why_at_once(broker: Secured, what: str) -> None:
    address, said = _wrong(broker)[what]
    began = time.monotonic()
    with pytest.raises(ServerError, match=said) as raised:
        knock(str(address))
    assert time.monotonic() - began < 10
    assert PASSWORD not in str(raised.value)


def test_a_missing_acl_is_named(broker: Secured) -> None:
    stranger = replace(broker.scram, user=STRANGER)
    with pytest.raises(ServerError, match=r"stranger is not allowed to .* \(give stranger leave \(an ACL\)"):
        create(str(stranger), wanted(4, 4), 1)


def test_the_doctor_names_what_an_account_may_not(broker: Secured) -> None:
    create(str(broker.scram), wanted(4, 4), 1)
    config, found = Config.model_validate({"data": "data"}), Found()
    may = [c for c in kafka(config, str(broker.scram), found) if c.name == "access"]
    assert [(c.state, c.detail) for c in may] == [("ok", "this account may read and write all 17 topics")]
    assert found.retention_ms["aup.events.mail"] == 9 * 86_400_000
    writes = [c for c in kafka(config, str(replace(broker.scram, user=WRITER)), Found()) if c.name == "access"]
    assert [c.state for c in writes] == ["warning"]
    assert writes[0].detail.startswith("this account may not READ 17 of 17 topics: aup.")
    assert "kafka-acls.sh --add" in writes[0].todo
    hidden = list(kafka(config, str(replace(broker.scram, user=STRANGER)), Found()))
    assert [(c.name, c.state) for c in hidden] == [("Kafka", "ok"), ("topics", "warning")]


def test_the_command_says_it_in_words(broker: Secured, tmp_path: Path) -> None:
    scene = simulated(tmp_path, seed=6, lines=2_000)
    (tmp_path / "wrong").write_text("wrong")
    scene.change(kafka=_settings(broker.scram) | {"password_file": "wrong"})
    done = aupstream("run", "--once", "--config", scene.file)
    assert done.code == ServerError.exit_code
    assert "Kafka refuses the login of aup" in done.err
    assert "Traceback" not in done.err
    scene.change(kafka={"mechanism": "SCRAM-SHA-521"})
    done = aupstream("status", "--config", scene.file)
    assert done.code == ConfigError.exit_code
    assert "mechanism 'SCRAM-SHA-521' is unknown (one of SCRAM-SHA-256, SCRAM-SHA-512" in done.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a:1?mechanism=PLAIN&user=u&password_file=p", "PLAIN without TLS would send the password"),
        ("a:1?key=k", "key is given without certificate"),
        ("a:1?user=u", "a login without mechanism"),
        ("a:1?mechanism=OAUTHBEARER", "OAUTHBEARER needs token_file"),
        ("a:1?mechanism=SCRAM-SHA-512&user=u", "SCRAM-SHA-512 needs user and password_file"),
        ("a:1?passwort_file=p", "no setting 'passwort_file'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        KafkaAddress.of(text)


def test_an_address_is_read_as_it_is_written() -> None:
    address = KafkaAddress("a:1,b:2", ca="/etc/a b/ca.pem", mechanism="SCRAM-SHA-512", user="ü&=", password_file="p/q")
    assert KafkaAddress.of(str(address)) == address
    assert "/" not in str(address).partition("?")[2]
    assert str(KafkaAddress("a:1,b:2")) == "a:1,b:2"


def test_a_certificate_that_is_renewed_is_taken_by_a_running_process(
    broker: Secured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("schemas.kafkaaddress.LOOK_AGAIN_S", 0.1)
    own, key = tmp_path / "own.pem", tmp_path / "own.key"
    own.write_bytes((broker.folder / "expired.pem").read_bytes())
    key.write_bytes((broker.folder / "expired.key").read_bytes())
    address = str(replace(broker.certified, certificate=str(own), key=str(key)))
    with pytest.raises(ServerError, match="ended on"):
        knock(address)
    own.write_bytes((broker.folder / "client.pem").read_bytes())
    key.write_bytes((broker.folder / "client.key").read_bytes())
    deadline = time.monotonic() + 20
    while True:
        try:
            knock(address)
            break
        except ServerError:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    own.write_bytes((broker.folder / "expired.pem").read_bytes())  # the key that goes with it is not there yet
    time.sleep(1.0)
    knock(address)
