"""Flux maps: FITS with every map as the estimator left it, and the reference model beside.

``gammapy.estimators.FluxMaps.read("flux_maps.fits")`` gives the maps, too. gammapy looks for the
reference model where a full path in the header says, which no file that is to be moved can have:
without it significance and excess are there, fluxes are not. Our own reader gives back the model,
number types, and the metadata (``n_sigma`` …) that gammapy drops.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gpwf.core.digests import Digest
from gpwf.store.formats._fits import (
    exact_gti,
    gti_to_plain,
    plain,
    read_json,
    write_json,
)
from gpwf.store.formats._hdus import hdus_of, split, write_hdus
from gpwf.store.formats._maps import map_hdus, read_map
from gpwf.store.formats.models import read_models, write_models

__all__ = ["read", "write"]

_STEM = "flux_maps"
_REFERENCE = "reference_"


def write(value: Any, directory: Path, card: Mapping[str, str]) -> Mapping[str, Any]:
    """Write `gammapy.estimators.FluxMaps`, see `gpwf.store.formats.write`."""
    from astropy.io import fits
    from gammapy.modeling.models import Models

    primary = fits.PrimaryHDU()
    primary.header["SED_TYPE"] = "likelihood"
    tables = fits.HDUList([primary])
    if value.gti is not None:
        tables.append(value.gti.to_table_hdu())
    first, *others = hdus_of(tables, {}, card)
    maps = [hdu for name, item in value._data.items() for hdu in map_hdus(item, name, {})]
    write_hdus([first, *maps, *others], directory / f"{_STEM}.fits")
    write_models(Models([value.reference_model]), directory, card, stem=_REFERENCE)
    details = {
        "format": "gpwf-flux-maps/1",
        "meta": plain(value.meta),
        "quantities": {name: item.data.dtype.name for name, item in value._data.items()},
        "gti": gti_to_plain(value.gti),
    }
    write_json(details, directory / f"{_STEM}.json", card)
    return _summary(value)


def read(directory: Path, locate: Callable[[Digest], Path]) -> Any:  # noqa: ARG001
    """Read `gammapy.estimators.FluxMaps`, see `gpwf.store.formats.read`."""
    from gammapy.estimators import FluxMaps

    details = read_json(directory / f"{_STEM}.json")
    content = (directory / f"{_STEM}.fits").read_bytes()
    hdus = {hdu.name: hdu for hdu in split(content)}
    maps = {}
    shared: dict[int, Any] = {}
    for name, dtype in details["quantities"].items():
        maps[name] = read_map(hdus, name, dtype, shared)
        maps[name].meta = {}
    return FluxMaps(
        data=maps,
        reference_model=read_models(directory, stem=_REFERENCE)[0],
        meta=dict(details["meta"]),
        gti=exact_gti(details["gti"]),
    )


def _summary(flux: Any) -> dict[str, Any]:
    """Return size, and where the highest significance is."""
    import numpy as np

    geom = flux.geom
    summary: dict[str, Any] = {
        "n_energies": int(geom.axes["energy"].nbin),
        "n_pixels": int(np.prod(geom.data_shape[-2:])),
        "quantities": list(flux._data),
    }
    significance = flux.sqrt_ts
    if np.isfinite(significance.data).any():
        index = np.unravel_index(np.nanargmax(significance.data), significance.data.shape)
        position = geom.to_image().pix_to_coord((index[-1], index[-2]))
        summary["max_sqrt_ts"] = round(float(significance.data[index]), 2)
        summary["frame"] = geom.frame
        summary["lon_deg"] = round(float(position[0].to_value("deg")), 3)
        summary["lat_deg"] = round(float(position[1].to_value("deg")), 3)
    return summary
