"""Components in gammapy's YAML format as models: files found, mistakes named."""

from __future__ import annotations

import difflib
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from itertools import product
from pathlib import Path
from typing import Any

from gpwf.core.model_parts import parts_of, restore_parameters
from gpwf.errors import StepError
from gpwf.steps.model_files import component_name, components_of
from gpwf.steps.model_sources import EBL_FILES
from gpwf.steps.templates import settle_templates
from gpwf.steps.texts import InputPath

__all__ = ["build_models", "component_problems", "file_path", "missing_ebl", "references_in"]

_PARTS = ("spectral", "spatial", "temporal")
_EBL = "$GAMMAPY_DATA/ebl"
_Path = tuple[str | int, ...]

# what gammapy raises for a component that it cannot make
_MODEL_ERRORS = (
    KeyError,
    ValueError,
    TypeError,
    NameError,
    AttributeError,
    OSError,
    IndexError,
    NotImplementedError,
)


def component_problems(data: Any) -> list[tuple[_Path, str]]:
    """Return (way to the place, problem) pairs; the way starts at the components."""
    components = components_of(data)
    if not isinstance(components, (list, tuple)) or not components:
        return [((), "expected a list of 'components', each with 'name' and 'type'")]
    problems: list[tuple[_Path, str]] = []
    names: set[str] = set()
    for number, item in enumerate(components):
        what = f"component {number + 1}"
        if not isinstance(item, Mapping):
            problems.append(((number,), f"{what} is not a mapping with 'name' and 'type'"))
            continue
        problems += [
            ((number,), f"{what} has no '{key}'")
            for key, text in (("name", component_name(item)), ("type", item.get("type")))
            if not isinstance(text, str) or not text.strip()
        ]
        name = component_name(item)
        if isinstance(name, str) and name in names:
            problems.append(((number, "name"), f"two components are called '{name}'"))
        names.add(str(name))
    return problems


def references_in(data: Any, at: _Path = ()) -> Iterator[tuple[_Path, str, str]]:
    """Yield (way to the mapping, key, file name) of every file that models refer to."""
    if isinstance(data, Mapping):
        for key, item in data.items():
            is_file = key == "filename" or (key == "covariance" and not at)
            if is_file and isinstance(item, str):
                yield at, str(key), item
            else:
                yield from references_in(item, (*at, str(key)))
    elif isinstance(data, (list, tuple)):
        for number, item in enumerate(data):
            yield from references_in(item, (*at, number))


def file_path(text: str, folder: Path) -> InputPath:
    """Return the path of a file that models refer to.

    Parameters
    ----------
    text : str
        As written: variables expand, a relative path counts from ``folder``. A file of absorption
        that is not there is looked for in ``$GAMMAPY_DATA/ebl``, as gammapy does it: files that it
        writes have the full path of where they were written.
    folder : Path
        Of the file that refers to it.
    """
    path = InputPath.settle(text, folder)
    name = Path(path).name
    if name in EBL_FILES.values() and not path.path.is_file():
        shared = InputPath.settle(f"{_EBL}/{name}", folder)
        return shared if shared.path.is_file() else path
    return path


def missing_ebl(text: str, folder: Path) -> str | None:
    """Return which models of absorption there are, for a file of one that is not there.

    None where the text names no file of absorption, or nothing is known of the others.
    """
    if Path(text).name not in EBL_FILES.values():
        return None
    place = InputPath.settle(_EBL, folder).path
    there = [name for name, file in EBL_FILES.items() if (place / file).is_file()]
    found = f"there are {', '.join(there)}" if there else "there is none"
    return f"{found} in {_EBL}; `gammapy download datasets` brings more"


@contextmanager
def _without_defaults() -> Iterator[None]:
    """Keep gammapy from telling every parameter that is left out."""
    logger = logging.getLogger("gammapy.modeling.models.core")

    def matters(record: logging.LogRecord) -> bool:
        return "not defined in YAML file" not in str(record.msg)

    logger.addFilter(matters)
    try:
        yield
    finally:
        logger.removeFilter(matters)


def build_models(data: Any, folder: Path, step: str, *, quiet: bool = False) -> Any:
    """Return models from components.

    Parameters
    ----------
    data : mapping or list
        Components in gammapy's YAML format, checked by `component_problems`.
    folder : Path
        Where relative paths count from.
    step : str
        For the messages.
    quiet : bool
        Say nothing of parameters that are left out.

    Returns
    -------
    models : `gammapy.modeling.models.Models`

    Raises
    ------
    StepError
        Where gammapy cannot make one, with its name; for parameters that gammapy would ignore, and
        redshifts outside the table of absorption.
    """
    import numpy as np
    from gammapy.modeling.models import Models
    from gammapy.modeling.models.core import _set_models_link

    resolved = _resolved(data, folder, step)
    with np.errstate(all="ignore"):  # gammapy evaluates light curves far from where they mean much
        with _without_defaults():
            for component in resolved["components"]:
                _try_component(component, step)
        with _without_defaults() if quiet else nullcontext():
            try:
                models = Models.from_dict(deepcopy(resolved))
                for model, component in zip(models, resolved["components"], strict=True):
                    restore_parameters(model, component)
                _set_models_link(models)
                if "covariance" in resolved:
                    # once more: links clear what lies off the diagonal
                    path = Path(resolved["covariance"])
                    models.read_covariance(path.parent, path.name, format="ascii.fixed_width")
            except _MODEL_ERRORS as error:
                raise StepError(f"{step}: gammapy cannot build the models: {error}") from error
    _check_redshifts(models, step)
    for model, component in zip(models, resolved["components"], strict=True):
        _check_frame(model, component.get("spatial"), step)
    return settle_templates(models)


def _resolved(data: Any, folder: Path, step: str) -> dict[str, Any]:
    """Return a copy for gammapy, with components under their key and full paths.

    A part without parameters gets an empty list, for which gammapy takes the defaults of its type.
    """
    copy: Any = deepcopy(data)
    result: dict[str, Any] = dict(copy) if isinstance(copy, dict) else {"components": list(copy)}
    result.pop("metadata", None)
    result.pop("checksum", None)
    for component, part in product(result["components"], _PARTS):
        if isinstance(component.get(part), dict):
            _complete(component[part], step)
    for at, key, text in list(references_in(result)):
        place: Any = result
        for item in at:
            place = place[item]
        place[key] = str(file_path(text, folder))
        if place.get("type") in ("TemplateSpectralModel", "template") and at[-1] != "spatial":
            _read_template(place, at, step)
    return result


def _complete(part: dict[str, Any], step: str) -> None:
    """Add lists of parameters, also to the models that one is made of."""
    part.setdefault("parameters", [])
    if part.get("type") in ("EBLAbsorptionNormSpectralModel", "ebl-norm"):
        # gammapy's reader has no defaults for these two
        given = [item.get("name") for item in part["parameters"] if isinstance(item, dict)]
        for name, value in (("redshift", 0.1), ("alpha_norm", 1.0)):
            if name not in given:
                part["parameters"].append({"name": name, "value": value})
        if "redshift" not in given:  # a guess that nobody should make without a word
            text = f"{step}: absorption has no 'redshift'; 0.1 is taken, as gammapy has it"
            warnings.warn(text, stacklevel=2)
    for name in ("model1", "model2"):
        if isinstance(part.get(name), dict):
            _complete(part[name], step)


def _read_template(part: dict[str, Any], at: _Path, step: str) -> None:
    """Put a text file of energies and fluxes into a spectral template.

    Raises
    ------
    StepError
        Where it is no such file.

    References
    ----------
    Fermi Science Support Center, "LAT Background Models": energy in MeV, flux in
    MeV-1 s-1 cm-2 sr-1, and its error.
    """
    import numpy as np

    if "temporal" in at or "energy" in part:
        return
    path = Path(part["filename"])
    try:
        rows = np.loadtxt(path, ndmin=2)
    except (OSError, ValueError) as error:
        raise StepError(f"{step}: {path.name} is no spectral template: {error}") from error
    good = rows.shape[1] >= 2 and len(rows) > 1 and np.all(np.diff(rows[:, 0]) > 0)
    if not good or np.any(rows[:, :2] <= 0) or not np.all(np.isfinite(rows[:, :2])):
        raise StepError(
            f"{step}: {path.name} is no spectral template",
            hint="expected two or more rows: rising energy in MeV, flux in MeV-1 s-1 cm-2",
        )
    del part["filename"]
    part["energy"] = {"data": rows[:, 0].tolist(), "unit": "MeV"}
    part["values"] = {"data": rows[:, 1].tolist(), "unit": "MeV-1 s-1 cm-2"}


def _try_component(component: Mapping[str, Any], step: str) -> None:
    """Build one component on its own, so that the message can name it.

    Raises
    ------
    StepError
        Where gammapy does not know its type, or a parameter of it.
    """
    from gammapy.modeling.models import MODEL_REGISTRY

    name = component_name(component)
    try:
        model = MODEL_REGISTRY.get_cls(component["type"]).from_dict(deepcopy(dict(component)))
    except _MODEL_ERRORS as error:
        raise StepError(
            f"{step}: gammapy cannot build the model '{name}': {error}",
            hint="'type' is the name or the tag of a gammapy model, as in its model gallery",
        ) from error
    for part in _PARTS:
        built = getattr(model, f"{part}_model", None)
        if built is not None and isinstance(component.get(part), Mapping):
            _check_parameters(component[part], built, f"{step}: model '{name}', {part} part")
    _check_parameters(component, model, f"{step}: model '{name}'")


def _check_parameters(data: Mapping[str, Any], built: Any, what: str) -> None:
    """Refuse parameters that gammapy would ignore."""
    for key in ("model1", "model2"):
        if isinstance(data.get(key), Mapping) and hasattr(built, key):
            _check_parameters(data[key], getattr(built, key), f"{what}, {key}")
    known = [str(item) for item in built.parameters.names]
    for entry in data.get("parameters") or ():
        name = entry.get("name") if isinstance(entry, Mapping) else None
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            raise StepError(
                f"{what} has no parameter '{name}'; it has {', '.join(known)}",
                hint=f"did you mean '{near[0]}'?" if near else None,
            )


def _check_frame(model: Any, data: Any, step: str) -> None:
    """Refuse a position of a map that is in another frame than the map.

    gammapy takes its numbers as coordinates of the map, whatever ``frame`` says.

    Raises
    ------
    StepError
        With the position in the frame of the map.
    """
    from astropy.coordinates import SkyCoord

    spatial: Any = getattr(model, "spatial_model", None)
    if not hasattr(spatial, "map") or not isinstance(data, Mapping):
        return
    given, frame = data.get("frame"), spatial.map.geom.frame
    moved = {item.get("name") for item in data.get("parameters") or ()} & {"lon_0", "lat_0"}
    if not moved or given is None or given == frame:
        return
    lon, lat = (spatial.parameters[name].quantity for name in ("lon_0", "lat_0"))
    place = SkyCoord(lon, lat, frame=str(given)).transform_to(frame)
    raise StepError(
        f"{step}: model '{model.name}': its position is {given}, and its map is {frame}: gammapy "
        "would take one for the other",
        hint=f"write the position as frame: {frame}, lon: {place.data.lon.deg:.6g} deg, "
        f"lat: {place.data.lat.deg:.6g} deg; left out, it is that of the map",
    )


def _check_redshifts(models: Any, step: str) -> None:
    """Refuse redshifts at which a table of absorption says nothing: gammapy extrapolates."""
    for model in models:
        for part in parts_of(model):
            if type(part).__name__ != "EBLAbsorptionNormSpectralModel":
                continue
            low, high = float(part.param.min()), float(part.param.max())
            value = float(part.redshift.value)
            if not low <= value <= high:
                file = os.path.basename(str(part.filename or "")) or "the table"  # noqa: PTH119
                raise StepError(
                    f"{step}: model '{model.name}': the redshift {value:g} is outside {file}, "
                    f"which has {low:g} to {high:g}",
                    hint="take another model of the background light, or leave absorption out",
                )
