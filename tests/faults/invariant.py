"""What must hold after any fault, checked in one place.

Running again until a run ends well gives the products of a run from scratch in a fresh store; what
the journal called finished has not run again; no process and no draft is left.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from fakecatalog import plan, task
from harness import is_alive, lines, run, wait_for

from gpwf.core.digests import digest_bytes, digest_file
from gpwf.core.plan import Plan
from gpwf.core.runs import AttemptFinished, RunState, TaskState
from gpwf.core.view import RunView
from gpwf.errors import RunError
from gpwf.run.journal import scan_journal

MARK = "FAULTS_MARK"
_STORE_DRAFT = re.compile(r"\.[0-9a-f]{64}\.[0-9a-f]{12}\.part")
_DRAFT = re.compile(r"\..*([0-9a-f]{8}|\.part)")

Maker = Callable[[Path], Plan]


def small(counter: Path) -> Plan:
    """Return two tasks, one below the other."""
    note = {"do": "note", "file": str(counter), "times": 0.0}
    return plan(task("a", **note), task("b", "a", **note))


def diamond(counter: Path, *, times: float = 0.0) -> Plan:
    """Return six tasks: some wait for others, some do not."""
    note = {"do": "note", "file": str(counter), "times": times}
    return plan(
        task("a", **note),
        task("b", "a", **note),
        task("c", "a", **note),
        task("d", "b", "c", **note),
        task("e", **note),
        task("f", "e", "d", **note),
    )


@cache
def from_scratch(make: Maker) -> Mapping[str, str]:
    """Return the digests of the products of a run that nothing disturbs, in a fresh store."""
    with TemporaryDirectory(prefix="scratch-") as folder:
        view = run(make(Path(folder) / "count"), Path(folder))
        assert view.state is RunState.OK
        return digests(view)


def digests(view: RunView) -> dict[str, str]:
    """Return the digests of all products by ``task.port``."""
    return {
        f"{name}.{port}": product.digest
        for name, item in view.tasks.items()
        for port, product in item.products.items()
    }


@dataclass
class Scene:
    """A plan in a folder of its own, run again and again.

    ``make`` makes the plan of the file to which every task appends its name when it runs.
    """

    folder: Path
    make: Maker = diamond
    may_run_again: set[str] = field(default_factory=set)

    @property
    def counter(self) -> Path:
        return self.folder / "count"

    @property
    def plan(self) -> Plan:
        return self.make(self.counter)

    def counts(self) -> Counter[str]:
        """Return how often each task began to work."""
        return Counter(lines(self.counter))

    def finished(self) -> set[str]:
        """Return the tasks that a journal calls done."""
        return {
            event.task
            for path in self.folder.glob("*/journal.jsonl")
            for event in scan_journal(path).events
            if isinstance(event, AttemptFinished) and event.state is TaskState.OK
        }

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Hold that nothing that was finished before runs again inside the block."""
        done, before = self.finished() - self.may_run_again, self.counts()
        yield
        after = self.counts()
        again = {name for name in done if after[name] != before[name]}
        assert not again, f"finished, and ran again: {sorted(again)}"

    def go_on(self, name: str = "run", *, most: int = 3) -> RunView:
        """Run again until a run ends well, `most` times; check everything then."""
        for _ in range(most):
            with self.watched():
                view = run(self.plan, self.folder, name=name)
            if view.state is RunState.OK:
                self.check(view, self.folder / name)
                return view
        reasons = {key: item.reason for key, item in view.tasks.items() if item.reason}
        raise AssertionError(f"does not end well: {view.state}, {view.reason}, {reasons}")

    def check(self, view: RunView, rundir: Path) -> None:
        """Check what must hold after a run that ended well."""
        assert digests(view) == from_scratch(self.make)
        check_shown(view, rundir)
        check_journal(rundir / "journal.jsonl")
        check_nothing_left(self.folder, rundir)


def check_shown(view: RunView, rundir: Path) -> None:
    """Check that what a person finds under the readable names is whole."""
    for name, item in view.tasks.items():
        for port, product in item.products.items():
            for file in product.files:
                shown = rundir / "products" / name / port / file.name
                assert digest_file(shown) == file.digest, f"{shown} is damaged"


def check_journal(path: Path) -> None:
    """Check that a journal is whole, and calls nothing finished twice within one run."""
    scan = scan_journal(path)
    assert not scan.is_torn


def check_nothing_left(folder: Path, rundir: Path) -> None:
    """Check that no draft, no private folder of an attempt and no process stays behind."""
    left = [*(rundir / "work").rglob("*"), *folder.glob("store/tmp/*")]
    left += [path for path in rundir.rglob(".*") if _DRAFT.fullmatch(path.name)]
    assert not left, f"left behind: {[str(path.relative_to(folder)) for path in left]}"
    wait_for(lambda: not survivors(), "the end of every process of the run", 10.0)


def survivors(folder: Path | None = None) -> list[int]:
    """Return the processes that were started by this test and live.

    They carry a mark in their environment; commands, which have another one, are told by a folder
    that they name or work in.
    """
    mark = f"{MARK}={os.environ[MARK]}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            marked = mark in (entry / "environ").read_bytes().split(b"\0")
            if not marked and folder is not None:
                marked = str(folder).encode() in (entry / "cmdline").read_bytes() or str(
                    folder
                ) in str((entry / "cwd").readlink())
        except OSError:  # it has ended, or belongs to somebody else
            continue
        if marked and is_alive(int(entry.name)):
            found.append(int(entry.name))
    return found


def check_whole(store: Path) -> None:
    """Check that every object of a store is what its name says.

    A worker that is killed in the middle of a copy leaves a draft, which has no object's name;
    `gpwf gc` removes it when it is an hour old.
    """
    for path in store.glob("objects/*/*"):
        if _STORE_DRAFT.fullmatch(path.name):
            continue
        assert digest_bytes(path.read_bytes()) == path.name, f"{path} is damaged"


def readable(path: Path) -> bool:
    """Return True where a journal can be read."""
    try:
        return bool(scan_journal(path).events)
    except RunError:
        return False
