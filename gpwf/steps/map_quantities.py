"""Maps by the name of what they hold, from any product with maps; one energy bin of them."""

from __future__ import annotations

from typing import Any

from gpwf.errors import StepError

__all__ = ["energy_plane", "quantity_map", "quantity_names"]

# gammapy computes them from others, where these and the reference model are there
_DERIVED = ("dnde", "flux", "eflux", "e2dnde")
_SUFFIXES = ("", "_err", "_errn", "_errp", "_ul", "_sensitivity")


def quantity_names(maps: Any) -> list[str]:
    """Return the names of the maps of a product.

    Parameters
    ----------
    maps : `gammapy.estimators.FluxMaps`, `gammapy.maps.Maps`, or `gammapy.maps.Map`
        Flux maps have fluxes and significance besides what they store; a map alone has no name.
    """
    from gammapy.estimators import FluxMaps
    from gammapy.maps import Map

    if isinstance(maps, Map):
        return []
    if not isinstance(maps, FluxMaps):
        return list(maps)
    names = list(maps._data)
    if "norm" in names:
        names += [
            f"{kind}{end}" for kind in _DERIVED for end in _SUFFIXES if f"norm{end}" in maps._data
        ]
    if "sqrt_ts" not in names and "ts" in names:
        names.append("sqrt_ts")
    return names


def quantity_map(maps: Any, name: str, step: str) -> Any:
    """Return a map of a product.

    Parameters
    ----------
    maps : `gammapy.estimators.FluxMaps`, `gammapy.maps.Maps`, or `gammapy.maps.Map`
        A map alone is what is returned.
    name : str
        Name of the map; empty for the only one.
    step : str
        Name of the step, for the message.

    Returns
    -------
    item : `gammapy.maps.WcsNDMap`

    Raises
    ------
    StepError
        Where there is no such map, or none with pixels on the sky.
    """
    from gammapy.maps import Map, WcsNDMap

    names = quantity_names(maps)
    if isinstance(maps, Map):
        item = maps
    else:
        if not name and len(names) == 1:
            name = names[0]
        if name not in names:
            raise StepError(
                f"{step}: there is no map '{name}'; there are {', '.join(names)}",
                hint="set 'quantity' to one of them",
            )
        item = getattr(maps, name) if hasattr(type(maps), name) else maps[name]
    if not isinstance(item, WcsNDMap):
        raise StepError(f"{step}: '{name or 'the map'}' is not a map with pixels on the sky")
    return item


def energy_plane(item: Any, energy: Any, step: str) -> tuple[Any, int]:
    """Return one image of a map, and the number of its energy bin.

    Parameters
    ----------
    item : `gammapy.maps.WcsNDMap`
        With at most one axis beside those on the sky.
    energy : `astropy.units.Quantity` or None
        In the bin; None where there is only one.
    step : str
        Name of the step, for the message.

    Returns
    -------
    image : `gammapy.maps.WcsNDMap`
        Without further axes.
    index : int
        Number of the bin, 0 for an image.

    Raises
    ------
    StepError
        Where there are several bins and none is chosen, or the energy is in none.
    """
    from gammapy.maps import Map

    if item.geom.is_image:
        return item, 0
    if len(item.geom.axes) > 1:
        raise StepError(f"{step}: the map has several axes: {', '.join(item.geom.axes.names)}")
    axis = item.geom.axes[0]
    index = 0
    if energy is not None and axis.name in ("energy", "energy_true"):
        index = int(axis.coord_to_idx(energy).item())
        if index < 0:
            edges = axis.edges[[0, -1]].to_value("TeV")
            raise StepError(
                f"{step}: the energy {energy:.4g} is outside of the map, which has "
                f"{edges[0]:.4g} to {edges[1]:.4g} TeV",
                hint="correct 'energy'",
            )
    elif axis.nbin > 1:
        raise StepError(
            f"{step}: the map has {axis.nbin} bins of {axis.name}; which one is meant?",
            hint="set 'energy', or make a map with one energy bin",
        )
    data = item.data[index]
    return Map.from_geom(item.geom.to_image(), data=data.copy(), unit=item.unit), index
