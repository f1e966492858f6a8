"""Workflow Run RO-Crate of a run, profile Provenance Run Crate.

A crate holds the workflow, every attempt with its settings, inputs, products, times and resources,
the environment, the W3C PROV record and the journal, described in JSON-LD that an archive reads
without gpwf.

References
----------
Provenance Run Crate 0.5, https://w3id.org/ro/wfrun/provenance/0.5, which is tied to RO-Crate 1.1,
https://w3id.org/ro/crate/1.1. S. Leo et al. 2024, PLOS ONE 19, e0309210
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpwf.core.digests import digest_bytes
from gpwf.core.plan import Plan
from gpwf.core.redact import redact_text
from gpwf.errors import ProvenanceError
from gpwf.prov.crate_actions import CrateActions, steps_of
from gpwf.prov.crate_data import ROOT, CrateData
from gpwf.prov.crate_files import METADATA, CrateSink, open_sink
from gpwf.prov.crate_graph import CrateGraph, ref, time_text
from gpwf.prov.crate_preview import PREVIEW, preview_page
from gpwf.prov.crate_record import ArchivedRecord, read_archived
from gpwf.prov.crate_software import (
    add_authors,
    add_engine,
    add_environment,
    add_file,
    add_licence,
    add_person,
    add_publisher,
)
from gpwf.prov.crate_texts import redacted_json
from gpwf.prov.crate_workflow import WORKFLOW, CrateWorkflow

__all__ = ["CrateParts", "CrateReport", "write_crate"]

_CRATE = "https://w3id.org/ro/crate/1.1"
#: The profiles, what each is called, and its version.
_PROFILES = (
    ("https://w3id.org/ro/wfrun/process/0.5", "Process Run Crate", "0.5"),
    ("https://w3id.org/ro/wfrun/workflow/0.5", "Workflow Run Crate", "0.5"),
    ("https://w3id.org/ro/wfrun/provenance/0.5", "Provenance Run Crate", "0.5"),
    ("https://w3id.org/workflowhub/workflow-ro-crate/1.0", "Workflow RO-Crate", "1.0"),
)
_BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
_PROV_JSON = "https://www.w3.org/submissions/prov-json/"


@dataclass(frozen=True, slots=True, kw_only=True)
class CrateParts:
    """What a crate is made of.

    Parameters
    ----------
    record : Path
        The PROV-JSON record of a run; secrets are redacted in it.
    plan : Plan
        The plan of the run.
    plan_file : Path
        The plan as it was frozen.
    texts : dict of str to Path
        Further files of the run by their name in the crate: journal, log, and what was ingested.
    workflow : str
        Text of the workflow where the record has none.
    find : callable
        Returns where the bytes with a SHA-256 are kept; None where they are gone.
    """

    record: Path
    plan: Plan
    plan_file: Path
    texts: dict[str, Path]
    workflow: str = ""
    find: Callable[[str], Path | None] = lambda _: None


@dataclass(frozen=True, slots=True, kw_only=True)
class CrateReport:
    """What was written.

    Parameters
    ----------
    path : Path
        Folder or archive.
    n_entities, n_files, n_bytes : int
        Entities in the graph; files and their bytes before compression.
    problems : tuple of str
        What is not in the crate although it should be.
    notes : tuple of str
        What else the reader should know.
    """

    path: Path
    n_entities: int
    n_files: int
    n_bytes: int
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def write_crate(
    parts: CrateParts,
    path: Path,
    *,
    with_inputs: bool = False,
    with_products: bool = True,
    overwrite: bool = False,
) -> CrateReport:
    """Write the research object crate of a run: whole or not at all.

    Parameters
    ----------
    parts : CrateParts
        What it is made of.
    path : Path
        Folder to make; an archive where the name ends in ``.zip``.
    with_inputs : bool
        Copy external input files; they are described with path, size and SHA-256 anyway.
    with_products : bool
        Copy products.
    overwrite : bool
        Replace a crate that is there.

    Raises
    ------
    UsageError
        Where something is there already.
    ProvenanceError
        Where the record cannot be read, tells of no attempt, or nothing can be written.
    """
    record = read_archived(parts.record)
    steps = steps_of(record)
    if not steps:
        raise ProvenanceError(
            "the run has no attempt at any task: there is nothing to put into a crate",
            hint="`gpwf prov export --format json` writes what is known of it",
        )
    sink = open_sink(path, overwrite=overwrite)
    try:
        report = _fill(parts, record, steps, sink, with_inputs, with_products)
        sink.finish()
    except OSError as error:
        sink.discard()
        raise ProvenanceError(
            f"cannot write {path}: {error.strerror or error}",
            hint="choose another place with -o, or make room",
        ) from error
    except BaseException:
        sink.discard()
        raise
    return report


def _fill(
    parts: CrateParts,
    record: ArchivedRecord,
    steps: dict[str, list[str]],
    sink: CrateSink,
    with_inputs: bool,
    with_products: bool,
) -> CrateReport:
    graph = CrateGraph()
    _add_root(graph, parts.plan, record)
    ran = {step for names in steps.values() for step in names}
    workflow = CrateWorkflow(graph, parts.plan, record, ran)
    notes = _add_documents(graph, parts, record, sink)
    data = CrateData(
        record,
        graph,
        sink,
        find=parts.find,
        with_inputs=with_inputs,
        with_products=with_products,
    )
    person, engine = add_person(graph, record), add_engine(graph, record)
    log = "log.jsonl" if "log.jsonl" in sink.names else ""
    actions = CrateActions(
        graph, record, workflow, data, steps=steps, person=person, engine=engine, log=log
    )
    actions.add_run()
    actions.add_attempts()
    documents = data.documents()
    for place in documents.values():
        graph.link(actions.run_id, "object", place)
    workflow.documents(documents)
    workflow.finish(actions.outputs)
    add_environment(graph, record, sink, WORKFLOW, actions.run_id)
    _add_terms_of_use(graph, parts.plan, person)
    for name in sorted(item for item in sink.names if item.startswith("prov/")):
        graph.add(name, "File", about=ref(actions.run_id))
    _add_readme(graph, parts.plan, record, sink)
    document = graph.document()
    sink.add_bytes(PREVIEW, preview_page(document).encode())
    sink.add_bytes(METADATA, (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode())
    return CrateReport(
        path=sink.target,
        n_entities=len(graph),
        n_files=len(sink.names),
        n_bytes=sink.n_bytes,
        problems=tuple(data.problems),
        notes=tuple(notes),
    )


def _add_root(graph: CrateGraph, plan: Plan, record: ArchivedRecord) -> None:
    graph.add(
        METADATA,
        "CreativeWork",
        about=ref(ROOT),
        conformsTo=[ref(_CRATE), ref(_PROFILES[-1][0])],
    )
    run = record.run
    state = str(run.get("state"))
    graph.add(
        ROOT,
        "Dataset",
        name=f"Run of {plan.name}",
        description=f"{plan.description or plan.name}: run {run.get('runId')} with gpwf, {state}",
        # what the record says does not change any more: the same run gives the same crate
        datePublished=time_text(run.end or run.start),
        conformsTo=[ref(address) for address, _, _ in _PROFILES],
        mainEntity=ref(WORKFLOW),
    )
    for address, name, version in _PROFILES:
        graph.add(address, "CreativeWork", name=name, version=version)
    graph.add(_BIOSCHEMAS, "CreativeWork", name="Bioschemas ComputationalWorkflow", version="1.0")
    graph.add(_PROV_JSON, "CreativeWork", name="The PROV-JSON Serialization")


def _add_terms_of_use(graph: CrateGraph, plan: Plan, person: str) -> None:
    """Add authors and licence: of the data and of the workflow, as the workflow states them."""
    authors = [ref(name) for name in add_authors(graph, plan.metadata, person)]
    licence = ref(add_licence(graph, plan.metadata))
    publisher = ref(add_publisher(graph, plan.metadata))
    graph.add(ROOT, "Dataset", author=authors, license=licence, publisher=publisher)
    graph.add(WORKFLOW, [], author=authors, license=licence)


def _add_documents(
    graph: CrateGraph, parts: CrateParts, record: ArchivedRecord, sink: CrateSink
) -> list[str]:
    """Add workflow, plan, record, journal and log; return what differs from the originals."""
    notes: list[str] = []
    text = str(record.workflow.get("prov:value")) or redact_text(parts.workflow)
    if not text:
        text = f"# Workflow {parts.plan.name}: no text was recorded; the plan is in plan.json.\n"
        notes.append("the text of the workflow was not recorded")
    _document(graph, sink, WORKFLOW, text.encode())
    if digest_bytes(text.encode()) != parts.plan.workflow_digest:
        graph.add(WORKFLOW, [], identifier=f"urn:sha256:{parts.plan.workflow_digest}")
    _document(
        graph, sink, "prov/prov.json", parts.record.read_bytes(),
        name="W3C PROV record of the run", conformsTo=ref(_PROV_JSON),
    )  # fmt: skip
    for name, path in {"plan.json": parts.plan_file, **parts.texts}.items():
        try:
            original = path.read_bytes()
        except FileNotFoundError:
            continue
        data = redacted_json(original)
        about: dict[str, Any] = {"name": _NAMES.get(name, name)}
        if name.startswith("prov/ingested-"):
            about["name"] = "W3C PROV of what other tools did, linked with the inputs of the run"
        if name.startswith("prov/"):
            about["conformsTo"] = ref(_PROV_JSON)
        if data != original:
            notes.append(f"{name}: secrets were redacted; the record has the digest from before")
            about["description"] = (
                f"Secrets are redacted; the original has the SHA-256 {digest_bytes(original)}"
            )
        _document(graph, sink, name, data, **about)
    return notes


def _add_readme(graph: CrateGraph, plan: Plan, record: ArchivedRecord, sink: CrateSink) -> None:
    run = record.run
    text = _README.format(
        title=graph[ROOT]["name"],
        about=plan.description or plan.name,
        run=run.get("runId"),
        state=run.get("state"),
        day=f"{run.start:%Y-%m-%d}" if run.start else "a day that is not recorded",
    )
    add_file(graph, sink, "README.md", text.encode(), name="What this is", about=ref(ROOT))


_README = """\
# {title}

{about}

A run of a gamma-ray analysis with gpwf, of {day}, that ended as: {state}. Run {run}.

- `ro-crate-preview.html`: what was done, for people
- `ro-crate-metadata.json`: the same for machines, a Workflow Run RO-Crate
  (https://w3id.org/ro/wfrun/provenance/0.5)
- `workflow.yaml`, `plan.json`: what was to be done
- `products/`: what came out, where it is a part of this crate
- `prov/prov.json`: the W3C PROV record of the run; `journal.jsonl`, `log.jsonl`: what it was made
  from; `prov/ingested-*.json`, where there are any: what other tools did before
- `environment/`: software and machine

To do it again: `gpwf run workflow.yaml`, with the data that the record names.
"""

_NAMES = {
    "plan.json": "Resolved plan",
    "journal.jsonl": "Journal of the run",
    "log.jsonl": "Log of the run",
    "prov/reproduction.json": "W3C PROV of the reproduction that this run was",
}


def _document(graph: CrateGraph, sink: CrateSink, path: str, data: bytes, **about: Any) -> None:
    add_file(graph, sink, path, data, **about)
