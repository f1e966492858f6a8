"""Datasets: one FITS file each in gammapy's GADF layout, and an index that gammapy reads too.

``gammapy.datasets.Datasets.read("datasets.yaml", lazy=False)`` works on the result. Our own reader
gives back more: fit masks, livetimes, number types and exact good time intervals, which gammapy
drops. Background models that datasets have of their own are kept beside them in gammapy's YAML (its
``filename_models``); models of the sky are not part of datasets.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
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
    unique_names,
    write_hdulist,
)
from gpwf.store.formats.models import read_models, write_models

__all__ = ["read", "write"]

_INDEX = "datasets.yaml"
_BACKGROUNDS = "background_"

# maps of a dataset, and the maps inside its IRF containers
_MAPS = (
    "counts",
    "counts_off",
    "acceptance",
    "acceptance_off",
    "exposure",
    "background",
    "mask_safe",
    "mask_fit",
)
_IRF_MAPS = (
    ("edisp", "edisp_map"),
    ("edisp", "exposure_map"),
    ("psf", "psf_map"),
    ("psf", "exposure_map"),
)


def write(value: Any, directory: Path, card: Mapping[str, str]) -> Mapping[str, Any]:
    """Write datasets, see `gpwf.store.formats.write`.

    Parameters
    ----------
    value : `gammapy.datasets.Datasets`
        Spectrum or map datasets, with or without OFF counts. Models of the sky that are set on them
        are left out: they are a product of their own.

    Raises
    ------
    StoreError
        For a class of datasets that this format does not know.
    """
    _write_backgrounds(value, directory, card)
    entries = []
    for dataset, stem in zip(value, unique_names(value.names), strict=True):
        _dataset_class(dataset.tag)
        filename = f"{stem}.fits"
        write_hdulist(_hdulist(dataset), directory / filename, card)
        entries.append(
            {
                "name": dataset.name,
                "type": dataset.tag,
                "filename": filename,
                "gpwf": {"maps": _map_details(dataset), "gti": gti_to_plain(dataset.gti)},
            }
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


def _hdulist(dataset: Any) -> Any:
    """Return gammapy's HDUs of a dataset."""
    if not dataset.name.isascii():  # FITS has no other letters; the index keeps the name
        dataset = dataset.copy(name=dataset.name.encode("ascii", "replace").decode("ascii"))
    hdulist = dataset.to_hdulist()
    # gammapy removes the background of an ON/OFF dataset but forgets its region
    if "COUNTS_OFF" in hdulist and "BACKGROUND" not in hdulist and "BACKGROUND_REGION" in hdulist:
        del hdulist["BACKGROUND_REGION"]
    return hdulist


def _maps(dataset: Any) -> dict[str, Any]:
    """Return the maps of a dataset that the file holds, by dotted name."""
    is_on_off = dataset.tag.endswith("OnOff")
    found = {
        name: getattr(dataset, name, None)
        for name in _MAPS
        if not (is_on_off and name == "background")  # computed from the OFF counts
    }
    for container, name in _IRF_MAPS:
        irf = getattr(dataset, container, None)
        found[f"{container}.{name}"] = getattr(irf, name, None) if irf is not None else None
    return {name: item for name, item in found.items() if item is not None}


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
    from astropy.io import fits

    cls = _dataset_class(entry["type"])
    with fits.open(directory / entry["filename"], memmap=False, lazy_load_hdus=False) as hdulist:
        dataset = cls.from_hdulist(hdulist, name=entry["name"])
    details = entry["gpwf"]["maps"]
    for name, item in _maps(dataset).items():
        detail = details.get(name, {})
        item.data = native(item.data).astype(detail.get("dtype", item.data.dtype), copy=False)
        item.meta = {key: _decode(val) for key, val in detail.get("meta", {}).items()}
    dataset.gti = exact_gti(entry["gpwf"]["gti"])
    return dataset


def _summary(datasets: Any) -> dict[str, Any]:
    """Return counts and livetime inside the safe range, summed."""
    info = [item.info_dict() for item in datasets]
    summary: dict[str, Any] = {
        "n_datasets": len(datasets),
        "counts": float(sum(item["counts"] for item in info)),
        "excess": round(float(sum(item["excess"] for item in info)), 2),
    }
    livetime_h = float(sum(item["livetime"].to_value("h") for item in info))
    if math.isfinite(livetime_h):  # data of satellites have none, and JSON has no NaN
        summary["livetime_h"] = round(livetime_h, 4)
    if info and "counts_off" in info[0]:
        summary["counts_off"] = float(sum(item["counts_off"] for item in info))
    return summary
