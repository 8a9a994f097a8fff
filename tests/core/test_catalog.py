"""Catalog: channels by name, how each keeps messages, and that all they take is counted (P3)."""

import pytest

from gapless.core.accounts import Accounts
from gapless.core.budget import Shed
from gapless.core.catalog import SWEEP_EVERY, Catalog
from gapless.core.channel import CHANNEL_BYTES
from gapless.core.config import Config
from gapless.core.errors import ConfigError, TooManyChannels


def a_catalog() -> tuple[Catalog, Accounts]:
    books = Accounts(Config())
    return Catalog(Config(history_messages=7, patience=2.0), books), books


class TestChannels:
    def test_each_has_its_own_id_and_is_found_by_name(self) -> None:
        catalog, _ = a_catalog()
        one = catalog.add("one", "E1", now=0.0)
        two = catalog.add("two", "E2", 9, 4, now=0.0)
        assert (one.id, two.id, len(catalog)) == (1, 2, 2)
        assert catalog.named["two"] is two
        assert (two.epoch, two.head, two.first) == ("E2", 9, 4)
        assert catalog.owner(two.pins) is two

    def test_one_that_was_forgotten_is_not_the_one_that_came_after_it(self) -> None:
        catalog, _ = a_catalog()
        before = catalog.add("news", "E1", now=0.0)
        catalog.forget("news")
        after = catalog.add("news", "E2", now=0.0)
        assert not catalog.has(before)
        assert catalog.has(after)
        assert after.id != before.id, "I16: an id means one thing on a link"

    def test_p3_all_it_takes_is_counted_and_nothing_once_it_is_forgotten(self) -> None:
        catalog, books = a_catalog()
        channel = catalog.add("news", "E1", now=0.0)
        kinds = books.report().kinds
        counted = [kinds[kind].holders for kind in (Shed.FRAME, Shed.HISTORY, Shed.PIN)]
        assert counted == [1, 1, 1]
        assert books.held == CHANNEL_BYTES
        channel.append([b"x" * 50], False, None, now=0.0)
        assert catalog.held_bytes == 50
        assert catalog.forget("news") is channel
        assert catalog.forget("news") is None
        assert (books.is_any, books.held, len(catalog)) == (False, 0, 0)

    def test_as_many_are_open_as_may_be_those_counted_that_the_store_opens(self) -> None:
        catalog = Catalog(Config(max_hub_channels=2), Accounts(Config()))
        catalog.add("one", "E1", now=0.0)
        catalog.check_place(0)
        with pytest.raises(TooManyChannels, match="2 channels already"):
            catalog.check_place(1)
        catalog.add("two", "E2", now=0.0)
        with pytest.raises(TooManyChannels, match="2 channels already"):
            catalog.check_place(0)

    def test_i9_a_full_hub_is_searched_for_idle_ones_now_and_then_only(self) -> None:
        catalog = Catalog(Config(max_hub_channels=1), Accounts(Config()))
        assert not catalog.is_sweep_due(0, now=5.0), "there is a place"
        assert catalog.is_sweep_due(1, now=5.0)
        assert not catalog.is_sweep_due(1, now=5.0 + SWEEP_EVERY / 2)
        catalog.add("one", "E1", now=6.0)
        assert catalog.is_sweep_due(0, now=5.0 + SWEEP_EVERY)


class TestSettings:
    def test_they_are_the_configs_unless_said_otherwise(self) -> None:
        catalog, _ = a_catalog()
        catalog.configure("mine", patience=5.0)
        mine, other = catalog.add("mine", "E1", now=0.0), catalog.add("other", "E2", now=0.0)
        assert (mine.settings.history_messages, mine.settings.patience) == (7, 5.0)
        assert other.settings.patience == other.pins.patience == 2.0
        assert catalog.is_configured("mine")
        assert not catalog.is_configured("other")

    def test_a_channel_that_is_open_takes_them_at_once(self) -> None:
        catalog, _ = a_catalog()
        channel = catalog.add("news", "E1", now=0.0)
        catalog.configure("news", history_messages=3)
        catalog.configure("news", patience=9.0)
        assert channel.settings.history_messages == channel.history.max_messages == 3
        assert channel.pins.patience == 9.0

    def test_they_go_with_the_channel(self) -> None:
        catalog, _ = a_catalog()
        catalog.configure("news", patience=9.0)
        catalog.forget("news")
        assert catalog.add("news", "E1", now=0.0).settings.patience == 2.0

    def test_one_that_is_out_of_range_is_refused_and_changes_nothing(self) -> None:
        catalog, _ = a_catalog()
        with pytest.raises(ConfigError, match="patience"):
            catalog.configure("news", patience=-1.0)
        assert not catalog.is_configured("news")
