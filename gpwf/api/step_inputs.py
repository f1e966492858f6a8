"""What the inputs of a single step are given as: products of runs, and files that gammapy wrote."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpwf.core.spec import Port
from gpwf.errors import UsageError
from gpwf.store.formats import kinds, main_file

if TYPE_CHECKING:
    from gpwf.api.runs import Run

__all__ = ["Source", "find_port", "source_of"]

_INDEX = ("hdu-index.fits.gz", "hdu-index.fits")
_ANY = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A step that brings an input.

    Parameters
    ----------
    tag : str
        Its type.
    config : mapping
        Its settings.
    product : str
        Name of its product.
    """

    tag: str
    config: Mapping[str, Any]
    product: str


def find_port(tag: str, name: str, ports: Sequence[Port]) -> Port:
    """Return the input port of a name.

    Raises
    ------
    UsageError
        Where there is none.
    """
    known = {port.name: port for port in ports}
    if name in known and name != "*":
        return known[name]
    if "*" in known:
        return known["*"]
    near = difflib.get_close_matches(name.replace("-", "_"), known, n=1)
    listed = ", ".join(f"{port.name} ({port.kind})" for port in ports)
    hint = f"did you mean {near[0]!r}?" if near else f"its inputs: {listed or 'none'}"
    raise UsageError(f"--input {name}: the step {tag} has no such input", hint=hint)


def source_of(port: str, kind: str, text: str, run: Run | None) -> Source:
    """Return the step that brings an input.

    Parameters
    ----------
    port : str
        Name of the input, for messages.
    kind : str
        Kind of the input; ``any`` takes what there is.
    text : str
        A path, or ``STEP.PRODUCT`` where there is a run.
    run : Run or None
        Whose products these are.

    Raises
    ------
    UsageError
        Where there is nothing, or something else.
    """
    path = Path(text).expanduser()
    if run is not None and not path.exists():
        return _of_run(port, kind, text, run)
    if not path.exists():
        looks = "/" not in text and text.count(".") == 1
        hint = "`--run RUN` names the run of a product STEP.PRODUCT" if looks else None
        raise UsageError(f"--input {port}: no such file or folder: {text}", hint=hint)
    path = path.absolute()
    found = _kind_of(path) if kind == _ANY else kind
    if not path.is_dir() and _is_shown(path, found):
        path = path.parent  # of a product all files count
    return _of_folder(port, found, path) if path.is_dir() else _of_file(found, path)


def _of_run(port: str, kind: str, text: str, run: Run) -> Source:
    """Return the source of a product ``STEP.PRODUCT``; the step may have coordinates."""
    step, dot, product = text.rpartition(".")
    if not dot:
        step, product = text, ""
    products = run[step]
    names = list(products)
    if not product:
        fitting = [name for name in names if kind in (_ANY, products[name].product.kind)]
        if len(fitting) != 1:
            listed = ", ".join(f"{step}.{name}" for name in names) or "none"
            raise UsageError(f"--input {port}: name a product of {step}", hint=f"there: {listed}")
        product = fitting[0]
    if product not in names:
        listed = ", ".join(names) or "none"
        raise UsageError(
            f"--input {port}: {step} of {run.path} has no product {product!r}",
            hint=f"its products: {listed}",
        )
    found = products[product]
    if kind not in (_ANY, found.product.kind):
        raise UsageError(
            f"--input {port}: {text} is of kind {found.product.kind}, the input of kind {kind}"
        )
    return _product(found.product.kind, found.folder.absolute())


def _product(kind: str, path: Path) -> Source:
    return Source(tag="read-product", config={"kind": kind, "path": str(path)}, product="product")


def _is_shown(path: Path, kind: str) -> bool:
    """Return True for the main file of a product as a run shows it: ``products/STEP/PRODUCT``."""
    return path.name == main_file(kind) and path.parent.parent.parent.name == "products"


def _of_folder(port: str, kind: str, path: Path) -> Source:
    main = main_file(kind)
    if main is not None and (path / main).is_file():
        return _product(kind, path)
    if kind == "observations":
        return Source(tag="observations", config={"datastore": str(path)}, product="observations")
    if kind in ("datastore", "file"):
        return _product(kind, path)
    raise UsageError(
        f"--input {port}: {path} holds no product of kind {kind}: it has no {main}",
        hint="give the folder of a product, or a file that gammapy wrote",
    )


def _of_file(kind: str, path: Path) -> Source:
    if kind == "models":
        return Source(tag="models", config={"file": str(path)}, product="models")
    if kind == "datasets":
        return Source(tag="read-datasets", config={"files": [str(path)]}, product="datasets")
    if kind == "observations":
        return Source(tag="observations", config={"files": [str(path)]}, product="observations")
    return _product(kind, path)


def _kind_of(path: Path) -> str:
    """Return what a path is, for an input that takes any product."""
    if path.is_dir():
        for kind in kinds():
            main = main_file(kind)
            if main is not None and (path / main).is_file():
                return kind
        return "datastore" if any((path / name).is_file() for name in _INDEX) else "file"
    for kind in kinds():
        if path.name == main_file(kind):
            return kind
    return "table" if path.suffix == ".ecsv" else "file"
