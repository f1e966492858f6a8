"""A workflow document, from reading it to running it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpwf.api.preview import PlannedTask, check_known, preview_tasks
from gpwf.api.runs import Run
from gpwf.api.selection import select
from gpwf.core.diagnostics import Diagnostic
from gpwf.core.plan import Plan
from gpwf.core.plan_redaction import recorded_plan, recorded_spec
from gpwf.core.redact import Redactor, without_secrets
from gpwf.core.runs import RunEvent
from gpwf.errors import DocumentError, PlanError
from gpwf.store.places import default_store
from gpwf.store.store import Store

if TYPE_CHECKING:
    from gpwf.api.shown import Shown
    from gpwf.core.spec import WorkflowSpec

__all__ = ["PlannedTask", "Workflow", "default_store", "read"]


def read(
    path: str | Path,
    *,
    params: Mapping[str, Any] | None = None,
    sets: Sequence[tuple[str, Any]] = (),
    profile: str | None = None,
    params_files: Sequence[str | Path] = (),
) -> Workflow:
    """Open a workflow document.

    Nothing is checked yet: `Workflow.validate` returns every problem, `Workflow.spec`, `plan` and
    `run` raise them.

    Parameters
    ----------
    path : str or Path
        The document.
    params : mapping, optional
        Values of parameters; text is parsed by the declared type.
    sets : sequence of (str, object)
        Path in the document and value: ``("steps.fit.config.fit_range.min", "2 TeV")``.
    profile : str, optional
        Name of a profile of the document.
    params_files : sequence of str or Path
        Files with values of parameters; a later one is stronger, ``params`` are stronger still.
    """
    return Workflow(
        Path(path),
        params={name: _text(value) for name, value in (params or {}).items()},
        sets=tuple((name, _text(value)) for name, value in sets),
        profile=profile,
        params_files=[Path(item) for item in params_files],
    )


def _text(value: Any) -> str:
    """Return a value as the command line would give it."""
    if isinstance(value, str):
        return value
    import json

    return json.dumps(value)


def _nothing() -> None:
    """Do nothing."""


class Workflow:
    """A workflow document with the values given for it; see `read`.

    Parameters
    ----------
    path : Path
        The document.
    params : mapping of str to str
        Values of parameters as text.
    sets : sequence of (str, str)
        Other values as text, by path.
    profile : str, optional
        Name of a profile.
    params_files : sequence of Path
        Files with values of parameters.
    """

    def __init__(
        self,
        path: Path,
        *,
        params: Mapping[str, str],
        sets: Sequence[tuple[str, str]],
        profile: str | None,
        params_files: Sequence[Path] = (),
    ) -> None:
        self.path = path
        self._params = dict(params)
        self._sets = tuple(sets)
        self._profile = profile
        self._params_files = tuple(params_files)
        self._told: set[str] = set()

    def validate(self, *, data: bool = True) -> list[Diagnostic]:
        """Return every problem of the document, in the order of the text.

        Parameters
        ----------
        data : bool
            Also look whether the files and observations that it names are there.
        """
        from gpwf.lang import check_workflow
        from gpwf.steps.registry import load_catalog

        catalog = load_catalog()
        spec, found = check_workflow(
            self.path,
            catalog,
            params=self._params,
            sets=self._sets,
            profile=self._profile,
            params_files=self._params_files,
        )
        problems = list(found)
        if data and spec is not None:
            from gpwf.compiler.inputs import missing_inputs

            clean = Redactor(spec.secrets)
            problems += [without_secrets(item, clean) for item in missing_inputs(spec, catalog)]
        return sorted(problems, key=lambda item: item.sort_key)

    @cached_property
    def spec(self) -> WorkflowSpec:
        """The validated form.

        Raises
        ------
        DocumentError
            With every problem of the document.
        """
        from gpwf.lang import read_workflow
        from gpwf.steps.registry import load_catalog

        return read_workflow(
            self.path,
            load_catalog(),
            params=self._params,
            sets=self._sets,
            profile=self._profile,
            params_files=self._params_files,
        )

    def show(self, step: str | None = None, *, every: bool = False) -> Shown:
        """Return the settled settings, each with its origin; print it, or look at its `data`.

        Parameters
        ----------
        step : str, optional
            A step, a workflow that is a step, or a part of a scatter (``sim[scenario=null]``).
        every : bool
            Show every set of settings of a scatter, not the first alone.

        Raises
        ------
        DocumentError
            With every problem of the document.
        """
        from gpwf.api.shown import Shown

        return Shown(spec=recorded_spec(self.spec), step=step, every=every)

    def settled(self, *, folder: str | Path | None = None) -> str:
        """Return the workflow as a document in which everything is settled, as YAML.

        It makes the same plan; what depends on the axes of a scatter stays an expression.

        Parameters
        ----------
        folder : str or Path, optional
            Where it is to lie; beside the workflow by default.

        Raises
        ------
        DocumentError
            With every problem of the document.
        UsageError
            Where the document would not say the same in that folder.
        """
        from gpwf.lang.settled import settled_document
        from gpwf.steps.registry import load_catalog

        return settled_document(
            self.path,
            load_catalog(),
            folder=Path(folder) if folder is not None else self.path.absolute().parent,
            params=self._params,
            sets=self._sets,
            profile=self._profile,
            params_files=self._params_files,
        )

    def plan(self, *, store: str | Path | None = None) -> Plan:
        """Return the plan; a notebook shows its steps.

        Parameters
        ----------
        store : str or Path, optional
            Store whose memory of file digests is used; `default_store` by default.

        Raises
        ------
        DocumentError
            With every problem of the document, or every input that is not there.
        """
        from gpwf.api.shown import ShownPlan

        return ShownPlan.of(self._planned(self._store(store))[0])

    def preview(
        self,
        *,
        store: str | Path | None = None,
        targets: Sequence[str] = (),
        from_: Sequence[str] = (),
        only: Sequence[str] = (),
    ) -> tuple[Plan, list[PlannedTask]]:
        """Return the plan, and for every task whether a run would find it in the store.

        See `run` for the parameters.
        """
        opened = self._store(store)
        selection = select(self._planned(opened)[0], targets=targets, from_=from_, only=only)
        return selection.plan, preview_tasks(selection.plan, opened, selection.forced)

    def why(
        self,
        *,
        store: str | Path | None = None,
        targets: Sequence[str] = (),
        runs: str | Path | None = None,
    ) -> dict[str, tuple[str, ...]]:
        """Return for every task that would run why: what differs from the time it ran last.

        Parameters
        ----------
        store, targets
            See `run`.
        runs : str or Path, optional
            Folder of the earlier runs; the current folder by default.
        """
        from gpwf.api.runs import Run, find_runs
        from gpwf.api.why import reasons

        opened = self._store(store)
        plan, found = self.preview(store=store, targets=targets)
        paths = find_runs(Path(runs) if runs is not None else None)
        earlier = (item for path in paths if (item := Run(path)).is_of(plan.name))
        return reasons(recorded_plan(plan), found, opened, earlier)

    def run(
        self,
        *,
        jobs: int | None = None,
        store: str | Path | None = None,
        run_dir: str | Path | None = None,
        targets: Sequence[str] = (),
        from_: Sequence[str] = (),
        only: Sequence[str] = (),
        fail_fast: bool = False,
        console: str = "off",
        command: Sequence[str] = (),
        listeners: Sequence[Callable[[RunEvent], None]] = (),
        anonymous: bool | None = None,
    ) -> Run:
        """Run what is not in the store yet.

        Parameters
        ----------
        jobs : int, optional
            Worker processes; the number of usable cores by default.
        store : str or Path, optional
            Folder of the store; see `default_store`.
        run_dir : str or Path, optional
            Folder of the run; ``runs/<workflow>/<UTC time>-<id>`` below the current folder by
            default.
        targets : sequence of str
            Steps to run, with what they depend on; everything by default.
        from_ : sequence of str
            Steps to run again, with what depends on them.
        only : sequence of str
            Steps to run again alone; what they depend on must be in the store.
        fail_fast : bool
            Start nothing more after the first failure.
        console : {"off", "auto", "live", "plain"}
            Progress on standard error.
        command : sequence of str
            Command line for the record.
        listeners : sequence of callable
            Called with every event of the run.
        anonymous : bool, optional
            Leave user, host and home folder out of records and logs; what the workflow says by
            default.

        Returns
        -------
        Run
            Whatever its end: look at `Run.state`.

        Raises
        ------
        DocumentError, PlanError, StoreError, RunError, UsageError
            Before any task starts.
        """
        opened = Store(self._place(store))
        self._warn(opened.prepare(Path(run_dir) if run_dir is not None else Path.cwd()))
        from gpwf.api.execution import Execution
        from gpwf.run.executors.local import LocalExecutor

        executor = LocalExecutor(jobs)
        with closing(executor):
            # a plan that must be made will hardly find everything done: import meanwhile
            plan, text = self._planned(opened, before=executor.start)
            selection = select(plan, targets=targets, from_=from_, only=only)
            check_known(selection, opened)
            if jobs is None and plan.execution.jobs:
                executor.resize(plan.execution.jobs)
            return Execution(
                selection=selection,
                text=text,
                store=opened,
                run_dir=Path(run_dir) if run_dir is not None else None,
                executor=executor,
                fail_fast=fail_fast,
                console=console,
                command=tuple(command),
                listeners=tuple(listeners),
                anonymous=plan.execution.anonymous if anonymous is None else anonymous,
                tell=lambda text: self._warn([text]),
            ).run()

    def _store(self, store: str | Path | None) -> Store:
        """Open the store for looking, which needs no store that can be written."""
        opened = Store.for_looking(self._place(store))
        if opened.problem is not None:
            hint = f" ({opened.problem.hint})" if opened.problem.hint else ""
            self._warn([f"a run would be refused: {opened.problem.message}{hint}"])
        return opened

    def _place(self, store: str | Path | None) -> Path:
        return Path(store) if store is not None else default_store(self.path)

    def _warn(self, texts: Sequence[str]) -> None:
        """Say each thing once; where nobody has set up logging it goes to standard error."""
        for text in texts:
            if text not in self._told:
                self._told.add(text)
                logging.getLogger(__name__).warning("warning: %s", text)

    def _planned(self, store: Store, before: Callable[[], None] = _nothing) -> tuple[Plan, str]:
        """Return plan and text: the ones kept from last time, or made now, after ``before``."""
        from gpwf.api.plan_cache import kept_or_made

        arguments = {
            "path": str(self.path.absolute()),
            "given": str(self.path),
            "folder": str(Path.cwd()),  # a model in the document may name a file relative to it
            "params": self._params,
            "sets": [list(item) for item in self._sets],
            "profile": self._profile,
            "params_files": [str(item.absolute()) for item in self._params_files],
        }
        return kept_or_made(store, arguments, lambda: self.spec, before)

    def __repr__(self) -> str:
        return f"<gpwf workflow {self.path}>"

    def _repr_html_(self) -> str:
        from html import escape

        from gpwf.api.shown import workflow_html

        try:
            return workflow_html(self.spec)
        except (DocumentError, PlanError) as error:
            return f"<pre>{escape(str(error))}</pre>"
