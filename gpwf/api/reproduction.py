"""A recorded run made again, and how its products compare."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gpwf.api.reproduce_folder import STORE, prepare_folder, write_report
from gpwf.api.reproduce_inputs import (
    Folders,
    InputCheck,
    InputState,
    check_inputs,
    relocate,
)
from gpwf.api.reproduce_recorded import Recorded, open_recorded
from gpwf.api.reproduce_report import report_data, report_text
from gpwf.api.reproduce_software import (
    SoftwareDifference,
    software_differences,
    with_present_software,
    with_programs,
)
from gpwf.api.reproduce_verdicts import (
    TOLERANCES,
    ProductVerdict,
    Verdict,
    compare_products,
    worst,
)
from gpwf.api.runs import Run
from gpwf.api.selection import Selection, select
from gpwf.core.plan import Plan
from gpwf.core.redact import REDACTED
from gpwf.core.runs import RunState
from gpwf.errors import PlanError, UsageError
from gpwf.prov.replay import MadeProduct
from gpwf.run.engine import CATALOG, FORMATS
from gpwf.store.store import Store

__all__ = ["Reproduction", "reproduce"]

_INPUTS = "inputs"
_DATA = "GAMMAPY_DATA"
_MOST_NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """A run made again.

    Parameters
    ----------
    of : Recorded
        The recorded run.
    run : Run
        The new one.
    verdict : Verdict or None
        The worst of the products; None where the new run was interrupted.
    products : list of ProductVerdict
        In the order of the plan.
    inputs : list of InputCheck
        Every input with its state.
    software : list of SoftwareDifference
        What differs.
    notes : tuple of str
        What else a reader must know.
    """

    of: Recorded
    run: Run
    verdict: Verdict | None
    products: list[ProductVerdict]
    inputs: list[InputCheck]
    software: list[SoftwareDifference]
    notes: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        """True where every product is reproduced."""
        return self.verdict is not None and self.verdict.is_good

    def data(self) -> dict[str, Any]:
        """Return the report as plain data, see ``docs/howto/reproduce.md``."""
        return report_data(self)

    def text(self) -> str:
        """Return the report for people."""
        return report_text(self)


def reproduce(
    name: str | Path | None = None,
    *,
    output: str | Path | None = None,
    targets: Sequence[str] = (),
    jobs: int | None = None,
    inputs: Sequence[str | Path] = (),
    rtol: Mapping[str, float] | float | None = None,
    allow_other_software: bool = False,
    keep: bool = False,
    console: str = "off",
    command: Sequence[str] = (),
    catalog: str = CATALOG,
    formats: str = FORMATS,
) -> Reproduction:
    """Make a recorded run again in a fresh store, and compare what comes out.

    Nothing is computed before every input is found with the recorded bytes. What the recorded run
    made is made again; a step that failed then is not tried again but where others need it.

    Parameters
    ----------
    name : str or Path, optional
        A run, or a PROV-JSON record of one; the latest run by default.
    output : str or Path, optional
        Folder of the new run; ``reproductions/<workflow>/<time>-<id>`` by default. Given again, it
        goes on where it was interrupted.
    targets : sequence of str
        Steps to make again, with what they depend on; everything by default.
    jobs : int, optional
        Worker processes.
    inputs : sequence of str or Path
        Folders in which inputs are looked for that are not where they were.
    rtol : float or mapping of str to float, optional
        Largest relative deviation, of all products or by kind; `TOLERANCES` by default.
    allow_other_software : bool
        Go on where software differs that is part of a task key.
    keep : bool
        Keep the products of the new run also where all are identical.
    console : {"off", "auto", "live", "plain"}
        Progress on standard error.
    command : sequence of str
        Command line for the record.
    catalog, formats : str
        Import strings, see `gpwf.run.engine.execute`.

    Returns
    -------
    Reproduction
        With the verdict; ``reproduction.json``, ``reproduction.txt`` and
        ``prov/reproduction.json`` are in the folder of the new run.

    Raises
    ------
    UsageError
        Where there is no such run, it is still running, or software differs.
    PlanError
        Where inputs are missing or have changed.
    RunError, ProvenanceError, StoreError
        Where the record cannot be read, or the folder cannot be written.
    """
    tolerances = _tolerances(rtol)
    recorded = open_recorded(name)
    plan, wanted = _wanted(recorded, targets)
    _refuse_secrets(plan)
    folders = Folders([Path(item) for item in inputs], _moved(recorded.facts))
    steps = _load(catalog)
    software = software_differences(recorded, plan, steps)
    checks = check_inputs(plan, folders)
    _refuse_bad_inputs(checks)
    if any(item.decides for item in software):
        if not allow_other_software:
            raise _other_software(software)
        plan = with_present_software(plan, steps)
    else:
        plan = with_programs(plan)
    folder = prepare_folder(output, recorded)
    plan = relocate(plan, checks, folder / _INPUTS, steps)
    run = _run(folder, plan, recorded, jobs, console, command, catalog, formats)
    view = run.view
    if view.state is RunState.CANCELLED:
        return _result(recorded, run, None, [], checks, software)
    start = datetime.now(UTC)
    now = open_recorded(run.path)
    reasons = {name: item.reason or str(item.state) for name, item in view.tasks.items()}
    products = compare_products(recorded, now, wanted, tolerances, reasons)
    result = _result(recorded, run, worst(products), products, checks, software)
    write_report(result, start, keep)
    return result


def _result(
    of: Recorded,
    run: Run,
    verdict: Verdict | None,
    products: list[ProductVerdict],
    checks: list[InputCheck],
    software: list[SoftwareDifference],
) -> Reproduction:
    return Reproduction(
        of=of,
        run=run,
        verdict=verdict,
        products=products,
        inputs=checks,
        software=software,
        notes=of.notes,
    )


def _tolerances(rtol: Mapping[str, float] | float | None) -> dict[str, float]:
    if rtol is None:
        return dict(TOLERANCES)
    given = dict(rtol) if isinstance(rtol, Mapping) else dict.fromkeys(TOLERANCES, float(rtol))
    for kind, value in given.items():
        if kind not in TOLERANCES:
            raise UsageError(
                f"--rtol {kind}: there is no such kind of product",
                hint=f"kinds: {', '.join(TOLERANCES)}",
            )
        if not 0 <= value < float("inf"):
            raise UsageError(f"--rtol {kind}={value}: a tolerance is a number from 0 on")
    return {**TOLERANCES, **given}


def _wanted(recorded: Recorded, targets: Sequence[str]) -> tuple[Plan, list[MadeProduct]]:
    """Return the part of the plan that is to run, and the products that are to be compared."""
    made = {task for task, _ in recorded.products}
    chosen = {task.id for task in select(recorded.plan, targets=targets).plan.tasks}
    ids = [task.id for task in recorded.plan.tasks if task.id in made and task.id in chosen]
    if not ids:
        what = "made nothing" if not made else "made nothing of what --target names"
        raise UsageError(
            f"run {recorded.run_id[:8]} of {recorded.workflow} {what}",
            hint="there is nothing to compare with; `gpwf status` shows what happened",
        )
    plan = select(recorded.plan, targets=ids).plan
    order = {task.id: number for number, task in enumerate(recorded.plan.tasks)}
    wanted = [item for item in recorded.products.values() if item.task in set(ids)]
    return plan, sorted(wanted, key=lambda item: order[item.task])


def _refuse_secrets(plan: Plan) -> None:
    """Refuse settings that the record does not hold."""
    for task in plan.tasks:
        for name, value in task.settings.items():
            if REDACTED in json.dumps(value, default=str):
                raise UsageError(
                    f"step {task.step}: the record does not hold the setting {name}, it is secret",
                    hint="run the workflow itself again, and compare with `gpwf prov diff`",
                )


def _moved(facts: Mapping[str, str]) -> dict[str, str]:
    """Return the folder of gammapy's data then and now, where it is another one."""
    then, now = facts.get(f"variables.{_DATA}", ""), os.environ.get(_DATA, "")
    return {then: now} if then and now and then != now else {}


def _load(catalog: str) -> Any:
    from importlib import import_module

    module, _, function = catalog.partition(":")
    return getattr(import_module(module), function)()


def _refuse_bad_inputs(checks: Sequence[InputCheck]) -> None:
    bad = [item for item in checks if not item.is_there]
    if not bad:
        return
    changed = sum(item.state is InputState.CHANGED for item in bad)
    words = [f"{changed} changed"] if changed else []
    words += [f"{len(bad) - changed} missing"] if len(bad) > changed else []
    lines = [
        f"  {item.path}: {item.state} (sha256 {item.digest[:12]}…, {item.size} B; "
        f"step {', '.join(item.steps[:3])})"
        for item in bad[:_MOST_NAMED]
    ]
    if len(bad) > _MOST_NAMED:
        lines.append(f"  and {len(bad) - _MOST_NAMED} more")
    raise PlanError(
        f"{len(bad)} of {len(checks)} inputs are not as recorded: {', '.join(words)}\n"
        + "\n".join(lines),
        hint=f"nothing was computed; --inputs DIR, or {_DATA}, says where the recorded files are",
    )


def _other_software(software: Sequence[SoftwareDifference]) -> UsageError:
    decisive = [item for item in software if item.decides]
    lines = [
        f"  {item.what} {item.name}: {_short(item.recorded)} then, {_short(item.present)} here"
        for item in decisive
    ]
    pins = [f"{item.name}=={item.recorded}" for item in decisive if item.what == "package"]
    install = f"pip install {' '.join(pins)}; or " if pins else ""
    return UsageError(
        "software that decides results is not the recorded one:\n" + "\n".join(lines),
        hint=f"{install}--allow-other-software makes the run with what is here",
    )


def _short(text: str) -> str:
    return f"{text[:12]}…" if len(text) == 64 else text


def _run(
    folder: Path,
    plan: Plan,
    recorded: Recorded,
    jobs: int | None,
    console: str,
    command: Sequence[str],
    catalog: str,
    formats: str,
) -> Run:
    """Run the plan in the store of its own."""
    from gpwf.api.execution import Execution
    from gpwf.run.executors.local import LocalExecutor

    store = Store(folder / STORE)
    store.prepare(folder)
    files = {item.path: item.digest for task in plan.tasks for item in task.files}
    for path, digest in files.items():  # they have just been read; no need to do so again
        with contextlib.suppress(OSError):
            store.inputs.register(Path(path), digest)
    executor = LocalExecutor(jobs)
    with closing(executor):
        if jobs is None and plan.execution.jobs:
            executor.resize(plan.execution.jobs)
        return Execution(
            selection=Selection(plan=plan),
            text=recorded.text or "",
            store=store,
            run_dir=folder,
            executor=executor,
            fail_fast=False,
            console=console,
            command=tuple(command),
            listeners=(),
            catalog=catalog,
            formats=formats,
        ).run()
