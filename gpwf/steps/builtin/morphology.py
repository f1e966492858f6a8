"""The step ``morphology``: does the shape of a source change with energy?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from gpwf.core.catalog import SettingProblem
from gpwf.core.contents import Need
from gpwf.core.spec import Port
from gpwf.errors import StepError
from gpwf.steps.attach import attach_models, join_datasets, measured_source
from gpwf.steps.band_fits import (
    ADVICE,
    BandFit,
    Bands,
    check_counts,
    fit_alone,
    fit_joint,
    fit_null,
)
from gpwf.steps.base import Step, StepContext
from gpwf.steps.binning import align_edges, common_energy_axis
from gpwf.steps.settings import EnergyEdges, Field, Radius, StepSettings

__all__ = ["MorphologyStep"]

_WORSE = 0.5  # the statistic of all bands may be so much better than theirs one by one


class MorphologySettings(StepSettings):
    """Settings of the step."""

    source: str | None = Field(
        None,
        description="Name of the model whose shape is tested; left out: the only source there is",
        json_schema_extra={"usual": True},
    )
    energy_edges: EnergyEdges = Field(description="Edges of the energy bands, two bands at least")
    free_spectrum: bool = Field(
        False,
        description="Fit the other parameters of the spectrum in every band, too; without it, the "
        "normalisation alone",
    )
    reoptimize: bool = Field(
        False, description="Fit the free parameters of other sources in every band, too"
    )
    position_margin: Radius | None = Field(
        Radius("0.5 deg"),
        description="How far a free position without bounds may move from its start; null for any "
        "distance",
    )


class MorphologyStep(Step):
    """Test whether position or size of a source changes with energy.

    The source is fitted in each energy band alone, with its free parameters of shape, its
    normalisation and the background of the band; then in all bands with one shape. Where the shape
    does not change, the gain of the fit statistic (``delta_ts``) is distributed as chi square.
    Other sources stay as they are in the models, unless ``reoptimize`` is set. The numbers are
    those of `gammapy.estimators.EnergyDependentMorphologyEstimator`; the fits go over several
    cores, and parameters of the spectrum besides the normalisation are frozen.

    `bands` has a row for the common shape and one for each band: parameters with errors, and how
    significant the source is above the background. `summary` has one row: the test, and a chi
    square for each parameter against its weighted mean, which leaves out what correlates.

    References
    ----------
    Feijen et al. (2025), A&A 701, A4.
    """

    tag: ClassVar[str] = "morphology"
    version: ClassVar[str] = "2"
    title: ClassVar[str] = "Test whether a source's shape changes with energy"
    group: ClassVar[str] = "estimators"
    Settings: ClassVar[type[StepSettings]] = MorphologySettings
    input_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="datasets", kind="datasets", multiple=True, help="Maps that were fitted"),
        Port(name="models", kind="models", help="Models at their best fit"),
    )
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="summary", kind="table", help="One row: gain, degrees of freedom, significance"),
        Port(name="bands", kind="table", help="Shape of the source in every energy band"),
    )

    def requires(self, settings: MorphologySettings) -> Sequence[Need]:
        """Return the models and energies that are asked for; one source where none is named."""
        alone = Need(port="models", path=("source",), one_source=True)
        return [*super().requires(settings), *([alone] if settings.source is None else [])]

    def check(self, settings: MorphologySettings) -> Sequence[SettingProblem]:
        """Refuse a single band."""
        wanted = settings.energy_edges
        if wanted.nbins != 1 and (wanted.edges is None or len(wanted.edges) > 2):
            return []
        message = "one energy band has nothing to compare with; give two or more"
        return [SettingProblem(path=("energy_edges",), message=message, code="GP306")]

    def run(
        self, settings: MorphologySettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``summary`` and ``bands``: `astropy.table.Table`."""
        world = _open(settings, inputs, ctx.step)
        check_counts(world)
        bands = range(world.n_bands)
        tasks = [(kind, number) for kind in ("band", "null") for number in bands]

        def work(task: tuple[str, int]) -> BandFit:
            kind, number = task
            return (fit_alone if kind == "band" else fit_null)(world, number)

        fits = dict(zip(tasks, ctx.map(work, tasks, label="fits"), strict=True))
        fits["joint", 0] = fit_joint(world, [fits["band", number] for number in bands])
        return {"summary": _summary(world, fits), "bands": _table(world, fits)}


def _open(settings: MorphologySettings, inputs: Mapping[str, Any], step: str) -> Bands:
    """Return what the fits start from.

    Raises
    ------
    StepError
        Where there is one band only.
    """
    source = measured_source(settings.source, inputs["models"], step)
    found = join_datasets(inputs["datasets"], step)
    datasets, models = attach_models(found, inputs["models"], step)
    shape, norm = _prepare(datasets, models[source], settings, step)
    axis = common_energy_axis(datasets, step)
    edges = align_edges(settings.energy_edges.quantity, axis, step, "energy_edges")
    if len(edges) < 3:
        raise StepError(
            f"{step}: one energy band has nothing to compare with",
            hint="give 'energy_edges' two bands or more",
        )
    margin = settings.position_margin
    return Bands(
        step=step,
        datasets=datasets,
        models=models,
        source=source,
        shape=shape,
        norm=norm,
        edges=edges,
        reoptimize=settings.reoptimize,
        margin_deg=None if margin is None else margin.value,
    )


def _prepare(
    datasets: Any, model: Any, settings: MorphologySettings, step: str
) -> tuple[tuple[str, ...], str]:
    """Free and freeze what the test needs; return the parameters of shape, and that of the flux.

    Raises
    ------
    StepError
        Where the datasets are no maps, or nothing of the shape or of the flux is free.
    """
    if any(dataset.counts.geom.is_region for dataset in datasets):
        raise StepError(
            f"{step}: the datasets are spectra of a region, which have no shape",
            hint="reduce the observations with 'type: 3d'",
        )
    templates = [item.name for item in datasets.models if item.tag == "TemplateNPredModel"]
    if templates:
        raise StepError(
            f"{step}: {', '.join(templates)}: templates of counts have no bands of energy",
            hint="make them the background of their datasets",
        )
    spatial = model.spatial_model
    shape = [] if spatial is None else [item.name for item in spatial.parameters.free_parameters]
    if not shape:
        raise StepError(
            f"{step}: no parameter of the shape of '{model.name}' is free",
            hint="set 'frozen: false' for its position or its size",
        )
    norm = _norm_name(model)
    if norm is None:
        raise StepError(
            f"{step}: the spectrum of '{model.name}' has no 'amplitude' or 'norm' to fit",
            hint="take a spectrum that has one",
        )
    model.spectral_model.parameters[norm].frozen = False
    if not settings.free_spectrum:
        for item in model.spectral_model.parameters:
            item.frozen = item.name != norm
    return tuple(shape), norm


def _norm_name(model: Any) -> str | None:
    """Return the parameter that the flux is proportional to."""
    names = model.spectral_model.parameters.names
    return next((name for name in ("amplitude", "norm") if name in names), None)


def _summary(world: Bands, fits: Mapping[tuple[str, int], BandFit]) -> Any:
    """Return the row of the test.

    Raises
    ------
    StepError
        Where all bands with one shape fit better than each alone: a fit ended elsewhere.
    """
    import numpy as np
    from astropy.table import Table
    from gammapy.stats.utils import ts_to_sigma
    from scipy.stats import chi2

    bands = [fits["band", number] for number in range(world.n_bands)]
    gain = fits["joint", 0].stat - sum(item.stat for item in bands)
    if gain < -_WORSE:
        raise StepError(
            f"{world.step}: one shape for all bands fits better than each alone (by {-gain:.3g}): "
            "the fit of a band ended in another minimum",
            hint=ADVICE,
        )
    df = (world.n_bands - 1) * len(world.shape)
    row: dict[str, Any] = {
        "source": world.source,
        "n_bands": world.n_bands,
        "delta_ts": gain,
        "df": df,
        "significance": float(ts_to_sigma(max(gain, 0.0), df=df)),
        "p_value": float(chi2.sf(max(gain, 0.0), df)),
    }
    for place, name in enumerate(world.shape):
        values = np.array([item.values[place] for item in bands])
        weights = np.array([item.errors[place] for item in bands]) ** -2.0
        mean = np.average(values, weights=weights)
        spread = float(np.sum((values - mean) ** 2 * weights))
        row[f"{name}_chi2"] = spread
        row[f"{name}_significance"] = float(ts_to_sigma(spread, df=world.n_bands - 1))
    table = Table([row])
    table.meta = {"product": "morphology"}
    return table


def _table(world: Bands, fits: Mapping[tuple[str, int], BandFit]) -> Any:
    """Return the shape for all bands and for each, and how significant the source is in each."""
    import numpy as np
    from astropy import units as u
    from astropy.table import Table
    from gammapy.stats.utils import ts_to_sigma

    bands = range(world.n_bands)
    rows = [fits["joint", 0], *(fits["band", number] for number in bands)]
    edges = world.edges.to(u.TeV)
    table = Table()
    table["hypothesis"] = ["one shape", *("each alone" for _ in bands)]
    table["e_min"] = np.append(edges[0], edges[:-1])
    table["e_max"] = np.append(edges[-1], edges[1:])
    spatial = world.models[world.source].spatial_model
    for place, name in enumerate(world.shape):
        unit = spatial.parameters[name].unit
        table[name] = [item.values[place] for item in rows] * unit
        table[f"{name}_err"] = [item.errors[place] for item in rows] * unit
    gains = [fits["null", number].stat - fits["band", number].stat for number in bands]
    df = len(world.models[world.source].parameters.free_parameters)
    table["delta_ts"] = [sum(gains), *gains]
    table["delta_ts"][0] = sum(fits["null", k].stat for k in bands) - rows[0].stat
    table["df"] = [len(world.shape) + world.n_bands * (df - len(world.shape)), *(df for _ in bands)]
    table["significance"] = [
        float(ts_to_sigma(max(gain, 0.0), df=int(n)))
        for gain, n in zip(table["delta_ts"], table["df"], strict=True)
    ]
    table.meta = {"product": "morphology-bands", "source": world.source, "frame": spatial.frame}
    return table
