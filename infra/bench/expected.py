"""What a day's logs come to without servers: `python -m infra.bench.expected CONFIG` prints one JSON object.

`events` by kind, and `violations`: id and last version of each. What came out of a run is held against it.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agents.build import district_of, inventory_of, judge_of
from agents.engine.pipeline import Pipeline, last_versions
from agents.rules.loader import load_rules
from infra.config import load
from schemas.kinds import EventKind
from streams.road import deliveries

_KIND_OF = {kind.topic: kind for kind in EventKind}


def expect(config_file: Path) -> dict[str, Any]:
    """Read and judge a configuration's logs.

    Returns:
        `events`: rows by kind; `violations`: object of id and last version.
    """
    config = load(config_file)
    district = district_of(config.district)
    rules = load_rules(config.rules.paths) if config.rules.paths else load_rules()
    pipeline = Pipeline(rules, district, inventory_of(config.district), judge_of(config.district, district))
    events: Counter[str] = Counter()
    now = datetime.now(UTC)
    for headers, frame, message in deliveries(
        config.collectors(), now_us=round(now.timestamp() * 1e6), today=now.date()
    ):
        kind = _KIND_OF.get(message.topic)
        if kind is not None and frame is not None and headers is not None:
            events[kind.value] += frame.height
            pipeline.take(kind, frame, earliest=headers.earliest)
    violations = {r["id"]: r["version"] for r in last_versions(pipeline.finish())}
    return {"events": dict(events), "violations": violations}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(expect(Path(sys.argv[1]))) + "\n")
