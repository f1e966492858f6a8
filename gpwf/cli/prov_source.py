"""Which record an argument RUN or FILE means, in whatever format it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gpwf.cli.prov_record import find_record

if TYPE_CHECKING:
    from gpwf.prov.export import Source

__all__ = ["find_source"]

_BEGINNING = 4000


def find_source(name: str | None) -> Source:
    """Return the record of a run, of a product file inside a run, or in a file of any format.

    Parameters
    ----------
    name : str, optional
        As given on the command line; the latest run by default.

    Raises
    ------
    UsageError
        For a file that is no record and lies in no run directory.
    """
    from gpwf.prov.export import Source

    path = Path(name) if name is not None else None
    if path is not None and path.is_file() and _is_record(path):
        return Source(record=path, run=_run_of(path))
    record = find_record(name)
    return Source(record=record.path, run=_run_of(record.path))


def _run_of(record: Path) -> Path | None:
    """Return the run directory that a record lies in."""
    folder = record.absolute().parent
    is_inside = folder.name == "prov" and (folder.parent / "journal.jsonl").is_file()
    return folder.parent if is_inside else None


def _is_record(path: Path) -> bool:
    """Tell whether a file begins like a record, and is none of the products of a run."""
    from gpwf.prov.reading import kind_of_text

    absolute = path.absolute()
    inside = [folder for folder in absolute.parents if (folder / "journal.jsonl").is_file()]
    if inside and absolute.parent.name != "prov":
        return False
    with path.open("rb") as stream:
        begin = stream.read(_BEGINNING).decode("utf-8", errors="replace")
    return kind_of_text(begin) != ""
