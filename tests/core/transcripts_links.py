"""Transcripts of links: 1 cold start, 2 a welcome cut, 10 a late verdict, 12 goaway.

Each docstring says what the ten rules of the design demand, and becomes the head of the golden
file; `expect` holds the same as frames, and the rest is asserted one by one.
"""

from gapless.core.authorize import Grant
from gapless.core.closing import Code
from gapless.core.config import KIB, Config
from gapless.core.events import Authorize, CaughtUp
from gapless.core.frames import (
    Ack,
    Close,
    Goaway,
    Hello,
    Live,
    Offered,
    Recovered,
    Subscribe,
    Subscribed,
    Welcome,
)
from gapless.core.position import Position

from .list_store import ListStore
from .transcripts_tools import Play, Stage, named, texts, way


def cold_start(stage: Stage) -> Play:
    """A client without a session subscribes, reads, publishes, and leaves.

    The subscribe follows hello at once, before the verdict (rule 1). The server answers welcome,
    with a token for the next link and not resumed, then subscribed: live, since nothing was missed.
    The reader acks once right after subscribed, with what it has taken: nothing, seq 0. Where it
    pins it acks again at most 0.1 s after its first untold take (rule 4).
    The first offer has no epoch: the hub makes one and answers new, at 0. Data waits for offered;
    the hub acks what it has accepted (rule 7). Leaving, the client says close 1000, and the server
    forgets the session.
    """
    play = Play(stage)
    reader = play.peer.subscribe("a")
    play.connect()
    play.pair.publish("a", "m1")
    play.settle(0.01)
    taken = play.take(reader)
    play.settle()
    assert play.peer.publish("b", "p1") == 1
    play.settle()
    settled = play.peer.settled("b")
    play.finish()
    play.peer.close()
    play.settle()

    play.expect(
        *way("C1.1→S", "hello", "subscribe"),
        *way("S→C1.1", "welcome", "subscribed"),
        "C1.1→S ack",
        "S→C1.1 text",
        "C1.1→S ack",
        "C1.1→S offer",
        "S→C1.1 offered",
        "C1.1→S text",
        "S→C1.1 ack",
        "C1.1→S close",
    )
    (hello,), (welcome,) = play.sent(Hello), play.sent(Welcome)
    assert hello.token is None
    assert not welcome.resumed
    assert [answer.outcome for answer in play.sent(Subscribed)] == [Live()]
    assert [ack.seq for ack in play.sent(Ack, to_client=False)] == [0, 1]
    assert isinstance(taken[0], CaughtUp)
    assert texts(taken) == ["m1"]
    (offered,) = play.sent(Offered)
    assert (offered.kind, offered.last) == ("new", 0)
    assert [(told.first, told.last, told.outcome) for told in settled] == [(1, 1, "accepted")]
    assert [close.code for close in play.sent(Close)] == [Code.DONE]
    assert play.pair.hub.sessions == []
    return play


def cut_inside_welcome(stage: Stage) -> Play:
    """A welcome is cut: of a new session, and of a resumed one.

    Link 1: the welcome of a new session is lost, so the client has no token: it comes again without
    one and gets another session; the first is left to its lease.
    Link 3 shows the pending token A: that makes it current, and B is minted. The welcome that says
    B is cut. Link 4 shows A again: it is current now, with B pending, and must be answered with the
    same B and resumed (rule 8): else a lost frame would lock the client out. Link 5 shows B.
    The subscription goes out again behind every hello, from the position it knows (rule 1): latest
    until an answer has arrived, then EPOCH:0. What was published meanwhile comes once, and is
    never acked before it is taken.
    """
    play = Play(stage)
    reader = play.peer.subscribe("a")
    play.peer.start()
    play.until_sent(Welcome, 1, to_client=True)
    play.pair.cut_after(10)
    play.until_linked()
    assert len(play.pair.hub.sessions) == 2

    play.pair.cut()
    play.pair.publish("a", "m1")
    play.until_sent(Welcome, 3, to_client=True)
    play.pair.cut_after(10)
    play.until_linked()
    taken = play.take(reader)
    play.settle()
    play.pair.cut()
    play.until_linked()
    play.finish()

    attempt = ["hello", "subscribe"], ["welcome", "subscribed"]
    play.expect(
        *[*way("C1.1→S", *attempt[0]), *way("S→C1.1", *attempt[1])],
        *[*way("C1.2→S", *attempt[0]), *way("S→C1.2", *attempt[1]), "C1.2→S ack"],
        *[*way("C1.3→S", *attempt[0]), *way("S→C1.3", *attempt[1], "text")],
        *[*way("C1.4→S", *attempt[0]), *way("S→C1.4", *attempt[1], "text"), "C1.4→S ack"],
        "C1.4→S ack",
        *[*way("C1.5→S", *attempt[0]), *way("S→C1.5", *attempt[1]), "C1.5→S ack"],
    )
    shown = [hello.token for hello in play.sent(Hello)]
    told = [welcome.token for welcome in play.sent(Welcome)]
    assert shown == [None, None, told[1], told[1], told[2]]
    assert told[3] == told[2], "the same pending token"
    assert len({told[0], told[1], told[2], told[4]}) == 4
    assert [welcome.resumed for welcome in play.sent(Welcome)] == [False, False, True, True, True]
    sinces = [frame.since for frame in play.sent(Subscribe)]
    epoch = play.sent(Subscribed)[0].epoch
    before, after = Position(epoch, 0), Position(epoch, 1)
    assert sinces == ["latest", "latest", before, before, after]
    outcomes = [frame.outcome for frame in play.sent(Subscribed)]
    assert outcomes == [Live(), Live(), Recovered(1), Recovered(1), Live()]
    assert [ack.seq for ack in play.sent(Ack, "C1.4")] == [0, 1]
    assert texts(taken) == texts(play.taken) == ["m1"]
    return play


def late_verdict(stage: Stage) -> Play:
    """Three links of one session, whose verdicts come in the wrong order.

    Link 1 goes silent both ways; the client notices, the server doesn't. The verdict for link 2
    takes so long that the client gives up on it (close 4006, which can't arrive either). Link 3
    gets its verdict at once, resumes the session and fences link 1 (close 4000).
    Then the verdict for link 2 comes, late: newest link wins at the verdict, and a verdict for an
    older link never fences a younger one (rule 8, I13). Link 2 is turned away (close 4000), link 3
    carries on, and no token has moved: link 4 shows the one that link 3 was told, and resumes.
    What arrives from the old links at last changes nothing.
    """
    config = Config(heartbeat=2.0, heartbeat_timeout=1.0, connect_timeout=5.0)
    play = Play(stage, client_config=config, verify=None)
    reader = play.peer.subscribe("a", "earliest")
    play.peer.start()
    _judge(play, 1)
    play.until_linked()
    play.pair.publish("a", "m1")
    play.settle(0.01)
    play.take(reader)
    play.settle(0.2)

    for to_client in (True, False):
        play.pair.hold(True, to_client=to_client)
    play.until(lambda: _asked(play, 2))
    play.pair.hold(True, to_client=False)
    play.until_sent(Close, 1, to_client=False)
    _judge(play, 3)
    play.until(lambda: play.peer.session.link == 3)
    play.settle(0.1)
    play.pair.note("the late verdict: link 2 may connect")
    play.pair.hub.handle_authorized(2, Grant("one", may_pin=True), now=play.pair.clock.now)
    play.settle(0.1)
    play.pair.publish("a", "m2")
    play.settle(0.01)
    play.take(reader)
    for to_client in (True, False):
        play.pair.hold(False, to_client=to_client)
    play.settle(0.2)
    play.pair.cut()
    _judge(play, 4)
    play.until_linked()
    play.checker.finish()

    opening = ["hello", "subscribe"]
    play.expect(
        *way("C1.1→S", *opening),
        *way("S→C1.1", "welcome", "subscribed"),
        "C1.1→S ack",
        "S→C1.1 text",
        *way("C1.1→S", "ack", "ping"),
        *way("C1.2→S", *opening, "close"),
        *way("C1.3→S", *opening),
        "S→C1.1 close",
        *way("S→C1.3", "welcome", "subscribed"),
        "C1.3→S ack",
        "S→C1.2 close",
        "S→C1.3 text",
        "C1.3→S ack",
        *way("C1.4→S", *opening),
        *way("S→C1.4", "welcome", "subscribed"),
        "C1.4→S ack",
    )
    assert [close.code for close in play.sent(Close, "C1.1")] == [Code.FENCED]
    assert [close.code for close in play.sent(Close, "C1.2")] == [Code.TIMEOUT, Code.FENCED]
    shown = [hello.token for hello in play.sent(Hello)]
    told = [welcome.token for welcome in play.sent(Welcome)]
    assert shown == [None, told[0], told[0], told[1]]
    assert [welcome.resumed for welcome in play.sent(Welcome)] == [False, True, True]
    assert texts(play.taken) == ["m1", "m2"]
    return play


def goaway(stage: Stage) -> Play:
    """A node drains; its client moves to another one that has the same store.

    The old node says goaway. Until the new welcome the client reads the old link and publishes on
    it (rule 9): p2 is accepted there, and comes back there on b.
    The client dials within the spread, and shows the new node its token; that node knows no such
    session: not resumed. That costs the subscriptions nothing (rule 1): each goes on from its
    position, a with a limit of 0 as long as its inbox is full (rule 3), then with what the old node
    had not sent and what only the new node has. But p3 was sent on the old link and is answered
    there: the session did not move, so that link is kept until the ack comes, and then closed for
    good (1000). The publisher's numbering is the store's: first is 4, known through 3, and p4
    follows under the same epoch (rule 7). Nothing is lost, and nothing comes twice.
    """
    store = ListStore()
    play = Play(stage, client_config=Config(window=KIB), store=store)
    reader = play.peer.subscribe("a", "earliest")
    play.connect()
    own = play.peer.subscribe("b", "earliest")
    play.settle()
    play.publish_each("a", named("m", 1, 9, 100))
    assert play.peer.publish("b", "p1") == 1
    play.settle(0.05)
    old = play.pair.hosts[0]
    play.pair.add_server()
    play.pair.note("S drains, S2 takes its place and publishes from now on")
    old.hub.drain(now=play.pair.clock.now, timeout=5.0, spread=5.0)
    play.settle(0.01)
    assert play.peer.publish("b", "p2") == 2
    play.settle(0.05)
    assert play.peer.session.link == 1
    play.take(own)
    play.publish_each("a", ["m10"])
    play.until(lambda: len(play.pair.lines()) == 2)
    back = play.pair.lines()[0].to_client
    back.is_held = True
    assert play.peer.publish("b", "p3") == 3
    play.until(lambda: play.peer.session.link == 2)
    play.settle(0.05)
    assert len(play.pair.lines()) == 2, "the ack of p3 is waited for"
    back.is_held = False
    play.settle()
    assert len(play.pair.lines()) == 1
    play.take(reader)
    play.settle(0.05)
    assert play.peer.publish("b", "p4") == 4
    play.settle()
    for subscription in (reader, own):
        play.take(subscription)
    settled = play.peer.settled("b")
    play.finish()

    play.expect(
        *way("C1.1→S", "hello", "subscribe"),
        *way("S→C1.1", "welcome", "subscribed"),
        "C1.1→S ack",
        *["C1.1→S subscribe", "S→C1.1 subscribed", "C1.1→S ack"],
        *["S→C1.1 text"] * 8,
        *["C1.1→S offer", "S→C1.1 offered", "C1.1→S text", "S→C1.1 ack", "S→C1.1 text"],
        "S→C1.1 goaway",
        *["C1.1→S text", "S→C1.1 ack", "S→C1.1 text"],
        "C1.1→S ack",
        *["C1.2→S2 hello", "C1.1→S text", "S2→C1.2 welcome"],
        *["S→C1.1 ack", "S→C1.1 text"],
        *["C1.2→S2 subscribe"] * 2,
        *["S2→C1.2 subscribed"] * 2,
        "S2→C1.2 text",
        *["C1.2→S2 ack"] * 2,
        "C1.1→S close",
        *["C1.2→S2 ack", "S2→C1.2 text"],
        *["C1.2→S2 offer", "S2→C1.2 offered", "C1.2→S2 text", "S2→C1.2 ack", "S2→C1.2 text"],
        *["C1.2→S2 ack"] * 2,
    )
    (sign,), (close,) = play.sent(Goaway), play.sent(Close)
    assert (sign.within_ms, sign.spread_ms, close.code) == (5000, 5000, Code.DONE)
    assert [welcome.resumed for welcome in play.sent(Welcome)] == [False, False]
    assert play.sent(Hello)[1].token == play.sent(Welcome)[0].token
    asked = [(str(frame.since), frame.limit) for frame in play.sent(Subscribe, "C1.2")]
    assert asked == [("stored-1:8", 0), ("stored-2:2", KIB)]
    assert [frame.outcome for frame in play.sent(Subscribed, "C1.2")] == [
        Recovered(2),
        Recovered(1),
    ]
    answers = [(frame.kind, frame.last) for frame in play.sent(Offered)]
    assert answers == [("new", 0), ("known", 3)]
    assert [(told.first, told.last, told.outcome) for told in settled] == [(1, 4, "accepted")]
    assert texts(play.taken) == [*named("m", 1, 9, 100), "m10"]
    assert texts(play.taken, "b") == named("p", 1, 4)
    assert old.hub.is_drained
    return play


def _asked(play: Play, link: int) -> bool:
    return any(isinstance(ask, Authorize) and ask.link == link for ask in play.pair.commands)


def _judge(play: Play, link: int) -> None:
    """Wait until the server asks about a link's credentials, and answer that it may connect."""
    play.until(lambda: _asked(play, link))
    play.pair.note(f"the verdict: link {link} may connect")
    play.pair.hub.handle_authorized(link, Grant("one", may_pin=True), now=play.pair.clock.now)
