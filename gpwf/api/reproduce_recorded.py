"""The run that is to be made again: from its folder, or from its PROV-JSON record."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpwf.api.runs import Run, open_run
from gpwf.core.digests import digest_bytes, digest_file
from gpwf.core.plan import Plan
from gpwf.core.plan_codec import plan_from_plain
from gpwf.core.runs import ProductFile
from gpwf.core.view import TaskView
from gpwf.errors import ProvenanceError, RunError, UsageError
from gpwf.prov.replay import MadeProduct, ReplayRecord, read_replay
from gpwf.prov.vocabulary import local_id
from gpwf.store.objects import ObjectStore

__all__ = ["Recorded", "open_recorded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A run as its record tells it.

    Parameters
    ----------
    path : Path
        Its folder, or its PROV-JSON record.
    run_id, workflow, state : str
        Which run it is, and how it ended.
    plan : Plan
        What it was to do.
    text : str or None
        The workflow as given, where it is there unchanged.
    facts : mapping of str to str
        ``python.version``, ``platform.machine``, ``variables.GAMMAPY_DATA`` …
    distributions : mapping of str to str
        What was installed.
    products : mapping of (str, str) to MadeProduct
        What it made, by task and port.
    folders : mapping of (str, str) to Path
        Where the products are shown, in its folder.
    store : Path or None
        Its store, where it is there.
    record_digest : str
        SHA-256 of the journal or of the PROV-JSON file: of what was believed.
    notes : tuple of str
        What of the record cannot be read.
    """

    path: Path
    run_id: str
    workflow: str
    state: str
    plan: Plan
    text: str | None
    facts: Mapping[str, str]
    distributions: Mapping[str, str]
    products: Mapping[tuple[str, str], MadeProduct]
    folders: Mapping[tuple[str, str], Path] = field(default_factory=dict)
    store: Path | None = None
    record_digest: str = ""
    notes: tuple[str, ...] = ()

    def file(self, task: str, port: str, item: ProductFile) -> Path | None:
        """Return a recorded file with the recorded bytes; None where nothing has them any more."""
        places = []
        if self.store is not None:
            places.append(ObjectStore(self.store).path(item.digest))
        folder = self.folders.get((task, port))
        if folder is not None:
            places.append(folder / item.name)
        for path in places:
            try:
                if item.size not in (0, path.stat().st_size):
                    continue
                if digest_file(path) == item.digest:
                    return path
            except OSError:
                continue
        return None


def open_recorded(name: str | Path | None = None, *, root: Path | None = None) -> Recorded:
    """Open a run that is to be made again.

    Parameters
    ----------
    name : str or Path, optional
        As for `gpwf.api.open_run`; or a PROV-JSON record of a run, with the plan beside it as
        ``plan.json`` or in the folder above, or without: it is put together from the record then.
    root : Path, optional
        Folder to look for runs in.

    Raises
    ------
    UsageError
        Where there is no such run, or a driver works on it.
    RunError, ProvenanceError
        Where plan or record cannot be read, do not belong to each other or were written by a
        newer gpwf.
    """
    if name is not None:
        path = Path(name)
        if path.is_file():
            return _from_record(path)
        record = path / "prov" / "prov.json"
        if not (path / "journal.jsonl").exists() and record.is_file():
            return _from_record(record)
    return _from_run(open_run(name, root=root))


def _from_run(run: Run) -> Recorded:
    if run.is_live:
        raise UsageError(
            f"{run.path} is still running", hint="wait for its end, `gpwf status` shows it"
        )
    view, damage = run.look()
    started = view.started_event
    if started is None:
        raise RunError(f"{run.path}: the journal has no start; there is nothing to make again")
    _check_plan(run.path / "plan.json", started.plan_digest)
    try:
        store = run.store
    except RunError:
        store = None
    products = {
        (made.task, made.port): made for item in view.tasks.values() for made in _products(item)
    }
    return Recorded(
        path=run.path,
        run_id=view.run_id,
        workflow=view.workflow,
        state=str(view.state),
        plan=run.plan,
        text=_unchanged(run.path / "workflow.yaml", run.plan.workflow_digest),
        facts=dict(_facts(started.environment)),
        distributions=dict(started.environment.get("distributions") or {}),
        products=products,
        folders={(item.task, item.port): item.folder for item in run.products()},
        store=store if store is not None and store.is_dir() else None,
        record_digest=digest_file(run.path / "journal.jsonl"),
        notes=(damage,) if damage else (),
    )


def _products(item: TaskView) -> Iterator[MadeProduct]:
    """Yield the products of a task that has a result, under the name of the attempt's."""
    if not item.state.has_products:
        return
    cached = item.cached_event
    ok = [end for a in item.attempts if (end := a.finished_event) is not None and end.products]
    attempt = ok[-1].attempt_id if ok else cached.made_by_attempt if cached is not None else ""
    for port, product in item.products.items():
        yield MadeProduct(
            task=item.task.id,
            port=port,
            entity=local_id("product", attempt, port),
            key=str(item.key or ""),
            product=product,
        )


def _from_record(path: Path) -> Recorded:
    record = read_replay(path)
    try:
        return _of_record(path, record)
    except (ValueError, TypeError, AttributeError) as error:  # numbers or JSON that are none
        raise ProvenanceError(
            f"{path} is damaged: {error}", hint="`gpwf prov validate` says where"
        ) from None


def _of_record(path: Path, record: ReplayRecord) -> Recorded:
    plan = _plan_beside(record)
    notes: tuple[str, ...] = ()
    if plan is None:
        from gpwf.prov.replay_plan import plan_of_record
        from gpwf.steps.registry import load_catalog

        plan = plan_of_record(record, load_catalog())
        notes = ("the plan was put together from the record; every task has the recorded key",)
    products = {(item.task, item.port): item for item in record.products()}
    text: str | None = record.workflow_text
    if text is not None and digest_bytes(text.encode()) != plan.workflow_digest:
        text = None  # a secret was taken out
    return Recorded(
        path=path,
        run_id=record.run_id,
        workflow=record.workflow,
        state=record.state,
        plan=plan,
        text=text,
        facts=record.facts,
        distributions=record.distributions,
        products=products,
        record_digest=digest_file(path),
        notes=notes,
    )


def _plan_beside(record: ReplayRecord) -> Plan | None:
    """Return the plan in the folder of a record, or above; None where there is none."""
    for folder in (record.path.parent, record.path.parent.parent):
        path = folder / "plan.json"
        if path.is_file() and digest_file(path) == record.plan_digest:
            return _read_plan(path)
    return None


def _check_plan(path: Path, recorded: str) -> None:
    try:
        found = digest_file(path)
    except OSError as error:
        raise RunError(f"cannot read the plan {path}: {error.strerror or error}") from None
    if recorded and found != recorded:
        raise RunError(
            f"{path} is not the plan of the run: its SHA-256 is {found[:12]}…, "
            f"the journal says {recorded[:12]}…",
            hint="it was changed since; get the run directory as it was",
        )


def _read_plan(path: Path) -> Plan:
    try:
        return plan_from_plain(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"cannot read the plan {path}: {error}") from None


def _unchanged(path: Path, digest: str) -> str | None:
    """Return a text that has this digest."""
    try:
        data = path.read_bytes()
        return data.decode() if digest_bytes(data) == digest else None
    except (OSError, ValueError):
        return None


def _facts(value: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """Yield dotted name and text of every leaf but the distributions."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if at or key != "distributions":
                yield from _facts(item, f"{at}.{key}" if at else str(key))
    else:
        yield at, value if isinstance(value, str) else json.dumps(value)
