"""Fits of a source in bands of energy, each alone and all with one shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gpwf.errors import NoDataError, StepError
from gpwf.steps.attach import copy_models
from gpwf.steps.likelihoods import quiet_numbers
from gpwf.steps.positions import bound_positions

__all__ = ["ADVICE", "BandFit", "Bands", "check_counts", "fit_alone", "fit_joint", "fit_null"]

ADVICE = (
    "use fewer or wider bands in 'energy_edges', freeze parameters of the shape, or give them "
    "'min' and 'max'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bands:
    """What every fit starts from; nobody changes it.

    ``shape`` are the free parameters of the source's shape, ``norm`` the one of its flux.
    """

    step: str
    datasets: Any
    models: Any
    source: str
    shape: tuple[str, ...]
    norm: str
    edges: Any
    reoptimize: bool
    margin_deg: float | None

    @property
    def n_bands(self) -> int:
        """Number of energy bands."""
        return len(self.edges) - 1

    def label(self, number: int) -> str:
        """Return a band in words."""
        low, high = self.edges[number : number + 2].to_value("TeV")
        return f"between {low:.3g} and {high:.3g} TeV"


@dataclass(frozen=True, slots=True, kw_only=True)
class BandFit:
    """What a fit found: statistic, free parameters of the shape, and all (value, error)."""

    stat: float
    free: tuple[tuple[float, float], ...] = ()
    values: tuple[float, ...] = ()
    errors: tuple[float, ...] = ()


def _band_datasets(world: Bands, number: int) -> Any:
    """Return new datasets of one energy band, with copies of the models; nothing is shared."""
    from gammapy.datasets import Datasets
    from gammapy.modeling.models import FoVBackgroundModel, Models

    edges = world.edges[number : number + 2]
    sliced = Datasets(
        [item.slice_by_energy(*edges, name=f"{item.name}-{number}") for item in world.datasets]
    )
    # copied together, so that what is linked stays linked
    models = list(copy_models(Models([m for m in world.models if m.tag[0] == "SkyModel"])))
    own = {id(item) for m in models if m.name == world.source for item in m.parameters}
    for model in models:
        if model.name != world.source and not world.reoptimize:
            for parameter in model.parameters:
                parameter.frozen = parameter.frozen or id(parameter) not in own
        names = model.datasets_names
        names = world.datasets.names if names is None else names
        # also where the model is for all datasets: the copy is for those of its band
        names = [f"{name}-{number}" for name in ([names] if isinstance(names, str) else names)]
        model._name, model.datasets_names = f"{model.name}-{number}", names
    if world.margin_deg is not None:
        bound_positions(models, world.margin_deg)
    models += [FoVBackgroundModel(dataset_name=d.name) for d in sliced if _has_background(d)]
    sliced.models = Models(models)
    return sliced


def _has_background(dataset: Any) -> bool:
    """Tell whether there is a known background, whose norm can be fitted."""
    background = dataset.background if dataset.stat_type == "cash" else None
    return background is not None and bool(background.data.any())


def check_counts(world: Bands) -> None:
    """Check that every band has counts.

    Raises
    ------
    NoDataError
        With the energies of the band that has none.
    """
    for number in range(world.n_bands):
        found = _band_datasets(world, number)
        if not any((d.counts.data[d.mask.data] if d.mask else d.counts.data).any() for d in found):
            raise NoDataError(
                f"{world.step}: there are no counts {world.label(number)}",
                hint="change 'energy_edges', or the safe range of the datasets",
            )


def fit_alone(world: Bands, number: int) -> BandFit:
    """Fit the source in one band alone."""
    datasets = _band_datasets(world, number)
    return _fitted(world, datasets, number, f"the fit {world.label(number)}")


def fit_null(world: Bands, number: int) -> BandFit:
    """Fit one band without the source."""
    from gammapy.modeling import Fit

    datasets = _band_datasets(world, number)
    model = datasets.models[f"{world.source}-{number}"]
    model.spectral_model.parameters[world.norm].value = 0
    model.freeze()
    if datasets.models.parameters.free_parameters:
        with quiet_numbers():
            result = Fit().optimize(datasets)
        _check(world, result, f"the fit without '{world.source}' {world.label(number)}")
    datasets.models = datasets.models  # maps keep parts of predictions on the way
    return BandFit(stat=float(datasets.stat_sum()))


def fit_joint(world: Bands, alone: Sequence[BandFit]) -> BandFit:
    """Fit all bands with one shape, from where the fits of each ended."""
    from gammapy.datasets import Datasets
    from gammapy.modeling.models import Models

    bands = [_band_datasets(world, number) for number in range(world.n_bands)]
    for band, found in zip(bands, alone, strict=True):
        free = band.models.parameters.free_parameters
        for parameter, (value, error) in zip(free, found.free, strict=True):
            parameter.value, parameter.error = value, error
    first = bands[0].models[f"{world.source}-0"].spatial_model
    for number, band in enumerate(bands[1:], 1):
        other = band.models[f"{world.source}-{number}"].spatial_model
        for name in world.shape:
            setattr(other, name, first.parameters[name])
    datasets = Datasets([dataset for band in bands for dataset in band])
    datasets.models = Models([model for band in bands for model in band.models])
    return _fitted(world, datasets, 0, "the fit of all bands with one shape")


def _fitted(world: Bands, datasets: Any, number: int, what: str) -> BandFit:
    """Fit, and return the shape of the source.

    Raises
    ------
    StepError
        Where the fit does not converge, or a parameter of the shape has no error.
    """
    from gammapy.modeling import Fit

    with quiet_numbers():
        result = Fit().run(datasets)
    _check(world, result.optimize_result, what)
    spatial = datasets.models[f"{world.source}-{number}"].spatial_model
    found = [spatial.parameters[name] for name in world.shape]
    bad = [item.name for item in found if not (math.isfinite(item.error) and item.error > 0)]
    covariance = result.covariance_result
    if bad or covariance is None or not covariance.success:
        raise StepError(
            f"{world.step}: {what} has no errors of {', '.join(bad or world.shape)}", hint=ADVICE
        )
    datasets.models = datasets.models  # maps keep parts of predictions on the way
    return BandFit(
        stat=float(datasets.stat_sum()),
        free=tuple(
            (float(item.value), float(item.error))
            for item in datasets.models.parameters.free_parameters
        ),
        values=tuple(float(item.value) for item in found),
        errors=tuple(float(item.error) for item in found),
    )


def _check(world: Bands, result: Any, what: str) -> None:
    """Raise StepError where a fit did not converge."""
    if not (result.success and math.isfinite(result.total_stat)):
        raise StepError(f"{world.step}: {what} did not converge: {result.message}", hint=ADVICE)
