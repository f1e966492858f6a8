"""Take provenance that other tools wrote into the record of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gpwf.api.runs import Run
from gpwf.core.plan import Plan
from gpwf.errors import GpwfError, UsageError
from gpwf.prov.ingest import Ingested, read_foreign, write_ingested
from gpwf.prov.ingest_links import OurFile
from gpwf.prov.sidecars import find_sidecars

__all__ = ["IngestedFile", "ingest", "sidecars", "take_sidecars"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestedFile:
    """A file that was taken in.

    Parameters
    ----------
    found : Ingested
        What it says.
    path : Path
        Where that is now, beside the record.
    """

    found: Ingested
    path: Path


def ingest(
    run: Run, files: Sequence[str | Path] = (), *, input: str | None = None
) -> list[IngestedFile]:
    """Take files in: all of them, or none where one of them cannot be read.

    The same file again is the same document. Task keys do not change, nor does the record.

    Parameters
    ----------
    run : Run
        Whose record.
    files : sequence of str or Path
        Logs of ctapipe, FITS files, PROV documents; by default those that lie beside the inputs
        (`sidecars`), and those that the workflow names in its metadata (``provenance: [...]``).
    input : str, optional
        The input that they tell of, by its path, the end of it, or its SHA-256.

    Raises
    ------
    UsageError
        Where there is no such input.
    ProvenanceError
        Where a file cannot be read, or nothing can be written.
    """
    ours = _inputs(run.plan)
    only = _input(ours, input) if input is not None else None
    paths = [Path(item) for item in files] if files else sidecars(run)
    found = [read_foreign(path, ours, only) for path in paths]
    folder = run.provenance.parent
    return [IngestedFile(found=item, path=write_ingested(folder, item)) for item in found]


def take_sidecars(run: Run, files: Sequence[Path]) -> list[str]:
    """Take sidecars in at the end of a run; return what did not go well, in sentences.

    Each for itself, as far as it can be read: nothing of it fails a run.

    Parameters
    ----------
    run : Run
        The run.
    files : sequence of Path
        As `sidecars` returns them.
    """
    warnings: list[str] = []
    for path in files:
        try:
            for item in ingest(run, [path]):
                warnings += item.found.warnings
        except GpwfError as error:
            warnings.append(f"{error.message}: it is not in the record")
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            warnings.append(f"{path} cannot be taken in: {error}: it is not in the record")
    return warnings


def sidecars(run: Run) -> list[Path]:
    """Return the files with provenance that go with the inputs of a run.

    Those that lie beside an input and are called as it is, with ``.prov.json``,
    ``.provenance.log``, ``.provn`` or ``.provx`` behind, and those that the workflow names under
    ``metadata: {provenance: [...]}``, relative to the workflow.
    """
    return find_sidecars(run.plan)


def _inputs(plan: Plan) -> list[OurFile]:
    found = {
        (item.path, item.digest): OurFile(
            path=item.path, name=item.name, digest=item.digest, size=item.size
        )
        for task in plan.tasks
        for item in task.files
    }
    return list(found.values())


def _input(ours: Sequence[OurFile], name: str) -> OurFile:
    path = str(Path(name).absolute())
    found = [item for item in ours if item.path == path or item.digest == name.lower()]
    found = found or [item for item in ours if f"/{item.path}".endswith(f"/{name}")]
    if len(found) == 1:
        return found[0]
    if not found:
        few = ", ".join(item.path for item in ours[:5])
        raise UsageError(f"--for {name}: the run has no such input", hint=f"it has {few or 'none'}")
    raise UsageError(
        f"--for {name} fits {len(found)} inputs", hint=", ".join(item.path for item in found[:5])
    )
