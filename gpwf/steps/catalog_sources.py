"""Sources of a catalogue as models, and as a table."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpwf.steps.base import StepContext
from gpwf.steps.parameter_names import norm_parameters
from gpwf.steps.settings import SkyCircle
from gpwf.steps.source_catalogs import quiet_units, rows_by_name, rows_by_value, table_column

__all__ = ["Found", "find_sources", "sources_table"]

_AT_ONCE = 100  # sources

# what gammapy raises for a source that it has no model of
_NO_MODEL = (TypeError, ValueError, KeyError, OSError, IndexError, AttributeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A model of a source of a catalogue.

    Parameters
    ----------
    row : int
        Row of the source in the catalogue.
    source : str
        Its name there.
    model : `gammapy.modeling.models.SkyModel`
    separation_deg : float or None
        Of the source from the centre of the cone.
    """

    row: int
    source: str
    model: Any
    separation_deg: float | None


def find_sources(
    catalog: Any, settings: Any, ctx: StepContext
) -> tuple[list[Found], dict[str, str]]:
    """Return the models that settings ask for, and the sources that have none, with the reason.

    Parameters
    ----------
    catalog : `gammapy.catalog.SourceCatalog`
    settings : CatalogModelsSettings
    ctx : StepContext
        Of the running step.

    Returns
    -------
    found : list of Found
        Nearest to the centre of the cone first, then in the order of the catalogue.
    left_out : dict of str to str
        Also names that the cone or the cuts leave out.

    Raises
    ------
    StepError
        For names, columns and values that the catalogue does not have.
    """
    import numpy as np

    step = ctx.step
    size = len(catalog.table)
    passed = np.ones(size, dtype=bool)
    separation = _separation(catalog, settings.cone)
    if separation is not None:
        passed &= separation <= settings.cone.radius.value
    for number, cut in enumerate(settings.cuts):
        passed &= rows_by_value(catalog, cut, number, step)
    for excluded in rows_by_name(catalog, settings.exclude, step, "exclude"):
        passed[excluded] = False
    left_out = {}
    if settings.names is not None:
        named = rows_by_name(catalog, settings.names, step, "names")
        for name, several in zip(settings.names, named, strict=True):
            own = [catalog.source_name(row) for row in several]
            if len(own) > 1:
                text = f"{step}: '{name}' is a name of {len(own)} sources: {', '.join(own)}"
                warnings.warn(text, stacklevel=2)
            for label, row in zip(own if len(own) > 1 else [name], several, strict=True):
                if not passed[row]:
                    left_out[label] = "the other settings leave it out"
        passed &= np.isin(np.arange(size), [row for several in named for row in several])
    inside = np.nonzero(passed)[0]
    if separation is not None:
        inside = inside[np.argsort(separation[inside], kind="stable")]
    rows: list[int] = inside.tolist()
    found = []
    for row, made in zip(rows, _made(catalog, rows, settings, ctx), strict=True):
        distance = None if separation is None else float(separation[row])
        name = catalog.source_name(row)
        if isinstance(made, str):
            left_out[name] = made
            continue
        for model in made:
            # a copy would not be linked with the other components of its source
            model._name = f"{settings.prefix}{model.name}"
            found.append(Found(row=row, source=name, model=model, separation_deg=distance))
    return found, left_out


def _made(catalog: Any, rows: list[int], settings: Any, ctx: StepContext) -> list[Any]:
    """Return the models of every source, or why it has none."""

    def make(part: list[int]) -> list[Any]:
        made: list[Any] = []
        for row in part:
            try:
                with quiet_units():
                    made.append(list(_models(catalog[row], settings)))
            except _NO_MODEL as error:
                made.append(_reason(catalog, error))
        return made

    # gammapy takes 10 ms for a source: whole catalogues are worth other processes
    parts = [rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE)]
    if len(parts) < 2:
        return make(rows)
    return [item for part in ctx.map(make, parts, label="parts") for item in part]


def _separation(catalog: Any, cone: SkyCircle | None) -> Any:
    """Return the distance of every source from the centre of a cone in deg, shape (n,)."""
    if cone is None:
        return None
    return catalog.positions.separation(cone.center.skycoord).to_value("deg")


def _models(source: Any, settings: Any) -> Iterator[Any]:
    """Yield the models of a source; raise one of `_NO_MODEL` where it has none."""
    import numpy as np

    which = settings.which
    if settings.catalog == "hgps":
        if settings.components == "merged":
            models = [source.sky_model(which=which or "best")]
        else:
            linked = settings.components == "linked"
            models = list(source.components_models(which=which or "best", linked=linked))
    elif settings.catalog == "1lhaaso":
        models = [source.sky_model(which or "both")]
    elif settings.catalog == "2hwc":
        models = [source.sky_model(which or "point")]
    else:
        models = [source.sky_model()]
    for model in models:
        if model is None:
            raise ValueError(f"no model '{which}' of it" if which else "an upper limit alone")
        bad = [item.name for item in model.parameters if not np.isfinite(item.value)]
        # where a catalogue has no fit of a kind, its numbers are 0 or not there
        bad += [item.name for item in norm_parameters(model) if item.value == 0]
        if bad:
            raise ValueError(f"no value of {', '.join(bad)}")
        for parameter in model.parameters:
            if not (np.isfinite(parameter.error) and parameter.error > 0):
                # NaN, and -inf in 3FGL; gammapy would copy an error that is not known as 1
                parameter.error = 0.0
    yield from models


def _reason(catalog: Any, error: Exception) -> str:
    """Return why a source has no model, in words."""
    if catalog.tag == "gamma-cat" and isinstance(error, TypeError):
        return "the catalogue has no spectrum of it"
    if isinstance(error, OSError) and error.filename:
        # the same text on every machine: the table has it
        return f"its map is not there: {'/'.join(Path(error.filename).parts[-3:])}"
    if str(error) == "Invalid model component name":
        return "that detector has no model of it"
    return str(error) or type(error).__name__


def sources_table(found: list[Found], catalog: Any, settings: Any, step: str) -> Any:
    """Return one row per model.

    Parameters
    ----------
    found : list of Found
        Not empty.
    catalog : `gammapy.catalog.SourceCatalog`
    settings : CatalogModelsSettings
    step : str
        For the message.

    Returns
    -------
    table : `astropy.table.Table`
        ``source``, ``model``, ``spectral``, ``spatial``, ``ra``, ``dec`` (deg, ICRS),
        ``separation`` (deg), ``flux`` (cm-2 s-1), ``n_free``, and columns of the catalogue.

    Raises
    ------
    StepError
        For a column that the catalogue does not have.
    """
    from astropy import units as u
    from astropy.table import Table

    positions = catalog.positions[[item.row for item in found]].icrs
    table = Table()
    table["source"] = [item.source for item in found]
    table["model"] = [item.model.name for item in found]
    table["spectral"] = [item.model.spectral_model.tag[-1] for item in found]
    table["spatial"] = [
        "" if item.model.spatial_model is None else item.model.spatial_model.tag[-1]
        for item in found
    ]
    table["ra"], table["dec"] = positions.ra.to("deg"), positions.dec.to("deg")
    if settings.cone is not None:
        table["separation"] = [item.separation_deg for item in found] * u.deg
    low, high = settings.flux_range.min, settings.flux_range.max
    fluxes = [_flux(item.model, low.quantity, high.quantity) for item in found]
    table["flux"] = fluxes * u.Unit("cm-2 s-1")
    table["flux"].description = f"{low} to {high}"
    table["n_free"] = [len(item.model.parameters.free_parameters) for item in found]
    for name in settings.columns:
        column = table_column(catalog, name, f"{step}: 'columns'")
        table[f"catalog_{name}" if name in table.colnames else name] = column[
            [item.row for item in found]
        ]
    return table


def _flux(model: Any, low: Any, high: Any) -> float:
    """Return the integral photon flux of a model in cm-2 s-1."""
    from gammapy.modeling.models import TemplateSpectralModel

    spectrum = model.spectral_model
    if spectrum.is_norm_spectral_model:  # the flux is in the map
        image = model.spatial_model.map
        values = (image.quantity * image.geom.solid_angle()).sum(axis=(-2, -1))
        flux = TemplateSpectralModel(image.geom.axes["energy_true"].center, values)
        spectrum = flux * spectrum
    return float(spectrum.integral(low, high).to_value("cm-2 s-1").squeeze())
