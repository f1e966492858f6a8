"""A datastore of two short observations whose events are known one by one."""

from __future__ import annotations

import gzip
import io
import warnings
from pathlib import Path
from typing import Any

from spectra import run

from gpwf.core.digests import Digest, digest_file
from gpwf.store import formats

RA, DEC = 83.63, 22.01
START_S = (0.0, 3600.0)  # of the observations, after the reference
LENGTH_S = 1800.0
REFERENCE_MJD = 53000
N_EVENTS = 90  # of an observation, one every 20 s, from 5 s on

# observation 1 starts at 2003-12-27 00:00 TT, 64.184 s before UTC's midnight
FIRST = "2003-12-26T23:58:55.816"
LATER = "2003-12-27T00:08:55.816"  # 600 s later
LAST = "2003-12-27T00:18:55.816"  # 1200 s later


def make_datastore(folder: Path, *, obs_ids: tuple[int, ...] = (1, 2), shift_s: float = 0.0) -> Any:
    """Write a datastore with events, good time and effective area; return its observations."""
    import numpy as np
    from astropy import units as u
    from astropy.io import fits
    from astropy.table import Table
    from gammapy.data import DataStore
    from gammapy.irf import EffectiveAreaTable2D
    from gammapy.maps import MapAxis

    folder.mkdir(parents=True, exist_ok=True)
    true = MapAxis.from_energy_bounds("0.1 TeV", "100 TeV", 6, name="energy_true")
    offset = MapAxis.from_edges([0, 1, 2, 3] * u.deg, name="offset")
    data = np.geomspace(1e3, 1e6, 6)[:, None] * np.array([1.0, 0.8, 0.3]) * u.m**2
    area = EffectiveAreaTable2D([true, offset], data=data.value, unit="m2")
    rows, files = [], []
    for number, obs_id in enumerate(obs_ids):
        start = START_S[number % 2] + shift_s
        path = folder / f"run-{obs_id}.fits"
        header = _header(obs_id, start, "ONE")
        table = _events(start)
        hdus = [fits.PrimaryHDU(), fits.BinTableHDU(table, name="EVENTS")]
        good = Table({"START": [start], "STOP": [start + LENGTH_S]}, units={"START": "s"})
        good["STOP"].unit = "s"
        hdus.append(fits.BinTableHDU(good, name="GTI"))
        hdus.append(area.to_table_hdu(format="gadf-dl3"))
        hdus[3].name = "AEFF"
        for hdu in hdus[1:3]:
            hdu.header.update(header)
        hdus[3].header.update({"TELESCOP": "ONE", "INSTRUME": "ONE", "LO_THRES": 0.5})
        fits.HDUList(hdus).writeto(path, overwrite=True)
        rows.append({"OBS_ID": obs_id, "RA_PNT": RA, "DEC_PNT": DEC + 0.5})
        for kind, cls, name in (
            ("events", "events", "EVENTS"),
            ("gti", "gti", "GTI"),
            ("aeff", "aeff_2d", "AEFF"),
        ):
            files.append((obs_id, kind, cls, "", path.name, name))
    _write(folder / "obs-index.fits.gz", Table(rows), "OBS_INDEX", "OBS")
    names = ("OBS_ID", "HDU_TYPE", "HDU_CLASS", "FILE_DIR", "FILE_NAME", "HDU_NAME")
    _write(folder / "hdu-index.fits.gz", Table(rows=files, names=names), "HDU_INDEX", "HDU")
    return DataStore.from_dir(folder).get_observations(list(obs_ids), required_irf="all-optional")


def locate_in(*folders: Path) -> Any:
    """Return what finds the files of folders by their digests, as a store does."""
    places = {digest_file(path): path for folder in folders for path in folder.glob("*.fits")}

    def locate(digest: Digest) -> Path:
        return places[digest]

    return locate


def ids(observation: Any) -> list[int]:
    """Return the ids of the events that an observation gives."""
    return [int(item) for item in observation.events.table["EVENT_ID"]]


def _events(start: float) -> Any:
    """Return events whose energy, place, phase and gammaness change one by one."""
    import numpy as np
    from astropy.table import Table

    number = np.arange(N_EVENTS)
    table = Table()
    table["EVENT_ID"] = number + 1
    table["TIME"] = start + 5.0 + 20.0 * number
    table["RA"] = np.full(N_EVENTS, RA)
    table["DEC"] = DEC + 0.01 * number  # the first at the source, the 51st at the pointing
    table["ENERGY"] = (10.0 ** (number / 30 - 1)).astype("float32")  # from 0.1 TeV, 3 decades
    table["GAMMANESS"] = (number % 10) / 10
    table["PHASE"] = (number % 20) / 20
    for name, unit in (("TIME", "s"), ("RA", "deg"), ("DEC", "deg"), ("ENERGY", "TeV")):
        table[name].unit = unit
    return table


def _header(obs_id: int, start: float, telescope: str) -> dict[str, Any]:
    return {
        "HDUCLASS": "GADF",
        "HDUVERS": "0.2",
        "HDUCLAS1": "EVENTS",
        "OBS_ID": obs_id,
        "TELESCOP": telescope,
        "INSTRUME": telescope,
        "ORIGIN": "test",
        "CREATOR": "test",
        "OBJECT": "source",
        "RA_OBJ": RA,
        "DEC_OBJ": DEC,
        "OBS_MODE": "POINTING",
        "RA_PNT": RA,
        "DEC_PNT": DEC + 0.5,
        "ALT_PNT": 60.0,
        "AZ_PNT": 180.0,
        "RADECSYS": "ICRS",
        "EQUINOX": 2000.0,
        "GEOLON": 16.5,
        "GEOLAT": -23.27,
        "ALTITUDE": 1835.0,
        "TSTART": start,
        "TSTOP": start + LENGTH_S,
        "ONTIME": LENGTH_S,
        "LIVETIME": 0.9 * LENGTH_S,
        "DEADC": 0.9,
        "MJDREFI": REFERENCE_MJD,
        "MJDREFF": 0.0,
        "TIMEUNIT": "s",
        "TIMESYS": "TT",
        "TIMEREF": "LOCAL",
    }


def _write(path: Path, table: Any, name: str, what: str) -> None:
    from astropy.io import fits

    hdu = fits.BinTableHDU(table, name=name)
    hdu.header.update({"HDUCLASS": "GADF", "HDUCLAS1": "INDEX", "HDUCLAS2": what})
    hdu.header.update({"MJDREFI": REFERENCE_MJD, "MJDREFF": 0.0, "TIMESYS": "TT"})
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(stream)
    path.write_bytes(gzip.compress(stream.getvalue(), mtime=0))


def filtered(observations: Any, **config: Any) -> Any:
    """Return what the step filter-events leaves of observations."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that of the response has its own test
        return run("filter-events", config, {"observations": observations})["observations"]


def stored(observations: Any, folder: Path, place: Path) -> Any:
    """Write observations into a new folder and read them back; their files are in ``place``."""
    folder.mkdir()
    formats.write("observations", observations, folder, {"GPWFKEY": "0" * 64})
    return formats.read("observations", folder, locate_in(place))
