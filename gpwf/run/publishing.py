"""What tasks made goes into the store, those that are ready at a time together.

Publishing waits for the disk, several times per task. A thread of its own does it, so that the
next task computes meanwhile; what became ready while one group was published is the next group.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType

from gpwf.core.runs import TaskState
from gpwf.run.executors.base import Outcome
from gpwf.run.failures import failure_of
from gpwf.store.commit import Committer, Draft

__all__ = ["Computed", "Publisher"]

_MOST_WAITING = 64  # tasks; a disk that cannot follow makes the worker wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """The end of the computing part of a task.

    Parameters
    ----------
    outcome : Outcome
        How the attempt ended, once its drafts are published.
    drafts : tuple of Draft
        Products, then the result that names them; nothing where the task failed.
    """

    outcome: Outcome
    drafts: tuple[Draft, ...] = field(default=())


class Publisher:
    """Publishes what tasks made and tells the outcomes; usable as a context manager.

    Parameters
    ----------
    tell : callable
        Takes an outcome when everything of it is in the store for good.
    give_up : callable
        Called with an exit code where an outcome cannot be told: ends the process, so that the
        driver takes its tasks for lost.
    """

    def __init__(
        self, tell: Callable[[Outcome], None], give_up: Callable[[int], object] = os._exit
    ) -> None:
        self._tell = tell
        self._give_up = give_up
        self._committer = Committer()
        self._waiting: list[Computed] = []
        self._busy = False
        self._closed = False
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None

    def submit(self, item: Computed) -> None:
        """Publish a computed task soon; waits where too many wait already."""
        with self._change:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="gpwf-publish", daemon=True)
                self._thread.start()
            self._change.wait_for(lambda: len(self._waiting) < _MOST_WAITING)
            self._waiting.append(item)
            self._change.notify_all()

    def cpu_s(self) -> float:
        """Return the processor time that publishing has taken."""
        thread = self._thread
        if thread is None or thread.ident is None or not hasattr(time, "pthread_getcpuclockid"):
            return 0.0
        return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))

    def drain(self) -> None:
        """Wait until everything is published and told."""
        with self._change:
            self._change.wait_for(lambda: not self._waiting and not self._busy)

    def close(self) -> None:
        """Publish what waits, then end the thread."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        if self._thread is not None:
            self._thread.join()
        self._committer.close()

    def __enter__(self) -> Publisher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _work(self) -> None:
        done = False
        try:
            while group := self._next_group():
                publish(group, self._committer, self._tell)
                with self._change:
                    self._busy = False
                    self._change.notify_all()
            done = True
        except (BrokenPipeError, ConnectionResetError):
            pass  # the driver is gone, and so is this process soon
        finally:
            if not done:  # nobody would publish any more, and the worker would wait for ever
                self._give_up(1)

    def _next_group(self) -> list[Computed]:
        """Return what waits, when there is something; nothing at the end."""
        with self._change:
            self._change.wait_for(lambda: self._waiting or self._closed)
            group, self._waiting = self._waiting, []
            self._busy = bool(group)
            self._change.notify_all()
            return group


def publish(
    group: Sequence[Computed], committer: Committer, tell: Callable[[Outcome], None]
) -> None:
    """Publish computed tasks together and tell their outcomes.

    Where that fails each is tried alone, so that one harms no other.

    Parameters
    ----------
    group : sequence of Computed
        In the order in which they were computed.
    committer : Committer
        Of this thread.
    tell : callable
        Takes each outcome.
    """
    try:
        committer.commit([draft for item in group for draft in item.drafts])
    except OSError as error:
        if len(group) > 1:
            for item in group:
                publish([item], committer, tell)
            return
        (item,) = group
        for draft in item.drafts:
            with contextlib.suppress(OSError):
                draft.discard()
        tell(_failed(item.outcome, error))
        return
    for item in group:
        tell(item.outcome)


def _failed(outcome: Outcome, error: OSError) -> Outcome:
    return Outcome(
        attempt_id=outcome.attempt_id,
        state=TaskState.FAILED,
        started=outcome.started,
        ended=outcome.ended,
        failure=failure_of(error),
        resources=outcome.resources,
    )
