"""The suite's own rule: in CI a skip whose reason nobody allowed is a failure."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent

SKIPS = {
    "mark": "@pytest.mark.skip(reason='the moon is full')\ndef test_it(): ...",
    "condition": "@pytest.mark.skipif(True, reason='the moon is full')\ndef test_it(): ...",
    "call": "def test_it(): pytest.skip('the moon is full')",
    "module": "pytest.skip('the moon is full', allow_module_level=True)",
    "xfail": "@pytest.mark.xfail(reason='the moon is full')\ndef test_it(): assert False",
}


def failures(folder: Path, *, ci: str, allowed: str = "") -> set[str]:
    """Run a suite of all kinds of skips under this suite's conftest; return what failed."""
    shutil.copy(TESTS / "conftest.py", folder)
    (folder / "allowed_skips.txt").write_text(f"# reasons\n{allowed}\n", encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (folder / "test_plain.py").write_text("def test_it(): ...\n", encoding="utf-8")
    for name, body in SKIPS.items():
        (folder / f"test_{name}.py").write_text(f"import pytest\n{body}\n", encoding="utf-8")
    options = ["-p", "no:cacheprovider", "-rfE", "--continue-on-collection-errors"]
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(folder)],
        cwd=folder,
        env={**os.environ, "CI": ci, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    failed = set(re.findall(r"^(?:FAILED|ERROR) test_(\w+)\.py", finished.stdout, re.MULTILINE))
    assert "1 passed" in finished.stdout, finished.stdout
    assert bool(failed) == (finished.returncode != 0), finished.stdout
    return failed


def test_a_skip_nobody_allowed_fails_in_ci(tmp_path: Path) -> None:
    assert failures(tmp_path, ci="true") == set(SKIPS)


def test_a_skip_with_an_allowed_reason_passes_in_ci(tmp_path: Path) -> None:
    assert failures(tmp_path, ci="true", allowed="the moon is full") == set()


def test_a_skip_is_only_a_skip_elsewhere(tmp_path: Path) -> None:
    assert failures(tmp_path, ci="") == set()
