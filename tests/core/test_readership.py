"""Readership: who reads a channel; the channel knows how many, and nothing is left of who left."""

from gapless.core.channel import Channel
from gapless.core.frames import Subscribe
from gapless.core.local import LocalReader
from gapless.core.reader import Reader
from gapless.core.readership import Readership

from .parts import a_channel, inside


def a_reader(channel: Channel) -> Reader:
    frame = Subscribe(1, "news", "latest", 1)
    return Reader(channel, "ann", frame, pins=False, max_message=1000)


def test_readers_on_links_are_known_with_their_sessions_until_they_leave() -> None:
    people: Readership[str] = Readership()
    channel = a_channel()
    first, second = a_reader(channel), a_reader(channel)
    assert people.readers(channel) == {}
    people.add(first, "ann")
    people.add(second, "bob")
    assert people.readers(channel) == {first: "ann", second: "bob"}
    assert channel.reader_count == 2
    for _ in range(2):
        people.remove(first)
        assert (people.readers(channel), channel.reader_count) == ({second: "bob"}, 1)
    people.remove(second)
    assert (people.readers(channel), channel.reader_count) == ({}, 0)


def test_so_are_the_servers_own() -> None:
    people: Readership[str] = Readership()
    channel = a_channel()
    first, second = (LocalReader(channel, "latest", now=0.0) for _ in range(2))
    assert not people.remove_local(first)
    people.add_local(first)
    people.add_local(second)
    assert list(people.locals(channel)) == [first, second]
    assert [people.remove_local(first) for _ in range(2)] == [True, False]
    assert (list(people.locals(channel)), channel.reader_count) == ([second], 1)
    assert people.remove_local(second)
    assert (list(people.locals(channel)), channel.reader_count) == ([], 0)


def test_p3_nothing_is_kept_of_a_channel_that_nobody_reads() -> None:
    people: Readership[str] = Readership()
    for _ in range(3):
        reader = a_reader(a_channel())
        people.add(reader, "ann")
        people.remove(reader)
    local = LocalReader(a_channel(), "latest", now=0.0)
    people.add_local(local)
    people.remove_local(local)
    assert [inside(people, name) for name in ("_readers", "_locals")] == [{}, {}]
