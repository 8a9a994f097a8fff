"""Layer 4: small worlds searched to the end (testing.md 2.4), and the search itself tested."""

import pytest

from gapless.core.frames import Ack, Data
from gapless.testing import BrokenPromise

from .__main__ import main
from .copies import again, keep
from .joints import Line
from .scenarios import FULL, GATE, SMALL, Scenario
from .search import Report, Search
from .world import World

WRITE = Scenario(name="write", writes=2)


@pytest.mark.parametrize("scenario", SMALL, ids=lambda scenario: scenario.name)
def test_nothing_breaks_whatever_happens(scenario: Scenario) -> None:
    """P1, P2, P3, P4, P5, P6, I3, I4, I6, I7, I12, I15, I17: in every state there is."""
    report = Search(scenario).run()

    assert (report.fault, report.story) == (None, ())
    assert report.is_complete
    assert report.ends > 0
    assert report.transitions >= report.states > 100


class Deaf(World):
    """A client that never hears an ack."""

    def _to_client(self, line: Line) -> None:
        if isinstance(line.to_client[0], Ack):
            line.to_client.popleft()
        else:
            super()._to_client(line)


class Forgetful(World):
    """A network that swallows the client's first message."""

    def _to_hub(self, line: Line) -> None:
        frame = line.to_hub[0]
        if isinstance(frame, Data) and frame.first == 1:
            line.to_hub.popleft()
        else:
            super()._to_hub(line)


class Restless(World):
    """A server's application that asks to be woken, again and again."""

    def actions(self) -> list[str]:
        """Name what can happen, and one thing more."""
        return [*super().actions(), "toggle"]

    def _toggle(self) -> None:
        self.has_room["toggle"] = not self.has_room.get("toggle", True)


def searched(kind: type[World], scenario: Scenario = WRITE) -> Report:
    return Search(scenario, begin=kind).run()


def test_a_state_where_both_sides_wait_is_found() -> None:
    """P4: no run may end before all is settled."""
    report = searched(Deaf)

    assert report.fault is not None
    assert report.fault.startswith("P4: nothing can happen any more")


def test_a_run_without_end_is_found() -> None:
    """P4: no livelock."""
    report = searched(Restless)

    assert report.fault is not None
    assert report.fault.startswith("P4: what can go on for ever")


def test_a_link_that_honest_ends_close_is_found_by_the_shortest_story() -> None:
    report = searched(Forgetful, Scenario(name="write-3", writes=3, flight=1))

    assert report.fault is not None
    assert "came behind a hole" in report.fault
    world = Forgetful(report.scenario)
    for action in report.story[:-1]:
        assert action in world.actions()
        world.do(action)
    with pytest.raises(BrokenPromise):
        world.do(report.story[-1])


def test_a_copy_is_apart_from_its_original() -> None:
    world = World(WRITE)
    kept, before = keep(world), world.key()
    world.do("publish")

    assert world.key() != before
    assert again(kept).key() == before


def test_a_search_that_is_cut_off_says_so() -> None:
    report = Search(SMALL[0], most=20).run()

    assert not report.is_complete
    assert report.fault is None


def test_scenarios_have_names_of_their_own() -> None:
    names = [scenario.name for scenario in FULL]

    assert len(names) == len({*names})
    assert {*SMALL, *GATE} <= {*FULL}


def test_the_program_ends_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["write-repeat"]) == 0

    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("1 scenarios, ")
    assert last.endswith(" 0 broken")


def test_the_program_tells_a_story(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["write-cut", "--story", "publish", "to-hub:1", "cut:1"]) == 0
    assert "server says on 1: Welcome" in capsys.readouterr().out
    assert main(["write-cut", "--story", "publish", "take"]) == 2
    assert "take can't happen here" in capsys.readouterr().out
