"""Runs that were made: their state, their products, their records."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gpwf.core.plan import Plan
from gpwf.core.plan_codec import plan_from_plain
from gpwf.core.runs import Product, RunEvent, RunState, TaskState
from gpwf.core.view import RunView, TaskView, fold
from gpwf.errors import RunError, StoreError, UsageError
from gpwf.run.journal import read_journal
from gpwf.run.rundir import lock_holder, product_folder
from gpwf.store.store import Store

__all__ = ["RUNS_FOLDER", "ProductFiles", "Run", "StepProducts", "find_runs", "open_run"]

#: Folder of the run directories, beside the workflow.
RUNS_FOLDER = "runs"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductFiles:
    """A product of a run, as files with readable names.

    Parameters
    ----------
    step, task, port : str
        Where it came from.
    product : Product
        Kind, digest and files.
    folder : Path
        Folder that holds the files.
    store : Path
        Store of the run.
    """

    step: str
    task: str
    port: str
    product: Product
    folder: Path
    store: Path

    @property
    def path(self) -> Path:
        """The file, where the product is one file; the folder otherwise."""
        if len(self.product.files) == 1:
            return self.folder / self.product.files[0].name
        return self.folder

    def read(self) -> Any:
        """Return the gammapy object.

        Raises
        ------
        StoreError
            Where files of the product, or external files that it refers to, are gone or damaged.
        """
        from gpwf.store import formats

        store = Store(self.store, create=False)
        for item in self.product.files:
            if not (self.folder / item.name).is_file():
                raise StoreError(
                    f"{self.task}.{self.port}: {self.folder / item.name} is gone",
                    hint="`gpwf run` makes again what the store lost",
                )
        return formats.read(self.product.kind, self.folder, store.inputs.locate)

    def _repr_html_(self) -> str:
        from html import escape

        rows = "".join(
            f"<li><code>{escape(item.name)}</code> {item.size} B, sha256 {item.digest[:12]}…</li>"
            for item in self.product.files
        )
        title = escape(f"{self.task}.{self.port} ({self.product.kind})")
        return f"<p><b>{title}</b></p><ul>{rows}</ul>"


class StepProducts(Mapping[str, ProductFiles]):
    """The products of one task by port, also as attributes.

    Examples
    --------
    ``run["flux-points"].flux_points.read()`` returns the gammapy object.
    """

    def __init__(self, products: Mapping[str, ProductFiles], task: str) -> None:
        self._products = dict(products)
        self._task = task

    def __getitem__(self, port: str) -> ProductFiles:
        return self._products[port]

    def __iter__(self) -> Iterator[str]:
        return iter(self._products)

    def __len__(self) -> int:
        return len(self._products)

    def __getattr__(self, port: str) -> ProductFiles:
        try:
            return self._products[port]
        except KeyError:
            names = ", ".join(self._products) or "none"
            raise AttributeError(f"task {self._task}: no product {port}; it has: {names}") from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._products]

    def __repr__(self) -> str:
        return f"<products of {self._task}: {', '.join(self._products) or 'none'}>"


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

    @property
    def events(self) -> list[RunEvent]:
        """The journal's events, read now."""
        return read_journal(self.path / "journal.jsonl")

    @property
    def view(self) -> RunView:
        """How the run stands now."""
        try:
            view = fold(self.plan, self.events)
        except KeyError as error:
            raise RunError(
                f"{self.path}: the journal tells of task {error}, which is not in the plan",
                hint="plan.json and journal.jsonl must come from the same run",
            ) from None
        if view.state is RunState.RUNNING and lock_holder(self.path) is None:
            view.state = RunState.INTERRUPTED
            for task in view.tasks.values():
                if task.state is TaskState.RUNNING:
                    task.state = TaskState.LOST
            view.reason = "the driver went away; `gpwf run` again goes on"
        return view

    @property
    def state(self) -> RunState:
        """State of the run now."""
        return self.view.state

    @property
    def store(self) -> Path:
        """Folder of the store that holds the products."""
        started = self.view.started_event
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

    def __getitem__(self, name: str) -> StepProducts:
        """Return the products of a step, or of a task where the step has several."""
        view = self.view
        found = [item for item in view.tasks.values() if name in (item.task.id, item.task.step)]
        if not found:
            raise UsageError(
                f"{self.path.name} has no step {name}",
                hint=f"steps: {', '.join(step.name for step in self.plan.steps)}",
            )
        if len(found) > 1:
            raise UsageError(
                f"step {name} has {len(found)} tasks", hint=f"name one, {found[0].task.id} say"
            )
        return StepProducts(
            {item.port: item for item in self._products_of(found[0])}, found[0].task.id
        )

    def products(self) -> list[ProductFiles]:
        """Return every product of the run, in the order of the plan."""
        return [item for task in self.view.tasks.values() for item in self._products_of(task)]

    def _products_of(self, task: TaskView) -> list[ProductFiles]:
        if not task.products:
            return []
        store = self.store
        return [
            ProductFiles(
                step=task.task.step,
                task=task.task.id,
                port=port,
                product=product,
                folder=product_folder(self.path / "products", task.task, port),
                store=store,
            )
            for port, product in task.products.items()
        ]

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
