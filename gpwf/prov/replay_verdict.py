"""The verdict of a reproduction as provenance: ``prov/reproduction.json`` of the new run."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gpwf.errors import ProvenanceError
from gpwf.prov.entities import record_value
from gpwf.prov.json_recorder import JsonRecorder
from gpwf.prov.json_sections import replacing
from gpwf.prov.recorder import Recorder, Ref
from gpwf.prov.replay import MadeProduct
from gpwf.prov.vocabulary import hashed_id, local_id

__all__ = ["Judged", "ReproductionRecord", "write_reproduction"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One product with its verdict.

    Parameters
    ----------
    recorded, made : MadeProduct
        Of the recorded run and of the new one; ``made`` is None where it was not made.
    verdict : str
        ``identical``, ``same data``, ``within tolerance``, ``differs`` or ``not made``.
    deviation : float or None
        Largest relative deviation, where numbers were compared.
    place : str
        Where it is.
    tolerance : float or None
        What was allowed, where numbers were compared.
    note : str
        Why nothing was made or compared.
    """

    recorded: MadeProduct
    made: MadeProduct | None
    verdict: str
    deviation: float | None
    place: str
    tolerance: float | None
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReproductionRecord:
    """What is said of a reproduction.

    Parameters
    ----------
    id : str
        UUID of the reproduction.
    recorded_run, new_run : str
        UUIDs of the runs.
    verdict : str
        The worst of the products.
    engine_version : str
        Version of gpwf.
    start, end : datetime
        When the products were compared.
    products : sequence of Judged
        In the order of the plan.
    differences : sequence of str
        Software that differs, ``gammapy 2.1 -> 2.2``.
    """

    id: str
    recorded_run: str
    new_run: str
    verdict: str
    engine_version: str
    start: datetime
    end: datetime
    products: Sequence[Judged]
    differences: Sequence[str] = ()


def write_reproduction(path: Path, record: ReproductionRecord) -> Path:
    """Write a reproduction as PROV-JSON, whole or not at all; return the file.

    Both runs are named, not described: their own records do that.

    Raises
    ------
    ProvenanceError
        Where the file cannot be written.
    """
    try:
        with closing(JsonRecorder(path.parent)) as recorder:
            _record(recorder, record)
            with replacing(path) as stream:
                recorder.write_to(stream)
    except OSError as error:
        raise ProvenanceError(
            f"cannot write {path}: {error.strerror or error}", hint="make the folder writable"
        ) from None
    return path


def _record(recorder: Recorder, record: ReproductionRecord) -> None:
    engine = recorder.agent(
        local_id("agent", "gpwf", record.engine_version),
        ("prov:SoftwareAgent", "wfprov:WorkflowEngine"),
        [
            ("prov:label", f"gpwf {record.engine_version}"),
            ("name", "gpwf"),
            ("version", record.engine_version),
        ],
    )
    runs = []
    for run_id in (record.recorded_run, record.new_run):
        run = local_id("run", run_id)
        recorder.activity(run, None, None, (), [("runId", run_id)])
        runs.append(run)
    activity = recorder.activity(
        local_id("reproduction", record.id),
        record.start,
        record.end,
        ("gpwf:Reproduction",),
        [
            ("prov:label", f"reproduction of run {record.recorded_run[:8]}: {record.verdict}"),
            ("reproduces", Ref(runs[0])),
            ("reproducedBy", Ref(runs[1])),
            *(("softwareDifference", item) for item in record.differences),
        ],
    )
    for run in runs:
        recorder.informed(activity, run)
    plan = recorder.entity(
        hashed_id("comparison", "gpwf-reproduction/1"),
        ("prov:Plan",),
        [("prov:label", "compare the products of two runs"), ("name", "gpwf reproduce")],
    )
    recorder.associated(activity, engine, plan)
    whole = recorder.entity(
        local_id("verdict", record.id),
        ("gpwf:Verdict", "prov:Collection"),
        [("prov:label", record.verdict), ("verdict", record.verdict)],
    )
    recorder.generated(whole, activity, "out.verdict", record.end)
    for number, item in enumerate(record.products):
        part = _verdict(recorder, activity, record, item, number)
        recorder.member(whole, part)


def _verdict(
    recorder: Recorder, activity: str, record: ReproductionRecord, item: Judged, number: int
) -> str:
    name = f"{item.recorded.task}.{item.recorded.port}"
    part = recorder.entity(
        local_id("verdict", record.id, str(number)),
        ("gpwf:Verdict",),
        [
            ("prov:label", f"{name}: {item.verdict}"),
            ("task", item.recorded.task),
            ("port", item.recorded.port),
            ("verdict", item.verdict),
            ("deviation", item.deviation),
            ("deviationPlace", item.place),
            ("tolerance", item.tolerance),
            ("reason", item.note),
        ],
    )
    generation = recorder.generated(part, activity, "out.verdict", record.end)
    used = []
    for role, made in (("in.recorded", item.recorded), ("in.made", item.made)):
        if made is None:
            continue
        if not recorder.has(made.entity):
            recorder.entity(  # what made it is in the record of its run, and so is its type
                made.entity,
                ("wfprov:Artifact", "prov:Collection"),
                [
                    ("prov:label", f"{made.task}.{made.port}"),
                    ("port", made.port),
                    ("kind", made.product.kind),
                    ("digest", made.product.digest),
                ],
            )
            value = record_value(recorder, made.product.digest, made.product.kind)
            recorder.specialises(made.entity, value)
        used.append((made.entity, recorder.used(activity, made.entity, role, record.start)))
    for entity, usage in dict(used).items():
        recorder.derived(part, entity, activity, generation, usage)
    return part
