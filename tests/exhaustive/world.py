"""World: one client and one server, all that can happen to them next, and what must hold.

It is a state of the search: it can be copied (`copies.py`), and `key` is its snapshot. Frames lie
on lines, one way each, in order. Whatever a machine has to say it says as soon as there is room for
it on its line; everything else is somebody's choice, and `actions` names all choices there are.
"""

import marshal
from collections import deque
from collections.abc import Iterator
from hashlib import blake2b

from gapless.core.authorize import allow_anyone, allow_anyone_unpinned
from gapless.core.channel import Channel
from gapless.core.client import ClientSession
from gapless.core.closing import Code, Ending
from gapless.core.dialer import Dialer
from gapless.core.events import Append, CloseLink, OpenLink, ReadHistory
from gapless.core.frames import Data, Frame
from gapless.core.hub import Hub
from gapless.core.link import Link
from gapless.core.outbox import Outbox
from gapless.core.position import Since
from gapless.core.store import AppendRefused
from gapless.core.subscription import Phase, Subscription
from gapless.testing import Names, snapshot
from gapless.testing.promise import hold
from gapless.testing.snapshots import Fields, Plain
from tests.core.list_store import ListStore

from .joints import Counted, Line, Steady
from .judge import READ, WRITTEN, Judge
from .scenarios import DELAY, SOON, Scenario, configs

LOST = Ending(Code.LOST, "connection reset")
FAULTS = frozenset({"cut", "restart", "refuse", "shed", "lease", "resubscribe", "repeat"})


EXACT: Fields = frozenset()
DECIDE_NOTHING: Fields = frozenset(
    {
        (Link, "_sent"),
        (Link, "_received"),
        (Channel, "_batches"),
        (Dialer, "_pipelined"),
    }
)
"""Fields that decide nothing here, though they might elsewhere.

Data frames are counted for pings, and none are sent. Batches are cached that are in the history
too. One subscription always fits behind `hello`.
"""


def _is_data(frames: deque[Frame]) -> bool:
    return bool(frames) and isinstance(frames[0], Data)


def is_fault(action: str) -> bool:
    """Whether an action is one of those that stop when the faults stop."""
    return action.split("-")[0] in FAULTS


class World:
    """All there is.

    Args:
        scenario: the bounds.
        now: when it begins, in seconds.
        word: what all tokens begin with.
    """

    def __init__(self, scenario: Scenario, *, now: float = 1000.0, word: str = "token") -> None:
        self.scenario = scenario
        self.now = now
        self.names = Names(Counted(word))
        self.rng = Steady(0)
        self.left = {
            "cut": scenario.cuts,
            "restart": scenario.restarts,
            "refuse": scenario.refusals,
            "shed": scenario.sheds,
            "lease": scenario.leases,
            "resubscribe": scenario.resubscribes,
            "repeat": scenario.repeats,
        }
        self.store = ListStore(self.names) if scenario.durable else None
        self.asked: deque[Append | ReadHistory] = deque()
        self.hub = self._new_hub()
        self.client = ClientSession(configs(scenario)[0], rng=self.rng, wait=float("inf"))
        self.lines: list[Line] = []
        self.judge = Judge(scenario)
        self.is_awake = False
        self.has_room = {READ: True, WRITTEN: True}
        self.story: list[str] | None = None
        self.subscription: Subscription | None = None
        if scenario.reads:
            self.subscription = self.client.subscribe(READ, "earliest", now=self.now)
        self.client.start(now=self.now)
        self._settle()

    def key(self) -> bytes:
        """What tells this state from all others that go on differently."""
        state = self.snapshot(past=0.0, future=SOON, without=DECIDE_NOTHING)
        return blake2b(marshal.dumps(state, 0), digest_size=16).digest()

    def snapshot(
        self, *, past: float | None = None, future: float | None = None, without: Fields = EXACT
    ) -> Plain:
        """Tell all there is: machines, what is on its way, what the judge must remember."""
        return snapshot(
            self.client,
            self.hub,
            self.store,
            self.asked,
            self.lines,
            self.left,
            self.is_awake,
            self.has_room,
            self.judge.state(self.client, self.hub, [line.link for line in self.lines]),
            now=self.now,
            names=self.names,
            past=past,
            future=future,
            without=without,
        )

    def is_settled(self) -> bool:
        """Whether everything is published, settled, taken, and both ends have nothing to say."""
        return self.judge.is_settled(self.client, self.hub)

    # what can happen

    @property
    def can_go_on(self) -> bool:
        """Whether anything can happen but faults."""
        return any(not is_fault(action) for action in self.actions())

    def actions(self) -> list[str]:
        """Name all that can happen next."""
        choices = [*self._applications(), *self._network()]
        if (
            not choices
            and not self.is_settled()
            and self._due(self.hub.config.lease + SOON) is not None
        ):
            # All there is to wait for is a lease.
            choices = ["wait"]
        return [*choices, *self._faults()]

    def do(self, action: str) -> None:
        """Let it happen.

        Raises:
            BrokenPromise: it must not have come to this.
        """
        word, _, link = action.partition(":")
        kind = word.split("-")[0]
        if kind in self.left:
            self.left[kind] -= 1
        getattr(self, "_" + word.replace("-", "_"))(*([self._line(int(link))] if link else []))
        self._settle()

    def _applications(self) -> Iterator[str]:
        if self.has_room[READ] and len(self.judge.published) < self.scenario.reads:
            yield "append"
        if self.has_room[WRITTEN] and len(self.judge.written) < self.scenario.writes:
            yield "publish"
        if self.is_awake:
            yield "take"
        if self.asked:
            yield "store"
        if self._due() is not None:
            yield "tick"

    def _network(self) -> Iterator[str]:
        for line in self.lines:
            if line.hub_open and line.to_hub:
                yield f"to-hub:{line.link}"
            elif line.hub_open and not line.client_open:
                yield f"hub-notices:{line.link}"
            if line.client_open and line.to_client:
                yield f"to-client:{line.link}"
            elif line.client_open and not line.hub_open:
                yield f"client-notices:{line.link}"

    def _faults(self) -> Iterator[str]:
        for line in self.lines:
            if self.left["cut"] and line.client_open and line.hub_open:
                yield f"cut:{line.link}"
                if self.scenario.half_open:
                    yield f"cut-client:{line.link}"
                    yield f"cut-hub:{line.link}"
            if self.left["repeat"] and line.hub_open and _is_data(line.to_hub):
                yield f"repeat-to-hub:{line.link}"
            if self.left["repeat"] and line.client_open and _is_data(line.to_client):
                yield f"repeat-to-client:{line.link}"
        writes = [one for one in self.asked if isinstance(one, Append)]
        if self.left["restart"]:
            yield "restart"
            if writes:
                yield "restart-too-late"
        if self.left["refuse"] and self.asked and self.asked[0] in writes:
            yield "refuse"
            yield "refuse-for-good"
        if self.left["shed"] and self.subscription is not None and self.subscription.held_bytes:
            yield "shed"
        if self.left["lease"] and self.hub.sessions and not self.hub.links:
            yield "lease"
        if self.left["resubscribe"] and self.subscription is not None:
            yield "resubscribe"

    # applications

    def _append(self) -> None:
        payload = self.judge.next_read()
        ticket = self.hub.publish(READ, payload, now=self.now)
        if ticket is None:
            self.has_room[READ] = False
        else:
            self.judge.published.append(payload)

    def _publish(self) -> None:
        payload = self.judge.next_written()
        number = self.client.publish(WRITTEN, payload, False, now=self.now)
        if number is None:
            self.has_room[WRITTEN] = False
        else:
            self.judge.written.append(payload)
            hold(number == len(self.judge.written), "P6", f"number {number} is not the next")

    def _take(self) -> None:
        assert self.subscription is not None
        event = self.client.next_message(self.subscription, now=self.now)
        if event is None:
            self.is_awake = False
        else:
            self._tell(f"takes {event}")
            self.judge.take(event, self.subscription)

    def _resubscribe(self) -> None:
        assert self.subscription is not None
        since: Since = self.subscription.position or "earliest"
        self.client.unsubscribe(self.subscription, now=self.now)
        self.subscription = self.client.subscribe(READ, since, now=self.now)
        self.is_awake = False

    def _shed(self) -> None:
        assert self.subscription is not None
        self.subscription.shed(1)

    # the store

    def _store(self) -> None:
        assert self.store is not None
        asked = self.asked.popleft()
        if isinstance(asked, Append):
            self.hub.handle_appended(self.store.append(asked), now=self.now)
        else:
            self.hub.handle_history(self.store.read_history(asked), now=self.now)

    def _refuse(self) -> None:
        self._answer_refused(DELAY)

    def _refuse_for_good(self) -> None:
        self._answer_refused(None)

    def _answer_refused(self, retry_after: float | None) -> None:
        asked = self.asked.popleft()
        self.hub.handle_appended(AppendRefused(asked.request, "busy", retry_after), now=self.now)

    # time

    def _due(self, within: float = SOON) -> float | None:
        """When the next timer fires, unless it is further away."""
        times = self.client.next_deadline(), self.hub.next_deadline()
        due = min((at for at in times if at is not None), default=None)
        return due if due is not None and due < self.now + within else None

    def _wait(self) -> None:
        self._tick(self.hub.config.lease + SOON)

    def _tick(self, within: float = SOON) -> None:
        due = self._due(within)
        assert due is not None
        self.now = max(self.now, due)
        for machine in (self.client, self.hub):
            machine.handle_timeout(now=self.now)
            later = machine.next_deadline()
            hold(later is None or later > self.now, "I12", f"a deadline at {later}, now {self.now}")

    def _lease(self) -> None:
        self.now += self.hub.config.lease
        self.hub.handle_timeout(now=self.now)

    # the network

    def _line(self, link: int) -> Line:
        return next(line for line in self.lines if line.link == link)

    def _to_hub(self, line: Line) -> None:
        frame = line.to_hub.popleft()
        self._tell(f"arrives: {frame}")
        self.judge.before_server(line.link, frame)
        self.hub.receive_bytes(line.link, now=self.now)
        self.hub.receive_frame(line.link, frame, size=50, now=self.now)

    def _to_client(self, line: Line) -> None:
        frame = line.to_client.popleft()
        self._tell(f"arrives: {frame}")
        self.client.receive_bytes(line.link, now=self.now)
        check = self.judge.before(line.link, frame, self.subscription)
        self.client.receive_frame(line.link, frame, size=50, now=self.now)
        check()

    def _repeat_to_hub(self, line: Line) -> None:
        frame = line.to_hub[0]
        self._to_hub(line)
        line.to_hub.appendleft(frame)

    def _repeat_to_client(self, line: Line) -> None:
        frame = line.to_client[0]
        self._to_client(line)
        line.to_client.appendleft(frame)

    def _cut(self, line: Line) -> None:
        self._client_notices(line)
        self._hub_notices(line)

    def _cut_client(self, line: Line) -> None:
        self._client_notices(line)

    def _cut_hub(self, line: Line) -> None:
        self._hub_notices(line)

    def _client_notices(self, line: Line) -> None:
        line.client_open = False
        line.to_client.clear()
        self.client.handle_link_lost(line.link, LOST, now=self.now)

    def _hub_notices(self, line: Line) -> None:
        line.hub_open = False
        line.to_hub.clear()
        self.hub.handle_link_lost(line.link, LOST, now=self.now)

    def _restart(self) -> None:
        self.asked.clear()
        self.hub = self._new_hub()
        self.has_room[READ] = True
        for line in list(self.lines):
            line.hub_open = False
            line.to_hub.clear()
            if line.client_open and not self.scenario.half_open:
                self._client_notices(line)

    def _restart_too_late(self) -> None:
        """The store has done what it was asked; its answer finds nobody."""
        assert self.store is not None
        for asked in self.asked:
            if isinstance(asked, Append):
                self.store.append(asked)
        self._restart()

    # what follows by itself

    def _settle(self) -> None:
        """Carry out commands, wake applications, let machines speak as far as there is room."""
        busy = True
        while busy:
            busy = self._carry_out()
            busy |= self._wake()
            self.judge.look(self.hub, self.store)
            for line in self.lines:
                busy |= self._speak(line)
            self.lines = [line for line in self.lines if line.client_open or line.hub_open]
        self.judge.check_links([line.link for line in self.lines if line.hub_open])
        self.judge.look(self.hub, self.store)

    def _carry_out(self) -> bool:
        busy = False
        while (command := self.client.poll_command()) is not None:
            busy = True
            if isinstance(command, OpenLink):
                self.lines.append(Line(command.link))
                self.client.handle_link_opened(command.link, now=self.now)
                self.hub.handle_link_opened(command.link, now=self.now)
            elif isinstance(command, CloseLink):
                hold(False, "P4", f"the client closes: {command}")
        while (command := self.hub.poll_command()) is not None:
            busy = True
            if isinstance(command, Append | ReadHistory):
                self.asked.append(command)
            elif isinstance(command, CloseLink):
                hold(command.ending.code == Code.FENCED, "P4", f"the server closes: {command}")
                line = self._line(command.link)
                line.to_hub.clear()
                line.hub_open = False
                while (frame := self.hub.next_frame(line.link, now=self.now)) is not None:
                    self._said(line, frame, to_client=True)
                self.hub.handle_link_lost(line.link, LOST, now=self.now)
        return busy

    def _wake(self) -> bool:
        busy = False
        while (ready := self.client.next_ready()) is not None:
            busy = True
            self.is_awake |= ready is self.subscription
            if isinstance(ready, Outbox):
                self.has_room[WRITTEN] = True
                while (settled := self.client.next_settled(WRITTEN)) is not None:
                    self._tell(f"settled: {settled}")
                    self.judge.settle(settled)
        while (ready := self.hub.next_ready()) is not None:
            busy = True
            if ready == READ:
                self.has_room[READ] = True
        while self.client.next_event() is not None:
            busy = True
        if self.subscription is not None:
            hold(self.subscription.phase is not Phase.ENDED, "P4", "the subscription has ended")
        return busy

    def _speak(self, line: Line) -> bool:
        busy = False
        while self.client.next_writable() is not None or self.hub.next_writable() is not None:
            busy = True
        while line.client_open and len(line.to_hub) < self.scenario.flight:
            frame = self.client.next_frame(line.link, now=self.now)
            if frame is None:
                break
            busy = True
            self._said(line, frame, to_client=False)
        while line.hub_open and len(line.to_client) < self.scenario.flight:
            frame = self.hub.next_frame(line.link, now=self.now)
            if frame is None:
                break
            busy = True
            self._said(line, frame, to_client=True)
        return busy

    def _said(self, line: Line, frame: Frame, *, to_client: bool) -> None:
        self._tell(f"{'server' if to_client else 'client'} says on {line.link}: {frame}")
        if to_client:
            self.judge.server_says(line.link, frame)
            if line.client_open:
                line.to_client.append(frame)
        else:
            self.judge.client_says(line.link, frame, self.client, self.subscription)
            if line.hub_open:
                line.to_hub.append(frame)

    def _new_hub(self) -> Hub:
        pins = self.scenario.patience is not None
        hub = Hub(
            configs(self.scenario)[1],
            rng=self.rng,
            new_token=self.names,
            verify=allow_anyone if pins else allow_anyone_unpinned,
            durable=self.scenario.durable,
        )
        hub.configure(READ, history_messages=self.scenario.history, now=self.now)
        return hub

    def _tell(self, words: str) -> None:
        if self.story is not None:
            self.story.append(words)
