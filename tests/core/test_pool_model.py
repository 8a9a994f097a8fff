"""Pool, whatever happens: the bounds hold, no secret shows, all is as a plain model says."""

from collections.abc import Callable, Hashable
from dataclasses import FrozenInstanceError, astuple
from random import Random
from typing import TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gapless.core.errors import LocalProtocolError, PoolExhausted
from gapless.core.pool import (
    Cancel,
    Close,
    Key,
    Lease,
    LeaseEnded,
    LeaseFailed,
    LeaseOpened,
    Open,
    Pool,
    PoolEvent,
)

from .footprint import footprint

KEYS = [Key(f"wss://{name}.example/", "secret") for name in "abcdef"]
IDLE = 60.0


class Session:
    """A session, and what the model knows of it."""

    def __init__(self, key: Key, *, is_doomed: bool) -> None:
        self.key = key
        self.is_doomed = is_doomed
        self.is_told = False


class Model:
    """The same in plain lists, looked through each time."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.now = 0.0
        self.leases: dict[Lease[Session], Key] = {}
        self.asked: list[Key] = []
        self.doomed: list[Key] = []
        self.cancelled: list[Key] = []
        self.sessions: list[Session] = []
        self.rested: dict[Key, float] = {}
        self.unwanted: list[Key] = []
        self.news: dict[Lease[Session], PoolEvent[Session]] = {}

    @property
    def total(self) -> int:
        return len(self.asked) + len(self.sessions)

    def session(self, key: Key) -> Session | None:
        """The one that serves a key."""
        return next((s for s in self.sessions if s.key == key and not s.is_doomed), None)

    def sharing(self, key: Key) -> list[Lease[Session]]:
        return [lease for lease, of in self.leases.items() if of == key]

    def has_link(self, key: Key) -> bool:
        return key in self.asked or any(s.key == key for s in self.sessions)

    def claims(self) -> set[Key]:
        """The keys that have a session or are to get one."""
        kept = {s.key for s in self.sessions if not s.is_doomed}
        return {*self.leases.values(), *kept, *self.asked} - (
            set(self.doomed) - set(self.leases.values())
        )

    def victim(self) -> Key | None:
        return next(iter([*self.rested, *self.unwanted]), None)

    def doom(self, key: Key) -> None:
        """Whatever the key has is to go."""
        if (session := self.session(key)) is not None:
            session.is_doomed = True
            self.rested.pop(key, None)
        elif key in self.asked and key not in self.doomed:
            self.doomed.append(key)
            if key in self.unwanted:
                self.unwanted.remove(key)

    def left(self, key: Key) -> None:
        """A lease on the key was released."""
        if self.sharing(key):
            return
        if self.session(key) is not None:
            self.rested[key] = self.now
        elif key in self.asked and key not in self.doomed:
            self.unwanted.append(key)

    def answered(self, key: Key) -> bool:
        """An Open is answered; returns whether anybody still means it."""
        self.asked.remove(key)
        for keys in (self.unwanted, self.cancelled):
            if key in keys:
                keys.remove(key)
        if key in self.doomed:
            self.doomed.remove(key)
            return False
        return True


class TestSecrets:
    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("wss://example.com:8080/a/b", "wss://example.com:8080/a/b"),
            ("wss://me:hush@example.com/a", "wss://example.com/a"),
            ("wss://example.com/@me?token=hush#hush", "wss://example.com/@me"),
            ("wss://me:hush@[::1]:80?a=b@hush\nhush", "wss://[::1]:80"),
            ("me:hush@example.com", "example.com"),
            ("unix:/run/socket", "unix:/run/socket"),
        ],
    )
    def test_a_key_shows_where_it_leads_and_no_more(self, url: str, shown: str) -> None:
        assert repr(Key(url, "hush")) == str(Key(url, "hush")) == f"Key({shown!r})"

    def test_nothing_that_comes_out_shows_them(self) -> None:
        pool: Pool[object] = Pool(max_connections=1)
        key = Key("wss://hush@example.com/", "hush")
        lease = pool.acquire(key, now=0.0)
        shown: list[object] = [lease, pool.poll_command(), Cancel(key)]
        attempts: list[Callable[[], object]] = [
            lambda: lease.session,
            lambda: pool.acquire(KEYS[0], now=0.0),
            lambda: pool.handle_opened(Key(key.url, "hush, hush"), object(), now=0.0),
            lambda: Pool[object]().release(lease, now=0.0),
        ]
        for attempt in attempts:
            with pytest.raises(LocalProtocolError) as raised:
                attempt()
            shown.append(raised.value)
        pool.handle_opened(key, object(), now=0.0)
        shown += [lease, pool.next_event()]
        pool.release(lease, now=0.0)
        shown += [lease, pool.stats()]
        assert [line for line in map(repr, shown) if "hush" in line] == []
        assert repr(lease) == "Lease(Key('wss://example.com/'), over)"

    @pytest.mark.parametrize("credentials", [None, "a", ("user", "password")])
    def test_credentials_are_anything_hashable_and_a_key_is_fixed(
        self, credentials: Hashable
    ) -> None:
        key = Key("wss://example.com/", credentials)
        assert {key: 1}[Key("wss://example.com/", credentials)] == 1
        with pytest.raises(FrozenInstanceError):
            setattr(key, "url", "other")  # noqa: B010, a type checker sees through the plain form


Item = TypeVar("Item")
PICK = st.integers(0, 11)


def chosen(items: list[Item], pick: int) -> Item:
    """Choose by a number, which Hypothesis draws as well as a walk."""
    return items[pick % len(items)]


class World(RuleBasedStateMachine):
    """Any callers and any driver, however slow, that answers what it is asked once."""

    @initialize(limit=st.integers(1, 3), is_patient=st.booleans())
    def begin(self, limit: int, is_patient: bool) -> None:
        self.is_patient = is_patient
        self.pool: Pool[Session] = Pool(max_connections=limit, idle=IDLE)
        self.model = Model(limit)
        self.waited: set[Lease[Session]] = set()
        self.given: list[Lease[Session]] = []

    @rule(keys=st.lists(st.sampled_from(KEYS[:4]), min_size=1, max_size=4))
    def acquire(self, keys: list[Key]) -> None:
        for key in keys:
            self.acquire_key(key)

    def acquire_key(self, key: Key) -> None:
        pool, model = self.pool, self.model
        if key not in model.claims() and len(model.claims()) == model.limit:
            victim = model.victim()
            if victim is None:
                with pytest.raises(PoolExhausted):
                    pool.acquire(key, now=model.now)
                return
            model.doom(victim)
        lease = pool.acquire(key, now=model.now)
        model.leases[lease] = key
        self.given.append(lease)
        if key in model.unwanted:
            model.unwanted.remove(key)
        if model.session(key) is None:
            self.waited.add(lease)
        else:
            model.rested.pop(key, None)

    @precondition(lambda self: self.model.leases)
    @rule(pick=PICK, is_all=st.booleans())
    def release(self, pick: int, is_all: bool) -> None:
        """All on a key, or one of them."""
        lease = chosen([*self.model.leases], pick)
        for each in self.model.sharing(lease.key) if is_all else [lease]:
            self.give_back(each)

    @precondition(lambda self: self.given)
    @rule(pick=PICK)
    def release_again(self, pick: int) -> None:
        self.give_back(chosen(self.given, pick))

    def give_back(self, lease: Lease[Session]) -> None:
        self.pool.release(lease, now=self.model.now)
        self.waited.discard(lease)
        self.model.news.pop(lease, None)
        if (key := self.model.leases.pop(lease, None)) is not None:
            self.model.left(key)

    @rule(times=st.integers(1, 5))
    def poll(self, times: int) -> None:
        for _ in range(times):
            self.poll_once()

    def poll_once(self) -> bool:
        model = self.model
        command = self.pool.poll_command()
        match command:
            case Open(key):
                assert model.total < model.limit
                assert not model.has_link(key), "one link a key"
                assert model.sharing(key), "somebody waits for it"
                model.asked.append(key)
            case Cancel(key):
                assert key in model.doomed
                assert key not in model.cancelled, "told once"
                model.cancelled.append(key)
            case Close(session):
                assert session in model.sessions
                assert session.is_doomed
                assert not session.is_told, "told once"
                session.is_told = True
            case None:
                assert all(s.is_told for s in model.sessions if s.is_doomed)
                assert sorted(map(repr, model.doomed)) == sorted(map(repr, model.cancelled))
                stuck = [key for key in model.leases.values() if not model.has_link(key)]
                assert not stuck or model.total == model.limit, "P4"
        return command is not None

    @precondition(lambda self: self.model.asked)
    @rule(pick=PICK)
    def open(self, pick: int) -> None:
        self.open_key(chosen(self.model.asked, pick))

    def open_key(self, key: Key) -> None:
        model = self.model
        is_meant = model.answered(key)
        session = Session(key, is_doomed=not is_meant)
        model.sessions.append(session)
        self.pool.handle_opened(key, session, now=model.now)
        if is_meant:
            for lease in model.sharing(key):
                model.news[lease] = LeaseOpened(lease)
            model.left(key)

    @rule()
    def serve(self) -> None:
        """The driver does at once what it can; it never cancels."""
        model = self.model
        while self.poll_once() or model.asked or any(s.is_told for s in model.sessions):
            for session in [s for s in model.sessions if s.is_told]:
                model.sessions.remove(session)
                self.pool.handle_closed(session, now=model.now)
            for key in list(model.asked):
                self.open_key(key)

    @precondition(lambda self: self.model.cancelled or len(self.model.asked) > 1)
    @rule(pick=PICK)
    def fail(self, pick: int) -> None:
        key, error = chosen(self.model.asked, pick), OSError()
        is_meant = self.model.answered(key)
        self.pool.handle_failed(key, error, now=self.model.now)
        if is_meant:
            for lease in self.model.sharing(key):
                self.model.news[lease] = LeaseFailed(lease, error)
                del self.model.leases[lease]

    @precondition(lambda self: self.model.sessions)
    @rule(pick=PICK)
    def end(self, pick: int) -> None:
        """It was told to, or will never be, or it dies by itself."""
        model = self.model
        session = chosen(model.sessions, pick)
        model.sessions.remove(session)
        self.pool.handle_closed(session, now=model.now)
        self.pool.handle_closed(session, now=model.now)
        if not session.is_doomed:
            model.rested.pop(session.key, None)
            for lease in model.sharing(session.key):
                model.news[lease] = LeaseEnded(lease, None)
                del model.leases[lease]

    @rule(seconds=st.sampled_from([0.0, 1.0, 59.0, 60.0, 1000.0]))
    def pass_time(self, seconds: float) -> None:
        model = self.model
        model.now += seconds
        self.pool.handle_timeout(now=model.now)
        for key in [key for key, since in model.rested.items() if since + IDLE <= model.now]:
            model.doom(key)

    @rule()
    def hear(self) -> None:
        """Invariant 5: every waiter hears one first event, and what it hears is true."""
        heard: list[PoolEvent[Session]] = list(iter(self.pool.next_event, None))
        assert {event.lease: event for event in heard} == self.model.news
        assert len(heard) == len(self.model.news)
        for event in heard:
            if isinstance(event, LeaseOpened | LeaseFailed):
                self.waited.remove(event.lease)
            self.waited.discard(event.lease)
        self.model.news.clear()

    def close(self) -> None:
        model = self.model
        self.hear()
        self.pool.close(now=model.now)
        events: list[PoolEvent[Session]] = list(iter(self.pool.next_event, None))
        assert {event.lease for event in events} == set(model.leases)
        assert len(events) == len(model.leases)
        assert not any(isinstance(event, LeaseOpened) for event in events)
        self.waited.difference_update(model.leases)
        model.leases.clear()
        for key in [*model.asked, *(s.key for s in model.sessions)]:
            model.doom(key)

    @invariant()
    def it_is_as_the_model_says(self) -> None:
        pool, model = self.pool, self.model
        kept = [s.key for s in model.sessions if not s.is_doomed]
        ready = [lease for lease, key in model.leases.items() if key in kept]
        assert astuple(pool.stats())[:6] == (
            model.total,
            len(kept) - len(model.rested),
            len(model.rested),
            len(model.asked) - len(model.doomed),
            len(model.doomed) + len(model.sessions) - len(kept),
            len(model.leases) - len(ready),
        )
        assert model.total <= model.limit, "P3"
        assert len(model.claims()) <= model.limit
        for lease in self.given:
            assert lease.is_over is (lease not in model.leases)
            assert lease.is_ready is (lease in ready)
            assert not lease.is_ready or lease.session is model.session(lease.key)
        assert pool.next_deadline() == min((t + IDLE for t in model.rested.values()), default=None)

    def teardown(self) -> None:
        """P4: left to a driver that answers, every waiter is served; closed, nothing is left."""
        if not hasattr(self, "pool"):
            return
        model, pool = self.model, self.pool
        if self.is_patient:
            self.serve()
            assert all(lease.is_ready for lease in model.leases)
            self.hear()
            assert not self.waited
        self.close()
        assert not self.waited
        self.it_is_as_the_model_says()
        self.serve()
        assert pool.is_closed
        assert astuple(pool.stats())[:6] == (0, 0, 0, 0, 0, 0)
        assert (pool.next_event(), pool.poll_command(), pool.next_deadline()) == (None, None, None)


TestWorld = World.TestCase


def step(world: World, rng: Random) -> None:
    """Do one thing that is possible now."""
    pick, model = rng.randrange(12), world.model
    steps: list[tuple[object, Callable[[], object]]] = [
        (True, lambda: world.acquire(rng.choices(KEYS[:4], k=rng.randint(1, 3)))),
        (True, lambda: world.poll(rng.randint(1, 5))),
        (True, lambda: world.pass_time(rng.choice([0.0, 1.0, 59.0, 60.0]))),
        (True, world.hear),
        (rng.random() < 0.5, world.serve),
        (model.leases, lambda: world.release(pick, rng.random() < 0.7)),
        (model.leases, lambda: world.release(pick, True)),
        (world.given, lambda: world.release_again(pick)),
        (model.asked, lambda: world.open(pick)),
        (model.cancelled, lambda: world.fail(pick)),
        (model.sessions, lambda: world.end(pick)),
    ]
    rng.choice([step for is_possible, step in steps if is_possible])()


@pytest.mark.parametrize("seed", range(40))
def test_a_long_walk_meets_what_short_ones_do_not(seed: int) -> None:
    rng, world = Random(seed), World()
    world.begin(rng.randint(1, 3), rng.random() < 0.5)
    for _ in range(100):
        step(world, rng)
        world.it_is_as_the_model_says()
    world.teardown()


def use(pool: Pool[Session], rng: Random, steps: int) -> list[str]:
    """Use a pool at random and say what came of it."""
    said: list[str] = []
    held: list[Lease[Session]] = []
    for now in range(steps):
        try:
            held.append(pool.acquire(rng.choice(KEYS), now=now))
        except PoolExhausted as error:
            said.append(str(error))
        while len(held) > 3:
            pool.release(held.pop(rng.randrange(len(held))), now=now)
        while (command := pool.poll_command()) is not None:
            said.append(type(command).__name__)
            match command:
                case Open(key) if rng.random() < 0.8:
                    pool.handle_opened(key, Session(key, is_doomed=False), now=now)
                case Open(key) | Cancel(key):
                    pool.handle_failed(key, OSError(), now=now)
                case Close(session):
                    said.append(repr(session.key))
                    pool.handle_closed(session, now=now)
        if rng.random() < 0.5:
            said += map(repr, iter(pool.next_event, None))
        pool.handle_timeout(now=now)
    for lease in held:
        pool.release(lease, now=steps)
    return said


def test_p8_the_same_inputs_have_the_same_outputs() -> None:
    one, other = (use(Pool(max_connections=3, idle=2), Random(7), 300) for _ in range(2))
    assert one == other
    assert len(one) > 300


def test_p3_it_holds_nothing_of_what_is_over() -> None:
    pools: list[Pool[Session]] = [Pool(max_connections=3, idle=2) for _ in range(2)]
    for pool, steps in zip(pools, (50, 3000), strict=True):
        use(pool, Random(7), steps)
        pool.handle_timeout(now=steps + 2)
        while (command := pool.poll_command()) is not None:
            assert isinstance(command, Close)
            pool.handle_closed(command.session, now=steps + 2)
        list(iter(pool.next_event, None))
        assert pool.stats().total == 0
    few, many = map(footprint, pools)
    assert many < few + 1_000


def test_p3_a_caller_that_hears_nothing_but_releases_leaves_nothing_behind() -> None:
    pool: Pool[Session] = Pool()
    sizes: list[int] = []
    for _ in range(300):
        lease = pool.acquire(KEYS[0], now=0.0)
        pool.poll_command()
        pool.handle_failed(KEYS[0], OSError(), now=0.0)
        pool.release(lease, now=0.0)
        sizes.append(footprint(pool))
    assert sizes[-1] < sizes[0] + 200
