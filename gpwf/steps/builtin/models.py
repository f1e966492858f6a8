"""The step ``models``: models from gammapy's YAML or a few lines per source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from gpwf.core.catalog import ExternalFile, SettingProblem
from gpwf.core.contents import Contents
from gpwf.core.spec import Port
from gpwf.errors import StepError, StepInputError
from gpwf.steps.base import Step, StepContext, input_file
from gpwf.steps.model_building import (
    build_models,
    component_problems,
    file_path,
    missing_ebl,
    references_in,
)
from gpwf.steps.model_files import components_of, model_names, read_models, source_names
from gpwf.steps.model_sources import SourceModel, absorbed, component_of
from gpwf.steps.model_types import type_problems
from gpwf.steps.settings import Field, InputPath, StepSettings

__all__ = ["ModelsStep"]


class ModelsSettings(StepSettings):
    """Settings of the step: one of the three."""

    file: InputPath | None = Field(None, description="File of models in gammapy's YAML format")
    inline: Any = Field(
        None, description="The models themselves: a list of gammapy's model components"
    )
    sources: dict[str, SourceModel] | None = Field(
        None, description="Sources by name, a line for each part"
    )


class ModelsStep(Step):
    """Make models: read them in gammapy's YAML format, or write sources down in short.

    `file` is a file, and `inline` a list of components in the workflow itself, as
    `gammapy.modeling.models.Models.read` reads them. `sources` is the short form:

    ```yaml
    sources:
      PKS 2155-304:
        position: {lon: 329.717 deg, lat: -30.226 deg}
        spectral: {type: log-parabola, amplitude: 4e-11 cm-2 s-1 TeV-1, alpha: 2.8, beta_log10: 0.2}
        ebl: {redshift: 0.116, model: dominguez}
    ```

    Parameters have units, and bounds as `{value: 2.3, min: 1, max: 5}`. Types are gammapy's names
    and tags, or words: `power-law`, `exp-cutoff`, `log-parabola`, `broken-power-law`, `gaussian`.
    `beta_log10` is the curvature with the decadic logarithm. A position is frozen, unless
    `free_position` makes it free within `position_margin`; a source without shape is a point.
    `ebl` is `EBLAbsorptionNormSpectralModel`, from `$GAMMAPY_DATA/ebl`.

    Files that models refer to (templates, absorption) become part of the product; relative paths
    count from the file that names them. A misspelt parameter is an error, and a redshift outside
    the table of absorption, where gammapy extrapolates.
    """

    tag: ClassVar[str] = "models"
    version: ClassVar[str] = "2"
    title: ClassVar[str] = "Make or read models"
    group: ClassVar[str] = "models"
    Settings: ClassVar[type[StepSettings]] = ModelsSettings
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="models", kind="models", help="Sky models and background models"),
    )

    def check(self, settings: ModelsSettings) -> Sequence[SettingProblem]:
        """Return what is wrong with the components, as far as it can be seen without gammapy."""
        given = (settings.file, settings.inline, settings.sources)
        if sum(item is not None for item in given) != 1:
            message = "give one of 'file', 'inline' and 'sources'"
            return [SettingProblem(path=(), message=message, code="GP306")]
        if settings.sources is not None:
            return _source_problems(settings.sources)
        if settings.inline is not None:
            return _inline_problems(settings.inline)
        assert settings.file is not None
        if not settings.file.path.is_file():
            return []  # reported with the other missing files
        data, message = read_models(settings.file.path)
        found = [message] if message else [text for _, text in component_problems(data)]
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
        data, _, setting = _given(settings)
        names, sources = model_names(data), source_names(data)
        return {"models": Contents(models=names, sources=sources, path=(setting,))}

    def external_files(self, settings: ModelsSettings) -> tuple[ExternalFile, ...]:
        """Return the file of models and every file that it refers to.

        Raises
        ------
        StepInputError
            Where one is not there.
        """
        data, folder, setting = _given(settings)
        files = [input_file("file", settings.file)] if settings.file is not None else []
        for text in dict.fromkeys(text for _, _, text in references_in(data)):
            try:
                found = input_file(setting, file_path(text, folder))
            except StepInputError as error:
                others = missing_ebl(text, folder)
                if others is None or "not set" in error.message:
                    raise
                raise StepInputError(error.message, setting=setting, hint=others) from error
            # a path that was settled is not the same everywhere
            name = text if settings.sources is None or text.startswith("$") else found.name
            files.append(ExternalFile(setting=setting, path=found.path, name=name))
        return tuple(files)

    def run(
        self,
        settings: ModelsSettings,
        inputs: Mapping[str, Any],  # noqa: ARG002  (the step has no inputs)
        ctx: StepContext,
    ) -> Mapping[str, Any]:
        """Return ``models``: `gammapy.modeling.models.Models`."""
        data, folder, _ = _given(settings)
        if settings.file is not None:
            message = read_models(settings.file.path)[1]
            if message:
                raise StepError(f"{ctx.step}: {settings.file.path.name}: {message}")
        problems = [text for _, text in component_problems(data)]
        if problems:
            raise StepError(f"{ctx.step}: {'; '.join(problems)}")
        quiet = settings.sources is not None  # to leave parameters out is what it is for
        return {"models": build_models(data, folder, ctx.step, quiet=quiet)}


def _given(settings: ModelsSettings) -> tuple[Any, Path, str]:
    """Return the components, the folder that relative paths count from, and their setting."""
    if settings.file is not None:
        return read_models(settings.file.path)[0], settings.file.path.parent, "file"
    if settings.sources is not None:
        components = []
        for key, source in settings.sources.items():
            data = component_of(key, source).data
            if source.ebl is not None:
                data["spectral"] = absorbed(data["spectral"], source.ebl)
            components.append(data)
        return components, Path.cwd(), "sources"
    return settings.inline, Path.cwd(), "inline"


def _type_problems(data: Any) -> Iterator[SettingProblem]:
    """Yield what gammapy does not know; the way starts at the components, which are sound."""
    for number, component in enumerate(components_of(data)):
        for item in type_problems(component):
            yield replace(item, path=(number, *item.path))


def _source_problems(sources: Mapping[str, SourceModel]) -> list[SettingProblem]:
    """Return the problems of sources in short form, each with its place."""
    if not sources:
        return [SettingProblem(path=("sources",), message="there is no source", code="GP304")]
    problems = []
    for name, source in sources.items():
        component = component_of(name, source)
        found = list(component.problems)
        if not found:
            found = [
                replace(item, path=component.place(item.path))
                for item in type_problems(component.data)
            ]
        problems += [replace(item, path=("sources", name, *item.path)) for item in found]
        problems += [
            _relative(("sources", name, *component.place((*at, key))), text)
            for at, key, text in references_in(component.data)
            if not _is_full(text)
        ]
    names = [source.name or key for key, source in sources.items()]
    for key, name in zip(sources, names, strict=True):
        hint = None
        message = "" if name.strip() else "a source needs a name"
        if names.count(name) > 1:
            message = f"two sources are called {name!r}"
        if "${" in name:  # the language looks at values alone
            message = f"{name!r} is no name: expressions are not looked up in keys"
            hint = "give the source a 'name', where they are"
        if message:
            at = ("sources", key) if key.strip() else ("sources",)
            problems.append(SettingProblem(path=at, message=message, code="GP304", hint=hint))
    return problems


def _inline_problems(data: Any) -> list[SettingProblem]:
    """Return the problems of components in the workflow, each with its place."""
    start: tuple[str | int, ...] = ("inline",)
    if isinstance(data, Mapping):
        start = ("inline", "components")
    problems = [
        SettingProblem(path=(*start, *at), message=text, code="GP304")
        for at, text in component_problems(data)
    ]
    if not problems:
        problems = [replace(item, path=(*start, *item.path)) for item in _type_problems(data)]
    problems += [
        _relative(("inline", *at, key), text)
        for at, key, text in references_in(data)
        if not _is_full(text)
    ]
    return problems


def _is_full(text: str) -> bool:
    return Path(text).is_absolute() or text.startswith(("$", "~"))


def _relative(path: tuple[str | int, ...], text: str) -> SettingProblem:
    return SettingProblem(
        path=path,
        message=f"'{text}' is relative; files of inline models need their full path",
        code="GP304",
        hint="start it with '/' or with a variable such as $GAMMAPY_DATA",
    )
