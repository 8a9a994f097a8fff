"""Issue 2: on a fresh machine, each in a new virtual environment and nothing else by hand.

`pip install '.[cli]' && gapless demo` works; `pip install '.[test]' && pytest` passes in under 3
minutes. `python -m tests.acceptance.fresh_install [PYTHON]` works in a copy of the sources, and
exits 1 unless both hold.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.acceptance.tools import finish

ROOT = Path(__file__).parents[2]
LEFT_BEHIND = shutil.ignore_patterns(".git", ".venv", ".*_cache", "__pycache__", ".hypothesis")
PYTEST_SECONDS = 180


def clean() -> dict[str, str]:
    """An environment that knows of no other Python environment."""
    gone = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "GAPLESS_TOKEN"}
    return {name: value for name, value in os.environ.items() if name not in gone}


def install(python: str, name: str, extra: str, sources: Path) -> Path:
    """Make a virtual environment beside the sources and install them; returns its programs."""
    place = sources.parent / name
    subprocess.run([python, "-m", "venv", str(place)], check=True, env=clean())
    pip = [str(place / "bin" / "pip"), "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, f".[{extra}]"], check=True, cwd=sources, env=clean())
    return place / "bin"


def timed(command: list[str], sources: Path) -> tuple[int, float]:
    """Run a command in the sources; returns its exit code and the seconds it took."""
    began = time.monotonic()
    code = subprocess.run(command, cwd=sources, env=clean(), check=False).returncode
    return code, time.monotonic() - began


def main(python: str) -> int:
    faults: list[str] = []
    with TemporaryDirectory() as folder:
        sources = Path(folder, "sources")
        shutil.copytree(ROOT, sources, ignore=LEFT_BEHIND)
        programs = install(python, "cli", "cli", sources)
        code, demo_seconds = timed([str(programs / "gapless"), "demo"], sources)
        if code != 0:
            faults.append(f"gapless demo exits {code}")
        programs = install(python, "test", "test", sources)
        code, seconds = timed([str(programs / "pytest"), "-q"], sources)
        if code != 0:
            faults.append(f"pytest exits {code}")
        if seconds >= PYTEST_SECONDS:
            faults.append(f"pytest took {seconds:.0f} s, not under {PYTEST_SECONDS}")
    return finish(f"demo {demo_seconds:.0f} s, pytest {seconds:.0f} s", faults)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "python3"))
