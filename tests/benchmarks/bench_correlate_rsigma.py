"""Correlations beside rsigma: `python -m tests.benchmarks.bench_correlate_rsigma SIGMA_FOLDER --rsigma FILE`.

The same events and rule files through both in turn: ours as Avro containers (decoding, conditions, windows, episodes
with their evidence), rsigma's as JSON lines with the same names. One thread each; rates are events a second of
processor time, medians. Of both it is printed how much fired: rsigma has no episodes, `--suppress` for the time span is
the nearest. Rules match one event in ten; where the name ends in `_every_row`, every event.

`--shuffled` compares outcomes in place of speed: the events in order, and shuffled within a minute with one row in a
hundred sent twice. Ours is told of a lateness of a minute and drops repeats by position, as every agent does.
"""

from __future__ import annotations

import os

os.environ["POLARS_MAX_THREADS"] = "1"  # before Polars is imported

import argparse
import gc
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from agents.context.district import District
from agents.context.inventory import Inventory
from agents.delivery.batches import EventBatches
from agents.delivery.stage import Message
from agents.engine.correlate import Bucket, RuleTime
from agents.engine.detect import Detector
from agents.engine.episodes import Judge, Records
from agents.engine.pipeline import last_versions
from agents.engine.rows import rows_of
from agents.rules.loader import load_rules
from agents.rules.model import RuleSet
from agents.rules.reading import Beside
from agents.worker import COLLECT
from schemas.codec import decode, encode, encode_batch
from schemas.headers import FOREVER, BatchHeaders, Mark, Position
from schemas.kinds import EventKind
from tests.benchmarks.bench_codec import proxy_frame
from tests.benchmarks.bench_detect_rsigma import ROWS, copies, rule_files
from tests.benchmarks.rsigma import QUIET, SECONDS_AT_LEAST, SIGMA_NAMES, rates, run, start_of, together, write_lines

USERS = 200
STEP_US = 20_000  # fifty events a second
SPAN = "10m"
LATENESS_US = 60_000_000
START_US = 1_772_000_000_000_000
NAMES = {**SIGMA_NAMES, "proxy_category": "proxy_category", "at": "timestamp"}
ORDERED = ("temporal", "temporal_ordered")
DETECTION = """title: {title}
name: {title}
id: 00000000-0000-4000-8000-00000000000{number}
logsource: {{category: proxy}}
detection:
  selection: {{{field}}}
  condition: selection
"""
CORRELATION = """title: {name}
name: {name}
id: 00000000-0000-4000-8000-0000000001{number:02}
level: low
correlation:
  type: {type}
  rules: [{rules}]
  group-by: [cs-username]
  timespan: {span}
  condition: {condition}
"""


@dataclass(frozen=True)
class Case:
    """One line of the comparison.

    Attributes:
        asked: Type and condition of each correlation; an empty condition is left out.
        every: One row in so many matches.
        users: Group keys.
        values: Hosts.
        span: Time span of the correlations.
        sigma: How many of SigmaHQ's rules run beside them.
        rows: How many events at most.
    """

    asked: tuple[tuple[str, str], ...]
    every: int = 10
    users: int = USERS
    values: int = 500
    span: str = SPAN
    sigma: int = 0
    rows: int = 10**9


# A user has 15 of the matching rows in ten minutes, or 150 where every row matches.
FEW = {
    "event_count": "{gte: 22}",
    "value_count": "{field: cs-host, gte: 21}",
    "value_sum": "{field: sc-bytes, gte: 2200000}",
    "value_avg": "{field: sc-bytes, gte: 180000}",
    "value_percentile": "{field: sc-bytes, gte: 180000, percentile: 50}",
    "value_median": "{field: sc-bytes, gte: 180000}",
    "temporal": "",
    "temporal_ordered": "",
}
MANY = FEW | {
    "event_count": "{gte: 180}",
    "value_count": "{field: cs-host, gte: 145}",
    "value_sum": "{field: sc-bytes, gte: 18000000}",
}
CASES = (
    {kind: Case(((kind, condition),)) for kind, condition in FEW.items()}
    | {f"{kind}_every_row": Case(((kind, condition),), every=1) for kind, condition in MANY.items()}
    | {
        "hot_key_10_values": Case((("value_count", "{field: cs-host, gte: 10}"),), 1, 1, 10),
        "hot_key_20000_values": Case(
            (("value_count", "{field: cs-host, gte: 19000}"),), 1, 1, 20_000, span="1h", rows=40_000
        ),
        "50_rules_6_correlations": Case(
            tuple((k, c) for k, c in FEW.items() if k not in ("value_percentile", "value_median")), sigma=50
        ),
    }
)
SHUFFLED = Case(tuple(FEW.items()))


def frames_of(case: Case, rows: int) -> list[pl.DataFrame]:
    """Proxy events in order; one in `every` is of games or, half as often, of chats."""
    rng, frames = random.Random(5), []
    for seed in range(min(rows, case.rows) // ROWS):
        numbers = range(seed * ROWS, (seed + 1) * ROWS)
        words = [
            (rng.choice(("games", "games", "chat")) if rng.randrange(case.every) == 0 else "news") for _ in numbers
        ]
        hosts = [f"site{rng.randrange(case.values) if case.users > 1 else n % case.values}.example" for n in numbers]
        times = pl.Series([START_US + n * STEP_US + rng.randrange(STEP_US) for n in numbers]).cast(
            pl.Datetime("us", "UTC")
        )
        frames.append(
            proxy_frame(ROWS, seed).with_columns(
                event_id=pl.Series([f"{n:032x}" for n in numbers]),
                timestamp=times,
                at=times.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"),
                log_offset=pl.Series(numbers, dtype=pl.Int64),
                user_name=pl.Series([f"user{rng.randrange(case.users)}" for _ in numbers]),
                url_domain=pl.Series(hosts),
                proxy_category=pl.Series(words),
            )
        )
    return frames


def rule_folder(case: Case, sigma: Path | None, folder: Path) -> Path:
    """Rule files that both tools read."""
    files = rule_files(sigma)[: case.sigma] if case.sigma and sigma else []
    copies(files, folder, proxy=True)
    pairs = [kind in ORDERED for kind, _ in case.asked]
    documents = [
        DETECTION.format(title=title, number=number, field=field)
        for number, (title, field, used) in enumerate(
            (
                ("either", "proxy_category: [games, chat]", not all(pairs)),
                ("games", "proxy_category: games", any(pairs)),
                ("chat", "proxy_category: chat", any(pairs)),
            )
        )
        if used  # a detection that no correlation uses is a violation by itself
    ]
    for number, (kind, condition) in enumerate(case.asked):
        text = CORRELATION.format(
            name=f"rule-{kind}".replace("_", "-"),
            number=number,
            type=kind,
            rules="games, chat" if kind in ORDERED else "either",
            span=case.span,
            condition=condition,
        )
        documents.append(text if condition else text.replace("  condition: \n", ""))
    (folder / "correlations.yml").write_text("---\n".join(documents), encoding="utf-8")
    return folder


class Ours:
    """The engine as a worker runs it, without Kafka: batches in, records out, windows judged as time passes."""

    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules
        self._detector = Detector(rules, District.of("Bench", "UTC", [], []), Inventory.none())
        self.columns = self._detector.columns(EventKind.PROXY)
        self.forget()

    def forget(self) -> None:
        """Begin anew, with the detector that there is: it knows by now what to look for."""
        self._bucket = Bucket({rule.id: rule for rule in self._rules.rules}, Judge())
        self._newest = -(2**62)

    def take(self, frame: pl.DataFrame) -> Records:
        """Judge a batch, and what the time that it shows to have passed makes due."""
        rows = self._detector.detect(frame, EventKind.PROXY)
        records = self._bucket.take(rows_of(rows))
        self._newest = max(self._newest, int(frame["timestamp"].dt.timestamp("us").max()))  # type: ignore[arg-type]
        return records + self._advance(self._newest - LATENESS_US)

    def finish(self) -> Records:
        """Judge what waits at the end."""
        return self._advance(FOREVER)

    def _advance(self, watermark: int) -> Records:
        return self._bucket.advance({rule.id: RuleTime(watermark) for rule in self._rules.rules})


def rules_of(folder: Path) -> RuleSet:
    """The rules of a folder, what cannot run here left out."""
    return load_rules([], Beside(collections=(folder,)))


def one_round(ours: Ours, containers: Sequence[bytes]) -> tuple[float, Records]:
    """Seconds of processor time, and what came out."""
    gc.collect()
    started = time.process_time()
    ours.forget()
    records: Records = []
    for container in containers:
        records += ours.take(decode("proxy", container, ours.columns))
    records += ours.finish()
    return time.process_time() - started, records


def command_of(options: argparse.Namespace, folder: Path, span: str) -> list[str]:
    """How rsigma is called: correlations are told, and not again within the time span."""
    return [str(options.rsigma), "engine", "eval", "-r", str(folder), *QUIET, "--suppress", span]


def measure(case: Case, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """One line."""
    frames = frames_of(case, options.rows)
    rules_folder = rule_folder(case, options.sigma, folder / "rules")
    ours, rows = Ours(rules_of(rules_folder)), sum(frame.height for frame in frames)
    containers = [encode("proxy", frame.drop("at")) for frame in together(frames, options.container)]
    records = one_round(ours, containers)[1]
    line: dict[str, Any] = {"ours": {"violations": len(last_versions(records))}}
    taken: list[float] = []
    theirs: list[float] = []
    command = command_of(options, rules_folder, case.span)
    events = write_lines(folder / "events.ndjson", frames, NAMES)
    start = start_of(command, folder) if options.rsigma else 0.0
    for _ in range(options.rounds):
        taken.append(one_round(ours, containers)[0])
        if options.rsigma:
            done = run(command, events)
            theirs.append(max(done.seconds - start, SECONDS_AT_LEAST))
            line["rsigma"] = {"lines_out": len(done.lines)}
    line["ours"] |= rates(rows, taken)
    if theirs:
        line["rsigma"] |= rates(rows, theirs)
        line["ratio"] = round(line["ours"]["median"] / line["rsigma"]["median"], 2)
    return line


def shuffled_frames(frames: Iterable[pl.DataFrame]) -> list[pl.DataFrame]:
    """The same rows out of order by less than a minute, as the lines of another log."""
    rng, rows = random.Random(11), pl.concat(frames)
    order = sorted(range(rows.height), key=lambda n: n * STEP_US + rng.randrange(LATENESS_US - STEP_US))
    mixed = rows[order].with_columns(log_offset=pl.int_range(rows.height, dtype=pl.Int64))
    return list(mixed.iter_slices(ROWS))


def outcome(rules: RuleSet, frames: Sequence[pl.DataFrame], repeated: int) -> Counter[str]:
    """What our engine makes of batches, each of which sends the last rows of the one before again."""
    batches, ours, records = EventBatches(), Ours(rules), Records()
    last: Mark | None = None
    for number, frame in enumerate(frames):
        again = frames[number - 1].tail(repeated) if number and repeated else frame.clear()
        sent = pl.concat([again, frame]).drop("at")
        ends = [Position(int(sent["log_offset"][place])) for place in (0, -1)]
        generation = str(sent["log_generation"][0])
        # Sent again from the row before: nothing is missing, some of it is known.
        follows = None if last is None else Mark(generation, Position(ends[0].offset - 1))
        headers = BatchHeaders(
            "batch", "proxy", "squid", generation=generation, first=ends[0], last=ends[1], follows=follows
        )
        headers, value = encode_batch("proxy", sent, headers)
        read = batches.read(Message("aup.events.proxy", 0, number, value, headers.to_kafka()), ours.columns)
        assert read is not None, "refused"
        new = read[1]
        assert new is not None
        records += ours.take(new)
        last = Mark(generation, ends[1])
    assert batches.repeats == repeated * (len(frames) - 1)
    shown = ("id", "rule_id", "group_key", "first_seen", "last_seen", "opened_at", "closed_at", "count", "value")
    newest = last_versions(records + ours.finish())
    return Counter(json.dumps({k: r[k] for k in shown}, sort_keys=True) for r in newest)


def difference(before: Counter[str], after: Counter[str]) -> dict[str, Any]:
    """How far two outcomes are apart."""
    apart = (before - after).total() + (after - before).total()
    return {"sorted": before.total(), "shuffled": after.total(), "same": not apart, "differences": apart}


def shuffled(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Outcome of each tool against its own over the events in order."""
    frames = frames_of(SHUFFLED, options.rows)
    rules_folder = rule_folder(SHUFFLED, None, folder / "rules")
    rules, mixed, repeated = rules_of(rules_folder), shuffled_frames(frames), ROWS // 100
    figures = {"ours": difference(outcome(rules, frames, 0), outcome(rules, mixed, repeated))}
    if options.rsigma is not None:
        # Lines that are sent twice stand in the file twice: rsigma has no positions.
        twice = [pl.concat([frame, frame.tail(repeated)]) for frame in mixed]
        found = [
            Counter(line.decode() for line in run(command_of(options, rules_folder, SPAN), file).lines)
            for file in (
                write_lines(folder / "sorted.ndjson", frames, NAMES),
                write_lines(folder / "mixed.ndjson", twice, NAMES),
            )
        ]
        figures["rsigma"] = difference(*found)
    return figures


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sigma", type=Path, help="folder of SigmaHQ's repository")
    parser.add_argument("--case", dest="cases", choices=CASES, nargs="+", default=list(CASES))
    parser.add_argument("--rsigma", type=Path, help="rsigma's binary")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--container", type=int, default=ROWS, help="rows of one container")
    parser.add_argument("--shuffled", action="store_true", help="compare outcomes")
    options = parser.parse_args()
    gc.set_threshold(*COLLECT)
    figures: dict[str, Any] = {}
    for name in ("shuffled",) if options.shuffled else options.cases:
        with tempfile.TemporaryDirectory() as folder:
            if options.shuffled:
                figures[name] = shuffled(options, Path(folder))
            else:
                figures[name] = measure(CASES[name], options, Path(folder))
    print(
        json.dumps(
            {"rows": options.rows, "container": options.container, "rounds": options.rounds, "lines": figures}, indent=1
        )
    )


if __name__ == "__main__":
    main()
