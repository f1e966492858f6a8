"""Observations: which ones, and the digests of the files that hold them; no data, no place.

Written are the selected rows of the two index tables of the datastore, and
``observations.json`` with the SHA-256 of every file. Where the files are is found out anew when
the product is read, so it can be read on another machine that has the same data.

Of an observation that is a part of one (`gpwf.core.selections`), the cuts and the good time that is
left are written, too, and the id of the whole one; then the format has the version 2.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from gpwf.core.digests import Digest, digest_file
from gpwf.errors import StoreError
from gpwf.store.formats._fits import plain, read_json, write_hdulist, write_json
from gpwf.store.formats._selections import (
    parent_id,
    selection_from_plain,
    selection_of,
    selection_to_plain,
)

__all__ = ["FORMAT", "read", "write"]

FORMAT = "gpwf-observations/1"
_PARTS = "gpwf-observations/2"  # with parts of observations

_LIST = "observations.json"
_HDU_INDEX = "hdu-index.fits"
_OBS_INDEX = "obs-index.fits"
_SOURCES = ("obs-index.fits.gz", "obs-index.fits")
_TYPES = ("events", "gti", "aeff", "edisp", "psf", "bkg", "rad_max")
_GADF = {
    "HDUCLASS": "GADF",
    "HDUDOC": "https://github.com/open-gamma-ray-astro/gamma-astro-data-formats",
    "HDUVERS": "0.2",
    "HDUCLAS1": "INDEX",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One HDU of one observation; ``name`` is the file's, relative to the datastore.

    ``obs_id`` is the datastore's, also for a part of an observation.
    """

    obs_id: int
    hdu_type: str
    hdu_class: str
    hdu_name: str
    name: str
    path: Path


def write(value: Any, directory: Path, card: Mapping[str, str]) -> Mapping[str, Any]:
    """Write a selection of observations, see `gpwf.store.formats.write`.

    Parameters
    ----------
    value : `gammapy.data.Observations`
        Made by a `gammapy.data.DataStore`, or parts of such.

    Raises
    ------
    StoreError
        Where an observation is in memory alone, or two have one id.
    """
    rows = _once(_distinct([row for observation in value for row in _rows(observation)]))
    files = {row.name: row.path for row in rows}
    listed = [
        {"name": name, "sha256": digest_file(path), "size": path.stat().st_size}
        for name, path in sorted(files.items())
    ]
    parts = [selection_of(observation) for observation in value]
    parents = [parent_id(observation) for observation in value]
    if any(parts) or len(set(parents)) < len(parents):
        content = _parts_content(value, parents, parts)
    else:
        content = {"format": FORMAT, "obs_ids": parents}
    obs_ids = content["obs_ids"]
    write_json({**content, "files": listed}, directory / _LIST, card)
    _write_hdu_index(rows, directory / _HDU_INDEX, card)
    _copy_obs_index(_base(value), list(dict.fromkeys(parents)), directory / _OBS_INDEX, card)
    return {"n_observations": len(obs_ids), "n_files": len(listed), "obs_ids": obs_ids[:20]}


def read(directory: Path, locate: Callable[[Digest], Path]) -> Any:
    """Read `gammapy.data.Observations`, see `gpwf.store.formats.read`.

    Events and response are read when they are used, from the places that ``locate`` gives.
    """
    from astropy.io import fits
    from gammapy.data import DataStore, HDUIndexTable

    content = _read_list(directory / _LIST)
    places = {item["name"]: locate(Digest(item["sha256"])) for item in content["files"]}
    with fits.open(directory / _HDU_INDEX, memmap=False) as hdulist:
        table = hdulist[1].data
        columns = {name: list(table[name]) for name in table.columns.names}
    paths = [
        _absolute(places[_join(place, name)])
        for place, name in zip(columns["FILE_DIR"], columns["FILE_NAME"], strict=True)
    ]
    columns["FILE_DIR"] = [path.parent.as_posix() for path in paths]
    columns["FILE_NAME"] = [path.name for path in paths]
    hdu_table = HDUIndexTable(columns, meta={"BASE_DIR": "/"})
    store = DataStore(hdu_table=hdu_table)
    if content["format"] == FORMAT:
        return store.get_observations(content["obs_ids"], required_irf="all-optional")
    return _read_parts(store, content)


def _parts_content(value: Any, parents: Sequence[int], parts: Sequence[Any]) -> dict[str, Any]:
    """Return what is written of observations some of which are parts."""
    obs_ids = [plain(observation.obs_id) for observation in value]
    twice = [obs_id for obs_id in dict.fromkeys(obs_ids) if obs_ids.count(obs_id) > 1]
    if twice:
        raise StoreError(
            f"two observations have the id {twice[0]!r}: give each part an id of its own, "
            "as the step split-time does"
        )
    listed = [
        {"obs_id": obs_id, "parent": parent, **selection_to_plain(part)}
        for obs_id, parent, part in zip(obs_ids, parents, parts, strict=True)
    ]
    return {"format": _PARTS, "obs_ids": obs_ids, "parts": listed}


def _read_parts(store: Any, content: Mapping[str, Any]) -> Any:
    from gammapy.data import Observations

    found = Observations()
    for item in content["parts"]:
        observation = store.obs(item["parent"], required_irf="all-optional")
        observation.obs_id = item["obs_id"]
        selection = selection_from_plain(item, item["parent"])
        if selection is not None:
            observation.obs_filter = selection
        found.append(observation)
    return found


def _absolute(path: Path) -> Path:
    return Path.cwd() / path


def _join(place: str, name: str) -> str:
    return f"{place}/{name}" if place else name


def _read_list(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except (OSError, json.JSONDecodeError) as error:
        raise StoreError(f"{path}: cannot read the list of observations: {error}") from error
    if content.get("format") not in (FORMAT, _PARTS):
        raise StoreError(f"{path}: not of format {FORMAT} or {_PARTS}: {content.get('format')!r}")
    return content


def _locations(observation: Any) -> Iterator[tuple[str, Any]]:
    """Yield (HDU type, `gammapy.data.HDULocation`) of what an observation reads lazily."""
    for kind in _TYPES:
        for key in (f"_{kind}_hdu", f"__{kind}_hdu"):
            if key in vars(observation):
                yield kind, vars(observation)[key]


def _rows(observation: Any) -> list[_Row]:
    rows = []
    obs_id = parent_id(observation)
    for kind, location in _locations(observation):
        path = Path(location.path(abs_path=True))
        rows.append(
            _Row(
                obs_id=obs_id,
                hdu_type=kind,
                hdu_class=location.hdu_class,
                hdu_name=location.hdu_name,
                name=_portable(location.file_dir, location.file_name),
                path=path,
            )
        )
    if not any(row.hdu_type == "events" for row in rows):
        raise StoreError(
            f"observation {observation.obs_id} is in memory alone and cannot be stored by reference"
        )
    return rows


def _distinct(rows: Sequence[_Row]) -> list[_Row]:
    """Return the rows with different names for different files (they may lie in many folders)."""
    taken: dict[str, Path] = {}
    distinct = []
    for row in rows:
        name = row.name
        if taken.setdefault(name, row.path) != row.path:
            name = f"{digest_file(row.path)[:12]}-{name.rpartition('/')[2]}"
            taken[name] = row.path
        distinct.append(replace(row, name=name))
    return distinct


def _once(rows: Sequence[_Row]) -> list[_Row]:
    """Return rows of several parts of one observation once.

    Raises
    ------
    StoreError
        Where two observations in different files have one id.
    """
    found = list(dict.fromkeys(rows))
    taken: dict[tuple[int, str], _Row] = {}
    for row in found:
        if taken.setdefault((row.obs_id, row.hdu_type), row) is not row:
            raise StoreError(f"two observations in different files have the id {row.obs_id}")
    return found


def _portable(place: str, name: str) -> str:
    """Return a file's name relative to the datastore, or the bare name where it lies elsewhere."""
    parts = PurePosixPath(place)
    if parts.is_absolute() or ".." in parts.parts or "$" in place:
        return name
    return (parts / name).as_posix()


def _write_hdu_index(rows: Sequence[_Row], path: Path, card: Mapping[str, str]) -> None:
    from astropy.io import fits
    from astropy.table import Table

    table = Table(
        {
            "OBS_ID": [row.obs_id for row in rows],
            "HDU_TYPE": [row.hdu_type for row in rows],
            "HDU_CLASS": [row.hdu_class for row in rows],
            "FILE_DIR": [row.name.rpartition("/")[0] for row in rows],
            "FILE_NAME": [row.name.rpartition("/")[2] for row in rows],
            "HDU_NAME": [row.hdu_name for row in rows],
        }
    )
    hdu = fits.BinTableHDU(table, name="HDU_INDEX")
    hdu.header.update({**_GADF, "HDUCLAS2": "HDU"})
    write_hdulist(fits.HDUList([fits.PrimaryHDU(), hdu]), path, card)


def _base(observations: Any) -> Path | None:
    """Return the folder of the datastore that the observations came from."""
    for observation in observations:
        for _, location in _locations(observation):
            return Path(location.base_dir)
    return None


def _copy_obs_index(
    base: Path | None, obs_ids: Sequence[int], path: Path, card: Mapping[str, str]
) -> None:
    """Copy the rows of the observation index, in the order of the observations."""
    from astropy.io import fits

    source = next((base / name for name in _SOURCES if base and (base / name).is_file()), None)
    if source is None:
        return
    with fits.open(source, memmap=False) as hdulist:
        table = hdulist[1]
        where = {int(obs_id): number for number, obs_id in enumerate(table.data["OBS_ID"])}
        order = [where[obs_id] for obs_id in obs_ids if obs_id in where]
        hdu = fits.BinTableHDU(data=table.data[order], header=table.header)
        write_hdulist(fits.HDUList([fits.PrimaryHDU(), hdu]), path, card)
