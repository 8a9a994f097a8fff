"""Transcripts of publishing: 3 a server without memory, 4 a store that remembers, 5 rare commits.

Each docstring says what the ten rules of the design demand, and becomes the head of the golden
file; `expect` holds the same as frames, and the rest is asserted one by one.
"""

from gapless.core.config import KIB, Config
from gapless.core.events import Settled
from gapless.core.frames import (
    Ack,
    Data,
    Live,
    Offer,
    Offered,
    Subscribe,
    Subscribed,
    Welcome,
)
from gapless.core.position import Position

from .list_store import ListStore
from .transcripts_tools import Play, Stage, losses, named, texts


def server_without_memory(stage: Stage) -> Play:
    """An ack is lost, the server restarts and knows nothing, the answer to offer is lost too.

    p1 and p2 were accepted under epoch P1, but the ack is lost with link 1. p3 is published while
    there is no link. On link 2 the client offers P1 from 1; the new server has no cursor for it and
    answers new, with an epoch P2 (rule 7). That answer is lost: the client still stands at P1, and
    offers the same on link 3. The server has P2 now, not P1: new again, with P3.
    Nobody can say what became of p1 and p2: they end unknown, and neither is sent again by itself.
    p3, never sent before, goes as number 1 under P3 and is accepted.
    """
    play = Play(stage)
    settled = _lose_ack_restart_lose_answer(play)
    play.finish()

    play.expect(*_PUBLISHING_OVER_THREE_LINKS)
    asked = [(offer.epoch, offer.first) for offer in play.sent(Offer)]
    answers = play.sent(Offered)
    first, second, third = (answer.epoch for answer in answers)
    assert asked == [(None, 1), (first, 1), (first, 1)]
    assert [(answer.kind, answer.last) for answer in answers] == [("new", 0)] * 3
    assert len({first, second, third}) == 3
    sent = [(data.first, data.payloads) for data in play.sent(Data)]
    assert sent == [(1, [b"p1", b"p2"]), (1, [b"p3"])], "nothing is sent again by itself"
    assert settled == [
        Settled("b", 1, 2, "unknown", first, 1),
        Settled("b", 3, 3, "accepted", third, 1),
    ]
    channel = play.pair.hub.channels.find("b")
    assert channel is not None
    assert channel.head == 1
    return play


def store_that_remembers(stage: Stage) -> Play:
    """The same, with a store that remembers publishers.

    The restarted server has no session, so link 2 is not resumed; but the store is asked about
    epoch P1, and knows it through 2: offered known, 2 (rules 7, 12). That answer is lost; link 3
    asks the same and hears the same. p1 and p2 are settled as accepted, and are not sent again;
    p3 follows as number 3 under P1. The store has each of them once.
    """
    store = ListStore()
    play = Play(stage, store=store)
    settled = _lose_ack_restart_lose_answer(play)
    play.finish()

    play.expect(*_PUBLISHING_OVER_THREE_LINKS)
    asked = [(offer.epoch, offer.first) for offer in play.sent(Offer)]
    answers = [(answer.kind, answer.epoch, answer.last) for answer in play.sent(Offered)]
    epoch = play.sent(Offered)[0].epoch
    assert asked == [(None, 1), (epoch, 1), (epoch, 1)]
    assert answers == [("new", epoch, 0), ("known", epoch, 2), ("known", epoch, 2)]
    sent = [(data.first, data.payloads) for data in play.sent(Data)]
    assert sent == [(1, [b"p1", b"p2"]), (3, [b"p3"])]
    assert settled == [Settled("b", 1, 3, "accepted", epoch, 1)]
    assert store.logs["b"].messages == [(b"p1", True), (b"p2", True), (b"p3", True)]
    return play


_PUBLISHING_OVER_THREE_LINKS = (
    *["C1.1→S hello", "S→C1.1 welcome"],
    *["C1.1→S offer", "S→C1.1 offered", "C1.1→S text", "S→C1.1 ack"],
    *["C1.2→S hello", "S→C1.2 welcome", "C1.2→S offer", "S→C1.2 offered"],
    *["C1.3→S hello", "S→C1.3 welcome", "C1.3→S offer", "S→C1.3 offered"],
    *["C1.3→S text", "S→C1.3 ack"],
)


def _lose_ack_restart_lose_answer(play: Play) -> list[Settled]:
    """p1 and p2 accepted and not acked; p3 offline; a restart; the second offered is lost."""
    play.connect()
    assert play.peer.publish("b", "p1") == 1
    assert play.peer.publish("b", "p2") == 2
    play.until_sent(Ack, 1, to_client=True)
    play.pair.cut()
    assert play.peer.publish("b", "p3") == 3
    play.pair.restart_server()
    play.until_sent(Offered, 2, to_client=True)
    play.pair.cut()
    assert play.peer.settled("b") == []
    play.until_linked()
    assert [welcome.resumed for welcome in play.sent(Welcome)] == [False, False, True]
    return play.peer.settled("b")


def rare_commits(stage: Stage) -> Play:
    """A pinning reader commits rarely, and a publisher waits for it.

    The history holds 8, patience is 60 s. C2's m1 … m8 fill it; m9 waits: it is sent, and not acked
    as long as C1, which pins, has not taken m1 (design 7). C1 takes m1 and no more: that is less
    than a quarter of the history (2) and of the window, so the ack comes 0.1 s later (rule 4). It
    makes room: m9 is accepted, C2 is acked, and the live reader gets m9.
    C1 takes m2, and is cut before it could say so. Its pin outlives the link: m10 waits. The new
    link asks since what was received, 9, and is live; right after subscribed it acks what was
    taken, 2, and m10 is accepted. Two more taken are a quarter of the history: acked at once.
    Then C1 takes nothing for 20 s. Not a word is said, m11 and m12 enter, m13 waits, and nothing is
    lost; in the end C1 takes the rest, and all is accepted.
    """
    hub = Config(history_messages=8, patience=60.0, heartbeat=300.0)
    play = Play(stage, hub_config=hub, client_config=Config(heartbeat=300.0))
    reader, writer = play.peer.subscribe("a", "earliest"), play.pair.add_client()
    play.connect()
    play.connect(writer)
    play.take(reader)
    play.settle()
    for text in named("m", 1, 8):
        assert writer.publish("a", text)
    play.settle()
    assert writer.publish("a", "m9") == 9
    play.settle()
    assert writer.session.stats().accepted == 8
    acks = len(play.sent(Ack, "C1.1"))
    play.take(reader, 1)
    play.settle(0.05)
    assert len(play.sent(Ack, "C1.1")) == acks, "not yet: a quarter is 2, and 0.1 s isn't over"
    play.settle()
    assert play.sent(Ack, "C1.1")[acks:][0].seq == 1
    assert writer.session.stats().accepted == 9

    play.take(reader, 1)
    play.pair.cut()
    assert writer.publish("a", "m10") == 10
    play.settle(0.02)
    assert writer.session.stats().accepted == 9, "a pin outlives its link"
    play.until_linked()
    assert writer.session.stats().accepted == 10
    play.take(reader, 2)
    play.settle(0.01)
    assert [ack.seq for ack in play.sent(Ack, "C1.2")] == [2, 4]

    for text in named("m", 11, 13):
        assert writer.publish("a", text)
    play.settle(20.0)
    assert writer.session.stats().accepted == 12
    assert len(play.sent(Ack, "C1.2")) == 2, "nothing taken, nothing said"
    while len(texts(play.taken)) < 13:
        play.take(reader)
        play.settle()
    writer.settled("a")
    play.finish()

    play.expect(*_RARE_COMMITS)
    assert texts(play.taken) == named("m", 1, 13)
    assert losses(play.taken) == []
    (asked,), answer = play.sent(Subscribe, "C1.2"), play.sent(Subscribed, "C1.2")[0]
    assert asked.since == Position(answer.epoch, 9)
    assert asked.limit == 256 * KIB - 7 * 34
    assert answer.outcome == Live()
    return play


_RARE_COMMITS = (
    *["C1.1→S hello", "C1.1→S subscribe", "S→C1.1 welcome", "S→C1.1 subscribed", "C1.1→S ack"],
    *["C2.1→S hello", "S→C2.1 welcome"],
    *["C2.1→S offer", "S→C2.1 offered", "C2.1→S text", "S→C2.1 ack", "S→C1.1 text"],
    *["C2.1→S text", "C1.1→S ack", "S→C1.1 text", "S→C2.1 ack"],
    "C2.1→S text",
    *["C1.2→S hello", "C1.2→S subscribe", "S→C1.2 welcome", "S→C1.2 subscribed", "C1.2→S ack"],
    *["S→C1.2 text", "S→C2.1 ack"],
    "C1.2→S ack",
    *["C2.1→S text", "S→C2.1 ack", "S→C1.2 text"],
    *["C1.2→S ack", "S→C1.2 text", "S→C2.1 ack"],
    "C1.2→S ack",
)
