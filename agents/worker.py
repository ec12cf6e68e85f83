"""A worker process: `python -m agents.worker AGENT INSTANCE SETTINGS_FILE HOME`."""

from __future__ import annotations

import gc
import logging
import os
import sys
from pathlib import Path

from schemas.errors import AupstreamError
from schemas.logs import configure
from schemas.metrics import Metrics
from schemas.traces import tracing

log = logging.getLogger("aupstream.agent")
# Rows make no cycles: looking for some after every 700 new objects cost a quarter of correlate's time.
COLLECT = (50_000, 20, 50)  # for gc.set_threshold


def main(argv: list[str]) -> int:
    """Run one agent until SIGTERM; the exit code where it cannot begin."""
    try:
        _run(argv)
    except AupstreamError as error:
        log.critical("%s", error)  # it names its place and what to do: a traceback would hide that
        return error.exit_code
    return 0


def _run(argv: list[str]) -> None:
    agent, instance, settings_file, home = argv
    os.environ.setdefault("POLARS_MAX_THREADS", "1")  # more processes, not more threads
    gc.set_threshold(*COLLECT)

    from agents.settings import AgentSettings  # noqa: PLC0415  # after the environment is set
    from agents.stages import stage_factory  # noqa: PLC0415  # likewise

    settings = AgentSettings.model_validate_json(Path(settings_file).read_text())
    configure(f"{agent}-{instance}", settings.logs)
    metrics = Metrics()
    make = stage_factory(agent, settings, Path(home), metrics)
    from agents import faust_app  # noqa: PLC0415  # after the environment is set
    from agents.delivery.journey import Seen  # noqa: PLC0415  # likewise

    seen = Seen(metrics, tracing(settings.traces, f"{agent}-{instance}", metrics))
    faust_app.run(faust_app.build(agent, int(instance), settings, make, Path(home), seen))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
