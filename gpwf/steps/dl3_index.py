"""Read the index of a GADF DL3 datastore: which observations there are, and in which files.

A plan is made without gammapy, and in the usual case without astropy: see `fits_columns`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gpwf.errors import StepInputError
from gpwf.steps.base import missing_path
from gpwf.steps.fits_columns import read_columns

__all__ = ["DataFile", "DatastoreIndex", "IndexedHdu", "find_index", "has_index", "read_index"]

_HDU_NAMES = ("hdu-index.fits.gz", "hdu-index.fits")
_OBS_NAMES = ("obs-index.fits.gz", "obs-index.fits")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """A file of an observation; ``name`` is relative to the datastore."""

    name: str
    path: Path
    hdu_types: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedHdu:
    """An HDU of an observation, in gammapy's words: ``aeff``, ``aeff_2d``, ``EFFECTIVE AREA``."""

    obs_id: int
    hdu_type: str
    hdu_class: str
    hdu_name: str
    path: Path

    def of(self, obs_id: int) -> IndexedHdu:
        """Return the same HDU for another observation, which shares it."""
        return replace(self, obs_id=obs_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatastoreIndex:
    """What the index tables of a datastore say.

    Parameters
    ----------
    directory : Path
        Folder of the datastore.
    files : dict of int to tuple of DataFile
        Files by observation id, in rising order of the ids.
    pointings : dict of int to (float, float)
        Right ascension and declination in deg (ICRS), where they are known.
    hdus : tuple of IndexedHdu
        Of all observations, where no table on disk lists them.
    """

    directory: Path
    files: dict[int, tuple[DataFile, ...]]
    pointings: dict[int, tuple[float, float]]
    hdus: tuple[IndexedHdu, ...] = ()

    @property
    def obs_ids(self) -> tuple[int, ...]:
        """Ids of the observations, rising."""
        return tuple(self.files)

    def hdu_types(self, obs_id: int) -> set[str]:
        """Return what there is of an observation: events, gti, aeff …"""
        return {kind for item in self.files[obs_id] for kind in item.hdu_types}


def has_index(directory: str) -> bool:
    """Tell whether a folder has an index, or is not there: then the index is what is missing."""
    folder = Path(directory)
    names = (*_HDU_NAMES, *_OBS_NAMES)
    return not folder.is_dir() or any((folder / name).is_file() for name in names)


def find_index(setting: str, directory: str) -> tuple[Path, Path]:
    """Return the paths of the HDU index and of the observation index.

    Raises
    ------
    StepInputError
        Where the folder or an index is not there.
    """
    folder = Path(directory)
    if not folder.is_dir():
        raise missing_path(setting, directory, "datastore folder")
    found = []
    for what, names in (("HDU", _HDU_NAMES), ("observation", _OBS_NAMES)):
        paths = [folder / name for name in names if (folder / name).is_file()]
        if not paths:
            raise StepInputError(
                f"{setting}: {directory} is no DL3 datastore: it has no {what} index "
                f"({' or '.join(names)})",
                setting=setting,
                hint="give the folder that holds the index files",
            )
        found.append(paths[0])
    return found[0], found[1]


def read_index(setting: str, directory: str) -> DatastoreIndex:
    """Read the index tables of a datastore.

    Raises
    ------
    StepInputError
        Where they are not there or are no index tables.
    """
    hdu_path, obs_path = find_index(setting, directory)
    try:
        rows = _rows(hdu_path, ("OBS_ID", "HDU_TYPE", "FILE_DIR", "FILE_NAME"))
        pointings = _rows(obs_path, ("OBS_ID", "RA_PNT", "DEC_PNT"), optional=True)
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise StepInputError(
            f"{setting}: cannot read the index of {directory}: {error}",
            setting=setting,
            hint="the index follows the GADF format; was the download complete?",
        ) from error
    files: dict[int, dict[str, list[str]]] = {}
    for obs_id, kind, place, name in rows:
        folder, file_name = str(place).strip(), str(name).strip()
        relative = f"{folder}/{file_name}" if folder else file_name
        files.setdefault(int(obs_id), {}).setdefault(relative, []).append(str(kind).strip())
    return DatastoreIndex(
        directory=Path(directory),
        files={obs_id: _data_files(Path(directory), files[obs_id]) for obs_id in sorted(files)},
        pointings={int(obs_id): (float(ra), float(dec)) for obs_id, ra, dec in pointings},
    )


def _rows(path: Path, names: Sequence[str], *, optional: bool = False) -> Sequence[tuple[Any, ...]]:
    """Return the columns of the first table of a file as rows."""
    rows = read_columns(path, names)
    if rows is not None:
        return rows
    from astropy.io import fits

    with fits.open(path, memmap=False) as hdulist:
        table = hdulist[1]
        if optional and not set(names) <= set(table.columns.names):
            return []
        return list(zip(*(table.data[name] for name in names), strict=True))


def _data_files(directory: Path, names: dict[str, list[str]]) -> tuple[DataFile, ...]:
    files = []
    for name, kinds in names.items():
        path = directory / name
        elsewhere = Path(os.path.expandvars(name))
        if not path.exists() and elsewhere.exists():  # as gammapy looks for it
            path = elsewhere
        files.append(DataFile(name=name, path=path, hdu_types=tuple(kinds)))
    return tuple(files)
