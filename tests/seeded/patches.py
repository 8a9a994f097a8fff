"""Patches: what they are called, what they change, and a copy of the sources that has one."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent
COPIED = ("core", "transports", "tests", "docs")


class DoesNotApply(Exception):
    """The sources have changed under a patch: write it anew."""


@dataclass(frozen=True, slots=True)
class Patch:
    """A seeded bug.

    Attributes:
        name: the file's name without its ending.
        about: the first line: what the bug does, and which promise it breaks.
        changes: the files it changes, from the repository's top.
    """

    name: str
    about: str
    changes: tuple[str, ...]

    @property
    def path(self) -> Path:
        """Where the patch is kept."""
        return FOLDER / f"{self.name}.patch"


def patches(names: list[str] | None = None) -> list[Patch]:
    """Read all patches, or those of these names.

    Raises:
        KeyError: there is no patch of that name.
    """
    known = {path.stem: _read(path) for path in sorted(FOLDER.glob("*.patch"))}
    return [known[name] for name in names or known]


def copy_sources(folder: Path) -> None:
    """Copy what the layers need into an empty folder."""
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy2(ROOT / "pyproject.toml", folder)


def apply(patch: Patch, folder: Path, *, is_dry: bool = False) -> None:
    """Apply a patch to the sources in a folder, or only see whether it would.

    Raises:
        DoesNotApply: its context is not there any more.
    """
    command = ["git", "apply", *(["--check"] if is_dry else []), str(patch.path)]
    # A folder that lies in some repository is none of that repository's business.
    environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(folder.resolve().parent)}
    environment.pop("GIT_DIR", None)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise DoesNotApply(done.stderr.strip())


def _read(path: Path) -> Patch:
    lines = path.read_text(encoding="utf-8").splitlines()
    changes = [line.removeprefix("+++ b/") for line in lines if line.startswith("+++ b/")]
    return Patch(path.stem, lines[0], tuple(changes))
