"""What core, testing and transports may reach: an allow-list over their syntax trees.

The machines do no I/O, read no clock and make no randomness of their own (design 4.2). That is
proved from the source and not from what happens to be installed: every import must be on the list,
and so must what is reached *through* an imported module (`enum.sys`). Of `random` there is only
the type `Random`: an annotation in core and transports, built from an explicit seed in testing.
The proof covers this project's own source; what a listed library does inside is its own affair
(wsproto draws a client's key and masks).
"""

import ast
import sys
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeGuard

PURE = frozenset(
    {
        "__future__",
        "abc",
        "base64",
        "bisect",
        "collections",
        "collections.abc",
        "dataclasses",
        "enum",
        "functools",
        "hashlib",
        "heapq",
        "hmac",
        "itertools",
        "math",
        "operator",
        "random",
        "re",
        "types",
        "typing",
    }
)
WIRE = frozenset({"binascii", "ipaddress", "struct", "urllib.parse"})
LIBRARIES = frozenset(
    {
        "h11",
        "msgspec",
        "msgspec.json",
        "msgspec.msgpack",
        "msgspec.structs",
        "wsproto",
        "wsproto.connection",
        "wsproto.events",
        "wsproto.extensions",
        "wsproto.frame_protocol",
        "wsproto.handshake",
        "wsproto.typing",
        "wsproto.utilities",
    }
)

LOADERS = frozenset({"__builtins__", "__import__", "__loader__", "__spec__"})
FORBIDDEN_NAMES = LOADERS | {
    "breakpoint",
    "compile",
    "eval",
    "exec",
    "exit",
    "globals",
    "help",
    "input",
    "open",
    "print",
    "quit",
}
FORBIDDEN_ATTRIBUTES = LOADERS | {"__globals__", "__subclasses__"}


@dataclass(frozen=True, slots=True)
class Area:
    """A folder under the proof.

    Attributes:
        folder: relative to the repository.
        modules: what may be imported, each name by itself.
        packages: our own that may be imported, with everything below them.
        seeds: whether `Random(seed)` may be called, not only named in annotations.
    """

    folder: str
    modules: frozenset[str]
    packages: frozenset[str]
    seeds: bool = False

    @property
    def package(self) -> str:
        """The dotted name of the folder: `gapless.core`."""
        return ".".join(Path(self.folder).parts[1:])

    def allows(self, module: str) -> bool:
        """Say whether the module may be imported here."""
        parts = module.split(".")
        above = {".".join(parts[:n]) for n in range(1, len(parts) + 1)}
        return module in self.modules or not self.packages.isdisjoint(above)


AREAS = (
    Area("core/gapless/core", PURE, frozenset({"gapless.core"})),
    Area(
        "core/gapless/testing",
        PURE | WIRE | LIBRARIES,
        frozenset({"gapless.core", "gapless.transports", "gapless.testing"}),
        seeds=True,
    ),
    Area(
        "transports/gapless/transports",
        PURE | WIRE | LIBRARIES,
        frozenset({"gapless.core", "gapless.transports"}),
    ),
)


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A line that reaches further than it may."""

    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


def check_tree(root: Path) -> list[Finding]:
    """Check every module of every area below `root`; an area without modules is a finding too."""
    findings: list[Finding] = []
    for area in AREAS:
        paths = sorted((root / area.folder).rglob("*.py"))
        if not paths:
            findings.append(Finding(area.folder, 0, "has no modules"))
        for path in paths:
            findings += check_module(path.read_text(encoding="utf-8"), area, path.relative_to(root))
    return sorted(findings)


def check_module(source: str, area: Area, path: Path) -> list[Finding]:
    """Check one module's source; `path` is relative to the repository."""
    checker = _Checker(area, path)
    checker.check(ast.parse(source))
    return checker.findings


@dataclass(slots=True)
class _Checker:
    area: Area
    path: Path
    findings: list[Finding] = field(default_factory=list[Finding])
    _bound: dict[str, str] = field(default_factory=dict[str, str])
    _random_types: set[str] = field(default_factory=set[str])

    def check(self, tree: ast.Module) -> None:
        # All imports first: a function may use what is imported further down.
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                self._check_import(node)
            elif isinstance(node, ast.ImportFrom):
                self._check_import_from(node)
        self._check_random(tree)
        for node in ast.walk(tree):
            if _is_name(node, FORBIDDEN_NAMES) and isinstance(node.ctx, ast.Load):
                self._report(node, f"uses {node.id}")
            elif isinstance(node, ast.Attribute):
                self._check_attribute(node)

    def _report(self, node: ast.stmt | ast.expr, what: str) -> None:
        self.findings.append(Finding(str(self.path), node.lineno, what))

    def _check_import(self, node: ast.Import) -> None:
        for alias in node.names:
            # `import urllib.parse` binds `urllib`, and with it all of urllib that is ever loaded.
            bound = alias.name if alias.asname else alias.name.partition(".")[0]
            self._bound[alias.asname or bound] = bound
            if not self.area.allows(alias.name):
                self._report(node, f"imports {alias.name}")
            elif not self.area.allows(bound):
                self._report(node, f"binds {bound}; write from {alias.name} import …")

    def _check_import_from(self, node: ast.ImportFrom) -> None:
        module = self._absolute(node)
        for alias in node.names:
            whole = f"{module}.{alias.name}"
            listed = self.area.allows(module) or self.area.allows(whole)
            if alias.name == "Random":
                self._random_types.add(alias.asname or alias.name)
            if alias.name == "*":
                self._report(node, f"imports * from {module}")
            elif not listed or (module == "random" and alias.name != "Random"):
                self._report(node, f"imports {whole}")
            else:
                self._check_reach(node, module, alias.name)
                if self.area.allows(whole):
                    self._bound[alias.asname or alias.name] = whole

    def _absolute(self, node: ast.ImportFrom) -> str:
        """The module of a `from … import`, relative ones resolved from where this file lies."""
        if not node.level:
            return node.module or ""
        package = self.path.parent.parts[1:]
        base = package[: len(package) - node.level + 1]
        return ".".join((*base, *(node.module or "").split("."))).rstrip(".")

    def _check_attribute(self, node: ast.Attribute) -> None:
        if node.attr in FORBIDDEN_ATTRIBUTES:
            self._report(node, f"uses .{node.attr}")
        elif _is_name(node.value, self._bound.keys()):
            self._check_reach(node, self._bound[node.value.id], node.attr)

    def _check_reach(self, node: ast.stmt | ast.expr, module: str, name: str) -> None:
        """Refuse a module got out of another one: `enum.sys`, `from typing import sys`."""
        if module.partition(".")[0] == "gapless":
            # What our own modules import is on the list; of it only `random` is more than pure.
            bad = name == "random"
        else:
            private = name.startswith("_") and not name.endswith("__")
            foreign = name in sys.stdlib_module_names and not self.area.allows(name)
            bad = (private or foreign) and not self.area.allows(f"{module}.{name}")
        if bad:
            self._report(node, f"reaches {module}.{name}")

    def _check_random(self, tree: ast.Module) -> None:
        """Refuse every use of `random` but the type, and of the type but the two legal ones."""
        aliases = {name for name, module in self._bound.items() if module == "random"}
        legal = {id(node) for node in _annotations(tree)}
        if self.area.seeds:
            legal |= {id(node) for node in _seeded(tree)}
        owners: set[int] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and _is_name(node.value, aliases):
                owners.add(id(node.value))
                if node.attr != "Random":
                    self._report(node, f"uses random.{node.attr}")
            if self._is_random_type(node) and id(node) not in legal:
                self._report(node, "uses Random other than as an annotation (or with a seed)")
            elif _is_name(node, aliases) and id(node) not in owners:
                self._report(node, "hands the module random on")

    def _is_random_type(self, node: ast.AST) -> TypeGuard[ast.expr]:
        by_attribute = isinstance(node, ast.Attribute) and node.attr == "Random"
        return by_attribute or _is_name(node, self._random_types)


def _is_name(node: ast.AST, names: AbstractSet[str]) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and node.id in names


def _annotations(tree: ast.Module) -> Iterator[ast.AST]:
    """Every node inside an annotation."""
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None:
            yield from ast.walk(node.annotation)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
            yield from ast.walk(node.returns)


def _seeded(tree: ast.Module) -> Iterator[ast.AST]:
    """What is called with a seed: the `Random` of `Random(7)`, not that of `Random()`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
            seed = node.args[0]
            nothing = isinstance(seed, ast.Constant) and seed.value is None
            if not nothing and not isinstance(seed, ast.Starred):
                yield node.func
