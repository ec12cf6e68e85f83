"""What a district deploys with: units, containers, manifests hold to the rules and name commands and keys that are."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from infra.cli.app import app
from infra.config import Config, load
from tests.project.tree import ROOT

DEPLOY = ROOT / "infra" / "deploy"
SYSTEMD = DEPLOY / "systemd"
UNITS = sorted(SYSTEMD.glob("*.service"))
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
TEXTS = [*sorted(DEPLOY.glob("*.md")), *UNITS, DEPLOY / "compose.yaml", *MANIFESTS]
PARTS = ("collect", "listen", "agents")

HARDENING = {
    "User": "aupstream",
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectKernelModules": "yes",
    "RestrictSUIDSGID": "yes",
    "RestrictNamespaces": "yes",
    "LockPersonality": "yes",
    "SystemCallFilter": "@system-service",
    "Restart": "always",
    "UMask": "0077",
}
NAMED = ("ReadWritePaths", "MemoryMax", "TasksMax", "LimitNOFILE", "RestartSec", "TimeoutStopSec", "StateDirectory")
# A word of the command line as it stands in text; what follows a flag of another program is a user or a namespace.
COMMAND = re.compile(r"(?<![-\w.=])(?<!-[a-z] )(?:/opt/aupstream/bin/)?aupstream((?: [^\s`|;&#)]+)+)")
CODE = re.compile(r"```sh\n(.*?)```|`([^`\n]+)`", re.DOTALL)


def unit(path: Path) -> dict[str, dict[str, list[str]]]:
    """Sections, their keys, and the values of each, in order: a key may stand several times."""
    sections: dict[str, dict[str, list[str]]] = {}
    section: dict[str, list[str]] = {}
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), {})
        elif line and line[0] not in "#;":
            key, _, value = line.partition("=")
            section.setdefault(key, []).append(value)
    return sections


def documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text("utf-8")) if document]


def compose() -> dict[str, Any]:
    (document,) = documents(DEPLOY / "compose.yaml")
    return document


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [d for path in MANIFESTS for d in documents(path) if d["kind"] == kind]


def pods() -> list[dict[str, Any]]:
    """What pods are made of, by whatever makes them."""
    makers = ("Deployment", "StatefulSet", "DaemonSet", "Job")
    return [d["spec"]["template"] for kind in makers for d in of_kind(kind)]


def containers() -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Name, container and its pod's spec."""
    return [
        (one["name"], one, pod["spec"])
        for pod in pods()
        for one in [*pod["spec"]["containers"], *pod["spec"].get("initContainers", [])]
    ]


def toml_texts() -> dict[str, str]:
    """Every example of a configuration, by where it stands."""
    texts = {str(path.relative_to(DEPLOY)): path.read_text("utf-8") for path in DEPLOY.rglob("*.toml")}
    for one in of_kind("ConfigMap"):
        texts[f"kubernetes: ConfigMap {one['metadata']['name']}"] = one["data"]["aupstream.toml"]
    return texts


def command_lines(path: Path) -> Iterator[list[str]]:
    """What follows the word aupstream, wherever a file has a command."""
    text = path.read_text("utf-8")
    if path.suffix == ".md":
        codes = [block or span for block, span in CODE.findall(text)]
    elif path.suffix == ".yaml":
        codes = [" ".join(words) for document in documents(path) for words in _commands(document)]
    else:
        codes = unit(path)["Service"]["ExecStart"]
    for code in codes:
        for found in COMMAND.finditer(code.replace("\\\n", " ")):
            words = found[1].split()
            if words[0][0].isalpha():
                yield words


def _commands(value: Any) -> Iterator[list[str]]:
    if isinstance(value, list) and value[:1] == ["aupstream"]:
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _commands(each)
    elif isinstance(value, list):
        for each in value:
            yield from _commands(each)


def command_fault(words: list[str]) -> str | None:
    """What is wrong with a command line: a command or an option that there is none of."""
    command: Any = typer.main.get_command(app)
    rest = list(words)
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        if name not in command.commands:
            return f"there is no command {name!r} in `aupstream {' '.join(words)}`"
        command = command.commands[name]
    options = {option for parameter in command.params for option in parameter.opts} | {"--help", "-h"}
    wrong = [word for word in rest if word.startswith("-") and word.partition("=")[0] not in options]
    return f"`aupstream {' '.join(words)}` has no option {wrong[0]}" if wrong else None


def test_there_are_units_for_all_three_parts_and_a_target() -> None:
    assert {path.stem for path in UNITS} == {f"aupstream-{part}" for part in PARTS}
    assert (SYSTEMD / "aupstream.target").is_file()
    for path in UNITS:
        assert unit(path)["Install"]["WantedBy"] == ["aupstream.target"]
        assert unit(path)["Unit"]["PartOf"] == ["aupstream.target"]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_is_hardened_bounded_and_started_again(path: Path) -> None:
    service = unit(path)["Service"]
    assert {key: service.get(key) for key in HARDENING} == {key: [value] for key, value in HARDENING.items()}
    assert not [key for key in NAMED if not "".join(service.get(key, []))]
    allowed = ["CAP_NET_BIND_SERVICE"] if "listen" in path.stem else [""]
    assert service["CapabilityBoundingSet"] == allowed
    assert service["AmbientCapabilities"] == allowed
    assert unit(path)["Unit"]["StartLimitIntervalSec"] == ["0"]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_only_the_agents_reach_the_keys_and_the_way_into_clickhouse(path: Path) -> None:
    service = unit(path)["Service"]
    hidden = service["InaccessiblePaths"][0]
    for secret in ("/var/lib/aupstream-keys", "/etc/aupstream/agents.env"):
        assert (f"-{secret}" in hidden) == ("agents" not in path.stem)
    assert ("EnvironmentFile" in service) == ("agents" in path.stem)
    assert ("LoadCredential" in service) == ("listen" not in path.stem)
    words = " ".join(service["ExecStart"] + service["Environment"])
    assert not re.search(r"password=|://[^/\s]*:[^/\s]*@", words, re.IGNORECASE)


def test_services_of_one_machine_have_health_ports_of_their_own() -> None:
    told = [value for path in UNITS for value in unit(path)["Service"]["Environment"] if "HEALTH__LISTEN" in value]
    assert len(set(told)) == len(UNITS) == len(told)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze on this machine")
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    program = tmp_path / "aupstream"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    names = []
    for path in [*UNITS, SYSTEMD / "aupstream.target"]:
        copy = tmp_path / path.name
        copy.write_text(path.read_text("utf-8").replace("/opt/aupstream/bin/aupstream", str(program)))
        names.append(str(copy))
    done = subprocess.run(["systemd-analyze", "verify", *names], capture_output=True, text=True, check=False)
    ours = [line for line in done.stderr.splitlines() if "aupstream" in line]
    assert not ours, done.stderr
    assert done.returncode == 0, done.stderr


def test_every_file_that_a_unit_names_is_made_or_guarded_by_tmpfiles() -> None:
    made = {line.split()[1] for line in _lines("aupstream.tmpfiles.conf")}
    for path in UNITS:
        service = unit(path)["Service"]
        named = [*service["ReadWritePaths"][0].split(), *service.get("EnvironmentFile", [])]
        named += [value.partition(":")[2] for value in service.get("LoadCredential", [])]
        assert set(named) <= made
    assert [line.split()[:2] for line in _lines("aupstream.sysusers.conf")] == [["u", "aupstream"]]


def _lines(name: str) -> list[str]:
    return [line for line in (SYSTEMD / name).read_text("utf-8").splitlines() if line and line[0] != "#"]


@pytest.mark.parametrize("name", compose()["services"])
def test_a_service_of_compose_is_locked_down_bounded_and_watched(name: str) -> None:
    service = compose()["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["user"].partition(":")[0] not in ("", "0", "root")
    assert service["healthcheck"]["test"]
    assert {"cpus", "memory"} <= service["deploy"]["resources"]["limits"].keys()
    assert service["restart"] == "always"
    assert not service["image"].endswith(":latest")


def test_compose_publishes_nothing_beyond_this_machine_but_syslog() -> None:
    services = compose()["services"]
    assert {"kafka", "clickhouse", *PARTS} == services.keys()
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert {port.partition("/")[0] for port in ports if not port.startswith("127.0.0.1:")} == {"5514:5514"}
    assert compose()["networks"]["backend"] == {"internal": True}
    assert services["agents"]["deploy"]["replicas"] == 1


def test_secrets_of_compose_are_files_and_no_value_stands_in_it() -> None:
    secrets = compose()["secrets"]
    assert all(secret.keys() == {"file"} for secret in secrets.values())
    for service in compose()["services"].values():
        assert not [key for key in service.get("environment", {}) if "PASSWORD" in key or "DSN" in key]
        used = [s if isinstance(s, str) else s["source"] for s in service.get("secrets", ())]
        assert set(used) <= secrets.keys()


@pytest.mark.parametrize(("name", "container", "pod"), containers(), ids=[name for name, _, _ in containers()])
def test_a_container_of_kubernetes_is_locked_down_bounded_and_probed(
    name: str, container: dict[str, Any], pod: dict[str, Any]
) -> None:
    context = container["securityContext"]
    assert (context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"]) == (False, True)
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["runAsNonRoot"] is pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert {"cpu", "memory"} <= container["resources"]["limits"].keys()
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for probe, place in (("livenessProbe", "/live"), ("readinessProbe", "/ready")):
        asked = container[probe]["httpGet"]
        assert asked["path"] == place
        assert ports[asked["port"]] in (9464, 9465)


@pytest.mark.parametrize("pod", pods(), ids=lambda pod: pod["metadata"]["labels"]["app.kubernetes.io/component"])
def test_a_pod_mounts_volumes_that_are_and_no_two_containers_share_a_port(pod: dict[str, Any]) -> None:
    claims = {c["metadata"]["name"] for d in of_kind("StatefulSet") for c in d["spec"]["volumeClaimTemplates"]}
    there = {volume["name"] for volume in pod["spec"]["volumes"]} | claims
    assert {mount["name"] for one in pod["spec"]["containers"] for mount in one["volumeMounts"]} <= there
    ports = [port["containerPort"] for one in pod["spec"]["containers"] for port in one["ports"]]
    assert len(ports) == len(set(ports))


def test_the_pods_that_keep_something_are_stateful_sets_of_one() -> None:
    sets = {d["metadata"]["name"]: d["spec"] for d in of_kind("StatefulSet")}
    assert {name: spec["replicas"] for name, spec in sets.items()} == {"aupstream-intake": 1, "aupstream-agents": 1}
    assert all(spec["volumeClaimTemplates"] for spec in sets.values())
    budgets = {d["metadata"]["name"]: d["spec"] for d in of_kind("PodDisruptionBudget")}
    assert budgets.keys() == sets.keys()
    for name, budget in budgets.items():
        assert budget["selector"] == sets[name]["selector"]


def test_the_network_is_closed_but_for_what_is_named() -> None:
    policies = {d["metadata"]["name"]: d["spec"] for d in of_kind("NetworkPolicy")}
    closed = policies.pop("default-deny")
    assert closed == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert policies
    for spec in policies.values():
        assert all(rule.get("ports") and (rule.get("to") or rule.get("from")) for rule in _rules_of(spec))


def _rules_of(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [*spec.get("ingress", ()), *spec.get("egress", ())]


def test_the_secrets_of_the_template_hold_none_and_are_all_that_pods_mount() -> None:
    secrets = {d["metadata"]["name"]: d["stringData"] for d in of_kind("Secret")}
    assert {value for held in secrets.values() for value in held.values()} == {"REPLACE-ME"}
    wanted = {name for pod in pods() for name in _secrets_of(pod["spec"]["volumes"])}
    assert wanted - {"aupstream-context"} == secrets.keys()


def _secrets_of(volumes: list[dict[str, Any]]) -> Iterator[str]:
    for volume in volumes:
        if "secret" in volume:
            yield volume["secret"]["secretName"]
        for source in volume.get("projected", {}).get("sources", ()):
            yield source["secret"]["name"]


@pytest.mark.parametrize("where", toml_texts())
def test_an_example_of_a_configuration_is_one(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AUPSTREAM_DATA", "AUPSTREAM_KAFKA__BOOTSTRAP", "AUPSTREAM_CLICKHOUSE__DSN"):
        monkeypatch.delenv(name, raising=False)
    text = toml_texts()[where]
    assert tomllib.loads(text)["health"]["listen"].endswith(":9464")
    if "health" not in Config.model_fields:
        text = re.sub(r"^\[health\]\n(?:.+\n)*", "", text, flags=re.MULTILINE)
    path = tmp_path / "aupstream.toml"
    path.write_text(text)
    config = load(path)
    assert config.collectors()
    assert config.listening()
    assert config.kafka.address
    assert config.clickhouse.dsn
    assert ":" not in config.clickhouse.dsn.partition("://")[2].partition("@")[0], "a password stands in it"
    assert config.privacy.keys(config.data) == Path("/var/lib/aupstream-keys/aupstream.keys")


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_every_command_that_is_named_exists_with_its_options(path: Path) -> None:
    faults = [fault for words in command_lines(path) if (fault := command_fault(words)) is not None]
    assert not faults, "\n".join(faults)


def test_the_commands_of_all_three_parts_are_among_those_that_are_looked_at() -> None:
    wanted = [[part, "--config", "/etc/aupstream/aupstream.toml"] for part in PARTS]
    assert [words for path in UNITS for words in command_lines(path)] == sorted(wanted)
    assert [words for words in command_lines(DEPLOY / "compose.yaml") if words[0] in PARTS] == wanted_of_compose()
    assert len({tuple(words) for path in DEPLOY.glob("*.md") for words in command_lines(path)}) > 10


def wanted_of_compose() -> list[list[str]]:
    order = [name for name in compose()["services"] if name in PARTS]
    return [[part, "--config", "/etc/aupstream/aupstream.toml"] for part in order]


@pytest.mark.parametrize("words", ["colect", "collect --confg x", "privacy rotat", "audit --names"])
def test_a_command_or_an_option_that_is_none_is_found(words: str) -> None:
    assert command_fault(words.split()) is not None


def test_a_secret_in_a_file_is_in_the_environment_of_the_command(tmp_path: Path) -> None:
    script = (DEPLOY / "with-secrets").read_text("utf-8").replace("/run/secrets", str(tmp_path))
    (tmp_path / "AUPSTREAM_CLICKHOUSE__DSN").write_text("clickhouse://a:p'$w @h/d\n")
    (tmp_path / "kafka-password").write_text("other")
    command = ["sh", "-c", script, "with-secrets", "sh", "-c", 'printf %s "$AUPSTREAM_CLICKHOUSE__DSN"']
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "clickhouse://a:p'$w @h/d"
    assert (DEPLOY / "with-secrets").stat().st_mode & 0o111


def test_the_image_is_of_the_lock_and_runs_as_nobody_in_particular() -> None:
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["python:3.12-slim"] * 2
    assert "--require-hashes -r requirements.lock" in text
    assert re.findall(r"^USER (\S+)", text, re.MULTILINE) == ["10001:10001"]
    copied = " ".join(re.findall(r"^COPY (?!--)(.*) \S+$", text, re.MULTILINE)).split()
    assert copied
    assert all((ROOT / name).exists() for name in copied)
