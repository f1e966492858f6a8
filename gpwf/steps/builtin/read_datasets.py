"""The step ``read-datasets``: data that are reduced already, from files or as flux points."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from gpwf.core.catalog import ExternalFile, SettingProblem
from gpwf.core.spec import Port
from gpwf.errors import StepError, StepInputError
from gpwf.steps.base import Step, StepContext, input_file, missing_path
from gpwf.steps.binning import warn_moved
from gpwf.steps.catalog_fluxes import CatalogSource, catalog_file, catalog_flux
from gpwf.steps.dataset_files import DatasetFile, find_datasets
from gpwf.steps.dataset_parts import energy_geom, has_counts, mask_of
from gpwf.steps.dataset_readers import flux_dataset, isotropic_model, read_dataset
from gpwf.steps.settings import EnergyRange, Field, InputPath, StepSettings

__all__ = ["ReadDatasetsStep"]

_ROUNDING = 1e-6  # edges in a file went through other units and single precision
_FLUX_POINTS = Port(
    name="flux_points",
    kind="flux-points",
    multiple=True,
    help="Flux points to be compared with models, a dataset each; without 'files'",
)
_DATASETS = Port(name="datasets", kind="datasets", help="The datasets, without models")
_MODELS = Port(
    name="models", kind="models", help="Isotropic emission of each dataset, with 'isotropic'"
)


class ReadDatasetsSettings(StepSettings):
    """Settings of the step."""

    files: tuple[InputPath, ...] | None = Field(
        None,
        min_length=1,
        description="OGIP spectra (PHA files), FITS files of single datasets, YAML lists of "
        "datasets, configurations of fermipy, or tables of flux points (FITS, ECSV), in the order "
        "wanted; left out: the products 'flux_points'",
        json_schema_extra={"usual": True},
    )
    catalog_sources: tuple[CatalogSource, ...] = Field(
        (),
        description="Sources of catalogues, whose flux points become datasets after those of "
        "'files', as a list of {catalog: …, source: …}",
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
    stat_type: Literal["chi2", "distrib", "profile"] = Field(
        "chi2",
        description="Flux points: how they are compared with models: by chi square without upper "
        "limits, with a distribution for the limits, or by the profiles of their likelihood",
    )
    edisp_bins: int = Field(
        0,
        ge=0,
        description="fermipy: bins at both ends of the energies that only the energy dispersion "
        "needs; 2 or more are usual",
    )
    isotropic: bool = Field(
        False,
        description="fermipy: give the isotropic diffuse emission that the configuration names "
        "as 'models', one for each dataset",
    )


class ReadDatasetsStep(Step):
    """Read datasets from files, or take flux points as data.

    - OGIP spectra: the PHA file is named; effective area, energy dispersion and background are the
      files that its header names (ANCRFILE, RESPFILE, BACKFILE), in the same folder.
    - Lists that gammapy's `Datasets.write` makes (YAML), of spectra, maps or flux points. Their
      models are read by the step `models`.
    - FITS files that gammapy's `dataset.write` makes.
    - Configurations of fermipy (YAML), read by `gammapy.datasets.FermipyDatasetsReader`: maps of
      Fermi-LAT, one dataset for each component, named after class and type of its events. The
      isotropic emission is a model of its own (`isotropic`).
    - Tables of flux points (FITS, ECSV), flux points of catalogues (`catalog_sources`), and, where
      neither is given, products `flux_points`: each becomes a `gammapy.datasets.FluxPointsDataset`,
      which a fit compares with the spectrum directly.

    All of these files count for what is done again: by their content, not by where they lie.
    """

    tag: ClassVar[str] = "read-datasets"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Read datasets"
    group: ClassVar[str] = "reduction"
    Settings: ClassVar[type[StepSettings]] = ReadDatasetsSettings
    input_ports: ClassVar[tuple[Port, ...]] = (_FLUX_POINTS,)
    output_ports: ClassVar[tuple[Port, ...]] = (_DATASETS,)
    packages: ClassVar[tuple[str, ...]] = ("gammapy", "numpy", "astropy", "regions")

    def inputs(self, settings: ReadDatasetsSettings) -> tuple[Port, ...]:
        """Return the port ``flux_points`` where neither files nor sources are given."""
        return () if settings.files is not None or settings.catalog_sources else (_FLUX_POINTS,)

    def outputs(self, settings: ReadDatasetsSettings) -> tuple[Port, ...]:
        """Return the port ``datasets``, and ``models`` where the isotropic emission is wanted."""
        return (_DATASETS, _MODELS) if settings.isotropic else (_DATASETS,)

    def check(self, settings: ReadDatasetsSettings) -> Sequence[SettingProblem]:
        """Check that no file is listed twice, and that what is for fermipy has files."""
        files = settings.files or ()
        problems = [
            SettingProblem(path=("files", number), message=f"{path} is listed twice", code="GP306")
            for number, path in enumerate(files)
            if path in files[:number]
        ]
        for name in ("isotropic", "edisp_bins"):
            if settings.files is None and getattr(settings, name):
                message = f"{name!r} has no meaning for flux points, only for files of fermipy"
                problems.append(SettingProblem(path=(name,), message=message, code="GP306"))
        return problems

    def index_files(self, settings: ReadDatasetsSettings) -> tuple[ExternalFile, ...]:
        """Return the files that the settings name, which name the others."""
        files = [
            input_file(f"files.{number}", path) for number, path in enumerate(settings.files or ())
        ]
        return (*files, *_catalog_files(settings))

    def external_files(self, settings: ReadDatasetsSettings) -> tuple[ExternalFile, ...]:
        """Return the files that the settings name, and those that these name.

        Raises
        ------
        StepInputError
            Where one is not there, or is of another kind.
        """
        files = []
        for number, path in enumerate(settings.files or ()):
            setting = f"files.{number}"
            found = find_datasets(setting, path)
            places = [place for item in found for place in item.files]
            if settings.isotropic:
                places += _isotropic_files(setting, found)
            for place in dict.fromkeys([path.path, *places]):
                name = _relative(place, path.path.parent)
                files.append(ExternalFile(setting=setting, path=place, name=name))
        return (*files, *_catalog_files(settings))

    def run(
        self, settings: ReadDatasetsSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``datasets``: `gammapy.datasets.Datasets`; and ``models``, where wanted."""
        from gammapy.datasets import Datasets
        from gammapy.modeling.models import Models

        models: list[Any] = []
        if self.inputs(settings):
            datasets = _from_products(inputs["flux_points"], settings, ctx)
        else:
            datasets, models = _from_files(settings, ctx)
            datasets += _from_catalogs(settings, [item.name for item in datasets], ctx.step)
        for dataset in datasets:
            _restrict(dataset, settings.energy, ctx.step)
        if not any(mask_of(item).any() for item in datasets):
            raise StepError(
                f"{ctx.step}: no energy bin is left in any dataset",
                hint="widen 'energy'; the safe range is that of the files, and upper limits among "
                "flux points take no part with 'stat_type: chi2'",
            )
        empty = [item.name for item in datasets if not mask_of(item).any()]
        if empty:
            warnings.warn(
                f"{ctx.step}: no energy bin is left in {', '.join(empty)}: a fit will not use it",
                stacklevel=2,
            )
        products = {"datasets": Datasets(datasets)}
        return products | ({"models": Models(models)} if settings.isotropic else {})


def _catalog_files(settings: ReadDatasetsSettings) -> list[ExternalFile]:
    """Return the files of the catalogues, each once."""
    found = [
        catalog_file(f"catalog_sources.{number}", item)
        for number, item in enumerate(settings.catalog_sources)
    ]
    return list({item.path: item for item in reversed(found)}.values())[::-1]


def _from_files(settings: ReadDatasetsSettings, ctx: StepContext) -> tuple[list[Any], list[Any]]:
    """Return the datasets of the files, and models of isotropic emission where they are wanted."""
    found = [
        item
        for number, path in enumerate(settings.files or ())
        for item in find_datasets(f"files.{number}", path)
    ]
    datasets, models = [], []
    for done, (item, name) in enumerate(zip(found, _names(found, settings), strict=True)):
        ctx.progress(done, len(found), name)
        dataset = read_dataset(
            item, name, ctx.step, edisp_bins=settings.edisp_bins, stat_type=settings.stat_type
        )
        datasets.append(dataset)
        if settings.isotropic and item.isotropic is not None:
            models.append(isotropic_model(item.isotropic, name, ctx.step))
    ctx.progress(len(found), len(found), "")
    return datasets, models


def _from_catalogs(settings: ReadDatasetsSettings, taken: list[str], step: str) -> list[Any]:
    """Return a dataset for each source of a catalogue, named after it."""
    datasets = []
    for number, item in enumerate(settings.catalog_sources):
        setting = f"catalog_sources.{number}"
        flux = catalog_flux(item, step, setting)
        name = f"{settings.prefix or item.catalog}-{_plain(item.source)}"
        if name in taken:
            raise StepError(
                f"{step}: '{setting}': there is a dataset '{name}' already",
                hint="list every source once",
            )
        taken = [*taken, name]
        datasets.append(_as_dataset(flux, name, settings, step))
    return datasets


def _as_dataset(flux: Any, name: str, settings: ReadDatasetsSettings, step: str) -> Any:
    """Return flux points as a dataset.

    Raises
    ------
    StepError
        Where they cannot be used as they are asked for.
    """
    try:
        return flux_dataset(flux, name, settings.stat_type)
    except ValueError as error:
        raise StepError(
            f"{step}: {error}",
            hint="give flux points of the step 'flux-points'; for profiles, with 'scan' in its "
            "'selection_optional'",
        ) from error


def _isotropic_files(setting: str, found: Sequence[DatasetFile]) -> list[Path]:
    """Return the files of the isotropic emission.

    Raises
    ------
    StepInputError
        Where a component has none, or it is not there.
    """
    for item in found:
        if item.isotropic is None:
            raise StepInputError(
                f"{setting}: '{item.name}' has no isotropic emission: the configuration of fermipy "
                "names no 'isodiff'",
                setting="isotropic",
                hint="leave 'isotropic' out",
            )
        if not item.isotropic.is_file():
            raise missing_path(setting, str(item.isotropic), "file (isodiff of fermipy)")
    return [item.isotropic for item in found if item.isotropic is not None]


def _from_products(
    products: Sequence[Any], settings: ReadDatasetsSettings, ctx: StepContext
) -> list[Any]:
    """Return a dataset for each product of flux points, named after where it comes from."""
    labels = [" ".join(item.values()) for item in ctx.labels.get("flux_points", ())]
    if len(labels) != len(products) or len(set(labels)) < len(labels) or not all(labels):
        labels = [str(number + 1) for number in range(len(products))]
    first = settings.prefix or "flux-points"
    return [
        _as_dataset(flux, f"{first}-{_plain(label)}", settings, ctx.step)
        for flux, label in zip(products, labels, strict=True)
    ]


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _relative(path: Path, folder: Path) -> str:
    """Return the name of a file as seen from a folder; the file name where it is elsewhere."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


def _names(found: Sequence[DatasetFile], settings: ReadDatasetsSettings) -> list[str]:
    """Return a name for each dataset; one that comes again gets a number."""
    names: list[str] = []
    for item in found:
        first = settings.prefix or _plain(item.telescope)
        name = plain = f"{first}-{item.name}" if first else item.name
        number = 2
        while name in names:
            name, number = f"{plain}-{number}", number + 1
        names.append(name)
    return names


def _restrict(dataset: Any, energy: EnergyRange, step: str) -> None:
    """Restrict the safe range, and warn where the range ends inside a bin."""
    import numpy as np
    from gammapy.maps import Map

    if energy.min is None and energy.max is None:
        return
    geom = energy_geom(dataset)
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
    if not has_counts(dataset):
        dataset.mask_safe = dataset._mask_safe & mask.data
    elif dataset.mask_safe is None:
        dataset.mask_safe = Map.from_geom(geom, data=mask.data)
    else:
        dataset.mask_safe.data = dataset.mask_safe.data & mask.data
