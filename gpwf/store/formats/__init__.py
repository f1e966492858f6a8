"""Products on disk: one module per kind, deterministic bytes, read back equal field by field.

A module of this package has two functions, ``write(value, directory, card)`` and
``read(directory, locate)``. Modules are imported when their kind is used, so that importing this
package costs nothing.

The same value always gives the same bytes: no dates, no random labels, no absolute paths, no
checksum cards. ``card`` is written where the file format has a place for it (FITS header, comments
of YAML, JSON and ECSV metadata, metadata of pictures), so that a file that was copied away still
tells which task made it. Nothing else in a file may depend on it, no checksum either: the store
takes the same value of two tasks for the same content.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from gpwf.core.digests import Digest
from gpwf.core.map_headers import guard_geometry
from gpwf.errors import StoreError
from gpwf.store.formats._kept import Kept
from gpwf.store.formats._kept import keep as _keep
from gpwf.store.formats._kept import take as _take

__all__ = ["Kept", "hand_on", "handed", "keep", "kinds", "main_file", "main_path", "read", "write"]

# kind → (module of this package, the file that a person opens first; None for a whole directory)
_KINDS: Mapping[str, tuple[str, str | None]] = {
    "datastore": ("datastore", None),
    "observations": ("observations", "observations.json"),
    "datasets": ("datasets", "datasets.yaml"),
    "models": ("models", "models.yaml"),
    "fit-result": ("fit_result", "fit_result.json"),
    "flux-points": ("flux_points", "flux_points.fits"),
    "light-curve": ("light_curve", "light_curve.fits"),
    "flux-profile": ("flux_profile", "flux_profile.fits"),
    "flux-maps": ("flux_maps", "flux_maps.fits"),
    "map": ("map", "map.fits"),
    "maps": ("maps", "maps.fits"),
    "table": ("table", "table.ecsv"),
    "figure": ("figure", "figure.png"),
    "file": ("file", None),  # the only one, whatever its name
}

# Values that are all in memory. Not those that are paths, or that open files when they are used:
# these files belong to a task, or must be watched by one. Nor figures, which nobody changes.
_IN_MEMORY = frozenset(
    (
        "datasets",
        "models",
        "fit-result",
        "flux-points",
        "light-curve",
        "flux-profile",
        "flux-maps",
        "map",
        "maps",
        "table",
    )
)
_WITHOUT_MAPS = frozenset(("datastore", "observations", "fit-result", "table", "figure", "file"))
_AS_READ = frozenset(("fit-result",))  # their modules have a function ``as_read``


def kinds() -> tuple[str, ...]:
    """Return the product kinds that can be stored."""
    return tuple(_KINDS)


def main_file(kind: str) -> str | None:
    """Return the name of the file that a person or a gammapy script opens first.

    None stands for the directory as a whole.

    Raises
    ------
    StoreError
        For a kind that nobody knows how to store.
    """
    return _entry(kind)[1]


def main_path(kind: str, directory: Path) -> Path:
    """Return what a program is given that takes a product by its path.

    Parameters
    ----------
    kind : str
        Product kind.
    directory : Path
        Holds the product's files under their names.

    Returns
    -------
    Path
        The main file; the directory for a kind that has none.

    Raises
    ------
    StoreError
        For a kind that nobody knows how to store.
    """
    name = main_file(kind)
    if kind == "file":
        found: Path = _module(kind).read(directory)
        return found
    return directory if name is None else directory / name


def write(
    kind: str, value: Any, directory: Path, card: Mapping[str, str] | None = None
) -> Mapping[str, Any]:
    """Write a product into an empty directory.

    Parameters
    ----------
    kind : str
        Product kind.
    value : object
        The object in memory; its type belongs to the kind.
    directory : Path
        Exists and is empty.
    card : mapping of str to str, optional
        What the files say about themselves: ``GPWFKEY``, ``GPWFPORT``, … at most eight characters
        per name.

    Returns
    -------
    mapping
        A few plain values for people.

    Raises
    ------
    StoreError
        For a kind that nobody knows how to store.
    """
    summary: Mapping[str, Any] = _module(kind).write(value, directory, dict(card or {}))
    return summary


def read(kind: str, directory: Path, locate: Callable[[Digest], Path]) -> Any:
    """Read a product back.

    Parameters
    ----------
    kind : str
        Product kind.
    directory : Path
        Holds the product's files under their names.
    locate : callable
        Gives the path of content by digest; only products that refer to content elsewhere
        (observations) use it.

    Raises
    ------
    StoreError
        For an unknown kind, and for files that are not what the kind needs.
    """
    module = _module(kind)
    if kind not in _WITHOUT_MAPS:  # models may have maps as templates
        from gammapy.maps import WcsGeom

        guard_geometry(WcsGeom)
    return module.read(directory, locate)


def keep(kind: str, value: Any) -> Kept | None:
    """Keep a value that was read, for others that will read the same product in this process.

    Parameters
    ----------
    kind : str
        Product kind.
    value : object
        As `read` gave it: nobody has changed it or used it yet.

    Returns
    -------
    Kept or None
        From which `handed` makes equal values; its ``size`` is known. None for a kind that has to
        be read every time.

    Raises
    ------
    StoreError
        For a kind that nobody knows how to store.
    """
    _entry(kind)
    return _keep(value) if kind in _IN_MEMORY else None


def hand_on(kind: str, value: Any) -> Kept | None:
    """Keep a value that was written, in the form in which `read` would give it.

    What gammapy makes is not what it reads: the last bits of axes, positions and regions, number
    types, metadata and what is attached differ. A result must not depend on who computed its inputs
    where, so this is for kinds alone whose values are as good as read: that is cheaper than to read
    them. All others are read once, and kept then.

    Parameters
    ----------
    kind : str
        Product kind.
    value : object
        As it was given to `write`, unchanged since.

    Returns
    -------
    Kept or None
        None where the product has to be read.

    Raises
    ------
    StoreError
        For a kind that nobody knows how to store.
    """
    _entry(kind)
    if kind not in _AS_READ:
        return None
    return _keep(_module(kind).as_read(value))


def handed(kind: str, kept: Kept) -> Any:
    """Return a value of its own for whoever asks, equal to what `read` gives field by field.

    Parameters
    ----------
    kind : str
        Product kind.
    kept : Kept
        Of `keep` or `hand_on`, in this process.

    Raises
    ------
    StoreError
        For a kind that nobody knows how to store.
    """
    _entry(kind)
    return _take(kept)


def _entry(kind: str) -> tuple[str, str | None]:
    try:
        return _KINDS[kind]
    except KeyError:
        known = ", ".join(_KINDS)
        raise StoreError(f"no format for products of kind '{kind}'; known are {known}") from None


def _module(kind: str) -> ModuleType:
    return import_module(f"{__name__}.{_entry(kind)[0]}")
