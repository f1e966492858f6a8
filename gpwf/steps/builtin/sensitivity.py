"""The step ``sensitivity``: the lowest flux that would be detected, per energy bin."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from gpwf.core.catalog import SettingProblem
from gpwf.core.spec import Port
from gpwf.errors import NoDataError, StepError
from gpwf.steps.attach import copy_datasets, join_datasets, measured_source
from gpwf.steps.base import Step, StepContext
from gpwf.steps.binning import align_edges, common_energy_axis
from gpwf.steps.dataset_parts import require_counts
from gpwf.steps.map_regions import covered_sr, require_region
from gpwf.steps.settings import EnergyEdges, Field, Fraction, SkyCircle, StepSettings
from gpwf.steps.virtual import resize_region

__all__ = ["SensitivityStep"]

_DATASETS = Port(
    name="datasets",
    kind="datasets",
    multiple=True,
    help="Background and response; several are added up",
)
_MODELS = Port(name="models", kind="models", help="Of 'source', the shape of the spectrum")
_NONE = "none"  # criterion where no flux is enough


class SensitivitySettings(StepSettings):
    """Settings of the step."""

    n_sigma: float = Field(5.0, gt=0, description="Significance to be reached in each bin")
    gamma_min: float = Field(10.0, ge=0, description="Number of gamma rays to be reached, too")
    bkg_syst_fraction: Fraction = Field(
        0.05, description="Part of the background that the number of gamma rays must exceed, too"
    )
    energy: EnergyEdges | None = Field(
        None,
        description="Energy bins; left out: those of the datasets",
        json_schema_extra={"usual": True},
    )
    spectral_index: float = Field(
        2.0, description="Index of the power law with which counts become flux"
    )
    source: str | None = Field(
        None, description="Name of the model whose spectrum is used instead of a power law"
    )
    on_region: SkyCircle | None = Field(
        None, description="Maps: region of a source; must be given for them"
    )
    containment_correction: bool = Field(
        True, description="Maps: correct the exposure for the part of the PSF outside 'on_region'"
    )
    containment: float | None = Field(
        None,
        gt=0,
        lt=1,
        examples=[0.68],
        description="Maps: let the radius change with energy so that it holds this part of the "
        "PSF, instead of 'on_region.radius'",
    )
    acceptance_off: float = Field(
        5.0,
        gt=0,
        description="Where the background is known: how many times the ON region the OFF regions "
        "are from which it would be measured",
    )
    label: str = Field("", max_length=80, description="Name of the curve in figures")


class SensitivityStep(Step):
    """Find the lowest flux of a point source that would be detected in each energy bin.

    The flux at which the excess has the significance `n_sigma` (Li & Ma 1983, with OFF counts) and
    is not less than `gamma_min` gamma rays and a part of the background
    (`gammapy.estimators.SensitivityEstimator`). Background and response are those of the datasets;
    sources are left out. ON/OFF spectra bring OFF counts of their own: measured ones scatter.
    Spectra with a known background, those that `simulate` makes of public instrument response for
    example, and maps, get as many OFF counts as `acceptance_off` says. Maps need `on_region`.

    The table has a row for every bin: `e_ref`, `e_min`, `e_max`, `e2dnde`, `excess`, `background`
    and `criterion`: what decides, `significance`, `gamma` or `bkg`. Where no flux would be enough,
    because there is no exposure or the bin lies outside the safe range, the criterion is `none` and
    there is no number.
    """

    tag: ClassVar[str] = "sensitivity"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Find the sensitivity in energy bins"
    group: ClassVar[str] = "estimators"
    Settings: ClassVar[type[StepSettings]] = SensitivitySettings
    input_ports: ClassVar[tuple[Port, ...]] = (_DATASETS,)
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="sensitivity", kind="table", help="Lowest flux per energy bin"),
    )

    def inputs(self, settings: SensitivitySettings) -> tuple[Port, ...]:
        """Return the ports; models are needed where the spectrum of one is used."""
        return (_DATASETS,) if settings.source is None else (_DATASETS, _MODELS)

    def check(self, settings: SensitivitySettings) -> Sequence[SettingProblem]:
        """Refuse a containment without a place."""
        if settings.containment is None or settings.on_region is not None:
            return ()
        message = "'containment' needs the place of the source, 'on_region'"
        return [SettingProblem(path=("containment",), message=message, code="GP306")]

    def run(
        self, settings: SensitivitySettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``sensitivity``: `astropy.table.Table`."""
        from gammapy.estimators import SensitivityEstimator

        spectrum = _spectrum(settings, inputs.get("models"), ctx.step)
        found = join_datasets(inputs["datasets"], ctx.step)
        require_counts(found, ctx.step)
        datasets = copy_datasets(found)
        livetime = _livetime_h(datasets)
        dataset = _on_off(datasets, settings, ctx.step)
        if settings.energy is not None:
            dataset = _resampled(dataset, settings.energy, ctx.step)
        estimator = SensitivityEstimator(
            spectral_model=spectrum,
            n_sigma=settings.n_sigma,
            gamma_min=settings.gamma_min,
            bkg_syst_fraction=settings.bkg_syst_fraction,
        )
        with _quiet():  # it divides by the counts of bins that have no exposure
            table = estimator.run(dataset)
        _mark(table, dataset, ctx.step)
        table.meta = {
            "product": "sensitivity",
            "label": settings.label,
            "n_sigma": settings.n_sigma,
            "gamma_min": settings.gamma_min,
            "bkg_syst_fraction": settings.bkg_syst_fraction,
            "livetime_h": livetime,
        }
        return {"sensitivity": table}


def _quiet() -> Any:
    import numpy as np

    return np.errstate(divide="ignore", invalid="ignore")


def _spectrum(settings: SensitivitySettings, models: Any, step: str) -> Any:
    """Return the spectrum with which counts become flux."""
    from gammapy.modeling.models import PowerLawSpectralModel

    if settings.source is None:
        return PowerLawSpectralModel(
            index=settings.spectral_index, amplitude="1 cm-2 s-1 TeV-1", reference="1 TeV"
        )
    model = models[measured_source(settings.source, models, step)]
    spectrum = getattr(model, "spectral_model", None)
    if spectrum is None or not hasattr(spectrum, "integral") or spectrum.is_norm_spectral_model:
        raise StepError(
            f"{step}: model '{model.name}' has no spectrum of its own",
            hint="set 'source' to a source with a spectral model, or leave it out",
        )
    return spectrum.copy()


def _livetime_h(datasets: Any) -> float | None:
    """Return the live time of all datasets in hours, None where one does not know it."""
    times = [dataset.exposure.meta.get("livetime") for dataset in datasets if dataset.exposure]
    if not times or any(item is None for item in times):
        return None
    return float(f"{sum(item.to_value('h') for item in times):.12g}")


def _on_off(datasets: Any, settings: SensitivitySettings, step: str) -> Any:
    """Return one ON/OFF spectrum.

    Raises
    ------
    NoDataError
        Where there is no dataset.
    StepError
        Where datasets cannot be added, lack a background, or are maps and there is no region.
    """
    from gammapy.datasets import Datasets

    if not len(datasets):
        raise NoDataError(f"{step}: there are no datasets")
    common_energy_axis(datasets, step)
    spectra = [_spectrum_of(dataset, settings, step) for dataset in datasets]
    kinds = sorted({item.tag for item in spectra})
    if len(kinds) > 1:
        raise StepError(
            f"{step}: datasets of different kinds cannot be added: {', '.join(kinds)}",
            hint="connect those of one step",
        )
    # the order in which they are added changes the last bits
    spectra.sort(key=lambda item: str(item.name))
    total = spectra[0] if len(spectra) == 1 else Datasets(spectra).stack_reduce(name="stacked")
    return _with_off(total, settings, step)


def _with_off(dataset: Any, settings: SensitivitySettings, step: str) -> Any:
    """Return a spectrum with OFF counts: its own, or the expected ones."""
    from gammapy.datasets import SpectrumDatasetOnOff

    has_off = dataset.tag == "SpectrumDatasetOnOff"
    if (dataset.counts_off if has_off else dataset.background) is None:
        raise StepError(
            f"{step}: dataset '{dataset.name}' has no background",
            hint="connect the datasets after the background is measured or simulated",
        )
    if has_off:
        return dataset
    return SpectrumDatasetOnOff.from_spectrum_dataset(
        dataset=dataset, acceptance=1, acceptance_off=settings.acceptance_off, name=dataset.name
    )


def _spectrum_of(dataset: Any, settings: SensitivitySettings, step: str) -> Any:
    """Return the spectrum of a dataset, of the region where it is a map."""
    if dataset.counts.geom.is_region:
        if settings.on_region is not None:
            raise StepError(
                f"{step}: 'on_region' is for maps, and dataset '{dataset.name}' is a spectrum",
                hint="leave 'on_region' out: the region is that of the dataset",
            )
        dataset.models = None
        return dataset
    if settings.on_region is None:
        raise StepError(
            f"{step}: dataset '{dataset.name}' is a map, and no region of a source is given",
            hint="set 'on_region'",
        )
    return _in_region(dataset, settings, step)


def _in_region(dataset: Any, settings: SensitivitySettings, step: str) -> Any:
    """Return the spectrum of a map in the ON region."""
    from regions import CircleSkyRegion

    assert settings.on_region is not None
    center, radius = settings.on_region.center.skycoord, settings.on_region.radius.quantity
    if not dataset.counts.geom.to_image().contains(center).all():
        raise StepError(
            f"{step}: 'on_region' lies outside the map '{dataset.name}'", hint="check 'on_region'"
        )
    fixed = settings.containment is None
    if dataset.psf is None and (settings.containment_correction or not fixed):
        raise StepError(
            f"{step}: dataset '{dataset.name}' has no PSF to know what 'on_region' holds",
            hint="set 'containment_correction: false'",
        )
    if dataset.tag == "MapDatasetOnOff":
        if not fixed:
            raise StepError(
                f"{step}: 'containment' needs a known background, and that of "
                f"'{dataset.name}' is measured",
                hint="leave 'containment' out, or reduce with 'background.method: fov_background'",
            )
    else:
        dataset.background = dataset.npred_background()
    dataset.models = None
    circle = CircleSkyRegion(center, radius)
    require_region(dataset, circle, "'on_region'", step)
    covered = _covered(dataset, circle, step)
    spectrum = dataset.to_spectrum_dataset(
        circle,
        containment_correction=settings.containment_correction and fixed,
        name=dataset.name,
    )
    if settings.containment is not None:
        radii = dataset.psf.containment_radius(
            fraction=settings.containment,
            energy_true=spectrum.counts.geom.axes["energy"].center,
            position=center,
        )
        resize_region(spectrum, settings.containment, radii.reshape(-1), radius)
    _divide_background(spectrum, covered)
    return spectrum


def _covered(dataset: Any, circle: Any, step: str) -> float:
    """Return how many times the area of a circle its pixels have, which are no circle.

    Raises
    ------
    StepError
        Where there is no pixel.
    """
    import numpy as np

    covered = covered_sr(dataset.counts.geom.to_image(), circle)
    if not covered > 0:
        raise StepError(
            f"{step}: 'on_region' holds no pixel of the map '{dataset.name}'",
            hint="set a larger 'on_region.radius', or make the map with smaller pixels",
        )
    return float(covered / (2 * np.pi * (1 - np.cos(circle.radius.to_value("rad")))))


def _divide_background(spectrum: Any, covered: float) -> None:
    """Make the background, summed over pixels, that of the circle."""
    if spectrum.tag == "SpectrumDatasetOnOff":
        spectrum.acceptance.data = spectrum.acceptance.data / covered
    else:
        spectrum.background.data /= covered


def _resampled(dataset: Any, energy: EnergyEdges, step: str) -> Any:
    """Return a spectrum in wider energy bins."""
    from gammapy.maps import MapAxis

    edges = align_edges(energy.quantity, dataset.counts.geom.axes["energy"], step, "energy")
    axis = MapAxis.from_energy_edges(edges, name="energy")
    return dataset.resample_energy_axis(energy_axis=axis, name=dataset.name)


def _mark(table: Any, dataset: Any, step: str) -> None:
    """Mark the bins in which no flux is enough.

    Raises
    ------
    NoDataError
        Where that is all of them.
    """
    import numpy as np

    found = np.isfinite(table["e2dnde"]) & (table["e2dnde"] > 0)
    if dataset.mask_safe is not None:
        found &= dataset.mask_safe.data[:, 0, 0].astype(bool)
    if not found.any():
        raise NoDataError(
            f"{step}: no flux would be detected at any energy: there is no exposure in the safe "
            "range",
            hint="check the energies, the pointing and the safe mask of the datasets",
        )
    for name in ("e2dnde", "excess"):
        table[name][~found] = np.nan
    table["criterion"][~found] = _NONE
    if not found.all():
        lost = ", ".join(f"{energy:.3g}" for energy in table["e_ref"][~found][:8])
        warnings.warn(
            f"{step}: no flux would be detected in {int((~found).sum())} of {len(found)} bins, at "
            f"{lost} TeV: they have no exposure, or lie outside the safe range",
            stacklevel=3,
        )
