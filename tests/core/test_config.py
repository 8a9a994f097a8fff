"""A config that exists is valid: every field was checked, and 0 never means unlimited."""

import math
from collections.abc import Callable
from dataclasses import fields
from typing import Any, Literal

import pytest

from gapless.core.config import BESIDE_MESSAGES, KIB, MIB, Config, check_seconds, check_setting
from gapless.core.errors import ConfigError, LocalProtocolError
from gapless.core.outbox import BATCH_BYTES


class TestProfiles:
    def test_production_is_the_default(self) -> None:
        assert Config.production() == Config()

    def test_the_numbers_are_the_origins(self) -> None:
        """Design section 9."""
        config = Config.production()
        assert (config.connect_timeout, config.heartbeat) == (30.0, 30.0)
        assert (config.history_messages, config.history_bytes) == (200, MIB)
        assert (config.backoff_base, config.backoff_cap) == (0.5, 10.0)
        assert (config.lease, config.window, config.max_channels) == (120.0, 256 * 1024, 128)
        assert Config.development().history_messages == 50
        assert Config.high_performance().history_messages == 500

    def test_development_retries_quickly_and_high_performance_spreads_widely(self) -> None:
        assert Config.development().backoff_cap == 2.0
        assert Config.high_performance().backoff_cap == 30.0

    @pytest.mark.parametrize(
        "profile", [Config.development, Config.production, Config.high_performance]
    )
    def test_every_profile_has_a_column_for_hubs(
        self, profile: Callable[[Literal["hub"]], Config]
    ) -> None:
        hub = profile("hub")
        assert hub.history_messages == 1000
        assert hub.memory_limit == 2 * 512_000_000
        assert hub.max_sessions == 10_000


class TestChecks:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("connect_timeout", 0),
            ("connect_timeout", -1.0),
            ("connect_timeout", math.nan),
            ("connect_timeout", math.inf),
            ("connect_timeout", "30"),
            ("connect_timeout", None),
            ("connect_timeout", True),
            ("heartbeat", 0.0),
            ("lease", -0.1),
            ("window", 0),
            ("window", 1023),
            ("max_message", 0),
            ("max_channels", 0),
            ("max_attempts", 0),
            ("history_messages", 0),
            ("history_bytes", 0),
            ("history_age", 0.0),
            ("patience", math.inf),
            ("memory_limit", 0),
            ("max_sessions", 0),
            ("max_hub_channels", 0),
        ],
    )
    def test_a_value_out_of_range_is_named(self, field: str, value: object) -> None:
        with pytest.raises(ConfigError, match=rf"Config\.{field} is .*must be .* … "):
            Config(**{field: value})  # type: ignore[arg-type]  # that is the point

    @pytest.mark.parametrize(
        "field", ["window", "max_message", "history_messages", "max_attempts", "max_sessions"]
    )
    def test_counts_are_whole_numbers(self, field: str) -> None:
        with pytest.raises(ConfigError, match=rf"Config\.{field} .* whole number"):
            Config(**{field: 2000.0})  # type: ignore[arg-type]  # that is the point

    def test_times_may_be_whole_numbers_too(self) -> None:
        assert Config(lease=60).lease == 60

    def test_only_what_can_be_unlimited_may_be_none(self) -> None:
        config = Config(max_attempts=None, history_age=None)
        assert config.max_attempts is None
        optional = {field.name for field in fields(Config) if "None" in str(field.type)}
        assert optional == {"max_attempts", "history_age", "memory_warning", "memory_cleanup"}
        for field in fields(Config):
            if "None" not in str(field.type):
                with pytest.raises(ConfigError, match=field.name):
                    check_setting(field.name, None)

    def test_overflow_is_one_of_three_words(self) -> None:
        for word in ("wait", "reject", "rotate"):
            check_setting("overflow", word)
        with pytest.raises(ConfigError, match="wait, reject or rotate"):
            Config(overflow="block")  # type: ignore[arg-type]  # that is the point

    def test_the_table_of_endings_is_one(self) -> None:
        with pytest.raises(ConfigError, match=r"Config\.endings is .*Endings"):
            Config(endings={4700: "stop"})  # type: ignore[arg-type]  # that is the point

    def test_the_backoff_can_not_start_above_its_cap(self) -> None:
        with pytest.raises(ConfigError, match="backoff_base is above"):
            Config(backoff_base=11.0)

    def test_p4_the_largest_message_fits_into_the_memory(self) -> None:
        least = 100 * KIB + BESIDE_MESSAGES
        Config(memory_limit=least, max_message=100 * KIB)
        with pytest.raises(ConfigError, match=rf"Config\.memory_limit is .* at least {least}"):
            Config(memory_limit=least - 1, max_message=100 * KIB)

    def test_p4_a_hub_needs_room_for_two_batches(self) -> None:
        least = 2 * BATCH_BYTES + BESIDE_MESSAGES
        Config(memory_limit=least, max_message=1000).check_hub()
        with pytest.raises(ConfigError, match=rf"Config\.memory_limit is .* hub .*{least}"):
            Config(memory_limit=least - 1, max_message=1000).check_hub()
        assert Config(max_message=MIB).least_hub_memory == 2 * MIB + BESIDE_MESSAGES

    def test_the_largest_message_fits_into_a_history(self) -> None:
        with pytest.raises(ConfigError, match="none would fit"):
            Config(max_message=2 * MIB)

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"memory_warning": 9, "memory_cleanup": 8}, "memory_warning is 9, above .*, 8"),
            ({"memory_cleanup": 60_000_001}, "memory_cleanup is 60000001, above .*, 60000000"),
            ({"stale_age": 60.0, "aggressive_age": 60.5}, "aggressive_age is 60.5, above .*, 60"),
        ],
    )
    def test_a_step_of_cleaning_up_comes_no_later_than_the_next(
        self, changes: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(ConfigError, match=rf"Config\.{words}"):
            Config(**changes)

    def test_steps_of_cleaning_up_may_be_one(self) -> None:
        limit = 60_000_000
        config = Config(memory_warning=limit, memory_cleanup=limit, aggressive_age=300.0)
        assert (config.warning_bytes, config.cleanup_bytes) == (limit, limit)
        assert config.aggressive_age == config.stale_age

    @pytest.mark.parametrize(
        "profile", [Config.development, Config.production, Config.high_performance]
    )
    def test_there_are_two_roles(self, profile: Callable[[Any], Config]) -> None:
        with pytest.raises(ConfigError, match=r"role is 'server'; .*'client' or 'hub'"):
            profile("server")

    @pytest.mark.parametrize("value", [-0.1, math.nan, math.inf, 30 * 86_400.5, "1", None, True])
    def test_an_argument_that_is_no_time_is_named(self, value: object) -> None:
        with pytest.raises(ConfigError, match=r"^timeout is .* 0 … 2,592,000 seconds"):
            check_seconds("timeout", value)

    @pytest.mark.parametrize("value", [0, 0.5, 30 * 86_400])
    def test_an_argument_may_be_anything_up_to_thirty_days(self, value: float) -> None:
        check_seconds("timeout", value)

    def test_a_config_error_is_the_callers_and_a_value_error(self) -> None:
        assert issubclass(ConfigError, LocalProtocolError)
        assert issubclass(ConfigError, ValueError)

    def test_every_field_has_a_range(self) -> None:
        """A field added later can't go unchecked."""
        for field in fields(Config):
            with pytest.raises(ConfigError, match=field.name):
                check_setting(field.name, "not a number")
