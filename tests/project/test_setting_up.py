"""infra/demo and infra/test, run as a newcomer runs them, in a small clone."""

from __future__ import annotations

import fcntl
import json
import shutil
import signal
from pathlib import Path

import pytest

from tests.project.small_clone import SmallClone


@pytest.fixture
def clone(tmp_path: Path) -> SmallClone:
    return SmallClone.make(tmp_path)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> SmallClone:
    """A clone that infra/demo has set up; each test leaves it ready."""
    clone = SmallClone.make(tmp_path_factory.mktemp("ready"))
    assert clone.run("demo").returncode == 7
    return clone


def stamp(clone: SmallClone) -> dict[str, str]:
    found: dict[str, str] = json.loads((clone.root / ".venv" / "aupstream.json").read_text("utf-8"))
    return found


def test_a_fresh_clone_is_set_up_and_becomes_the_command_whose_output_stays_clean(clone: SmallClone) -> None:
    hostile = {"HOME": None, "PIP_USER": "1", "PIP_TARGET": "/nowhere", "PIP_QUIET": "3", "PYTHONPATH": "/nowhere"}
    done = clone.run("demo", "--once", "a b", **hostile)
    assert done.stdout == f"demo demo --once a b {clone.root / '.cache'} None\n"
    assert done.returncode == 7
    assert "making .venv with Python 3." in done.stderr
    assert ".venv is ready after" in done.stderr


def test_the_second_run_needs_no_network_and_installs_nothing(ready: SmallClone) -> None:
    before = (ready.root / ".cache" / "setup" / "pip.log").stat().st_mtime_ns
    done = ready.run("demo", **ready.offline())
    assert (done.returncode, done.stderr) == (7, "")
    assert (ready.root / ".cache" / "setup" / "pip.log").stat().st_mtime_ns == before


def test_the_cache_may_be_elsewhere_and_home_may_be_empty(ready: SmallClone) -> None:
    assert ready.run("demo", AUPSTREAM_CACHE="/elsewhere", HOME="").stdout == "demo demo /elsewhere None\n"


def test_tests_are_added_to_what_demo_made_and_get_their_arguments(ready: SmallClone) -> None:
    (ready.root / ".venv" / "kept").touch()
    done = ready.run("test", "tests/schemas", "-k", "a or b")
    assert done.stdout == "tests tests/schemas -k a or b\n"
    assert done.returncode == 0
    assert (ready.root / ".venv" / "kept").exists()
    assert stamp(ready)["dev"]
    assert ready.run("demo", **ready.offline()).stderr == ""


def test_an_interrupted_set_up_says_so_and_the_next_one_starts_over(clone: SmallClone) -> None:
    with clone.start("demo") as running:
        assert running.stderr is not None
        assert "making .venv" in running.stderr.readline()
        running.send_signal(signal.SIGTERM)
        assert "interrupted; the next run starts over" in running.stderr.read()
    assert running.returncode == 130
    assert stamp(clone)["state"] == "making"
    done = clone.run("demo")
    assert "an unfinished .venv is made anew" in done.stderr
    assert done.returncode == 7


def test_an_environment_of_somebody_else_is_left_alone(clone: SmallClone) -> None:
    theirs = clone.root / ".venv" / "bin" / "python"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs", "utf-8")
    done = clone.run("demo")
    assert done.returncode == 4
    assert ".venv was not made by this script" in done.stderr
    assert "what to do: move it away" in done.stderr
    assert theirs.read_text("utf-8") == "theirs"


def test_a_second_set_up_waits_for_the_first(ready: SmallClone) -> None:
    lock = ready.root / ".cache" / "setup" / "lock"
    whole = (ready.root / ".venv" / "aupstream.json").read_text("utf-8")
    with lock.open("r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write("4711\n")
        file.flush()
        (ready.root / ".venv" / "aupstream.json").unlink()  # as if the first were still at work
        with ready.start("demo") as second:
            assert second.stderr is not None
            assert "waiting for the set-up that process 4711 is doing" in second.stderr.readline()
            (ready.root / ".venv" / "aupstream.json").write_text(whole, "utf-8")
            fcntl.flock(file, fcntl.LOCK_UN)
            assert second.stderr.read() == ""
    assert second.returncode == 7


def test_a_changed_lock_makes_it_anew(ready: SmallClone) -> None:
    (ready.root / ".venv" / "stray").touch()
    ready.write_lock("requirements.lock", ready.add_wheel("library", "library.py", "changed = True\n"))
    done = ready.run("demo")
    assert "an outdated .venv is made anew" in done.stderr
    assert done.returncode == 7
    assert not (ready.root / ".venv" / "stray").exists()
    assert not list((ready.root / ".cache" / "setup").glob("rubbish-*"))


def test_without_network_it_says_what_to_set(clone: SmallClone) -> None:
    done = clone.run("demo", **clone.offline())
    assert done.returncode == 4
    assert "the package registry cannot be reached" in done.stderr
    assert "HTTPS_PROXY" in done.stderr
    assert "PIP_INDEX_URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_too_little_room_is_told_before_anything_is_fetched(clone: SmallClone) -> None:
    done = clone.run("demo", AUPSTREAM_SETUP_MB=str(10**9))
    assert done.returncode == 4
    assert "MB free, and setting up needs about 1000000000 MB" in done.stderr
    assert not (clone.root / ".venv").exists()


def test_a_size_that_is_no_number_is_refused(clone: SmallClone) -> None:
    done = clone.run("demo", AUPSTREAM_SETUP_MB="much")
    assert done.returncode == 4
    assert "AUPSTREAM_SETUP_MB=much is no number" in done.stderr


def test_an_altered_package_is_refused(clone: SmallClone) -> None:
    clone.add_wheel("library", "library.py", "import os  # not what was locked\n")
    done = clone.run("demo")
    assert done.returncode == 4
    assert "is not the one that the lock names" in done.stderr


def test_a_path_that_cannot_be_written_is_named(clone: SmallClone) -> None:
    (clone.root / ".cache").write_text("a file where a folder should be", "utf-8")
    done = clone.run("demo")
    assert done.returncode == 4
    assert f"{clone.root / '.cache' / 'setup'}" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_incomplete_checkout_is_named(clone: SmallClone) -> None:
    (clone.root / "requirements.lock").unlink()
    done = clone.run("demo")
    assert done.returncode == 4
    assert "requirements.lock is missing" in done.stderr


@pytest.mark.parametrize("script", ["demo", "test"])
def test_an_old_python_is_named_with_what_to_install(clone: SmallClone, script: str) -> None:
    clone.put_program("python3", "printf 3.9")
    done = clone.run(script)
    assert done.returncode == 4
    assert "one of 3.11 3.12 3.13 3.14 is needed" in done.stderr
    assert f"{clone.path}/python3: 3.9" in done.stderr
    assert "apt install python3" in done.stderr
    assert done.stdout == ""


def test_a_shim_that_fails_is_passed_over(clone: SmallClone) -> None:
    shutil.move(clone.path / "python3", clone.path / "python3.12")
    clone.put_program("python3", "echo 3.12; exit 127")
    found_one = "setting up needs about 1000000000 MB"
    assert found_one in clone.run("demo", AUPSTREAM_SETUP_MB=str(10**9)).stderr


def test_no_python_at_all_is_told(clone: SmallClone) -> None:
    (clone.path / "python3").unlink()
    done = clone.run("demo")
    assert done.returncode == 4
    assert "Found: none" in done.stderr


def test_a_named_python_that_does_not_run_is_not_replaced_by_another(clone: SmallClone) -> None:
    done = clone.run("demo", AUPSTREAM_PYTHON="/nowhere/python3")
    assert done.returncode == 4
    assert "AUPSTREAM_PYTHON=/nowhere/python3 is set" in done.stderr
