"""Faults that happen to a pair at the test's moment: what each does, and that all can be ended."""

from random import Random

import pytest

from gapless.testing import CALM, STORM, Checker, Faults, Pair, Swarm


class Choice(Random):
    """Dice that fall as they are told, in turn."""

    def __init__(self, *throws: float) -> None:
        super().__init__(0)
        self.throws = list(throws)

    def random(self) -> float:
        return self.throws.pop(0)


def connected() -> Pair:
    pair = Pair()
    pair.peer.start()
    assert pair.run_until(lambda: pair.client.link is not None)
    return pair


def only(flag: str) -> Swarm:
    return Swarm(0, frozenset({flag}))


def test_a_cut_is_at_once_or_in_the_middle_of_what_is_to_come() -> None:
    pair = connected()
    faults = Faults(pair, Choice(0.1))
    faults.cut(pair.peer)
    assert pair.lines() == []

    pair = connected()
    faults = Faults(pair, Choice(0.9, 0.05, 0.1))
    faults.cut(pair.peer)
    assert len(pair.lines()) == 1
    pair.publish("a", "x" * 1000)
    pair.peer.subscribe("a", "earliest")
    pair.run(0.5)
    assert pair.client.link != 1
    assert faults.count == 1


def test_silence_holds_one_direction_and_ends_again() -> None:
    pair = connected()
    faults = Faults(pair, Choice(0.1, 0.1, 0.9, 0.1))
    line = pair.lines()[0]

    faults.silence(pair.peer)
    assert (line.to_client.is_held, line.to_server.is_held) == (True, False)
    faults.silence(pair.peer)
    assert (line.to_client.is_held, line.to_server.is_held) == (False, False)
    assert faults.count == 2


def test_a_server_out_of_reach_refuses_every_connection_until_it_is_back() -> None:
    pair = Pair()
    faults = Faults(pair, Random(0))
    faults.toggle_reachable()
    pair.client.start(now=pair.clock.now)
    pair.run(1.0)
    assert pair.client.links == 0

    faults.toggle_reachable()
    assert pair.network.is_reachable
    assert faults.count == 2


def test_a_jump_lets_all_deadlines_come_late_at_once() -> None:
    pair = connected()
    before = pair.clock.now

    Faults(pair, Random(1)).jump()

    assert pair.clock.now - before in (3.0, 40.0, 5000.0)


def test_a_restart_forgets_what_only_memory_held() -> None:
    pair = connected()
    hub = pair.hub

    Faults(pair, Random(1)).restart()

    assert pair.hub is not hub


@pytest.mark.parametrize("flag", ["cuts", "silence", "unreachable", "clock jumps", "restarts"])
def test_a_strike_is_one_of_the_faults_that_are_on(flag: str) -> None:
    def state(pair: Pair) -> list[object]:
        held = [(line.to_client.is_held, line.to_server.is_held) for line in lines]
        cut = not pair.lines() and pair.hub is hub
        return [cut, any(map(any, held)), not pair.network.is_reachable, pair.clock.now > began]

    expected = {
        "cuts": [True, False, False, False],
        "silence": [False, True, False, False],
        "unreachable": [False, False, True, False],
        "clock jumps": [False, False, False, True],
        "restarts": [False, False, False, False],
    }[flag]
    pair = connected()
    lines, hub, began = pair.lines(), pair.hub, pair.clock.now

    faults = Faults(pair, Choice(*[0.1] * 5), only(flag))
    faults.strike(chance=0.2)

    assert state(pair) == expected
    assert (pair.hub is not hub) is (flag == "restarts")
    assert faults.count == 1


def test_nothing_strikes_where_no_flag_is_on_nobody_is_there_or_by_chance() -> None:
    pair = Pair()
    for faults in (
        Faults(pair, Choice(), Swarm(0, frozenset())),
        Faults(pair, Choice(0.5), only("restarts")),
    ):
        faults.strike(chance=0.2)
        assert faults.count == 0

    pair.kill_client(pair.peer)
    faults = Faults(pair, Choice(0.1, 0.1), only("cuts"))
    faults.strike()
    assert faults.count == 0


def test_p4_after_the_faults_have_stopped_everything_arrives() -> None:
    pair = Pair(weather=STORM)
    checker = Checker(pair)
    faults = Faults(pair, Random(3))
    reader = pair.peer.subscribe("a", "earliest")
    pair.peer.start()
    for number in range(40):
        pair.publish("a", f"m{number}")
        faults.strike(chance=0.5)
        pair.run(0.3)
        pair.peer.take_all(reader)
    faults.stop()
    pair.run(120.0)
    pair.peer.take_all(reader)

    checker.finish()
    assert faults.count > 10
    assert pair.network.weather is CALM
