"""A catalogue of made-up step types: the language is tested without the real steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gpwf.core.catalog import ExternalFile, SettingProblem, Settled
from gpwf.core.contents import Contents, Need
from gpwf.core.spec import Port
from gpwf.core.units import UnitError, canonical, format_quantity, parse_quantity, physical_type

_EXPRESSION = r"^\$\{.+\}$"


def _quantity(example: str) -> dict[str, Any]:
    return {
        "type": "string",
        "pattern": r"^([+-]?[0-9.]+([eE][-+]?[0-9]+)? *[A-Za-z].*|\$\{.+\})$",
        "patternErrorMessage": f"Expected a quantity with a unit, such as {example}",
        "format": "gpwf-quantity",
        "examples": [example],
    }


def _integer(minimum: int = 1) -> dict[str, Any]:
    return {"type": ["integer", "string"], "pattern": _EXPRESSION, "minimum": minimum}


# name -> (type, default, choices); a default of ... must be given; a mapping is a section
_Fields = dict[str, Any]
_AXIS: _Fields = {"min": ("energy", None), "max": ("energy", None), "nbins": ("int", 5)}
_STEPS: dict[str, dict[str, Any]] = {
    "observations": {
        "fields": {
            "datastore": ("path", ...),
            "obs_ids": ("list", []),
            "required_irf": ("list", ["aeff"]),
        },
        "inputs": [],
        "outputs": [("observations", "observations")],
    },
    "datasets": {
        "fields": {
            "type": ("choice", "1d", ["1d", "3d"]),
            "stack": ("bool", True),
            "energy": _AXIS,
            "on_region": {"center": ("any", None), "radius": ("angle", "0.1 deg")},
        },
        "inputs": [("observations", "observations", {})],
        "outputs": [("datasets", "datasets")],
    },
    "models": {
        "fields": {"file": ("path", ...), "names": ("list", [])},
        "inputs": [],
        "outputs": [("models", "models")],
    },
    "stack": {
        "fields": {},
        "inputs": [("datasets", "datasets", {"multiple": True})],
        "outputs": [("datasets", "datasets")],
        "replaces": {"datasets": "datasets"},
    },
    "fit": {
        "fields": {
            "fit_range": _AXIS,
            "label": ("str", ""),
            "tolerance": ("float", 0.1),
        },
        "inputs": [("datasets", "datasets", {}), ("models", "models", {})],
        "outputs": [("models", "models"), ("fit", "fit-result")],
        "replaces": {"models": "models"},
    },
    "flux-points": {
        "fields": {"source": ("str", ...), "energy": _AXIS, "extra": ("any", None)},
        "inputs": [("datasets", "datasets", {}), ("models", "models", {})],
        "outputs": [("flux_points", "flux-points")],
    },
    "plot": {
        "fields": {"title": ("str", ""), "size": ("list", [8, 6])},
        "inputs": [
            ("flux_points", "flux-points", {"optional": True}),
            ("models", "models", {"optional": True}),
        ],
        "outputs": [("figure", "figure")],
    },
    # the steps of a scatter: random numbers, a port for several of any kind, ports of any names
    "simulate": {
        "fields": {"seed": ("whole", 0), "inject": ("any", None), "label": ("str", "")},
        "inputs": [("datasets", "datasets", {}), ("models", "models", {})],
        "outputs": [("counts", "counts")],
    },
    "collect": {
        "fields": {"columns": ("list", []), "title": ("str", "")},
        "inputs": [("items", "any", {"multiple": True})],
        "outputs": [("table", "table")],
    },
    "command": {
        "fields": {"argv": ("list", []), "outputs": ("any", {})},
        "inputs": [("*", "any", {"multiple": True, "optional": True})],
        "outputs": [],
        "deferred": ("inputs", "outputs"),
    },
    "python": {
        "fields": {
            "callable": ("callable", ...),
            "inputs": ("any", {}),
            "outputs": ("any", {}),
            "arguments": ("any", {}),
        },
        "inputs": [("*", "any", {"multiple": True, "optional": True})],
        "outputs": [],
    },
}

# made-up functions of the step `python`: names of parameters, those with a default with one
_FUNCTIONS: dict[str, dict[str, Any]] = {
    "made_up.spectra:excess": {"datasets": ..., "models": None, "threshold": 5.0},
    "made_up.spectra:rows": {"tables": ...},
}
KINDS = ("observations", "datasets", "models", "fit-result", "flux-points", "table", "figure")


class FakeCatalog:
    """Implements `gpwf.core.catalog.StepCatalog`."""

    def tags(self) -> Sequence[str]:
        return sorted(_STEPS)

    def title(self, tag: str) -> str:
        return f"Title of {tag}"

    def help(self, tag: str) -> str:
        return f"Help of **{tag}**."

    def schema(self, tag: str) -> Mapping[str, Any]:
        return _schema(tag, _STEPS[tag]["fields"])

    def settle(self, tag: str, config: Mapping[str, Any], *, base: Path) -> Settled:
        problems: list[SettingProblem] = []
        types: dict[str, str] = {}
        settings = _settle(_STEPS[tag]["fields"], config, (), base, problems, types)
        energy = settings.get("energy", {})
        if tag == "datasets" and not problems and energy["min"] and energy["min"] == energy["max"]:
            message = "energy: min must be less than max"
            problems.append(SettingProblem(path=("energy",), message=message, code="GP306"))
        if tag == "python" and not problems:
            problems += _function_problems(settings)
        return Settled(settings=settings, types=types, problems=problems)

    def inputs(self, tag: str, settings: Mapping[str, Any]) -> Sequence[Port]:
        if tag == "python" and settings:
            takes = _FUNCTIONS[settings["callable"]]
            return [
                Port(
                    name=name,
                    kind=kind[0] if isinstance(kind, list) else kind,
                    multiple=isinstance(kind, list),
                    optional=takes[name] is not ...,
                )
                for name, kind in settings["inputs"].items()
            ]
        return [Port(name=name, kind=kind, **more) for name, kind, more in _STEPS[tag]["inputs"]]

    def outputs(self, tag: str, settings: Mapping[str, Any]) -> Sequence[Port]:
        if tag == "python":
            return [Port(name=name, kind=kind) for name, kind in settings["outputs"].items()]
        if tag == "command":  # one file for each name under `outputs`
            return [Port(name=name, kind="file") for name in settings["outputs"]]
        return [Port(name=name, kind=kind) for name, kind in _STEPS[tag]["outputs"]]

    def deferred(self, tag: str) -> tuple[str, ...]:
        names: tuple[str, ...] = _STEPS[tag].get("deferred", ())
        return names

    def makers(self, kind: str) -> Sequence[str]:
        return [tag for tag in self.tags() if kind in [out for _, out in _STEPS[tag]["outputs"]]]

    def unit_fallback(self, text: str) -> None:
        return None

    def files_key(
        self, tag: str, settings: Mapping[str, Any], types: Mapping[str, str]
    ) -> str | None:
        return None

    def declares(self, tag: str, settings: Mapping[str, Any]) -> Mapping[str, Contents]:
        """A fake file of models is never read: `names` tells what it holds."""
        if tag == "models" and settings["names"]:
            names = frozenset(settings["names"])
            return {"models": Contents(models=names, sources=names, path=("file",))}
        return {"models": Contents(ports=("models",))} if tag == "fit" else {}

    def requires(self, tag: str, settings: Mapping[str, Any]) -> Sequence[Need]:
        if tag != "flux-points":
            return ()
        if not settings["source"]:
            return [Need(port="models", path=("source",), one_source=True)]
        return [Need(port="models", path=("source",), model=settings["source"])]

    def has_index(self, tag: str) -> bool:
        return False

    def index_files(self, tag: str, settings: Mapping[str, Any]) -> Sequence[ExternalFile]:
        return ()

    def external_files(self, tag: str, settings: Mapping[str, Any]) -> Sequence[ExternalFile]:
        return ()

    def version(self, tag: str) -> str:
        return "1"

    def packages(self, tag: str, settings: Mapping[str, Any]) -> Sequence[str]:
        return ()

    def implementation(
        self, tag: str, settings: Mapping[str, Any] | None = None
    ) -> Mapping[str, str]:
        return {}

    def replaces(self, tag: str) -> Mapping[str, str]:
        return _STEPS[tag].get("replaces", {})


def _function_problems(settings: Mapping[str, Any]) -> list[SettingProblem]:
    """What is wrong with a made-up function and its arguments."""
    target = settings["callable"]
    module, colon, name = target.partition(":")
    modules = {item.partition(":")[0] for item in _FUNCTIONS}
    found: list[tuple[tuple[str | int, ...], str, str]] = []
    if not colon or "/" in target or not name:
        found.append((("callable",), "GP304", f"{target!r} is not package.module:function"))
    elif module not in modules:
        found.append((("callable",), "GP307", f"there is no module {module!r}"))
    elif target not in _FUNCTIONS:
        found.append((("callable",), "GP307", f"{module!r} has no function {name!r}"))
    if not settings["outputs"]:
        found.append((("outputs",), "GP304", "at least one output"))
    for group in ("inputs", "outputs"):
        for key, value in settings[group].items():
            kind = value[0] if isinstance(value, list) and group == "inputs" else value
            if kind not in KINDS:
                found.append(((group, key), "GP304", f"there is no kind of product {kind!r}"))
    given = {key: group for group in ("inputs", "arguments") for key in settings[group]}
    takes = _FUNCTIONS.get(target)
    for key, group in given.items() if takes is not None else ():
        if key not in takes:
            found.append(((group, key), "GP301", f"{target} has no parameter {key!r}"))
    for key, default in (takes or {}).items():
        if default is ... and key not in given:
            found.append((("arguments", key), "GP305", f"missing argument {key!r} of {target}"))
    for key in set(settings["inputs"]) & set(settings["arguments"]):
        found.append((("arguments", key), "GP306", f"{key!r} is under 'inputs' as well"))
    return [SettingProblem(path=path, message=text, code=code) for path, code, text in found]


def _schema(title: str, fields: _Fields) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for name, field in fields.items():
        if isinstance(field, dict):
            inner = _schema(name, field)
            properties[name] = {**inner, "type": ["object", "string"], "pattern": _EXPRESSION}
            continue
        kind = field[0]
        properties[name] = {
            "energy": _quantity("1 TeV"),
            "angle": _quantity("0.1 deg"),
            "int": _integer(),
            "whole": {"type": ["integer", "string"], "pattern": _EXPRESSION},
            "float": {"type": ["number", "string"], "pattern": _EXPRESSION},
            "bool": {"type": ["boolean", "string"], "pattern": _EXPRESSION},
            "list": {"type": ["array", "string"], "pattern": _EXPRESSION},
            "any": {"title": name},
            "choice": {"type": "string"},
        }.get(kind, {"type": "string"})
    return {
        "title": title,
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }


def _settle(
    fields: _Fields,
    config: Mapping[str, Any],
    path: tuple[str | int, ...],
    base: Path,
    problems: list[SettingProblem],
    types: dict[str, str],
) -> dict[str, Any]:
    settled: dict[str, Any] = {}
    for key in config:
        if key not in fields:
            message = f"unknown setting {key!r}"
            problems.append(SettingProblem(path=(*path, key), message=message, code="GP301"))
    for name, field in fields.items():
        here = (*path, name)
        if isinstance(field, dict):
            given = config.get(name, {})
            if not isinstance(given, Mapping):
                message = f"{name}: expected a mapping"
                problems.append(SettingProblem(path=here, message=message, code="GP302"))
                given = {}
            settled[name] = _settle(field, given, here, base, problems, types)
            continue
        types[".".join(map(str, here))] = field[0]
        if name not in config and field[1] is ...:
            message = f"{name} must be given"
            problems.append(SettingProblem(path=here, message=message, code="GP305"))
        elif name in config and config[name] is not None:
            settled[name] = _leaf(field, config[name], here, base, problems)
        else:
            settled[name] = field[1]
    return settled


def _leaf(
    field: Any,
    value: Any,
    path: tuple[str | int, ...],
    base: Path,
    problems: list[SettingProblem],
) -> Any:
    kind = field[0]
    if kind in ("energy", "angle"):
        return _quantity_leaf(kind, value, path, problems)
    numbers = {"int": int, "whole": int, "float": (int, float)}
    wanted = {**numbers, "bool": bool, "list": list, "any": object}
    expected = wanted.get(kind, str)
    if not isinstance(value, expected) or (isinstance(value, bool) and kind in numbers):
        problems.append(SettingProblem(path=path, message=f"expected {kind}", code="GP302"))
        return None
    if kind == "int" and value < 1:
        problems.append(SettingProblem(path=path, message="must be at least 1", code="GP304"))
    if kind == "choice" and value not in field[2]:
        message = f"expected one of {', '.join(field[2])}, not {value!r}"
        problems.append(SettingProblem(path=path, message=message, code="GP304"))
    if kind == "path" and not value.startswith(("$", "~")):
        return str(base / value)
    return float(value) if kind == "float" else value


def _quantity_leaf(
    kind: str, value: Any, path: tuple[str | int, ...], problems: list[SettingProblem]
) -> Any:
    try:
        number, unit = parse_quantity(value) if isinstance(value, str) else (0.0, "")
    except UnitError as error:
        problems.append(SettingProblem(path=path, message=str(error), code="GP303"))
        return None
    if physical_type(unit) != kind:
        message = f"unit {unit!r} is not a unit of {kind}"
        problems.append(SettingProblem(path=path, message=message, code="GP303"))
        return None
    return format_quantity(*canonical(number, unit))
