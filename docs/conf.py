"""Sphinx: what is documented is the tree this file lies in, not what is installed."""

import sys
import tomllib
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.ext.napoleon import Config, GoogleDocstring

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / root) for root in ("core", "transports", "adapters")]

with (ROOT / "pyproject.toml").open("rb") as _file:
    _project = tomllib.load(_file)["project"]

project = "gapless"
author = "The gapless developers"
copyright = "2026, The gapless developers"
release = version = _project["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]

# Docstrings say `name` for code, as Markdown does.
default_role = "code"
myst_heading_anchors = 3

# A name that asyncio's users import is described there and in core: a link may lead to either.
suppress_warnings = ["ref.python"]

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_typehints = "signature"
autodoc_preserve_defaults = True

html_theme = "furo"
html_title = f"gapless {version}"


def _read_google_style(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    # Not for data: there napoleon takes "words: more words" for "type: description".
    if what not in ("attribute", "data", "property"):
        style = Config(napoleon_use_ivar=True)
        lines[:] = GoogleDocstring(lines, style, app, what, name, obj, options).lines()


def setup(app: Sphinx) -> None:
    """Read docstrings in the style they are written in."""
    app.connect("autodoc-process-docstring", _read_google_style)
