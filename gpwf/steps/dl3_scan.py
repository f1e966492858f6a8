"""The index of DL3 files that have none, made from their headers.

gammapy's own `DataStore.from_events_files` takes every point spread function for one of three
Gaussians, and finds response only through a calibration database; here the class of a response is
what its header says (HDUCLAS4).

References
----------
Data formats for gamma-ray astronomy (GADF) 0.2, section "HDU classes",
https://gamma-astro-data-formats.readthedocs.io/en/v0.2/
"""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gpwf.errors import StepInputError
from gpwf.steps.base import missing_path
from gpwf.steps.dl3_index import DataFile, DatastoreIndex, IndexedHdu
from gpwf.steps.fits_columns import read_headers

__all__ = ["event_files", "scan_files"]

_ENDINGS = (".fits", ".fits.gz", ".fit", ".fit.gz")
_PATTERN = "*?["
# HDUCLAS2 of a response: what gammapy calls it, and the classes of it that gammapy reads
_RESPONSES = {
    "EFF_AREA": ("aeff", ("aeff_2d",)),
    "EDISP": ("edisp", ("edisp_2d",)),
    "PSF": ("psf", ("psf_table", "psf_3gauss", "psf_king")),
    "RPSF": ("psf", ("psf_table", "psf_3gauss", "psf_king")),
    "BKG": ("bkg", ("bkg_2d", "bkg_3d")),
    "RAD_MAX": ("rad_max", ("rad_max_2d",)),
}
_OWN = ("events", "gti")  # what no other file can lend
_SHOWN = 4


def event_files(setting: str, paths: str | Sequence[str]) -> list[Path]:
    """Return the FITS files of a folder, or of a list of paths and patterns.

    Parameters
    ----------
    setting : str
        Setting that names them, for messages.
    paths : str or sequence of str
        A folder; or files, and patterns with ``*``, ``?`` and ``**``.

    Returns
    -------
    list of Path
        Each once, sorted by path: what comes first does not depend on how they are written down.

    Raises
    ------
    StepInputError
        Where one is not there, or a pattern or a folder has no FITS file.
    """
    if isinstance(paths, str):
        found = [item for item in Path(paths).iterdir() if item.name.lower().endswith(_ENDINGS)]
        if not found:
            raise StepInputError(
                f"{setting}: {paths} is no DL3 datastore: it has neither an index nor FITS files",
                setting=setting,
                hint="give the folder that holds the index files or the files of events",
            )
        return sorted(found)
    files: set[Path] = set()
    for number, path in enumerate(paths):
        files.update(_matching(f"{setting}.{number}", path))
    return sorted(files)


def _matching(setting: str, path: str) -> list[Path]:
    """Return the file of a path, or the files of a pattern."""
    if Path(path).is_file():
        return [Path(path)]
    if not any(sign in path for sign in _PATTERN) or "$" in path:
        raise missing_path(setting, path, "file")
    found = [Path(name) for name in glob.glob(path, recursive=True)]  # noqa: PTH207  (absolute)
    files = [item for item in found if item.is_file()]
    if not files:
        raise StepInputError(
            f"{setting}: no file matches {path}",
            setting=setting,
            hint="'*' stands for any text inside one name, '**' for any folders",
        )
    return files


def scan_files(setting: str, files: Sequence[Path], response: Path | None = None) -> DatastoreIndex:
    """Return the index of files with events and response.

    Parameters
    ----------
    setting : str
        Setting that names the files, for messages.
    files : sequence of Path
        Files with events, or with response alone: one file of the latter kind serves all
        observations that lack what it has.
    response : Path, optional
        File with response for all observations that have none of their own.

    Returns
    -------
    index : DatastoreIndex
        With the HDUs; files are named relative to the folder that they share.

    Raises
    ------
    StepInputError
        Where a file is damaged or has no events nor response, where two have one observation, or
        where they are of several telescopes.
    """
    headers = {path: _headers(setting, path) for path in files}
    shared = [path for path, found in headers.items() if not _is_events(found)]
    events = {path: found for path, found in headers.items() if path not in shared}
    lent, lenders = _lent(setting, {path: headers[path] for path in shared}, response)
    if not events:
        names = ", ".join(path.name for path in shared[:_SHOWN])
        raise StepInputError(
            f"{setting}: no file has events: {names}",
            setting=setting,
            hint="give the files that have an HDU 'EVENTS'",
        )
    used = [*events, *lenders]
    base = Path(os.path.commonpath([path.parent for path in used]))
    rows: dict[int, list[IndexedHdu]] = {}
    places: dict[int, Path] = {}
    telescopes: dict[str, Path] = {}
    pointings = {}
    for path, found in events.items():
        header = _events_header(setting, path, found)
        obs_id = _obs_id(setting, path, header)
        if obs_id in places:
            raise StepInputError(
                f"{setting}: observation {obs_id} is in two files: {places[obs_id].name} and "
                f"{path.name}",
                setting=setting,
                hint="leave one of them out",
            )
        places[obs_id] = path
        telescopes.setdefault(str(header.get("TELESCOP", "")).strip(), path)
        own = _hdus(setting, path, found, obs_id)
        more = [item.of(obs_id) for kind, item in lent.items() if kind not in own]
        rows[obs_id] = [*own.values(), *more]
        pointing = _pointing(header)
        if pointing is not None:
            pointings[obs_id] = pointing
    _check_telescopes(setting, telescopes)
    if len(telescopes) == 1:
        _check_lenders(next(iter(telescopes)), lenders)
    return DatastoreIndex(
        directory=base,
        files={obs_id: _data_files(rows[obs_id], base) for obs_id in sorted(rows)},
        pointings=pointings,
        hdus=tuple(item for obs_id in sorted(rows) for item in rows[obs_id]),
    )


def _headers(setting: str, path: Path) -> list[dict[str, Any]]:
    """Return the headers of a file.

    Raises
    ------
    StepInputError
        Where it is no FITS file, or ends too early.
    """
    try:
        found = read_headers(path)
    except OSError as error:
        raise StepInputError(f"{setting}: cannot read {path}: {error}", setting=setting) from error
    if not found:
        raise StepInputError(
            f"{setting}: {path} is not a FITS file, or is damaged",
            setting=setting,
            hint="was the download complete?",
        )
    return found


def _is_events(headers: Sequence[Mapping[str, Any]]) -> bool:
    return any(_kind(header) == "events" for header in headers)


def _kind(header: Mapping[str, Any]) -> str:
    """Return what an HDU is: events, gti, aeff …; empty for anything else."""
    name = str(header.get("HDUCLAS1") or header.get("EXTNAME") or "").upper()
    if name in ("EVENTS", "GTI"):
        return name.lower()
    if name != "RESPONSE":
        return ""
    return _RESPONSES.get(str(header.get("HDUCLAS2", "")).upper(), ("", ()))[0]


def _hdus(
    setting: str, path: Path, headers: Sequence[Mapping[str, Any]], obs_id: int
) -> dict[str, IndexedHdu]:
    """Return the HDUs of a file that an analysis uses, by type; of several, the first.

    Raises
    ------
    StepInputError
        For a response of a class that gammapy does not read.
    """
    found: dict[str, IndexedHdu] = {}
    for header in headers:
        kind = _kind(header)
        if kind and kind not in found:
            found[kind] = IndexedHdu(
                obs_id=obs_id,
                hdu_type=kind,
                hdu_class=_hdu_class(setting, path, header, kind),
                hdu_name=str(header.get("EXTNAME", kind.upper())),
                path=path,
            )
    return found


def _hdu_class(setting: str, path: Path, header: Mapping[str, Any], kind: str) -> str:
    if kind in _OWN:
        return kind
    given = str(header.get("HDUCLAS4", "")).strip().lower()
    # some files have '2D' or '3GAUSS' for what the format calls 'AEFF_2D' and 'PSF_3GAUSS'
    name = given if given.startswith(kind) else f"{kind}_{given}"
    known = _RESPONSES[str(header["HDUCLAS2"]).upper()][1]
    if name not in known:
        raise StepInputError(
            f"{setting}: {path.name}: the class of '{header.get('EXTNAME', kind)}' (HDUCLAS4) is "
            f"{given.upper() or 'missing'}; those that can be read are "
            f"{', '.join(item.upper() for item in known)}",
            setting=setting,
            hint="correct the header, or give the response in another file with 'irfs'",
        )
    return name


def _obs_id(setting: str, path: Path, header: Mapping[str, Any]) -> int:
    text = str(header.get("OBS_ID", "")).strip()
    if not text.isdecimal():
        raise StepInputError(
            f"{setting}: {path.name}: the header of its events has "
            f"{'no OBS_ID' if not text else f'the OBS_ID {text!r}, which is no number'}",
            setting=setting,
            hint="add a whole number as OBS_ID to the header of EVENTS",
        )
    return int(text)


def _pointing(header: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return right ascension and declination in deg; None where the header has none."""
    try:
        ra, dec = (
            float(str(header[name]).replace("D", "E").replace("d", "e"))
            for name in ("RA_PNT", "DEC_PNT")
        )
    except (KeyError, ValueError):
        return None
    return ra, dec


def _lent(
    setting: str, shared: Mapping[Path, Sequence[Mapping[str, Any]]], response: Path | None
) -> tuple[dict[str, IndexedHdu], dict[Path, Sequence[Mapping[str, Any]]]]:
    """Return the response for all observations by type, and the headers of the file that has it.

    Parameters
    ----------
    setting : str
        Setting that names the files without events.
    shared : mapping of Path to sequence of mapping
        Headers of these files.
    response : Path, optional
        File that is named for it; left out, the only one of ``shared``.

    Raises
    ------
    StepInputError
        Where several files have no events, or the file has no response.
    """
    others = [path for path in shared if path != response]
    if len(others) > (response is None):
        names = ", ".join(path.name for path in others[:_SHOWN])
        few = "a file has" if len(others) == 1 else "several files have"
        raise StepInputError(
            f"{setting}: {few} no events: {names}",
            setting=setting,
            hint="leave them out, and give the one with the response as 'irfs'",
        )
    path = response if response is not None else next(iter(others), None)
    if path is None:
        return {}, {}
    setting = "irfs" if response is not None else setting
    headers = shared.get(path) or _headers(setting, path)
    found = _hdus(setting, path, headers, 0)
    _check_response(setting, path, found)
    return found, {path: headers}


def _check_response(setting: str, path: Path, found: Mapping[str, IndexedHdu]) -> None:
    """Refuse a file that has events or has no response.

    Raises
    ------
    StepInputError
        Where it is so.
    """
    if found.keys() & set(_OWN) or not found:
        what = "has events" if "events" in found else "has neither events nor response"
        raise StepInputError(
            f"{setting}: {path.name} {what}",
            setting=setting,
            hint="a file of response has HDUs whose HDUCLAS1 is RESPONSE",
        )


def _events_header(
    setting: str, path: Path, headers: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any]:
    """Return the header of the events of a file.

    Raises
    ------
    StepInputError
        Where it has several lists of events: one of them alone would be read.
    """
    found = [item for item in headers if _kind(item) == "events"]
    if len(found) > 1:
        names = ", ".join(str(item.get("EXTNAME", "")) for item in found[:_SHOWN])
        raise StepInputError(
            f"{setting}: {path.name} has {len(found)} lists of events: {names}",
            setting=setting,
            hint="write each into a file of its own, or make index tables for the folder",
        )
    return found[0]


def _check_lenders(telescope: str, lenders: Mapping[Path, Sequence[Mapping[str, Any]]]) -> None:
    """Refuse response of another telescope, where both headers tell theirs.

    Raises
    ------
    StepInputError
        With the file.
    """
    for path, headers in lenders.items():
        for header in headers:
            name = str(header.get("TELESCOP", "")).strip()
            if telescope and name and _kind(header) and name.upper() != telescope.upper():
                raise StepInputError(
                    f"irfs: {path.name} has the response of {name}, and the events are of "
                    f"{telescope}",
                    setting="irfs",
                    hint="give the response of the same telescope, or correct TELESCOP",
                )


def _check_telescopes(setting: str, telescopes: Mapping[str, Path]) -> None:
    """Refuse files of several telescopes: their data are never one observation list.

    Raises
    ------
    StepInputError
        With a file of each.
    """
    if len(telescopes) < 2:
        return
    each = [f"{name or 'none'} ({path.name})" for name, path in telescopes.items()]
    raise StepInputError(
        f"{setting}: the files are of several telescopes: {', '.join(each[:_SHOWN])}",
        setting=setting,
        hint="use one step for each instrument",
    )


def _data_files(hdus: Sequence[IndexedHdu], base: Path) -> tuple[DataFile, ...]:
    """Return the files of an observation, each with the HDUs in it."""
    kinds: dict[Path, list[str]] = {}
    for item in hdus:
        kinds.setdefault(item.path, []).append(item.hdu_type)
    return tuple(
        DataFile(name=path.relative_to(base).as_posix(), path=path, hdu_types=tuple(found))
        for path, found in kinds.items()
    )
