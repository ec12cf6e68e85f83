from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest

from infra.bootstrap.clone import Clone, Stamp, steps
from infra.bootstrap.faults import fault, os_fault
from infra.bootstrap.progress import Progress

WANT = Stamp(state="ready", root="/clone", python="3.12", runtime="r", dev="d", project="p")


@pytest.mark.parametrize(
    ("have", "dev", "todo"),
    [
        (WANT, True, []),
        (WANT, False, []),
        (replace(WANT, dev=""), False, []),
        (replace(WANT, dev=""), True, ["dev", "project"]),
        (replace(WANT, project="old"), False, ["project"]),
        (replace(WANT, python="3.11"), False, []),
        (replace(WANT, state="making"), False, ["make", "runtime", "project"]),
        (replace(WANT, root="/elsewhere"), False, ["make", "runtime", "project"]),
        (replace(WANT, runtime="old"), True, ["make", "dev", "project"]),
        (replace(WANT, dev="old"), True, ["make", "dev", "project"]),
        (None, False, ["make", "runtime", "project"]),
    ],
)
def test_only_what_is_missing_is_done(have: Stamp | None, *, dev: bool, todo: list[str]) -> None:
    assert steps(have, WANT, dev=dev, python_runs=True, python_named=False) == todo


def test_a_named_python_of_another_version_and_one_that_is_gone_make_it_anew() -> None:
    other = replace(WANT, python="3.11")
    assert "make" in steps(other, WANT, dev=False, python_runs=True, python_named=True)
    assert "make" in steps(WANT, WANT, dev=False, python_runs=False, python_named=False)


@pytest.mark.parametrize(
    ("log", "what"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "the disk is full"),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
            "not the one that the lock names",
        ),
        ("connection error: refused\nERROR: No matching distribution found for avro==1.12.2", "cannot be reached"),
        ("SSLError(SSLCertVerificationError(1, 'x'))\nERROR: No matching distribution found for a", "not trusted"),
        ("ERROR: No matching distribution found for chdb-core==26.9.0", "no package for this machine"),
        ("ERROR: Could not install packages: [Errno 13] Permission denied: '/x'", "cannot be written"),
        ("connection error on the first try\nERROR: [Errno 28] No space left on device", "the disk is full"),
        ("ERROR: something quite new", "something quite new"),
    ],
)
def test_pips_log_is_turned_into_what_is_wrong(tmp_path: Path, log: str, what: str) -> None:
    clone = Clone(tmp_path)
    clone.scratch.mkdir(parents=True)
    clone.pip_log.write_text(log, "utf-8")
    error = fault(clone, {}, "pip ended with code 1")
    assert what in error.what
    assert str(clone.pip_log) in error.todo


@pytest.mark.parametrize(
    ("number", "what"), [(errno.ENOSPC, "no space left"), (errno.EROFS, "cannot be written"), (errno.EIO, "mend")]
)
def test_errors_of_the_file_system_name_the_path_and_what_to_do(number: int, what: str) -> None:
    error = os_fault(Clone(Path("/clone")), OSError(number, "text", "/clone/.venv/x"))
    assert "/clone/.venv/x" in error.what
    assert what in str(error)


def test_progress_counts_packages_and_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(3, terminal=True)
    for line in (
        "Ignoring colorama: markers 'sys_platform == \"win32\"' don't match your environment",
        "Collecting avro==1.12.2 (from -r requirements.lock (line 1))",
        "  Downloading avro-1.12.2-py2.py3-none-any.whl (500 kB)",
        "Requirement already satisfied: polars==2.1.0",
        "  Downloading polars-2.1.0-cp39-abi3-manylinux.whl.metadata (1.5 MB)",
    ):
        progress.feed(line)
    progress.show(last=True)
    assert "2 of 2 packages, 2 MB downloaded" in capsys.readouterr().err
    progress.feed("Installing collected packages: avro, polars")
    progress.show(last=True)
    assert "installing 2 packages" in capsys.readouterr().err


def test_progress_stays_silent_between_its_times_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(3, terminal=False)
    progress.feed("Collecting avro==1.12.2")
    progress.show()
    assert capsys.readouterr().err == ""
