"""Swarm flags: each seed switches every fault on or off, always the same way (P8)."""

import pytest

from gapless.core.config import KIB, Config
from gapless.testing import CALM, FLAGS, Swarm


def swarm(*flags: str, seed: int = 0) -> Swarm:
    return Swarm(seed, frozenset(flags))


def test_p8_a_seed_draws_the_same_faults_every_time() -> None:
    drawn = [Swarm.draw(seed) for seed in range(100)]

    assert drawn == [Swarm.draw(seed) for seed in range(100)]
    assert len({one.flags for one in drawn}) > 50


def test_every_flag_is_on_in_some_seeds_and_off_in_others() -> None:
    drawn = [Swarm.draw(seed) for seed in range(100)]

    for flag in FLAGS:
        assert {one.has(flag) for one in drawn} == {True, False}, flag


def test_some_seeds_have_few_faults_and_some_have_many() -> None:
    counts = {len(Swarm.draw(seed).flags) for seed in range(100)}

    assert {0, 1, 6, 7} <= counts


def test_only_the_faults_an_application_is_meant_to_survive_are_drawn() -> None:
    drawn = [Swarm.draw(seed, ("cuts", "stalls")).flags for seed in range(40)]

    assert set(drawn) == {
        frozenset(),
        frozenset({"cuts"}),
        frozenset({"stalls"}),
        frozenset({"cuts", "stalls"}),
    }


def test_a_typing_error_is_no_flag_that_is_off() -> None:
    with pytest.raises(KeyError, match="cut"):
        swarm().has("cut")
    with pytest.raises(KeyError, match="rain"):
        swarm("cuts", "rain")


def test_without_flags_the_network_is_calm_and_the_settings_stay() -> None:
    config = Config()

    assert swarm().weather() == CALM
    assert swarm().config(config) is config


def test_each_flag_makes_its_own_part_of_the_weather() -> None:
    assert swarm("cuts").weather().cuts == 0.02
    assert swarm("refused connections").weather().refusals == 0.3
    stalls = swarm("stalls").weather()
    assert (stalls.stalls, stalls.stall, stalls.latency) == (0.02, 3.0, (0.001, 0.3))
    assert (stalls.cuts, stalls.refusals, stalls.chunk) == (0.0, 0.0, CALM.chunk)


def test_small_chunks_are_a_byte_at_a_time_in_some_seeds_and_the_buffer_follows() -> None:
    drawn = [swarm("small chunks", seed=seed).weather() for seed in range(30)]

    assert {weather.chunk for weather in drawn} == {1, 7, 30, 200}
    assert all(weather.buffer == 100 * weather.chunk for weather in drawn)
    assert swarm("small chunks").weather(chunk=9).chunk == 9


def test_cuts_are_rarer_a_chunk_where_chunks_are_small() -> None:
    assert swarm("cuts", "small chunks").weather().cuts == 0.004


def test_tiny_buffers_leave_hardly_any_room() -> None:
    config = swarm("tiny buffers").config(Config.production())

    assert (config.history_messages, config.window) == (6, KIB)
