"""What follows where old lines were read: which windows were judged without them, and that these are judged again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agents.rules.bundle import RuleSources
from infra.cli.configuration import Chosen
from infra.cli.output import iso, talk
from infra.cli.rejudging import Asked, run
from infra.replay.sending import Sent
from infra.replay.touched import span, touched

Span = tuple[int, int]


def tell(chosen: Chosen, made: Sequence[Sent]) -> list[Span]:
    """Say what is touched; spans of first events to be judged again, microseconds UTC."""
    config = chosen.config.rules
    rules = RuleSources(config.paths, config.beside, config.shadow).load()
    kinds = {kind for sent in made for kind in sent.events}
    found = [s for sent in made if (s := span(sent, rules)) is not None]
    if not found:
        talk("no event came of it, so no window is touched")
        return []
    start, end = min(s for s, _ in found), max(e for _, e in found)
    names = touched(rules, kinds)
    talk(f"{len(names)} rules look at such events together, and judged without these: {', '.join(names)}")
    talk(f'to judge again: aupstream rejudge --from {iso(start)} --to {iso(end)} --reason "…" (or give --rejudge)')
    return [(start, end)]


def judge_again(spans: Sequence[Span], reason: str, config: Path | None, data: Path | None, *, as_json: bool) -> None:
    """Judge the spans again, as `aupstream rejudge` does."""
    for start, end in spans:
        run(Asked(iso(start), iso(end), (), (), reason, due=False, dry_run=False), config, data, as_json=as_json)
