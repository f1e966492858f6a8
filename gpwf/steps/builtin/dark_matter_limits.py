"""The step ``dark-matter-limits``: how much dark matter may annihilate or decay."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from gpwf.core.catalog import ExternalFile, SettingProblem
from gpwf.core.spec import Port
from gpwf.errors import NoDataError, StepError, StepInputError
from gpwf.steps.attach import join_datasets, require_source
from gpwf.steps.base import Step, StepContext, input_file
from gpwf.steps.dark_matter import TABLES, Limit, dark_matter_spectrum, scale_limit
from gpwf.steps.dataset_parts import require_counts
from gpwf.steps.likelihoods import open_likelihood
from gpwf.steps.settings import (
    AnyQuantity,
    Energy,
    EnergyRange,
    Field,
    InputPath,
    Section,
    StepSettings,
)

__all__ = ["DarkMatterLimitsStep"]

_DATASETS = Port(name="datasets", kind="datasets", multiple=True, help="What was observed")
_MODELS = Port(name="models", kind="models", help="Other sources, backgrounds, and 'source'")
_NAME = "dark-matter"
_UNITS = {"annihilation": "GeV2 cm-5", "decay": "GeV cm-2"}


class Masses(Section):
    """Masses with equal steps in the logarithm."""

    min: Energy = Field(description="Lowest mass, as energy")
    max: Energy = Field(description="Highest mass")
    n_values: int = Field(ge=2, le=1000, description="Number of masses")


class DarkMatterLimitsSettings(StepSettings):
    """Settings of the step."""

    process: Literal["annihilation", "decay"] = Field(
        "annihilation", description="Whether pairs annihilate or particles decay"
    )
    channels: tuple[str, ...] = Field(
        ("b",),
        min_length=1,
        description="What the particles become, with gammapy's names: b, t, W, Z, tau, mu, …",
    )
    masses: Masses | tuple[Energy, ...] = Field(
        description="Masses of the particle: a list, or 'min', 'max' and 'n_values'",
        examples=[{"min": "0.2 TeV", "max": "50 TeV", "n_values": 12}],
    )
    jfactor: AnyQuantity = Field(
        description="J factor, for decay the D factor, of the region or of the source as a whole, "
        "with its unit",
        examples=["1e19 GeV2 cm-5"],
    )
    jfactor_uncertainty: float | None = Field(
        None,
        gt=0,
        le=3,
        examples=[0.2],
        description="Standard deviation of the logarithm to base ten of the J factor; it widens "
        "the limits",
    )
    spectra: Literal["pppc4", "cosmixs"] = Field(
        "pppc4", description="Whose table of spectra it is: PPPC 4 DM ID, or CosmiXs"
    )
    table: InputPath | None = Field(
        None,
        description="The table; left out: where gammapy downloads it to, below "
        "$GAMMAPY_DATA/dark_matter_spectra",
    )
    particle: Literal["majorana", "dirac"] = Field(
        "majorana", description="Whether the particle is its own antiparticle, for annihilation"
    )
    redshift: float = Field(0.0, ge=0, description="Redshift of the source")
    source: str | None = Field(
        None,
        description="Model whose place and shape the dark matter has, its spectrum is replaced; "
        "needed for maps",
    )
    fit_models: bool = Field(
        False, description="Fit the other sources of 'models' along, also without 'source'"
    )
    confidence: float = Field(
        0.95, gt=0.5, lt=1, description="Confidence of the limits, of one side: 0.95 for 95%"
    )
    fit_range: EnergyRange | None = Field(
        None, description="Energies to use; left out: all in the safe range"
    )


class DarkMatterLimitsStep(Step):
    """Limit the annihilation or the decay of dark matter, by mass and channel.

    For each mass and channel the spectrum of dark matter
    (`gammapy.astro.darkmatter.DarkMatterAnnihilationSpectralModel`) is fitted to the datasets with
    a scale that is not negative. The limit is where the fit statistic, minimised over the other
    free parameters, has risen by 2.71 (for 95%). An uncertainty of the J factor is a Gaussian
    constraint on its logarithm, over which the likelihood is profiled.

    The table has a row per channel and mass: best value `sigma_v` and limit `sigma_v_ul` of the
    velocity-averaged cross section, or the limit from below `lifetime_ll` of the lifetime for
    decay; `ts`, the test statistic of an excess; `npred_ul`, the expected gamma rays at the limit
    with `jfactor` as it is given.
    Masses whose gamma rays all lie outside the energies of the data have no limit.

    The spectra come from a table that `gammapy download datasets --src dark_matter_spectra` brings.
    """

    tag: ClassVar[str] = "dark-matter-limits"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Limit annihilation or decay of dark matter"
    group: ClassVar[str] = "results"
    Settings: ClassVar[type[StepSettings]] = DarkMatterLimitsSettings
    input_ports: ClassVar[tuple[Port, ...]] = (_DATASETS,)
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="limits", kind="table", help="A row per channel and mass"),
    )

    def inputs(self, settings: DarkMatterLimitsSettings) -> tuple[Port, ...]:
        """Return the ports; models are asked for where they are used."""
        used = settings.source is not None or settings.fit_models
        return (_DATASETS, _MODELS) if used else (_DATASETS,)

    def check(self, settings: DarkMatterLimitsSettings) -> Sequence[SettingProblem]:
        """Check the unit of the J factor, and that masses and channels come once."""
        found = []
        unit = _UNITS[settings.process]
        value, _, given = settings.jfactor.partition(" ")
        if given != unit:  # settled in this one
            message = f"expected a quantity such as '1e19 {unit}' for '{settings.process}'"
            found.append(SettingProblem(path=("jfactor",), message=message, code="GP303"))
        if not float(value) > 0:
            message = "the J factor must be more than zero"
            found.append(SettingProblem(path=("jfactor",), message=message, code="GP304"))
        for name in ("channels", "masses"):
            values = getattr(settings, name)
            if isinstance(values, tuple) and len(set(values)) < len(values):
                message = f"a value of '{name}' comes twice"
                found.append(SettingProblem(path=(name,), message=message, code="GP306"))
        masses = settings.masses
        if isinstance(masses, Masses) and masses.min.value >= masses.max.value:
            message = f"min ({masses.min}) must be less than max ({masses.max})"
            found.append(SettingProblem(path=("masses",), message=message, code="GP306"))
        if masses == ():
            message = "there is no mass"
            found.append(SettingProblem(path=("masses",), message=message, code="GP304"))
        return found

    def external_files(self, settings: DarkMatterLimitsSettings) -> tuple[ExternalFile, ...]:
        """Return the table of spectra.

        Raises
        ------
        StepInputError
            Where it is not there.
        """
        try:
            return (input_file("table", _table(settings)),)
        except StepInputError as error:
            raise StepInputError(
                f"{error.message} (spectra of gamma rays from dark matter)",
                setting="table",
                hint="`gammapy download datasets --src dark_matter_spectra` brings it into "
                "$GAMMAPY_DATA; or set 'table' to the file (PPPC 4 DM ID: AtProduction_gammas.dat)",
            ) from None

    def run(
        self, settings: DarkMatterLimitsSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return ``limits``: `astropy.table.Table`."""
        from gpwf.steps.builtin.upper_limit import one_sided_delta

        datasets = join_datasets(inputs["datasets"], ctx.step)
        require_counts(datasets, ctx.step)
        delta = one_sided_delta(settings.confidence)
        pairs = [(channel, mass) for channel in settings.channels for mass in _masses(settings)]

        def limit(pair: tuple[str, float]) -> Limit:
            channel, mass = pair
            models = _models(settings, inputs.get("models"), channel, mass, datasets, ctx.step)
            likelihood = open_likelihood(
                {"datasets": datasets, "models": models}, settings.fit_range, ctx.step
            )
            name = settings.source or _NAME
            what = f"dark matter of {mass:.4g} TeV in channel '{channel}'"
            return scale_limit(likelihood, name, delta, settings.jfactor_uncertainty, what)

        limits = ctx.map(limit, pairs, label="masses")
        _warn_without(pairs, limits, ctx.step)
        return {"limits": _result(settings, pairs, limits, delta)}


def _table(settings: DarkMatterLimitsSettings) -> InputPath:
    """Return the path of the table of spectra."""
    return settings.table or InputPath.settle(TABLES[settings.spectra])


def _masses(settings: DarkMatterLimitsSettings) -> list[float]:
    """Return the masses in TeV."""
    import numpy as np

    masses = settings.masses
    if isinstance(masses, Masses):
        values = np.geomspace(masses.min.value, masses.max.value, masses.n_values)
        return [float(f"{value:.12g}") for value in values]
    return [mass.value for mass in masses]


def _models(
    settings: DarkMatterLimitsSettings,
    given: Any,
    channel: str,
    mass: float,
    datasets: Any,
    step: str,
) -> Any:
    """Return the model of dark matter, and the others.

    Raises
    ------
    StepError
        Where a map has no place for it, or the models do not fit.
    """
    from astropy import units as u
    from gammapy.modeling.models import Models, SkyModel

    arguments: dict[str, Any] = {"k": 2 if settings.particle == "majorana" else 4}
    spectrum = dark_matter_spectrum(
        settings.process,
        _table(settings).path,
        step,
        mass=mass * u.TeV,
        channel=channel,
        jfactor=settings.jfactor.quantity,
        z=settings.redshift,
        source=settings.spectra,
        **(arguments if settings.process == "annihilation" else {}),
    )
    others = list(given) if given is not None else []
    if settings.source is None:
        _check_no_maps(datasets, step)
        if any(model.name == _NAME for model in others):
            raise StepError(
                f"{step}: a model is called '{_NAME}', as the dark matter is",
                hint=f"set 'source: {_NAME}', or rename the model",
            )
        return Models([SkyModel(spectrum, name=_NAME), *others])
    require_source(settings.source, [model.name for model in others], step)
    replaced = next(model for model in others if model.name == settings.source)
    spatial = getattr(replaced, "spatial_model", None)
    if spatial is None:
        _check_no_maps(datasets, step)
    else:
        spatial = spatial.copy()
        spatial.freeze()
    model = SkyModel(
        spectrum, spatial, name=settings.source, datasets_names=replaced.datasets_names
    )
    return Models([model, *(item for item in others if item is not replaced)])


def _check_no_maps(datasets: Any, step: str) -> None:
    """Refuse maps where the dark matter has no place."""
    maps = [item.name for item in datasets if not item.counts.geom.is_region]
    if maps:
        raise StepError(
            f"{step}: dataset '{maps[0]}' is a map, and the dark matter has no place in it",
            hint="set 'source' to a model with a 'spatial' part; its spectrum is replaced",
        )


def _warn_without(pairs: Sequence[tuple[str, float]], limits: Sequence[Limit], step: str) -> None:
    """Warn of masses without a limit.

    Raises
    ------
    NoDataError
        Where that is all of them.
    """
    lost = [pair for pair, item in zip(pairs, limits, strict=True) if math.isnan(item.limit)]
    if len(lost) == len(pairs):
        raise NoDataError(
            f"{step}: no gamma rays of dark matter of any of the masses are expected in the data",
            hint="give larger 'masses', or data of lower energies",
        )
    if lost:
        text = ", ".join(f"{mass:.4g} TeV ({channel})" for channel, mass in lost[:8])
        warnings.warn(
            f"{step}: no limit for {text}: no gamma rays are expected at the energies of the data",
            stacklevel=3,
        )


def _result(
    settings: DarkMatterLimitsSettings,
    pairs: Sequence[tuple[str, float]],
    limits: Sequence[Limit],
    delta: float,
) -> Any:
    """Return the table, see `DarkMatterLimitsStep`."""
    import numpy as np
    from astropy.table import Column, Table
    from gammapy.astro import darkmatter

    scale = np.array([item.best for item in limits])
    scale_ul = np.array([item.limit for item in limits])
    table = Table()
    table["channel"] = [channel for channel, _ in pairs]
    table["mass"] = Column([mass for _, mass in pairs], unit="TeV")
    if settings.process == "annihilation":
        one = darkmatter.DarkMatterAnnihilationSpectralModel.THERMAL_RELIC_CROSS_SECTION
        table["sigma_v"] = Column(scale * one.to_value("cm3 s-1"), unit="cm3 s-1")
        table["sigma_v_ul"] = Column(scale_ul * one.to_value("cm3 s-1"), unit="cm3 s-1")
    else:
        one = darkmatter.DarkMatterDecaySpectralModel.LIFETIME_AGE_OF_UNIVERSE
        table["lifetime_ll"] = Column(one.to_value("s") / scale_ul, unit="s")
    table["scale"], table["scale_ul"] = scale, scale_ul
    table["ts"] = [item.ts for item in limits]
    table["npred_ul"] = [item.npred for item in limits]
    table.meta = {
        "product": "dark-matter-limits",
        "process": settings.process,
        "jfactor": str(settings.jfactor),
        "jfactor_uncertainty": settings.jfactor_uncertainty,
        "spectra": settings.spectra,
        "confidence": settings.confidence,
        "delta_stat": delta,
    }
    return table
