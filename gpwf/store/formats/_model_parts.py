"""Parts of models that gammapy's YAML does not keep as they are: templates, maps, absorption."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from gpwf.core.model_parts import pairs_of, parts_of, restore_parameters
from gpwf.errors import StoreError
from gpwf.store.formats._fits import unique_names

__all__ = ["exact_dict", "part_hdulist", "refuse_unreadable", "restore_parts", "with_files"]

_OURS = "gpwf"  # entry of a part for what gammapy has no entry for
_CURT = ("ConstantSpatialModel", "TemplatePhaseCurveTemporalModel")  # whose dictionaries are short
_UNREADABLE = {
    "NaimaSpectralModel": "gammapy cannot read it from a file",
    "ScaleSpectralModel": "gammapy does not write the model that it scales",
}


def refuse_unreadable(models: Any) -> None:
    """Check that gammapy can read models back.

    Raises
    ------
    StoreError
        With the model, and why not.
    """
    if getattr(models, "_penalties", None):
        raise StoreError(
            "penalties of models cannot be stored: gammapy does not write them",
            hint="use priors of parameters instead",
        )
    for model in models:
        for part in parts_of(model):
            name = type(part).__name__
            if name in _UNREADABLE:
                raise StoreError(
                    f"model '{model.name}' has a {name}, which cannot be stored: "
                    f"{_UNREADABLE[name]}",
                    hint="evaluate it into a TemplateSpectralModel",
                )


@contextmanager
def with_files(models: Any, stem: str) -> Iterator[list[tuple[Any, str]]]:
    """Give parts that are kept in files the names of these, for as long as it lasts.

    Yields
    ------
    files : list of (model, str)
        The parts and the names of their files.
    """
    named = [part for model in models for part in parts_of(model) if hasattr(part, "filename")]
    before = [part.filename for part in named]
    kept = [
        part
        for part in named
        if hasattr(part, "map") or hasattr(part, "table") or _has_tabled_absorption(part)
    ]
    tags = [part.tag if isinstance(part.tag, str) else part.tag[-1] for part in kept]
    names = [f"{name}.fits" for name in unique_names([f"{stem}template-{tag}" for tag in tags])]
    try:
        for part in named:
            part.filename = None
        for part, name in zip(kept, names, strict=True):
            part.filename = name
        yield list(zip(kept, names, strict=True))
    finally:
        for part, name in zip(named, before, strict=True):
            part.filename = name


def _has_tabled_absorption(part: Any) -> bool:
    """Tell whether a part is absorption that gammapy reads from a file without loss.

    Otherwise its values go with the parameters: half a million of them take seconds there.
    """
    import numpy as np

    if type(part).__name__ != "EBLAbsorptionNormSpectralModel":
        return False
    plain = part.energy.unit == "keV" and np.all(np.diff(np.asarray(part.param)) > 0)
    # gammapy takes the root of a product of two edges, which are one here
    return bool(plain and np.array_equal(np.sqrt(part.energy * part.energy), part.energy))


def _absorption(part: Any) -> Any:
    """Return absorption as XSPEC has models of tables.

    References
    ----------
    Arnaud, "The File Format for XSPEC Table Models", OGIP Memo 92-009.
    """
    from astropy.io import fits
    from astropy.table import Table

    energy = part.energy.value
    tables = {
        "PARAMETERS": Table({"VALUE": [part.param]}),
        "ENERGIES": Table({"ENERG_LO": energy, "ENERG_HI": energy}),
        "SPECTRA": Table({"PARAMVAL": part.param, "INTPSPEC": part.data.value}),
    }
    hdulist = fits.HDUList([fits.PrimaryHDU()])
    for name, table in tables.items():
        hdu = fits.table_to_hdu(table)
        hdu.name = name
        hdulist.append(hdu)
    return hdulist


def part_hdulist(part: Any) -> Any:
    """Return what a part keeps in a file, as gammapy reads it."""
    from astropy.io import fits

    if type(part).__name__ == "EBLAbsorptionNormSpectralModel":
        return _absorption(part)
    if hasattr(part, "table"):
        return fits.HDUList([fits.PrimaryHDU(), fits.table_to_hdu(part.table)])
    if type(part).__name__ != "LightCurveTemplateTemporalModel":
        return part.map.to_hdulist()
    if not part.is_energy_dependent:
        return fits.HDUList([fits.PrimaryHDU(), fits.table_to_hdu(_curve(part))])
    from gammapy.utils.time import time_ref_to_dict

    hdulist = part.map.to_hdulist()
    hdulist["SKYMAP_BANDS"].header.update(time_ref_to_dict(part.reference_time, scale=part.scale))
    return hdulist


def _curve(part: Any) -> Any:
    """Return the table of a light curve: one number per row, which gammapy's own has not."""
    table = part.to_table()
    table["NORM"] = part.map.quantity.ravel()
    return table


def exact_dict(model: Any, data: dict[str, Any]) -> dict[str, Any]:
    """Return a model's dictionary with what gammapy leaves out, changed in place."""
    for part, entry in pairs_of(model, data):
        if "normalize" in entry:
            # the map and the curve are normalised by now; gammapy would do it again
            entry["normalize"] = False
        ours = _extras(part)
        if ours:
            entry[_OURS] = ours
        if type(part).__name__ in _CURT:
            # gammapy leaves out what is as usual, or all, also where everything is asked for
            entry["parameters"] = [parameter.to_dict() for parameter in part.parameters]
    return data


def _extras(part: Any) -> dict[str, Any]:
    """Return what gammapy's dictionary of a part does not have."""
    import numpy as np

    name = type(part).__name__
    found: dict[str, Any] = {}
    if name == "LightCurveTemplateTemporalModel":
        found = {"method": part.method, "values_scale": part.values_scale, "scale": part.scale}
    elif name == "PiecewiseNormSpatialModel":
        found = {"interp": part._interp}
    elif name in ("TemplateSpatialModel", "TemplateNDSpatialModel", "TemplateNDSpectralModel"):
        found = {"interp_kwargs": dict(part._interp_kwargs)}
    elif name == "TemplateSpectralModel":
        found = _interpolation(part._evaluate)
        found |= {"types": [np.dtype(item.dtype).name for item in (part.energy, part.values)]}
    elif name == "EBLAbsorptionNormSpectralModel":
        found = _interpolation(part._evaluate_table_model)
        arrays = (part.energy, part.param, part.data)
        found |= {"types": [np.asarray(item).dtype.newbyteorder("=").name for item in arrays]}
    return found


def _interpolation(interpolator: Any) -> dict[str, Any]:
    """Return the options of gammapy's interpolator."""
    scales = {
        "LogScale": "log",
        "LinearScale": "lin",
        "SqrtScale": "sqrt",
        "StatScale": "stat_profile",
    }
    inner = interpolator._interpolate
    options = {"method": inner.method, "bounds_error": inner.bounds_error}
    options |= {"values_scale": scales[type(interpolator.scale).__name__]}
    options |= {"extrapolate": inner.fill_value is None}
    if inner.fill_value is not None:
        options["fill_value"] = float(inner.fill_value)
    return {"interp_kwargs": options}


def restore_parts(model: Any, data: Mapping[str, Any]) -> None:
    """Give the parts of a model what gammapy's reader leaves out, in place.

    Parameters
    ----------
    model : object
        As gammapy read it.
    data : mapping
        Its dictionary, as `exact_dict` made it.
    """
    for part, entry in pairs_of(model, data):
        ours = entry.get(_OURS, {})
        name = type(part).__name__
        if name == "TemplateSpectralModel" and ours:
            energy, values = _typed((part.energy, part.values), ours["types"])
            part.__init__(energy, values, interp_kwargs=dict(ours["interp_kwargs"]), meta=part.meta)
        elif name == "EBLAbsorptionNormSpectralModel" and ours:
            arrays = _typed((part.energy, part.param, part.data), ours["types"])
            part.__init__(
                *arrays,
                redshift=part.redshift.value,
                alpha_norm=part.alpha_norm.value,
                interp_kwargs=dict(ours["interp_kwargs"]),
            )
        elif "interp_kwargs" in ours:
            part._interp_kwargs = dict(ours["interp_kwargs"])
        else:
            for key, value in ours.items():
                setattr(part, "_interp" if key == "interp" else key, value)
    restore_parameters(model, data)


def _typed(arrays: Any, types: Any) -> list[Any]:
    """Return arrays with the number types that they had."""
    return [array.astype(kind) for array, kind in zip(arrays, types, strict=True)]
