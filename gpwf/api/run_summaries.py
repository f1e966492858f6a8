"""What a list of runs says of each: read from both ends of its journal, however long that is."""

from __future__ import annotations

import contextlib
import json
import mmap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from gpwf.api.runs import Run
from gpwf.core.codec import event_from_plain
from gpwf.core.runs import RunEvent, RunFinished, RunStarted, RunState
from gpwf.core.view import RunView
from gpwf.errors import GpwfError, RunError

__all__ = ["RunSummary", "summaries", "summarise"]

_STARTED = b'"run.started"'
_TAIL = 1 << 16
_OWN_FILES = ("workflow.yaml", "plan.json", "journal.jsonl", "log.jsonl", "report.html", "prov/*")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """One run of a list.

    Parameters
    ----------
    path : Path
        The run directory.
    run_id, workflow : str
        What ran.
    state : RunState
        ``running`` while a driver works on it.
    started, ended : str
        ISO 8601 in UTC, empty where that has not come.
    n_tasks : int
        Number of tasks of its plan.
    counts : mapping of str to int
        Number of tasks by state.
    size : int
        Bytes of the plan, the journal, the log and the records; products are in the store.
    """

    path: Path
    run_id: str
    workflow: str
    state: RunState
    started: str
    ended: str
    n_tasks: int
    counts: Mapping[str, int] = field(default_factory=dict)
    size: int = 0

    def wall_s(self, now: datetime | None = None) -> float | None:
        """Return how long it took in seconds; up to now where it goes on, None where unknown."""
        if not self.started:
            return None
        if self.ended:
            end = datetime.fromisoformat(self.ended)
        elif self.state is RunState.RUNNING:
            end = now or datetime.now(UTC)
        else:
            return None
        return (end - datetime.fromisoformat(self.started)).total_seconds()

    def data(self) -> dict[str, Any]:
        """Return one item of the JSON of ``gpwf runs``; fields may be added, none renamed."""
        return {
            "run": self.run_id,
            "workflow": self.workflow,
            "state": str(self.state),
            "started": self.started or None,
            "ended": self.ended or None,
            "wall_s": self.wall_s(),
            "n_tasks": self.n_tasks,
            "counts": dict(self.counts),
            "path": str(self.path),
            "size": self.size,
        }


def summaries(
    paths: Iterable[Path],
    *,
    workflow: str | None = None,
    number: int | None = None,
    on_error: Callable[[Path, GpwfError], None],
) -> list[RunSummary]:
    """Return what a list says of runs, in their order.

    Parameters
    ----------
    paths : iterable of Path
        Run directories.
    workflow : str, optional
        Name of a workflow whose runs are wanted.
    number : int, optional
        How many are wanted, the first ones.
    on_error : callable
        Told of a run that cannot be read: one of them does not hide the others.
    """
    found: list[RunSummary] = []
    for path in paths:
        if number is not None and len(found) >= number:
            break
        try:
            item = summarise(path)
        except GpwfError as error:
            on_error(path, error)
            continue
        if workflow is None or item.workflow == workflow:
            found.append(item)
    return found


def summarise(path: Path) -> RunSummary:
    """Return what a list says of the run in a folder.

    Of a run that has ended only the first and the last line of the journal are read, without
    their checksums: a list is no proof. `Run.look` reads all.

    Raises
    ------
    RunError
        Where journal or plan cannot be read.
    """
    ends = _ends(path / "journal.jsonl")
    if ends is None:
        return _of_view(path, Run(path).view)
    started, finished = ends
    return RunSummary(
        path=path,
        run_id=started.run_id,
        workflow=started.workflow,
        state=finished.state,
        started=started.time,
        ended=finished.time,
        n_tasks=sum(finished.counts.values()),
        counts=finished.counts,
        size=_size(path),
    )


def _of_view(path: Path, view: RunView) -> RunSummary:
    return RunSummary(
        path=path,
        run_id=view.run_id,
        workflow=view.workflow,
        state=view.state,
        started=view.started,
        ended=view.ended,
        n_tasks=len(view.tasks),
        counts=view.counts(),
        size=_size(path),
    )


def _ends(path: Path) -> tuple[RunStarted, RunFinished] | None:
    """Return begin and end of the last run of a journal; None where it has no end."""
    try:
        with path.open("rb") as stream:
            last = _event(_last_line(stream))
            if not isinstance(last, RunFinished):
                return None
            stream.seek(0)
            first = _event(stream.readline())
            if not isinstance(first, RunStarted) or first.run_id != _logged_run(path):
                with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                    first = _last_start(data)
    except OSError as error:
        raise RunError(f"cannot read the journal {path}: {error.strerror or error}") from None
    return (first, last) if isinstance(first, RunStarted) and last.counts else None


def _last_line(stream: BinaryIO) -> bytes:
    """Return the last line of a file; nothing where it is not complete."""
    size = stream.seek(0, 2)
    stream.seek(max(size - _TAIL, 0))
    tail = stream.read()
    return tail[:-1].rpartition(b"\n")[2] if tail.endswith(b"\n") else b""


def _logged_run(journal: Path) -> str | None:
    """Return the id of the run that wrote the last line of the log.

    Where that is the one that began the journal, nobody used the folder again, and the journal
    need not be searched for a later start.
    """
    with contextlib.suppress(OSError, ValueError):
        with journal.with_name("log.jsonl").open("rb") as stream:
            line = json.loads(_last_line(stream))
        if isinstance(line, dict):
            return line.get("run_id")
    return None


def _last_start(data: mmap.mmap) -> RunStarted | None:
    """Return the last start in a journal: its folder may have been used again."""
    place = data.rfind(_STARTED)
    while place >= 0:
        begin = data.rfind(b"\n", 0, place) + 1
        event = _event(data[begin : data.find(b"\n", place)])
        if isinstance(event, RunStarted):
            return event
        place = data.rfind(_STARTED, 0, begin)  # a message had these words
    return None


def _event(line: bytes) -> RunEvent | None:
    with contextlib.suppress(ValueError, KeyError, TypeError):
        document: Any = json.loads(line)
        return event_from_plain(document["event"])
    return None


def _size(path: Path) -> int:
    total = 0
    for pattern in _OWN_FILES:
        for item in path.glob(pattern):
            with contextlib.suppress(OSError):
                total += item.lstat().st_size
    return total
