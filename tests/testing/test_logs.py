"""The logs: what was appended, remembered longer than any history, and longer than any hub."""

from gapless.testing import Pair
from gapless.testing.logs import Logs
from tests.core.list_store import ListStore

from .plants import caught


class Kept:
    """Logs of a pair's hubs, and what they were told in order."""

    def __init__(self, *, history: int = 1000) -> None:
        self.pair = Pair()
        self.told: list[tuple[str, bytes, str | None]] = []
        self.logs = Logs(self.pair.hosts, self._tell)
        self.logs.names["a"] = None
        self.pair.hub.configure("a", now=self.pair.clock.now, history_messages=history)

    def publish(self, text: str) -> tuple[str, int]:
        ticket = self.pair.publish("a", text)
        assert ticket is not None
        return ticket.epoch, ticket.seq

    def _tell(self, channel: str, payload: bytes, publisher: str | None) -> None:
        self.told.append((channel, payload, publisher))


def test_every_message_is_told_once_in_its_order() -> None:
    kept = Kept()
    kept.publish("m1")
    kept.logs.look()
    kept.publish("m2")
    kept.publish("m3")
    kept.logs.look()
    kept.logs.look()

    assert kept.told == [("a", b"m1", None), ("a", b"m2", None), ("a", b"m3", None)]


def test_what_rotated_out_is_still_known() -> None:
    kept = Kept(history=1)
    places: list[tuple[str, int]] = []
    for text in ("m1", "m2", "m3"):
        places.append(kept.publish(text))
        kept.logs.look()

    assert [kept.logs.find(*place) for place in places] == [b"m1", b"m2", b"m3"]
    assert kept.logs.missing == set()


def test_what_came_and_went_between_two_looks_is_missing_and_said_to_be() -> None:
    kept = Kept(history=1)
    first = kept.publish("m1")
    second = kept.publish("m2")
    kept.logs.look()

    assert kept.logs.find(*first) is None
    assert kept.logs.find(*second) == b"m2"
    assert kept.logs.missing == {"a"}


def test_a_restarted_servers_numbers_are_another_epochs() -> None:
    kept = Kept()
    before = kept.publish("m1")
    kept.logs.look()
    kept.pair.restart_server()
    after = kept.publish("another m1")
    kept.logs.look()

    assert before[1] == after[1] == 1
    assert kept.logs.find(*before) == b"m1"
    assert kept.logs.find(*after) == b"another m1"


def test_channels_without_a_name_are_not_looked_at() -> None:
    kept = Kept()
    kept.pair.publish("unheard", "x")
    kept.logs.look()

    assert kept.told == []
    assert kept.logs.channels() == []


def over_a_store() -> tuple[Pair, ListStore, Logs, list[bytes]]:
    """A pair whose channel a is kept in a store, its logs, and what they were told."""
    store = ListStore()
    pair = Pair(store=store)
    told: list[bytes] = []
    logs = Logs(pair.hosts, lambda channel, payload, publisher: told.append(payload))
    logs.names["a"] = None
    pair.follow("a", lambda event: None)
    pair.run(0.1)
    pair.publish("a", "m1")
    pair.run(0.1)
    logs.look()
    return pair, store, logs, told


def test_what_a_restarted_server_reads_from_its_store_was_told_before() -> None:
    pair, _, logs, told = over_a_store()
    pair.restart_server()
    pair.run(0.1)
    logs.look()

    assert told == [b"m1"]


def test_i15_a_number_with_two_contents_breaks_a_promise() -> None:
    kept = Kept()
    epoch, _ = kept.publish("m1")
    kept.logs.contents[epoch] = {1: b"m1"}
    kept.logs.look()
    assert kept.told == []

    kept.publish("m2")
    kept.logs.contents[epoch][2] = b"other"
    with caught("I15", f"a {epoch}:2 has two contents"):
        kept.logs.look()


def test_a_channel_that_begins_anew_is_read_from_the_start() -> None:
    """A store that was set back, and says so while the hub has the channel open."""
    pair, store, logs, told = over_a_store()
    store.fall_back("a", 1)
    store.logs["a"].epoch = "restored"
    for text in ("m2", "m3"):
        pair.publish("a", text)
        pair.run(0.5)
        logs.look()

    assert told == [b"m1", b"m2", b"m3"]
