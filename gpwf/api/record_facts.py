"""What a record says of files: digests of journal, log, plans, inputs and products."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpwf.api.journal_chain import read_chain
from gpwf.errors import ProvenanceError
from gpwf.prov.validation.instance import plain, types_of
from gpwf.prov.validation.json_stream import Member, members

__all__ = ["RecordedFiles", "RecordedInput", "journal_went_on", "recorded_files"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedInput:
    """An external file: its identifier in the record, its path and its SHA-256."""

    entity: str
    path: str
    digest: str


@dataclass(slots=True, kw_only=True)
class RecordedFiles:
    """Digests that a record gives.

    Attributes
    ----------
    logs : dict of str to str
        SHA-256 by file name, ``journal.jsonl`` and ``log.jsonl``.
    journal_sum : str
        End of the chain of the journal, where the record has it.
    workflow, plan : str
        SHA-256 of ``workflow.yaml`` and ``plan.json``.
    text : str
        Text of the workflow, without secrets; without the home folder in an anonymous run.
    inputs : list of RecordedInput
        Files outside of run and store.
    products : dict of str to dict
        SHA-256 by file name, for each product's identifier.
    store : str
        Folder of the store.
    """

    logs: dict[str, str] = field(default_factory=dict)
    journal_sum: str = ""
    workflow: str = ""
    text: str = ""
    plan: str = ""
    inputs: list[RecordedInput] = field(default_factory=list)
    products: dict[str, dict[str, str]] = field(default_factory=dict)
    store: str = ""


def recorded_files(record: Path) -> RecordedFiles:
    """Collect the digests of a record, PROV-JSON; what of it cannot be read is passed over.

    Raises
    ------
    ProvenanceError
        Where there is no such file.
    """
    found = RecordedFiles()
    files: dict[str, tuple[str, str]] = {}
    for item in members(record):
        if not isinstance(item, Member) or not isinstance(item.value, Mapping):
            continue
        if item.section == "entity":
            _entity(found, files, item.name, item.value)
        elif item.section == "hadMember":
            product = plain(item.value.get("prov:collection"))
            member = files.get(plain(item.value.get("prov:entity")))
            if product in found.products and member is not None:
                found.products[product][member[0]] = member[1]
        elif item.section == "activity" and "gpwf:store" in item.value:
            found.store = plain(item.value["gpwf:store"])
    return found


def _entity(
    found: RecordedFiles,
    files: dict[str, tuple[str, str]],
    name: str,
    value: Mapping[str, Any],
) -> None:
    types, digest = types_of(value), plain(value.get("gpwf:sha256"))
    if "gpwf:Product" in types:
        found.products[name] = {}
    elif "gpwf:ResolvedPlan" in types:
        found.plan = digest
    elif "wfdesc:Workflow" in types and "wfdesc:Process" not in types:  # not an included one
        found.workflow, found.text = digest, plain(value.get("prov:value"))
    elif "gpwf:Log" in types and "gpwf:task" not in value:  # not the lines of one attempt
        found.logs[plain(value.get("gpwf:name"))] = digest
        found.journal_sum = plain(value.get("gpwf:journalSum")) or found.journal_sum
    elif "gpwf:File" in types and digest:
        place = plain(value.get("prov:location"))
        if place:
            found.inputs.append(RecordedInput(entity=name, path=place, digest=digest))
        else:
            files[name] = plain(value.get("gpwf:name")), digest


def journal_went_on(record: Path, journal: Path) -> bool | None:
    """Tell whether a journal has more lines than when its record was written.

    Parameters
    ----------
    record : Path
        The record, PROV-JSON.
    journal : Path
        ``journal.jsonl`` of its run.

    Returns
    -------
    bool or None
        None where it is another journal than the one that the record was made from: it was edited.
        True for a record that does not say from which journal it was made.

    Raises
    ------
    RunError
        Where the journal cannot be read.
    """
    try:
        recorded = recorded_files(record).logs.get(journal.name, "")
    except ProvenanceError:
        return True
    if not recorded:
        return True
    chain = read_chain(journal, recorded)
    return None if chain.prefix_lines is None else chain.prefix_lines < chain.n_lines
