from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.project.tree import ROOT, tracked

SHELL_ONLY = {"infra/bootstrap.sh", "infra/demo", "infra/test"}  # of a clone, not of an installation


def test_the_wheel_has_every_file_that_the_packages_read(tmp_path: Path) -> None:
    for path in tracked():
        if path.parts[0] != "tests":
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, tmp_path / path)
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", "out", "."]
    done = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (tmp_path / "out").glob("aupstream-*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    packages = {str(path) for path in tracked() if path.parts[0] in ("schemas", "streams", "agents", "infra")}
    assert packages - SHELL_ONLY - packed == set(), "name the ending in [tool.setuptools.package-data]"
    assert not [name for name in packed if name.startswith("tests/")]
