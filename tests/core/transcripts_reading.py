"""Transcripts of reading: 6 half a full inbox, 7 subscribing again, 8 the tail, 9 a store, 11 shed.

Each docstring says what the ten rules of the design demand, and becomes the head of the golden
file; `expect` holds the same as frames, and the rest is asserted one by one.
"""

from gapless.core.authorize import allow_anyone_unpinned
from gapless.core.config import KIB, Config
from gapless.core.frames import (
    Ack,
    Data,
    Ended,
    Gone,
    Live,
    Partial,
    Pong,
    Recovered,
    StartedOver,
    Subscribe,
    Subscribed,
)
from gapless.core.position import Position

from .list_store import ListStore
from .transcripts_tools import Play, Stage, losses, named, resets, texts, way

OPENING = (
    *way("C1.1→S", "hello", "subscribe"),
    *way("S→C1.1", "welcome", "subscribed"),
    "C1.1→S ack",
)


def half_full_inbox(stage: Stage) -> Play:
    """A link is cut while the inbox is half full: 1 KiB of window, messages of 132 charged bytes.

    m1 … m4 have arrived, m1 is taken, which is too little to be acked: 132 of 256 bytes, and the
    reader doesn't pin. On link 2 it asks since 4, what it has received, with a limit that leaves
    room for what it still holds: 1024 - 3·132 = 628 (rule 3). Nothing was missed: live. The ack
    right after says what was *taken*, 1, not what was received (rule 4, P5).
    A batch may start while sent < limit: m5 … m9 (660) come, m10 waits for credit. m2 and m3 taken
    are a quarter of the window: ack 3, limit 660 + 1024 - 6·132 = 892, and m10 … m12 follow in one
    batch. So the inbox never holds more than the window and one batch; nothing of m1 … m4 is sent
    again, and nothing comes twice.
    """
    config = Config(window=KIB)
    play = Play(stage, client_config=config, verify=allow_anyone_unpinned)
    reader = play.peer.subscribe("a", "earliest")
    play.connect()
    for text in named("m", 1, 4, 100):
        play.pair.publish("a", text)
    play.settle()
    play.take(reader, 2)
    play.pair.cut()
    play.until_linked()
    play.publish_each("a", named("m", 5, 12, 100))
    assert reader.held_bytes == 8 * 132
    play.take(reader, 2)
    play.settle()
    assert reader.held_bytes == 9 * 132
    play.take(reader)
    play.finish()

    play.expect(
        *OPENING,
        "S→C1.1 text",
        *way("C1.2→S", "hello", "subscribe"),
        *way("S→C1.2", "welcome", "subscribed"),
        "C1.2→S ack",
        *["S→C1.2 text"] * 5,
        "C1.2→S ack",
        "S→C1.2 text",
        "C1.2→S ack",
    )
    asked = play.sent(Subscribe, "C1.2")[0]
    answer = play.sent(Subscribed, "C1.2")[0]
    assert asked.since == Position(answer.epoch, 4)
    assert asked.limit == 628
    assert answer.outcome == Live()
    acks = [(ack.seq, ack.limit) for ack in play.sent(Ack, "C1.2")]
    assert acks[:2] == [(1, 628), (3, 892)]
    batches = [(data.first, len(data.payloads)) for data in play.sent(Data, "C1.2")]
    assert batches == [(5, 1), (6, 1), (7, 1), (8, 1), (9, 1), (10, 3)]
    assert texts(play.taken) == named("m", 1, 12, 100)
    assert play.peer.session.stats().duplicates == 0
    return play


def unsubscribe_and_subscribe(stage: Stage) -> Play:
    """An application unsubscribes and subscribes again at once, with data on the way.

    On a, m2 is on the way when the client sends unsubscribe 1 and subscribe 2. The id of m2 is the
    one that the new subscription will have again, since a hub's ids are hub-wide (rule 2): m2 is
    ignored, or it would be taken by a reader that hasn't been answered. The server answers ended,
    then subscribed 2 from the position that was asked for, and sends m2 again: it is taken once.
    On b, the first subscribe has not been answered when the application changes its mind: the
    client ignores subscribed 3, the data and ended behind it, sends no ack for them, and reads from
    subscribed 4 on. So n1 is taken once.
    Ended ids count as well: the ping names the data frames sent on the wire, all of them, and the
    pong agrees (no diverged).
    """
    play = Play(stage, client_config=Config(heartbeat=5.0), hub_config=Config(heartbeat=300.0))
    first = play.peer.subscribe("a", "earliest")
    play.connect()
    play.publish_each("a", ["m1"])
    play.take(first)
    play.settle()
    assert first.position is not None
    play.pair.publish("a", "m2")
    play.peer.unsubscribe(first)
    second = play.peer.subscribe("a", first.position)
    play.settle()
    play.take(second)
    play.settle()
    play.pair.publish("b", "n1")
    play.pair.hold(True, to_client=False)
    early = play.peer.subscribe("b", "earliest")
    play.settle(0.01)
    play.peer.unsubscribe(early)
    late = play.peer.subscribe("b", "earliest")
    play.settle(0.01)
    play.pair.hold(False, to_client=False)
    play.settle(0.1)
    play.take(late)
    play.until_sent(Pong, 1, to_client=True)
    play.finish()

    play.expect(
        *OPENING,
        *["S→C1.1 text", "C1.1→S ack"],
        *["C1.1→S unsubscribe", "C1.1→S subscribe", "S→C1.1 text"],
        *way("S→C1.1", "ended", "subscribed", "text"),
        *way("C1.1→S", "ack", "ack"),
        *way("C1.1→S", "subscribe", "unsubscribe", "subscribe"),
        *way("S→C1.1", "subscribed", "text"),
        *way("S→C1.1", "ended", "subscribed", "text"),
        *way("C1.1→S", "ack", "ack"),
        *["C1.1→S ping", "S→C1.1 pong"],
    )
    answers = [(answer.request, answer.id) for answer in play.sent(Subscribed)]
    assert answers == [(1, 1), (2, 1), (3, 2), (4, 2)]
    assert [(ended.id, ended.again) for ended in play.sent(Ended)] == [(1, False), (2, False)]
    acks = [(ack.id, ack.seq) for ack in play.sent(Ack)]
    assert acks == [(1, 0), (1, 1), (1, 1), (1, 2), (2, 0), (2, 1)]
    assert texts(play.taken) == ["m1", "m2"]
    assert texts(play.taken, "b") == ["n1"]
    assert [pong.sent for pong in play.sent(Pong)] == [len(play.sent(Data))] == [5]
    return play


def tail(stage: Stage) -> Play:
    """A reader without a pin falls off the tail of a history of 8: on a live link, and without one.

    The window is 1 KiB: m1 … m8 (1056 charged bytes) use it up, and the application takes nothing.
    When m17 comes, m9 has rotated out before it was sent: the sender says gone at once, control
    needs no credit (rules 3, 5, P2). On a live link it goes on at the middle of the history
    (rule 6): m10 … m17 are held, so 9..13 are gone. Once m1 and m2 are taken there is credit for
    m14 … m20, which follow.
    The link is cut, and m21 … m40 pass by. The answer to subscribe since 20 is partial: 21..32 are
    lost, and reading goes on at the earliest held, m33 (rule 6). The ack right after subscribed is
    20: the loss isn't taken yet. Taking it acks it (rule 4).
    Each loss is told once, before any later message.
    """
    play = Play(
        stage,
        client_config=Config(window=KIB),
        hub_config=Config(history_messages=8),
        verify=allow_anyone_unpinned,
    )
    reader = play.peer.subscribe("a", "earliest")
    play.connect()
    play.publish_each("a", named("m", 1, 20, 100))
    taken = play.take(reader, 3)
    play.settle()
    taken += play.take(reader)
    play.settle()
    play.pair.cut()
    for text in named("m", 21, 40, 100):
        assert play.pair.publish("a", text)
    play.until_linked()
    again = play.take(reader)
    play.finish()

    play.expect(
        *OPENING,
        *["S→C1.1 text"] * 8,
        *["S→C1.1 gone", "C1.1→S ack", "S→C1.1 text", "C1.1→S ack"],
        *way("C1.2→S", "hello", "subscribe"),
        *way("S→C1.2", "welcome", "subscribed", "text"),
        *way("C1.2→S", "ack", "ack"),
    )
    (gone,), answer = play.sent(Gone), play.sent(Subscribed, "C1.2")[0]
    assert (gone.first, gone.last, gone.reason) == (9, 13, "rotated")
    assert answer.outcome == Partial(21, 32, "rotated")
    assert (answer.next_seq, answer.head) == (33, 40)
    assert texts(taken) == [*named("m", 1, 8, 100), *named("m", 14, 20, 100)]
    assert losses(taken) == [(9, 13, "rotated")]
    assert losses(again[:1]) == [(21, 32, "rotated")]
    assert texts(again) == named("m", 33, 40, 100)
    assert [ack.seq for ack in play.sent(Ack, "C1.2")] == [20, 40]
    return play


def store_that_fell_back(stage: Stage) -> Play:
    """A store loses its newest messages: under a running node, between two runs, and a backup.

    m1 … m5 are stored and taken. The store falls back to m3 under the running node, which finds out
    when it appends m6 and is told number 4: it sets a new epoch before it serves (design 12). Its
    readers are ended, to subscribe again; asked since the old epoch, it answers reset(epoch), and
    reading goes on at the earliest held of the new one (rule 6). The ack right after is next - 1,
    and means nothing of the old epoch (rule 4). m7 follows.
    Then the store falls back by one while the node restarts. C1 is above its head: it is reset
    (ahead) for itself alone, at the head; C2, which is below, gets what it misses and hears nothing
    of that (rule 10).
    A backup that is restored must be given a new epoch: then C1 and C2 are both reset(epoch), read
    all that is held under it, from the store, and m8 has a number that was never used.
    """
    store = ListStore()
    play = Play(stage, store=store)
    reader = play.peer.subscribe("a", "earliest")
    play.connect()
    play.publish_each("a", named("m", 1, 5))
    play.take(reader)
    play.settle()
    play.pair.note("the store falls back to m3")
    store.fall_back("a", 2)
    play.publish_each("a", ["m6", "m7"])
    first = play.take(reader)
    play.settle()

    play.pair.note("the store falls back to m6")
    store.fall_back("a", 1)
    play.pair.restart_server()
    play.until_linked()
    epoch = play.sent(Subscribed, "C1.1")[-1].epoch
    other = play.pair.add_client()
    behind = other.subscribe("a", Position(epoch, 3))
    play.connect(other)
    second = play.take(reader)
    beside = play.take(behind, peer=other)
    play.settle()

    play.pair.note("the store is given a new epoch")
    store.logs["a"].epoch = "restored"
    play.pair.restart_server()
    play.until_linked()
    play.until_linked(other)
    play.publish_each("a", ["m8"])
    third = play.take(reader)
    play.take(behind, peer=other)
    play.finish()

    play.expect(
        *OPENING,
        *["S→C1.1 text"] * 5,
        "C1.1→S ack",
        "S→C1.1 ended",
        "C1.1→S subscribe",
        *way("S→C1.1", "subscribed", "text"),
        "C1.1→S ack",
        *["S→C1.1 text", "C1.1→S ack"],
        *way("C1.2→S", "hello", "subscribe"),
        *way("S→C1.2", "welcome", "subscribed"),
        "C1.2→S ack",
        *way("C2.1→S", "hello", "subscribe"),
        *way("S→C2.1", "welcome", "subscribed", "text"),
        "C2.1→S ack",
        *["C1.2→S ack", "C2.1→S ack"],
        *way("C1.3→S", "hello", "subscribe"),
        *way("S→C1.3", "welcome", "subscribed", "text"),
        "C1.3→S ack",
        *way("C2.2→S", "hello", "subscribe"),
        *way("S→C2.2", "welcome", "subscribed", "text"),
        "C2.2→S ack",
        *["S→C1.3 text", "S→C2.2 text"],
        *["C1.3→S ack", "C2.2→S ack"],
    )
    assert [(ended.reason, ended.again) for ended in play.sent(Ended)] == [("epoch", True)]
    reset, ahead = play.sent(Subscribed, "C1.1")[1], play.sent(Subscribed, "C1.2")[0]
    assert (reset.outcome, reset.next_seq) == (StartedOver("epoch"), 4)
    assert (ahead.outcome, ahead.next_seq) == (StartedOver("ahead"), 5)
    assert play.sent(Subscribed, "C2.1")[0].outcome == Recovered(1)
    acks = [ack.seq for link in ("C1.1", "C1.2", "C1.3") for ack in play.sent(Ack, link)]
    assert acks == [0, 5, 3, 5, 4, 4, 0, 5]
    assert texts(first) == ["m6", "m7"]
    assert resets(first) == [(f"{epoch}:3", "epoch")]
    assert resets(second) == [(f"{epoch}:4", "ahead")]
    assert resets(beside) == []
    assert resets(third) == [("restored:0", "epoch")]
    assert texts(beside) == ["m6"]
    assert texts(third) == ["m1", "m2", "m3", "m6", "m8"]
    return play


def shed_inbox(stage: Stage) -> Play:
    """Three inboxes share 78,900 bytes and are too full: messages of 9032 charged bytes.

    The application waits for a; of b it has taken b1, and b2 … b5 are unread, of c c1 … c3: seven
    messages, 70,248 bytes with what holding them costs. a1 makes it too many: the fullest inbox
    nobody waits on, b, loses its newest message (contract 7), and no more than is needed: b5. Its
    position is back at 4. Nothing is said yet: data of b that still comes (b6) is ignored, and not
    acked. When half of the rest, b2 and b3, is taken, the client subscribes again since 4, with a
    limit that leaves room for b4: 65536 - 9032 (rule 3). The answer is recovered(2), the ack right
    after says what is taken, 3 (rule 4).
    Then c2 and c3 are unread of c, and nobody waits for it: a2 to a8 are too many, and c3 goes,
    then c2, though a holds more. With nothing left the client asks when the application next
    waits for c: since 1, and gets both again.
    What is waited for is never dropped, nothing is taken twice, and no byte is above the limit.
    """
    config = Config(
        window=64 * KIB,
        memory_limit=78_900,
        memory_warning=78_900,
        memory_cleanup=78_900,
        max_message=20_000,
    )
    play = Play(stage, is_large=True, client_config=config)
    a, b, c = (play.peer.subscribe(name, "earliest") for name in "abc")
    play.connect()
    play.take(a)
    play.publish_each("b", named("b", 1, 3, 9000))
    play.take(b, 2)
    play.publish_each("b", named("b", 4, 5, 9000))
    play.publish_each("c", named("c", 1, 3, 9000))
    play.settle()
    asked = len(play.sent(Subscribe))
    play.publish_each("a", named("a", 1, 1, 9000))
    assert (a.held_bytes, b.held_bytes, c.held_bytes) == (9032, 3 * 9032, 3 * 9032)
    play.publish_each("b", ["b6"])
    play.take(a)
    play.settle()
    assert len(play.sent(Subscribe)) == asked == 3
    play.take(b, 2)
    play.settle(0.05)
    play.take(b)
    play.take(c, 2)
    play.settle()

    play.publish_each("a", named("a", 2, 8, 9000))
    assert (a.held_bytes, b.held_bytes, c.held_bytes) == (7 * 9032, 0, 0)
    play.take(a)
    play.settle()
    assert len(play.sent(Subscribe)) == 4
    assert texts(play.take(c), "c") == []
    play.settle(0.05)
    play.take(c)
    play.finish()

    play.expect(
        *way("C1.1→S", "hello", *["subscribe"] * 3),
        *way("S→C1.1", "welcome", *["subscribed"] * 3),
        *["C1.1→S ack"] * 3,
        *["S→C1.1 text"] * 8,
        "C1.1→S ack",
        *["S→C1.1 text"] * 2,
        *["C1.1→S ack", "C1.1→S subscribe"],
        *way("S→C1.1", "subscribed", "text"),
        *["C1.1→S ack"] * 3,
        *["S→C1.1 text"] * 7,
        *["C1.1→S ack", "C1.1→S subscribe"],
        *way("S→C1.1", "subscribed", "text"),
        *["C1.1→S ack"] * 2,
    )
    acks = [(ack.id, ack.seq) for ack in play.sent(Ack)[3:]]
    assert acks == [(2, 1), (1, 1), (2, 3), (2, 6), (3, 1), (1, 8), (3, 1), (3, 3)]
    again = [(frame.channel, frame.since, frame.limit) for frame in play.sent(Subscribe)[3:]]
    of_b, of_c = (answer.epoch for answer in play.sent(Subscribed)[1:3])
    assert again == [("b", Position(of_b, 4), 65536 - 9032), ("c", Position(of_c, 1), 65536)]
    outcomes = [answer.outcome for answer in play.sent(Subscribed)[3:]]
    assert outcomes == [Recovered(2), Recovered(2)]
    assert texts(play.taken) == named("a", 1, 8, 9000)
    assert texts(play.taken, "b") == [*named("b", 1, 5, 9000), "b6"]
    assert texts(play.taken, "c") == named("c", 1, 3, 9000)
    return play
