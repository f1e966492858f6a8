"""Files of an analysis with fermipy: what its configuration names, found without gammapy.

References
----------
`gammapy.datasets.FermipyDatasetsReader`; https://fermipy.readthedocs.io/en/latest/config.html
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpwf.errors import StepInputError
from gpwf.steps.base import missing_path

__all__ = ["Component", "fermipy_components", "is_fermipy"]

# sections of a configuration, of which a usable one has some; models have 'components' as well
_SECTIONS = frozenset(("binning", "selection", "gtlike", "fileio"))
# names of files, and gammapy's names of them
_PARTS = {
    "ccube": "counts_file",
    "bexpmap": "exposure_file",
    "psf": "psf_file",
    "drm": "edisp_file",
    "ft1": "gti_file",
}
_OPTIONAL = ("ft1",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A component of a configuration, which becomes one dataset.

    Parameters
    ----------
    number : int
        From 0, as in the names of its files.
    parts : mapping of str to Path
        Files by their name in `gammapy.datasets.FermipyDatasetsReader.create_dataset`.
    isotropic : Path, optional
        File of the isotropic diffuse emission; whether it is there is not checked.
    """

    number: int
    parts: Mapping[str, Path]
    isotropic: Path | None = None

    @property
    def event_type(self) -> str:
        """Class and type of the events, of the name of the isotropic file; may be empty."""
        return "" if self.isotropic is None else self.isotropic.stem.removeprefix("iso_")


def is_fermipy(data: Any) -> bool:
    """Tell whether the content of a YAML file is a configuration of fermipy."""
    return isinstance(data, Mapping) and bool(_SECTIONS & set(data))


def fermipy_components(setting: str, path: Path, data: Mapping[str, Any]) -> list[Component]:
    """Return the components of a configuration.

    Parameters
    ----------
    setting : str
        Dotted path of the setting that names it, for messages.
    path : Path
        The configuration; relative paths in it count from its folder.
    data : mapping
        Its content.

    Raises
    ------
    StepInputError
        Where a file is not there.
    """
    listed = data.get("components")
    components = listed if isinstance(listed, list) and listed else [data]
    found = []
    for number, item in enumerate(components):
        own = item if isinstance(item, Mapping) else {}
        folder = path.parent / _text(_entry(own, data, "fileio", "outdir"))
        parts = {}
        for name, key in _PARTS.items():
            place = folder / f"{name}_0{number}.fits"
            if place.is_file():
                parts[key] = place
            elif name not in _OPTIONAL:
                error = missing_path(setting, str(place), "file")
                raise StepInputError(
                    f"{error.message} (component {number} of {path.name})",
                    setting=setting,
                    hint="the files are those that fermipy's GTAnalysis.setup makes, with "
                    "'write_all' where they were made for gammapy",
                )
        isotropic = _isotropic(path, _entry(own, data, "model", "isodiff"))
        found.append(Component(number=number, parts=parts, isotropic=isotropic))
    return found


def _entry(own: Mapping[str, Any], common: Mapping[str, Any], section: str, key: str) -> Any:
    """Return an entry of a component, or of the configuration; None for none."""
    for data in (own, common):
        part = data.get(section)
        if isinstance(part, Mapping) and part.get(key) is not None:
            return part[key]
    return None


def _text(value: Any) -> str:
    return "" if value is None else os.path.expandvars(str(value))


def _isotropic(path: Path, value: Any) -> Path | None:
    """Return the file of the isotropic emission: a name, or a list of one."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str) or not value:
        return None
    name = Path(_text(value)).expanduser()
    place = path.parent / name
    folder = os.environ.get("FERMI_DIFFUSE_DIR")
    if not place.is_file() and folder and (Path(folder) / name).is_file():
        return Path(folder) / name  # where fermipy looks as well
    return place
