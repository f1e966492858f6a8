"""Values of all-sky maps in HEALPix pixels at a position; gammapy needs healpy for such maps.

References
----------
Górski et al. 2005, ApJ 622, 759: "HEALPix: a framework for high-resolution discretization and fast
analysis of data distributed on the sphere", section 5.2 and 5.3 (ring scheme).
"""

from __future__ import annotations

import math

__all__ = ["ring_weights"]

_CAP = 2 / 3  # |z| where the polar caps begin


def ring_weights(nside: int, lon: float, lat: float) -> dict[int, float]:
    """Return the pixels around a position, with the weights of a bilinear interpolation.

    Linear along the two rings next to the position and between them, as ``get_interp_weights`` of
    healpy.

    Parameters
    ----------
    nside : int
        Resolution; the map has 12 nside² pixels, numbered by rings.
    lon, lat : float
        Position in deg, in the frame of the map.

    Returns
    -------
    weights : dict of int to float
        At most four pixels; the weights add up to 1.
    """
    z, theta = math.sin(math.radians(lat)), math.radians(90 - lat)
    phi = math.radians(lon) % (2 * math.pi)
    above = _ring_above(nside, z)
    n_pixels = 12 * nside**2
    if above == 0:
        # around the pole: its value is the mean of the four pixels of the first ring
        pairs, below = _in_ring(nside, 1, phi)
        part = theta / below
        return _added(pairs, part, dict.fromkeys(range(4), 0.25), 1 - part)
    if above == 4 * nside - 1:
        pairs, top = _in_ring(nside, above, phi)
        part = (theta - top) / (math.pi - top)
        return _added(pairs, 1 - part, dict.fromkeys(range(n_pixels - 4, n_pixels), 0.25), part)
    upper, top = _in_ring(nside, above, phi)
    lower, below = _in_ring(nside, above + 1, phi)
    part = (theta - top) / (below - top)
    return _added(upper, 1 - part, lower, part)


def _added(
    one: dict[int, float], weight: float, two: dict[int, float], other: float
) -> dict[int, float]:
    """Return the sum of weights, each times a factor."""
    total = {pixel: weight * value for pixel, value in one.items()}
    for pixel, value in two.items():
        total[pixel] = total.get(pixel, 0.0) + other * value
    return total


def _ring_above(nside: int, z: float) -> int:
    """Return the number of the ring north of a latitude; 0 north of the first one."""
    if abs(z) <= _CAP:
        return int(nside * (2 - 1.5 * z))
    ring = int(nside * math.sqrt(3 * (1 - abs(z))))
    return ring if z > 0 else 4 * nside - ring - 1


def _in_ring(nside: int, ring: int, phi: float) -> tuple[dict[int, float], float]:
    """Return the two pixels of a ring next to a longitude with their weights, and its colatitude.

    Parameters
    ----------
    nside : int
        Resolution.
    ring : int
        From 1 in the north to 4 nside - 1 in the south.
    phi : float
        Longitude in rad, from 0 to 2 pi.
    """
    north = min(ring, 4 * nside - ring)
    if north < nside:  # a polar cap
        z = 1 - north**2 / (3 * nside**2)
        number, shift = 4 * north, 0.5
        first = 2 * north * (north - 1)
        if ring != north:
            z, first = -z, 12 * nside**2 - first - number
    else:
        z = (2 * nside - ring) * 2 / (3 * nside)
        number, shift = 4 * nside, 0.5 if (ring - nside) % 2 == 0 else 0.0
        first = 2 * nside * (nside - 1) + (ring - nside) * number
    place = phi * number / (2 * math.pi) - shift
    left = math.floor(place)
    weights = {first + left % number: 1 - (place - left)}
    right = first + (left + 1) % number
    weights[right] = weights.get(right, 0.0) + place - left
    return weights, math.acos(z)
