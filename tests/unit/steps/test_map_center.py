"""The centre of a map whose settings leave it open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from gpwf.errors import StepError
from gpwf.steps.reduction.center import map_center
from gpwf.steps.reduction.settings import Wcs

pytestmark = pytest.mark.gammapy

pytest.importorskip("astropy")


@dataclass(frozen=True)
class Pointed:
    """An observation as far as its pointing."""

    obs_id: int
    lon: float
    lat: float
    tmid: None = None

    def get_pointing_icrs(self, time: None) -> Any:
        from astropy.coordinates import SkyCoord

        return SkyCoord(self.lon, self.lat, unit="deg")


def center(*pointings: tuple[float, float], **wcs: Any) -> tuple[float, float]:
    """Return the centre in degrees."""
    observations = [Pointed(number, *item) for number, item in enumerate(pointings, 1)]
    found = map_center(Wcs.model_validate(wcs), observations, "reduce")
    assert found.frame == "icrs"
    return found.lon.value, found.lat.value


def test_a_centre_that_is_set_stays() -> None:
    given = {"frame": "galactic", "lon": "1 deg", "lat": "2 deg"}
    found = map_center(Wcs.model_validate({"skydir": given}), [Pointed(1, 80, 20)], "reduce")
    assert (found.frame, found.lon.value, found.lat.value) == ("galactic", 1, 2)


@pytest.mark.parametrize(
    ("pointings", "expected"),
    [
        ([(83.63333, 22.01444)], (83.633, 22.014)),  # rounded
        ([(83.6, 21.5), (83.6, 22.5)], (83.6, 22.0)),
        ([(359, 0), (1, 0)], (0.0, 0.0)),  # not the 180 of a mean of numbers
        ([(359, 0), (2, 0)], (0.5, 0.0)),
        ([(0, 89), (90, 89), (180, 89), (270, 89)], (None, 90.0)),  # a pole
        ([(83.6, 21.5), (83.6, 21.5), (83.6, 23.0)], (83.6, 22.0)),  # each counts once
    ],
)
def test_the_mean_is_one_on_the_sphere(
    pointings: list[tuple[float, float]], expected: tuple[float | None, float]
) -> None:
    lon, lat = center(*pointings)
    assert 0 <= lon < 360
    assert lat == expected[1]
    assert expected[0] is None or lon == expected[0]
    assert center(*reversed(pointings))[1] == lat


def test_pointings_at_several_targets_are_refused() -> None:
    with pytest.raises(StepError, match="observations of several targets: 1 and 3 ") as caught:
        center((83.6, 22.0), (83.6, 24.0), (329.7, -30.2))
    assert "the map is 5.0 deg wide" in caught.value.message
    assert "geom.wcs.skydir" in (caught.value.hint or "")


def test_opposite_directions_have_no_mean() -> None:
    with pytest.raises(StepError, match=r"180\.0 deg apart"):
        center((10, 20), (190, -20))


def test_how_far_is_too_far_is_the_extent_of_the_map() -> None:
    far = ((83.6, 20.0), (83.6, 24.5))
    assert center(*far) == (83.6, 22.25)
    for narrow in ({"width": "4 deg"}, {"height": "4 deg"}):  # the other is 5 deg
        assert center(*far, width=narrow) == (83.6, 22.25)
    with pytest.raises(StepError, match=r"4\.5 deg apart, the map is 4\.0 deg wide"):
        center(*far, width={"width": "4 deg", "height": "4 deg"})
