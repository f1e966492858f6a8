"""Files outside the store: which ones a step reads, what is in them, where one is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from gpwf.core.catalog import ExternalFile, StepCatalog
from gpwf.core.diagnostics import Diagnostic
from gpwf.core.digests import Digest, tagged_digest
from gpwf.core.plan import PlannedFile
from gpwf.core.spec import StepSpec, Variant, WorkflowSpec
from gpwf.errors import StepInputError

__all__ = ["MISSING_INPUT", "FileDigests", "external_files", "located", "missing_inputs"]

#: Code of the diagnostic for an external file, or an item in it, that is not there.
MISSING_INPUT = "GP601"

_MOST_PROBLEMS = 100  # nobody reads more at once


class FileDigests(Protocol):
    """What the compiler needs from the store: digests of files, and a small memory."""

    def digest(self, path: Path) -> tuple[Digest, int]:
        """Return SHA-256 and size of a file."""

    def memo(self, key: str) -> Any | None:
        """Return what was remembered under a key."""

    def remember(self, key: str, value: Any) -> None:
        """Remember plain data; it may be forgotten."""


def missing_inputs(spec: WorkflowSpec, catalog: StepCatalog) -> list[Diagnostic]:
    """Return a problem for every step whose external files are not there.

    Looks at names only; nothing is hashed.
    """
    problems: list[Diagnostic] = []
    seen: dict[Path, bool] = {}
    looked_at: set[str] = set()
    pairs = ((item, variant) for item in spec.steps for variant in item.variants)
    for step, variant in pairs:
        if len(problems) >= _MOST_PROBLEMS:
            break
        key = catalog.files_key(step.tag, variant.settings, variant.types)
        if key is None or key in looked_at:
            continue
        looked_at.add(key)
        try:
            for item in catalog.external_files(step.tag, variant.settings):
                if item.path not in seen:
                    seen[item.path] = item.path.is_file()
                if not seen[item.path]:
                    raise _unreadable(step, item, "no such file")
        except StepInputError as error:
            found = located(step, variant, error)
            if found not in problems:
                problems.append(found)
    return problems


def external_files(
    step: StepSpec, variant: Variant, catalog: StepCatalog, files: FileDigests
) -> tuple[PlannedFile, ...]:
    """Return the external files that a step reads with one variant of its settings, with digests.

    Which files these are may take an import of astropy to find out (a datastore's index), so the
    answer is remembered under the settings and the content of the index files.

    Raises
    ------
    StepInputError
        Where one is not there or cannot be read.
    """
    settings = variant.settings
    index = _digested(step, catalog.index_files(step.tag, settings), files)
    if not catalog.has_index(step.tag):
        return tuple(index)
    memo_key = tagged_digest(
        "gpwf-files/1",
        catalog.implementation(step.tag).get("source", ""),
        step.tag,
        catalog.version(step.tag),
        dict(settings),
        [[item.path, item.digest] for item in index],
    )
    known = files.memo(memo_key)
    if known is not None and all(Path(item["path"]).is_file() for item in known):
        found = [
            ExternalFile(setting=item["setting"], path=Path(item["path"]), name=item["name"])
            for item in known
        ]
    else:
        found = list(catalog.external_files(step.tag, settings))
        files.remember(
            memo_key,
            [
                {"setting": item.setting, "path": str(item.path), "name": item.name}
                for item in found
            ],
        )
    return tuple(_digested(step, found, files))


def _digested(step: StepSpec, found: Any, files: FileDigests) -> list[PlannedFile]:
    planned = []
    for item in found:
        try:
            digest, size = files.digest(item.path)
        except OSError as error:
            reason = error.strerror or str(error)
            raise _unreadable(step, item, reason) from None
        planned.append(
            PlannedFile(
                setting=item.setting,
                name=item.name,
                path=str(item.path),
                digest=digest,
                size=size,
            )
        )
    return sorted(planned, key=lambda item: (item.setting, item.name, item.path))


def _unreadable(step: StepSpec, item: ExternalFile, reason: str) -> StepInputError:
    return StepInputError(
        f"cannot read {item.path}: {reason}",
        setting=item.setting,
        hint=f"step {step.name} needs this file; correct the path or its permissions",
    )


def located(step: StepSpec, variant: Variant, error: StepInputError) -> Diagnostic:
    """Return the problem at the place of its setting, or of the nearest written one around it."""
    path = error.setting
    origin = variant.origins.get(path) or variant.origins.get(f"{path}.0")
    by = origin.detail.rpartition("; ")[2] if origin and origin.source == "command line" else ""
    given = f" (given by {by})" if by else ""
    while path and path not in variant.spans:
        path = path.rpartition(".")[0]
    return Diagnostic(
        code=MISSING_INPUT,
        message=f"step {step.name}: {error.message}{given}",
        span=variant.spans.get(path) or variant.spans.get(""),
        hint=error.hint,
        step=step.name,
    )
