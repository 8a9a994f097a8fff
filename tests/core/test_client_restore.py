"""Restore, word by word: what was imported is offered first, what is new stays apart (rule 7)."""

from dataclasses import replace

import pytest

from gapless.core.client import ClientSession
from gapless.core.config import Config
from gapless.core.errors import ConfigError, InvalidState
from gapless.core.export import Export, ExportedOutbox
from gapless.core.frames import (
    Ack,
    Data,
    Gone,
    Hello,
    Offer,
    Refused,
)
from gapless.testing.holdings import check_memory

from .by_hand import WELCOME, ClientByHand
from .heirs import PLENTY, Heir, an_export
from .parts import LOST, small


class TestImport:
    def test_it_is_offered_under_its_own_epoch_with_the_exported_token(self) -> None:
        desk = Heir(an_export(b"m1", b"m2"))
        (hello,) = desk.dial()
        assert isinstance(hello, Hello)
        assert hello.token == "t1"
        desk.say(WELCOME)
        offer = desk.offer()
        assert (offer.epoch, offer.first) == ("P1", 3)
        assert desk.answer(offer, "known", 3) == [Data(offer.id, 4, [b"m2"], False)]
        assert desk.outcomes() == [(5, 5, "accepted")]

    def test_an_answer_of_new_makes_all_of_it_unknown_and_nothing_is_sent_again(self) -> None:
        """Rule 7, though some was never sent here: another restore may have sent it."""
        desk = Heir(an_export(b"m1", b"m2"))
        assert desk.answer(desk.welcomed(), "new", epoch="P2") == []
        assert desk.outcomes() == [(5, 6, "unknown")]
        desk.publish(b"m3")
        (data,) = desk.hear()
        assert isinstance(data, Data)
        assert data.first == 1, "and P2 is as good as any"

    def test_what_was_published_meanwhile_follows_under_the_new_epoch(self) -> None:
        desk = Heir(an_export(b"m1"))
        desk.publish(b"m2")
        (data,) = desk.answer(desk.welcomed(), "new", epoch="P2")
        assert isinstance(data, Data)
        assert (data.first, data.payloads) == (1, [b"m2"])
        desk.say(Ack(data.id, 1, PLENTY))
        assert desk.outcomes() == [(5, 5, "unknown"), (6, 6, "accepted")]

    def test_until_it_is_settled_nothing_new_is_sent(self) -> None:
        desk = Heir(an_export(b"m1", b"m2"))
        desk.publish(b"m3")
        offer = desk.welcomed()
        (data,) = desk.answer(offer, "known", 2)
        assert data == Data(offer.id, 3, [b"m1", b"m2"], False)
        desk.say(Ack(offer.id, 3, PLENTY))
        assert desk.hear() == []
        desk.say(Ack(offer.id, 4, PLENTY))
        fresh = desk.offer()
        assert (fresh.epoch, fresh.first) == (None, 1)
        (data,) = desk.answer(fresh, "new", epoch="P2")
        assert data == Data(fresh.id, 1, [b"m3"], False)
        assert desk.outcomes() == [(5, 6, "accepted")]

    def test_a_hub_that_knows_more_has_all_of_it(self) -> None:
        """Model item 5: an older export, whose numbers went on elsewhere."""
        desk = Heir(an_export(b"m1"))
        desk.publish(b"m2")
        (offer,) = desk.answer(desk.welcomed(), "known", 40)
        assert isinstance(offer, Offer)
        assert (offer.epoch, offer.first) == (None, 1)
        assert desk.outcomes() == [(5, 5, "accepted")]

    def test_one_refused_for_good_is_skipped_and_then_a_new_numbering_begins(self) -> None:
        desk = Heir(an_export(b"m1", b"m2"))
        offer = desk.welcomed()
        desk.answer(offer, "known", 2)
        desk.say(Refused(offer.id, 3, 3, "full", None))
        assert [type(frame) for frame in desk.hear()] == [Gone, Data]
        desk.say(Refused(offer.id, 4, 4, "full", None))
        assert desk.outcomes() == [(5, 6, "refused")]
        desk.publish(b"m3")
        assert desk.offer().epoch is None

    def test_what_never_had_an_epoch_was_never_sent_and_never_is(self) -> None:
        """No number makes it once: two restores would apply it twice. So it is unsent, at once."""
        desk = Heir(an_export(b"m1", b"m2", epoch=None, seq=1, first=1))
        assert desk.outcomes() == [(1, 2, "unsent")]
        assert desk.client.is_restored
        assert desk.publish(b"m3") == 3
        assert desk.welcomed() == Offer(1, "orders", None, 1)

    def test_a_link_lost_in_between_offers_the_same_again(self) -> None:
        desk = Heir(an_export(b"m1", b"m2"))
        desk.answer(desk.welcomed(), "known", 2)
        desk.publish(b"m3")
        desk.lose()
        offer = desk.welcomed()
        assert (offer.epoch, offer.first) == ("P1", 3)
        assert desk.answer(offer, "known", 4) == [Offer(offer.id + 1, "orders", None, 1)]

    def test_the_end_makes_it_unknown_and_what_was_never_sent_unsent(self) -> None:
        desk = Heir(an_export(b"m1"))
        desk.publish(b"m2")
        desk.client.close(now=desk.now, timeout=0.0)
        assert desk.outcomes() == [(5, 5, "unknown"), (6, 6, "unsent")]
        assert desk.client.is_restored

    def test_a_server_that_bars_the_channel_settles_it_too(self) -> None:
        messages = ((b"m1", False),)
        boxes = [ExportedOutbox(name, "P1", 1, 1, 0, messages) for name in ("other", "orders")]
        desk = Heir(Export("@s", "t1", (), tuple(boxes)))
        desk.dial()
        desk.say(type(WELCOME)("@s", "token-2", True, 30_000, 120_000, 1 << 20, 1))
        assert desk.outcomes() == [(1, 1, "unknown")]
        assert [box.is_restored for box in desk.client.outboxes] == [False, True]

    def test_what_the_server_is_too_small_for_is_unknown_and_ends_the_import(self) -> None:
        desk = Heir(an_export(bytes(100)))
        desk.publish(b"m2")
        desk.dial()
        desk.say(type(WELCOME)("@s", "token-2", True, 30_000, 120_000, 50, 128))
        offer = desk.offer()
        (fresh,) = desk.answer(offer, "known", 2)
        assert isinstance(fresh, Offer)
        assert fresh.epoch is None
        assert desk.outcomes() == [(5, 5, "unknown")]


class TestMisuse:
    def test_only_a_new_session_takes_an_export_over(self) -> None:
        exported = an_export(b"m1")
        desk = ClientByHand()
        desk.client.publish("other", b"x", False, now=desk.now)
        with pytest.raises(InvalidState, match="before anything else"):
            desk.client.restore(exported, now=desk.now)
        with pytest.raises(InvalidState, match="before anything else"):
            Heir(exported).client.restore(exported, now=100.0)
        started = ClientByHand()
        started.client.start(now=started.now)
        with pytest.raises(InvalidState, match="before anything else"):
            started.client.restore(exported, now=started.now)

    def test_more_than_the_session_has_room_for_is_refused_and_changes_nothing(self) -> None:
        """P3."""
        desk = ClientByHand(config=small())
        with pytest.raises(ConfigError, match="history_messages"):
            desk.client.restore(an_export(*[b"x"] * 9), now=desk.now)
        assert desk.client.outboxes == []
        assert desk.client.token is None

    def test_p3_what_messages_take_beside_their_payload_counts(self) -> None:
        boxes = tuple(
            ExportedOutbox(f"c{number}", "P1", 1, 1, 0, ((b"x", False),) * 200)
            for number in range(10)
        )
        exported = Export("@s", "t", (), boxes)
        config = Config(memory_limit=300_000, max_message=1000)
        desk = ClientByHand(config=config)
        with pytest.raises(ConfigError, match="memory_limit"):
            desk.client.restore(exported, now=desk.now)
        roomy = ClientByHand(config=replace(config, memory_limit=320_000))
        roomy.client.restore(exported, now=roomy.now)
        check_memory("client", roomy.client)


def test_a_session_without_channels_is_exported_and_restored() -> None:
    desk = ClientByHand()
    desk.connect()
    exported = desk.client.export(now=desk.now)
    heir = Heir(exported)
    assert isinstance(heir.client, ClientSession)
    assert heir.client.is_restored
    assert heir.client.unsettled() == []
    (hello,) = heir.dial()
    assert isinstance(hello, Hello)
    assert hello.token == WELCOME.token
    heir.client.handle_link_lost(heir.link, LOST, now=heir.now)
