"""Layer 3: seeded runs of a whole small world, in virtual time (testing.md 2.4).

A few fixed seeds here; `.ci/run` has more, in which every interesting state must be reached, and
`python -m tests.simulation --seconds 60` runs fresh ones.
"""

import os
import subprocess
import sys

import pytest

from .__main__ import main
from .swarm import BEFORE, FEATURES, LATER, Swarm
from .world import World

SEEDS = range(24)

REGRESSIONS = (*sorted(BEFORE), 174, 1795625242421, 1795626543436)
"""Seeds that broke a promise once."""


@pytest.mark.parametrize("seed", [*SEEDS, *REGRESSIONS])
def test_no_seed_breaks_a_promise(seed: int) -> None:
    """What breaks is repeated, with its story, by `python -m tests.simulation --seed`."""
    report = World(seed).run()
    assert report.hours > 0


def test_p8_a_seed_is_the_same_story_every_time() -> None:
    def story(seed: int) -> list[str]:
        world = World(seed, record=True)
        world.run()
        return world.pair.transcript

    for seed in (5, 6):
        assert story(seed) == story(seed)
    assert story(5) != story(6)


def test_i10_no_story_hangs_on_the_order_of_a_set() -> None:
    """Two processes whose strings hash differently."""
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.simulation", "--digest", "--first", "5", "--seeds", "2"],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2")
    ]
    one, two = (run.communicate(timeout=120)[0] for run in runs)
    assert len(one.strip()) == 64
    assert one == two


def test_every_feature_is_on_somewhere_and_both_modes_occur() -> None:
    swarms = [Swarm.draw(seed) for seed in range(200)]
    assert set[str]().union(*(swarm.features for swarm in swarms)) == {*FEATURES, *LATER}
    assert {swarm.mode for swarm in swarms} == {"safety", "liveness"}


def test_a_typing_error_in_a_name_is_no_feature_that_is_off() -> None:
    with pytest.raises(KeyError):
        Swarm.draw(0).has("tiny bufers")
    with pytest.raises(KeyError):
        World(0).sometimes.see("shed")


def test_the_program_says_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "6"]) == 0
    assert capsys.readouterr().out.endswith("nothing broken\n")
    assert main(["--seeds", "0", "--first", "1"]) == 1, "no run has reached anything"
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("seeds 1..0 (0), 0 virtual hours, 0 messages, 0 faults, 0 broken")


def test_a_seed_that_breaks_a_promise_is_named_with_its_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that fails must be noticed, whatever it was."""

    def refuse(world: World) -> None:
        raise AssertionError("a promise is broken")

    monkeypatch.setattr(World, "run", refuse)
    assert main(["--seed", "6"]) == 1
    assert "a promise is broken" in capsys.readouterr().out
    assert main(["--seeds", "1", "--first", "6"]) == 1
    printed = capsys.readouterr().out
    assert "seed 6: AssertionError: a promise is broken" in printed
    assert "python -m tests.simulation --seed 6" in printed
