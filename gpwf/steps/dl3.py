"""Write observations as a GADF DL3 datastore, the same bytes every time.

References
----------
Data formats for gamma-ray astronomy (GADF) 0.2,
https://gamma-astro-data-formats.readthedocs.io/en/v0.2/
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gpwf.core.gzipped import stored_gzip

__all__ = ["HDU_INDEX", "OBS_INDEX", "IndexRows", "write_index", "write_observation"]

HDU_INDEX = "hdu-index.fits.gz"
OBS_INDEX = "obs-index.fits.gz"

_GADF = {
    "HDUCLASS": "GADF",
    "HDUDOC": "https://github.com/open-gamma-ray-astro/gamma-astro-data-formats",
    "HDUVERS": "0.2",
}
_HDU_NAMES = {"aeff": "AEFF", "edisp": "EDISP", "psf": "PSF", "bkg": "BKG"}
# columns of the observation index that are cards of EVENTS
_OBS_COLUMNS = (
    "OBS_ID",
    "TSTART",
    "TSTOP",
    "ONTIME",
    "LIVETIME",
    "DEADC",
    "TELESCOP",
    "RA_PNT",
    "DEC_PNT",
    "ALT_PNT",
    "AZ_PNT",
    "OBJECT",
    "RA_OBJ",
    "DEC_OBJ",
    "DATE-OBS",
    "TIME-OBS",
    "DATE-END",
    "TIME-END",
)

IndexRows = tuple[dict[str, Any], list[dict[str, Any]]]
"""Row of the observation index, rows of the HDU index."""


def write_observation(path: Path, observation: Any, header: Mapping[str, Any]) -> IndexRows:
    """Write one observation to a FITS file.

    Parameters
    ----------
    path : Path
        New file, beside the index.
    observation : `gammapy.data.Observation`
        In memory, with events and response.
    header : mapping
        Cards of the EVENTS header beyond the format's own: target, observer's site, pointing in
        horizontal coordinates.

    Returns
    -------
    rows : tuple
        What the two index tables say of it.
    """
    from astropy.io import fits

    time_cards = _time_cards(observation.gti)
    events = _events_hdu(observation, {**time_cards, **header})
    hdus = [fits.PrimaryHDU(), events, _gti_hdu(observation.gti, time_cards)]
    hdus += [_irf_hdu(name, getattr(observation, name)) for name in _HDU_NAMES]
    fits.HDUList(hdus).writeto(path)
    return _index_rows(path, observation, hdus[1:])


def _time_cards(gti: Any) -> dict[str, Any]:
    """Return the cards that say what times count from."""
    reference = gti.time_ref
    day = int(reference.mjd)
    return {
        "MJDREFI": day,
        "MJDREFF": float((reference.jd1 - 2400000.5 - day) + reference.jd2),
        "TIMEUNIT": "s",
        "TIMESYS": reference.scale.upper(),
        "TIMEREF": "LOCAL",
    }


def _seconds(time: Any, reference: Any) -> Any:
    return (time - reference).to_value("s")


def _events_hdu(observation: Any, cards: Mapping[str, Any]) -> Any:
    import numpy as np
    from astropy.io import fits
    from astropy.table import Table

    source, reference = observation.events.table, observation.gti.time_ref
    table = Table()
    table["EVENT_ID"] = np.arange(1, len(source) + 1, dtype="int64")  # in order of time
    table["TIME"] = _seconds(source["TIME"], reference)
    for name, unit in (("RA", "deg"), ("DEC", "deg"), ("ENERGY", "TeV")):
        table[name] = source[name].quantity.to_value(unit).astype("float32")
    for name in ("DETX", "DETY"):
        table[name] = source[name].quantity.to_value("deg").astype("float32")
    table["MC_ID"] = np.asarray(source["MC_ID"], dtype="int32")
    units = {"TIME": "s", "ENERGY": "TeV"} | dict.fromkeys(("RA", "DEC", "DETX", "DETY"), "deg")
    for name, unit in units.items():
        table[name].unit = unit
    hdu = fits.BinTableHDU(table, name="EVENTS")
    pointing = observation.pointing.fixed_icrs
    start, stop = (
        float(_seconds(time, reference)) for time in (observation.tstart, observation.tstop)
    )
    alive = 1 - float(observation.observation_dead_time_fraction)
    hdu.header.update(
        {
            **_GADF,
            "HDUCLAS1": "EVENTS",
            "CREATOR": "gpwf",
            "ORIGIN": "simulation",
            "TELESCOP": observation.aeff.meta["TELESCOP"],
            "INSTRUME": observation.aeff.meta["INSTRUME"],
            "OBS_ID": int(observation.obs_id),
            "TSTART": start,
            "TSTOP": stop,
            "TELAPSE": stop - start,
            "ONTIME": stop - start,
            "LIVETIME": (stop - start) * alive,
            "DEADC": alive,
            "OBS_MODE": "POINTING",
            "RA_PNT": float(pointing.ra.deg),
            "DEC_PNT": float(pointing.dec.deg),
            "RADECSYS": "ICRS",
            "EQUINOX": 2000.0,
            "EUNIT": "TeV",
            **cards,
        }
    )
    return hdu


def _gti_hdu(gti: Any, cards: Mapping[str, Any]) -> Any:
    from astropy.io import fits
    from astropy.table import Table

    table = Table(
        {
            "START": _seconds(gti.time_start, gti.time_ref),
            "STOP": _seconds(gti.time_stop, gti.time_ref),
        }
    )
    for name in table.colnames:
        table[name].unit = "s"
    hdu = fits.BinTableHDU(table, name="GTI")
    hdu.header.update({**_GADF, "HDUCLAS1": "GTI", **cards})
    return hdu


def _irf_hdu(name: str, irf: Any) -> Any:
    """Return the HDU of a response, with the cards of its class (a parametric PSF brings none)."""
    from gammapy.irf.io import IRF_DL3_HDU_SPECIFICATION

    hdu = irf.to_table_hdu(format="gadf-dl3")
    hdu.name = _HDU_NAMES[name]
    hdu.header.update(IRF_DL3_HDU_SPECIFICATION[irf.tag]["mandatory_keywords"])
    return hdu


def _index_rows(path: Path, observation: Any, hdus: Sequence[Any]) -> IndexRows:
    header = hdus[0].header
    row = {name: header[name] for name in _OBS_COLUMNS if name in header}
    galactic = observation.pointing.fixed_icrs.galactic
    row |= {"GLON_PNT": float(galactic.l.deg), "GLAT_PNT": float(galactic.b.deg)}
    row |= {"ZEN_PNT": 90.0 - row["ALT_PNT"], "EVENT_COUNT": len(hdus[0].data)}
    types = {"EVENTS": "events", "GTI": "gti"} | {hdu: irf for irf, hdu in _HDU_NAMES.items()}
    files = [
        {
            "OBS_ID": int(observation.obs_id),
            "HDU_TYPE": types[hdu.name],
            "HDU_CLASS": hdu.header.get("HDUCLAS4", hdu.name).lower(),
            "FILE_DIR": "",
            "FILE_NAME": path.name,
            "HDU_NAME": hdu.name,
        }
        for hdu in hdus
    ]
    return row, files


def write_index(directory: Path, rows: Sequence[IndexRows], gti: Any) -> None:
    """Write the two index tables.

    Parameters
    ----------
    directory : Path
        Folder of the datastore.
    rows : sequence
        What `write_observation` returned.
    gti : `gammapy.data.GTI`
        Of any of the observations; all count times from the same reference.
    """
    observations = [row for row, _ in rows]
    units = {"TSTART": "s", "TSTOP": "s", "ONTIME": "s", "LIVETIME": "s"}
    units |= {name: "deg" for name in observations[0] if name.endswith(("_PNT", "_OBJ"))}
    files = [row for _, some in rows for row in some]
    cards = {**_GADF, "HDUCLAS1": "INDEX"}
    time_cards = _time_cards(gti)
    _write_table(
        directory / OBS_INDEX,
        observations,
        "OBS_INDEX",
        {**cards, "HDUCLAS2": "OBS", **time_cards},
        units,
    )
    _write_table(directory / HDU_INDEX, files, "HDU_INDEX", {**cards, "HDUCLAS2": "HDU"}, {})


def _write_table(
    path: Path,
    rows: Sequence[Mapping[str, Any]],
    name: str,
    cards: Mapping[str, Any],
    units: Mapping[str, str],
) -> None:
    from astropy.io import fits
    from astropy.table import Table

    table = Table({key: [row[key] for row in rows] for key in rows[0]})
    for key, unit in units.items():
        table[key].unit = unit
    hdu = fits.BinTableHDU(table, name=name)
    hdu.header.update(cards)
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(stream)
    path.write_bytes(stored_gzip(stream.getvalue()))
