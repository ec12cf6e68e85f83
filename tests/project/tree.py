"""The project's own files, read as text and as syntax, and the rules that hold for all of them.

Each rule is a function from text to faults, so that a test can show that it finds what it is there to find.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("schemas", "streams", "agents", "infra", "tests")
MAY_IMPORT = {
    "schemas": {"schemas"},
    "streams": {"schemas", "streams"},
    "agents": {"schemas", "agents"},
    "infra": {"schemas", "streams", "agents", "infra"},
    "tests": set(LAYERS),
}
# Layer 0 is what everybody imports, so what it needs everybody needs: the Avro libraries and the columns.
SCHEMAS_MAY_USE = {"avro", "fastavro", "numpy", "polars", "polars_avro", "pyarrow", "pydantic"}
# How Kafka is reached is one contract for those who write and those who read; its client wants a base class for tokens.
# Sealed bytes are a contract too: collectors seal them, persist seals what agents refuse, the command opens them.
# Spans are sent alike by collectors and agents; OpenTelemetry is imported only where traces are on.
SCHEMAS_MAY_USE_IN = {
    "schemas/kafkaaddress.py": {"kafka"},
    "schemas/sealing.py": {"cryptography"},
    "schemas/traceexport.py": {"opentelemetry"},
}
# The engine is handed its time and its rows: it knows no clock, no chance, no network and no file.
ENGINE_MAY_NOT_USE = {
    *("aiokafka", "asyncio", "clickhouse_driver", "faust", "httpx", "kafka", "mode", "multiprocessing", "os"),
    *("pathlib", "random", "secrets", "socket", "subprocess", "tempfile", "threading", "time"),
}
FAUST = {"faust", "mode"}
MAX_LINES = 400

# One letter of each in brackets, so that this file does not contain what it looks for.
_MACHINE_PATHS = (r"/[w]ork/(?:main|shared)\b", r"/[r]oot/\.", r"/[o]pt/wheels", r"/[t]mp/v0\b")
_REGISTRIES = (r"[p]ypi\.org", r"[p]ythonhosted\.org", r"[m]aven\.(?:org|google)", r"[n]pmjs\.(?:org|com)")
_FORBIDDEN = re.compile("|".join(_MACHINE_PATHS + _REGISTRIES))
_LEFT_OPEN = re.compile(r"\b(?:[T]ODO|[F]IXME|[X]XX)\b")


@cache
def tracked() -> tuple[Path, ...]:
    """Files of the project, as git has them, relative to the root; those deleted but not yet committed left out."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return tuple(path for name in listing.split("\0") if name and (ROOT / (path := Path(name))).is_file())


def modules() -> list[Path]:
    """The Python files among them."""
    return [path for path in tracked() if path.suffix == ".py" and path.parts[0] in LAYERS]


def text_of(path: Path) -> str:
    """Its text; bytes that are no UTF-8 become replacement characters."""
    return (ROOT / path).read_text("utf-8", errors="replace")


def imports(path: Path, source: str) -> Iterator[tuple[int, str]]:
    """Every imported module with its line, absolute, `if TYPE_CHECKING` and imports inside functions included."""
    package = path.parent.parts
    for node in ast.walk(ast.parse(source, str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            origin = [*base, *([node.module] if node.module else [])]
            yield from ((node.lineno, ".".join([*origin, alias.name])) for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__") and node.args:
            name = node.args[0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield node.lineno, name.value


def _called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def import_faults(path: Path, source: str) -> list[str]:
    """Where a module breaks the import rule."""
    layer = path.parts[0]
    faults = []
    may_use = SCHEMAS_MAY_USE | SCHEMAS_MAY_USE_IN.get(path.as_posix(), set())
    for line, name in sorted(set(imports(path, source))):
        top = name.partition(".")[0]
        place = f"{path}:{line}: imports {name}"
        if top in LAYERS and top not in MAY_IMPORT[layer]:
            faults.append(f"{place}, but {layer} may import only {', '.join(sorted(MAY_IMPORT[layer]))}")
        elif layer == "schemas" and top not in may_use | set(sys.stdlib_module_names) | {"schemas"}:
            faults.append(f"{place}, which layer 0 may not need")
        elif path.parts[:2] == ("agents", "engine") and top in ENGINE_MAY_NOT_USE:
            faults.append(f"{place}, but the engine is pure")
    return faults


def uses_faust(path: Path, source: str) -> bool:
    """Whether the module imports Faust or its service library."""
    return any(name.partition(".")[0] in FAUST for _, name in imports(path, source))


def word_faults(path: Path, source: str) -> list[str]:
    """Places of the machine that the project was written on, registries' hosts, and what was left open."""
    return [
        f"{path}:{number}: {found[0]}"
        for number, line in enumerate(source.splitlines(), start=1)
        for pattern in (_FORBIDDEN, _LEFT_OPEN)
        if (found := pattern.search(line))
    ]
