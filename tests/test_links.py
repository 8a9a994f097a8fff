"""Links between the pages lead somewhere, for GitHub and for Sphinx alike."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
DEEPEST = 3
"""The deepest headings with an anchor in Sphinx: `myst_heading_anchors`."""


def anchors(text: str) -> set[str]:
    """What GitHub calls the headings of a page; MyST does the same, down to DEEPEST."""
    found: set[str] = set()
    without_code = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    for heading in re.findall(rf"^#{{1,{DEEPEST}}} (.+)$", without_code, re.MULTILINE):
        found.add(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-"))
    return found


def broken(page: Path) -> list[str]:
    """The links of a page that lead nowhere."""
    text = page.read_text(encoding="utf-8")
    dead: list[str] = []
    for target, anchor in LINK.findall(CODE.sub("", text)):
        there = (page.parent / target).resolve() if target else page
        known = there.exists() and (
            not anchor or anchor in anchors(there.read_text(encoding="utf-8"))
        )
        if not known:
            dead.append(f"{target}#{anchor}" if anchor else target)
    return dead


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# Other\n\n## What it is, said once\n", encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md#what-it-is-said-once) [b](https://x.example/) [c](other.md) [d](#here)\n"
        "# Here\n`[e](none.md)`\n[f](other.md#none) [g](none.md) [h](#label)\n(label)=\n",
        encoding="utf-8",
    )
    assert broken(page) == ["other.md#none", "none.md", "#label"]
