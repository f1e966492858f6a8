"""Datasets: one FITS file each in gammapy's GADF layout, and an index that gammapy reads too.

``gammapy.datasets.Datasets.read("datasets.yaml", lazy=False)`` works on the result. Our own reader
gives back more: fit masks, livetimes, number types and exact good time intervals, which gammapy
drops. Background models that datasets have of their own are kept beside them in gammapy's YAML (its
``filename_models``); models of the sky are not part of datasets.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gpwf.core.digests import Digest
from gpwf.errors import StoreError
from gpwf.store.formats._fits import (
    dump_yaml,
    exact_gti,
    gti_to_plain,
    load_yaml,
    native,
    stable_cards,
    unique_names,
)
from gpwf.store.formats._flux_datasets import TAG as FLUX_POINTS
from gpwf.store.formats._flux_datasets import read_flux_dataset, write_flux_dataset
from gpwf.store.formats._hdus import Hdu, Memo, hdus_of, opened, split, write_hdus
from gpwf.store.formats._maps import map_hdus, read_map
from gpwf.store.formats.models import read_models, write_models

__all__ = ["read", "write"]

_INDEX = "datasets.yaml"
_BACKGROUNDS = "background_"

# maps of a dataset, and those inside its IRF containers, with the names of their HDUs
_MAPS = {
    "counts": "COUNTS",
    "counts_off": "COUNTS_OFF",
    "acceptance": "ACCEPTANCE",
    "acceptance_off": "ACCEPTANCE_OFF",
    "exposure": "EXPOSURE",
    "background": "BACKGROUND",
    "mask_safe": "MASK_SAFE",
    "mask_fit": "MASK_FIT",
    "edisp.edisp_map": "EDISP",
    "edisp.exposure_map": "EDISP_EXPOSURE",
    "psf.psf_map": "PSF",
    "psf.exposure_map": "PSF_EXPOSURE",
}
# gammapy's order in the file: these, the tables, what ON/OFF datasets have more
_BEFORE = (
    "counts",
    "exposure",
    "background",
    "edisp.edisp_map",
    "edisp.exposure_map",
    "psf.psf_map",
    "psf.exposure_map",
    "mask_safe",
    "mask_fit",
)
_AFTER = ("counts_off", "acceptance", "acceptance_off")
_META_TABLE = "META_TABLE"
_meta_tables = Memo(64)


def write(value: Any, directory: Path, card: Mapping[str, str]) -> Mapping[str, Any]:
    """Write datasets, see `gpwf.store.formats.write`.

    Parameters
    ----------
    value : `gammapy.datasets.Datasets`
        Spectrum or map datasets, with or without OFF counts, or datasets of flux points. Models of
        the sky that are set on them are left out: they are a product of their own.

    Raises
    ------
    StoreError
        For a class of datasets that this format does not know.
    """
    _write_backgrounds(value, directory, card)
    entries = []
    stems = unique_names([*value.names, *(f"{name}_points" for name in value.names)])
    for dataset, stem, points in zip(value, stems, stems[len(value) :], strict=False):
        filename = f"{stem}.fits"
        if dataset.tag == FLUX_POINTS:
            details = write_flux_dataset(dataset, directory, stem, points, card)
        else:
            _dataset_class(dataset.tag)
            write_hdus(_hdus(dataset, card), directory / filename)
            details = {"maps": _map_details(dataset), "gti": gti_to_plain(dataset.gti)}
        entries.append(
            {"name": dataset.name, "type": dataset.tag, "filename": filename, "gpwf": details}
        )
    (directory / _INDEX).write_text(dump_yaml({"datasets": entries}, card), encoding="utf-8")
    return _summary(value)


def read(directory: Path, locate: Callable[[Digest], Path]) -> Any:  # noqa: ARG001
    """Read `gammapy.datasets.Datasets`, see `gpwf.store.formats.read`."""
    from gammapy.datasets import Datasets

    index = load_yaml(directory / _INDEX)
    datasets = Datasets([_read_one(directory, entry) for entry in index["datasets"]])
    if (directory / f"{_BACKGROUNDS}models.yaml").exists():
        datasets.models = read_models(directory, stem=_BACKGROUNDS)
    return datasets


def _write_backgrounds(datasets: Any, directory: Path, card: Mapping[str, str]) -> None:
    """Write the background models, where datasets have some."""
    from gammapy.modeling.models import Models

    found = [model for dataset in datasets for model in dataset.models or ()]
    own = [model for model in found if "SkyModel" not in model.tag]
    if own:
        write_models(Models(own), directory, card, stem=_BACKGROUNDS)


def _dataset_class(tag: str) -> Any:
    """Return the dataset class of a tag."""
    from gammapy.datasets import (
        MapDataset,
        MapDatasetOnOff,
        SpectrumDataset,
        SpectrumDatasetOnOff,
    )

    for cls in (SpectrumDatasetOnOff, SpectrumDataset, MapDatasetOnOff, MapDataset):
        if cls.tag == tag:
            return cls
    raise StoreError(f"no format for datasets of type '{tag}'")


def _hdus(dataset: Any, card: Mapping[str, str]) -> Iterator[Hdu]:
    """Yield the HDUs of a dataset as gammapy has them, in its order."""
    from astropy.io import fits

    extra = stable_cards(dataset.meta.creation.to_header())
    primary = fits.PrimaryHDU()
    # FITS has no other letters; the index keeps the name
    primary.header["NAME"] = dataset.name.encode("ascii", "replace").decode("ascii")
    primary.header.update(dataset.meta.to_header())
    tables = fits.HDUList([primary])
    if dataset.gti is not None:
        tables.append(dataset.gti.to_table_hdu())
    if dataset.meta_table is not None:
        tables.append(fits.BinTableHDU(dataset.meta_table, name=_META_TABLE))
    first, *others = hdus_of(tables, extra, card)
    maps = _maps(dataset)
    yield first
    for name in (name for name in _BEFORE if name in maps):
        yield from map_hdus(maps[name], _MAPS[name], extra)
    yield from others
    for name in (name for name in _AFTER if name in maps):
        yield from map_hdus(maps[name], _MAPS[name], extra)


def _maps(dataset: Any) -> dict[str, Any]:
    """Return the maps of a dataset that the file holds, by dotted name."""
    is_on_off = dataset.tag.endswith("OnOff")
    found = {}
    for name in _MAPS:
        container, _, part = name.rpartition(".")
        owner = getattr(dataset, container, None) if container else dataset
        item = getattr(owner, part, None)
        # the background of ON/OFF datasets is computed from the OFF counts
        if item is not None and not (is_on_off and name == "background"):
            found[name] = item
    return found


def _map_details(dataset: Any) -> dict[str, Any]:
    """Return what FITS loses of each map: number type and metadata."""
    details: dict[str, Any] = {}
    for name, item in _maps(dataset).items():
        entry: dict[str, Any] = {"dtype": item.data.dtype.name}
        if item.meta:
            entry["meta"] = {key: _encode(val) for key, val in item.meta.items()}
        details[name] = entry
    return details


def _encode(value: Any) -> Any:
    """Return a metadata value as plain data; a quantity keeps its unit."""
    if hasattr(value, "unit"):
        return {"value": value.value, "unit": value.unit.to_string("fits")}
    return value


def _decode(value: Any) -> Any:
    """Return the metadata value of `_encode`."""
    if isinstance(value, Mapping) and set(value) == {"value", "unit"}:
        from astropy import units as u

        return u.Quantity(value["value"], value["unit"])
    return value


def _read_one(directory: Path, entry: Mapping[str, Any]) -> Any:
    """Read one dataset and restore what its file alone does not hold."""
    if entry["type"] == FLUX_POINTS:
        return read_flux_dataset(directory, entry["name"], entry["gpwf"])
    name = entry["filename"]
    if Path(name).name != name:
        raise StoreError(f"the datasets refer to {name}, which is no file of the product")
    content = (directory / name).read_bytes()
    hdus = {hdu.name: hdu for hdu in split(content)}
    details = entry["gpwf"]["maps"]
    maps = {}
    shared: dict[int, Any] = {}
    for name, hdu_name in _MAPS.items():
        if hdu_name in hdus:
            detail = details.get(name, {})
            maps[name] = read_map(hdus, hdu_name, detail.get("dtype"), shared)
            maps[name].meta = {key: _decode(val) for key, val in detail.get("meta", {}).items()}
    return _assembled(entry, maps, hdus)


def _assembled(entry: Mapping[str, Any], maps: Mapping[str, Any], hdus: Mapping[str, Hdu]) -> Any:
    """Return a dataset as gammapy makes it from its file."""
    from gammapy.datasets import MapDatasetMetaData
    from gammapy.irf import EDispKernelMap, EDispMap, PSFMap, RecoPSFMap

    cls = _dataset_class(entry["type"])
    is_on_off = entry["type"].endswith("OnOff")
    given = {name: item for name, item in maps.items() if "." not in name}
    edisp, psf = maps.get("edisp.edisp_map"), maps.get("psf.psf_map")
    if edisp is not None:
        kind = EDispKernelMap if edisp.geom.axes[0].name == "energy" else EDispMap
        given["edisp"] = kind(edisp, maps.get("edisp.exposure_map"))
    if psf is not None:
        reco = not is_on_off and "energy" in psf.geom.axes.names
        given["psf"] = (RecoPSFMap if reco else PSFMap)(psf, maps.get("psf.exposure_map"))
    if not is_on_off:
        given["meta"] = MapDatasetMetaData.from_header(_primary_header(hdus[""]))
    if _META_TABLE in hdus:
        given["meta_table"] = _meta_table(hdus[_META_TABLE])
    return cls(name=entry["name"], gti=exact_gti(entry["gpwf"]["gti"]), **given)


def _primary_header(hdu: Hdu) -> Any:
    from astropy.io import fits

    return fits.Header.fromstring(hdu.header.decode("ascii"))


def _meta_table(hdu: Hdu) -> Any:
    """Return a table that is the caller's own."""
    from astropy.table import Table

    def make() -> Any:
        with opened([hdu]) as hdulist:
            table = Table.read(hdulist, hdu=_META_TABLE)
        for card in ("EXTNAME", "CREATOR"):  # of the file, not of the table
            table.meta.pop(card, None)
        for name in table.colnames:
            table[name] = native(table[name])
        return table

    return copy.deepcopy(_meta_tables.get((hdu.header, bytes(hdu.data)), make))


def _summary(datasets: Any) -> dict[str, Any]:
    """Return counts and livetime inside the safe range, summed."""
    totals = [_totals(item) for item in datasets if item.tag != FLUX_POINTS]
    summary: dict[str, Any] = {
        "n_datasets": len(datasets),
        "counts": float(sum(item["counts"] for item in totals)),
    }
    # data without background have no excess, those of satellites no livetime; JSON has no NaN
    for name, digits in (("excess", 2), ("livetime_h", 4)):
        total = float(sum(item[name] for item in totals))
        if math.isfinite(total):
            summary[name] = round(total, digits)
    if any("counts_off" in item for item in totals):
        summary["counts_off"] = float(sum(item.get("counts_off", 0.0) for item in totals))
    points = sum(int(item.mask_safe.sum()) for item in datasets if item.tag == FLUX_POINTS)
    if points:
        summary["n_flux_points"] = points
    return summary


def _totals(dataset: Any) -> dict[str, float]:
    """Return some numbers of gammapy's ``info_dict``, which predicts counts for others of it."""
    import numpy as np
    from astropy import units as u

    mask = slice(None) if dataset.mask_safe is None else dataset.mask_safe.data.astype(bool)
    totals = {"counts": 0.0, "excess": math.nan, "livetime_h": math.nan}
    if dataset.counts is not None:
        totals["counts"] = float(int(dataset.counts.data[mask].sum()))
        if dataset.background is not None:
            totals["excess"] = float(dataset._counts_statistic[mask].sum().n_sig)
    if dataset.tag.endswith("OnOff"):
        off = dataset.counts_off
        totals["counts_off"] = 0.0 if off is None else float(int(off.data[mask].sum()))
    if dataset.exposure is not None:
        livetime = dataset.exposure.meta.get("livetime", np.nan * u.s)
        totals["livetime_h"] = float(livetime.to_value("h"))
    return totals
