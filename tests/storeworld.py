"""Stores and runs made of files alone, without any engine: what garbage collection looks at."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from gpwf.core.digests import Digest, TaskKey, digest_bytes
from gpwf.core.runs import (
    AttemptFinished,
    AttemptStarted,
    Product,
    RunEvent,
    RunFinished,
    RunStarted,
    RunState,
    TaskCached,
    TaskState,
)
from gpwf.run.journal import Journal
from gpwf.run.rundir import RunDirectory
from gpwf.store.results import StoredResult
from gpwf.store.store import Store


def key_of(text: str) -> TaskKey:
    return TaskKey(digest_bytes(f"key {text}".encode()))


def digest_of(content: str) -> Digest:
    return digest_bytes(content.encode())


def time_of(number: int) -> str:
    return f"2026-01-{1 + number // 24:02d}T{number % 24:02d}:00:00Z"


@dataclass
class World:
    """A store in ``<folder>/.gpwf`` with runs in ``<folder>/runs``."""

    folder: Path
    store: Store = field(init=False)
    clock: int = 0

    def __post_init__(self) -> None:
        self.store = Store(self.folder / ".gpwf")

    def product(self, content: str) -> Product:
        """Publish a product of one file."""
        draft = Path(tempfile.mkdtemp(dir=self.store.root / "tmp"))
        (draft / "file").write_text(content)
        found = self.store.objects.publish(draft, "text", {})
        draft.rmdir()
        return found

    def make(self, name: str, content: str, run_id: str) -> Product:
        """Make the result of a task."""
        product = self.product(content)
        key = key_of(name)
        self.store.results.put(
            key,
            StoredResult(
                key=key,
                products={"out": product},
                run_id=run_id,
                attempt_id="attempt",
                started=time_of(self.clock),
                ended=time_of(self.clock),
                tag="act",
            ),
        )
        return product

    def run(
        self,
        run_id: str,
        *,
        made: dict[str, str] | None = None,
        cached: tuple[str, ...] = (),
        workflow: str = "w",
        state: RunState | None = RunState.OK,
        failed: tuple[str, ...] = (),
        path: Path | None = None,
        register: bool = True,
    ) -> Path:
        """Write a run that made tasks (name → content) and found others in the store."""
        self.clock += 1
        path = path or self.folder / "runs" / workflow / run_id
        with RunDirectory(path) as rundir:
            if register:
                self.store.register_run(path, run_id, workflow=workflow)
            with Journal(rundir.journal) as journal:
                journal.extend(self._events(rundir, run_id, made or {}, cached, failed))
                if state is not None:
                    journal.append(RunFinished(time=self.now, clock_s=0, state=state))
        return path

    @property
    def now(self) -> str:
        return time_of(self.clock)

    def _events(
        self,
        rundir: RunDirectory,
        run_id: str,
        made: dict[str, str],
        cached: tuple[str, ...],
        failed: tuple[str, ...],
    ) -> list[RunEvent]:
        about = {"time": self.now, "clock_s": 0.0}
        (rundir.path / "plan.json").write_text("{}")
        events: list[RunEvent] = [
            RunStarted(
                **about,
                run_id=run_id,
                plan_digest=digest_of("plan"),
                workflow=rundir.path.parent.name,
                store=str(self.store.root),
            )
        ]
        for name in cached:
            result = self.store.use(key_of(name))
            assert result is not None, f"{name} is not in the store"
            events.append(
                TaskCached(
                    **about,
                    task=name,
                    attempt_id="a",
                    key=key_of(name),
                    products=result.products,
                    made_by_run=result.run_id,
                    made_by_attempt="a",
                    made_started=self.now,
                    made_ended=self.now,
                )
            )
        for name, content in made.items():
            events += self._attempt(name, {"out": self.make(name, content, run_id)}, TaskState.OK)
        for name in failed:
            events += self._attempt(name, {}, TaskState.FAILED)
        return events

    def _attempt(self, name: str, products: dict[str, Product], state: TaskState) -> list[RunEvent]:
        about = {"time": self.now, "clock_s": 0.0, "task": name, "attempt": 1, "attempt_id": name}
        return [
            AttemptStarted(**about, key=key_of(name)),
            AttemptFinished(
                **about,
                key=key_of(name),
                state=state,
                started=self.now,
                ended=self.now,
                products=products,
            ),
        ]

    def has_result(self, name: str) -> bool:
        return self.store.results.get(key_of(name)) is not None

    def has(self, content: str) -> bool:
        return self.store.objects.verify(digest_of(content))

    def files(self) -> set[str]:
        """Return every file below results and objects."""
        return {
            str(path.relative_to(self.store.root))
            for name in ("results", "objects")
            for path in (self.store.root / name).rglob("*")
            if path.is_file()
        }
