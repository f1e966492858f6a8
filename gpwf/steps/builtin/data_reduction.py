"""The step ``data-reduction``: from a datastore to datasets in one step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

from gpwf.core.catalog import ExternalFile, SettingProblem
from gpwf.core.contents import Contents
from gpwf.core.spec import Port
from gpwf.errors import StepInputError
from gpwf.steps.base import Step, StepContext, input_file
from gpwf.steps.builtin.observations import ObservationsSettings, ObservationsStep
from gpwf.steps.reduction.checks import declared_datasets, reduction_problems
from gpwf.steps.reduction.run import EXCLUSION, exclusion_ports, reduce_observations
from gpwf.steps.reduction.settings import DatasetsSettings
from gpwf.steps.settings import Field, StepSettings

__all__ = ["DataReductionSettings", "DataReductionStep"]

_OBSERVATIONS = ObservationsStep()
_AT = "observations"


class DataReductionSettings(DatasetsSettings):
    """Settings of the step: those of ``observations`` under a key, those of ``datasets`` beside."""

    type: Literal["1d", "3d"] = Field(
        "3d",
        description="Kind of datasets: 1d, spectra of one region; 3d, maps in energy bins; left "
        "out: 1d where 'on_region' is given, else 3d",
    )
    observations: ObservationsSettings = Field(
        ObservationsSettings.model_validate({}),
        description="Which observations, with the settings of the step 'observations'",
    )

    @classmethod
    def _kind(cls, data: Mapping[str, Any]) -> str:
        """Return the type where none is given: a region is for spectra alone."""
        return "3d" if data.get("on_region") is None else "1d"


class DataReductionStep(Step):
    """Select observations and reduce them to datasets, as one step.

    The same as the steps `observations` and `datasets` one after the other, for workflows with
    several instruments: each is one step, whose datasets have a name. `observations` holds the
    settings of the former, the other settings are those of the latter. Only the type left out means
    another: maps (3d), or spectra (1d) where `on_region` is given.

    Maps to be added up need the same pixels: give `geom.wcs.skydir` where the reductions have
    observations of their own, because it is else the mean of their pointings.
    """

    tag: ClassVar[str] = "data-reduction"
    version: ClassVar[str] = "3"
    title: ClassVar[str] = "Select observations and reduce them to datasets"
    group: ClassVar[str] = "reduction"
    Settings: ClassVar[type[StepSettings]] = DataReductionSettings
    input_ports: ClassVar[tuple[Port, ...]] = (*ObservationsStep.input_ports, EXCLUSION)
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="datasets", kind="datasets", help="Binned counts, background and response"),
    )

    def inputs(self, settings: DataReductionSettings) -> tuple[Port, ...]:
        """Return ``datastore`` unless a folder is named, ``exclusion_mask`` unless a file is."""
        return (*_OBSERVATIONS.inputs(settings.observations), *exclusion_ports(settings))

    def check(self, settings: DataReductionSettings) -> Sequence[SettingProblem]:
        """Return what is inconsistent in the selection and in the reduction."""
        found = _OBSERVATIONS.check(settings.observations)
        moved = [replace(item, path=(_AT, *item.path)) for item in found]
        return [*moved, *reduction_problems(settings)]

    def declares(self, settings: DataReductionSettings) -> Mapping[str, Contents]:
        """Return the energies of the datasets."""
        return {"datasets": declared_datasets(settings)}

    def index_files(self, settings: DataReductionSettings) -> tuple[ExternalFile, ...]:
        """Return the index tables, the file with ids and the exclusion mask."""
        return (*_files(_OBSERVATIONS.index_files, settings), *_exclusion(settings))

    def external_files(self, settings: DataReductionSettings) -> tuple[ExternalFile, ...]:
        """Return the files of the selected observations and the exclusion mask."""
        return (*_files(_OBSERVATIONS.external_files, settings), *_exclusion(settings))

    def run(
        self, settings: DataReductionSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``datasets``: `gammapy.datasets.Datasets`."""
        found = _OBSERVATIONS.run(settings.observations, inputs, ctx)
        mask = inputs.get("exclusion_mask")
        return {"datasets": reduce_observations(settings, found["observations"], ctx, mask)}


def _files(
    find: Callable[[ObservationsSettings], Sequence[ExternalFile]], settings: DataReductionSettings
) -> list[ExternalFile]:
    """Return the files of the selection, under the names that the settings have here.

    Raises
    ------
    StepInputError
        Where one is not there.
    """
    try:
        found = find(settings.observations)
    except StepInputError as error:
        raise StepInputError(
            error.message, setting=f"{_AT}.{error.setting}", hint=error.hint
        ) from None
    return [replace(item, setting=f"{_AT}.{item.setting}") for item in found]


def _exclusion(settings: DataReductionSettings) -> list[ExternalFile]:
    path = settings.background.exclusion
    return [input_file("background.exclusion", path)] if path is not None else []
