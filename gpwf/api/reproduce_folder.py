"""The folder of a run that reproduces another one: its claim, its report, what is left of it."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import gpwf
from gpwf.api.reproduce_recorded import Recorded
from gpwf.api.reproduce_report import REPORT_FORMAT, report_data, report_text
from gpwf.api.reproduce_verdicts import Verdict
from gpwf.errors import RunError, UsageError
from gpwf.prov.replay_verdict import Judged, ReproductionRecord, write_reproduction
from gpwf.run.rundir import new_run_path
from gpwf.store.atomic import PRIVATE_FOLDER, write_atomic
from gpwf.store.store import is_store

if TYPE_CHECKING:
    from gpwf.api.reproduction import Reproduction

__all__ = ["REPRODUCTIONS_FOLDER", "STORE", "prepare_folder", "write_report"]

#: Folder of the runs that reproduce others, below the current folder.
REPRODUCTIONS_FOLDER = "reproductions"
#: Store of such a run, inside its folder.
STORE = "store"

_REPORT, _TEXT = "reproduction.json", "reproduction.txt"
_OTHER = "choose another folder with -o"


def prepare_folder(output: str | Path | None, recorded: Recorded) -> Path:
    """Make the folder of the new run, or take over the one of the same reproduction.

    Raises
    ------
    UsageError
        Where it holds something else.
    RunError
        Where it cannot be written.
    """
    root = Path.cwd() / REPRODUCTIONS_FOLDER
    folder = Path(output) if output is not None else new_run_path(root, recorded.workflow)
    folder = folder.absolute()
    if folder == recorded.path or recorded.path in folder.parents:
        raise UsageError(f"{folder} lies in the run that is to be made again", hint=_OTHER)
    try:
        if folder.exists() and any(folder.iterdir()):
            _check_same(folder, recorded)
        else:
            folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
            claim = {"format": REPORT_FORMAT, "verdict": None, "of": {"run_id": recorded.run_id}}
            write_atomic(folder / _REPORT, (json.dumps(claim) + "\n").encode())
            # with it the folder is that of a run for everybody else, too
            os.close(os.open(folder / "run.lock", os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError as error:
        raise RunError(f"{folder} cannot be written: {error.strerror or error}") from None
    return folder


def _check_same(folder: Path, recorded: Recorded) -> None:
    """Refuse a folder that holds anything else than a reproduction of the same run."""
    try:
        found = json.loads((folder / _REPORT).read_bytes())
        run_id = found["of"]["run_id"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"{folder} is not empty and no reproduction", hint=_OTHER) from None
    if run_id != recorded.run_id:
        raise UsageError(f"{folder} reproduces another run, {run_id}", hint=_OTHER)


def write_report(result: Reproduction, start: datetime, keep: bool) -> None:
    """Write report and provenance; then take away what is there twice.

    Parameters
    ----------
    result : Reproduction
        With a verdict.
    start : datetime
        When the comparison began.
    keep : bool
        Keep the products also where all are identical.

    Raises
    ------
    RunError, ProvenanceError
        Where something cannot be written.
    """
    folder = result.run.path
    assert result.verdict is not None
    record = ReproductionRecord(
        id=str(uuid.uuid4()),
        recorded_run=result.of.run_id,
        new_run=result.run.view.run_id,
        verdict=str(result.verdict),
        engine_version=gpwf.__version__,
        start=start,
        end=datetime.now(UTC),
        products=[
            Judged(
                recorded=item.recorded,
                made=item.made,
                verdict=str(item.verdict),
                deviation=item.deviation,
                place=item.place,
                tolerance=item.tolerance if item.deviation is not None else None,
                note=item.note,
            )
            for item in result.products
        ],
        differences=[
            f"{item.what} {item.name}: {item.recorded} -> {item.present}"
            for item in result.software
        ],
    )
    write_reproduction(folder / "prov" / "reproduction.json", record)
    try:
        data = json.dumps(report_data(result), ensure_ascii=False, indent=1)
        write_atomic(folder / _REPORT, f"{data}\n".encode(errors="backslashreplace"))
        text = report_text(result)
        write_atomic(folder / _TEXT, f"{text}\n".encode(errors="backslashreplace"))
    except OSError as error:
        raise RunError(f"the report in {folder} cannot be written: {error.strerror}") from None
    if result.verdict is Verdict.IDENTICAL and not keep and is_store(folder / STORE):
        for path in (folder / "products", folder / STORE):
            shutil.rmtree(path, ignore_errors=True)
