"""What the codec does in a second on one core: `python tests/benchmarks/bench_codec.py [--rows N] [--rounds N]`.

Prints one JSON object. Rates are events a second, from the fastest of the rounds (other work on the machine only ever
slows a round down) and from the median; the ratios against fastavro are from the same run.
"""

from __future__ import annotations

import os

os.environ["POLARS_MAX_THREADS"] = "1"  # before Polars is imported

import argparse
import io
import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import fastavro
import polars as pl
import pyarrow as pa

from schemas import _container, _polars_avro, _rows, codec, fitting, registry

RULE_COLUMNS = ("event_id", "timestamp", "source_ip", "user_name", "url_domain", "log_offset", "log_sub", "late")


def proxy_frame(rows: int, seed: int = 1) -> pl.DataFrame:
    """Proxy events of a school's morning: few sites take most requests, most are CONNECT, some log a user."""
    draw = random.Random(seed)
    sites = [f"{word}{n}.example.{top}" for n in range(60) for word in ("cdn", "www", "api") for top in ("org", "com")]
    agents = [
        f"Mozilla/5.0 (X11; CrOS x86_64 {n}.0) AppleWebKit/537.36 Chrome/{n}.0.0.0 Safari/537.36"
        for n in range(90, 125)
    ]
    records = [_record(draw, number, sites, agents) for number in range(rows)]
    return fitting.fit("proxy", pl.DataFrame(records, schema_overrides=_types(records[0])))


def _types(record: dict[str, Any]) -> dict[str, pl.DataType]:
    return {column: kind for column, kind in registry.polars_schema("proxy").items() if column in record}


def _record(draw: random.Random, number: int, sites: list[str], agents: list[str]) -> dict[str, Any]:
    site = sites[min(int(draw.expovariate(0.02)), len(sites) - 1)]
    tunnel = draw.random() < 0.6
    path = (
        f"/{draw.choice(('img', 'static', 'api', 'news'))}/{draw.randrange(9999)}.{draw.choice(('js', 'png', 'html'))}"
    )
    offset = number * 190
    return {
        "event_id": f"8f00aa11bb22cc33{offset:012x}0000",
        "timestamp": 1_700_000_000_000_000 + number * 20_000 + draw.randrange(20_000),
        "event_dataset": "squid.access",
        "event_outcome": "success",
        "log_source": "squid",
        "log_generation": "0123456789abcdef",
        "log_offset": offset,
        "log_sub": 0,
        "log_hash": f"{draw.getrandbits(128):032x}",
        "late": False,
        "time_suspect": False,
        "source_ip": f"10.{draw.randrange(4)}.{draw.randrange(8)}.{draw.randrange(250)}",
        "user_name": f"user{draw.randrange(900)}" if draw.random() < 0.5 else None,
        "http_request_method": "CONNECT" if tunnel else "GET",
        "http_version": "1.1",
        "url_original": f"{site}:443" if tunnel else f"http://{site}{path}",
        "url_scheme": None if tunnel else "http",
        "url_domain": site,
        "url_port": 443 if tunnel else None,
        "url_path": None if tunnel else path,
        "url_extension": None if tunnel else path.rpartition(".")[2],
        "http_response_status_code": 200,
        "http_response_bytes": draw.randrange(200_000),
        "http_response_mime_type": None if tunnel else "text/html",
        "user_agent_original": draw.choice(agents) if draw.random() < 0.8 else None,
        "destination_ip": f"192.0.2.{draw.randrange(250)}",
        "event_duration": draw.randrange(10**6) * 1_000,
        "proxy_result": "TCP_TUNNEL" if tunnel else "TCP_MISS",
        "proxy_hierarchy": "HIER_DIRECT",
    }


def rate(rows: int, rounds: int, call: Callable[[], object]) -> dict[str, int]:
    """Events a second of a call, fastest and median round."""
    call()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return {"best": round(rows / min(times)), "median": round(rows / statistics.median(times))}


def fastavro_encode(rows: list[dict[str, Any]], schema: Any) -> bytes:
    """The same container by fastavro; its level is fastavro's own."""
    out = io.BytesIO()
    fastavro.writer(out, schema, rows, codec="zstandard")
    return out.getvalue()


def levels(frame: pl.DataFrame, rounds: int) -> dict[str, Any]:
    """Size and speed of the compression alone, by zstd level."""
    payload = _polars_avro.write_block(fitting.to_arrow("proxy", frame)).payload
    out = {}
    for level in (-5, -1, 1, 2, 3, 6):
        packer = pa.Codec("zstd", compression_level=level)
        out[str(level)] = {
            "bytes_per_event": round(len(packer.compress(payload, asbytes=True)) / frame.height, 1),
            **rate(frame.height, rounds, lambda packer=packer: packer.compress(payload, asbytes=True)),  # type: ignore[misc]
        }
    return out


def measure(rows: int, rounds: int) -> dict[str, Any]:
    """All figures."""
    frame = proxy_frame(rows)
    value = codec.encode("proxy", frame)
    plain = _rows.reader_schema(registry.schema("proxy"))
    dicts = frame.cast(pl.Schema(_rows.plain_columns(registry.schema("proxy")))).to_dicts()
    theirs = fastavro_encode(dicts, plain)
    few = max(1, rounds // 10)
    encode, decode = (
        rate(rows, rounds, lambda: codec.encode("proxy", frame)),
        rate(rows, rounds, lambda: codec.decode("proxy", value)),
    )
    slow_encode = rate(rows, few, lambda: fastavro_encode(dicts, plain))
    slow_decode = rate(rows, few, lambda: list(fastavro.reader(io.BytesIO(theirs))))
    return {
        "rows": rows,
        "columns": frame.width,
        "threads": 1,
        "zstd_level": _container.ZSTD_LEVEL,
        "bytes_per_event": round(len(value) / rows, 1),
        "encode_events_per_s": encode,
        "decode_events_per_s": decode,
        "decode_rule_columns_events_per_s": rate(rows, rounds, lambda: codec.decode("proxy", value, RULE_COLUMNS)),
        "fastavro_encode_events_per_s": slow_encode,
        "fastavro_decode_events_per_s": slow_decode,
        "encode_ratio": round(encode["best"] / slow_encode["best"], 1),
        "decode_ratio": round(decode["best"] / slow_decode["best"], 1),
        "levels": levels(frame, few),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=100)
    options = parser.parse_args()
    sys.stdout.write(json.dumps(measure(options.rows, options.rounds), indent=1) + "\n")


if __name__ == "__main__":
    main()
