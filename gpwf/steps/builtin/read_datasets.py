"""The step ``read-datasets``: data that are reduced already, from files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from gpwf.core.catalog import ExternalFile, SettingProblem
from gpwf.core.spec import Port
from gpwf.errors import StepError
from gpwf.steps.base import Step, StepContext, input_file
from gpwf.steps.binning import warn_moved
from gpwf.steps.dataset_files import DatasetFile, find_datasets
from gpwf.steps.settings import EnergyRange, Field, InputPath, StepSettings

__all__ = ["ReadDatasetsStep"]

_ROUNDING = 1e-6  # edges in a file went through other units and single precision


class ReadDatasetsSettings(StepSettings):
    """Settings of the step."""

    files: tuple[InputPath, ...] = Field(
        min_length=1,
        description="OGIP spectra (PHA files), FITS files of single datasets, or YAML lists of "
        "datasets, in the order wanted",
    )
    prefix: str | None = Field(
        None,
        min_length=1,
        description="First part of the names, as in 'hess-23523'; left out: the telescope for "
        "spectra that have a number, nothing for the others",
    )
    energy: EnergyRange = Field(
        EnergyRange.model_validate({}),
        description="Energies to trust, inside the safe range of the files; bins that lie inside "
        "as a whole",
    )


class ReadDatasetsStep(Step):
    """Read datasets from files.

    - OGIP spectra: the PHA file is named; effective area, energy dispersion and background are the
      files that its header names (ANCRFILE, RESPFILE, BACKFILE), in the same folder.
    - Lists that gammapy's `Datasets.write` makes (YAML), of spectra or maps. Datasets of Fermi-LAT
      come in this form. Their models are read by the step `models`.
    - FITS files that gammapy's `dataset.write` makes.

    All of these files count for what is done again: by their content, not by where they lie.
    """

    tag: ClassVar[str] = "read-datasets"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Read datasets"
    group: ClassVar[str] = "reduction"
    Settings: ClassVar[type[StepSettings]] = ReadDatasetsSettings
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="datasets", kind="datasets", help="The datasets, without models"),
    )
    packages: ClassVar[tuple[str, ...]] = ("gammapy", "numpy", "astropy", "regions")

    def check(self, settings: ReadDatasetsSettings) -> Sequence[SettingProblem]:
        """Check that no file is listed twice."""
        return [
            SettingProblem(path=("files", number), message=f"{path} is listed twice", code="GP306")
            for number, path in enumerate(settings.files)
            if path in settings.files[:number]
        ]

    def index_files(self, settings: ReadDatasetsSettings) -> tuple[ExternalFile, ...]:
        """Return the files that the settings name, which name the others."""
        return tuple(
            input_file(f"files.{number}", path) for number, path in enumerate(settings.files)
        )

    def external_files(self, settings: ReadDatasetsSettings) -> tuple[ExternalFile, ...]:
        """Return the files that the settings name, and those that these name.

        Raises
        ------
        StepInputError
            Where one is not there, or is of another kind.
        """
        files = []
        for number, path in enumerate(settings.files):
            setting = f"files.{number}"
            found = dict.fromkeys(
                place for item in find_datasets(setting, path) for place in item.files
            )
            for place in dict.fromkeys([path.path, *found]):
                name = _relative(place, path.path.parent)
                files.append(ExternalFile(setting=setting, path=place, name=name))
        return tuple(files)

    def run(
        self,
        settings: ReadDatasetsSettings,
        inputs: Mapping[str, Any],  # noqa: ARG002  (the step has no inputs)
        ctx: StepContext,
    ) -> Mapping[str, Any]:
        """Return ``datasets``: `gammapy.datasets.Datasets`."""
        from gammapy.datasets import Datasets

        found = [
            item
            for number, path in enumerate(settings.files)
            for item in find_datasets(f"files.{number}", path)
        ]
        datasets = []
        for done, (item, name) in enumerate(zip(found, _names(found, settings), strict=True)):
            ctx.progress(done, len(found), name)
            dataset = _read(item, name, ctx.step)
            _restrict(dataset, settings.energy, ctx.step)
            datasets.append(dataset)
        ctx.progress(len(found), len(found), "")
        if not any(item.mask_safe is None or item.mask_safe.data.any() for item in datasets):
            raise StepError(
                f"{ctx.step}: no energy bin is left in any dataset",
                hint="widen 'energy'; the safe range is that of the files",
            )
        return {"datasets": Datasets(datasets)}


def _relative(path: Path, folder: Path) -> str:
    """Return the name of a file as seen from a folder; the file name where it is elsewhere."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


def _names(found: Sequence[DatasetFile], settings: ReadDatasetsSettings) -> list[str]:
    """Return a name for each dataset; one that comes again gets a number."""
    names: list[str] = []
    for item in found:
        first = settings.prefix or re.sub(r"[^a-z0-9]+", "-", item.telescope.lower()).strip("-")
        name = plain = f"{first}-{item.name}" if first else item.name
        number = 2
        while name in names:
            name, number = f"{plain}-{number}", number + 1
        names.append(name)
    return names


def _read(item: DatasetFile, name: str, step: str) -> Any:
    """Read one dataset, without models.

    Raises
    ------
    StepError
        Where gammapy cannot read it.
    """
    import gammapy.datasets

    try:
        if item.ogip:
            dataset = _ogip_reader(item, name).read()
        else:
            kind = getattr(gammapy.datasets, item.type)
            dataset = kind.read(item.path, name=name, format="gadf")
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, OSError) as error:
        raise StepError(
            f"{step}: gammapy cannot read {item.path.name} as a {item.type}: {error!r}",
            hint="was it written completely, in the format of the type?",
        ) from error
    dataset.models = None
    _to_native(dataset)
    return dataset


def _ogip_reader(item: DatasetFile, name: str) -> Any:
    """Return gammapy's reader, made to read the files that the plan has seen.

    gammapy would take files of the same name in the current folder first.
    """
    from gammapy.datasets.io import OGIPDatasetReader

    class Reader(OGIPDatasetReader):  # type: ignore[misc]  # gammapy has no types
        def get_filenames(self, pha_meta: Any) -> dict[str, Path]:  # noqa: ARG002
            return dict(item.ogip)

    return Reader(item.path, name=name)


def _to_native(dataset: Any) -> None:
    """Give the maps of a dataset the byte order of the machine; FITS files are big-endian."""
    names = ["counts", "counts_off", "acceptance", "acceptance_off", "exposure"]
    names += ["mask_safe", "mask_fit"]
    if not dataset.tag.endswith("OnOff"):  # there it is computed from the OFF counts
        names.append("background")
    maps = [getattr(dataset, name, None) for name in names]
    for irf in (dataset.edisp, dataset.psf):
        maps += [getattr(irf, name, None) for name in ("edisp_map", "psf_map", "exposure_map")]
    for item in maps:
        if item is not None:
            item.data = item.data.astype(item.data.dtype.newbyteorder("="), copy=False)


def _restrict(dataset: Any, energy: EnergyRange, step: str) -> None:
    """Restrict the safe range, and warn where the range ends inside a bin."""
    import numpy as np
    from gammapy.maps import Map

    if energy.min is None and energy.max is None:
        return
    geom = dataset.counts.geom
    low = energy.min and energy.min.quantity * (1 - _ROUNDING)
    high = energy.max and energy.max.quantity * (1 + _ROUNDING)
    mask = geom.energy_mask(energy_min=low, energy_max=high)
    used = np.flatnonzero(mask.data.reshape(mask.data.shape[0], -1).any(axis=1))
    edges = geom.axes["energy"].edges.to_value("TeV")
    if used.size:
        pairs = [
            (bound.value, float(edge))
            for bound, edge in ((energy.min, edges[used[0]]), (energy.max, edges[used[-1] + 1]))
            if bound is not None and edges[0] <= bound.value <= edges[-1]
        ]
        warn_moved(step, "energy", [one for one, _ in pairs], [two for _, two in pairs], "TeV")
    if dataset.mask_safe is None:
        dataset.mask_safe = Map.from_geom(geom, data=mask.data)
    else:
        dataset.mask_safe.data = dataset.mask_safe.data & mask.data
