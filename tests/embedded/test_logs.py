from __future__ import annotations

from pathlib import Path

from infra.embedded import logs


def test_a_log_is_cut_at_its_limit_and_the_older_part_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with path.open("ab") as child:
        child.write(b"x" * 100)
        child.flush()
        assert not logs.bound(path, 100)
        child.write(b"y")
        child.flush()
        assert logs.bound(path, 100)
        child.write(b"z")
    assert path.read_bytes() == b"z"
    assert path.with_name("a.log.1").read_bytes() == b"x" * 100 + b"y"


def test_the_tail_is_of_this_start_only(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("old\n" + "new\n" * 20)
    assert logs.tail(path, since_bytes=4, lines=2) == "new\nnew"
    assert logs.tail(tmp_path / "none") == "(no log)"
    assert not logs.bound(tmp_path / "none")
