"""Compare a run directory with its record: chain and digests of every file.

The rules are explained in ``docs/reference/prov-rules.md`` under their names, ``FI-01`` and on.
Nothing is changed, and no cache of digests is trusted: every file is read.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from gpwf.api.journal_chain import Chain, read_chain
from gpwf.api.record_facts import RecordedFiles, recorded_files
from gpwf.api.runs import Run
from gpwf.core.anonymity import HOME
from gpwf.core.diagnostics import Severity
from gpwf.core.digests import digest_file
from gpwf.core.redact import redact_text
from gpwf.errors import GpwfError
from gpwf.prov.validation.findings import Finding

__all__ = ["FILE_RULES", "check_files"]

#: The rules about files, with their headings in the reference.
FILE_RULES = {
    "FI-01": "The journal is an unbroken chain",
    "FI-02": "The journal is the one of the record",
    "FI-03": "The plan is the one of the record",
    "FI-04": "The workflow is the one of the record",
    "FI-05": "The log is the one of the record",
    "FI-06": "The file of a product has the digest of the record",
    "FI-07": "The file of a product is there",
    "FI-08": "An input is what it was when the run used it",
    "FI-09": "An input can be found",
    "FI-10": "Journal and record name the same files",
    "FI-11": "The files of a run directory are there",
    "FI-12": "A run has a record",
    "FI-13": "The record is what plan and journal say",
}

_ERROR, _WARNING = Severity.ERROR, Severity.WARNING


class _Digests:
    """SHA-256 of files, each read once, whatever it is called."""

    def __init__(self, on_file: Callable[[Path], None] | None) -> None:
        self._known: dict[str, str] = {}
        self._on_file = on_file

    def of(self, path: Path) -> str:
        """Return the digest of a file.

        Raises
        ------
        OSError
            Where it cannot be read.
        """
        real = os.path.realpath(path)
        found = self._known.get(real)
        if found is None:
            if self._on_file is not None:
                self._on_file(path)
            found = self._known[real] = digest_file(Path(real))
        return found


def check_files(
    run: Run,
    record: Path,
    counts: Counter[str],
    on_file: Callable[[Path], None] | None = None,
) -> Iterator[Finding]:
    """Yield what of a run directory is not what its record says.

    Parameters
    ----------
    run : Run
        The run. Its plan may be damaged: then products are looked for in the store by the record.
    record : Path
        Its record, PROV-JSON.
    counts : Counter
        Is filled with the number of files that were compared.
    on_file : callable, optional
        Called with every file before it is read, which may take long.
    """
    facts, digests = recorded_files(record), _Digests(on_file)
    yield from _journal(run, facts, counts)
    for name, recorded, rule in (
        ("plan.json", facts.plan, "FI-03"),
        ("workflow.yaml", facts.workflow, "FI-04"),
        ("log.jsonl", facts.logs.get("log.jsonl", ""), "FI-05"),
    ):
        if recorded:
            counts["run directory"] += 1
            if rule != "FI-04" or not _is_text(run.path / name, facts.text):
                yield from _file_of_run(run.path / name, recorded, rule, digests)
    yield from _products(run, facts, digests, counts)
    yield from _inputs(facts, digests, counts)


# ---- the journal ----------------------------------------------------------------------------


def _journal(run: Run, facts: RecordedFiles, counts: Counter[str]) -> Iterator[Finding]:
    path = run.path / "journal.jsonl"
    recorded = facts.logs.get("journal.jsonl", "")
    try:
        chain = read_chain(path, recorded)
    except GpwfError as error:
        yield Finding(rule="FI-11", severity=_ERROR, message=error.message, file=str(path))
        return
    counts["journal lines"] += chain.n_lines
    for item in chain.breaks:
        yield Finding(
            rule="FI-01",
            severity=_WARNING if item.is_torn else _ERROR,
            message=f"line {item.line} {item.message}",
            file=str(path),
            line=item.line,
            expected=item.expected,
            found=item.found,
        )
    if recorded and chain.digest != recorded:
        yield _other_journal(run, path, chain, recorded)
    elif facts.journal_sum and chain.last_sum != facts.journal_sum:
        yield Finding(
            rule="FI-02",
            severity=_ERROR,
            message="the chain ends with another sum than the record says",
            file=str(path),
            line=chain.n_lines,
            expected=facts.journal_sum,
            found=chain.last_sum,
        )


def _other_journal(run: Run, path: Path, chain: Chain, recorded: str) -> Finding:
    if chain.prefix_lines is not None:
        more = chain.n_lines - chain.prefix_lines
        what = "a driver works on it" if run.is_live else "the run went on, or lines were put in"
        return Finding(
            rule="FI-02",
            severity=_WARNING,
            message=f"has {more} lines more than when the record was written: {what}",
            file=str(path),
            line=chain.prefix_lines + 1,
            expected=recorded,
            found=chain.digest,
        )
    if not chain.breaks:
        hint = "every line fits the one before: they were made anew, or come from another run"
    else:
        hint = "the lines that were changed are named above"
    return Finding(
        rule="FI-02",
        severity=_ERROR,
        message="is not the journal that the record was made from",
        file=str(path),
        expected=recorded,
        found=chain.digest,
        hint=hint,
    )


# ---- files ------------------------------------------------------------------------------------


def _is_text(path: Path, text: str) -> bool:
    """Tell whether a file has the text of a record: that of an anonymous run has no home folder.

    Then the digest, that of the document as it was given, is not the file's.
    """
    try:
        found = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return bool(text) and HOME in text and text in (found, redact_text(found))


def _file_of_run(path: Path, recorded: str, rule: str, digests: _Digests) -> Iterator[Finding]:
    try:
        found = digests.of(path)
    except OSError as error:
        reason = "is gone" if isinstance(error, FileNotFoundError) else f"{error.strerror}"
        yield Finding(
            rule="FI-11", severity=_ERROR, message=reason, file=str(path), expected=recorded
        )
        return
    if found != recorded:
        yield Finding(
            rule=rule,
            severity=_ERROR,
            message="was changed after the record was written",
            file=str(path),
            expected=recorded,
            found=found,
        )


def _products(
    run: Run, facts: RecordedFiles, digests: _Digests, counts: Counter[str]
) -> Iterator[Finding]:
    """Compare the products of a run under their names; by the record alone where it cannot be."""
    try:
        products = run.products()
    except GpwfError as error:
        yield Finding(
            rule="FI-11",
            severity=_ERROR,
            message=f"{error.message}: products are looked for in the store",
            file=str(run.path),
        )
        yield from _objects(facts, digests, counts)
        return
    n_files = sum(len(product.product.files) for product in products)
    if n_files and not (run.path / "products").is_dir():
        yield Finding(
            rule="FI-07",
            severity=_WARNING,
            message=f"the products were removed: {n_files} files cannot be compared",
            file=str(run.path / "products"),
            hint="`gpwf run` makes them again",
        )
        return
    known = {digest for files in facts.products.values() for digest in files.values()}
    seen: set[Path] = set()
    for product in products:
        for item in product.product.files:
            path, name = product.folder / item.name, f"{product.task}.{product.port}"
            counts["product files"] += 1
            seen.add(path)
            yield from _compared(path, item.digest, name, digests)
            if known and item.digest not in known:
                yield Finding(
                    rule="FI-10",
                    severity=_ERROR,
                    message=f"the journal names {item.name}, of which the record knows nothing",
                    subject=name,
                    file=str(path),
                    found=item.digest,
                )
    yield from _others(run.path / "products", seen, known, digests, counts)


def _others(
    folder: Path, seen: set[Path], known: set[str], digests: _Digests, counts: Counter[str]
) -> Iterator[Finding]:
    """Compare files that lie with the products, but that the readable journal does not name."""
    for path in sorted(folder.rglob("*")):
        if path in seen or path.is_dir():
            continue
        counts["product files"] += 1
        try:
            found = digests.of(path)
        except OSError as error:
            message = f"the file cannot be read: {error.strerror}"
            yield Finding(rule="FI-07", severity=_ERROR, message=message, file=str(path))
            continue
        if found not in known:
            yield Finding(
                rule="FI-06",
                severity=_ERROR,
                message="the file is none of those that the record names: changed, or put here",
                file=str(path),
                found=found,
            )


def _objects(facts: RecordedFiles, digests: _Digests, counts: Counter[str]) -> Iterator[Finding]:
    for product, files in facts.products.items():
        for digest in files.values():
            counts["product files"] += 1
            path = Path(facts.store) / "objects" / digest[:2] / digest
            yield from _compared(path, digest, product, digests)


def _compared(path: Path, recorded: str, name: str, digests: _Digests) -> Iterator[Finding]:
    try:
        found = digests.of(path)
    except OSError as error:
        reason = "is gone" if isinstance(error, FileNotFoundError) else f"{error.strerror}"
        yield Finding(
            rule="FI-07",
            severity=_ERROR,
            message=f"the file {reason}",
            subject=name,
            file=str(path),
            expected=recorded,
            hint="`gpwf run` makes again what the store lost",
        )
        return
    if found != recorded:
        yield Finding(
            rule="FI-06",
            severity=_ERROR,
            message="the file was changed: it is not what the task wrote",
            subject=name,
            file=str(path),
            expected=recorded,
            found=found,
            hint="`gpwf run` notices damage in the store and makes the product again",
        )


def _inputs(facts: RecordedFiles, digests: _Digests, counts: Counter[str]) -> Iterator[Finding]:
    seen: set[tuple[str, str]] = set()
    for item in facts.inputs:
        key = item.path, item.digest
        if key in seen:
            continue
        seen.add(key)
        counts["inputs"] += 1
        try:
            found = digests.of(Path(os.path.expanduser(item.path)))  # noqa: PTH111 - never fails
        except OSError as error:
            reason = "is not there any more" if isinstance(error, FileNotFoundError) else ""
            yield Finding(
                rule="FI-09",
                severity=_WARNING,
                message=f"the input {reason or f'cannot be read: {error.strerror}'}",
                subject=item.entity,
                file=item.path,
                expected=item.digest,
            )
            continue
        if found != item.digest:
            yield Finding(
                rule="FI-08",
                severity=_WARNING,
                message="the input was changed since the run: from it, the result cannot be made "
                "again",
                subject=item.entity,
                file=item.path,
                expected=item.digest,
                found=found,
            )
