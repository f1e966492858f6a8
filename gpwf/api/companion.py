"""A process beside the driver of a large run, which follows the journal.

It makes the readable names of products and the provenance record: both are folds over the journal.
Looking up thousands of stored results, naming and recording them then takes two processors instead
of one. It ends with the driver, however that ends, and what it could not do the driver does.

The driver asks on its standard input, it answers on its standard output.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
from pathlib import Path

from gpwf.api.run_texts import texts_and_digests
from gpwf.api.runs import Run
from gpwf.core.plan import Plan, TaskAlias
from gpwf.core.runs import AttemptFinished, RunEvent, TaskCached, TaskState
from gpwf.errors import GpwfError
from gpwf.prov.stream import RecordWriter
from gpwf.run.journal import JournalTail
from gpwf.run.showing import ProductLinks
from gpwf.store.objects import ObjectStore

__all__ = ["Companion", "JournalLinks"]

_LOOK_EVERY_S = 0.05
_FOLLOW, _NAME, _RECORD = b"follow\n", b"name\n", b"record\n"
_DONE, _NOT_DONE = b"done\n", b"not done\n"
_LONGEST = 1 << 16


class Companion:
    """The driver's side.

    Parameters
    ----------
    run_dir : Path
        Of the run; there may be nothing in it yet.
    store : Path
        Folder of the store.
    """

    def __init__(self, run_dir: Path, store: Path) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(
                # -P: what lies in the current folder is not imported
                [sys.executable, "-P", "-m", __name__, str(run_dir), str(store)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the driver, whose end is recorded
            )

    def follow(self) -> None:
        """Let it begin: plan and journal are there now."""
        self._tell(_FOLLOW)

    def has_named(self) -> bool:
        """Wait until the products of all events so far have their names; False where not."""
        return self._ask(_NAME)

    def has_recorded(self) -> bool:
        """Let the record of the events so far be written; False where it was not."""
        return self._ask(_RECORD)

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()  # what is to stay was waited for
            process.communicate()

    def _ask(self, order: bytes) -> bool:
        if self._process is None or not self._tell(order):
            return False
        answer = self._process.stdout
        assert answer is not None
        try:
            return answer.readline() == _DONE
        except OSError:
            return False

    def _tell(self, order: bytes) -> bool:
        if self._process is None:
            return False
        stream = self._process.stdin
        assert stream is not None
        try:
            stream.write(order)
            stream.flush()
        except OSError:  # it has gone
            return False
        return True


class JournalLinks:
    """Gives products readable names as the journal tells of them.

    Parameters
    ----------
    plan : Plan
        The plan of the run.
    links : ProductLinks
        Makes the names.
    """

    def __init__(self, plan: Plan, links: ProductLinks) -> None:
        self._plan = plan
        self._links = links
        self._aliases: dict[str, list[TaskAlias]] = {}
        for alias in plan.aliases:
            self._aliases.setdefault(alias.task, []).append(alias)

    def show(self, event: RunEvent) -> None:
        """Name the products of an event, where it has some that are results.

        Raises
        ------
        OSError
            Where that is impossible.
        """
        if isinstance(event, TaskCached) or (
            isinstance(event, AttemptFinished) and event.state is TaskState.OK
        ):
            task = self._plan.task(event.task)
            for name in (task, *self._aliases.get(task.id, ())):
                self._links.show(name, event.products)


def _follow(run: Run, store: Path) -> None:
    """Do what is asked for until the driver goes away."""
    order = sys.stdin.fileno()
    links = JournalLinks(run.plan, ProductLinks(run.path / "products", ObjectStore(store)))
    all_named = True
    with (
        JournalTail(run.path / "journal.jsonl") as tail,
        RecordWriter(run.provenance, run.plan) as writer,
    ):
        while True:
            is_told = bool(select.select([order], [], [], 0.0)[0])
            told = os.read(order, _LONGEST) if is_told else b""
            if is_told and not told:
                return
            count = 0
            for event in tail.read():
                count += 1
                writer.apply(event)
                try:
                    links.show(event)
                except OSError:
                    all_named = False
            if told == _RECORD:
                writer.finish(**texts_and_digests(run))
                _answer(_DONE)
            elif told:
                _answer(_DONE if all_named else _NOT_DONE)
            elif count == 0:
                select.select([order], [], [], _LOOK_EVERY_S)


def _answer(line: bytes) -> None:
    os.write(sys.stdout.fileno(), line)


if __name__ == "__main__" and os.read(sys.stdin.fileno(), len(_FOLLOW)) == _FOLLOW:
    with contextlib.suppress(GpwfError, OSError):  # the driver notices, and does it itself
        _follow(Run(Path(sys.argv[1])), Path(sys.argv[2]))
