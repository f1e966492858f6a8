"""One run, wired: engine, workers, journal, log, console, provenance."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpwf.api.earlier_times import earlier_step_times
from gpwf.api.privacy import privacy_of
from gpwf.api.runs import RUNS_FOLDER, Run
from gpwf.api.selection import Selection
from gpwf.core.digests import digest_file
from gpwf.core.plan import Plan
from gpwf.core.plan_redaction import recorded_plan
from gpwf.core.redact import redact_command
from gpwf.core.runs import RunEvent
from gpwf.errors import ProvenanceError, RunError
from gpwf.prov.environment import capture_agent, capture_environment
from gpwf.prov.stream import RecordWriter, write_record
from gpwf.run.engine import CATALOG, FORMATS, RunHeader, execute
from gpwf.run.executors.base import Executor
from gpwf.run.executors.server import worker_variables
from gpwf.run.journal import read_journal
from gpwf.run.rundir import RunDirectory, new_run_path
from gpwf.store.store import Store

__all__ = ["Execution", "write_provenance"]

_WHO = frozenset({"user", "host"})


@dataclass(frozen=True, kw_only=True)
class Execution:
    """What a run needs; see `gpwf.api.Workflow.run` for the meaning of the fields.

    ``executor`` is closed at the end. ``catalog`` and ``formats`` are import strings for the
    workers, see `gpwf.run.engine.execute`.
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
            record = _Record(rundir.prov / "prov.json", recorded)
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
                if rundir.journal.is_file() and not record.finish(run):
                    write_provenance(run)
        return run

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


class _Record:
    """The provenance record of a run, written as the run goes; its end costs little then.

    Where that fails, the disk may be full for a moment, the journal still has everything.
    """

    def __init__(self, path: Path, plan: Plan) -> None:
        self._writer: RecordWriter | None = None
        with contextlib.suppress(ProvenanceError):
            self._writer = RecordWriter(path, plan)

    def apply(self, event: RunEvent) -> None:
        """Take an event in."""
        if self._writer is not None:
            try:
                self._writer.apply(event)
            except ProvenanceError:
                self._close()

    def finish(self, run: Run) -> bool:
        """Write the file; return False where it must be made from the journal."""
        if self._writer is None:
            return False
        try:
            self._writer.finish(**_texts_and_digests(run, live=False))
        except ProvenanceError:
            return False
        finally:
            self._close()
        return True

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.__exit__(None, None, None)
            self._writer = None


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


def write_provenance(run: Run, *, live: bool = False) -> Path:
    """Write ``prov/prov.json`` of a run from its plan and its journal; return the path.

    Parameters
    ----------
    run : Run
        The run.
    live : bool
        True where its driver still works: the record is of this moment, and goes to
        ``prov/live.json``, out of the way of the one that the driver will write.

    Raises
    ------
    ProvenanceError, RunError
        Where plan or journal cannot be read.
    """
    return write_record(
        run.provenance.with_name("live.json") if live else run.provenance,
        run.plan,
        read_journal(run.path / "journal.jsonl"),
        **_texts_and_digests(run, live=live),
        live=live,
    )


def _texts_and_digests(run: Run, *, live: bool) -> dict[str, Any]:
    """Return what a record says of the files of a run; some of a live one still grow."""
    workflow = run.path / "workflow.yaml"
    return {
        "workflow_text": workflow.read_text(encoding="utf-8") if workflow.is_file() else None,
        "plan_digest": digest_file(run.path / "plan.json"),
        "log_digests": {
            name: digest_file(run.path / name)
            for name in ("journal.jsonl", "log.jsonl")
            if not live and (run.path / name).is_file()
        },
    }
