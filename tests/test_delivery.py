"""What survives what: each row of the table in `docs/topics/delivery.md`, played (P2, P6)."""

import ast
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from gapless.core.authorize import allow_anyone_unpinned
from gapless.core.config import Config
from gapless.core.events import Append, ChannelEvent, Lost, Message, Reset
from gapless.core.store import Appended, AppendRefused
from gapless.core.subscription import Subscription
from gapless.testing import Pair, Peer

from .core.list_store import ListStore

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "topics" / "delivery.md"
SMALL = replace(Config.production("hub"), history_messages=4, patience=2.0)
NO_LEASE = replace(Config.production("hub"), lease=0.0)


def told(events: Iterable[ChannelEvent]) -> list[str]:
    words: list[str] = []
    for event in events:
        if isinstance(event, Message):
            words.append(event.payload.decode())
        elif isinstance(event, Lost):
            words.append(f"lost {event.first}-{event.last}: {event.reason}")
        elif isinstance(event, Reset):
            words.append(f"reset: {event.reason}")
    return words


def publish(pair: Pair, first: int, last: int) -> None:
    for number in range(first, last + 1):
        assert pair.run_until(partial(pair.publish, "news", str(number)), 10)


def taken(pair: Pair, reader: Subscription, peer: Peer | None = None) -> list[str]:
    pair.run(5)
    return told((peer or pair.peer).take_all(reader))


def reading(pair: Pair) -> Subscription:
    """A client that has taken 1 and 2, and said so."""
    reader = pair.peer.subscribe("news", "earliest")
    pair.peer.start()
    publish(pair, 1, 2)
    assert taken(pair, reader) == ["1", "2"]
    pair.run(0.5)
    return reader


def unanswered(pair: Pair) -> None:
    """A client that has published `a`, which was accepted, and `b`: the answer is on its way."""
    if pair.client.link is None:
        pair.peer.start()
    pair.peer.publish("orders", "a")
    pair.run(1)
    assert outcomes(pair) == ["accepted"]
    pair.hold(True, to_client=True)
    pair.peer.publish("orders", "b")
    pair.run(0.5)


def outcomes(pair: Pair) -> list[str]:
    """What became of the messages, one word each."""
    return [
        one.outcome for one in pair.peer.settled("orders") for _ in range(one.first, one.last + 1)
    ]


def orders(pair: Pair) -> list[bytes]:
    """What the server holds of them."""
    found = pair.hub.channels.find("orders")
    if found is None:
        return []
    history = found.history
    return [history.entry(seq)[0] for seq in range(history.first, history.head + 1)]


def cut() -> None:
    pair = Pair(seed=1)
    reader = reading(pair)
    unanswered(pair)
    pair.cut()
    publish(pair, 3, 4)
    assert taken(pair, reader) == ["3", "4"]
    assert (outcomes(pair), orders(pair)) == (["accepted"], [b"a", b"b"])


def silent() -> None:
    pair = Pair(seed=1)
    reader = reading(pair)
    unanswered(pair)
    pair.hold(True, to_client=False)
    publish(pair, 3, 4)
    assert pair.run_until(lambda: pair.client.resumes == 1, 41)
    assert taken(pair, reader) == ["3", "4"]
    assert (outcomes(pair), orders(pair)) == (["accepted"], [b"a", b"b"])


def lease_over() -> None:
    pair = Pair(seed=1, hub_config=NO_LEASE)
    reader, own = reading(pair), pair.peer.subscribe("@me")
    unanswered(pair)
    pair.cut()
    publish(pair, 3, 4)
    pair.peer.publish("orders", "c")
    assert taken(pair, reader) == ["3", "4"]
    assert taken(pair, own) == ["reset: epoch"]
    assert pair.client.resumes == 0
    assert (outcomes(pair), orders(pair)) == (["unknown", "accepted"], [b"a", b"b", b"c"])


def client_restarts_with_all() -> None:
    pair = Pair(seed=1, hub_config=replace(SMALL, patience=120.0))
    reader = reading(pair)
    unanswered(pair)
    token, position = pair.client.token, reader.position
    assert position is not None
    pair.client.suspend(now=pair.clock.now)
    assert outcomes(pair) == ["unknown"]
    pair.kill_client(pair.peer)
    publish(pair, 3, 6)
    assert pair.publish("news", "7") is None, "its pin holds"
    again = pair.add_client(token=token)
    reader = again.subscribe("news", position)
    again.start()
    assert taken(pair, reader, again) == ["3", "4", "5", "6"]
    assert again.session.resumes == 1


def client_restarts_with_position() -> None:
    pair = Pair(seed=1)
    position = reading(pair).position
    assert position is not None
    pair.kill_client(pair.peer)
    publish(pair, 3, 4)
    again = pair.add_client()
    reader = again.subscribe("news", position)
    again.start()
    assert taken(pair, reader, again) == ["3", "4"]
    assert again.session.resumes == 0


def client_restarts_with_nothing() -> None:
    pair = Pair(seed=1)
    reading(pair)
    pair.kill_client(pair.peer)
    publish(pair, 3, 4)
    again = pair.add_client()
    reader = again.subscribe("news", "latest")
    again.start()
    pair.run(1)
    publish(pair, 5, 5)
    assert taken(pair, reader, again) == ["5"]


def server_restarts() -> None:
    pair = Pair(seed=1)
    reader = reading(pair)
    unanswered(pair)
    pair.restart_server()
    pair.peer.publish("orders", "c")
    publish(pair, 1, 1)
    assert taken(pair, reader) == ["reset: epoch", "1"]
    assert (outcomes(pair), orders(pair)) == (["unknown", "accepted"], [b"c"])


class ForgetfulStore(ListStore):
    """One that keeps messages, and not who published them."""

    def append(self, command: Append) -> Appended | AppendRefused:
        self.publishers.clear()
        return super().append(command)


def server_restarts_with_store() -> None:
    for store, outcome in ((ListStore(), "accepted"), (ForgetfulStore(), "unknown")):
        pair = Pair(seed=1, store=store)
        reader = reading(pair)
        unanswered(pair)
        pair.restart_server()
        publish(pair, 3, 4)
        assert taken(pair, reader) == ["3", "4"]
        assert pair.client.resumes == 0
        assert outcomes(pair) == [outcome]
        assert store.logs["orders"].messages == [(b"a", True), (b"b", True)]


def store_falls_back() -> None:
    store = ListStore()
    pair = Pair(seed=1, store=store)
    reader = reading(pair)
    store.fall_back("news", 1)
    pair.restart_server()
    assert taken(pair, reader) == ["reset: ahead"]


def slow_reader() -> None:
    pair = Pair(seed=1, hub_config=SMALL, verify=allow_anyone_unpinned)
    reader = reading(pair)
    pair.hold(True, to_client=True)
    publish(pair, 3, 9)
    pair.cut()
    assert taken(pair, reader) == ["lost 3-5: rotated", "6", "7", "8", "9"]


def slow_reader_with_pin() -> None:
    pair = Pair(seed=1, hub_config=SMALL)
    reader = reading(pair)
    pair.hold(True, to_client=True)
    publish(pair, 3, 6)
    assert pair.publish("news", "7") is None
    pair.run(1)
    assert pair.publish("news", "7") is None
    pair.run(1.1)
    publish(pair, 7, 7)
    pair.cut()
    assert taken(pair, reader) == ["lost 3-3: stalled", "4", "5", "6", "7"]


def memory_full() -> None:
    limit = 64 * 1024
    small = Config(
        memory_limit=limit, max_message=20_000, memory_warning=limit, memory_cleanup=limit
    )
    pair = Pair(seed=1, client_config=small)
    reader = pair.peer.subscribe("news", "earliest")
    pair.peer.start()
    pair.run(1)
    for number in range(200):
        assert pair.publish("news", f"{number}".ljust(1000, "."))
    pair.run(1)
    held = pair.client.memory().held
    assert 0.8 * 64 * 1024 < held <= 64 * 1024
    assert pair.peer.publish("orders", "." * 20_000) == 1, "unread messages make room"
    assert pair.client.memory().held <= limit
    seen: list[str] = []
    for _ in range(60):
        seen += told(pair.peer.take_all(reader, 9))
        pair.run(0.1)
    assert [int(word.rstrip(".")) for word in seen] == list(range(200))
    pair.cut()
    sizes = [pair.peer.publish("orders", "." * 20_000) for _ in range(4)]
    assert (sizes[0], sizes[-1]) == (2, None), "outboxes give nothing up: the next one waits"


ROWS: dict[str, Callable[[], None]] = {
    "the link is cut": cut,
    "the link falls silent": silent,
    "the lease is over": lease_over,
    "the client restarts with token and position": client_restarts_with_all,
    "the client restarts with its position": client_restarts_with_position,
    "the client restarts with nothing": client_restarts_with_nothing,
    "the server restarts without a store": server_restarts,
    "the server restarts with a store": server_restarts_with_store,
    "the store has fallen back": store_falls_back,
    "the reader is slow, without a pin": slow_reader,
    "the reader is slow, with a pin": slow_reader_with_pin,
    "the client's memory is full": memory_full,
}


@pytest.mark.parametrize("row", ROWS)
def test_what_survives(row: str) -> None:
    ROWS[row]()


def test_every_row_of_the_page_is_played() -> None:
    text = PAGE.read_text(encoding="utf-8").split("## What survives what", 1)[1]
    rows = re.findall(r"^\| (?!what happens|-)([^|]+) \|", text, re.MULTILINE)
    assert rows == list(ROWS)


def reasons() -> set[str]:
    """The words core gives for a `gone`, a `partial` or a reset, wherever they are made."""
    found: set[str] = set()
    for path in sorted((ROOT / "core/gapless/core").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            said: list[ast.expr] = []
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id in ("StartedOver", "Gone", "Partial"):
                    said = node.args[-1:]
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "self.losses.note":
                word = node.args[0]
                said = [word.body, word.orelse] if isinstance(word, ast.IfExp) else [word]
            constants = [one.value for one in said if isinstance(one, ast.Constant)]
            found |= {word for word in constants if isinstance(word, str)}
    return found


def test_the_page_names_every_reason_that_core_gives() -> None:
    """`skipped` stays between a publisher and a hub: it has no row of its own."""
    text = PAGE.read_text(encoding="utf-8").split("## When something is lost", 1)[1]
    rows = re.findall(r"^\| `([^`]+)` \|", text.split("\n## ", 1)[0], re.MULTILINE)
    assert sorted(rows) == sorted(reasons() - {"skipped"})


def test_what_is_too_old_is_said_to_have_expired() -> None:
    pair = Pair(seed=1, hub_config=replace(SMALL, history_age=60.0), verify=allow_anyone_unpinned)
    position = reading(pair).position
    assert position is not None
    publish(pair, 3, 4)
    pair.kill_client(pair.peer)
    pair.run(61)
    again = pair.add_client()
    reader = again.subscribe("news", position)
    again.start()
    assert taken(pair, reader, again) == ["lost 3-4: expired"]


def test_a_message_above_the_readers_limit_is_said_to_be_too_large() -> None:
    pair = Pair(seed=1, client_config=replace(Config(), max_message=10))
    reader = reading(pair)
    assert pair.publish("news", "." * 11)
    publish(pair, 4, 4)
    assert taken(pair, reader) == ["lost 3-3: too large", "4"]
