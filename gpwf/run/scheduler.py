"""Which task goes next: a pure state machine without clock, thread or console.

The engine takes ready tasks out and puts ends in; everything here is names and states, so it is
tested with strings.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from gpwf.core.runs import TaskState
from gpwf.run.decisions import Decision, NotRun

__all__ = ["Decision", "NotRun", "Scheduler"]

#: How often a task whose worker died is given to another; the step is not to blame.
LOST_BUDGET = 2


@dataclass(slots=True)
class _Node:
    state: TaskState = TaskState.WAITING
    waits_for: set[str] | frozenset[str] = frozenset()  # of a million nodes most wait for nothing
    dependants: Sequence[str] = ()
    rank: tuple[int, int] = (0, 0)
    retries: int = 0
    lost: int = LOST_BUDGET
    heals: int = LOST_BUDGET
    slots: int = 1
    memory: int = 0
    failures: int = 0
    lent: int = 0
    held: bool = False


class Scheduler:
    """Ready set in, done set out.

    Parameters
    ----------
    upstream : mapping of str to sequence of str
        For every task the tasks that must end before it; in topological order. Names that are
        not keys are taken as done.
    capacity : int
        Slots; the tasks in flight never need more together, except a single one that alone
        needs more than there are.
    slots : mapping of str to int, optional
        Slots that a task needs, 1 by default.
    memory : mapping of str to int, optional
        Bytes that a task may hold, where it says so.
    memory_capacity : int, optional
        Bytes that the tasks in flight may hold together, except a single one that alone may hold
        more. No limit by default.
    retries : mapping of str to int, optional
        How often a task that fails for a passing reason is tried again, 0 by default.
    soft : mapping of str to collection of str, optional
        For every task those of its upstream tasks that it can do without: a task that gathers
        takes what is there.
    tolerant : collection of str, optional
        Tasks whose failure is no failure of the run; those that gather go on without them.
    fail_fast : bool
        Start nothing more after the first failure; what runs may end.

    Attributes
    ----------
    ahead : int
        How many tasks that need one slot may be taken beyond the capacity: they wait where they
        will run.
    """

    def __init__(
        self,
        upstream: Mapping[str, Sequence[str]],
        *,
        capacity: int = 1,
        slots: Mapping[str, int] | None = None,
        memory: Mapping[str, int] | None = None,
        memory_capacity: int | None = None,
        retries: Mapping[str, int] | None = None,
        soft: Mapping[str, Collection[str]] | None = None,
        tolerant: Collection[str] = (),
        fail_fast: bool = False,
    ) -> None:
        self._soft = soft or {}
        self._tolerant = frozenset(tolerant)
        self._capacity = max(1, capacity)
        self._used = 0
        self._memory_left = memory_capacity
        self._n_with_memory = 0
        self.ahead = 0
        self._open = len(upstream)
        self._fail_fast = fail_fast
        self._stopped = ""
        self._order = {task: number for number, task in enumerate(upstream)}
        self._nodes = {
            task: _Node(
                retries=(retries or {}).get(task, 0),
                slots=min(max(1, (slots or {}).get(task, 1)), self._capacity),
                memory=(memory or {}).get(task, 0),
            )
            for task in upstream
        }
        below: dict[str, list[str]] = {}
        for task, above in upstream.items():
            waits_for = {name for name in above if name in self._nodes}
            if waits_for:
                self._nodes[task].waits_for = waits_for
                for name in waits_for:
                    below.setdefault(name, []).append(task)
        for name, tasks in below.items():
            self._nodes[name].dependants = tasks
        self._rank()
        self._ready = [
            (node.rank, task) for task, node in self._nodes.items() if not node.waits_for
        ]
        heapq.heapify(self._ready)

    @property
    def is_finished(self) -> bool:
        """True where every task has come to an end."""
        return self._open == 0

    @property
    def running(self) -> tuple[str, ...]:
        """Tasks that were taken and have not ended, in the order of the plan."""
        return tuple(task for task, node in self._nodes.items() if node.state is TaskState.RUNNING)

    def state(self, task: str) -> TaskState:
        """Return how a task stands."""
        return self._nodes[task].state

    def take(self) -> str | None:
        """Return the next task to start, the one with the longest way below it first.

        None where nothing is ready or the slots are full. A large task that does not fit yet is
        waited for, so that small ones cannot starve it.
        """
        while self._ready and self._nodes[self._ready[0][1]].waits_for:
            heapq.heappop(self._ready)  # an input is made again: it comes back when that ends
        if not self._ready or self._stopped:
            return None
        task = self._ready[0][1]
        node = self._nodes[task]
        capacity = self._capacity + (self.ahead if node.slots == 1 else 0)
        if self._used + node.slots > capacity or not self._has_memory(node):
            return None
        heapq.heappop(self._ready)
        node.state = TaskState.RUNNING
        self._used += node.slots
        self._count_memory(node, 1)
        return task

    def put_back(self, task: str) -> None:
        """Make a taken task ready again, without an attempt having been made."""
        node = self._release(task)
        node.state = TaskState.WAITING
        heapq.heappush(self._ready, (node.rank, task))

    def resume(self, task: str) -> None:
        """Make a task ready that failed for a passing reason and has waited; see `Decision`."""
        node = self._nodes[task]
        if node.state is TaskState.WAITING:
            heapq.heappush(self._ready, (node.rank, task))

    def hold(self, task: str) -> None:
        """Free the slots of a taken task that waits for something else; see `put_back`."""
        node = self._nodes[task]
        if not node.held:
            node.held = True
            self._used -= node.slots + node.lent
            node.lent = 0
            self._count_memory(node, -1)

    def lend(self, task: str, slots: int) -> int:
        """Give a taken task slots that nobody else could use now, so many at most.

        Parameters
        ----------
        task : str
            A task that runs.
        slots : int
            How many more it could use; negative to give them back.

        Returns
        -------
        int
            By how many its slots grew.
        """
        node = self._nodes[task]
        if node.state is not TaskState.RUNNING or node.held or self._stopped:
            return 0
        free = 0 if self._ready else max(0, self._capacity - self._used)
        change = max(min(slots, free), -node.lent)
        node.lent += change
        self._used += change
        return change

    def reopen(self, task: str, makers: Sequence[str]) -> bool:
        """Make inputs of a taken task again: their bytes were found damaged.

        Parameters
        ----------
        task : str
            The task that found the damage; it becomes ready when the makers have ended.
        makers : sequence of str
            The tasks that made the inputs.

        Returns
        -------
        bool
            False where this happened too often or the run was stopped: the task is still taken.
        """
        node = self._nodes[task]
        if self._stopped or node.heals == 0:
            return False
        node.heals -= 1
        self._release(task)
        node.state = TaskState.WAITING
        for name in makers:
            maker = self._nodes[name]
            if maker.state.is_final:
                maker.state = TaskState.WAITING
                self._open += 1
                heapq.heappush(self._ready, (maker.rank, name))
            for below in maker.dependants:
                self._nodes[below].waits_for = {*self._nodes[below].waits_for, name}
        return True

    def finish(self, task: str, state: TaskState, *, transient: bool = False) -> Decision:
        """Take in the end of an attempt.

        Parameters
        ----------
        task : str
            A task that was taken.
        state : TaskState
            How the attempt ended; ``skipped`` where the step had no data.
        transient : bool
            True where the step calls its failure passing.
        """
        node = self._release(task)
        if self._may_retry(node, state, transient=transient):
            node.state = TaskState.WAITING
            if state is TaskState.LOST:
                heapq.heappush(self._ready, (node.rank, task))
                return Decision(retry=True)
            node.failures += 1
            return Decision(retry=True, failures=node.failures)
        node.state = state
        self._open -= 1
        if state.has_products:
            for name in node.dependants:
                self._release_from(name, task)
            return Decision()
        return Decision(not_run=self._drop_below(task, state) + self._after_failure(task, state))

    def stop(self, reason: str) -> tuple[NotRun, ...]:
        """Start nothing more; every waiting task is cancelled with this reason."""
        self._stopped = self._stopped or reason
        self._ready.clear()
        waiting = [task for task, node in self._nodes.items() if node.state is TaskState.WAITING]
        return self._drop(waiting, TaskState.CANCELLED, reason)

    def _may_retry(self, node: _Node, state: TaskState, *, transient: bool) -> bool:
        if self._stopped:
            return False
        if state is TaskState.LOST and node.lost > 0:
            node.lost -= 1
            return True
        if state is TaskState.FAILED and transient and node.retries > 0:
            node.retries -= 1
            return True
        return False

    def _release(self, task: str) -> _Node:
        node = self._nodes[task]
        if node.state is not TaskState.RUNNING:
            raise ValueError(f"task {task} is {node.state}, not running")
        if not node.held:
            self._used -= node.slots + node.lent
            self._count_memory(node, -1)
        node.lent = 0
        node.held = False
        return node

    def _has_memory(self, node: _Node) -> bool:
        if self._memory_left is None or not node.memory or not self._n_with_memory:
            return True
        return node.memory <= self._memory_left

    def _count_memory(self, node: _Node, change: int) -> None:
        if node.memory and self._memory_left is not None:
            self._memory_left -= change * node.memory
            self._n_with_memory += change

    def _after_failure(self, task: str, state: TaskState) -> tuple[NotRun, ...]:
        passed_over = state in (TaskState.SKIPPED, TaskState.CANCELLED) or self.tolerates(task)
        if self._fail_fast and not passed_over:
            return self.stop(f"{task} {state} and fail-fast is on")
        return ()

    def tolerates(self, task: str) -> bool:
        """Return True where the failure of a task is no failure of the run."""
        return task in self._tolerant

    def _drop_below(self, task: str, state: TaskState) -> tuple[NotRun, ...]:
        """End everything below a task that has no products.

        Where a task is merely absent (no data, or a failure that is tolerated), those that gather
        from it, or from what ends with it, go on without.
        """
        is_failure = state not in (TaskState.SKIPPED, TaskState.CANCELLED)
        tolerated = is_failure and self.tolerates(task)
        absent = state is TaskState.SKIPPED or tolerated
        seen: dict[str, None] = {}
        stack = [task]
        while stack:
            gone = stack.pop()
            for name in self._nodes[gone].dependants:
                if name in seen or self._nodes[name].state is not TaskState.WAITING:
                    continue
                if absent and gone in self._soft.get(name, ()):
                    self._release_from(name, gone)
                else:
                    seen[name] = None
                    stack.append(name)
        if state is TaskState.SKIPPED:
            return self._drop(seen, TaskState.SKIPPED, f"{task} had no data")
        if state is TaskState.CANCELLED:
            return self._drop(seen, TaskState.CANCELLED, f"{task} was cancelled")
        reason = f"{task} {_PAST.get(state, state.value)}"
        return self._drop(seen, TaskState.BLOCKED, reason, tolerated=tolerated)

    def _release_from(self, name: str, above: str) -> None:
        """Let a task no longer wait for another."""
        below = self._nodes[name]
        if isinstance(below.waits_for, set):
            below.waits_for.discard(above)
        if not below.waits_for and below.state is TaskState.WAITING:
            heapq.heappush(self._ready, (below.rank, name))

    def _drop(
        self,
        tasks: Sequence[str] | Mapping[str, None],
        state: TaskState,
        reason: str,
        *,
        tolerated: bool = False,
    ) -> tuple[NotRun, ...]:
        ordered = sorted(tasks, key=self._order.__getitem__)
        for task in ordered:
            self._nodes[task].state = state
        self._open -= len(ordered)
        return tuple(
            NotRun(task=task, state=state, reason=reason, tolerated=tolerated) for task in ordered
        )

    def _rank(self) -> None:
        """Rank tasks by the longest way below them, then by the order of the plan."""
        depth: dict[str, int] = {}
        for task in reversed(self._nodes):
            below = self._nodes[task].dependants
            depth[task] = 1 + max((depth[name] for name in below), default=0)
            self._nodes[task].rank = (-depth[task], self._order[task])


_PAST = {
    TaskState.LOST: "lost its worker",
    TaskState.TIMEOUT: "took too long",
    TaskState.OOM: "needed too much memory",
}
