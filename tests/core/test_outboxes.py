"""Outboxes: as many as both ends allow, carried to another link or session (P6, rule 9)."""

import pytest

from gapless.core.accounts import Accounts
from gapless.core.errors import InvalidChannel, TooManyChannels
from gapless.core.frames import Ack, Data, Offer, Offered, Refused
from gapless.core.outbox import OfferPhase, Outbox
from gapless.core.outboxes import Outboxes

from .parts import small

PLENTY = 10**9


class Boxes:
    """Outboxes, and the hub's side of their conversations."""

    def __init__(self) -> None:
        config = small()
        self.books = Accounts(config)
        self.all = Outboxes(config, self.books)

    def publish(self, channel: str, *payloads: bytes, limit: int = 2) -> Outbox:
        outbox = self.all.open(channel, limit, now=0.0)
        for payload in payloads:
            outbox.publish(payload, False, now=0.0)
        self.books.stir(outbox)
        return outbox

    def offered(self, outbox: Outbox) -> None:
        """Let it offer, be answered and send all it has."""
        assert isinstance(outbox.next_control(now=0.0), Offer)
        epoch = f"P{outbox.id}"
        outbox.receive_offered(Offered(outbox.id, "new", epoch, 0, PLENTY), now=0.0)
        assert isinstance(outbox.next_data(now=0.0), Data)

    def sent(self, channel: str, *payloads: bytes) -> Outbox:
        outbox = self.publish(channel, *payloads)
        self.offered(outbox)
        return outbox

    def answered(self, frame: Ack | Refused) -> Outbox | None:
        return self.all.settle_staying(frame, now=0.0)


class TestOpening:
    def test_a_channel_has_one_and_it_is_counted(self) -> None:
        boxes = Boxes()
        assert boxes.all.find("a") is None
        outbox = boxes.publish("a", b"m")
        assert boxes.publish("a") is boxes.all.find("a") is outbox
        assert (list(boxes.all), len(boxes.all)) == ([outbox], 1)
        assert boxes.books.held == outbox.memory > 0

    @pytest.mark.parametrize("name", ["", "a\nb", "@me"])
    def test_a_name_that_can_not_be_published_to_is_refused(self, name: str) -> None:
        boxes = Boxes()
        with pytest.raises(InvalidChannel):
            boxes.publish(name)
        assert len(boxes.all) == 0

    def test_there_are_as_many_as_there_may_be(self) -> None:
        boxes = Boxes()
        boxes.publish("a")
        boxes.publish("b")
        with pytest.raises(TooManyChannels, match="2 channels are published to"):
            boxes.publish("c")
        boxes.publish("a", b"those there are can still be published to")

    def test_those_that_a_welcome_leaves_no_place_for_take_no_more(self) -> None:
        boxes = Boxes()
        boxes.publish("a", b"m")
        late = boxes.publish("b", b"m")
        boxes.all.take_limits(100, 1)
        assert (boxes.all.is_settled, late.is_settled) == (False, True)
        with pytest.raises(TooManyChannels, match="the server lets publish to 1"):
            boxes.publish("b", limit=1)
        boxes.publish("a", limit=1)


class TestMoving:
    """Rule 9: what was sent is answered on the link that was left, and nowhere else."""

    def moved(self) -> tuple[Boxes, Outbox, Outbox]:
        """Two that were sent; the first is answered. They stay, and one is published since."""
        boxes = Boxes()
        first, second = boxes.sent("a", b"a1"), boxes.sent("b", b"b1", b"b2")
        first.receive_ack(Ack(first.id, 1, PLENTY), now=0.0)
        assert boxes.all.stay()
        return boxes, first, second

    def test_where_nothing_waits_for_an_answer_nothing_stays(self) -> None:
        boxes = Boxes()
        boxes.publish("a", b"never sent")
        assert not boxes.all.stay()
        assert (boxes.all.staying, len(boxes.all.present)) == ([], 1)

    def test_only_what_waits_for_an_answer_stays(self) -> None:
        boxes, first, second = self.moved()
        assert (boxes.all.present, boxes.all.staying) == ([first], [second])
        assert second.phase is OfferPhase.STAYING

    def test_the_last_answer_brings_it_to_the_new_link(self) -> None:
        boxes, _, second = self.moved()
        assert boxes.answered(Ack(second.id, 1, PLENTY)) is second
        assert boxes.all.staying == [second]
        assert boxes.answered(Ack(second.id, 2, PLENTY)) is second
        assert (boxes.all.staying, second.phase) == ([], OfferPhase.IDLE)

    @pytest.mark.parametrize("again", [None, 1000])
    def test_so_does_a_refusal_for_what_follows_is_discarded_there(self, again: int | None) -> None:
        boxes, _, second = self.moved()
        assert boxes.answered(Refused(second.id, 1, 1, "full", again)) is second
        assert (boxes.all.staying, second.phase) == ([], OfferPhase.IDLE)
        assert second.held_messages == (1 if again is None else 2)

    def test_a_refusal_that_is_no_news_does_not(self) -> None:
        boxes, _, second = self.moved()
        boxes.answered(Ack(second.id, 1, PLENTY))
        assert boxes.answered(Refused(second.id, 1, 1, "full", None)) is second
        assert boxes.all.staying == [second]

    @pytest.mark.parametrize("frame", [Ack(99, 1, 1), Refused(99, 1, 1, "full", None)])
    def test_an_answer_for_another_is_nobodys(self, frame: Ack | Refused) -> None:
        boxes, _, second = self.moved()
        assert boxes.answered(frame) is None
        assert boxes.all.staying == [second]

    def test_when_no_answer_will_come_all_are_the_new_links(self) -> None:
        boxes, first, second = self.moved()
        boxes.all.stay_no_more()
        assert (boxes.all.staying, boxes.all.present) == ([], [first, second])


class TestTheEnd:
    def test_another_session_carries_on_what_was_exported(self) -> None:
        """P6: under the same numbers; here they only show in `unsettled`."""
        boxes = Boxes()
        boxes.sent("a", b"a1", b"a2")
        boxes.publish("b", b"b1")
        exported = boxes.all.export()
        boxes.all.hand_over()
        told = [
            (word.channel, word.first, word.last, word.outcome) for word in boxes.all.unsettled()
        ]
        assert told == [("a", 1, 2, "unknown"), ("b", 1, 1, "unsent")]
        heir = Boxes()
        heir.all.restore(exported, now=0.0)
        assert (heir.all.is_restored, heir.all.is_settled, len(heir.all)) == (False, False, 2)
        assert heir.books.held == sum(outbox.memory for outbox in heir.all) > 0
        first = heir.all.find("a")
        assert first is not None
        assert first.next_control(now=0.0) == Offer(1, "a", "P1", 1)
        first.receive_offered(Offered(1, "known", "P1", 2, PLENTY), now=0.0)
        assert heir.all.is_restored

    def test_what_is_abandoned_is_settled_and_remembered(self) -> None:
        boxes = Boxes()
        boxes.sent("a", b"a1")
        boxes.publish("b", b"b1")
        boxes.all.leave()
        settled = [boxes.all.is_settled]
        boxes.all.abandon()
        assert [*settled, boxes.all.is_settled] == [False, True]
        told = [(word.channel, word.outcome) for word in boxes.all.unsettled()]
        assert told == [("a", "unknown"), ("b", "unsent")]
        assert boxes.books.held == sum(outbox.memory for outbox in boxes.all)
