"""The step ``models``: models from gammapy's YAML, in a file or in the workflow."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

from gpwf.core.catalog import ExternalFile, SettingProblem
from gpwf.core.contents import Contents
from gpwf.core.spec import Port
from gpwf.errors import StepError
from gpwf.steps.base import Step, StepContext, input_file
from gpwf.steps.model_files import (
    component_name,
    components_of,
    model_names,
    read_models,
    source_names,
)
from gpwf.steps.model_types import type_problems
from gpwf.steps.settings import Field, InputPath, StepSettings

__all__ = ["ModelsStep"]

_PARTS = ("spectral", "spatial", "temporal")

# what gammapy raises for a component that it cannot make
_MODEL_ERRORS = (KeyError, ValueError, TypeError, NameError, AttributeError, OSError)


class ModelsSettings(StepSettings):
    """Settings of the step: one of the two."""

    file: InputPath | None = Field(None, description="File of models in gammapy's YAML format")
    inline: Any = Field(
        None, description="The models themselves: a list of gammapy's model components"
    )


class ModelsStep(Step):
    """Read models in gammapy's YAML format.

    A file, or a list of components in the workflow itself. Both are what
    `gammapy.modeling.models.Models.read` reads. Templates that a model refers to become part of
    the product. A misspelt parameter is an error.
    """

    tag: ClassVar[str] = "models"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Read models"
    group: ClassVar[str] = "models"
    Settings: ClassVar[type[StepSettings]] = ModelsSettings
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="models", kind="models", help="Sky models and background models"),
    )

    def check(self, settings: ModelsSettings) -> Sequence[SettingProblem]:
        """Return what is wrong with the components, as far as it can be seen without gammapy."""
        if (settings.file is None) == (settings.inline is None):
            message = "give either 'file' or 'inline'"
            return [SettingProblem(path=(), message=message, code="GP306")]
        if settings.inline is not None:
            return _inline_problems(settings.inline)
        assert settings.file is not None
        if not settings.file.path.is_file():
            return []  # reported with the other missing files
        data, message = read_models(settings.file.path)
        found = [message] if message else [text for _, text in _component_problems(data)]
        name = settings.file.path.name
        problems = [
            SettingProblem(path=("file",), message=f"{name}: {text}", code="GP304")
            for text in found
        ]
        # the place is that of the file's name: an unknown key is not one of the workflow
        return problems or [
            replace(item, path=("file",), message=f"{name}: {item.message}", code="GP304")
            for item in _type_problems(data)
        ]

    def declares(self, settings: ModelsSettings) -> Mapping[str, Contents]:
        """Return the names of the components; nothing where the file is not there or not sound."""
        data, setting = settings.inline, "inline"
        if settings.file is not None:
            data, setting = read_models(settings.file.path)[0], "file"
        names, sources = model_names(data), source_names(data)
        return {"models": Contents(models=names, sources=sources, path=(setting,))}

    def external_files(self, settings: ModelsSettings) -> tuple[ExternalFile, ...]:
        """Return the file of models and every file that it refers to.

        Raises
        ------
        StepInputError
            Where one is not there.
        """
        files = []
        folder = Path.cwd()
        data, setting = settings.inline, "inline"
        if settings.file is not None:
            files.append(input_file("file", settings.file))
            folder, setting = settings.file.path.parent, "file"
            data, _ = read_models(settings.file.path)
        for text in dict.fromkeys(text for _, _, text in _references(data)):
            path = input_file(setting, InputPath.settle(text, folder))
            files.append(ExternalFile(setting=setting, path=path.path, name=text))
        return tuple(files)

    def run(
        self,
        settings: ModelsSettings,
        inputs: Mapping[str, Any],  # noqa: ARG002  (the step has no inputs)
        ctx: StepContext,
    ) -> Mapping[str, Any]:
        """Return ``models``: `gammapy.modeling.models.Models`."""
        from gammapy.modeling.models import Models

        folder = Path.cwd()
        data: Any = settings.inline
        if settings.file is not None:
            folder = settings.file.path.parent
            data, message = read_models(settings.file.path)
            if message:
                raise StepError(f"{ctx.step}: {settings.file.path.name}: {message}")
        problems = [text for _, text in _component_problems(data)]
        if problems:
            raise StepError(f"{ctx.step}: {'; '.join(problems)}")
        data = _resolved(data, folder)
        for component in data["components"]:
            _try_component(component, ctx.step)
        try:
            return {"models": Models.from_dict(data)}
        except _MODEL_ERRORS as error:
            raise StepError(f"{ctx.step}: gammapy cannot build the models: {error}") from error


def _component_problems(data: Any) -> list[tuple[tuple[str | int, ...], str]]:
    """Return (way to the place, problem) pairs; the way starts at the components."""
    components = components_of(data)
    if not isinstance(components, (list, tuple)) or not components:
        return [((), "expected a list of 'components', each with 'name' and 'type'")]
    problems: list[tuple[tuple[str | int, ...], str]] = []
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


def _type_problems(data: Any) -> Iterator[SettingProblem]:
    """Yield what gammapy does not know; the way starts at the components, which are sound."""
    for number, component in enumerate(components_of(data)):
        for item in type_problems(component):
            yield replace(item, path=(number, *item.path))


def _inline_problems(data: Any) -> list[SettingProblem]:
    """Return the problems of components in the workflow, each with its place."""
    start: tuple[str | int, ...] = ("inline",)
    if isinstance(data, Mapping):
        start = ("inline", "components")
    problems = [
        SettingProblem(path=(*start, *at), message=text, code="GP304")
        for at, text in _component_problems(data)
    ]
    if not problems:
        problems = [replace(item, path=(*start, *item.path)) for item in _type_problems(data)]
    problems += [
        SettingProblem(
            path=("inline", *at, key),
            message=f"'{text}' is relative; files of inline models need their full path",
            code="GP304",
            hint="start it with '/' or with a variable such as $GAMMAPY_DATA",
        )
        for at, key, text in _references(data)
        if not Path(text).is_absolute() and not text.startswith(("$", "~"))
    ]
    return problems


def _references(data: Any) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """Yield (way to the mapping, key, file name) of every file that models refer to."""
    yield from _references_at(data, ())


def _references_at(
    data: Any, at: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    if isinstance(data, Mapping):
        for key, item in data.items():
            is_file = key == "filename" or (key == "covariance" and not at)
            if is_file and isinstance(item, str):
                yield at, str(key), item
            else:
                yield from _references_at(item, (*at, str(key)))
    elif isinstance(data, (list, tuple)):
        for number, item in enumerate(data):
            yield from _references_at(item, (*at, number))


def _resolved(data: Any, folder: Path) -> dict[str, Any]:
    """Return a copy for gammapy, with components under their key and full paths.

    A part without parameters gets an empty list, for which gammapy takes the defaults of its type.
    """
    copy: Any = deepcopy(data)
    result: dict[str, Any] = dict(copy) if isinstance(copy, dict) else {"components": list(copy)}
    result.pop("metadata", None)
    result.pop("checksum", None)
    for component, part in product(result["components"], _PARTS):
        if isinstance(component.get(part), dict):
            component[part].setdefault("parameters", [])
    for at, key, text in list(_references(result)):
        place: Any = result
        for step in at:
            place = place[step]
        place[key] = str(folder / Path(os.path.expandvars(text)).expanduser())
    return result


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
    known = [str(item) for item in built.parameters.names]
    for entry in data.get("parameters") or ():
        name = entry.get("name") if isinstance(entry, Mapping) else None
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            raise StepError(
                f"{what} has no parameter '{name}'; it has {', '.join(known)}",
                hint=f"did you mean '{near[0]}'?" if near else None,
            )
