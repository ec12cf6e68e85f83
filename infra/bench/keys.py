"""The keys of what `aupstream bench --json` prints, and what each is."""

from __future__ import annotations

KEYS: dict[str, str] = {
    "whole_road_lines_per_s": (
        "lines a second from the first line read until every event and every violation in its last version can be "
        "queried in ClickHouse: embedded Kafka and ClickHouse, collectors and all agents on this machine, servers and "
        "agents started before; logs are read to their end, so no lateness is waited for; median of the runs"
    ),
    "whole_road_runs": "lines a second of each run",
    "whole_road_seconds": "seconds of each run",
    "whole_road_exact": "true where every run gave exactly the events and violations of the engine without servers",
    "whole_road_cpu_s": "seconds of processor time by process, of the median run; all threads together",
    "naive_lines_per_s": (
        "the same for a plain Faust pipeline in the same run, on the same servers: one JSON record a message by "
        "kafka-python with its batching, the same normalisers, the same rules row by row in Python, rows to ClickHouse "
        "in batches"
    ),
    "naive_lines": "lines that the naive pipeline was given",
    "naive_seconds": "seconds that it took",
    "naive_violations": "violations that it found, of `naive_expected`",
    "naive_expected": "violations, permitted and informational ones too, that are in what it was given",
    "naive_cpu_s": "seconds of processor time by process",
    "whole_road_times_naive": "whole_road_lines_per_s / naive_lines_per_s",
    "parse_lines_per_s": "lines a second that the normalisers make events of, over the day's mix of logs; one core",
    "parse_lines_per_s_by_type": "the same by type of log",
    "format_lines_per_s": (
        "lines a second of every type of log, one core: the first events of its golden file, which show the main form, "
        "with other addresses and identifiers each time; of formats that join lines all; empty without the tests"
    ),
    "format_lines_per_s_all_forms": "the same over all events of the golden file, odd forms as often as others",
    "format_lines_per_s_least": "the least of them",
    "collect_lines_per_s": "lines a second of a collector without Kafka: read, parse, stamp, encode, ledger; one core",
    "encode_events_per_s": "events a second to Avro containers, over the day's mix of kinds; one core",
    "detect_events_per_s": (
        "events a second from Avro container to detections in Avro: decode, five rules, attribution, encode; over the "
        "day's mix; one core"
    ),
    "detect_events_per_s_by_kind": "the same by kind of event",
    "correlate_rows_per_s": "detection rows a second through reorder buffer, windows and episodes; one core",
    "latency_p50_s": (
        "median seconds from the time stamped into the line that completes a violation to its row in ClickHouse, less "
        "the lateness that its rule waits for; logs are followed while `latency_lines_per_s` are written"
    ),
    "latency_p99_s": "the same, 99th percentile",
    "latency_max_s": "the same, the longest",
    "latency_samples": "violations measured; those that did not come are in `latency_missing`",
    "latency_missing": "violations that did not come within the time-out",
    "latency_lines_per_s": "lines a second written meanwhile: half of whole_road_lines_per_s was asked for",
    "latency_by_rule": "p50 and p99 seconds by rule",
    "latency_small_p50_s": "as latency_p50_s at `latency_small_lines_per_s`",
    "latency_small_p99_s": "as latency_p99_s at `latency_small_lines_per_s`",
    "latency_small_lines_per_s": "lines a second written in the second latency run",
    "latency_lateness_s": "lateness of the sources in the latency runs, which is taken off",
    "peak_rss_mb": "highest resident memory by process while the whole road was busy, MB (10^6 bytes), sampled",
    "bytes_per_event_kafka": "bytes of the event topics' logs on the broker's disk for each event",
    "lines": "lines of the simulated day",
    "events": "events that came of them",
    "violations": "violations, permitted and informational ones too, in their last version",
    "seed": "of the simulated day",
    "runs": "runs of the whole road",
    "machine": (
        "cores, memory_mb, system, python, and load: processes that wanted a core in the minute before the benchmark; "
        "above a few tenths, others were at work and the figures are too low"
    ),
    "seconds": "seconds that the benchmark took in all",
}
