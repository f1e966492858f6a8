"""Products of a task: from the store into memory, and back into the store."""

from __future__ import annotations

import shutil
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gpwf.core.digests import Digest
from gpwf.core.plan import PlannedFile
from gpwf.core.products import WrittenProduct
from gpwf.core.runs import Product
from gpwf.errors import StepError, StoreError
from gpwf.run.executors.base import Job
from gpwf.store.commit import Draft
from gpwf.store.store import Store

__all__ = [
    "DamagedInputError",
    "ExternalFiles",
    "Shelf",
    "in_memory",
    "read_inputs",
    "write_outputs",
]

_SHELF_BYTES = 128 * 2**20
# what files of another kind, or a part of them, make a reader raise
_NOT_OF_THE_KIND = (OSError, ValueError, KeyError, TypeError, AttributeError)


class DamagedInputError(Exception):
    """Objects of an input are not what they were; they have been set aside."""

    def __init__(self, port: str, digests: tuple[Digest, ...]) -> None:
        super().__init__(f"input {port}: the store held damaged bytes; they are made again")
        self.digests = digests


class Shelf:
    """Products that this process has made or read, for its next tasks.

    Tasks change what they are given, so each gets a value of its own, equal to what would be read
    from the store: see `gpwf.store.formats.keep`. The oldest go where there are too many.

    Parameters
    ----------
    limit_bytes : int
        How much may be kept.
    """

    def __init__(self, limit_bytes: int = _SHELF_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._held: OrderedDict[Digest, Any] = OrderedDict()

    def put(self, product: Product, kept: Any | None) -> None:
        """Take in what a format keeps of a product; None where it keeps nothing."""
        if kept is None or kept.size > self._limit_bytes:
            return
        self._held[product.digest] = kept
        self._held.move_to_end(product.digest)
        total = sum(item.size for item in self._held.values())
        while total > self._limit_bytes:
            _, gone = self._held.popitem(last=False)
            total -= gone.size

    def take(self, product: Product, formats: Any) -> Any | None:
        """Return a value of its own for whoever asks; None where it must be read."""
        kept = self._held.get(product.digest)
        if kept is None:
            return None
        self._held.move_to_end(product.digest)
        return formats.handed(product.kind, kept)

    def keep_only(self, products: Iterable[Product]) -> None:
        """Let go of everything else."""
        wanted = {product.digest for product in products}
        for digest in [item for item in self._held if item not in wanted]:
            del self._held[digest]


class ExternalFiles:
    """The files outside the store that a task reads, watched for changes."""

    def __init__(self, store: Store, job: Job) -> None:
        self._store = store
        self._expected = {item.path: item for item in job.files}
        for item in job.known_files:
            _register(store, item)

    def locate(self, digest: Digest) -> Path:
        """Return a file with this content, and watch it where it is outside the store."""
        path = self._store.inputs.locate(digest)
        if path != self._store.objects.path(digest):
            known = PlannedFile(setting="", name=path.name, path=str(path), digest=digest, size=0)
            self._expected.setdefault(str(path), known)
        return path

    def check(self, when: str) -> None:
        """Raise StepError where a file is not what it should be."""
        for item in self._expected.values():
            try:
                digest, _ = self._store.inputs.digest(Path(item.path))
            except OSError as error:
                reason = error.strerror or str(error)
                raise StepError(
                    f"the input file {item.path} cannot be read: {reason}",
                    hint="correct the path or its permissions, then run again",
                ) from None
            if digest != item.digest:
                raise StepError(
                    f"the input file {item.path} has changed {when}",
                    hint="run again when nobody writes to it any more",
                )


def _register(store: Store, item: PlannedFile) -> None:
    """Make external content known to `locate`; what is gone is found missing there."""
    try:
        store.inputs.digest(Path(item.path))
    except OSError:
        return


def read_inputs(
    job: Job,
    step: Any,
    folder: Path,
    store: Store,
    formats: Any,
    files: ExternalFiles,
    shelf: Shelf,
) -> dict[str, Any]:
    """Return the value of every connected port, a list where the port takes several.

    It is the object in memory, or the path of the main file for a step that takes files.

    Parameters
    ----------
    job : Job
        Whose inputs.
    step : Step
        Its step type.
    folder : Path
        Private folder, made where it is needed.
    store : Store
        Where the products are.
    formats : module
        With ``read`` and ``main_path``.
    files : ExternalFiles
        Finds what products refer to.
    shelf : Shelf
        What this process has in memory.

    Raises
    ------
    DamagedInputError
        Where the store holds other bytes than were put there.
    """

    def value(port: str, number: int, product: Product) -> Any:
        if step.takes != "files":
            known = shelf.take(product, formats)
            if known is not None:
                return known
        _check_objects(port, product, store)
        directory = _present(product, folder / port / str(number), store)
        if step.takes == "files":
            return formats.main_path(product.kind, directory)
        read = formats.read(product.kind, directory, files.locate)
        shelf.put(product, formats.keep(product.kind, read))  # before anybody changes it
        return read

    ports = {port.name: port for port in job.input_ports}
    values: dict[str, Any] = {}
    for port, products in job.inputs.items():
        read = [value(port, number, product) for number, product in enumerate(products)]
        slot = ports.get(port) or ports["*"]  # see `gpwf.core.spec.Port`
        values[port] = read if slot.multiple else read[0]
    return values


def _check_objects(port: str, product: Product, store: Store) -> None:
    digests = {item.digest for item in product.files}
    bad = tuple(sorted(item for item in digests if not store.objects.verify(item)))
    for item in bad:
        store.objects.set_aside(item)
    if bad:
        raise DamagedInputError(port, bad)


def _present(product: Product, folder: Path, store: Store) -> Path:
    """Return a folder that shows the files of a product under their names."""
    shown = folder / "files"
    for item in product.files:
        link = shown / item.name
        link.parent.mkdir(parents=True, exist_ok=True)
        source = store.objects.path(item.digest)
        try:
            link.symlink_to(source)
        except OSError:  # no links on this file system
            shutil.copyfile(source, link)
    return shown


def in_memory(
    job: Job, formats: Any, files: ExternalFiles, values: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the values that a step gave, those read that it gave as written products.

    Parameters
    ----------
    job : Job
        Of the step.
    formats : module
        With ``read``.
    files : ExternalFiles
        Finds what products refer to.
    values : mapping of str to object
        By output port.

    Raises
    ------
    StepError
        Where the files are not those of a product of the port's kind.
    """
    kinds = {port.name: port.kind for port in job.output_ports}
    found = dict(values)
    for name, value in values.items():
        if isinstance(value, WrittenProduct) and name in kinds:
            found[name] = _read_written(kinds[name], value.folder, formats, files)
    return found


def _read_written(kind: str, folder: Path, formats: Any, files: ExternalFiles) -> Any:
    try:
        return formats.read(kind, folder, files.locate)
    except StoreError as error:
        elsewhere = "use the store of the run that made it" if kind == "observations" else None
        raise StepError(
            f"{folder} cannot be read as {kind!r}: {error.message}", hint=elsewhere or error.hint
        ) from error
    except _NOT_OF_THE_KIND as error:
        reason = str(error) or type(error).__name__
        raise StepError(
            f"{folder} holds no product of kind {kind!r}: {reason}",
            hint="give the folder of a product of this kind, with all its files",
        ) from error


def write_outputs(
    job: Job, folder: Path, store: Store, formats: Any, values: Mapping[str, Any]
) -> tuple[dict[str, Product], list[Draft]]:
    """Write the value of every output port; return the products and what is left to publish.

    Raises
    ------
    StepError
        Where the step gave other products than its ports say.
    """
    ports = {port.name: port for port in job.output_ports}
    missing = [
        port.name
        for port in job.output_ports
        if values.get(port.name) is None and not port.optional
    ]
    strange = sorted(set(values) - set(ports))
    if missing or strange:
        raise StepError(
            f"step type {job.tag} gave {', '.join(sorted(values)) or 'nothing'}; "
            f"its output ports are {', '.join(ports) or 'none'}",
            hint="this is a fault of the step type, not of the workflow",
        )
    products: dict[str, Product] = {}
    drafts: list[Draft] = []
    for name, port in ports.items():
        if values.get(name) is None:
            continue
        target = folder / f"out-{name}"
        target.mkdir(exist_ok=True)  # empty, of an earlier task
        card = {"GPWFKEY": str(job.key), "GPWFPORT": name, "GPWFTAG": job.tag}
        summary = formats.write(port.kind, values[name], target, card)
        products[name], found = store.objects.drafts(
            target, port.kind, _plain(summary), mark=str(job.key)
        )
        drafts += found
    return products, drafts


def _plain(value: Any) -> Any:
    """Return plain data; scalars of numpy would make the driver import it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)
