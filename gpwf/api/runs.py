"""Runs that were made: their state, their products, their records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from gpwf.api.products import Place, ProductFiles, StepProducts
from gpwf.api.selection import NameIndex
from gpwf.core.plan import Plan, TaskAlias
from gpwf.core.plan_codec import plan_from_plain
from gpwf.core.runs import RunEvent, RunState, TaskState
from gpwf.core.view import RunView, fold
from gpwf.errors import RunError, UsageError
from gpwf.run.journal import JournalScan, read_journal, scan_journal
from gpwf.run.rundir import lock_holder

if TYPE_CHECKING:
    from gpwf.api.query import Ancestry
    from gpwf.prov.validation.findings import Report

__all__ = ["RUNS_FOLDER", "ProductFiles", "Run", "StepProducts", "find_runs", "open_run"]

#: Folder of the run directories, beside the workflow.
RUNS_FOLDER = "runs"


class Run:
    """One run, opened for reading; nothing in it is changed.

    Parameters
    ----------
    path : Path
        The run directory.

    Raises
    ------
    RunError
        Where it is no run directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        if not (self.path / "journal.jsonl").is_file():
            raise RunError(
                f"{path} is not a run directory: it has no journal.jsonl",
                hint="`gpwf runs` lists the runs here",
            )

    @cached_property
    def plan(self) -> Plan:
        """The plan as it was frozen before the first task."""
        path = self.path / "plan.json"
        try:
            return plan_from_plain(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"cannot read the plan {path}: {error}") from None

    def is_of(self, workflow: str) -> bool:
        """Return True for a run of a workflow with this name."""
        try:
            return self.plan.name == workflow
        except RunError:
            return False

    @property
    def events(self) -> list[RunEvent]:
        """The journal's events, read now."""
        return read_journal(self.path / "journal.jsonl")

    @property
    def view(self) -> RunView:
        """How the run stands now."""
        return self.look()[0]

    def look(self) -> tuple[RunView, str]:
        """Return how the run stands now, and what of its journal cannot be read: mostly nothing.

        Raises
        ------
        RunError
            Where journal or plan cannot be read, or do not come from the same run.
        """
        scan = scan_journal(self.path / "journal.jsonl")
        try:
            view = fold(self.plan, scan.events)
        except KeyError as error:
            raise RunError(
                f"{self.path}: the journal tells of task {error}, which is not in the plan",
                hint="plan.json and journal.jsonl must come from the same run",
            ) from None
        if view.state is not RunState.RUNNING or self.is_live:
            # a driver that works now may be in the middle of a line
            damage = "" if not scan.is_torn or self.is_live else _damage(scan)
            return view, damage
        view.state = RunState.INTERRUPTED
        for task in view.tasks.values():
            if task.state is TaskState.RUNNING:
                task.state = TaskState.LOST
        view.reason = "the driver went away; `gpwf run` again goes on"
        return view, _damage(scan) if scan.is_torn else ""

    @property
    def is_live(self) -> bool:
        """Return True while a driver works here."""
        return lock_holder(self.path) is not None

    @property
    def state(self) -> RunState:
        """State of the run now."""
        return self.view.state

    @property
    def store(self) -> Path:
        """Folder of the store that holds the products."""
        return self._store(self.view)

    def _store(self, view: RunView) -> Path:
        started = view.started_event
        if started is None:
            raise RunError(f"{self.path}: the journal has no start; nothing was run")
        store = Path(started.store)
        return store if store.exists() else self._store_of_links() or store

    def _store_of_links(self) -> Path | None:
        """Return the store that products link to: where run and store were moved together."""
        for path in (self.path / "products").rglob("*"):
            if path.is_symlink() and path.is_file():
                root = path.resolve().parents[2]  # <store>/objects/<first two>/<digest>
                return root if (root / "objects").is_dir() else None
        return None

    @property
    def log(self) -> Path:
        """The log, JSON Lines."""
        return self.path / "log.jsonl"

    @property
    def provenance(self) -> Path:
        """The PROV-JSON document."""
        return self.path / "prov" / "prov.json"

    def validate_provenance(self, *, files: bool = False) -> Report:
        """Check the record as it lies there; see `gpwf.api.validation.validate_run`.

        Parameters
        ----------
        files : bool
            Compare journal, log, products and inputs with it as well.
        """
        from gpwf.api.validation import validate_run

        return validate_run(self, files=files)

    @cached_property
    def _names(self) -> NameIndex:
        return NameIndex(self.plan)

    @cached_property
    def _aliases(self) -> Mapping[str, list[TaskAlias]]:
        """Further names of tasks, by id of the task."""
        found: dict[str, list[TaskAlias]] = {}
        for alias in self.plan.aliases:
            found.setdefault(alias.task, []).append(alias)
        return found

    def __getitem__(self, name: str) -> StepProducts:
        """Return the products of a step, of a task, or of a part of a scatter.

        Parameters
        ----------
        name : str
            ``fit``, ``sim[scenario=null,seed=3]``, ``sim[scenario=null]``, or the name of a
            workflow that is a step.

        Raises
        ------
        UsageError
            Where the run has no such step or task.
        """
        view = self.view
        found = self._names.find(name, self.path.name)
        if not found:
            raise UsageError(f"{name}: a condition left this step out", hint="see its `when`")
        aliases = {
            alias.id: alias for task in found.values() for alias in self._aliases.get(task, ())
        }
        places = []
        for place, task in found.items():
            seen = view.tasks[task]
            named = seen.task if place == task else aliases[place]
            places.append(Place(name=named, view=seen))
        return StepProducts(name, places, self.path / "products", self.store)

    def products(self) -> list[ProductFiles]:
        """Return every product of the run, in the order of the plan.

        A product of a task with several names is there once for each.
        """
        view = self.view
        if not any(item.products for item in view.tasks.values()):
            return []
        folder, store = self.path / "products", self._store(view)
        places = [
            Place(name=name, view=item)
            for item in view.tasks.values()
            for name in (item.task, *self._aliases.get(item.task.id, ()))
        ]
        return [found for place in places for found in place.files(folder, store).values()]

    def output_paths(self, view: RunView | None = None) -> dict[str, list[Path]]:
        """Return the files of the workflow's named results that exist.

        Parameters
        ----------
        view : RunView, optional
            How the run stands, where the caller knows; read now by default.
        """
        view = self.view if view is None else view
        folder = self.path / "products"
        found: dict[str, list[Path]] = {}
        for name, refs in self.plan.outputs.items():
            for ref in refs:
                item = view.tasks[ref.task]
                if ref.product in item.products:
                    # paths need no store
                    files = Place(name=item.task, view=item).files(folder, store=folder)
                    found.setdefault(name, []).append(files[ref.product].path)
        return found

    def lineage(self, of: str | Path, direction: str = "up", depth: int | None = None) -> Ancestry:
        """Return what a product came from, or with ``down`` what became of it, in all runs.

        See `gpwf.api.query.Provenance.lineage`; `gpwf.api.query.open_provenance` asks more.
        """
        from gpwf.api.query import open_provenance

        with open_provenance(self.path) as provenance:
            return provenance.lineage(of, direction, depth)

    def __repr__(self) -> str:
        return f"<gpwf run {self.path.name}: {self.plan.name}, {self.state}>"

    def _repr_html_(self) -> str:
        from html import escape

        view = self.view
        rows = "".join(
            f"<tr><td>{escape(item.task.id)}</td><td>{item.state}</td>"
            f"<td>{escape(', '.join(item.products))}</td></tr>"
            for item in view.tasks.values()
        )
        head = f"<p><b>{escape(view.workflow)}</b>: {view.state} ({escape(str(self.path))})</p>"
        return f"{head}<table><tr><th>task</th><th>state</th><th>products</th></tr>{rows}</table>"


def _damage(scan: JournalScan) -> str:
    """Return what of a journal cannot be read."""
    return (
        f"{scan.total_bytes - scan.good_bytes} bytes at the end of the journal, after event "
        f"{len(scan.events)}, cannot be read (a crash, or a damaged disk): they are passed over"
    )


def find_runs(root: Path | None = None) -> list[Path]:
    """Return the run directories below a folder, newest first.

    Parameters
    ----------
    root : Path, optional
        Folder to look in: a ``runs`` folder, or one that has such a folder; the current folder by
        default.
    """
    base = root or Path.cwd()
    folders = [base / RUNS_FOLDER, base] if (base / RUNS_FOLDER).is_dir() else [base]
    found = {
        path.parent.resolve()
        for folder in folders
        for pattern in ("*/journal.jsonl", "*/*/journal.jsonl")
        for path in folder.glob(pattern)
        if not path.parent.is_symlink()
    }
    return sorted(found, key=lambda path: (_begun(path), path), reverse=True)


def _begun(path: Path) -> float:
    """Return when a run began: its plan is written then. It may be removed while we look."""
    try:
        return (path / "plan.json").stat().st_mtime
    except OSError:
        return 0.0


def open_run(name: str | Path | None = None, *, root: Path | None = None) -> Run:
    """Open a run.

    Parameters
    ----------
    name : str or Path, optional
        A run directory, the beginning or end of its name, or the name of a workflow (its latest
        run); the latest run of all by default.
    root : Path, optional
        Folder to look in; the current folder by default.

    Raises
    ------
    UsageError
        Where there is no such run, or the name fits several.
    """
    if name is not None and (Path(name) / "journal.jsonl").is_file():
        return Run(Path(name))
    runs = find_runs(root)
    if name is None:
        if not runs:
            raise UsageError(
                f"no run below {root or Path.cwd()}", hint="`gpwf run WORKFLOW` makes one"
            )
        return Run(runs[0])
    text = str(name)
    of_workflow = [path for path in runs if path.parent.name == text]
    if of_workflow:
        return Run(of_workflow[0])
    fitting = [path for path in runs if path.name.startswith(text) or path.name.endswith(text)]
    if len(fitting) == 1:
        return Run(fitting[0])
    if fitting:
        raise UsageError(
            f"{text} fits {len(fitting)} runs", hint=", ".join(path.name for path in fitting[:5])
        )
    raise UsageError(f"no run {text}", hint="`gpwf runs` lists the runs here")
