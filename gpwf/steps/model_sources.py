"""Sources as analysts write them, a line per part, and the same as gammapy's components."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gpwf.core import units
from gpwf.core.catalog import SettingProblem
from gpwf.steps.model_types import parameter_units, type_names
from gpwf.steps.quantities import astropy_unit
from gpwf.steps.settings import Field, InputPath, Radius, Section, SkyPosition
from gpwf.steps.texts import kind_of

__all__ = ["EBL_FILES", "Component", "SourceModel", "absorbed", "component_of"]

EBL_FILES = {
    "dominguez": "ebl_dominguez11.fits.gz",
    "franceschini": "ebl_franceschini.fits.gz",
    "finke": "frd_abs.fits.gz",
    "franceschini17": "ebl_franceschini_2017.fits.gz",
    "saldana-lopez21": "ebl_saldana-lopez_2021.fits.gz",
}
"""Files of absorption models in ``$GAMMAPY_DATA/ebl``, by gammapy's names of the models."""

_WORDS = {
    "spectral": {
        "power-law": "pl",
        "power-law-2": "pl-2",
        "exp-cutoff": "ecpl",
        "exp-cutoff-power-law": "ecpl",
        "log-parabola": "lp",
        "broken-power-law": "bpl",
        "smooth-broken-power-law": "sbpl",
    },
    "spatial": {"gaussian": "gauss", "generalized-gaussian": "gauss-general"},
    "temporal": {"gaussian": "gauss", "light-curve": "template", "phase-curve": "template-phase"},
}
# settings of parts that are no parameters
_PLAIN = ("type", "filename", "frame", "normalize", "scale", "format", "energy", "values", "interp")
_ENTRY = ("value", "min", "max", "error", "frozen")
_LOG_PARABOLAS = ("LogParabolaSpectralModel", "lp", "LogParabola2SpectralModel", "lp2")
_FIRST_STEP_DEG = 0.01
_IRFS = ("exposure", "psf", "edisp")
_Path = tuple[str | int, ...]


class EblAbsorption(Section):
    """Absorption by the extragalactic background light."""

    redshift: float = Field(gt=0, le=30, description="Redshift of the source")
    model: Literal["dominguez", "franceschini", "finke", "franceschini17", "saldana-lopez21"] = (
        Field("dominguez", description="Model of the background light")
    )
    norm: float = Field(1.0, ge=0, description="Factor of the optical depth")
    free: bool = Field(False, description="Fit the factor of the optical depth")


class SourceModel(Section):
    """A source, by what is known of it.

    Parameters stand in their part by name, with their unit; with bounds as
    ``{value: 2.3, min: 1, max: 5}``, and with ``frozen`` and ``error`` where these differ from
    gammapy's.
    """

    name: str | None = Field(
        None, min_length=1, description="Name of the model; left out: that under which it stands"
    )
    position: SkyPosition | None = Field(None, description="Position; left out: none")
    free_position: bool = Field(False, description="Fit the position; it is frozen otherwise")
    position_margin: Radius = Field(
        Radius("0.5 deg"), description="How far a free position may move from its start"
    )
    spectral: dict[str, Any] = Field(
        description="Spectrum: `{type: power-law, index: 2.3, amplitude: 3e-11 cm-2 s-1 TeV-1}`",
        examples=[{"type": "power-law", "index": 2.3, "amplitude": "3e-11 cm-2 s-1 TeV-1"}],
    )
    spatial: dict[str, Any] | None = Field(
        None, description="Shape: `{type: gauss, sigma: 0.1 deg}`; left out: a point"
    )
    temporal: dict[str, Any] | None = Field(
        None, description="Light curve: `{type: exp-decay, t0: 2 h, t_ref: 59000 d}`"
    )
    ebl: EblAbsorption | None = Field(None, description="Absorption on the way")
    spatial_template: InputPath | None = Field(
        None, description="FITS map, for the shape `{type: template}`"
    )
    spectral_template: InputPath | None = Field(
        None,
        description="Text file of energy (MeV) and flux (MeV-1 s-1 cm-2), as of Fermi-LAT's "
        "isotropic emission, for the spectrum `{type: template}`",
    )
    apply_irf: dict[str, bool] | None = Field(
        None, description="Responses to apply: `{psf: false, edisp: false}`; left out: all"
    )
    datasets_names: tuple[str, ...] | None = Field(
        None, min_length=1, description="Datasets on which the source acts; left out: all"
    )


@dataclass(slots=True, kw_only=True)
class Component:
    """A source as gammapy's component.

    Parameters
    ----------
    data : dict
        In gammapy's YAML format.
    problems : list of SettingProblem
        Their paths start at the source.
    places : dict
        Way to a parameter in ``data`` → way to it in the source.
    """

    data: dict[str, Any]
    problems: list[SettingProblem] = field(default_factory=list)
    places: dict[_Path, _Path] = field(default_factory=dict)

    def tell(self, code: str, message: str, *path: str | int, hint: str | None = None) -> None:
        """Add a problem."""
        name = self.data["name"]
        message = f"source '{name}': {message}"
        self.problems.append(SettingProblem(path=path, message=message, code=code, hint=hint))

    def place(self, path: _Path) -> _Path:
        """Return the way to a value in the source, from that in the component."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.places:
                rest = tuple(key for key in path[length:] if key not in ("value", "unit", "name"))
                return (*self.places[path[:length]], *rest)
        return path


def component_of(key: str, source: SourceModel) -> Component:
    """Return a source as gammapy's component, without absorption, and what is wrong with it."""
    found = Component(data={"name": source.name or key, "type": "SkyModel"})
    if source.datasets_names is not None:
        found.data["datasets_names"] = list(source.datasets_names)
    if source.apply_irf is not None:
        for key in source.apply_irf:
            if key not in _IRFS:
                tip = f"they are {', '.join(_IRFS)}"
                found.tell("GP301", f"no response is called {key!r}", "apply_irf", key, hint=tip)
        found.data["apply_irf"] = dict.fromkeys(_IRFS, True) | dict(source.apply_irf)
    _add_part(found, "spectral", source.spectral, source.spectral_template)
    if source.spatial is not None or source.position is not None or source.spatial_template:
        default = {"type": "template" if source.spatial_template else "point"}
        _add_part(found, "spatial", source.spatial or default, source.spatial_template)
        _add_position(found, source)
    elif source.free_position:
        found.tell("GP306", "a position that is not given cannot be free", "free_position")
    if source.spatial_template and found.data["spatial"].get("type") != "template":
        found.tell("GP306", "a map is for the shape 'template'", "spatial_template")
    if source.spectral_template and source.spectral.get("type") != "template":
        found.tell("GP306", "a file is for the spectrum 'template'", "spectral_template")
    if source.temporal is not None:
        _add_part(found, "temporal", source.temporal, None)
    return found


def absorbed(spectral: Mapping[str, Any], ebl: EblAbsorption) -> dict[str, Any]:
    """Return the spectral part of a component with absorption."""
    parameters = [
        {"name": "redshift", "value": ebl.redshift, "frozen": True},
        {"name": "alpha_norm", "value": ebl.norm, "frozen": not ebl.free},
    ]
    if ebl.free:
        parameters[1] |= {"min": 0.0, "error": 0.1}
    return {
        "type": "compound",
        "model1": dict(spectral),
        "model2": {
            "type": "ebl-norm",
            "parameters": parameters,
            "filename": f"$GAMMAPY_DATA/ebl/{EBL_FILES[ebl.model]}",
        },
        "operator": "mul",
    }


def _add_part(
    found: Component, part: str, data: Mapping[str, Any], template: InputPath | None
) -> None:
    """Add a part of a source to its component."""
    kind = data.get("type")
    tag = _WORDS[part].get(kind, kind) if isinstance(kind, str) else kind
    if isinstance(kind, str) and tag not in type_names(part):
        near = difflib.get_close_matches(kind, [*_WORDS[part], *type_names(part)], n=1)
        tags = [name for name in type_names(part) if name.islower()]
        hint = f"did you mean {near[0]!r}?" if near else f"types: {', '.join(tags)}"
        found.tell("GP304", f"{part}: unknown type {kind!r}", part, "type", hint=hint)
    from_file = part == "spectral" and template is not None
    known = parameter_units(part, "pl-norm" if from_file else tag)
    result: dict[str, Any] = {"type": tag, "parameters": []}
    found.data[part] = result
    found.places[part,] = (part,)
    if template is not None:
        result["filename"] = str(template)
    for key, value in data.items():
        if key in _PLAIN:
            if key != "type":
                result[key] = value
            continue
        is_decadic = key == "beta_log10" and tag in _LOG_PARABOLAS
        name = "beta" if is_decadic else key
        if is_decadic and "beta" in data:
            found.tell("GP306", "give either 'beta' or 'beta_log10'", part, key)
        if from_file and known is not None and name not in known:
            hint = f"the factor of a template has {', '.join(known)}"
            found.tell("GP304", f"the spectrum has no parameter {name!r}", part, key, hint=hint)
        entry = _entry(found, name, value, known, (part, key))
        if is_decadic:
            # log10(E) = ln(E) / ln(10), so that beta is smaller by that factor
            for number in ("value", "min", "max", "error"):
                if number in entry:
                    entry[number] /= math.log(10)
        found.places[part, "parameters", len(result["parameters"])] = (part, key)
        result["parameters"].append(entry)
    if from_file and tag == "template":
        # as gammapy has it for the isotropic emission of Fermi-LAT: a template and a factor
        factor = {"type": "pl-norm", "parameters": result.pop("parameters")}
        model1 = {**result, "parameters": []}
        found.data[part] = {"type": "compound", "model1": model1, "model2": factor}
        found.data[part]["operator"] = "mul"


def _entry(
    found: Component,
    name: str,
    value: Any,
    known: Mapping[str, str] | None,
    at: _Path,
) -> dict[str, Any]:
    """Return a parameter as gammapy has it."""
    entry: dict[str, Any] = {"name": name}
    given = dict(value) if isinstance(value, Mapping) else {"value": value}
    default = (known or {}).get(name, "")
    unit = default
    for key in given:
        if key not in _ENTRY:
            near = difflib.get_close_matches(str(key), _ENTRY, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"keys: {', '.join(_ENTRY)}"
            found.tell("GP301", f"{name}: unknown key {str(key)!r}", *at, str(key), hint=hint)
    # the value first: it tells the unit of the others
    for key in (item for item in _ENTRY if item in given):
        if key == "frozen":
            if not isinstance(given[key], bool):
                found.tell("GP302", f"{name}: 'frozen' is true or false", *at, key)
            entry[key] = given[key] is True
            continue
        where = (*at, key) if isinstance(value, Mapping) else at
        number = _number(found, f"{name}", given[key], unit, key == "value", where)
        if number is None:
            continue
        entry[key], used = number
        if key == "value":
            unit = used
            if used:
                entry["unit"] = used
    return entry


def _number(
    found: Component, name: str, value: Any, unit: str, is_value: bool, at: _Path
) -> tuple[float, str] | None:
    """Return a number and its unit: that of the text for a value, that of the value otherwise."""
    if isinstance(value, str):
        try:
            number, own = units.parse_quantity(value, astropy_unit)
            if is_value:
                return number, own
            return units.convert(number, own, unit, astropy_unit), unit
        except units.UnitError as error:
            found.tell("GP303", f"{name}: {error}", *at)
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        found.tell("GP302", f"{name}: expected a number, not {kind_of(value)}", *at)
        return None
    if unit:
        found.tell(
            "GP303",
            f"{name}: {value!r} has no unit",
            *at,
            hint=f"write '{value!r} {unit}' if so meant",
        )
        return None
    return float(value), ""


def _add_position(found: Component, source: SourceModel) -> None:
    """Add the position to the spatial part of a component."""
    spatial = found.data["spatial"]
    known = parameter_units("spatial", spatial["type"])
    has_place = known is None or "lon_0" in known or spatial["type"] == "template"
    position = source.position
    if position is None:
        if has_place and known is not None and "lon_0" in known:
            found.tell("GP306", "a shape needs a 'position'", "spatial")
        if source.free_position:
            found.tell("GP306", "a position that is not given cannot be free", "free_position")
        return
    if not has_place:
        found.tell("GP306", f"the shape '{spatial['type']}' has no position", "position")
        return
    spatial["frame"] = position.frame
    longitude: dict[str, Any] = {"name": "lon_0", "value": position.lon.value, "unit": "deg"}
    latitude: dict[str, Any] = {"name": "lat_0", "value": position.lat.value, "unit": "deg"}
    if source.free_position:
        # a step in longitude is shorter on the sky by the cosine of the latitude
        stretch = 1 / max(math.cos(math.radians(position.lat.value)), 1e-3)
        margin = source.position_margin.value
        longitude |= _range(position.lon.value, margin * stretch, stretch)
        latitude |= _range(position.lat.value, margin, 1.0)
        # there is nothing beyond the poles, and astropy refuses such a latitude
        latitude["min"], latitude["max"] = max(latitude["min"], -90.0), min(latitude["max"], 90.0)
    else:
        longitude["frozen"] = latitude["frozen"] = True
    start = len(spatial["parameters"])
    found.places["spatial", "parameters", start] = ("position", "lon")
    found.places["spatial", "parameters", start + 1] = ("position", "lat")
    spatial["parameters"] += [longitude, latitude]


def _range(start: float, margin: float, stretch: float) -> dict[str, Any]:
    """Return bounds around a start, and a first step; numbers in deg."""
    return {
        "min": start - margin,
        "max": start + margin,
        "error": _FIRST_STEP_DEG * stretch,
        "frozen": False,
    }
