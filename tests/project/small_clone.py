"""A clone with the real set-up scripts and a very small project, so that setting it up takes seconds and no network."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.project.tree import ROOT

CLOSED_PORT = "http://127.0.0.1:9/simple"  # "discard": nobody listens there

_PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "aupstream"
version = "0.1.0"
"""
_BACKEND = """\
import pathlib, zipfile

def build_editable(directory, config_settings=None, metadata_directory=None):
    name = "aupstream-0.1.0-py3-none-any.whl"
    info = "aupstream-0.1.0.dist-info/"
    with zipfile.ZipFile(pathlib.Path(directory) / name, "w") as wheel:
        wheel.writestr("aupstream.pth", str(pathlib.Path.cwd()))
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: aupstream\\nVersion: 0.1.0\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "entry_points.txt", "[console_scripts]\\naupstream = command:main\\n")
        wheel.writestr(info + "RECORD", "")
    return name

build_wheel = build_editable
"""
_COMMAND = """\
import os, sys

def main():
    import library
    print("demo", *sys.argv[1:], os.environ["AUPSTREAM_CACHE"], os.environ.get("PYTHONPATH"))
    return 7
"""


@dataclass(frozen=True, slots=True)
class SmallClone:
    """The clone, with a folder of wheels in the registry's place and a PATH on which there is one Python."""

    root: Path
    wheels: Path
    path: Path

    @staticmethod
    def make(folder: Path) -> SmallClone:
        """Lay it out in an empty folder; the name has a space on purpose."""
        clone = SmallClone(folder / "a clone", folder / "wheels", folder / "bin")
        for directory in (clone.root / "infra", clone.wheels, clone.path):
            directory.mkdir(parents=True)
        for name in ("demo", "test", "bootstrap.sh", "__init__.py"):
            shutil.copy(ROOT / "infra" / name, clone.root / "infra" / name)
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "infra" / "bootstrap", clone.root / "infra" / "bootstrap", ignore=ignore)
        for name, text in {"pyproject.toml": _PYPROJECT, "backend.py": _BACKEND, "command.py": _COMMAND}.items():
            (clone.root / name).write_text(text, "utf-8")
        library = clone.add_wheel("library", "library.py", "")
        runner = clone.add_wheel("pytest", "pytest.py", "import sys; print('tests', *sys.argv[1:])")
        clone.write_lock("requirements.lock", library)
        clone.write_lock("requirements-dev.lock", library, runner)
        (clone.path / "python3").symlink_to(Path(sys.executable).resolve())
        return clone

    def add_wheel(self, name: str, module: str, source: str) -> str:
        """Put a wheel into the registry; returns its line of a lock."""
        path = self.wheels / f"{name}-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr(module, source)
            wheel.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            wheel.writestr(
                f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            wheel.writestr(f"{name}-1.0.dist-info/RECORD", "")
        return f"{name}==1.0 \\\n    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"

    def write_lock(self, name: str, *lines: str) -> None:
        """Write a lock."""
        (self.root / name).write_text("".join(lines), "utf-8")

    def environment(self, **changes: str | None) -> dict[str, str]:
        """A bare environment with the folder of wheels as registry; None takes a name out."""
        base: Mapping[str, str | None] = {
            "PATH": str(self.path),
            "HOME": str(self.root.parent / "home"),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_RETRIES": "0",
        }
        return {name: value for name, value in {**base, **changes}.items() if value is not None}

    def offline(self) -> dict[str, str | None]:
        """Changes to the environment: a registry that nobody can reach."""
        return {"PIP_NO_INDEX": None, "PIP_FIND_LINKS": None, "PIP_INDEX_URL": CLOSED_PORT}

    def run(self, script: str, *arguments: str, **changes: str | None) -> subprocess.CompletedProcess[str]:
        """Run infra/demo or infra/test to its end."""
        return subprocess.run(
            [str(self.root / "infra" / script), *arguments],
            env=self.environment(**changes),
            cwd=self.root.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def start(self, script: str) -> subprocess.Popen[str]:
        """Start one, with its standard error to be read."""
        return subprocess.Popen(
            [str(self.root / "infra" / script)],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def put_program(self, name: str, script: str) -> None:
        """Put a shell script on the PATH, in a Python's place."""
        (self.path / name).unlink(missing_ok=True)
        (self.path / name).write_text(f"#!/bin/sh\n{script}\n", "utf-8")
        (self.path / name).chmod(0o755)
