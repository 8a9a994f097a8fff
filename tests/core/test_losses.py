"""Losses: what is gone is told with the reason for which it went, as far as is remembered (P2)."""

from dataclasses import replace

from gapless.core.authorize import allow_anyone_unpinned
from gapless.core.config import Config
from gapless.core.events import Lost
from gapless.core.frames import Gone, Partial, Subscribe, Subscribed
from gapless.core.losses import CHANGES_REMEMBERED, Losses
from gapless.core.position import Position

from .by_hand import HubByHand, numbered
from .parts import a_channel, fill, inside

HUB = Config.production("hub")


def a_story() -> Losses:
    """1…5 were shed, 6…9 rotated, all from 10 on expired."""
    losses = Losses()
    losses.note("shed", 1)
    losses.note("rotated", 6)
    losses.note("rotated", 8)
    losses.note("expired", 10)
    return losses


def test_each_number_has_the_reason_for_which_it_went() -> None:
    losses = a_story()
    assert [losses.why(seq) for seq in (1, 5, 6, 9, 10, 99)] == [
        *("shed", "shed", "rotated", "rotated", "expired", "expired"),
    ]
    assert losses.reason == "expired"


def test_p3_only_the_last_changes_are_remembered() -> None:
    losses = a_story()
    for number in range(2 * CHANGES_REMEMBERED):
        losses.note("shed" if number % 2 else "rotated", 20 + number)
    assert len(inside(losses, "_before")) == CHANGES_REMEMBERED
    assert losses.why(20 + 2 * CHANGES_REMEMBERED - 2) == "rotated"
    assert losses.why(1) == losses.why(20 + CHANGES_REMEMBERED - 1) == "shed", "the oldest known"


def test_another_numbering_has_no_losses_yet() -> None:
    losses = a_story()
    losses.clear()
    assert losses.why(1) == "expired"
    channel = a_channel()
    fill(channel, 8)
    channel.shed()
    fill(channel, 9)
    channel.start_over("E2", 0, 1)
    assert inside(channel.losses, "_before") == []


class Desk(HubByHand):
    """A reader without a pin, that has all eight messages of a full history."""

    def __init__(self) -> None:
        config = replace(HUB, history_messages=8, history_age=60.0)
        super().__init__(config=config, verify=allow_anyone_unpinned)
        self.publish(8)
        self.greet(1, None, Subscribe(1, "news", "earliest", 1 << 20))
        (answer, _) = self.hear(1)
        assert isinstance(answer, Subscribed)

    def publish(self, count: int) -> None:
        for payload in numbered(1, count):
            assert self.hub.publish("news", payload, now=self.now) is not None


def test_p2_a_reader_is_told_why_what_it_lost_went_and_not_what_went_since() -> None:
    desk = Desk()
    desk.publish(2)
    assert desk.hub.channels.shed(desk.hub.channels.named["news"])
    desk.publish(12)
    (gone, _) = desk.hear(1)
    assert isinstance(gone, Gone)
    assert (gone.first, gone.reason) == (9, "shed"), "then 11 to 14 were rotated"


def test_p2_so_is_who_subscribes_again_and_the_servers_own_reader() -> None:
    desk = Desk()
    local = desk.hub.subscribe("news", "earliest", now=desk.now)
    assert local is not None
    for _ in range(5):
        desk.hub.next_message(local, now=desk.now)
    channel = desk.hub.channels.named["news"]
    channel.unpin(local)
    desk.publish(4)
    desk.now += 60.0
    channel.expire(now=desk.now)
    assert channel.history.first == 13
    channel.configure(replace(channel.settings, history_age=None))
    desk.publish(9)
    assert channel.history.first == 14
    desk.say(1, Subscribe(2, "news", Position(channel.epoch, 5), 1 << 20))
    answer = desk.hear(1)[0]
    assert isinstance(answer, Subscribed)
    assert answer.outcome == Partial(6, 13, "expired")
    lost = desk.hub.next_message(local, now=desk.now)
    assert isinstance(lost, Lost)
    assert (lost.first, lost.reason) == (6, "expired")
