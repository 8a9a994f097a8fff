"""Which tests there are, read from their sources: for tables that say which one stands for what."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]


@cache
def nodes() -> tuple[str, ...]:
    """All tests, named as pytest names them, without parameters: `path::class::test`.

    A state machine of Hypothesis, `TestThing = Thing.TestCase`, is `path::TestThing`.
    """
    return tuple(
        f"{path.relative_to(ROOT).as_posix()}::{name}"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for name in _names(ast.parse(path.read_text(encoding="utf-8")).body)
    )


def standing_for(prefix: str) -> list[str]:
    """The tests of that name, in that file or class, or whose name goes on with an underscore."""
    return [
        node for node in nodes() if node == prefix or node.startswith((f"{prefix}::", f"{prefix}_"))
    ]


def _names(body: list[ast.stmt]) -> Iterator[str]:
    for statement in body:
        if isinstance(statement, ast.ClassDef) and statement.name.startswith("Test"):
            yield from (f"{statement.name}::{name}" for name in _names(statement.body))
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            if statement.name.startswith("test_"):
                yield statement.name
        elif isinstance(statement, ast.Assign):
            for target in statement.targets:
                if isinstance(target, ast.Name) and target.id.startswith("Test"):
                    yield target.id
