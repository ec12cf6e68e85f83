"""`[logs]` and `[traces]`: what is wrong is named with its place; and logs stay within their size."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from infra.config import load
from infra.run import supervisor as module
from infra.run.supervisor import Spec, Supervisor
from schemas.errors import Errors


def _load(folder: Path, text: str) -> str:
    file = folder / "aupstream.toml"
    file.write_text(text)
    with pytest.raises(Errors) as found:
        load(file)
    return str(found.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[logs]\nformat = "xml"\n', "aupstream.toml:2:1: logs.format: Input should be 'text' or 'json'"),
        ('[logs]\nlevel = "loud"\n', "aupstream.toml:2:1: logs.level: Input should be 'debug'"),
        ("[logs]\nfile = 1\n", "aupstream.toml:2:1: logs.file: there is no such key"),
        ('[traces]\nendpoint = "127.0.0.1:4318"\n', "aupstream.toml:2:1: traces.endpoint: "),
        ('[traces]\nendpoint = "http://x/"\nsample = 2\n', "aupstream.toml:3:1: traces.sample: "),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    assert said in _load(tmp_path, text)


def test_agents_are_told_what_is_configured(tmp_path: Path) -> None:
    file = tmp_path / "aupstream.toml"
    file.write_text('[logs]\nformat = "json"\n[traces]\nendpoint = "http://x/v1/traces"\n')
    told = load(file).agent_settings("k:1", "", tmp_path)
    assert (told.logs.format, told.logs.level) == ("json", "info")
    assert (told.traces.endpoint, told.traces.sample) == ("http://x/v1/traces", 0.01)


def test_the_log_of_a_process_that_goes_on_stays_within_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOG_BYTES", 10_000)
    monkeypatch.setattr(module, "LOOK_AT_LOGS_S", 0.0)
    program = "import sys, time\nwhile True:\n    print('x' * 999, flush=True)\n    time.sleep(0.001)\n"
    processes = Supervisor(tmp_path)
    processes.start(Spec("talker", [sys.executable, "-c", program]))
    try:
        old, cut = tmp_path / "talker.log.1", 0
        while cut < 3:
            before = old.stat().st_mtime_ns if old.exists() else 0
            assert processes.poll() == []
            cut += old.exists() and old.stat().st_mtime_ns != before
    finally:
        processes.stop()
    assert {path.name for path in tmp_path.iterdir()} == {"talker.log", "talker.log.1"}
