"""The README's commands, run as they stand, in the order in which a newcomer meets them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DAY = Path("/tmp/aupstream-day")  # the README's own words
BLOCK = re.compile(r"<!-- (run|file)(?:: (?P<how>[^>]*?))? -->\n```(?:sh|yaml|toml)\n(?P<body>.*?)```", re.DOTALL)
WITHIN_S = 150


@dataclass(frozen=True)
class Block:
    """A fenced block and the remark above it."""

    kind: str
    how: str
    body: str


def blocks() -> list[Block]:
    text = (ROOT / "README.md").read_text("utf-8")
    return [Block(m[1], m["how"] or "", m["body"]) for m in BLOCK.finditer(text)]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working directory where the README's files are written and its made-up day is nobody else's."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.rmtree(DAY, ignore_errors=True)
    for block in blocks():
        if block.kind == "file":
            path = folder / block.how
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.body)
    yield folder
    shutil.rmtree(DAY, ignore_errors=True)


def environment() -> dict[str, str]:
    """The command on the path, the checkout importable, the jars shared with the other tests."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    cache = os.environ.get("AUPSTREAM_CACHE") or str(ROOT / ".cache")
    return {**os.environ, "PATH": path, "AUPSTREAM_CACHE": cache}


def run(script: str, folder: Path) -> str:
    done = subprocess.run(  # noqa: S602  # the README's text is ours
        script, shell=True, cwd=folder, env=environment(), capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert done.returncode == 0, f"{script}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def test_every_block_of_commands_says_whether_it_is_run() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(re.findall(r"^```sh$", text, re.MULTILINE)) == sum(b.kind == "run" for b in blocks())


@pytest.mark.timeout(300)
def test_the_commands_that_need_no_server_do_what_the_readme_says(desk: Path) -> None:
    plain = [b.body for b in blocks() if b.kind == "run" and not b.how]
    outputs = [run(body, desk) for body in plain]
    said = "\n".join(outputs)
    assert '"rule_id": "mass-mail"' in said or '"rule_id":"mass-mail"' in said
    assert "twenty-nine are none" in said


@pytest.mark.servers
@pytest.mark.timeout(300)
def test_questions_to_the_running_pipeline_are_answered(desk: Path) -> None:
    config = DAY / "aupstream.toml"
    if not config.exists():
        run(next(b.body for b in blocks() if "aupstream simulate" in b.body), desk)
    asking = [b.body for b in blocks() if b.how == "needs servers"]
    with (desk / "run.log").open("w") as log:
        process = subprocess.Popen(
            ["aupstream", "run", "--config", str(config)], cwd=desk, env=environment(), stdout=log, stderr=log
        )
        try:
            _wait_for(lambda: _violations(config, desk) >= 5, process, desk / "run.log")
            said = "".join(run(body, desk) for body in asking)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0, (desk / "run.log").read_text()[-2000:]
    assert "mass-mail" in said


def _violations(config: Path, folder: Path) -> int:
    done = subprocess.run(
        ["aupstream", "violations", "--json", "--config", str(config)],
        cwd=folder, env=environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return len({json.loads(line)["rule_id"] for line in done.stdout.splitlines()}) if done.returncode == 0 else 0


def _wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 200
    while not condition():
        assert process.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < deadline, log.read_text()[-3000:]


@pytest.mark.servers
@pytest.mark.timeout(300)
def test_the_demo_of_the_readme_finds_what_was_hidden(desk: Path) -> None:
    # ./infra/demo sets up the .venv that runs this test and then does just this.
    block = next(b.body for b in blocks() if b.how == "demo")
    said = run(block.strip().replace("./infra/demo", "aupstream demo") + " --json", desk)
    result = json.loads(said)
    assert (result["missed"], result["unexpected"]) == ([], [])
