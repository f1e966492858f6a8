"""The step ``merge-models``: one global model from several products of models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from gpwf.core.catalog import SettingProblem
from gpwf.core.contents import Contents
from gpwf.core.spec import Port
from gpwf.errors import StepError
from gpwf.steps.attach import (
    background_models,
    check_datasets_names,
    copy_models,
    join_datasets,
)
from gpwf.steps.base import Step, StepContext
from gpwf.steps.merging import (
    assign_datasets,
    join_models,
    link_parameters,
    rename_models,
    set_frozen,
    without_models,
)
from gpwf.steps.settings import Field, StepSettings

__all__ = ["MergeModelsStep"]


class MergeModelsSettings(StepSettings):
    """Settings of the step, in the order in which they are applied."""

    exclude: tuple[str, ...] = Field((), description="Names of models to leave out")
    rename: dict[str, str] = Field({}, description="Another name for a model: `old: new`")
    datasets_names: dict[str, tuple[str, ...]] = Field(
        {}, description="Datasets on which a model acts, by its (new) name; left out: as it was"
    )
    links: tuple[tuple[str, ...], ...] = Field(
        (),
        description="Parameters that become one, that which stands first",
        examples=[[["crab.index", "nebula.index"]]],
    )
    freeze: tuple[str, ...] = Field(
        (),
        description="Parameters to freeze: `crab.index`, `crab.spatial`, `crab`, `*.index`",
        examples=[["*.lon_0", "*.lat_0"]],
    )
    unfreeze: tuple[str, ...] = Field((), description="Parameters to make free, after 'freeze'")


class MergeModelsStep(Step):
    """Merge models into one global model.

    Concatenates all its inputs of models: sources, diffuse emission, backgrounds. Where `datasets`
    are connected, their own background models come too (`FoVBackgroundModel`, for every dataset
    without one among the models), and names are checked both ways: a model that names a dataset
    which is not there, and a dataset that no model is for, are errors. The datasets do not change.

    The result is a `gammapy.modeling.models.Models` with the covariance of each input. Two models
    of one name are refused. Parameters are called `model.parameter`, or `model.part.parameter` as
    gammapy has it; linked ones need units that can be converted.
    """

    tag: ClassVar[str] = "merge-models"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Merge models into one global model"
    group: ClassVar[str] = "models"
    Settings: ClassVar[type[StepSettings]] = MergeModelsSettings
    input_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="models", kind="models", multiple=True, help="What to merge, in this order"),
        Port(
            name="datasets",
            kind="datasets",
            optional=True,
            multiple=True,
            help="Datasets whose background models come too, and whose names are checked",
        ),
    )
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="models", kind="models", help="The global model"),
    )
    replaces: ClassVar[Mapping[str, str]] = {"models": "models"}

    def check(self, settings: MergeModelsSettings) -> Sequence[SettingProblem]:
        """Check that links have two ends, assignments a dataset, and new names differ."""
        problems = []

        def tell(message: str, *path: str | int) -> None:
            problems.append(SettingProblem(path=path, message=message, code="GP306"))

        for number, link in enumerate(settings.links):
            if len(set(link)) < max(len(link), 2):
                tell("a link needs two or more different parameters", "links", number)
        for name, datasets in settings.datasets_names.items():
            if not datasets:
                tell("expected one or more names of datasets", "datasets_names", name)
        names = list(settings.rename.values())
        for old, new in settings.rename.items():
            if not new.strip() or names.count(new) > 1:
                tell(f"{new!r} is no name of its own", "rename", old)
        return problems

    def declares(self, settings: MergeModelsSettings) -> Mapping[str, Contents]:
        """Return that the models keep their names, unless some are given others."""
        if settings.rename or settings.exclude:
            return {}
        return {"models": Contents(ports=("models",))}

    def run(
        self, settings: MergeModelsSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``models``: `gammapy.modeling.models.Models`."""
        from gammapy.modeling.models import Models

        products = [copy_models(models) for models in _listed(inputs["models"])]
        models = join_models(products, _origins(products, ctx), ctx.step)
        models = without_models(models, settings.exclude, ctx.step)
        rename_models(models, settings.rename, ctx.step)
        assign_datasets(models, settings.datasets_names, ctx.step)
        if inputs.get("datasets"):
            datasets = join_datasets(inputs["datasets"], ctx.step)
            check_datasets_names(datasets.names, models, ctx.step)
            own = background_models(datasets, besides=models)
            if own:
                both = [models, Models(own)]
                models = join_models(both, ["the models", "the datasets"], ctx.step)
        elif not len(models):
            raise StepError(
                f"{ctx.step}: there are no models", hint="add a component to the models"
            )
        link_parameters(models, settings.links, ctx.step)
        set_frozen(models, settings.freeze, True, ctx.step, "freeze")
        set_frozen(models, settings.unfreeze, False, ctx.step, "unfreeze")
        return {"models": models}


def _listed(products: Any) -> list[Any]:
    """Return the products of an input as a list."""
    return list(products) if isinstance(products, (list, tuple)) else [products]


def _origins(products: Sequence[Any], ctx: StepContext) -> list[str]:
    """Return where each product comes from, in words."""
    labels = ctx.labels.get("models", ())
    found = []
    for number in range(len(products)):
        axes = labels[number] if number < len(labels) else {}
        text = ", ".join(f"{axis} = {label}" for axis, label in axes.items())
        found.append(f"input {number + 1}" + (f" ({text})" if text else ""))
    return found
