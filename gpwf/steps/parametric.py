"""Parametric instrument response, made with gammapy's own constructors.

References
----------
The effective areas follow Appendix B of Abramowski et al. (2010), MNRAS 402, 1342, as in
`gammapy.irf.EffectiveAreaTable2D.from_parametrization`.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field

from gpwf.steps.settings import Energy, EnergyAxis, Frequency, Radius, Section

__all__ = ["ParametricIrfs", "make_irfs"]

_OFFSET_STEP_DEG = 0.5
_MIGRA_STEP = 0.02
# radius in units of sigma that holds 68 % of a two-dimensional Gaussian
_R68 = math.sqrt(-2 * math.log(1 - 0.68))


class ParametricIrfs(Section):
    """A simple instrument: no dependence on zenith angle, the same response in every run."""

    instrument: Literal["HESS", "HESS2", "CTAO"] = Field(
        default="HESS", description="Whose effective area is parametrised"
    )
    energy: EnergyAxis = Field(
        default=EnergyAxis(min=Energy("0.5 TeV"), max=Energy("50 TeV"), nbins=20),
        description="Reconstructed energies: events outside are cut, the background is binned so",
    )
    energy_true: EnergyAxis = Field(
        default=EnergyAxis(min=Energy("0.3 TeV"), max=Energy("100 TeV"), nbins=26),
        description="True energies of the response; must reach beyond the reconstructed ones",
    )
    energy_resolution: float = Field(
        default=0.15, gt=0, le=1, description="Standard deviation of reconstructed over true energy"
    )
    energy_bias: float = Field(
        default=0.0, gt=-0.5, lt=1, description="Mean of reconstructed over true energy, minus one"
    )
    psf_r68: Radius = Field(
        default=Radius("0.1 deg"),
        description="Radius that holds 68 % of the events of a point source",
    )
    offset_max: Radius = Field(
        default=Radius("2.5 deg"),
        description="Radius of the field of view, where the response ends",
    )
    background_rate: Frequency = Field(
        default=Frequency("0.12 s-1"),
        description="Background above 1 TeV within 1 deg of the pointing, extended as a power law",
    )
    background_index: float = Field(
        default=2.7, gt=1, le=6, description="Spectral index of the background"
    )
    background_width: Radius = Field(
        default=Radius("2 deg"),
        description="Standard deviation of the background's Gaussian fall across the field",
    )
    deadtime_fraction: float = Field(
        default=0.06, ge=0, lt=1, description="Part of the time in which the instrument is dead"
    )


def make_irfs(settings: ParametricIrfs) -> dict[str, Any]:
    """Return ``aeff``, ``edisp``, ``psf`` and ``bkg``, as `gammapy.data.Observation` takes them."""
    import numpy as np
    from gammapy.maps import MapAxis

    energy_true = MapAxis.from_energy_edges(settings.energy_true.edges, name="energy_true")
    n_offsets = max(2, math.ceil(settings.offset_max.value / _OFFSET_STEP_DEG))
    offset = MapAxis.from_edges(
        np.linspace(0, settings.offset_max.value, n_offsets + 1), unit="deg", name="offset"
    )
    return {
        "aeff": _effective_area(settings, energy_true, offset),
        "edisp": _energy_dispersion(settings, energy_true, offset),
        "psf": _psf(settings, energy_true, offset),
        "bkg": _background(settings),
    }


def _effective_area(settings: ParametricIrfs, energy_true: Any, offset: Any) -> Any:
    import numpy as np
    from gammapy.irf import EffectiveAreaTable2D

    single = EffectiveAreaTable2D.from_parametrization(energy_true, settings.instrument)
    # the parametrisation has one offset bin, between which nothing can be interpolated
    return EffectiveAreaTable2D(
        axes=[energy_true, offset],
        data=single.data * np.ones((1, offset.nbin)),
        unit=single.unit,
        meta={"TELESCOP": settings.instrument, "INSTRUME": "gpwf parametric"},
    )


def _energy_dispersion(settings: ParametricIrfs, energy_true: Any, offset: Any) -> Any:
    from gammapy.irf import EnergyDispersion2D
    from gammapy.maps import MapAxis

    reach = 6 * settings.energy_resolution
    low = max(0.0, 1 + settings.energy_bias - reach)
    high = 1 + settings.energy_bias + reach
    migra = MapAxis.from_bounds(
        low, high, nbin=math.ceil((high - low) / _MIGRA_STEP), name="migra", node_type="edges"
    )
    return EnergyDispersion2D.from_gauss(
        energy_axis_true=energy_true,
        migra_axis=migra,
        offset_axis=offset,
        bias=settings.energy_bias,
        sigma=settings.energy_resolution,
    )


def _psf(settings: ParametricIrfs, energy_true: Any, offset: Any) -> Any:
    """Return a Gaussian as the first of the three of `EnergyDependentMultiGaussPSF`."""
    import numpy as np
    from astropy import units as u
    from gammapy.irf import EnergyDependentMultiGaussPSF
    from gammapy.maps import MapAxes

    axes = MapAxes([energy_true, offset])
    names = EnergyDependentMultiGaussPSF.required_parameters
    data = np.zeros(axes.shape, dtype=[(name, np.float32) for name in names])
    sigma = settings.psf_r68.value / _R68
    for name in ("sigma_1", "sigma_2", "sigma_3"):  # a width of zero would divide by zero
        data[name] = sigma
    data["scale"] = 1 / (2 * math.pi * sigma**2)
    units = dict.fromkeys(("sigma_1", "sigma_2", "sigma_3"), u.deg)
    units |= {"scale": u.deg**-2, "ampl_2": u.one, "ampl_3": u.one}
    return EnergyDependentMultiGaussPSF(axes=axes, data=data, unit=units)


def _background(settings: ParametricIrfs) -> Any:
    """Return a power law in energy times a Gaussian in the offset.

    With index ``G``, width ``s`` and rate ``R`` above 1 TeV within ``r`` = 1 deg, the density at
    1 TeV on axis is ``R (G - 1) / (2 pi s^2 (1 - exp(-r^2 / 2 s^2)))`` per TeV and solid angle.
    """
    import numpy as np
    from astropy import units as u
    from gammapy.irf import Background3D
    from gammapy.maps import MapAxes, MapAxis

    energy = MapAxis.from_energy_edges(settings.energy.edges, name="energy")
    reach = settings.offset_max.value
    edges = np.linspace(-reach, reach, 2 * math.ceil(reach / 0.2) + 1)
    lon = MapAxis.from_edges(edges, unit="deg", name="fov_lon")
    lat = MapAxis.from_edges(edges, unit="deg", name="fov_lat")
    axes = MapAxes([energy, lon, lat])
    coords = axes.get_coord()
    width, index = settings.background_width.value, settings.background_index
    square = coords["fov_lon"].to_value("deg") ** 2 + coords["fov_lat"].to_value("deg") ** 2
    within = 2 * math.pi * width**2 * (1 - math.exp(-1 / (2 * width**2)))
    norm = settings.background_rate.value * (index - 1) / within * u.Unit("s-1 TeV-1 deg-2")
    shape = coords["energy"].to_value("TeV") ** -index * np.exp(-square / (2 * width**2))
    return Background3D(
        axes=axes,
        data=shape * norm.to_value("s-1 MeV-1 sr-1"),
        unit="s-1 MeV-1 sr-1",
        meta={"TELESCOP": settings.instrument, "INSTRUME": "gpwf parametric"},
    )
