"""One run, wired: engine, workers, journal, log, console, provenance."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpwf.api.earlier_times import earlier_step_times
from gpwf.api.privacy import privacy_of
from gpwf.api.recording import open_recording, write_provenance
from gpwf.api.runs import RUNS_FOLDER, Run
from gpwf.api.selection import Selection
from gpwf.core.plan_redaction import recorded_plan
from gpwf.core.redact import redact_command
from gpwf.core.runs import RunEvent
from gpwf.errors import RunError
from gpwf.prov.environment import capture_agent, capture_environment
from gpwf.prov.sidecars import find_sidecars
from gpwf.run.engine import CATALOG, FORMATS, RunHeader, execute
from gpwf.run.executors.base import Executor
from gpwf.run.executors.server import worker_variables
from gpwf.run.rundir import RunDirectory, new_run_path
from gpwf.store.store import Store

__all__ = ["Execution"]

_WHO = frozenset({"user", "host"})


def _say_nothing(_: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, kw_only=True)
class Execution:
    """What a run needs; see `gpwf.api.Workflow.run` for the meaning of the fields.

    ``executor`` is closed at the end. ``tell`` is told what does not fail the run. ``catalog`` and
    ``formats`` are import strings for the workers, see `gpwf.run.engine.execute`.
    """

    selection: Selection
    text: str
    store: Store
    run_dir: Path | None
    executor: Executor
    fail_fast: bool
    console: str
    command: tuple[str, ...]
    listeners: tuple[Callable[[RunEvent], None], ...]
    anonymous: bool = False
    tell: Callable[[str], None] = _say_nothing
    catalog: str = CATALOG
    formats: str = FORMATS

    def run(self) -> Run:
        """Run; the record is written whatever the end."""
        plan = self.selection.plan
        path = self.run_dir or new_run_path(Path.cwd() / RUNS_FOLDER, plan.name)
        agent = capture_agent()
        header = RunHeader(
            command=redact_command(self.command),
            agent={key: agent[key] for key in agent if not self.anonymous or key not in _WHO},
            environment=capture_environment(worker_variables()),
        )
        privacy = privacy_of(plan, anonymous=self.anonymous)
        recorded = recorded_plan(plan, privacy.clean)
        with RunDirectory(path) as rundir:
            # before anything is looked up: what this run finds is younger than its entry
            self.store.register_run(rundir.path, header.run_id, workflow=plan.name)
            _keep_earlier_record(rundir)
            record = open_recording(rundir, recorded, self.store)
            try:
                with self._watchers(rundir, header) as (on_event, on_log):
                    execute(
                        plan,
                        store=self.store,
                        rundir=rundir,
                        executor=self.executor,
                        text=privacy.clean.known(self.text) if self.anonymous else self.text,
                        header=header,
                        on_event=(record.apply, *on_event),
                        on_log=on_log,
                        showing=record.showing,
                        fail_fast=self.fail_fast,
                        force=self.selection.forced,
                        log_level=plan.execution.log_level.upper(),
                        catalog=self.catalog,
                        formats=self.formats,
                        privacy=privacy,
                    )
            finally:
                run = Run(path)
                run.plan = recorded  # it need not be read again
                try:
                    if rundir.journal.is_file() and not record.write(run):
                        write_provenance(run)
                finally:
                    record.close()
                if not self.anonymous:  # other tools do not leave names out
                    self._take_sidecars(run)
        return run

    def _take_sidecars(self, run: Run) -> None:
        """Take in what lies beside the inputs and tells of their making."""
        files = find_sidecars(run.plan)
        if not files:
            return
        from gpwf.api.ingest import take_sidecars

        for text in take_sidecars(run, files):
            self.tell(text)

    @contextlib.contextmanager
    def _watchers(
        self, rundir: RunDirectory, header: RunHeader
    ) -> Iterator[
        tuple[tuple[Callable[[RunEvent], None], ...], Callable[[Mapping[str, Any]], None]]
    ]:
        """Open log and console; close both whatever happens."""
        from gpwf.report.console import open_console
        from gpwf.report.logging import RunLog

        plan = self.selection.plan
        console = open_console(
            plan,
            mode=self.console,
            meter=self.executor,
            history=lambda: earlier_step_times(rundir.path),
        )
        try:
            with RunLog(rundir.log, header.run_id) as log:

                def on_log(record: Mapping[str, Any]) -> None:
                    log.record(record)
                    console.record(record)

                yield (log.event, console.event, *self.listeners), on_log
        finally:
            console.close()


def _keep_earlier_record(rundir: RunDirectory) -> None:
    """Set the record of an earlier run in the same folder aside: it tells of another run."""
    record = rundir.prov / "prov.json"
    number = 1
    while (kept := record.with_name(f"earlier-{number}.json")).exists():
        number += 1
    try:
        record.rename(kept)
    except FileNotFoundError:
        return
    except OSError as error:
        raise RunError(
            f"the record of the earlier run {record} cannot be kept: {error.strerror or error}",
            hint="choose another folder with --run-dir",
        ) from None
