"""The benchmarks run and lose nothing. How fast is not asked here."""

import json
from dataclasses import asdict

from .burst import run_burst
from .core import run_core

MESSAGES = 300


def test_core_carries_every_message_each_way() -> None:
    result = run_core(MESSAGES, runs=1)

    assert result.is_complete
    costs = (
        result.read_batched,
        result.read_alone,
        result.publish_batched,
        result.publish_alone,
    )
    assert [cost.arrived for cost in costs] == [MESSAGES] * 4
    assert all(cost.microseconds > 0 and cost.messages_per_second > 0 for cost in costs)


def test_a_burst_arrives_with_gapless_and_bare() -> None:
    result = run_burst(MESSAGES, runs=1)

    assert result.is_complete
    assert (result.arrived, result.bare_arrived) == (MESSAGES, MESSAGES)
    assert result.ratio > 0


def test_a_result_is_one_line_and_plain_data() -> None:
    result = run_core(10, runs=1)

    assert "\n" not in result.line()
    assert set(json.loads(json.dumps(asdict(result)))["read_alone"]) == {
        "microseconds",
        "messages_per_second",
        "arrived",
    }
