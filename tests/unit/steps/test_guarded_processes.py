"""Headers of maps are not run as Python, in processes that nothing else has prepared."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.gammapy

WORKER = """
from gpwf.steps.process import prepare_process
prepare_process()
from gammapy.maps import Map
Map.read("map/map.fits")
"""
READER = """
from pathlib import Path
from gpwf.store import formats
formats.read("map", Path("map"), None)
"""


@pytest.mark.parametrize("code", [WORKER, READER], ids=["worker", "reader"])
def test_a_header_is_not_run(code: str, tmp_path: Path) -> None:
    from astropy.io import fits
    from gammapy.maps import Map

    from gpwf.store import formats

    (tmp_path / "map").mkdir()
    formats.write("map", Map.create(npix=3), tmp_path / "map")
    with fits.open(tmp_path / "map" / "map.fits", mode="update") as hdulist:
        for hdu in hdulist:
            hdu.header["WCSSHAPE"] = "open('ran', 'w')"
    argv = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "its card WCSSHAPE is" in done.stderr
    assert not (tmp_path / "ran").exists()
