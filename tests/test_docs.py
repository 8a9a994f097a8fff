"""What README and the docs show works: every block marked `python` runs, page by page."""

import ast
import asyncio
import inspect
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LIMIT = 30
"""Seconds a page may take: a block that waits for ever is a failure, not a hang."""


def free_port() -> int:
    """A port that nothing listens on: the pages' own may be in use on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def blocks(page: Path) -> Iterator[CodeType]:
    """Compile a page's blocks so that a traceback names the page's own lines."""
    text = page.read_text(encoding="utf-8").replace("8765", str(free_port()))
    for block in BLOCK.finditer(text):
        above = "\n" * text.count("\n", 0, block.start(1))
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        yield compile(above + block[1], str(page), "exec", flags=flags, dont_inherit=True)


def run_page(page: Path) -> dict[str, Any]:
    """Run a page's blocks in order in one namespace, which is returned.

    A block may await at its top level, as in `python -m asyncio`; one that doesn't may call
    `asyncio.run` itself.
    """
    namespace: dict[str, Any] = {"__name__": page.stem}
    with asyncio.Runner() as runner:
        for block in blocks(page):
            outcome: object = eval(block, namespace)
            if inspect.iscoroutine(outcome):
                runner.run(asyncio.wait_for(outcome, LIMIT))
    return namespace


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_blocks_of_a_page_run(page: Path) -> None:
    run_page(page)


def test_the_readme_client_reads_what_the_readme_server_publishes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    readme = run_page(README)

    async def both() -> None:
        server = asyncio.create_task(readme["main_server"]())
        try:
            await asyncio.wait_for(readme["main_client"](), LIMIT)
        finally:
            server.cancel()
            with suppress(asyncio.CancelledError):
                await server

    asyncio.run(both())

    read = re.findall(r"^\S+:(\d+) event (\d+)$", capsys.readouterr().out, re.MULTILINE)
    assert read == [(str(n), str(n)) for n in range(1, 11)]


def test_a_page_may_have_no_blocks_await_at_top_level_or_run_a_loop(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("words\n", encoding="utf-8")
    assert "value" not in run_page(page)

    page.write_text(
        "```python\nimport asyncio\nawait asyncio.sleep(0)\nvalue = 1\n```\n"
        "```sh\nnot python\n```\n"
        "```python\nasync def add():\n    return value + 1\nvalue = asyncio.run(add())\n```\n",
        encoding="utf-8",
    )
    assert run_page(page)["value"] == 2


def test_a_block_that_fails_names_the_line_of_its_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("words\n\n```python\n1 / 0\n```\n", encoding="utf-8")

    with pytest.raises(ZeroDivisionError) as raised:
        run_page(page)

    assert (raised.traceback[-1].path, raised.traceback[-1].lineno + 1) == (page, 4)
