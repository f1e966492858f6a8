"""Well-known targets of the public H.E.S.S. data, for the templates of new workflows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["TARGETS", "Target"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A source with observations in the H.E.S.S. DL3 data release 1.

    Parameters
    ----------
    name : str
        What ``gpwf init --target`` takes; also the name of the model.
    title : str
        Name for people.
    lon, lat : float
        Position of the source, ICRS, in degrees.
    obs_ids : tuple of int
        The observations that were taken for it.
    radius_deg : float
        Radius of the ON region of a spectrum, in degrees.
    e_min_tev, e_max_tev : float
        Range of energy for a fit, in TeV.
    extension_deg : float
        Width of a Gaussian to start from, in degrees; 0 for a point source.
    exclusion : str
        Mask of the sky where the background is not measured; empty for none.
    spectra : bool
        False where a spectrum has no room for reflected regions.
    """

    name: str
    title: str
    lon: float
    lat: float
    obs_ids: tuple[int, ...]
    radius_deg: float
    e_min_tev: float
    e_max_tev: float
    extension_deg: float = 0.0
    exclusion: str = ""
    spectra: bool = True


# Identifiers: the rows of obs-index.fits.gz with the target's RA_OBJ and DEC_OBJ (a test compares
# them). Positions: those too, but for MSH 15-52 that of the H.E.S.S. Galactic plane survey (2018,
# A&A 612, A1), since the observations were aimed 0.12 deg beside it. Safe energies differ between
# observations; the ranges begin where all of them can be used.
_TARGETS = (
    Target(
        name="crab",
        title="Crab Nebula",
        lon=83.633,
        lat=22.014,
        obs_ids=(23523, 23526, 23559, 23592),
        radius_deg=0.11,
        e_min_tev=1.0,
        e_max_tev=30.0,
        exclusion="$GAMMAPY_DATA/joint-crab/exclusion/exclusion_mask_crab.fits.gz",
    ),
    Target(
        name="pks2155-304",
        title="PKS 2155-304",
        lon=329.717,
        lat=-30.226,
        obs_ids=(*range(33787, 33802), 47802, 47803, 47804, 47827, 47828, 47829),
        radius_deg=0.11,
        e_min_tev=0.4,
        e_max_tev=10.0,
    ),
    Target(
        name="msh15-52",
        title="MSH 15-52",
        lon=228.499,
        lat=-59.161,
        obs_ids=(
            *(20136, 20137, 20151, 20282, 20283, 20301, 20302, 20303, 20322, 20323),
            *(20324, 20325, 20343, 20344, 20345, 20346, 20365, 20366, 20367, 20368),
        ),
        radius_deg=0.25,
        e_min_tev=0.6,
        e_max_tev=30.0,
        extension_deg=0.1,
    ),
    Target(
        name="rxj1713.7-3946",
        title="RX J1713.7-3946",
        lon=258.388,
        lat=-39.762,
        obs_ids=(
            *(20326, 20327, 20349, 20350, 20396, 20397),
            *(20421, 20422, 20517, 20518, 20519, 20521),
        ),
        radius_deg=0.6,
        e_min_tev=0.6,
        e_max_tev=30.0,
        extension_deg=0.35,
        spectra=False,
    ),
)

TARGETS: Mapping[str, Target] = MappingProxyType({target.name: target for target in _TARGETS})
"""The targets by name."""
