"""Flux points of catalogues of gamma-ray sources."""

from __future__ import annotations

from typing import Any, Literal

from gpwf.core.catalog import ExternalFile
from gpwf.errors import StepError, StepInputError
from gpwf.steps.base import input_file
from gpwf.steps.dataset_readers import keep_energies
from gpwf.steps.settings import Field, InputPath, Section
from gpwf.steps.source_catalogs import CATALOGS, open_catalog, quiet_units, rows_by_name

__all__ = ["CatalogSource", "catalog_file", "catalog_flux"]


class CatalogSource(Section):
    """A source of a catalogue that has flux points."""

    catalog: Literal["gamma-cat", "hgps", "3fgl", "4fgl", "2fhl", "3fhl"] = Field(
        description="Which catalogue; the others have no flux points"
    )
    source: str = Field(
        min_length=1, description="Name of the source", examples=["3FHL J0534.5+2201"]
    )
    file: InputPath | None = Field(
        None, description="File of the catalogue; left out: that of gammapy's data"
    )

    @property
    def path(self) -> InputPath:
        """The file of the catalogue."""
        return self.file or InputPath.settle(f"$GAMMAPY_DATA/{CATALOGS[self.catalog].file}")


def catalog_file(setting: str, item: CatalogSource) -> ExternalFile:
    """Return the file of a catalogue.

    Raises
    ------
    StepInputError
        Where it is not there, with how to get it.
    """
    try:
        return input_file(setting, item.path)
    except StepInputError as error:
        if item.file is not None or "$" in item.path:
            raise
        raise StepInputError(
            f"{setting}: the catalogue '{item.catalog}' is not there: {item.path}",
            setting=setting,
            hint=f"{CATALOGS[item.catalog].source}; or name its file in 'file'",
        ) from error


def catalog_flux(item: CatalogSource, step: str, setting: str) -> Any:
    """Return the flux points of a source, `gammapy.estimators.FluxPoints`.

    Raises
    ------
    StepError
        Where the catalogue has no such source, or no flux points of it.
    """
    catalog = open_catalog(item.catalog, item.path.path, step)
    rows = rows_by_name(catalog, [item.source], step, f"{setting}.source")[0]
    if len(rows) > 1:
        raise StepError(
            f"{step}: '{setting}': the catalogue '{item.catalog}' has {len(rows)} sources "
            f"'{item.source}'",
            hint="give a name that one of them alone has",
        )
    try:
        with quiet_units():
            flux = _flux_points(catalog[rows[0]], item)
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise StepError(
            f"{step}: the catalogue '{item.catalog}' has no flux points of '{item.source}': "
            f"{error}",
            hint="choose another source, or another catalogue",
        ) from error
    if flux is None:
        raise StepError(
            f"{step}: the catalogue '{item.catalog}' has no flux points of '{item.source}'",
            hint="choose another source, or another catalogue",
        )
    return flux


def _flux_points(source: Any, item: CatalogSource) -> Any:
    """Return the flux points of a source, each at the energy that the catalogue has for it.

    Those of ground-based telescopes come with energies that need not be the middle of their bins:
    that of the highest bin of W 49B lies a factor of four below it.
    """
    if item.catalog not in ("gamma-cat", "hgps"):
        return source.flux_points
    from gammapy.estimators import FluxPoints
    from gammapy.modeling.models import SkyModel

    table = source.flux_points_table
    if table is None or not len(table):
        return None
    table.sort("e_ref")
    keep_energies(table, item.source)
    reference = SkyModel(spectral_model=source.spectral_model(), name=source.name)
    return FluxPoints.from_table(table, reference_model=reference, format="gadf-sed")
