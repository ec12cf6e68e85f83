"""What no module of ours may use: it turns bytes or text into running code, or gives up a check that protects.

Pickles and their kin run code that is in the bytes. `yaml.load` makes any object that its text names. A shell reads
words as commands. What is looked for stands in tables below; names are followed through `import … as …` and
`from … import …`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

# Whole modules: each of them reads pickles, or code, out of bytes. Queues, pipes, pools and managers of
# `multiprocessing` pickle what goes through them, and so do the pools of processes in `concurrent.futures`.
MODULES = frozenset(
    {
        *("pickle", "_pickle", "cPickle", "marshal", "shelve", "dbm", "dill", "cloudpickle", "jsonpickle", "joblib"),
        *("multiprocessing", "concurrent.futures.process"),
    }
)
# Names, as they are found after imports are followed.
NAMES = frozenset(
    {
        *("eval", "exec", "compile", "builtins.eval", "builtins.exec", "builtins.compile", "tempfile.mktemp"),
        *("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "pty.spawn"),
        *("asyncio.create_subprocess_shell", "asyncio.subprocess.create_subprocess_shell"),
        *("concurrent.futures.ProcessPoolExecutor", "logging.config.listen", "ssl._create_unverified_context"),
        *("yaml.unsafe_load", "yaml.unsafe_load_all", "yaml.full_load", "yaml.full_load_all"),
        *("yaml.UnsafeLoader", "yaml.FullLoader", "yaml.Loader", "yaml.CLoader", "yaml.CUnsafeLoader"),
        *("yaml.CFullLoader", "pandas.read_pickle", "numpy.load", "ssl.CERT_NONE"),
    }
)
# Methods, whatever they are called on: `frame.to_pickle(…)`. Polars' plans and expressions read pickled functions.
METHODS = frozenset({"read_pickle", "to_pickle", "deserialize", "unsafe_load", "unsafe_load_all"})
# Keywords that must not have the value, whatever is called.
KEYWORDS: dict[str, object] = {"shell": True, "verify": False, "allow_pickle": True, "check_hostname": False}
# Attributes that must not be set to the value.
SETTINGS: dict[str, object] = {"check_hostname": False}
SAFE_LOADERS = frozenset({"yaml.SafeLoader", "yaml.CSafeLoader", "yaml.BaseLoader", "yaml.CBaseLoader"})
SERIALIZERS = ("key_serializer", "value_serializer", "serializer")


def unsafe(path: Path, source: str) -> list[str]:
    """Each use with its place, in the order of the lines."""
    tree = ast.parse(source, str(path))
    known = _imported(tree)
    safe = SAFE_LOADERS | {
        node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and _derives_safely(node, known)
    }
    found = set(_imports(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
            name = _name(node, known)
            if name in NAMES:
                found.add((node.lineno, name))
        if isinstance(node, ast.Call):
            found.update((node.lineno, what) for what in _call(node, known, safe))
        if isinstance(node, ast.Assign):
            found.update((node.lineno, what) for what in _assigned(node))
        if isinstance(node, ast.Dict):
            pairs = zip(map(_value, node.keys), map(_value, node.values), strict=True)
            found.update((node.lineno, f"{key} is pickle") for key, value in pairs if _pickles(key, value))
    return [f"{path}:{line}: {what}" for line, what in sorted(found)]


def _imported(tree: ast.AST) -> dict[str, str]:
    """What each imported name stands for."""
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                known[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return known


def _imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call) and _last(node.func) in ("import_module", "__import__"):
            names = [value for value in map(_value, node.args[:1]) if isinstance(value, str)]
        if isinstance(node, ast.stmt | ast.expr):
            yield from ((node.lineno, f"import of {name}") for name in names if _belongs(name))


def _belongs(name: str) -> bool:
    parts = name.split(".")
    return name in NAMES or any(".".join(parts[: n + 1]) in MODULES for n in range(len(parts)))


def _value(node: ast.expr | None) -> object:
    return node.value if isinstance(node, ast.Constant) else None


def _name(node: ast.expr, known: dict[str, str]) -> str:
    """The dotted name; empty for anything else."""
    if isinstance(node, ast.Name):
        return known.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        before = _name(node.value, known)
        return f"{before}.{node.attr}" if before else ""
    return ""


def _call(node: ast.Call, known: dict[str, str], safe: frozenset[str]) -> Iterator[str]:
    name, last = _name(node.func, known), _last(node.func)
    if isinstance(node.func, ast.Attribute) and last in METHODS:
        yield f".{last}()"
    if name in ("yaml.load", "yaml.load_all"):
        given = [*node.args[1:2], *(k.value for k in node.keywords if k.arg == "Loader")]
        if not given or _name(given[0], known) not in safe:
            yield f"{name} with a loader that is not known to be safe"
    for keyword in node.keywords:
        if keyword.arg in KEYWORDS and _value(keyword.value) is KEYWORDS[keyword.arg]:
            yield f"{keyword.arg}={KEYWORDS[keyword.arg]}"
        if _pickles(keyword.arg, _value(keyword.value)):
            yield f"{keyword.arg} is pickle"
    if last in ("Table", "GlobalTable", "SetTable", "SetGlobalTable") and isinstance(node.func, ast.Attribute):
        yield f".{last}(), a table of Faust"


def _assigned(node: ast.Assign) -> Iterator[str]:
    for target in node.targets:
        if isinstance(target, ast.Attribute) and target.attr in SETTINGS:
            value = SETTINGS[target.attr]
            if _value(node.value) is value:
                yield f"{target.attr} = {value}"


def _pickles(key: object, value: object) -> bool:
    return key in SERIALIZERS and value == "pickle"


def _derives_safely(node: ast.ClassDef, known: dict[str, str]) -> bool:
    bases = [_name(base, known) for base in node.bases]
    return bool(bases) and all(base in SAFE_LOADERS for base in bases)


def _last(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
