"""Bad links: cut, silent, taken over, and back. Nothing is lost, doubled or moved."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from gapless.adapters.errors import ConnectError, NotSent
from gapless.adapters.session import Session
from gapless.core.closing import Code, Ending
from gapless.core.config import Config
from gapless.core.events import LinkDown, LinkUp
from gapless.core.export import Export

from .registry import case
from .world import HUB, QUICK, World, enter, publish_numbers, take


def resumed(session: Session, count: int) -> Callable[[], bool]:
    """Whether a session has been carried on so often."""
    return lambda: session.stats().resumes >= count


@case("resume", main=True)
async def case_a_reader_misses_nothing_and_reads_nothing_twice_over_cuts(world: World) -> None:
    """P1, P2."""
    async with (
        world.serve() as server,
        world.middle(server) as middle,
        world.connect(middle) as session,
        session.subscribe("campaign/42") as messages,
    ):
        came: list[int] = []
        for first in range(1, 101, 20):
            await publish_numbers(server, "campaign/42", range(first, first + 20))
            came += await take(messages, 10)
            middle.cut()
            came += await take(messages, 10)
        assert came == list(range(1, 101))
        await world.until(lambda: session.stats().links >= 2)
        stats = session.stats()
        assert stats.lost == 0
        assert stats.resumes == stats.links - 1


@case("resume", main=True)
async def case_a_publisher_settles_everything_once_over_cuts(world: World) -> None:
    """P4, P6."""
    async with (
        world.serve() as server,
        world.middle(server) as middle,
        world.connect(middle, replace(QUICK, history_messages=15)) as session,
        server.subscribe("commands") as commands,
    ):

        async def send() -> None:
            async with session.publisher("commands") as out:
                for number in range(1, 101):
                    await out.send(b"%d" % number)
            assert out.tally.accepted == 100

        sending = world.start(send)
        came: list[int] = []
        for _ in range(5):
            came += await take(commands, 20)
            middle.cut()
        await sending.result()
        assert came == list(range(1, 101))


@case("resume")
async def case_bytes_that_come_one_by_one_say_the_same(world: World) -> None:
    """P9."""
    async with world.serve() as server, world.middle(server) as middle:
        middle.piece = 1
        async with (
            world.connect(middle) as session,
            session.subscribe("campaign/42") as messages,
        ):
            await publish_numbers(server, "campaign/42", range(1, 11))
            assert await take(messages, 10) == list(range(1, 11))
            assert (await session.publish("commands", b"1")).seq == 1


@case("resume")
async def case_what_is_published_without_a_link_is_sent_on_the_next(world: World) -> None:
    """P4, P6."""
    async with (
        world.serve() as server,
        server.subscribe("commands") as commands,
        world.middle(server) as middle,
        world.connect(middle) as session,
    ):
        middle.take_down()
        await world.until(lambda: not session.is_connected)
        publishing = world.start(session.publish, "commands", b"1")
        await world.until(lambda: session.stats().published == 1)
        middle.restore()
        assert (await publishing.result()).seq == 1
        assert await take(commands, 1) == [1]


@case("resume")
async def case_a_message_whose_answer_was_lost_is_applied_once(world: World) -> None:
    """P6."""
    async with (
        world.serve() as server,
        server.subscribe("commands") as commands,
        world.middle(server) as middle,
        world.connect(middle) as session,
    ):
        await session.publish("commands", b"1")
        middle.block("to client")
        publishing = world.start(session.publish, "commands", b"2")
        assert await take(commands, 2) == [1, 2]
        assert not publishing.is_done
        middle.cut()
        middle.restore()
        assert (await publishing.result()).seq == 2
        assert (await session.publish("commands", b"3")).seq == 3
        assert await take(commands, 1) == [3]


@case("resume")
async def case_events_tell_of_each_link_and_when_the_next_try_is_due(world: World) -> None:
    """Design 11, I18."""
    async with (
        world.serve() as server,
        world.middle(server) as middle,
        world.connect(middle, replace(QUICK, backoff_base=0.02)) as session,
    ):
        events = session.events()
        assert await anext(events) == LinkUp(session.id, resumed=False)
        middle.cut()
        down = await anext(events)
        assert isinstance(down, LinkDown)
        assert down.ending.code == Code.LOST
        assert down.retry_at is not None
        assert await anext(events) == LinkUp(session.id, resumed=True)


@case("resume")
async def case_what_a_reader_pins_is_kept_while_its_link_is_down(world: World) -> None:
    """Rule 1, I3: a pin outlives a link; who publishes waits, and nothing is lost."""
    async with (
        world.serve() as server,
        world.middle(server) as middle,
        world.connect(middle) as session,
        session.subscribe("campaign/42") as messages,
    ):
        server.configure("campaign/42", history_messages=4, patience=60)
        await publish_numbers(server, "campaign/42", [1])
        assert await take(messages, 1) == [1]
        middle.take_down()
        await world.until(lambda: not session.is_connected)
        publishing = world.start(publish_numbers, server, "campaign/42", range(2, 21))
        await world.pause(20)
        assert not publishing.is_done
        middle.restore()
        assert await take(messages, 19) == list(range(2, 21))
        await publishing.result()
        assert session.stats().lost == 0


@case("resume")
async def case_events_that_nobody_took_are_merged_and_counted(world: World) -> None:
    """P3: one is kept of each kind."""
    async with (
        world.serve() as server,
        world.middle(server) as middle,
        world.connect(middle) as session,
    ):
        for count in (1, 2, 3):
            middle.cut()
            await world.until(resumed(session, count))
        events = session.events()
        counts = {type(event): event.count for event in [await anext(events), await anext(events)]}
        assert counts == {LinkUp: 4, LinkDown: 3}


@case("resume")
async def case_the_network_is_back_means_try_now(world: World) -> None:
    """I18: the nudge clears the backoff."""
    async with (
        world.serve() as server,
        world.middle(server) as middle,
        world.connect(middle, Config(backoff_base=30.0, backoff_cap=30.0)) as session,
    ):
        middle.cut()
        await world.until(lambda: not session.is_connected)
        session.network_back()
        await world.until(resumed(session, 1))


@case("resume")
async def case_a_token_carries_a_suspended_session_on(world: World) -> None:
    """Rule 8, I14: it keeps its id, and what it holds back is kept for it."""
    async with world.serve() as server:
        server.configure("news", history_messages=2, patience=60)
        async with world.connect(server) as first, first.subscribe("news", "earliest") as news:
            await server.publish("news", b"1")
            assert await take(news, 1) == [1]
            position = news.position
            assert position is not None
            token = first.session_token
            await first.suspend()
            await first.suspend()
        assert server.sessions == [first.id]
        await server.publish("news", b"2")
        async with world.connect(server, resume=token) as second:
            assert second.id == first.id
            assert await anext(second.events()) == LinkUp(first.id, resumed=True)
            assert second.session_token != token
            async with second.subscribe("news", position) as news:
                assert await take(news, 1) == [2]


@case("resume")
async def case_an_exported_session_is_restored_with_what_it_had_published(world: World) -> None:
    """P6: once, whether it was sent before or not."""
    async with (
        world.serve() as server,
        server.subscribe("orders") as orders,
        world.middle(server) as middle,
    ):
        async with world.connect(middle) as first:
            await first.publish("orders", b"1")
            middle.take_down()
            await world.until(lambda: not first.is_connected)
            publishing = world.start(first.publish, "orders", b"2")
            await world.until(lambda: first.stats().published == 2)
            stored = (await first.export()).to_dict()
            with pytest.raises(NotSent):
                await publishing.result()
        middle.restore()
        async with world.connect(middle, restore=Export.from_dict(stored)) as second:
            told = [(one.first, one.last, one.outcome) for one in await second.restored()]
            assert told == [(2, 2, "accepted")]
            await second.publish("orders", b"3")
        assert await take(orders, 3) == [1, 2, 3]


@case("resume")
async def case_a_token_that_the_server_does_not_know_begins_anew(world: World) -> None:
    """I14: unknown, expired and wrong look the same."""
    config = replace(HUB, lease=0.02)
    async with (
        world.serve(config) as server,
        world.middle(server) as middle,
        world.connect(middle, resume="never given") as session,
    ):
        number = session.id
        assert await anext(session.events()) == LinkUp(number, resumed=False)
        middle.take_down()
        await world.until(lambda: server.sessions == [])
        middle.restore()
        await world.until(lambda: session.stats().links == 2)
        assert session.id != number
        assert session.stats().resumes == 0


@case("takeover", main=True)
async def case_the_newest_link_wins_and_the_older_is_told(world: World) -> None:
    """I13."""
    slow = Config(backoff_base=30.0, backoff_cap=30.0)
    async with world.serve() as server, world.connect(server, slow) as first:
        events = first.events()
        await anext(events)
        async with world.connect(server, resume=first.session_token) as second:
            assert second.id == first.id
            down = await anext(events)
            assert isinstance(down, LinkDown)
            assert down.ending.code == Code.FENCED
            assert server.sessions == [second.id]
            assert (await second.publish("commands", b"1")).seq == 1
            await first.close(timeout=0)
            assert second.is_connected


@case("takeover")
async def case_a_link_that_nobody_saw_die_is_replaced(world: World) -> None:
    """I13: the old socket is noticed dead only after the new one is there."""
    async with (
        world.serve() as server,
        world.middle(server) as middle,
        world.connect(middle) as session,
        session.subscribe("campaign/42") as messages,
    ):
        token = session.session_token
        middle.block()
        async with world.connect(server, resume=token) as second:
            assert second.id == session.id
            assert server.sessions == [session.id]
            async with second.subscribe("campaign/42") as theirs:
                await server.publish("campaign/42", b"1")
                assert await take(theirs, 1) == [1]
            await second.suspend()
        middle.cut()
        middle.restore()
        assert await take(messages, 1) == [1]


class Vault:
    """Gives keys one after the other, the last one for ever; notes what it was told."""

    def __init__(self, *keys: str) -> None:
        self.keys = list(keys)
        self.told: list[int | None] = []

    def key(self, refused: Ending | None) -> str:
        """Give the next key."""
        self.told.append(None if refused is None else refused.code)
        return self.keys.pop(0) if len(self.keys) > 1 else self.keys[0]


@case("credentials refreshed", main=True)
async def case_credentials_are_asked_for_at_each_connect_and_again_when_refused(
    world: World,
) -> None:
    """Rule 8, I18: one refresh, then the session goes on with what was given."""
    vault = Vault("stale", "right")
    async with (
        world.serve(token="right") as server,
        world.middle(server) as middle,
        world.connect(middle, token=vault.key) as session,
    ):
        assert vault.told == [None, Code.UNAUTHORIZED]
        middle.cut()
        await world.until(resumed(session, 1))
        assert vault.told == [None, Code.UNAUTHORIZED, None]


@case("credentials refreshed")
async def case_refused_again_there_is_no_connection(world: World) -> None:
    """I18: no reconnect after a verdict."""
    vault = Vault("wrong")
    async with world.serve(token="right") as server:
        for token in (vault.key, "wrong", None):
            with pytest.raises(ConnectError) as raised:
                await enter(world.connect(server, token=token, wait=5.0))
            assert raised.value.ending.code == Code.UNAUTHORIZED
        assert vault.told == [None, Code.UNAUTHORIZED]
        assert server.sessions == []


@case("credentials refreshed")
async def case_a_function_that_raises_has_failed_that_connect_only(world: World) -> None:
    """I20: a callback that raises can't corrupt a session."""
    asked = 0

    def key(_: Ending | None) -> str:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise ZeroDivisionError
        return "right"

    async with (
        world.serve(token="right") as server,
        world.middle(server) as middle,
        world.connect(middle, token=key) as session,
    ):
        middle.cut()
        await world.until(resumed(session, 1))
        assert asked == 3


@case("credentials refreshed")
async def case_a_session_token_of_another_principal_is_no_use(world: World) -> None:
    """I14, P7: a refused resume leaves the live session untouched."""
    async with (
        world.serve(token="right") as server,
        world.connect(server, token="right") as session,
    ):
        with pytest.raises(ConnectError):
            await enter(world.connect(server, token="wrong", resume=session.session_token))
        assert session.is_connected
        assert (await session.publish("commands", b"1")).seq == 1


@case("half-open peer", main=True)
async def case_a_server_that_says_nothing_is_found_out(world: World) -> None:
    """I19: within heartbeat and timeout; nothing is lost."""
    async with (
        world.serve() as server,
        world.middle(server) as middle,
        world.connect(middle, replace(QUICK, heartbeat=0.03, heartbeat_timeout=0.03)) as session,
        session.subscribe("campaign/42") as messages,
    ):
        events = session.events()
        await anext(events)
        middle.block()
        await publish_numbers(server, "campaign/42", range(1, 4))
        down = await anext(events)
        assert isinstance(down, LinkDown)
        assert down.ending.code == Code.SILENT
        middle.restore()
        assert await take(messages, 3) == [1, 2, 3]


@case("half-open peer")
async def case_a_client_that_says_nothing_is_found_out(world: World) -> None:
    """I19, at the other end; the session waits for its lease."""
    config = replace(HUB, heartbeat=0.03, heartbeat_timeout=0.03)
    async with (
        world.serve(config) as server,
        world.middle(server) as middle,
        world.connect(middle) as session,
    ):
        middle.block()
        await world.until(lambda: server.stats().links == 0)
        assert server.sessions == [session.id]
        middle.cut()
        middle.restore()
        await world.until(resumed(session, 1))


@case("clock jump", main=True, needs_jumps=True)
async def case_a_machine_that_slept_probes_once_before_it_gives_a_link_up(world: World) -> None:
    """I19: a clock jump does not end a healthy link, nor a lease; I12: no timer is left behind."""
    async with (
        world.serve() as server,
        world.connect(server) as session,
        session.subscribe("campaign/42") as messages,
    ):
        for number in (1, 2, 3):
            world.jump(3600.0)
            await publish_numbers(server, "campaign/42", [number])
            assert await take(messages, 1) == [number]
            assert (await session.publish("commands", b"x")).seq == number
            await world.pause(20)
        assert session.stats().links == 1
        assert session.is_connected
        assert server.sessions == [session.id]


@case("clock jump", needs_jumps=True)
async def case_after_a_jump_a_silent_link_is_given_up_and_replaced(world: World) -> None:
    """I19, P4: the one probe is not answered."""
    async with (
        world.serve() as server,
        world.middle(server) as middle,
        world.connect(middle, replace(QUICK, heartbeat=30.0, heartbeat_timeout=0.03)) as session,
    ):
        middle.block()
        world.jump(3600.0)
        publishing = world.start(session.publish, "commands", b"1")
        await world.until(lambda: not session.is_connected)
        middle.restore()
        assert (await publishing.result()).seq == 1
        assert session.stats().resumes == 1
