"""Files of a parametric response, for what is made of a response and a pointing alone."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

POINTING = {"frame": "icrs", "lon": "83.633 deg", "lat": "22.514 deg"}
TARGET = {"frame": "icrs", "lon": "83.633 deg", "lat": "22.014 deg"}


@cache
def irfs() -> Any:
    from gpwf.steps.parametric import ParametricIrfs, make_irfs

    return make_irfs(ParametricIrfs())


def write_irfs(folder: Path, *, without: tuple[str, ...] = ()) -> str:
    """Write a file of response and return its path."""
    from astropy.io import fits
    from gammapy.irf.io import IRF_DL3_HDU_SPECIFICATION

    hdus = [fits.PrimaryHDU()]
    for name, irf in irfs().items():
        if name in without:
            continue
        hdu = irf.to_table_hdu(format="gadf-dl3")
        hdu.name = name.upper()
        hdu.header.update(IRF_DL3_HDU_SPECIFICATION[irf.tag]["mandatory_keywords"])
        for card in ("TELESCOP", "INSTRUME"):  # which gammapy's sampling of events needs
            hdu.header.remove(card, ignore_missing=True)
        hdus.append(hdu)
    path = folder / "irfs.fits"
    fits.HDUList(hdus).writeto(path)
    return str(path)


def spectrum_of(irf_file: str, **changes: Any) -> dict[str, Any]:
    """Return the setting `observation` of `simulate` for a spectrum."""
    energy = {"min": "0.5 TeV", "max": "50 TeV", "nbins": 6}
    true = {"min": "0.3 TeV", "max": "100 TeV", "nbins": 12}
    return {
        "irfs": irf_file,
        "pointing": POINTING,
        "livetime": "5 h",
        "type": "1d",
        "on_region": {"center": TARGET, "radius": "0.1 deg"},
        "geom": {"axes": {"energy": energy, "energy_true": true}},
    } | changes


def map_of(irf_file: str, **changes: Any) -> dict[str, Any]:
    """Return the setting `observation` of `simulate` for a map of one energy bin."""
    energy = {"min": "0.5 TeV", "max": "50 TeV", "nbins": 2}
    true = {"min": "0.3 TeV", "max": "100 TeV", "nbins": 6}
    wcs = {
        "skydir": TARGET,
        "binsize": "0.05 deg",
        "width": {"width": "1 deg", "height": "1 deg"},
    }
    return {
        "irfs": irf_file,
        "pointing": POINTING,
        "livetime": "5 h",
        "geom": {"axes": {"energy": energy, "energy_true": true}, "wcs": wcs},
    } | changes
