"""Files with reduced data: OGIP spectra, gammapy's datasets and lists of them, fermipy, fluxes.

What a file refers to is found with the standard library, because a plan is made without astropy.
Names in a file count from the folder of that file, whatever the current folder is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gpwf.errors import StepInputError
from gpwf.steps.base import missing_path
from gpwf.steps.fermipy_files import fermipy_components, is_fermipy
from gpwf.steps.fits_columns import read_headers
from gpwf.steps.model_files import read_models

__all__ = ["FLUX_POINTS", "TYPES", "DatasetFile", "find_datasets"]

FLUX_POINTS = "FluxPointsDataset"
#: Types of gammapy datasets that can be read and stored.
TYPES = ("SpectrumDatasetOnOff", "SpectrumDataset", "MapDatasetOnOff", "MapDataset", FLUX_POINTS)

_LIST_ENDINGS = (".yaml", ".yml")
# keywords of an OGIP spectrum that name other files, and gammapy's names of these files
_OGIP_FILES = {"ANCRFILE": "arffile", "BACKFILE": "bkgfile", "RESPFILE": "rmffile"}
_NO_TEXT = ("", "none", "unknown")
# columns of a table of flux points; one of time makes it a light curve
_FLUXES = frozenset(("dnde", "flux", "e2dnde", "eflux", "norm"))
_ENERGIES = frozenset(("e_ref", "e_min"))
_TIMES = frozenset(("time_min", "time_max", "time"))


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFile:
    """A file that holds one dataset.

    Parameters
    ----------
    path : Path
        OGIP spectrum, FITS file in gammapy's own layout, table of flux points, or configuration of
        fermipy.
    type : str
        One of `TYPES`.
    name : str
        Name of the dataset without a prefix.
    telescope : str
        Telescope, where the file tells it and the name does not.
    ogip : mapping of str to Path
        For an OGIP spectrum, response (``arffile``, ``rmffile``) and background (``bkgfile``).
    listed : str
        What the file is called in the list that names it; empty where a setting does.
    hdu : int
        For flux points in FITS, number of the HDU with the table.
    fermipy : mapping of str to Path
        For a component of a fermipy analysis, its files by gammapy's names.
    isotropic : Path, optional
        For such a component, the file of the isotropic diffuse emission; it may not be there.
    """

    path: Path
    type: str
    name: str
    telescope: str = ""
    ogip: Mapping[str, Path] = field(default_factory=dict)
    listed: str = ""
    hdu: int = 1
    fermipy: Mapping[str, Path] = field(default_factory=dict)
    isotropic: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All files of the dataset."""
        return (self.path, *self.ogip.values(), *self.fermipy.values())


def find_datasets(setting: str, path: str) -> list[DatasetFile]:
    """Return the datasets of a file.

    Parameters
    ----------
    setting : str
        Dotted path of the setting that names the file, for messages.
    path : str
        YAML list of datasets, configuration of fermipy, OGIP spectrum (PHA), FITS file of one
        dataset, or table of flux points (FITS, ECSV).

    Raises
    ------
    StepInputError
        Where it is nothing of these, or a file that it names is not there.

    References
    ----------
    OGIP/92-007, "The OGIP spectral file format".
    """
    if not Path(path).is_file():
        if any(sign in path for sign in "*?["):
            raise StepInputError(
                f"{setting}: no such file: {path}",
                setting=setting,
                hint="patterns are not for reduced data, whose files name others: name each file",
            )
        raise missing_path(setting, path, "file")
    if path.lower().endswith(_LIST_ENDINGS):
        return _listed(setting, Path(path))
    if path.lower().endswith(".ecsv"):
        return [_from_ecsv(setting, Path(path))]
    return [_from_fits(setting, Path(path))]


def _listed(setting: str, path: Path) -> list[DatasetFile]:
    """Return the datasets of a list that `gammapy.datasets.Datasets.write` made, or of fermipy."""
    data, message = read_models(path)
    if not message and is_fermipy(data):
        return _from_fermipy(setting, path, data)
    entries = data.get("datasets") if isinstance(data, Mapping) else None
    if message or not isinstance(entries, list) or not entries:
        raise StepInputError(
            f"{setting}: {path} is no list of datasets: {message or 'it has no datasets'}",
            setting=setting,
            hint="give a file that gammapy's Datasets.write made: 'datasets', each with 'name', "
            "'type' and 'filename'; or the configuration of a fermipy analysis",
        )
    found = []
    for number, entry in enumerate(entries):
        values = [
            entry.get(key) if isinstance(entry, Mapping) else None
            for key in ("name", "type", "filename")
        ]
        if not all(isinstance(value, str) and value for value in values):
            raise StepInputError(
                f"{setting}: dataset {number + 1} of {path} lacks 'name', 'type' or 'filename'",
                setting=setting,
            )
        name, kind, filename = map(str, values)
        if kind not in TYPES:
            raise StepInputError(
                f"{setting}: dataset '{name}' of {path} is a '{kind}'; those that can be read are "
                f"{', '.join(TYPES)}",
                setting=setting,
            )
        place = _beside(path, filename)
        if not place.is_file():
            raise missing_path(setting, str(place), "file")
        ecsv = place.name.lower().endswith(".ecsv")
        inner = (_from_ecsv if ecsv else _from_fits)(setting, place)
        if inner.type != kind and (inner.ogip or FLUX_POINTS in (inner.type, kind)):
            raise StepInputError(
                f"{setting}: dataset '{name}' of {path} is a '{kind}', and its file {filename} is "
                f"that of a '{inner.type}'",
                setting=setting,
                hint="correct 'type' or 'filename'",
            )
        found.append(replace(inner, type=kind, name=name, telescope="", listed=filename))
    return found


def _beside(path: Path, name: str) -> Path:
    """Return the path of a file that another one names."""
    return path.parent / Path(os.path.expandvars(name)).expanduser()


def _from_fits(setting: str, path: Path) -> DatasetFile:
    """Return the dataset of a FITS file.

    Raises
    ------
    StepInputError
        Where it is no file of a dataset.
    """
    headers = read_headers(path)
    if not headers:
        raise StepInputError(f"{setting}: {path} is not a FITS file", setting=setting)
    by_name = {str(header.get("EXTNAME", "")).upper(): header for header in headers}
    if "SPECTRUM" in by_name:
        return _from_ogip(setting, path, by_name["SPECTRUM"])
    if "COUNTS" not in by_name:
        for number, header in enumerate(headers):
            columns = {
                str(header.get(f"TTYPE{n + 1}")) for n in range(int(header.get("TFIELDS", 0)))
            }
            if _is_flux_table(setting, path, columns):
                name = path.name.partition(".")[0]
                return DatasetFile(path=path, type=FLUX_POINTS, name=name, hdu=number)
        names = ", ".join(name for name in by_name if name) or "no extensions"
        raise StepInputError(
            f"{setting}: {path} is neither an OGIP spectrum, nor a dataset of gammapy with "
            f"counts, nor a table of flux points: it has {names}",
            setting=setting,
        )
    kind = "Spectrum" if any(name.endswith("_REGION") for name in by_name) else "Map"
    ending = "OnOff" if {"ACCEPTANCE", "COUNTS_OFF"} & by_name.keys() else ""
    name = _text(headers[0].get("NAME")) or path.name.partition(".")[0]
    return DatasetFile(path=path, type=f"{kind}Dataset{ending}", name=name)


def _is_flux_table(setting: str, path: Path, columns: set[str]) -> bool:
    """Tell whether a table with these columns has flux points.

    Raises
    ------
    StepInputError
        Where it is a light curve.
    """
    if not (_FLUXES & columns and _ENERGIES & columns):
        return False
    if _TIMES & columns:
        raise StepInputError(
            f"{setting}: {path} is a light curve; only flux points in energy alone can be fitted",
            setting=setting,
        )
    return True


def _from_ecsv(setting: str, path: Path) -> DatasetFile:
    """Return the dataset of a table of flux points in ECSV.

    Raises
    ------
    StepInputError
        Where it is another table.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise StepInputError(f"{setting}: cannot read {path}: {error}", setting=setting) from error
    header = next((line for line in lines if line and not line.startswith("#")), "")
    columns = {name.strip('"') for name in header.replace(",", " ").split()}
    if (
        not lines
        or not lines[0].startswith("# %ECSV")
        or not _is_flux_table(setting, path, columns)
    ):
        raise StepInputError(
            f"{setting}: {path} is no table of flux points: it has the columns "
            f"{', '.join(sorted(columns)) or 'none'}",
            setting=setting,
            hint="energies are in 'e_ref' (or 'e_min' and 'e_max'), fluxes in 'dnde', 'flux', "
            "'e2dnde', 'eflux' or 'norm'",
        )
    return DatasetFile(path=path, type=FLUX_POINTS, name=path.name.partition(".")[0])


def _from_fermipy(setting: str, path: Path, data: Mapping[str, Any]) -> list[DatasetFile]:
    """Return the datasets of a fermipy analysis, one for each component."""
    components = fermipy_components(setting, path, data)
    plain = path.name.partition(".")[0]
    found = []
    for item in components:
        number = f"-{item.number}" if len(components) > 1 else ""
        found.append(
            DatasetFile(
                path=path,
                type="MapDataset",
                name=item.event_type or f"{plain}{number}",
                fermipy=item.parts,
                isotropic=item.isotropic,
            )
        )
    return found


def _from_ogip(setting: str, path: Path, header: Mapping[str, Any]) -> DatasetFile:
    """Return the dataset of an OGIP spectrum."""
    files = {}
    for keyword, name in _OGIP_FILES.items():
        text = _text(header.get(keyword))
        if not text and keyword != "RESPFILE":  # without one, energies are taken as they are
            raise StepInputError(
                f"{setting}: the spectrum {path} names no {keyword}",
                setting=setting,
                hint="effective area (ANCRFILE) and background (BACKFILE) are needed; the energy "
                "dispersion (RESPFILE) should be there",
            )
        if text:
            files[name] = _beside(path, text)
            if not files[name].is_file():
                raise missing_path(setting, str(files[name]), f"file ({keyword} of {path.name})")
    # gammapy writes the name of the dataset here, others a number
    name = _text(header.get("OBS_ID")) or path.name.partition(".")[0].removeprefix("pha_")
    return DatasetFile(
        path=path,
        type="SpectrumDatasetOnOff",
        name=name,
        telescope=(_text(header.get("TELESCOP")) or "obs") if name.isdecimal() else "",
        ogip=files,
    )


def _text(value: Any) -> str:
    """Return the text of a header's value; empty where it stands for nothing."""
    text = "" if value is None else str(value).strip()
    return "" if text.lower() in _NO_TEXT else text
