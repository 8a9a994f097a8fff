"""The shape of the repository: what lies where, and how long it may get (design 2, style)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import own_coverage

ROOT = Path(__file__).parents[1]
ROOTS = ("core", "transports", "adapters")
PARTS = (
    "core/gapless/core",
    "core/gapless/testing",
    "transports/gapless/transports",
    "adapters/gapless/adapters",
)
TOP_LEVEL = {
    *ROOTS,
    "docs",
    "tests",
    "pyproject.toml",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "README.md",
    "SECURITY.md",
}
BUILD_LEFTOVERS = {"__pycache__", "build", "dist", "htmlcov"}

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 50

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def functions(tree: ast.Module) -> Iterator[Function]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def lines_of_code(function: Function, lines: list[str]) -> int:
    """Count the lines from `def` to the end, without docstring, comments and empty lines."""
    counted = set(range(function.lineno, (function.end_lineno or function.lineno) + 1))
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        counted -= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    texts = (lines[number - 1].strip() for number in counted)
    return sum(1 for text in texts if text and not text.startswith("#"))


def test_each_module_of_core_that_decides_something_has_tests_of_its_name() -> None:
    """`python -m tests.own_coverage` measures each by those alone."""
    names = own_coverage.modules()
    without = {name for name in names if not own_coverage.tests_of(name, names)}

    assert without == {"inflight", "lane"}, "they define what others use"


def test_a_test_file_belongs_to_the_module_with_the_longest_name() -> None:
    names = own_coverage.modules()
    owned = [path.name for name in names for path in own_coverage.tests_of(name, names)]

    assert len(owned) == len(set(owned))
    assert "test_channels.py" not in {path.name for path in own_coverage.tests_of("channel", names)}


def test_the_top_level_holds_only_what_is_agreed() -> None:
    names = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}

    assert names - BUILD_LEFTOVERS <= TOP_LEVEL


@pytest.mark.parametrize("root", ROOTS)
def test_gapless_itself_is_a_namespace_without_code(root: str) -> None:
    parts = {str(path.relative_to(ROOT)) for path in (ROOT / root / "gapless").iterdir()}

    assert {part for part in parts if not part.endswith("__pycache__")} <= set(PARTS)


@pytest.mark.parametrize("part", PARTS)
def test_each_part_is_a_typed_package(part: str) -> None:
    assert (ROOT / part / "__init__.py").is_file()
    assert (ROOT / part / "py.typed").is_file()


def test_no_file_is_longer_than_500_lines() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in modules(*ROOTS, "tests", "docs")
    }

    assert {path: n for path, n in lengths.items() if n > MAX_FILE_LINES} == {}


def test_no_function_is_longer_than_50_lines_of_code() -> None:
    too_long: dict[str, int] = {}
    for path in modules(*ROOTS):
        source = path.read_text(encoding="utf-8")
        for function in functions(ast.parse(source)):
            length = lines_of_code(function, source.splitlines())
            if length > MAX_FUNCTION_LINES:
                too_long[f"{path.relative_to(ROOT)}:{function.lineno} {function.name}"] = length

    assert too_long == {}
