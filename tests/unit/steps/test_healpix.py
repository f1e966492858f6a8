"""Interpolation between HEALPix pixels against the definition of the ring scheme."""

from __future__ import annotations

import math

import pytest

from gpwf.steps.healpix import ring_weights


def centers(nside: int) -> list[tuple[float, float]]:
    """Return longitude and latitude of all pixels in deg: equations 4 to 9 of Górski et al."""
    found = []
    for ring in range(1, 4 * nside):
        if nside <= ring <= 3 * nside:
            z, number = 4 / 3 - 2 * ring / (3 * nside), 4 * nside
            shift = (ring - nside + 1) % 2 / 2
        else:
            north = min(ring, 4 * nside - ring)
            z, number, shift = 1 - north**2 / (3 * nside**2), 4 * north, 0.5
            z = z if ring < nside else -z
        found += [(360 * (j + shift) / number, math.degrees(math.asin(z))) for j in range(number)]
    return found


@pytest.mark.parametrize("nside", [1, 2, 4, 32])
def test_the_center_of_a_pixel_has_its_value(nside: int) -> None:
    places = centers(nside)
    assert len(places) == 12 * nside**2
    for pixel, (lon, lat) in enumerate(places):
        weights = ring_weights(nside, lon, lat)
        assert weights[pixel] == pytest.approx(1, abs=1e-6), (pixel, weights)
        assert sum(weights.values()) == pytest.approx(1)


@pytest.mark.parametrize("nside", [1, 8, 32])
def test_a_smooth_function_is_interpolated_everywhere(nside: int) -> None:
    def value(lon: float, lat: float) -> float:
        a, b = math.radians(lon), math.radians(lat)
        return 3 + math.cos(b) * math.cos(a) + 0.5 * math.sin(b)

    values = [value(*place) for place in centers(nside)]
    tolerance = 2.5 / nside**1.5
    for lat in (-90, -89.9, -75.0, -41.8, -12.3, 0, 0.1, 33, 41.81, 66.7, 89.99, 90):
        for lon in (-180, -0.001, 0, 0.2, 44.9, 91, 184.56, 359.999, 400):
            weights = ring_weights(nside, lon, lat)
            assert len(weights) <= 6
            assert all(weight >= -1e-9 for weight in weights.values())
            assert set(weights) <= set(range(len(values)))
            assert sum(weights.values()) == pytest.approx(1)
            found = sum(values[pixel] * weight for pixel, weight in weights.items())
            assert found == pytest.approx(value(lon, lat), abs=tolerance), (lon, lat)
