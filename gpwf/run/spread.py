"""One task on several cores: a function over items, in children of the worker.

A step calls `gpwf.steps.base.StepContext.map`; the worker gives it a `Spread`. Cores that no other
task uses are lent by the driver while the task runs. For every call the worker forks children,
which have its memory without a copy; they take items one after another, and it sends on what they
say and joins what they return, in the order of the items. Without a further core it does the items
itself.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import wait
from typing import Any

from gpwf.errors import GpwfError, StepError
from gpwf.run.portable import receive, restored_error
from gpwf.run.spread_child import Child, Seeds, Work, hear_log, hear_warning, start_child

__all__ = ["ChildLostError", "Spread"]

log = logging.getLogger(__name__)

# between two questions for further cores, where something happens, and where nothing does
_ASK_EVERY_S = 0.05
_ASK_AGAIN_S = 0.5
# items that take less are handed out several at a time, worth about so much
_CHUNK_S = 0.02
# results that wait for their turn, per child, where the caller wants one after the other
_AHEAD = 4


class ChildLostError(GpwfError):
    """A child of the worker died: not the step's fault, the task is lost.

    Parameters
    ----------
    message : str
        What happened.
    signal : int or None
        Signal that ended it.
    code : int or None
        Exit code, where it ended by itself.
    """

    def __init__(self, message: str, *, signal: int | None = None, code: int | None = None) -> None:
        super().__init__(
            message,
            hint="out of memory? lower the number of workers with -j" if signal == 9 else None,
        )
        self.signal = signal
        self.code = code


class Spread:
    """Does a function over items with the cores that there are.

    Parameters
    ----------
    acquire : callable
        ``acquire(n)`` asks for up to n further cores and returns at once how many there are.
    release : callable
        ``release(n)`` gives n of them back.
    say : callable
        Takes records for the driver; see `say`.
    cores : int
        Cores that the task has of its own.
    prepare : callable, optional
        Called before children are forked: no other thread of this process may be at work then, it
        could hold a lock that nobody gives back in the child.
    """

    def __init__(
        self,
        acquire: Callable[[int], int],
        release: Callable[[int], None],
        say: Callable[[Mapping[str, Any]], None],
        *,
        cores: int = 1,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self._prepare = prepare
        self._acquire = acquire
        self._release = release
        self._say = say
        self._cores = max(1, cores)
        self._calls: list[_Call] = []
        self._pid = os.getpid()

    def __call__(
        self,
        function: Callable[[Any], Any],
        items: Sequence[Any],
        tell: Callable[[int], None],
        bounded: bool = False,
    ) -> Iterator[Any]:
        """Yield the results of a function, in the order of the items.

        Parameters
        ----------
        function : callable
            Takes an item. It may use everything around it, but what it changes there stays in the
            process that worked on the item: only its result comes back.
        items : sequence
            Any objects; they are not pickled.
        tell : callable
            ``tell(done)`` takes how many items are finished.
        bounded : bool
            Do not work far ahead of what the caller has taken: for large results that it wants one
            after the other.

        Raises
        ------
        ChildLostError
            Where a child died.
        StepError
            Where a result cannot be pickled.
        Exception
            What the function raised for the first item, in order, for which it raised something.
        """
        call = _Call(self, function, items, tell, bounded)
        self._calls.append(call)
        try:
            yield from call.results()
        finally:
            call.close()
            if call in self._calls:
                self._calls.remove(call)

    @property
    def cores(self) -> int:
        """Cores that the task has of its own."""
        return self._cores

    def say(self, record: Mapping[str, Any]) -> None:
        """Send a record to the driver; from a child through its parent, which alone has the line.

        A process that the step itself forked says nothing.
        """
        if os.getpid() == self._pid:
            self._say(record)

    def prepare(self) -> None:
        """Have everything else in this process come to rest."""
        if self._prepare is not None:
            self._prepare()

    def acquire(self, n: int) -> int:
        """Ask for up to n further cores; children get none."""
        return self._acquire(n) if os.getpid() == self._pid else 0

    def release(self, n: int) -> None:
        """Give back cores."""
        if os.getpid() == self._pid:
            self._release(n)

    def enter_child(self, say: Callable[[Mapping[str, Any]], None]) -> None:
        """Be the copy in a child: no cores to ask for, and records go to the parent."""
        self._pid = os.getpid()
        self._acquire = lambda _: 0
        self._release = lambda _: None
        self._say = say
        self._prepare = None
        self._cores = 1
        self._calls = []

    def close(self) -> None:
        """End what is left of calls that nobody finished; give back every core."""
        while self._calls:
            self._calls.pop().close()


class _Call:
    """One function over items; see `Spread.__call__` for the parameters."""

    def __init__(
        self,
        spread: Spread,
        function: Callable[[Any], Any],
        items: Sequence[Any],
        tell: Callable[[int], None],
        bounded: bool,
    ) -> None:
        self._spread = spread
        self._tell = tell
        self._bounded = bounded
        self._seeds = Seeds()
        self._work = Work(
            function=function, items=items, seed=self._seeds, enter=spread.enter_child
        )
        self._pid = os.getpid()
        self._children: list[Child] = []
        self._granted = 0
        self._ask_at_s = 0.0
        self._next = 0  # result that the caller wants
        self._handed = 0  # items before this one were given to somebody
        self._end = len(items)  # no item from here on is worked on: the one here has failed
        self._error: BaseException | None = None
        self._found: dict[int, Any] = {}
        self._finished = 0
        self._used_s = 0.0

    def results(self) -> Iterator[Any]:
        """Yield the results in order; raise the first error in its place."""
        while self._next < self._end:
            if self._next in self._found:
                if self._children:
                    self._hear(0.0)  # nobody idles while the caller has the result
                self._next += 1
                yield self._found.pop(self._next - 1)
                continue
            self._ask()
            if self._children:
                self._hear(_ASK_AGAIN_S)
            else:
                yield self._alone()
        self._seeds(len(self._work.items))  # afterwards random numbers do not depend on who worked
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Leave no child and no core behind."""
        if os.getpid() != self._pid:
            return
        for child in self._children:
            child.end()
        self._children = []
        self._give_back()

    def _alone(self) -> Any:
        """Return the next result, made here."""
        index, start_s = self._next, time.monotonic()
        self._seeds(index)
        value = self._work.function(self._work.items[index])
        self._used_s += time.monotonic() - start_s
        self._next = self._handed = index + 1
        self._count()
        return value

    def _count(self) -> None:
        self._finished += 1
        self._tell(self._finished)

    def _ask(self) -> None:
        """Start as many children as there are cores and items for."""
        waiting = self._end - self._handed
        now_s = time.monotonic()
        if waiting <= 0 or now_s < self._ask_at_s:
            return
        self._ask_at_s = now_s + _ASK_EVERY_S
        own = 0 if self._children else min(self._spread.cores, waiting)
        if waiting > own:
            granted = self._spread.acquire(waiting - own)
            self._granted += granted
            own += granted
        if own > 1 or self._children:
            self._start(own)

    def _start(self, number: int) -> None:
        """Start children; where the machine allows no more, go on with those that there are."""
        self._spread.prepare()
        for _ in range(number):
            try:
                child = start_child(self._work)
            except OSError as error:
                log.warning("no further process for this task: %s", error)
                self._ask_at_s = float("inf")
                self._give_back()
                return
            self._children.append(child)
            self._hand(child)

    def _give_back(self) -> None:
        """Give back the cores that no child needs."""
        surplus = self._granted - max(0, len(self._children) - self._spread.cores)
        if surplus > 0:
            self._granted -= surplus
            self._spread.release(surplus)

    def _hand(self, child: Child) -> None:
        """Give a child its next items; end it where there are none for anybody."""
        waiting = self._end - self._handed
        if waiting <= 0:
            self._children.remove(child)
            child.end()
            self._give_back()
            return
        size = max(1, min(self._chunk(), waiting // (2 * len(self._children))))
        if self._bounded:
            most = self._next + _AHEAD * len(self._children) * self._chunk()
            size = min(size, most - self._handed)
        if size > 0:
            child.give(range(self._handed, self._handed + size))
            self._handed += size

    def _chunk(self) -> int:
        """Return how many items are worth a message."""
        if not self._finished or not self._used_s:
            return 1
        return max(1, int(_CHUNK_S * self._finished / self._used_s))

    def _hear(self, timeout_s: float) -> None:
        """Take what children say, and give work to those that have none."""
        for child in [child for child in self._children if not child.todo]:
            self._hand(child)
        by_connection: dict[Any, Child] = {child.connection: child for child in self._children}
        for connection in wait(list(by_connection), timeout_s):
            child = by_connection[connection]
            if child in self._children:  # not ended for an error before its items
                self._take(child)
        self._ask()

    def _take(self, child: Child) -> None:
        """Take one message of a child."""
        try:
            match receive(child.connection):
                case ("done", index, used_s):
                    self._used_s += used_s
                    self._take_result(child, index)
                case ("failed", index, error):
                    child.todo = []
                    self._fail(index, restored_error(error))
                case ("log", record, error):
                    hear_log(record, error)
                case ("warning", warning, filename, lineno):
                    hear_warning(warning, filename, lineno)
                case ("say", record):
                    self._say(record)
        except EOFError:
            raise self._lost(child) from None
        if not child.todo and child in self._children:
            self._hand(child)

    def _take_result(self, child: Child, index: int) -> None:
        try:
            value = receive(child.connection)
        except StepError as error:
            self._fail(index, error)
            return
        child.todo.remove(index)
        if index < self._end:
            self._found[index] = value
            self._count()

    def _say(self, record: Mapping[str, Any]) -> None:
        """Pass a record on; how far an item is says nothing of all of them."""
        if record.get("event") == "task.progress":
            record = {**record, "done": self._finished, "total": len(self._work.items)}
        self._spread.say(record)

    def _fail(self, index: int, error: BaseException) -> None:
        """Keep the error of the first item; nobody needs what comes after it."""
        if index >= self._end:
            return
        self._end, self._error = index, error
        for child in list(self._children):
            if child.todo and child.todo[0] >= index:
                self._children.remove(child)
                child.end()
        self._give_back()

    def _lost(self, child: Child) -> ChildLostError:
        self._children.remove(child)
        child.connection.close()
        code = child.wait()
        if code >= 0:
            return ChildLostError(
                f"a process of the task ended by itself (exit code {code})", code=code
            )
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return ChildLostError(f"a process of the task was killed by {name}", signal=-code)
