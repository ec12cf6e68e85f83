"""`aupstream bench`: what this machine does with a simulated day, measured on the real road. Keys: see `KEYS`."""

from infra.bench.bench import run
from infra.bench.keys import KEYS
from infra.bench.options import Options

__all__ = ["KEYS", "Options", "run"]
