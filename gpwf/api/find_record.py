"""From a file, wherever it was copied, to the run that made it, and its record."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gpwf.api.run_records import RecordSet, runs_of_store
from gpwf.api.runs import Run
from gpwf.api.stores import find_store
from gpwf.core.digests import TaskKey, digest_file
from gpwf.errors import GpwfError, UsageError
from gpwf.prov.lineage import Lineage
from gpwf.prov.lineage_build import Kind, Relation
from gpwf.prov.lineage_find import find
from gpwf.prov.lineage_index import LineageIndex, Thing
from gpwf.prov.query_facts import Facts
from gpwf.store.cards import read_cards
from gpwf.store.places import STORE_FOLDER
from gpwf.store.registry import RunRegistry
from gpwf.store.results import ResultStore, read_result
from gpwf.store.store import is_store

__all__ = ["Found", "find_record", "product_file", "stores_near"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The record that tells of a file.

    Parameters
    ----------
    record : Path
        The PROV-JSON file.
    run : Path
        Directory of the run.
    run_id : str
        Its id.
    task, port : str
        Task that made the file, and the port of the product that it is part of; empty for an
        input file.
    entity : str
        What the record calls the product or the file.
    digest : str
        SHA-256 of the file.
    key : str
        Key of the task; empty for an input file.
    changed : bool
        True where the file says which task made it, but has other bytes than that task wrote.
    store : Path or None
        The store whose runs were asked; None where the file lies in the run itself.
    """

    record: Path
    run: Path
    run_id: str
    task: str
    port: str
    entity: str
    digest: str
    key: str = ""
    changed: bool = False
    store: Path | None = None

    @property
    def product(self) -> str:
        """The product as it is named in a run, ``fit.models``; the digest of an input file."""
        return f"{self.task}.{self.port}" if self.task else self.digest


def find_record(
    path: Path, store: Path | None = None, *, runs: Sequence[Path] | None = None
) -> Found:
    """Find the record of a file through the file alone.

    A file in the directory of a run belongs to that run. A product file that gpwf wrote names its
    task: the store knows which run carried it out. Any other file is looked for by its SHA-256
    among the products and inputs of the runs of the store.

    Parameters
    ----------
    path : Path
        A file.
    store : Path, optional
        The store; otherwise ``GPWF_STORE``, ``.gpwf`` beside the file or one of the folders above
        it, ``.gpwf`` here, or the store of the latest run here.
    runs : sequence of Path, optional
        Run directories to look in, instead of those of a store.

    Raises
    ------
    UsageError
        Where the file cannot be read, there is no store, or nothing is known of the file.
    """
    try:
        digest, cards = str(digest_file(path)), read_cards(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from None
    own = _own_run(path)
    if own is not None and (runs is None or own.resolve() in runs):
        found = _look(own, digest, cards, _place(own, path))
        if found is not None:
            return found
    if runs is not None:
        for run in runs:
            found = _look(run, digest, cards)
            if found is not None:
                return found
        raise _unknown(path, cards, digest, f"{len(runs)} runs that were asked")
    try:
        stores = stores_near(path, store)
    except UsageError as error:
        raise UsageError(
            f"{path} is neither a PROV-JSON file nor a product in a run directory, and "
            f"{error.message}",
            hint="name the store of the run that made it with --store, or GPWF_STORE",
        ) from None
    seen = 0
    for folder in stores:
        known, _ = runs_of_store(folder)
        first = _maker(folder, cards)
        order = [run for run in (first, *known) if run is not None]
        seen += len(known)
        for run in dict.fromkeys(order):
            found = _look(run, digest, cards)
            if found is not None:
                return replace(found, store=folder)
    where = ", ".join(map(str, stores))
    raise _unknown(path, cards, digest, f"{seen} runs that the store {where} knows")


def product_file(path: str | Path) -> Path | None:
    """Return a file of the product whose folder in a run is meant; None for anything else.

    A name without a slash is that of a step or a product, not of a folder here.

    Raises
    ------
    UsageError
        For a folder in a run that holds several products.
    """
    folder = Path(path).absolute()
    if os.sep not in str(path):
        return None
    try:
        run = _own_run(folder) if folder.is_dir() else None
    except OSError:  # too long for a path
        return None
    if run is None:
        return None
    try:
        made = [
            item
            for item in Run(run).products()
            if folder == item.folder or folder in item.folder.parents
        ]
    except GpwfError:
        return None
    if len(made) > 1:
        names = [f"{item.task}.{item.port}" for item in made]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise UsageError(
            f"{path} holds {len(names)} products",
            hint=f"name the folder of one, a file, or one of: {', '.join(names[:3])}{more}",
        )
    files = sorted(made[0].folder.rglob("*")) if made else []
    return next((item for item in files if item.is_file()), None)


def stores_near(path: Path, store: Path | None) -> list[Path]:
    """Return the stores that may know a file: the one that is named, or those around it.

    Raises
    ------
    UsageError
        Where there is none.
    """
    if store is not None:
        if not is_store(store):
            raise UsageError(f"{store} is not a store", hint="name one with --store, or GPWF_STORE")
        return [store]
    found: dict[str, Path] = {}
    try:
        first: UsageError | None = None
        named = find_store()
        found[os.path.realpath(named)] = named
        if os.environ.get("GPWF_STORE"):
            return [named]
    except GpwfError as error:
        first = UsageError(error.message, hint=error.hint)
    places = [folder / STORE_FOLDER for folder in (Path.cwd(), *path.absolute().parents)]
    for place in places:
        if is_store(place):
            found.setdefault(os.path.realpath(place), place)
    if not found and first is not None:
        raise first
    return list(found.values())


def _own_run(path: Path) -> Path | None:
    """Return the run directory that a file lies in; a product there is a link into the store."""
    return next(
        (item for item in path.absolute().parents if (item / "journal.jsonl").is_file()), None
    )


def _place(run: Path, path: Path) -> str:
    """Return the product whose folder in a run holds a file, ``fit.models``; mostly one does."""
    try:
        made = [item for item in Run(run).products() if item.folder in path.absolute().parents]
    except GpwfError:
        return ""
    return f"{made[0].task}.{made[0].port}" if made else ""


def _maker(store: Path, cards: dict[str, str]) -> Path | None:
    """Return the directory of the run that made the result a file names, where it is there."""
    key = TaskKey(cards.get("GPWFKEY", ""))
    try:  # not `ResultStore.get`, which sets aside what is damaged
        result = read_result(ResultStore(store).path(key).read_bytes()) if key else None
    except OSError:
        result = None
    entry = RunRegistry(store).get(result.run_id) if result is not None else None
    if entry is None:
        return None
    places = (item for item in entry.places(store) if (item / "journal.jsonl").is_file())
    return next((item.resolve() for item in places), None)


def _look(run: Path, digest: str, cards: dict[str, str], place: str = "") -> Found | None:
    """Look for a file in the records of a run; None where they do not know it.

    ``place`` is the product whose folder in the run holds the file, where one does.
    """
    with RecordSet() as records:
        records.add_run(run)
        for record in records.lineage.records:
            lineage = Lineage([record])
            if place:
                with contextlib.suppress(UsageError):  # the record of an earlier run there
                    for item in lineage.things(find(lineage, place)):
                        return _found(lineage, record, run, digest, item, "")
            found = _in_record(lineage, record, run, digest, cards)
            if found is not None:
                return found
    return None


def _in_record(
    lineage: Lineage, record: LineageIndex, run: Path, digest: str, cards: dict[str, str]
) -> Found | None:
    key, port = cards.get("GPWFKEY", ""), cards.get("GPWFPORT", "")
    attempts = [
        item
        for item in lineage.things(record.spelled(f"d:{key}") if key else ())
        if item.kind in (Kind.ATTEMPT, Kind.CACHED)
    ]
    makers = [item.key for item in attempts if item.kind is Kind.ATTEMPT]
    made = [edge.effect for edge in lineage.effects(makers, Relation.GENERATED)]
    products = [item for item in lineage.things(made) if item.kind is Kind.PRODUCT]
    for item in products:
        if item.get("port") == port:
            return _found(lineage, record, run, digest, item, key)
    content = record.named(f"sha256-{digest}")
    for item in lineage.things(
        edge.effect for edge in lineage.effects(content, Relation.SPECIALIZED)
    ):
        owners = lineage.things(
            edge.effect for edge in lineage.effects((item.key,), Relation.MEMBER)
        )
        for owner in owners:
            if owner.kind is Kind.PRODUCT:
                return _found(lineage, record, run, digest, owner, "")
    for item in lineage.things(
        [*(edge.effect for edge in lineage.effects(content, Relation.SPECIALIZED)), *content]
    ):
        return _found(lineage, record, run, digest, item, "")
    return None


def _found(
    lineage: Lineage, record: LineageIndex, run: Path, digest: str, item: Thing, key: str
) -> Found:
    facts = Facts(lineage)
    made = lineage.causes((item.key,), Relation.GENERATED)
    maker = lineage.thing(made[0].cause) if made else None
    files = lineage.things(edge.cause for edge in lineage.causes((item.key,), Relation.MEMBER))
    port = item.get("port")
    is_product = item.kind is Kind.PRODUCT
    task = facts.told_of(maker).get("task") if maker is not None else ""
    return Found(
        record=record.record,
        run=run,
        run_id=facts.run_of(maker) if maker is not None else "",
        task=(task or item.get("prov:label").removesuffix(f".{port}")) if is_product else "",
        port=port,
        entity=item.id,
        digest=digest,
        key=(maker.get("taskKey") if maker is not None else "") or key,
        changed=bool(key) and digest not in {file.get("sha256") for file in files},
    )


def _unknown(path: Path, cards: dict[str, str], digest: str, who: str) -> UsageError:
    if cards:
        return UsageError(
            f"{path} was made by gpwf (task key {cards['GPWFKEY'][:12]}), but none of the {who} "
            "has a record of it",
            hint="name the store of that run with --store, or keep its run directory",
        )
    return UsageError(
        f"{path} does not say where it came from, and its content (sha256 {digest[:12]}) is no "
        f"product and no input of the {who}",
        hint="name another store with --store, a run, or a .json record",
    )
