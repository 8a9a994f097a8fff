"""The runner: plays the runtimes' shared coroutines in the threads that call, and says who drives.

Invariants:

- One lock guards all that a session or a server consists of. It is held by the thread that runs,
  and given up only in the select of the thread that drives and in the wait of those that follow.
- At most one thread drives. A call that must wait drives if nobody does, else it follows: it sleeps
  until what it waits for is there, or the one that drove has left; that one wakes one follower.
  A background thread is one that drives and doesn't leave: then no call ever does.
- What ends a wait early, the call's time being up or a `KeyboardInterrupt`, is thrown into the
  coroutine where it waits, and does there what a cancellation does on other runtimes.
- No function of the application's is called under the lock, but a recorder's; one that calls back
  is refused.
- What goes wrong in a turn of the loop, or is interrupted other than in a wait, ends the session:
  every wait from then on, and every call but those that close, raises `SessionClosed`, which says
  why. Nobody could say what state it is in.
"""

import os
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from typing import Any, TypeVar, cast

from gapless.adapters.errors import NotDriven, SessionClosed
from gapless.core.closing import Code, Ending
from gapless.core.config import check_seconds
from gapless.core.errors import InvalidState

from .driver import Driver
from .loop import Loop, Ready, Signal, Unlocked

FRESH = 0.01
"""Seconds after which a call first looks at what has come, if nobody drove since."""

Result = TypeVar("Result")


class Bell:
    """What wakes one thread. Rung under the runner's lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def ring(self) -> None:
        """Wake it. Harmless if repeated."""
        if self._lock.locked():
            self._lock.release()

    def wait(self, seconds: float | None) -> None:
        """Sleep until it rings, or so many seconds."""
        self._lock.acquire(timeout=-1 if seconds is None else seconds)


class Runner:
    """Runs the calls of one session or server.

    Attributes:
        lock: held by the thread that runs.
        loop: what is driven.
        followers: the threads that wait for the one that drives.
    """

    driver: Driver[Any]

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.loop = Loop(self.lock)
        self._heartbeat = 0.0
        self.followers: dict[Bell, None] = {}
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._callers: set[int] = set()
        self._has_told = False
        self._is_over = False
        self._process = os.getpid()

    def run(
        self,
        work: Coroutine[Any, Any, Result],
        timeout: float | None = None,
        *,
        is_last: bool = False,
    ) -> Result:
        """Play a coroutine to its end.

        Args:
            work: awaits nothing but signals.
            timeout: seconds it may take; 0: what doesn't have to wait; None: as long as it takes.
            is_last: it ends something, and does so whatever was before.

        Raises:
            TimeoutError: the time is up.
            NotDriven: nobody drove for longer than a heartbeat; nothing was done. Told once.
            SessionClosed: the session has failed.
        """
        try:
            me = self._refuse_nested()
            if timeout is not None:
                check_seconds("timeout", timeout)
        except BaseException:
            work.close()
            raise
        try:
            self._callers.add(me)
            with self.lock:
                try:
                    self._enter(timeout, is_last)
                    until = None if timeout is None else self.loop.now() + timeout
                    return self._play(work, timeout, until)
                finally:
                    self._guard(self._leave)
        finally:
            self._callers.discard(me)
            work.close()

    def ask(self, question: Callable[[], Result], *, is_last: bool = False) -> Result:
        """Call a plain function under the lock: it waits for nothing.

        Args:
            question: what is asked.
            is_last: it can be asked even of what has failed.

        Raises:
            SessionClosed: the session has failed.
        """
        me = self._refuse_nested()
        try:
            self._callers.add(me)
            with self.lock:
                try:
                    if not is_last:
                        self._check()
                    if self._failure is None and not self._is_idle_too_long():
                        self._refresh(FRESH)
                    return question()
                except BaseException as error:
                    if not isinstance(error, Exception):
                        self._fail(error)
                    raise
                finally:
                    self._guard(self._leave)
        finally:
            self._callers.discard(me)

    @contextmanager
    def running(
        self, driver: Driver[Any], heartbeat: float, *, background: bool
    ) -> Generator[None, None, None]:
        """Drive for the time of a block; behind it no thread and no descriptor is left.

        Args:
            driver: the loop's owner.
            heartbeat: seconds for which nobody need drive.
            background: whether a thread of its own drives.
        """
        self.driver = driver
        self._heartbeat = heartbeat
        try:
            if background:
                thread = threading.Thread(target=self._drive, name="gapless-driver", daemon=True)
                with self.lock:
                    thread.start()
                    self._thread = thread
            yield
        finally:
            self.end()

    @contextmanager
    def entered(
        self, context: AbstractAsyncContextManager[Result]
    ) -> Generator[Result, None, None]:
        """Enter an async context, and leave it behind the block as the block is left."""
        value = self.run(context.__aenter__())
        try:
            yield value
        except BaseException as error:
            if self._is_elsewhere():
                raise
            left = context.__aexit__(type(error), error, error.__traceback__)
            with suppress(SessionClosed):  # it failed before; the error says so, or tops it
                if self.run(left, is_last=True):
                    return
            raise
        else:
            if not self._is_elsewhere():
                self.run(context.__aexit__(None, None, None), is_last=True)

    def finish(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Play what ends the session; the background thread ends with it."""
        try:
            return self.run(work, is_last=True)
        finally:
            if self.driver.is_shut:
                self.end()

    def end(self) -> None:
        """Have nobody drive any more, and close what is open. Harmless if repeated."""
        if self._is_elsewhere():
            return
        with self.lock:
            self._is_over = True
            self.loop.nudge()
            self._wake_all()
            while self.loop.is_selecting:
                self._follow(None)
            self.loop.close()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    # a call

    def _refuse_nested(self) -> int:
        """Refuse a call by a thread that is in the middle of one: it would wait for itself.

        And one in a forked child: the sockets are the parent's too.
        """
        me = threading.get_ident()
        if me in self._callers:
            raise InvalidState(
                "a call in the middle of another one of this thread's, as from a signal handler; "
                "raise KeyboardInterrupt there, or set a flag"
            )
        if self._is_elsewhere():
            raise InvalidState("the session is another process's; make one here, behind the fork")
        return me

    def _enter(self, timeout: float | None, is_last: bool) -> None:
        """See to what has come since somebody drove."""
        if not is_last:
            self._check()
            if self._is_idle_too_long():
                self._has_told = True
                raise NotDriven(self.loop.now() - self.loop.driven, self._heartbeat)
        self._refresh(0.0 if timeout == 0 else FRESH)

    def _play(
        self, work: Coroutine[Any, Any, Result], timeout: float | None, until: float | None
    ) -> Result:
        news: BaseException | None = None
        thrown: BaseException | None = None
        while True:
            try:
                signal = work.send(None) if news is None else work.throw(news)
            except StopIteration as done:
                return cast(Result, done.value)
            except BaseException as error:
                if error is not thrown and not isinstance(error, Exception):
                    self._fail(error)
                raise
            try:
                if not self._wait(signal, until):
                    raise TimeoutError(f"not done within {timeout:g} s")
                news = None
            except BaseException as error:
                # What is cleaned up now may wait, and has its own bounds.
                news = thrown = error
                until = None

    def _leave(self) -> None:
        """Have what the call left behind seen to."""
        if not (self._is_driven() or self.loop.is_closed or self._failure is not None):
            self.loop.settle()
        self._hand_over()

    # waiting

    def _wait(self, signal: Signal, until: float | None) -> bool:
        """Wait until a signal is set; False: the time is up."""
        try:
            while not signal.is_set:
                self._check()
                if self._is_over:
                    raise SessionClosed(None)
                if until is not None and self.loop.now() >= until:
                    return False
                if self._is_driven():
                    self._follow(signal, until)
                else:
                    self._turn(until, signal)
            return True
        finally:
            self._hand_over()

    def _follow(self, signal: Signal | None, until: float | None = None) -> None:
        """Sleep until a signal is set, or nobody drives any more, or the time is up."""
        bell = Bell()
        self.followers[bell] = None
        if signal is not None:
            signal.on_set = bell.ring
        try:
            with Unlocked(self.lock):
                bell.wait(None if until is None else max(0.0, until - self.loop.now()))
        finally:
            del self.followers[bell]
            if signal is not None:
                signal.on_set = None

    def _hand_over(self) -> None:
        """Wake a follower if nobody drives."""
        if self.followers and not self._is_driven():
            next(iter(self.followers)).ring()

    def _wake_all(self) -> None:
        for bell in self.followers:
            bell.ring()

    # driving

    def _drive(self) -> None:
        """Drive until the end: what the background thread does."""
        me = threading.get_ident()
        self._callers.add(me)
        with self.lock:
            try:
                while not self._is_over and self._failure is None:
                    self._turn(None)
            except BaseException as error:
                self._fail(error)
            finally:
                self._callers.discard(me)  # a thread to come may have its number
                self._wake_all()

    def _turn(self, until: float | None, signal: Signal | None = None) -> None:
        """Drive once, until that time at most; not if the signal turns out to be set."""
        self._has_told = False
        self._guard(lambda: self.loop.prepare(until))
        if self._failure is not None or (signal is not None and signal.is_set):
            return
        if signal is not None:
            signal.on_set = self.loop.nudge  # another thread may set it meanwhile
        try:
            self._see_to(self.loop.select())
        finally:
            if signal is not None:
                signal.on_set = None

    def _see_to(self, ready: Ready) -> None:
        """See to what a select brought, unless another thread was interrupted meanwhile."""
        if self._failure is None:
            self._guard(lambda: self.loop.see_to(ready))
        else:
            self._fail(self._failure)

    def _refresh(self, age: float) -> None:
        """Look at what has come, unless somebody did so just now."""
        now = self.loop.now()
        if not self._is_driven() and not self.loop.is_closed and now - self.loop.driven >= age:
            self._turn(now)

    def _guard(self, step: Callable[[], None]) -> None:
        try:
            step()
        except BaseException as error:
            self._fail(error)
            if not isinstance(error, Exception):
                raise

    def _fail(self, error: BaseException) -> None:
        """End everything, here and now or as soon as the select is over."""
        self._failure = error
        if self.loop.is_selecting:
            self.loop.nudge()
        else:
            with suppress(Exception):
                self.loop.close()
        self._wake_all()

    def _check(self) -> None:
        if (failure := self._failure) is not None:
            words = f"driving it failed with {type(failure).__name__}: {failure}"
            raise SessionClosed(Ending(Code.INTERNAL, words)) from failure

    def _is_driven(self) -> bool:
        """Whether another thread drives."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            return not self._is_over or self.loop.is_selecting
        return self.loop.is_selecting

    def _is_elsewhere(self) -> bool:
        """Whether this is a process that was forked from the one it was made in."""
        return os.getpid() != self._process

    def _is_idle_too_long(self) -> bool:
        """Whether nobody drove for longer than a heartbeat, and nobody was told."""
        is_idle = self.loop.now() - self.loop.driven > self._heartbeat
        return is_idle and not (self._has_told or self._is_driven() or self.driver.is_shut)
