"""The runtimes side by side: their public names, and how many lines each one is."""

import ast
import inspect
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import gapless.adapters.anyio
import gapless.adapters.asyncio
import gapless.adapters.blocking

RUNTIMES: Final[dict[str, ModuleType]] = {
    "asyncio": gapless.adapters.asyncio,
    "anyio": gapless.adapters.anyio,
    "blocking": gapless.adapters.blocking,
}
DRIVER: Final = ("driver.py", "dialer.py", "listening.py")
"""Dial, accept, pump, timers, wake-ups."""

_INTERNAL: Final = frozenset(
    {
        "open",
        "admit",
        "check_open",
        "listen",
        "settle",
        "is_turn_over",
        "note_published",
        "taken",
        "take_turn",
    }
)
"""What the shared classes have for each other, below "for connect …" and "for serve …"."""

_SKIPPED = (
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
)


def folder(name: str) -> Path:
    """Where a runtime's files are."""
    return Path(str(RUNTIMES[name].__file__)).parent


def lines_of_code(source: str) -> dict[int, str]:
    """The lines that are code, by number: no blanks, comments or docstrings."""
    documentation: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        # No expression that is a constant does anything: it documents what stands above it.
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            documentation |= set(range(node.lineno, (node.end_lineno or 0) + 1))
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _SKIPPED:
            code |= set(range(token.start[0], token.end[0] + 1))
    lines = source.splitlines()
    return {number: lines[number - 1] for number in sorted(code - documentation)}


def driver_lines(name: str) -> int:
    """How many lines of code a runtime's driver has."""
    paths = [folder(name) / file for file in DRIVER]
    sources = [path.read_text(encoding="utf-8") for path in paths if path.exists()]
    return sum(len(lines_of_code(source)) for source in sources)


def signatures(name: str) -> dict[str, str]:
    """What a runtime exports, spelled without what tells a coroutine from a function.

    Functions and the public methods of sessions, servers, subscriptions and publishers, each with
    its parameters, defaults and types. `timeout` and `background`, which only the blocking runtime
    needs, are left out everywhere.
    """
    module, found = RUNTIMES[name], dict[str, str]()
    for public in module.__all__:
        thing = getattr(module, public)
        if inspect.isfunction(thing):
            found[public] = _spelled(thing)
        elif _is_ours(thing):
            found.update({f"{public}.{one}": words for one, words in _members(thing)})
    return found


def _is_ours(thing: Any) -> bool:
    """Whether it is a class of the adapters', and no error."""
    if not inspect.isclass(thing) or issubclass(thing, BaseException):
        return False
    return thing.__module__.startswith("gapless.adapters.")


def _members(of: type) -> Iterator[tuple[str, str]]:
    for attribute, value in inspect.getmembers(of):
        name = re.sub(r"^__a(enter|exit|iter|next)__$", r"__\1__", attribute)
        if name.startswith("_") and not re.fullmatch("__(enter|exit|iter|next)__", name):
            continue
        if isinstance(value, property):
            assert value.fget is not None
            yield name, f"property{_spelled(value.fget)}"
        elif inspect.isfunction(value) and attribute not in _INTERNAL:
            yield name, _spelled(value)


def _spelled(function: Any) -> str:
    signature = inspect.signature(inspect.unwrap(function))
    parameters = signature.parameters.values()
    kept = [one for one in parameters if one.name not in ("timeout", "background")]
    words = str(signature.replace(parameters=kept)).replace("'", "")
    words = re.sub(r"\b(?:[a-z_]\w*\.)+(?=[A-Za-z])", "", words)
    words = re.sub(r"\bAsync(?=Iterator|Generator)", "", words)
    words = re.sub(r"\bGenerator\[(\w+)[^\]]*\]", r"Generator[\1]", words)
    return words if function.__name__ not in ("__iter__", "__aiter__") else words.split(" -> ")[0]
