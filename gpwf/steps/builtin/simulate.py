"""The step ``simulate``: counts drawn from models, with the response and background of datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

from gpwf.core.catalog import ExternalFile, SettingProblem
from gpwf.core.contents import Contents
from gpwf.core.spec import Port
from gpwf.errors import StepError
from gpwf.steps.attach import background_models, copy_datasets
from gpwf.steps.base import Step, StepContext, input_file
from gpwf.steps.builtin.models import ModelsStep
from gpwf.steps.dataset_parts import require_counts
from gpwf.steps.drawing import add_counts, draw_counts, expect_counts
from gpwf.steps.settings import Field, InputPath, StepSettings
from gpwf.steps.virtual import VirtualObservation, expected_datasets

__all__ = ["SimulateStep"]

_MODELS = ModelsStep()
_HELP = "Background models of the datasets, and the sources that 'sources' selects"


class SimulateSettings(StepSettings):
    """Settings of the step."""

    sources: Literal["none", "all"] | tuple[str, ...] = Field(
        "none",
        description="Which sources of 'models' shine in the simulation: none, all, or some by "
        "name; its background models always act",
    )
    inject: InputPath | None = Field(
        None, description="File of models in gammapy's YAML format that shine in addition"
    )
    observation: VirtualObservation | None = Field(
        None,
        description="What is observed, with a file of instrument response; left out: the datasets "
        "of the input 'datasets' are simulated",
    )
    counts: Literal["drawn", "expected", "measured"] = Field(
        "drawn",
        description="Counts: drawn anew; exactly what is expected; or the measured ones, to which "
        "drawn ones of 'inject' are added",
    )
    seed: int = Field(
        0, ge=0, description="Seed; every dataset draws from a stream of its own below it"
    )


class SimulateStep(Step):
    """Draw fake counts for datasets from models.

    Response, binning, masks and times stay those of the datasets; the counts are drawn anew from a
    Poisson distribution around what is expected. Without `sources` and `inject` that is the
    background alone: a control in which there is no source. With `counts: expected` nothing is
    drawn: every bin holds what is expected. With `counts: measured` the counts stay, and those of
    the sources of `inject` are drawn and added: a source of known flux on top of real data.

    The background is that of the datasets. For ON/OFF spectra the measured OFF counts are taken as
    the expected ones, in the OFF regions as they are and in the ON region times the ratio of the
    acceptances, and both ON and OFF counts are drawn (a bin without OFF counts stays without
    background). For the other datasets it is the background of the dataset, as changed by its
    background model in `models` (a fitted one, for example), or else by the one that the reduction
    made. Sky maps with a measured OFF background (ring) are refused, unless the counts stay: the
    OFF counts of neighbouring pixels are mostly the same events.

    The datasets keep their names. They do not replace the measured ones: a step below says which
    of the two it takes.

    With `observation` no datasets are needed: they are made of a file of instrument response, that
    of the public response of CTAO for example, and are called `simulated-1`, `simulated-2`, …
    """

    tag: ClassVar[str] = "simulate"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Simulate datasets"
    group: ClassVar[str] = "simulation"
    Settings: ClassVar[type[StepSettings]] = SimulateSettings
    input_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="datasets", kind="datasets", help="Response, background and binning"),
        Port(name="models", kind="models", optional=True, help=_HELP),
    )
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="datasets", kind="datasets", help="The same with simulated counts"),
    )

    def inputs(self, settings: SimulateSettings) -> tuple[Port, ...]:
        """Return the ports; datasets that are made here are not asked for, sources wanted are."""
        needed = settings.sources not in ("none", ())
        models = Port(name="models", kind="models", optional=not needed, help=_HELP)
        return (models,) if settings.observation is not None else (self.input_ports[0], models)

    def declares(self, settings: SimulateSettings) -> Mapping[str, Contents]:
        """Return the energies of the datasets: those of the input, or those of the settings."""
        if settings.observation is None:
            return {"datasets": Contents(ports=("datasets",))}
        energy = settings.observation.geom.axes.energy
        path = ("observation", "geom", "axes", "energy")
        bounds = (energy.min.value, energy.max.value)
        return {"datasets": Contents(energies=bounds, path=path)}

    def check(self, settings: SimulateSettings) -> Sequence[SettingProblem]:
        """Return what is wrong with the file of models, and what is added to measured counts."""
        problems = _measured_problems(settings)
        if settings.inject is None:
            return problems
        found = _MODELS.check(_models_settings(settings.inject))
        return [*problems, *(replace(item, path=("inject",)) for item in found)]

    def external_files(self, settings: SimulateSettings) -> tuple[ExternalFile, ...]:
        """Return the response, and the file of models with what it refers to."""
        files: list[ExternalFile] = []
        if settings.observation is not None:
            files.append(input_file("observation.irfs", settings.observation.irfs))
        if settings.inject is not None:
            found = _MODELS.external_files(_models_settings(settings.inject))
            files += [replace(item, setting="inject") for item in found]
        return tuple(files)

    def run(
        self, settings: SimulateSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``datasets``: `gammapy.datasets.Datasets`, without sources."""
        if settings.observation is None:
            measured = inputs["datasets"]
        else:
            measured = expected_datasets(settings.observation, ctx.step)
        require_counts(measured, ctx.step)
        datasets = copy_datasets(measured)
        injected = _injected(settings, ctx)
        kept = _kept(inputs.get("models"), settings, datasets.names, ctx.step)
        kept += background_models(measured, besides=kept)
        _set_models(datasets, kept, injected, ctx.step)
        order = {name: number for number, name in enumerate(sorted(datasets.names))}

        def counted(dataset: Any) -> Any:
            sequence = ctx.seed_sequence(settings.seed, order[dataset.name])
            _count(dataset, settings, [model.name for model in injected], sequence, ctx.step)
            return dataset.counts, getattr(dataset, "counts_off", None)

        for dataset, (counts, counts_off) in zip(
            datasets, ctx.each(counted, datasets, label="datasets"), strict=True
        ):
            dataset.counts = counts
            if counts_off is not None:
                dataset.counts_off = counts_off
        datasets.models = background_models(measured) or None  # their own, as in the input
        return {"datasets": datasets}


def _measured_problems(settings: SimulateSettings) -> list[SettingProblem]:
    """Return what makes no sense with measured counts."""
    if settings.counts != "measured":
        return []
    at, found = ("counts",), []
    if settings.observation is not None:
        found.append("with 'observation' there are no measured counts")
    elif settings.inject is None:
        found.append("nothing is added to the measured counts without 'inject'")
    if settings.sources not in ("none", ()):
        found.append("the measured counts have the sources of 'models' already: 'sources: none'")
    return [SettingProblem(path=at, message=message, code="GP306") for message in found]


def _count(
    dataset: Any, settings: SimulateSettings, injected: list[str], sequence: Any, step: str
) -> None:
    """Give a dataset its counts, in place."""
    import numpy as np

    random = np.random.RandomState(np.random.PCG64(sequence))
    if settings.counts == "expected":
        expect_counts(dataset, step)
    elif settings.counts == "measured":
        add_counts(dataset, injected, random, step)
    else:
        draw_counts(dataset, random, step)


def _models_settings(path: InputPath) -> Any:
    """Return the settings with which the step ``models`` reads a file."""
    return ModelsStep.Settings.model_validate({"file": path})


def _injected(settings: SimulateSettings, ctx: StepContext) -> list[Any]:
    """Return the sources to add.

    Raises
    ------
    StepError
        Where gammapy cannot make sky models of them.
    """
    from gammapy.modeling.models import SkyModel, TemplateNPredModel

    if settings.inject is None:
        return []
    models = list(_MODELS.run(_models_settings(settings.inject), {}, ctx)["models"])
    for model in models:
        if not isinstance(model, (SkyModel, TemplateNPredModel)):
            raise StepError(
                f"{ctx.step}: '{model.name}' in 'inject' is a {type(model).__name__}, not a source",
                hint="background models belong to the input 'models'",
            )
    return models


def _kept(models: Any, settings: SimulateSettings, datasets: list[str], step: str) -> list[Any]:
    """Return copies of the background models, and of the sources that are wanted.

    Background models of other datasets, as models of a joint fit have them, are left out.

    Raises
    ------
    StepError
        Where a source is wanted that is not there.
    """
    from gammapy.modeling.models import SkyModel

    everything = list(models.copy()) if models is not None else []
    sources = [model.name for model in everything if isinstance(model, SkyModel)]
    wanted = {"none": [], "all": sources}.get(str(settings.sources), settings.sources)
    unknown = [name for name in wanted if name not in sources]
    if unknown:
        raise StepError(
            f"{step}: no source of 'models' is called {', '.join(unknown)}; "
            f"the sources are {', '.join(sources) or 'none'}",
            hint="correct 'sources'",
        )
    return [
        model
        for model in everything
        if model.name in wanted
        or (model.name not in sources and set(_names_of(model, datasets)) & set(datasets))
    ]


def _names_of(model: Any, everything: Sequence[str]) -> Sequence[str]:
    """Return the names of the datasets that a model is for."""
    names = model.datasets_names
    if names is None:
        return everything
    return [names] if isinstance(names, str) else list(names)


def _set_models(datasets: Any, kept: list[Any], injected: list[Any], step: str) -> None:
    """Set the models on the datasets.

    Raises
    ------
    StepError
        Where two have one name, one does not fit the datasets, or an injected source shines
        nowhere.
    """
    from gammapy.modeling.models import FoVBackgroundModel, Models

    names = [model.name for model in kept]
    for model in injected:
        if model.name in names:
            raise StepError(
                f"{step}: 'inject' has a source '{model.name}', and so has the input 'models'",
                hint="rename the injected source, or leave the other one out of 'sources'",
            )
    for model in (*kept, *injected):
        if not isinstance(model, FoVBackgroundModel):
            _check_fit(model, datasets, step)
    datasets.models = Models([*kept, *injected])
    for model in injected:
        if not any(_shines(model.name, dataset) for dataset in datasets):
            raise StepError(
                f"{step}: the injected source '{model.name}' gives no counts in any dataset",
                hint="check its position, its amplitude and 'datasets_names'",
            )


def _check_fit(model: Any, datasets: Any, step: str) -> None:
    """Check that a model is for datasets that are there, and has a place in maps.

    Raises
    ------
    StepError
        Where it is not so; gammapy would drop it silently, or fail late.
    """
    from gammapy.modeling.models import SkyModel

    only = _names_of(model, datasets.names)
    unknown = [name for name in only if name not in datasets.names]
    if unknown:
        raise StepError(
            f"{step}: model '{model.name}' is for datasets that are not there: "
            f"{', '.join(unknown)}; there are {', '.join(datasets.names)}",
            hint=f"correct 'datasets_names' of model '{model.name}', or leave it out",
        )
    if isinstance(model, SkyModel) and model.spatial_model is None:
        maps = [item.name for item in datasets if not _is_spectrum(item)]
        if set(only) & set(maps):
            raise StepError(
                f"{step}: model '{model.name}' has no spatial model, so it has no place in maps",
                hint="add a 'spatial' part, a PointSpatialModel for example",
            )


def _is_spectrum(dataset: Any) -> bool:
    """Tell whether a dataset is a spectrum of one region."""
    return bool(dataset.counts.geom.is_region)


def _shines(name: str, dataset: Any) -> bool:
    """Tell whether a source gives counts in a dataset."""
    if name not in (dataset.models.names if dataset.models else ()):
        return False
    return bool((dataset.npred_signal(model_names=[name]).data > 0).any())
