"""The search: every state that a world can come to, breadth first, each visited once.

In each step the judge and the machines themselves may find that something doesn't hold. Once all
states are known, so are all runs without further faults: none of them goes on for ever, and where
nothing can happen any more everything is settled (P4, I17).
"""

import time
from array import array
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from gapless.testing import BrokenPromise

from .copies import again, keep
from .scenarios import Scenario
from .world import World, is_fault


@dataclass(slots=True)
class Report:
    """What a search has found.

    Attributes:
        scenario: what was searched.
        states, transitions: how many there are.
        ends: states in which nothing can happen any more but faults: all is settled there.
        depth: actions to the state that is furthest away.
        seconds: how long it took.
        is_complete: whether all states were visited.
        fault: what is broken, if anything is.
        story: the shortest way there.
    """

    scenario: Scenario
    states: int = 1
    transitions: int = 0
    ends: int = 0
    depth: int = 0
    seconds: float = 0.0
    is_complete: bool = False
    fault: str | None = None
    story: tuple[str, ...] = ()


class Search:
    """One search.

    Args:
        scenario: what may happen.
        most: states after which it stops, incomplete.
        begin: makes the world as it is in the beginning.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        most: int | None = None,
        begin: Callable[[Scenario], World] = World,
    ) -> None:
        self.report = Report(scenario)
        self._begin = begin
        self._most = most
        self._came_from = array("l", [-1])
        self._came_by: list[str] = [""]
        self._depths = array("l", [0])
        self._known: dict[bytes, int] = {}
        # The fault-free successors of state n are `_next[_ends[n - 1] : _ends[n]]`.
        self._next = array("l")
        self._ends = array("l")

    def run(self) -> Report:
        """Visit all states, then judge all runs."""
        began = time.monotonic()
        try:
            self._visit()
        except BrokenPromise as broken:
            self.report.fault = str(broken)
        if self.report.is_complete and self.report.fault is None:
            self._find_circle()
        self.report.seconds = time.monotonic() - began
        return self.report

    def _visit(self) -> None:
        world = self._begin(self.report.scenario)
        self._known[world.key()] = 0
        waiting = deque([keep(world)])
        state = 0
        while waiting:
            if self._most is not None and len(self._known) > self._most:
                return
            self._expand(state, waiting)
            state += 1
        self.report.is_complete = True

    def _expand(self, state: int, waiting: deque[bytes]) -> None:
        kept = waiting.popleft()
        world = again(kept)
        actions = world.actions()
        free = 0
        for left, action in enumerate(actions, 1 - len(actions)):
            # The last one may have the world we looked at.
            following = again(kept) if left else world
            reached = self._do(following, state, action)
            if reached == len(self._came_by):
                self._came_from.append(state)
                self._came_by.append(action)
                self._depths.append(self._depths[state] + 1)
                waiting.append(keep(following))
                self.report.depth = self._depths[-1]
            if not is_fault(action) and reached != state:
                free += 1
                self._next.append(reached)
        self._ends.append(len(self._next))
        self.report.transitions += len(actions)
        self.report.states = len(self._known)
        if not free:
            self.report.ends += 1
            if not again(kept).is_settled():
                self.report.story = self._story(state)
                raise BrokenPromise("P4", "nothing can happen any more, and not all is settled")

    def _do(self, world: World, state: int, action: str) -> int:
        try:
            world.do(action)
        except Exception as error:
            self.report.story = (*self._story(state), action)
            if isinstance(error, BrokenPromise):
                raise
            raise BrokenPromise("I21", f"{type(error).__name__}: {error}") from error
        return self._known.setdefault(world.key(), len(self._known))

    def _find_circle(self) -> None:
        """Take away, again and again, states that nothing leads to: circles are what stays."""
        ends = self._ends
        led_to = array("l", [0]) * len(ends)
        for following in self._next:
            led_to[following] += 1
        free = [state for state, many in enumerate(led_to) if not many]
        for state in free:
            for at in range(ends[state - 1] if state else 0, ends[state]):
                following = self._next[at]
                led_to[following] -= 1
                if not led_to[following]:
                    free.append(following)
        if len(free) < len(ends):
            circle = next(state for state, many in enumerate(led_to) if many)
            self.report.story = self._story(circle)
            self.report.fault = "P4: what can go on for ever without a fault can be reached"

    def _story(self, state: int) -> tuple[str, ...]:
        actions: list[str] = []
        while state:
            actions.append(self._came_by[state])
            state = self._came_from[state]
        return tuple(reversed(actions))
