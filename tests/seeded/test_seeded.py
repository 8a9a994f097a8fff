"""Seeded bugs stay fit to be seeded. Whether each is caught says `python -m tests.seeded`."""

from pathlib import Path

import pytest

from .patches import ROOT, DoesNotApply, Patch, apply, copy_sources, patches

FOLDERS = ("core/gapless/core/", "core/gapless/testing/", "transports/gapless/transports/")
WANTED = 16

bugs = pytest.mark.parametrize("bug", patches(), ids=lambda bug: bug.name)


@bugs
def test_a_patch_applies(bug: Patch) -> None:
    apply(bug, ROOT, is_dry=True)


@bugs
def test_a_patch_leaves_sources_that_compile(bug: Patch, tmp_path: Path) -> None:
    """Else it is caught by whatever imports them, and shows nothing."""
    for name in bug.changes:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())

    apply(bug, tmp_path)

    for name in bug.changes:
        compile((tmp_path / name).read_bytes(), name, "exec")


@bugs
def test_a_patch_says_in_one_line_what_it_breaks(bug: Patch) -> None:
    assert 20 < len(bug.about) <= 110
    assert bug.about.endswith(").")
    assert bug.path.read_text(encoding="utf-8").splitlines()[1] == ""


@bugs
def test_a_patch_changes_nothing_but_production_code(bug: Patch) -> None:
    assert bug.changes
    assert [path for path in bug.changes if not path.startswith(FOLDERS)] == []


def test_there_are_enough_and_no_two_are_the_same() -> None:
    changes = {bug.path.read_text(encoding="utf-8").partition("\n")[2] for bug in patches()}

    assert len(changes) == len({bug.about for bug in patches()}) == len(patches()) >= WANTED


def test_a_patch_that_does_not_apply_says_so(tmp_path: Path) -> None:
    with pytest.raises(DoesNotApply, match=r"receiver\.py"):
        apply(patches(["no-dedup"])[0], tmp_path)


def test_a_patch_changes_the_copy_it_is_applied_to(tmp_path: Path) -> None:
    """`git apply` does nothing, and says nothing, in a folder it takes for another's."""
    copy_sources(tmp_path)
    receiver = tmp_path / "core/gapless/core/receiver.py"
    before = receiver.read_text(encoding="utf-8")

    apply(patches(["no-dedup"])[0], tmp_path)

    assert receiver.read_text(encoding="utf-8") != before
