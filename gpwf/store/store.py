"""A store: objects, results, digests of external files, under one folder with a format marker.

Any number of runs share a store. Everything in it is either content-addressed or can be made
again, so a run can be stopped at any instant.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from gpwf.core.digests import Digest, TaskKey
from gpwf.core.runs import Product
from gpwf.errors import StoreError
from gpwf.store.atomic import PRIVATE_FILE, PRIVATE_FOLDER, write_atomic
from gpwf.store.checks import check_name, check_space, check_writing
from gpwf.store.inputs import InputDigests, StatCache
from gpwf.store.objects import ObjectStore
from gpwf.store.pins import PinStore
from gpwf.store.registry import RunRegistry
from gpwf.store.results import ResultStore, StoredResult
from gpwf.store.sweep_lock import LOCK_NAME

__all__ = ["STORE_FORMAT", "Store", "is_store"]

#: Version of the layout; a store with a higher one is refused.
STORE_FORMAT = 1

_MARKER = "gpwf-store.json"
_FOLDERS = ("objects", "results", "damaged", "cache", "tmp", "runs", "pins")
_OURS = (*_FOLDERS, LOCK_NAME)
_HINT = "choose another folder with --store or GPWF_STORE"


class Store:
    """Open a store, or make a new one.

    Parameters
    ----------
    root : Path
        Folder of the store.
    create : bool
        Make the folder where it is missing, and check that it can be written. False opens an
        existing store for reading.

    Attributes
    ----------
    objects : ObjectStore
        Bytes by content.
    results : ResultStore
        Results by task key.
    inputs : InputDigests
        Digests of external files.
    runs : RunRegistry
        The runs that use the store.
    pins : PinStore
        What stays for ever.
    problem : StoreError or None
        Why a run would be refused, of a store that was opened by `for_looking`.

    Raises
    ------
    StoreError
        Where the folder is missing, cannot be written, is no store or is of a newer version.
    """

    def __init__(self, root: Path, *, create: bool = True) -> None:
        self._open(root)
        try:
            _check_folder(self.root, create=create)
        except OSError as error:  # a folder that this user may not enter
            raise _unreadable(self.root, error) from None
        if create:
            _make(self.root)
        _check_marker(self.root)

    def _open(self, root: Path) -> None:
        self.root = Path(os.path.abspath(root))  # noqa: PTH100 - resolve() would follow links
        self.problem: StoreError | None = None
        self.objects = ObjectStore(self.root)
        self.results = ResultStore(self.root)
        self.inputs = InputDigests(self.root, objects=self.objects)
        self.runs = RunRegistry(self.root)
        self.pins = PinStore(self.root)
        self._trusted = StatCache(self.root / "cache" / "objects.jsonl")

    @classmethod
    def for_looking(cls, root: Path) -> Store:
        """Open a store to look what a run would find in it; it is made where that is possible.

        Where it cannot be written it is read; where there is none and none can be made, it is
        empty. `problem` says so then.

        Raises
        ------
        StoreError
            Where it is no store or of a newer version: it cannot be read either.
        """
        try:
            return cls(root)
        except StoreError as error:
            problem = error
        try:
            if is_store(root):
                store = cls(root, create=False)
            elif Path(root).is_dir() and any(Path(root).iterdir()):
                raise problem
            else:
                store = cls.__new__(cls)
                store._open(root)
        except OSError:
            raise problem from None
        store.problem = problem
        return store

    def prepare(self, run_dir: Path | None = None) -> list[str]:
        """Find out whether a run can use the store, before any task starts.

        Parameters
        ----------
        run_dir : Path, optional
            Where the run directory is or will be; its disk is looked at, too.

        Returns
        -------
        list of str
            Warnings for people.

        Raises
        ------
        StoreError
            Where it cannot: it cannot be written, its disk is full, its folders lie on several
            file systems.
        """
        if self.problem is not None:
            raise self.problem
        warnings = [check_space(self.root, "the store")]
        warnings += check_writing(self.root)
        if run_dir is not None:
            place = next(item for item in (run_dir, *run_dir.absolute().parents) if item.is_dir())
            if place.stat().st_dev != self.root.stat().st_dev:
                warnings.append(check_space(place, "the run directory"))
        return [item for item in warnings if item]

    def register_run(self, path: Path, run_id: str, *, workflow: str = "") -> None:
        """Make a run known to the store, so that `gpwf gc` keeps what it needs.

        To be called when the run directory is locked and before anything is looked up in the
        store: what is made or found later is younger than the entry.

        Parameters
        ----------
        path : Path
            The run directory.
        run_id : str
            As the journal tells it.
        workflow : str
            Name of the workflow.

        Raises
        ------
        StoreError
            Where the store cannot be written.
        """
        self.runs.add(path, run_id, workflow=workflow)

    def use(self, key: TaskKey) -> StoredResult | None:
        """Return the whole result of a key, to be used by a run.

        It stays from then on as long as the run needs it (`gpwf.store.gc`). None where there is
        none, or some of its bytes are missing or damaged; the damaged ones are set aside.
        """
        result = self.results.get(key)
        if result is None or not self.results.touch(key):
            return None
        bad = [item for product in result.products.values() for item in self.damage(product)]
        for digest in bad:
            self.objects.set_aside(digest)
        return None if bad else result

    def damage(self, product: Product) -> list[Digest]:
        """Return the digests of files of a product that are missing or not what they were.

        Bytes are read where the file has changed since they were last read; a worker that uses
        a file reads them in any case.
        """
        bad = []
        for item in product.files:
            try:
                found = self._trusted.digest_at(self.objects.place(item.digest))
            except OSError:
                bad.append(item.digest)
                continue
            if found != (item.digest, item.size):
                bad.append(item.digest)
        return bad

    def forget_absent(self) -> None:
        """Take what is not in the store any more out of its caches."""
        self._trusted.forget_absent()

    def flush(self) -> None:
        """Save the caches; what is not saved is only slower next time."""
        self.inputs.flush()
        self._trusted.flush()


def is_store(root: Path) -> bool:
    """Return True for a folder that has the marker of a store, of whatever version."""
    return (Path(root) / _MARKER).is_file()


def _check_folder(root: Path, *, create: bool) -> None:
    check_name(root)
    if not create and not is_store(root):
        raise StoreError(
            f"there is no store at {root}", hint="a first `gpwf run` makes it, or " + _HINT
        )
    if root.is_dir() and not (root / _MARKER).exists():
        # a store in the making by another driver has nothing but our own names in it
        strange = [item.name for item in root.iterdir() if not _is_ours(item.name)]
        if strange:
            raise StoreError(
                f"{root} is not a store: it holds {min(strange)} and no {_MARKER}", hint=_HINT
            )


def _unreadable(root: Path, error: OSError) -> StoreError:
    return StoreError(f"the store {root} cannot be read: {error.strerror or error}", hint=_HINT)


def _is_ours(name: str) -> bool:
    return name in _OURS or name.startswith(".")


def _make(root: Path) -> None:
    try:
        root.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        if (root / _MARKER).exists():
            _check_marker(root)  # nothing is written into a store of another version
        for name in _FOLDERS:
            (root / name).mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        (root / LOCK_NAME).touch(mode=PRIVATE_FILE)  # a full disk would not take it later
        with tempfile.TemporaryFile(dir=root / "tmp"):  # can be written; has no name to stay behind
            pass
        if not (root / _MARKER).exists():
            marker = {"format": "gpwf-store", "version": STORE_FORMAT}
            write_atomic(root / _MARKER, (json.dumps(marker) + "\n").encode())
    except OSError as error:
        raise StoreError(
            f"the store {root} cannot be written: {error.strerror or error}", hint=_HINT
        ) from None


def _check_marker(root: Path) -> None:
    try:
        marker: Any = json.loads((root / _MARKER).read_bytes())
        version = int(marker["version"])
    except OSError as error:
        raise _unreadable(root, error) from None
    except (ValueError, KeyError, TypeError):
        raise StoreError(f"{root / _MARKER} is not the marker of a store", hint=_HINT) from None
    if version > STORE_FORMAT:
        raise StoreError(
            f"the store {root} has version {version}; this gpwf knows {STORE_FORMAT}",
            hint="use the newer gpwf, or " + _HINT,
        )
