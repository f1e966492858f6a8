"""Read files of the Fermi tools: events, exposure and point spread function at one position."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gpwf.errors import StepError
from gpwf.steps.healpix import ring_weights

__all__ = ["check_energies", "read_containment", "read_events", "read_exposure"]

_ROUNDING = 1e-6  # energies were written in other units
_ERRORS = (KeyError, ValueError, TypeError, IndexError, AttributeError, OSError)


def read_events(path: Path, step: str) -> tuple[Any, Any]:
    """Return the events of a file, and the interval in which they were taken.

    Parameters
    ----------
    path : Path
        Events, of `gtselect` and `gtmktime`.
    step : str
        Name of the step, for messages.

    Returns
    -------
    events : `gammapy.data.EventList`
    gti : `gammapy.data.GTI`
        One interval, from the first to the last good time: a satellite has tens of thousands, and
        the exposure, which counts them all, is known.

    Raises
    ------
    StepError
        Where the file has none.
    """
    from gammapy.data import GTI, EventList

    try:
        events, gti = EventList.read(path), GTI.read(path)
        reference = gti.time_ref
        start = (gti.time_start.min() - reference).to("s")
        stop = (gti.time_stop.max() - reference).to("s")
        _ = events.radec, events.energy
    except _ERRORS as error:
        raise StepError(
            f"{step}: gammapy cannot read {path.name} as events: {error!r}",
            hint="give a file of gtselect or gtmktime, with the HDUs EVENTS and GTI",
        ) from error
    return events, GTI.create([start.value] * start.unit, [stop.value] * stop.unit, reference)


def check_energies(events: Any, energy: Any, step: str) -> None:
    """Refuse energies at which no events were selected: their bins would be empty, not unknown.

    Parameters
    ----------
    events : `gammapy.data.EventList`
        Whose header may say what `gtselect` selected.
    energy : `gammapy.maps.MapAxis`
        Reconstructed energies of the counts.
    step : str
        Name of the step, for messages.

    Raises
    ------
    StepError
        Where the axis goes beyond the selection.

    References
    ----------
    "Data subspace keywords" of the Fermi Science Tools: DSTYPn, DSUNIn, DSVALn.
    """
    from astropy import units as u

    header = {str(key).upper(): value for key, value in events.table.meta.items()}
    for key in [key for key, value in header.items() if key.startswith("DSTYP")]:
        number = key.removeprefix("DSTYP")
        if str(header[key]).strip().upper() != "ENERGY":
            continue
        low, _, high = str(header.get(f"DSVAL{number}", "")).partition(":")
        try:
            bounds = u.Quantity([float(low), float(high)], header.get(f"DSUNI{number}", "MeV"))
        except (ValueError, TypeError):
            continue
        edges = energy.edges[[0, -1]]
        if edges[0] < bounds[0] * (1 - _ROUNDING) or edges[1] > bounds[1] * (1 + _ROUNDING):
            low, high = (f"{item.to_value('TeV'):.4g}" for item in bounds)
            raise StepError(
                f"{step}: the events were selected from {low} to {high} TeV, and 'axes.energy' "
                f"reaches from {edges[0].to_value('TeV'):.4g} to {edges[1].to_value('TeV'):.4g}",
                hint="stay inside the selection, or select events again with gtselect",
            )


def read_exposure(path: Path, position: Any, energy: Any, step: str) -> Any:
    """Return the exposure at a position.

    Linear between pixels, and between the energies of the file in the logarithm of the energy;
    beyond them that of the last one.

    Parameters
    ----------
    path : Path
        Exposure cube of ``gtexpcube2``: HEALPix pixels by rings, or a map.
    position : `astropy.coordinates.SkyCoord`
        One position.
    energy : `astropy.units.Quantity`, shape (n,)
        True energies.
    step : str
        Name of the step, for messages.

    Returns
    -------
    exposure : `astropy.units.Quantity`, shape (n,)
        In m2 s.

    Raises
    ------
    StepError
        Where the file is no exposure cube, or the position is not on it.
    """
    import numpy as np
    from astropy import units as u
    from astropy.io import fits

    try:
        with fits.open(path, memmap=False) as hdulist:
            # whatever the case: astropy's names of columns have none
            nodes = np.asarray(hdulist["ENERGIES"].data["ENERGY"], dtype=float)
            healpix = [hdu for hdu in hdulist if hdu.header.get("PIXTYPE") == "HEALPIX"]
            values = _at_pixels(healpix[0], position) if healpix else None
        if values is None:
            values = _on_map(path, position)
        if values.shape != nodes.shape:
            raise ValueError(f"{len(values)} maps and {len(nodes)} energies")
    except _ERRORS as error:
        raise StepError(
            f"{step}: cannot read {path.name} as an exposure cube: {error!r}",
            hint="give a file of gtexpcube2, with the HDU ENERGIES; HEALPix pixels in the order of "
            "rings (RING)",
        ) from error
    if not (np.isfinite(values).all() and (values > 0).any()):
        raise StepError(
            f"{step}: {path.name} has no exposure at the position of the ON region",
            hint="check 'on_region', and that the exposure covers it",
        )
    logs = np.log(energy.to_value("MeV"))
    return u.Quantity(np.interp(logs, np.log(nodes), values), "cm2 s").to("m2 s")


def _at_pixels(hdu: Any, position: Any) -> Any:
    """Return the values of an all-sky cube in HEALPix pixels, one per energy, shape (n,)."""
    import numpy as np

    header = hdu.header
    if str(header.get("ORDERING", "")).strip().upper() != "RING":
        raise ValueError(f"its pixels are in the order {header.get('ORDERING')}, not RING")
    # the Fermi tools write galactic cubes, and older versions do not say so
    celestial = str(header.get("COORDSYS", "GAL")).strip().upper() in ("CEL", "C", "EQU")
    point = position.icrs if celestial else position.galactic
    weights = ring_weights(int(header["NSIDE"]), point.spherical.lon.deg, point.spherical.lat.deg)
    names = hdu.columns.names
    return np.array(
        [sum(hdu.data[name][pixel] * weight for pixel, weight in weights.items()) for name in names]
    )


def _on_map(path: Path, position: Any) -> Any:
    """Return the values of a cube in image pixels, one per energy, shape (n,); NaN beyond it."""
    import numpy as np
    from gammapy.maps import Map

    cube = Map.read(path)
    axis = cube.geom.axes[0]
    if not cube.geom.to_image().contains(position).all():
        return np.full(axis.nbin, np.nan)  # gammapy would go on in a straight line
    coords = {"skycoord": position, axis.name: axis.center}
    return cube.interp_by_coord(coords, method="linear")


def read_containment(path: Path, radius: Any, energy: Any, step: str) -> Any:
    """Return the part of the point spread function within a radius.

    Parameters
    ----------
    path : Path
        Point spread function of ``gtpsf``.
    radius : `astropy.units.Quantity`
        Of the region.
    energy : `astropy.units.Quantity`, shape (n,)
        True energies.
    step : str
        Name of the step, for messages.

    Returns
    -------
    containment : array of float, shape (n,)

    Raises
    ------
    StepError
        Where the file is none, or what it says is no fraction.
    """
    import numpy as np
    from gammapy.irf import PSFMap

    try:
        found = PSFMap.read(path, format="gtpsf").containment(radius, energy_true=energy)
    except _ERRORS as error:
        raise StepError(
            f"{step}: gammapy cannot read {path.name} as a point spread function: {error!r}",
            hint="give a file of gtpsf, with the HDUs PSF and THETA",
        ) from error
    values = np.asarray(found, dtype=float).ravel()
    if not ((values > 0) & (values <= 1.001)).all():
        raise StepError(
            f"{step}: {path.name} has {values.min():.3g} to {values.max():.3g} of the point spread "
            "function inside the ON region",
            hint="it has to be normalised; check the file, and 'on_region.radius'",
        )
    return np.minimum(values, 1.0)
