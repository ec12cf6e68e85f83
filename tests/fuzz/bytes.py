"""Coverage-guided fuzzing of what reads bytes: `python -m tests.fuzz.bytes TARGET [-runs=N] [-seed=N] [CORPUS]`.

The arguments behind the target are libFuzzer's; without `-runs` it goes on until it is stopped. Where atheris is not to
be had (it has wheels for Linux only), `-runs` random inputs are tried instead.
"""

from __future__ import annotations

import random
import sys

GUIDED = ("streams.listen", "streams.normalisers", "streams.sources", "tests.fuzz.targets")


def main(argv: list[str]) -> int:
    try:
        import atheris
    except ImportError:
        return _random(argv)
    with atheris.instrument_imports(include=list(GUIDED)):
        from tests.fuzz.targets import TARGETS
    if len(argv) < 2 or argv[1] not in TARGETS:
        return _usage(sorted(TARGETS))
    atheris.Setup([argv[0], *argv[2:]], TARGETS[argv[1]])
    atheris.Fuzz()
    return 0


def _usage(targets: list[str]) -> int:
    sys.stderr.write(f"{__doc__}\nTargets: {', '.join(targets)}\n")
    return 2


def _random(argv: list[str]) -> int:
    from tests.fuzz.targets import TARGETS

    if len(argv) < 2 or argv[1] not in TARGETS:
        return _usage(sorted(TARGETS))
    runs = next((int(a.partition("=")[2]) for a in argv if a.startswith("-runs=")), 10_000)
    dice = random.Random(next((a for a in argv if a.startswith("-seed=")), "1"))
    for _ in range(runs):
        TARGETS[argv[1]](dice.randbytes(dice.randint(0, 300)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
