"""The step ``catalog-models``: models of the sky from a catalogue of sources."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator

from gpwf.core.catalog import ExternalFile, SettingProblem
from gpwf.core.spec import Port
from gpwf.errors import NoDataError, StepError, StepInputError
from gpwf.steps.base import Step, StepContext, input_file
from gpwf.steps.catalog_sources import Found, find_sources, sources_table
from gpwf.steps.settings import (
    AnyQuantity,
    EnergyRange,
    Field,
    InputPath,
    Radius,
    Section,
    SkyCircle,
    StepSettings,
    problem,
)
from gpwf.steps.source_catalogs import CATALOGS, open_catalog
from gpwf.steps.templates import settle_templates

__all__ = ["CatalogModelsStep"]

# what the setting 'which' may be
_WHICH = {
    "hgps": ("best", "pl", "ecpl"),
    "2hwc": ("point", "extended"),
    "1lhaaso": ("both", "WCDA", "KM2A"),
}


class Cut(Section):
    """A cut on a column of the catalogue."""

    column: str = Field(min_length=1, description="Name of the column", examples=["Signif_Avg"])
    min: float | AnyQuantity | None = Field(None, description="Lowest value, with its unit")
    max: float | AnyQuantity | None = Field(None, description="Highest value, with its unit")
    equals: tuple[str, ...] | None = Field(
        None, min_length=1, description="The value is one of these texts"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.min is None and self.max is None and self.equals is None:
            raise problem("GP306", "a cut needs 'min', 'max' or 'equals'")
        return self


class FreeParameters(Section):
    """Which parameters a fit may change."""

    spectra: Literal["all", "norm", "none"] = Field(
        "all", description="Those of spectra: all that gammapy has free, the norm alone, none"
    )
    positions: bool = Field(False, description="Positions of sources")
    shapes: bool = Field(False, description="Sizes and other parameters of the shape")
    within: Radius | None = Field(
        None,
        description="Sources farther from the centre of the cone are frozen; left out: no limit",
    )


class CatalogModelsSettings(StepSettings):
    """Settings of the step."""

    catalog: Literal[
        "gamma-cat", "hgps", "2hwc", "3hwc", "1lhaaso", "3fgl", "4fgl", "2fhl", "3fhl"
    ] = Field(description="Which catalogue")
    file: InputPath | None = Field(
        None, description="Its file; left out: that of gammapy's data below $GAMMAPY_DATA"
    )
    cone: SkyCircle | None = Field(None, description="Sources whose position is inside")
    names: tuple[str, ...] | None = Field(
        None, min_length=1, description="Sources with these names; all that are known under one"
    )
    cuts: tuple[Cut, ...] = Field((), description="Cuts on columns, all of which a source passes")
    exclude: tuple[str, ...] = Field((), description="Names of sources to leave out")
    which: Literal["best", "pl", "ecpl", "point", "extended", "both", "WCDA", "KM2A"] | None = (
        Field(
            None,
            description="Which of several models of a source: hgps best, pl or ecpl; 2hwc point "
            "or extended; 1lhaaso both, WCDA or KM2A; left out: the first",
        )
    )
    components: Literal["independent", "linked", "merged"] = Field(
        "independent",
        description="hgps: sources of several Gaussians as models of their own, with the same "
        "shape of the spectrum, or as one map",
    )
    free: FreeParameters = Field(
        FreeParameters.model_validate({}), description="Which parameters a fit may change"
    )
    prefix: str = Field("", description="Put in front of the names of the models")
    flux_range: EnergyRange = Field(
        EnergyRange.model_validate({"min": "1 TeV", "max": "10 TeV"}),
        description="Energies of the flux in the table of sources",
    )
    columns: tuple[str, ...] = Field(
        (), description="More columns of the catalogue for the table of sources"
    )


class CatalogModelsStep(Step):
    """Make models of the sky from a catalogue of gamma-ray sources.

    Reads a catalogue of `gammapy.catalog` (`SourceCatalogHGPS`, `SourceCatalog3FHL` …) and takes
    the sources that lie inside `cone`, have one of the `names`, and pass all `cuts`: at least one
    of the three is given. Their models are those of `SourceCatalogObject.sky_model`, errors as
    first steps of a fit included.

    Spectra are free and positions and shapes frozen, unless `free` says otherwise; parameters that
    gammapy freezes (reference energies) stay frozen.

    A source without a model (gamma-cat without spectrum, 1LHAASO without the detector that was
    asked for, a Fermi-LAT source whose map is not there) is named in a warning, and in the metadata
    of the table `sources` with the reason. No source at all is no data.

    | catalogue | file below `$GAMMAPY_DATA/catalogs` | `which` |
    |---|---|---|
    | `gamma-cat` | `gammacat/gammacat.fits.gz` | |
    | `hgps` | `hgps_catalog_v1.fits.gz` | `best` (of the catalogue), `pl`, `ecpl` |
    | `2hwc` | `2HWC.ecsv` | `point`, `extended` |
    | `3hwc` | `3HWC.ecsv` | |
    | `1lhaaso` | `1LHAASO_catalog.fits` | `both` (one map where both saw it), `WCDA`, `KM2A` |
    | `3fgl` | `fermi/gll_psc_v16.fit.gz` | |
    | `4fgl` | `fermi/gll_psc_v32.fit.gz` | |
    | `2fhl` | `fermi/gll_psch_v09.fit.gz` | |
    | `3fhl` | `fermi/gll_psch_v13.fit.gz` | |
    """

    tag: ClassVar[str] = "catalog-models"
    version: ClassVar[str] = "2"
    title: ClassVar[str] = "Make models from a catalogue of sources"
    group: ClassVar[str] = "models"
    Settings: ClassVar[type[StepSettings]] = CatalogModelsSettings
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="models", kind="models", help="Models of the sources, nearest first"),
        Port(name="sources", kind="table", help="One row per model: name, position, distance …"),
    )
    file_settings: ClassVar[tuple[str, ...]] = ("catalog", "file")

    def check(self, settings: CatalogModelsSettings) -> Sequence[SettingProblem]:
        """Check that sources are asked for, and settings that belong to some catalogues."""
        problems = []

        def tell(message: str, *path: str | int, hint: str | None = None) -> None:
            problems.append(SettingProblem(path=path, message=message, code="GP306", hint=hint))

        if settings.cone is None and settings.names is None and not settings.cuts:
            tell("say which sources: give 'cone', 'names' or 'cuts'")
        known = _WHICH.get(settings.catalog, ())
        if settings.which is not None and settings.which not in known:
            hint = f"it may be {', '.join(known)}" if known else "leave it out"
            tell(
                f"the catalogue '{settings.catalog}' has no '{settings.which}'", "which", hint=hint
            )
        if settings.components != "independent" and settings.catalog != "hgps":
            tell("'components' are those of the catalogue 'hgps'", "components")
        if settings.free.within is not None and settings.cone is None:
            tell("'within' counts from the centre of 'cone', which is not given", "free", "within")
        if settings.flux_range.min is None or settings.flux_range.max is None:
            tell("a flux needs 'min' and 'max'", "flux_range")
        return problems

    def external_files(self, settings: CatalogModelsSettings) -> tuple[ExternalFile, ...]:
        """Return the file of the catalogue, and the maps of extended sources that are there.

        Raises
        ------
        StepInputError
            Where the catalogue is not there, with how to get it.
        """
        catalog = CATALOGS[settings.catalog]
        path = _catalog_path(settings)
        try:
            files = [input_file("file", path)]
        except StepInputError as error:
            if settings.file is not None or "$" in path:
                raise
            raise StepInputError(
                f"the catalogue '{settings.catalog}' is not there: {path}",
                setting="catalog",
                hint=f"{catalog.source}; or name its file in 'file'",
            ) from error
        for folder in catalog.templates:
            place = InputPath.settle(f"$GAMMAPY_DATA/{folder}").path
            files += [
                ExternalFile(setting="catalog", path=item, name=f"{folder}/{item.name}")
                for item in (sorted(place.iterdir()) if place.is_dir() else ())
                if item.is_file()
            ]
        return tuple(files)

    def run(
        self,
        settings: CatalogModelsSettings,
        inputs: Mapping[str, Any],  # noqa: ARG002  (the step has no inputs)
        ctx: StepContext,
    ) -> Mapping[str, Any]:
        """Return ``models`` (`gammapy.modeling.models.Models`) and ``sources`` (a table)."""
        from gammapy.modeling.models import Models

        catalog = open_catalog(settings.catalog, _catalog_path(settings).path, ctx.step)
        found, left_out = find_sources(catalog, settings, ctx)
        if left_out:
            names = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
            warnings.warn(f"{ctx.step}: sources without a model: {names}", stacklevel=2)
        if not found:
            raise NoDataError(
                f"{ctx.step}: the catalogue '{settings.catalog}' has no source that is asked for"
                + (f", but for {', '.join(left_out)}, which have no model" if left_out else ""),
                hint="widen 'cone', or loosen 'cuts'",
            )
        _check_distinct(found, ctx.step)
        for item in found:
            _free(item, settings.free)
        table = sources_table(found, catalog, settings, ctx.step)
        table.meta |= {"catalog": settings.catalog, "left_out": left_out}
        models = Models([item.model for item in found])
        return {"models": settle_templates(models), "sources": table}


def _catalog_path(settings: CatalogModelsSettings) -> InputPath:
    """Return the path of the catalogue's file."""
    if settings.file is not None:
        return settings.file
    return InputPath.settle(f"$GAMMAPY_DATA/{CATALOGS[settings.catalog].file}", Path("/"))


def _check_distinct(found: Sequence[Found], step: str) -> None:
    """Refuse two models of one name."""
    names = [item.model.name for item in found]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise StepError(
            f"{step}: several sources would be called {', '.join(twice)}",
            hint="set 'exclude', or 'components: merged'",
        )


def _free(found: Found, free: FreeParameters) -> None:
    """Freeze the parameters of a model that a fit shall not change, in place."""
    model = found.model
    outside = (
        free.within is not None
        and found.separation_deg is not None
        and found.separation_deg > free.within.value
    )
    keep_shape = free.shapes and not outside
    keep_position = free.positions and not outside
    spectra = "none" if outside else free.spectra
    for parameter in model.spectral_model.parameters:
        is_norm = parameter.name in ("amplitude", "norm")
        parameter.frozen = (
            parameter.frozen or spectra == "none" or (spectra == "norm" and not is_norm)
        )
    for parameter in model.spatial_model.parameters if model.spatial_model is not None else ():
        wanted = keep_position if parameter.name in ("lon_0", "lat_0") else keep_shape
        parameter.frozen = parameter.frozen or not wanted
