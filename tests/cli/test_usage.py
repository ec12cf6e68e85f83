"""Help, exit codes and errors of the command as a whole."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infra.cli.failures import Commands
from infra.cli.output import iso, printable
from tests.cli.command import ENV, aupstream, process

COMMANDS = (
    "normalise backtest simulate up run collect listen agents demo violations sql audit status doctor deadletters "
    "rules".split()
)
WITH_EXAMPLE = [
    *([c] for c in COMMANDS if c not in ("deadletters", "rules")),
    *(["deadletters", c] for c in ("list", "show")),
    *(["rules", c] for c in ("lint", "test", "list")),
]


def test_help_lists_every_command_and_the_exit_codes() -> None:
    ran = process("--help")
    assert ran.code == 0
    for command in COMMANDS:
        assert re.search(rf"^  {command} ", ran.out, re.MULTILINE)
    assert "Exit codes: 0 fine" in ran.out


def test_no_box_and_no_colour_where_nobody_looks() -> None:
    ran = process("--help")
    assert not re.search("[\u2500-\u257f\x1b]", ran.out + ran.err)


@pytest.mark.parametrize("command", WITH_EXAMPLE, ids=" ".join)
def test_help_of_each_command_has_an_example(command: list[str]) -> None:
    ran = aupstream(*command, "--help")
    assert ran.code == 0
    assert re.search(r"Examples?:\s+`", ran.out)
    assert f"aupstream {' '.join(command)}" in " ".join(ran.out.split())


def test_help_does_not_wait_for_heavy_libraries() -> None:
    code = "import sys; from infra.cli.app import app\n"
    code += "try: app(['--help'], prog_name='aupstream')\nexcept SystemExit: pass\n"
    code += "print(sorted({'polars', 'pydantic', 'kafka', 'clickhouse_driver', 'faust', 'numpy'} & set(sys.modules)))"
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env={**os.environ, **ENV})
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_version_is_told() -> None:
    assert aupstream("--version").out.startswith("aupstream ")


@pytest.mark.parametrize("args", [["nothing"], ["simulate"], ["demo", "--lines", "many"], ["rules", "lin"], ["sql"]])
def test_wrong_usage_ends_with_2_and_points_to_the_help(args: list[str]) -> None:
    ran = aupstream(*args)
    assert ran.code == 2
    assert "Usage: aupstream" in ran.err


def test_every_wrong_key_of_a_configuration_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text('dat = "x"\n[district]\ntimezone = 3\n[[sources]]\ntype = "apache"\n')
    ran = aupstream("run", "--config", file)
    assert ran.code == 2
    assert f"{file}:1:1: dat: there is no such key" in ran.err
    assert f"{file}:3:1: district.timezone" in ran.err
    assert f"{file}:5:1: sources.1.type: 'apache' is no source type" in ran.err


def test_every_mistake_of_a_format_of_ones_own_is_named_with_line_and_column(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(
        '[formats.badge]\nkind = "login"\nsyntax = "regex"\npattern = "^(?<who>.*)$"\ntime = { field = "when" }\n'
        '[formats.badge.fields]\nuser = "who"\n  event_action = { value = "logn" }\n'
        '[formats.squid]\nkind = "proxy"\nsyntax = "json"\ntime.field = "t"\n'
        'fields.event_action.value = "allowed"\n[[sources]]\ntype = "squid"\noptions = { logformt = "x" }\n'
        '[[sources]]\nname = "b"\ntype = "squid"\noptions = { logformat = "%QQ" }\n'
    )
    ran = aupstream("run", "--config", file)
    assert ran.code == 2
    for place, said in (
        ("5:10", "records have no field 'when'"),
        ("7:1", "login events have no column 'user'"),
        ("8:3", "'logn' is no event_action of login events (did you mean 'login'?)"),
        ("9:2", "'squid' is a type that comes with aupstream"),
        ("16:13", "type squid has no option 'logformt'"),
        ("20:13", "'%QQ' is no format code of Squid"),
    ):
        assert [line for line in ran.err.splitlines() if f"{file}:{place}:" in line and said in line], (place, ran.err)


@pytest.mark.parametrize(
    ("text", "args", "code", "said"),
    [
        ("", ["run"], 2, "the configuration has no [[sources]]"),
        ('[[sources]]\ntype = "squid"\n', ["run"], 2, "standard input cannot be read by `run`"),
        (
            '[[sources]]\ntype = "squid"\npath = "no.log"\n',
            ["run", "--once"],
            4,
            "log of source 'squid' cannot be read",
        ),
        ('[[sources]]\ntype = "squid"\npath = "a"\nmode = "follow"\n', ["run", "--once"], 2, "squid is followed"),
        ("", ["collect"], 2, "the configuration has no [[sources]]"),
        ('[[sources]]\ntype = "squid"\n', ["collect"], 4, "the embedded servers do not run"),
        ("", ["listen"], 2, "the configuration has no [[listeners]]"),
        ("", ["agents"], 4, "start `aupstream up` on this data folder"),
        ("", ["violations"], 4, "no embedded ClickHouse is running"),
        ("", ["violations", "--since", "soon"], 2, "--since: 'soon' is no time"),
        ("", ["violations", "--status", "bad"], 2, "--status: 'bad' is no status"),
        ("", ["sql", "SELECT 1"], 4, "name the data folder with --data"),
        ("", ["sql", " ; "], 2, "there is no statement"),
        ("", ["audit"], 4, "no embedded ClickHouse is running"),
        ("", ["deadletters", "list"], 4, "no embedded ClickHouse is running"),
        ("", ["deadletters", "show", "xyz"], 2, "'xyz' is no id"),
        (
            '[clickhouse]\ndsn = "clickhouse://u:s3cret@127.0.0.1:1/db"\n',
            ["violations"],
            4,
            "ClickHouse does not answer",
        ),
        (
            '[clickhouse]\ndsn = "clickhouse://u:s3cret/x@a:1/db"\n',
            ["violations"],
            2,
            "toml:2:1: clickhouse.dsn: this is",
        ),
        ('[clickhouse]\nanalyst_dsn = "u:s3cret@a:1"\n', ["violations"], 2, "this is no DSN; write clickhouse://"),
        (
            '[kafka]\nbootstrap = "a:1"\n[clickhouse]\ndsn = "clickhouse://a:1/db"\n',
            ["up"],
            2,
            "remove kafka.bootstrap and clickhouse.dsn",
        ),
        ("", ["simulate", "--lines", "10", "x"], 2, "2,000 to 20,000,000"),
        ("", ["demo", "--data", "."], 2, "the folder is not empty"),
    ],
)
def test_mistakes_are_named_with_what_to_do(tmp_path: Path, text: str, args: list[str], code: int, said: str) -> None:
    (tmp_path / "aupstream.toml").write_text(text)
    ran = aupstream(*args)
    assert ran.code == code
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert "s3cret" not in ran.err


def test_an_error_nobody_foresaw_is_one_line_and_a_file_for_its_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    code = (
        "import typer, tempfile; from infra.cli.failures import Commands\n"
        "app = typer.Typer(cls=Commands, pretty_exceptions_enable=False)\n"
        "@app.command()\ndef a(): raise KeyError('boo')\n@app.command()\ndef b(): pass\napp(['a'])\n"
    )
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, capture_output=True, check=False, text=True, env={**os.environ, **ENV})
    assert done.returncode == 4
    (kept,) = tmp_path.glob("aupstream-error-*.txt")
    assert done.stderr == f"error: unexpected KeyError: 'boo' (the whole story: {kept})\n"
    assert "Traceback" in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0


def test_ctrl_c_ends_quietly_with_130() -> None:
    argv = [sys.executable, "-m", "infra.cli", "normalise", "--source", "squid", "-"]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **ENV}
    ) as run:
        assert run.stdin is not None
        assert run.stdout is not None
        assert run.stderr is not None
        run.stdin.write(
            b"1767625200.125 84 10.0.0.1 TCP_MISS/200 5 GET http://www.example.org/ - HIER_DIRECT/192.0.2.1 -\n"
        )
        run.stdin.flush()
        assert json.loads(run.stdout.readline())["kind"] == "proxy"  # so it is waiting for more
        run.send_signal(signal.SIGINT)
        assert run.wait(60) == 130
        assert run.stderr.read() == b""


def test_times_are_iso_8601_in_utc_with_a_fraction_where_there_is_one() -> None:
    assert iso(1_767_625_200_000_000) == "2026-01-05T15:00:00Z"
    assert iso(1_767_625_200_125_000) == "2026-01-05T15:00:00.125000Z"


def test_what_a_log_says_cannot_steer_a_terminal() -> None:
    assert printable("a\x1b[2Jb\n\u202ec") == "a\\x1b[2Jb\\n\\u202ec"


def test_the_group_of_commands_is_the_one_that_reports() -> None:
    from infra.cli.app import app

    assert app.info.cls is Commands


def test_any_locale_and_closed_streams_will_do() -> None:
    argv = [sys.executable, "-m", "infra.cli"]
    ascii_only = {**os.environ, **ENV, "PYTHONIOENCODING": "ascii:strict"}
    done = subprocess.run([*argv, "backtest", "--help"], capture_output=True, check=True, env=ascii_only)
    assert b"TYPE:FILE" in done.stdout
    done = subprocess.run([*argv, "rules", "list"], capture_output=True, check=True, env=ascii_only)
    assert "≥".encode() in done.stdout
    closed = ["sh", "-c", 'exec "$@" >&- 2>&-', "sh", *argv, "--version"]
    assert subprocess.run(closed, check=False, env={**os.environ, **ENV}).returncode == 0


def test_a_table_is_drawn_on_a_terminal_only() -> None:
    main, other = pty.openpty()
    argv = [sys.executable, "-m", "infra.cli", "rules", "list"]
    environment = {**os.environ, **ENV, "COLUMNS": "160", "TERM": "xterm"}
    with subprocess.Popen(argv, stdout=other, stderr=subprocess.DEVNULL, env=environment) as run:
        os.close(other)
        drawn = b""
        while part := _read(main):
            drawn += part
        assert run.wait(60) == 0
    os.close(main)
    assert "─".encode() in drawn
    assert b"two-sites" in drawn
    assert "─".encode() not in subprocess.run(argv, capture_output=True, check=True, env=environment).stdout


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux says so when the other side has closed
        return b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_full_disk_behind_the_output_is_said_in_words(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "infra.cli", "normalise", "--list", "--json"],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False, env={**os.environ, **ENV}, cwd=tmp_path,
        )  # fmt: skip
    assert ran.returncode == 4
    assert "standard output: cannot be written: No space left on device" in ran.stderr
    assert "unexpected" not in ran.stderr


def test_a_variable_that_is_no_json_is_named_and_its_value_is_not_told(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "infra.cli", "violations"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, **ENV, "AUPSTREAM_CLICKHOUSE": "clickhouse://u:s3cret@127.0.0.1:9/x"},
    )  # fmt: skip
    assert ran.returncode == 2
    assert '"clickhouse"' in ran.stderr
    assert "AUPSTREAM_SECTION__KEY" in ran.stderr
    assert "unexpected" not in ran.stderr
    assert "s3cret" not in ran.stderr


def test_a_day_with_options_of_a_term_is_refused(tmp_path: Path) -> None:
    ran = aupstream("simulate", "--days", "12", str(tmp_path / "x"))
    assert ran.code == 2
    assert "add --term" in ran.err
    assert not (tmp_path / "x").exists()
