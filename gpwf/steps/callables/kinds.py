"""What a function returns against the kinds of products: the right class, or one near to it.

gammapy is not imported: what is not loaded cannot be the class of a value.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from gpwf.core.products import MadeFile
from gpwf.steps.texts import TextType, kind_of, problem

__all__ = ["ANY", "KINDS", "ProductKind", "WrongValueError", "product_value"]

ANY = "any"
"""Kind of an input that takes every product."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Class:
    """A class by name, and the class of its items where it is a collection of them."""

    module: str
    name: str
    item: str = ""


_CLASSES: Mapping[str, _Class] = {
    "observations": _Class(module="gammapy.data", name="Observations", item="Observation"),
    "datasets": _Class(module="gammapy.datasets", name="Datasets", item="Dataset"),
    "models": _Class(module="gammapy.modeling.models", name="Models", item="ModelBase"),
    "fit-result": _Class(module="gpwf.core.products", name="FitSummary"),
    "flux-points": _Class(module="gammapy.estimators", name="FluxPoints"),
    "light-curve": _Class(module="gammapy.estimators", name="FluxPoints"),
    "flux-profile": _Class(module="gammapy.estimators", name="FluxPoints"),
    "flux-maps": _Class(module="gammapy.estimators", name="FluxMaps"),
    "map": _Class(module="gammapy.maps", name="Map"),
    "maps": _Class(module="gammapy.maps", name="Maps"),
    "table": _Class(module="astropy.table", name="Table"),
    "figure": _Class(module="matplotlib.figure", name="Figure"),
}
# kinds of flux points: the axis that they have besides the energy, and what they are in words
_FLUX_KINDS: Mapping[str, tuple[str | None, str]] = {
    "flux-points": (None, "flux points"),
    "light-curve": ("time", "a light curve"),
    "flux-profile": ("projected-distance", "a profile of the flux"),
}
_PATHS = ("file", "datastore")

KINDS: tuple[str, ...] = (*_CLASSES, *_PATHS)
"""Kinds of products that a function can return, those of `gpwf.store.formats`."""


class ProductKind(TextType):
    """A kind of product."""

    __slots__ = ()
    type_name = "kind of product"
    examples = ("table", *(kind for kind in KINDS if kind != "table"))

    @classmethod
    def settle(cls, value: Any, base: Path | None = None) -> Self:  # noqa: ARG003
        """Return the kind; refuse one that there is not."""
        if not isinstance(value, str):
            raise problem("GP302", f"expected a kind of product, not {kind_of(value)}")
        if value not in (*KINDS, ANY):
            near = difflib.get_close_matches(value.lower().replace("_", "-"), KINDS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"kinds: {', '.join(KINDS)}"
            raise problem("GP304", f"there is no kind of product {value[:60]!r}", hint)
        return cls(value)


class WrongValueError(Exception):
    """A value does not belong to a kind; the message says what was expected."""


def product_value(kind: str, value: Any, folder: Path) -> Any:
    """Return a value as the store takes it.

    A single dataset, model or observation becomes a collection with one item; a figure is closed.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    value : object
        What a function returned.
    folder : Path
        Private folder of the task; files are to lie in it, and relative paths count from it.

    Raises
    ------
    WrongValueError
        For a value of another class, and for files that are not where they should be.
    """
    if kind in _PATHS:
        return _file(kind, value, folder)
    wanted = _CLASSES[kind]
    found = _loaded(wanted.module, wanted.name)
    if kind == "figure" and found is not None:
        value = _figure(value, found)
    if kind in _FLUX_KINDS and found is not None and isinstance(value, found):
        _check_axis(kind, value.geom.axes.names)
    if found is not None and isinstance(value, found):
        return value
    if wanted.item and found is not None:
        item = _loaded(wanted.module, wanted.item)
        items = list(value) if isinstance(value, (list, tuple)) else [value]
        if items and item is not None and all(isinstance(one, item) for one in items):
            return found(items)
    raise WrongValueError(f"expected {wanted.module}.{wanted.name}, not {_type(value)}")


def _check_axis(kind: str, names: Sequence[str]) -> None:
    """Check that flux points have the axis of their kind.

    Raises
    ------
    WrongValueError
        Where they have that of another kind.
    """
    own = next((one for one, (axis, _) in _FLUX_KINDS.items() if axis in names), "flux-points")
    if own == kind:
        return
    what = {
        "light-curve": "flux points with a time axis",
        "flux-profile": "flux points with an axis of distance",
        "flux-points": "flux points without a time axis",
    }[own]
    wanted = _FLUX_KINDS[kind][1]
    raise WrongValueError(f"expected {wanted}, not {what}; the kind of these is '{own}'")


def _loaded(module: str, name: str) -> Any:
    """Return a class; None where its module is not loaded, so that nothing can be of it."""
    return getattr(sys.modules.get(module), name, None)


def _figure(value: Any, figure: Any) -> Any:
    """Return the figure of axes; it leaves the list of pyplot, which would keep it for ever."""
    found = getattr(value, "figure", None) if not isinstance(value, figure) else value
    pyplot = sys.modules.get("matplotlib.pyplot")
    if isinstance(found, figure) and pyplot is not None:
        pyplot.close(found)
    return found if isinstance(found, figure) else value


def _file(kind: str, value: Any, folder: Path) -> Any:
    """Return a file, or the folder of a datastore, that a function has made."""
    if not isinstance(value, (str, Path)):
        raise WrongValueError(f"expected the path of a {_noun(kind)}, not {_type(value)}")
    path = folder / value
    inside = path.resolve()
    if not inside.is_relative_to(folder.resolve()) or inside == folder.resolve():
        raise WrongValueError(f"{value} does not lie in `context.work_dir`; write it there")
    if path.is_symlink():
        raise WrongValueError(f"{value} is a symbolic link, not a {_noun(kind)}")
    if not (path.is_file() if kind == "file" else path.is_dir()):
        raise WrongValueError(f"there is no {_noun(kind)} {value}")
    return MadeFile(path=inside) if kind == "file" else inside


def _noun(kind: str) -> str:
    return "file" if kind == "file" else "folder"


def _type(value: Any) -> str:
    if value is None:
        return "None"
    kind = type(value)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
