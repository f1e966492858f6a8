"""Which provenance record a command line means."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gpwf.cli.options import shown_path

if TYPE_CHECKING:
    from gpwf.api import Run

__all__ = ["Record", "find_record", "record_of_run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A PROV-JSON file, and the name or digest of the one product that is meant, where one is."""

    path: Path
    product: str | None = None


def record_of_run(run: Run) -> Path:
    """Return the PROV-JSON of a run, made anew where the journal has gone on since.

    Where the journal was edited instead, the record stays: it is what tells of that.
    """
    from gpwf.core.runs import RunState

    live = run.is_live and run.state is RunState.RUNNING
    journal = run.path / "journal.jsonl"
    record = run.provenance
    if not live and record.is_file():
        if record.stat().st_mtime_ns >= journal.stat().st_mtime_ns:
            return record
        from gpwf.api.record_facts import journal_went_on

        went_on = journal_went_on(record, journal)
        if went_on is None:
            text = f"{shown_path(journal)} is not the journal that the record was made from"
            click.echo(f"warning: {text}; `gpwf prov validate --files` says more", err=True)
        if not went_on:
            return record
    from gpwf.api.recording import write_provenance

    return write_provenance(run, live=live)


def find_record(name: str | None, store: Path | None = None) -> Record:
    """Return the record of a run, of a PROV-JSON file, or of a product or input file anywhere.

    Parameters
    ----------
    name : str, optional
        As given on the command line; the latest run by default.
    store : Path, optional
        Store whose runs may know a file that lies in no run directory; those around it by default.

    Raises
    ------
    UsageError
        For a file that is no record and that no run knows.
    """
    from gpwf import api
    from gpwf.api.find_record import product_file
    from gpwf.core.digests import digest_file

    if name is not None:
        name = str(product_file(name) or name)
    if name is None or not Path(name).is_file():
        return Record(path=record_of_run(api.open_run(name)))
    path = Path(name)
    if path.suffix == ".json" and path.absolute().parent.name == "prov":
        return Record(path=path)
    for folder in path.absolute().parents:  # not resolved: a product is a link into the store
        if (folder / "journal.jsonl").is_file():
            run = api.open_run(folder)
            made = [item for item in run.products() if item.folder in path.absolute().parents]
            name = f"{made[0].task}.{made[0].port}" if made else digest_file(path)
            return Record(path=record_of_run(run), product=name)
    from gpwf.api.find_record import find_record as find_anywhere
    from gpwf.store.cards import read_cards

    if path.suffix == ".json" and not read_cards(path):
        return Record(path=path)
    found = find_anywhere(path, store)
    if found.changed:
        click.echo(f"warning: {shown_path(path)} was changed after {found.task} made it", err=True)
    return Record(path=found.record, product=found.product)
