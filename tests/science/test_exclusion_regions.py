"""Files of regions as exclusion: what does nothing is told, and they reach as far as the map."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from reductions import CENTER, hess, maps, reduce, spectra

from gpwf.errors import StepError

pytestmark = [pytest.mark.science, pytest.mark.gammapy]

if not os.environ.get("GAMMAPY_DATA"):
    pytest.skip("GAMMAPY_DATA is not set", allow_module_level=True)

SMALL = "circle(83.633d, 24.014d, 0.05d)"
HERE, FAR = "circle(83.633d, 22.014d, 0.5d)", "circle(183.633d, 22.014d, 0.3d)"


@pytest.fixture(scope="module")
def crab() -> list[Any]:
    return hess(23523)


def with_regions(config: dict[str, Any], folder: Path, *lines: str) -> dict[str, Any]:
    """Return settings whose exclusion is a file of regions."""
    path = folder / "sources.reg"
    path.write_text("\n".join(lines))
    return {**config, "background": {**config["background"], "exclusion": str(path)}}


def test_regions_beside_the_data_are_told(crab: list[Any], tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"sources\.reg excludes nothing"):
        reduce(with_regions(spectra(), tmp_path, "icrs", FAR), crab)


def test_regions_in_pixels_are_told(crab: list[Any], tmp_path: Path) -> None:
    lines = ("icrs", HERE, "image", "circle(10, 10, 3)")
    with pytest.warns(UserWarning, match=r"1 of 2 regions in sources\.reg are in pixels"):
        reduce(with_regions(spectra(), tmp_path, *lines), crab)


def test_regions_with_a_minus_are_refused(crab: list[Any], tmp_path: Path) -> None:
    """The package regions takes them for all that is outside of them."""
    config = with_regions(spectra(), tmp_path, "icrs", HERE, f"-{FAR}")
    with pytest.raises(StepError, match=r"region 2 in sources\.reg has a minus sign") as caught:
        reduce(config, crab)
    assert caught.value.hint


def test_regions_far_from_the_centre_of_a_wide_map_are_excluded(
    crab: list[Any], tmp_path: Path
) -> None:
    """The norm of the background is that of a map around the source."""
    near = maps("fov_background")
    wide = maps("fov_background")
    wide["geom"]["wcs"] |= {
        "skydir": {**CENTER, "lat": "12.014 deg"},
        "width": {"width": "4 deg", "height": "26 deg"},
    }
    norms = [
        reduce(with_regions(config, tmp_path, "icrs", *regions), crab)[
            0
        ].background_model.spectral_model.norm.value
        for config, regions in ((near, [HERE]), (wide, [HERE]), (wide, [SMALL]))
    ]
    assert norms[1] == pytest.approx(norms[0], rel=0.02)  # other pixels at the borders
    assert norms[2] > 1.05 * norms[1]  # with the source in it
