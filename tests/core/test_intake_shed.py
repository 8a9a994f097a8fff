"""Intake: what there is no memory for goes, newest first, and is asked for again (P3, P4)."""

import pytest

from gapless.core.credit import MESSAGE_CHARGE
from gapless.core.frames import Ack, Refused
from gapless.core.intake import INTAKE_BYTES
from gapless.core.receiver import MESSAGE_BYTES

from .by_hand import numbered
from .parts import EVERYTHING
from .publishing_desk import PublishingDesk, opened

TEN = 10 + MESSAGE_CHARGE
"""Bytes of a message of ten, as they are charged."""


class TestParts:
    """What is kept is accepted first, so that a batch enters in parts."""

    def test_what_was_queued_before_is_accepted_first_and_then_the_rest_refused(self) -> None:
        desk = opened()
        desk.data(1, *numbered(1, 4, 10))
        assert desk.intake.shed(2 * TEN - 1, 1.0)
        assert desk.intake.held_bytes == 2 * TEN
        assert isinstance(desk.says(), Ack)
        assert desk.says() is None, "a refusal says that all before it is accepted"
        desk.data(5, b"discarded")
        assert desk.accept() == (1, numbered(1, 2, 10))
        ack = desk.says()
        assert isinstance(ack, Ack)
        assert ack.seq == 2
        assert desk.says() == Refused(1, 3, 4, "busy", 1000)
        desk.data(3, *numbered(3, 4, 10))
        assert desk.accept() == (3, numbered(3, 4, 10))

    @pytest.mark.parametrize("kept", range(5))
    def test_it_goes_back_into_what_is_being_handed_over(self, kept: int) -> None:
        """Two messages are left of a batch that the store takes one by one, and two came since."""
        desk = opened()
        desk.data(1, *numbered(1, 3, 10))
        assert desk.accept(1) == (1, numbered(1, 1, 10))
        desk.data(4, *numbered(4, 5, 10))
        assert desk.intake.shed((4 - kept) * TEN, 1.0) is True
        assert desk.intake.held_bytes == kept * TEN
        taken = [payload for _, more in iter(desk.accept, None) for payload in more]
        assert taken == numbered(2, 1 + kept, 10)
        refused = [frame for frame in iter(desk.says, None) if isinstance(frame, Refused)]
        assert refused == [Refused(1, 2 + kept, 5, "busy", 1000)]

    def test_more_may_go_before_it_is_told(self) -> None:
        desk = opened()
        desk.data(1, *numbered(1, 4, 10))
        assert desk.intake.shed(1, 1.0)
        assert desk.intake.shed(2 * TEN, 1.0)
        assert desk.accept() == (1, numbered(1, 1, 10))
        refused = [frame for frame in iter(desk.says, None) if isinstance(frame, Refused)]
        assert refused == [Refused(1, 2, 4, "busy", 1000)]


class TestAll:
    """What is queued can be dropped to free memory: the publisher keeps it and sends it again."""

    def test_p4_what_is_queued_is_refused_for_now_and_comes_again(self) -> None:
        desk = opened()
        desk.data(1, b"a", b"b", b"c")
        desk.accept(1)
        desk.says()
        assert desk.intake.shed(EVERYTHING, 0.5)
        assert (desk.intake.held_bytes, desk.intake.memory) == (0, INTAKE_BYTES)
        desk.says()
        assert desk.says() == Refused(1, 2, 3, "busy", 500)
        desk.data(4, b"d")
        assert desk.start() is None, "what follows is discarded until it comes again"
        desk.data(2, b"b", b"c", b"d")
        assert desk.accept() == (2, [b"b", b"c", b"d"])

    def test_it_can_be_partly_looked_at_already(self) -> None:
        desk = opened()
        desk.data(1, b"a", b"b")
        assert desk.intake.next_chunk(1, 9) is not None
        assert desk.intake.shed(1 + MESSAGE_BYTES, 0.5)
        assert desk.intake.memory == INTAKE_BYTES + 1 + MESSAGE_BYTES
        assert desk.accept() == (1, [b"a"]), "one was enough"
        assert desk.intake.next_chunk(1, 9) is None
        desk.data(2, b"b")
        assert desk.intake.next_chunk(1, 9) is not None
        assert desk.intake.shed(EVERYTHING, 0.5)
        assert desk.start() is None

    def test_what_the_publisher_skips_is_not_refused(self) -> None:
        desk = opened()
        desk.gone(1, 4)
        assert not desk.intake.shed(EVERYTHING, 0.5), "that takes nothing"
        assert desk.intake.accepted == 4
        desk.data(5, b"e")
        assert desk.intake.shed(EVERYTHING, 0.5)
        desk.says()
        assert desk.says() == Refused(1, 5, 5, "busy", 500)

    def test_nor_what_it_skips_behind_what_is_kept(self) -> None:
        """A skip between two messages goes only with the one before it; then it is said again."""
        desk = opened()
        desk.data(1, b"a")
        desk.gone(2, 4)
        desk.data(5, b"e")
        assert desk.intake.shed(1, 0.5)
        assert desk.accept() == (1, [b"a"])
        assert desk.accept() is None
        assert desk.intake.accepted == 4
        assert list(iter(desk.says, None))[-1] == Refused(1, 5, 5, "busy", 500)

    def test_where_nothing_is_queued_nothing_is_said(self) -> None:
        assert not PublishingDesk().intake.shed(EVERYTHING, 0.5)
        desk = opened()
        assert not desk.intake.shed(EVERYTHING, 0.5)
        desk.data(1, b"a", b"b")
        desk.start(1)
        before = desk.intake.memory
        assert not desk.intake.shed(EVERYTHING, 0.5), "nothing can be said of what follows it"
        assert desk.intake.memory == before
        desk.intake.handle_refused("full", 1.0)
        assert not desk.intake.shed(EVERYTHING, 0.5), "it is refused already"
        assert [frame for frame in iter(desk.says, None) if isinstance(frame, Refused)] == [
            Refused(1, 1, 1, "full", 1000)
        ]

    def test_once_the_append_in_flight_is_answered_what_follows_it_may_go(self) -> None:
        desk = opened()
        desk.data(1, *numbered(1, 4, 10))
        assert desk.start(1) == (1, numbered(1, 1, 10))
        desk.intake.handle_accepted()
        assert [desk.intake.shed(EVERYTHING, 1.0) for _ in range(2)] == [True, False]
        assert desk.accept() is None

    def test_i8_what_is_queued_is_held_whether_looked_at_or_not(self) -> None:
        desk = opened()
        desk.data(1, b"aa", b"bbb")
        held = INTAKE_BYTES + 5 + 2 * MESSAGE_BYTES
        assert desk.intake.memory == held
        desk.intake.next_chunk(1, 9)
        assert desk.intake.memory == held
        desk.start(1)
        assert desk.intake.memory == INTAKE_BYTES + 3 + MESSAGE_BYTES, "the channel counts the rest"
