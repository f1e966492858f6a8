"""What goes from one process to another comes back exactly."""

from __future__ import annotations

import copy
import pickle
import socket
from typing import Any

import pytest

from gpwf.run.portable import pack, receive, send

pytestmark = pytest.mark.gammapy


def _travelled(value: Any) -> Any:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send(ours, pack(value))
        return receive(theirs)


@pytest.fixture(params=["CDELT", "CD", "galactic"])
def wcs(request: Any) -> Any:
    from astropy.wcs import WCS

    found = WCS(naxis=2)
    found.wcs.crpix = [1 / 3, 2 / 3]
    found.wcs.crval = [250 / 3, 64 / 3]
    if request.param == "CD":
        found.wcs.cd = [[-1 / 30, 1e-9 / 3], [1e-9 / 7, 1 / 30]]
    else:
        found.wcs.cdelt = [-1 / 30, 1 / 30]
    axes = ("GLON", "GLAT") if request.param == "galactic" else ("RA--", "DEC-")
    found.wcs.ctype = [f"{axes[0]}-CAR", f"{axes[1]}-CAR"]
    found.wcs.set()
    return found


def test_pixels_are_where_they_were(wcs: Any) -> None:
    before = wcs.wcs_pix2world([[0.1, 0.2], [100.3, 50.7]], 0)
    assert (before == _travelled(wcs).wcs_pix2world([[0.1, 0.2], [100.3, 50.7]], 0)).all()
    assert (_travelled(wcs).wcs.crval == wcs.wcs.crval).all()
    assert (_travelled(wcs).wcs.crpix == wcs.wcs.crpix).all()
    assert _travelled(_travelled(wcs)).wcs == _travelled(wcs).wcs


def test_the_rounding_of_astropy_is_real(wcs: Any) -> None:
    """Once it is gone, `gpwf.steps.pickles` can go."""
    make, arguments = wcs.__reduce__()[:2]
    assert (make(*arguments).wcs.crval != wcs.wcs.crval).any()


@pytest.mark.filterwarnings("ignore:cdelt will be ignored:RuntimeWarning")  # gammapy reads it
def test_copies_and_maps_stay_whole(wcs: Any) -> None:
    from gammapy.maps import MapAxis, WcsGeom, WcsNDMap

    pickle.dumps(wcs)
    assert (copy.deepcopy(wcs).wcs.crval == wcs.wcs.crval).all()
    axis = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 3)
    sky = WcsNDMap(WcsGeom(wcs, (20, 10), axes=[axis]))
    sky.data += 1
    back = _travelled(sky)
    assert (back.data == sky.data).all()
    assert (back.geom.get_coord().lon == sky.geom.get_coord().lon).all()
