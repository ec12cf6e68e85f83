"""A folder of files followed, anything in any order: each line once and in order, restarts between any two steps."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from streams.sources.content import ContentSettings
from streams.sources.file_follow import GRACE_US
from streams.sources.folder_read import FolderFollow

SETTINGS = ContentSettings(1_000, preamble=lambda line: line.startswith(b"#"))


class Files(RuleBasedStateMachine):
    """A writer that begins a new file now and then, and never goes back to an older one."""

    @initialize(header=st.sampled_from([b"", b"#Fields: a\n"]))
    def begin(self, header: bytes) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="files-"))
        self.header, self.number, self.count = header, 8, 0
        self.got: list[bytes] = []
        self.place: tuple[str, int] | None = None
        self.now = 0
        self.open_file()
        self.source = FolderFollow(f"{self.folder}/u_ex*.log*", SETTINGS)
        self.write(1)
        self.poll()

    def open_file(self) -> None:
        self.number += 1
        self.path = self.folder / f"u_ex{self.number}.log"
        self.path.write_bytes(self.header)

    @rule(count=st.integers(1, 5))
    def write(self, count: int) -> None:
        with self.path.open("ab") as file:
            for _ in range(count):
                file.write(b"line %d\n" % self.count)
                self.count += 1

    @precondition(lambda self: self.number < 30)
    @rule(empty=st.booleans())
    def next_file(self, empty: bool) -> None:
        if empty:
            self.open_file()
        self.open_file()

    @precondition(lambda self: self.number > 9)
    @rule()
    def compress_the_one_before(self) -> None:
        old = self.folder / f"u_ex{self.number - 1}.log"
        if old.exists():
            old.with_name(f"{old.name}.gz").write_bytes(gzip.compress(old.read_bytes()))
            old.unlink()

    def take(self, lines: int, step_us: int, times: int) -> None:
        for _ in range(times):
            chunk = self.source.read(lines, self.now)
            self.now += step_us
            if chunk is not None:
                self.got += [line for line in chunk.lines if not line.startswith(b"#")]
                self.place = (chunk.generation, chunk.end_offset)

    @rule()
    def read_a_little(self) -> None:
        self.take(2, 1, 1)

    @rule()
    def poll(self) -> None:
        self.take(3, GRACE_US, 60)

    @rule()
    def restart(self) -> None:
        state = self.source.save()
        self.source.close()
        self.source = FolderFollow(f"{self.folder}/u_ex*.log*", SETTINGS)
        self.source.load(state)
        if self.place is not None:
            self.source.seek(*self.place)

    def teardown(self) -> None:
        if hasattr(self, "source"):
            self.write(1)
            self.poll()
            self.restart()
            self.poll()
            self.source.close()
            shutil.rmtree(self.folder)
            assert self.got == [b"line %d" % i for i in range(self.count)]
            assert self.source.unread_bytes == 0


TestFiles = Files.TestCase
TestFiles.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
