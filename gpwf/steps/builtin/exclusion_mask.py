"""The step ``exclusion-mask``: where the sky may be used to measure the background."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

from pydantic import model_validator

from gpwf.core.catalog import SettingProblem
from gpwf.core.spec import Port
from gpwf.errors import StepError
from gpwf.steps.base import Step, StepContext
from gpwf.steps.exclusion import exclude_circle, exclude_file, exclude_significant
from gpwf.steps.exclusion_geom import MaskGeom, mask_geom, size_problems
from gpwf.steps.settings import (
    Field,
    InputPath,
    Radius,
    Section,
    SkyCircle,
    StepSettings,
    problem,
)

__all__ = ["ExclusionMaskStep"]

log = logging.getLogger(__name__)

_MODELS = Port(name="models", kind="models", help="Sources to exclude")
_FLUX_MAPS = Port(
    name="flux_maps", kind="flux-maps", help="Maps of significance that show where sources are"
)
_PIXELS = (
    Port(
        name="datasets",
        kind="datasets",
        optional=True,
        multiple=True,
        help="Maps whose pixels the mask gets",
    ),
    Port(
        name="observations",
        kind="observations",
        optional=True,
        multiple=True,
        help="Without datasets: observations whose fields of view the mask covers",
    ),
)


class ModelExclusion(Section):
    """Circles around sources of the models."""

    names: tuple[str, ...] | None = Field(
        None, min_length=1, description="Names of the sources; left out: all with a position"
    )
    margin: Radius = Field(
        Radius("0.2 deg"),
        description="Radius for a point source; for an extended one it is added to its extent",
    )
    extent: float = Field(
        1.0,
        ge=0,
        description="Factor on the evaluation radius of an extended source: 5 sigma of a Gaussian, "
        "the radius of a disk and its edge, half the width of a template",
    )


class SignificanceExclusion(Section):
    """Regions that stand out of a map of significance."""

    threshold: float = Field(
        5.0, description="Significance that a region reaches, in standard deviations"
    )
    threshold_low: float | None = Field(
        None, description="Significance above which it goes on; left out: the same as 'threshold'"
    )
    min_radius: Radius | None = Field(
        None,
        examples=["0.05 deg"],
        description="Leave out regions smaller than a circle of this radius",
    )
    dilation: Radius | None = Field(
        Radius("0.1 deg"), description="Enlarge the regions by this much on all sides"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.threshold_low is not None and self.threshold_low > self.threshold:
            raise problem("GP306", "'threshold_low' must not be above 'threshold'")
        return self


class ExclusionMaskSettings(StepSettings):
    """Settings of the step."""

    circles: tuple[SkyCircle, ...] = Field(
        (), description="Circles to exclude", json_schema_extra={"usual": True}
    )
    files: tuple[InputPath, ...] = Field(
        (), description="Files of regions to exclude, and FITS masks (0 is excluded)"
    )
    models: ModelExclusion | None = Field(
        None, description="Exclude the sources of the input 'models'; '{}' for all of them"
    )
    significance: SignificanceExclusion | None = Field(
        None, description="Exclude what the input 'flux_maps' shows; '{}' for more than 5 sigma"
    )
    geom: MaskGeom = Field(
        MaskGeom.model_validate({}),
        description="Pixels of the mask; left out: those of the flux maps or datasets, or else "
        "around the fields of view of the observations",
    )


class ExclusionMaskStep(Step):
    """Make a mask of the regions of the sky that hold no known source.

    A pixel is true where data may be used to measure the background. It is false in circles, in
    regions and masks of files, around the sources of models (those of `catalog-models`, for
    example), and where a map of significance shows a source: whatever of these is given, together.

    The steps `datasets` and `data-reduction` take the mask as their input `exclusion_mask`; beyond
    its pixels nothing is excluded. Analysts often go round twice: a map with a ring background and
    the known sources excluded, a mask of what stands out in it, and the ring again with that mask.

    A position is compared with the centre of each pixel. Circles are those on the sphere, not of
    the projection. Pixels without a significance are no source.
    """

    tag: ClassVar[str] = "exclusion-mask"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Exclude sources from the background"
    group: ClassVar[str] = "reduction"
    Settings: ClassVar[type[StepSettings]] = ExclusionMaskSettings
    input_ports: ClassVar[tuple[Port, ...]] = _PIXELS
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="exclusion_mask", kind="map", help="Boolean image, true where data may be used"),
    )

    def inputs(self, settings: ExclusionMaskSettings) -> tuple[Port, ...]:
        """Return the ports that the settings need."""
        ports = [_MODELS] if settings.models is not None else []
        if settings.significance is not None:
            ports.append(_FLUX_MAPS)
        elif settings.geom.wcs.skydir is None:
            ports += _PIXELS
        return tuple(ports)

    def check(self, settings: ExclusionMaskSettings) -> Sequence[SettingProblem]:
        """Refuse settings that exclude nothing, and masks that do not fit into memory."""
        given = (settings.circles, settings.files)
        found = size_problems(settings.geom.wcs)
        if any(given) or settings.models is not None or settings.significance is not None:
            return found
        return [
            *found,
            SettingProblem(
                path=("circles",),
                message="nothing to exclude: none of 'circles', 'files', 'models' and "
                "'significance' is given",
                code="GP306",
                hint="give at least one; 'models: {}' takes the sources of the input 'models'",
            ),
        ]

    def run(
        self, settings: ExclusionMaskSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``exclusion_mask``: `gammapy.maps.WcsNDMap`, boolean."""
        import numpy as np
        from gammapy.maps import Map

        geom = mask_geom(settings.geom.wcs, inputs, ctx.step)
        excluded = np.zeros(geom.data_shape, dtype=bool)
        beside = []
        for what, part in _parts(settings, inputs, geom, ctx.step):
            if not part.any():
                beside.append(what)
            excluded |= part
        _tell(excluded, beside, ctx.step)
        return {"exclusion_mask": Map.from_geom(geom, data=~excluded)}


def _parts(
    settings: ExclusionMaskSettings, inputs: Mapping[str, Any], geom: Any, step: str
) -> Iterator[tuple[str, Any]]:
    """Yield what excludes, in words, and the pixels that it excludes."""
    for number, item in enumerate(settings.circles):
        circle = item.center.skycoord, item.radius.quantity
        yield f"circle {number + 1}", exclude_circle(*circle, geom)
    if settings.models is not None:
        for name, center, radius in _around_models(settings.models, inputs["models"], step):
            yield f"the source '{name}'", exclude_circle(center, radius, geom)
    for number, file in enumerate(settings.files):
        yield file.path.name, exclude_file(file.path, geom, step, f"files.{number}")
    if settings.significance is not None:
        yield "the map of significance", _significant(settings.significance, inputs, geom, step)


def _around_models(settings: ModelExclusion, models: Any, step: str) -> list[tuple[str, Any, Any]]:
    """Return name, centre and radius of a circle for every source that has a position.

    Raises
    ------
    StepError
        Where a name is not that of such a source.
    """
    from astropy import units as u

    sources = {
        model.name: model
        for model in models
        if getattr(model, "spatial_model", None) is not None
        and getattr(model, "position", None) is not None
    }
    unknown = [name for name in settings.names or () if name not in sources]
    if unknown:
        raise StepError(
            f"{step}: no source with a position is called {', '.join(unknown)}; there are "
            f"{', '.join(sources) or 'none'}",
            hint="correct 'models.names'",
        )
    found = []
    for name in settings.names or sources:
        spatial = sources[name].spatial_model
        radius = spatial.evaluation_radius
        extent = (0 * u.deg if radius is None else radius) * settings.extent
        found.append((name, sources[name].position, extent + settings.margin.quantity))
    if not found:
        warnings.warn(f"{step}: no model has a position: nothing of them is excluded", stacklevel=2)
    return found


def _significant(
    wanted: SignificanceExclusion, inputs: Mapping[str, Any], geom: Any, step: str
) -> Any:
    """Return the pixels that a map of significance excludes.

    Raises
    ------
    StepError
        Where the map has no value.
    """
    import numpy as np

    significance = inputs["flux_maps"].sqrt_ts
    if not np.isfinite(significance.data).any():
        raise StepError(
            f"{step}: no pixel of the flux maps has a significance",
            hint="check the safe range of the datasets that they are made of",
        )
    found = exclude_significant(
        significance,
        threshold=wanted.threshold,
        threshold_low=wanted.threshold_low,
        min_radius=None if wanted.min_radius is None else wanted.min_radius.quantity,
        dilation=None if wanted.dilation is None else wanted.dilation.quantity,
    )
    if found.geom == geom:
        return found.data
    return found.interp_to_geom(geom, fill_value=0).data


def _tell(excluded: Any, beside: Sequence[str], step: str) -> None:
    """Tell how much is excluded, warn of what excludes nothing.

    Raises
    ------
    StepError
        Where everything is excluded.
    """
    if excluded.all():
        raise StepError(
            f"{step}: the mask excludes everything",
            hint="make the circles smaller, the margin of 'models' or the 'dilation' of "
            "'significance'; in a FITS mask, 0 is excluded and 1 may be used",
        )
    log.info("%s: %.1f %% of the pixels are excluded", step, 100 * float(excluded.mean()))
    if not excluded.any():
        warnings.warn(f"{step}: the mask excludes nothing", stacklevel=2)
    elif beside:
        warnings.warn(
            f"{step}: excludes no pixel of the mask: {', '.join(beside)}; perhaps it lies beside",
            stacklevel=2,
        )
