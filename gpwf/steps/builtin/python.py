"""The step ``python``: a function of an installed package, with declared inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from gpwf.core.catalog import ExternalFile, SettingProblem
from gpwf.core.spec import Port
from gpwf.errors import StepError
from gpwf.steps import signatures
from gpwf.steps.base import Step, StepContext, input_file
from gpwf.steps.callables.calling import call, returned
from gpwf.steps.callables.checking import (
    CallableName,
    Target,
    argument_problems,
    is_target,
    look_up,
    name_problems,
)
from gpwf.steps.callables.kinds import ANY, ProductKind
from gpwf.steps.callables.modules import ModuleNotThereError
from gpwf.steps.callables.source import DIGEST_TYPE, Source, read_source, split_target
from gpwf.steps.commands.inputs import files_of_folder
from gpwf.steps.settings import Field, InputPath, StepSettings
from gpwf.steps.texts import TextType, kind_of, problem

__all__ = ["PythonSettings", "PythonStep", "SourceDigest"]

_HEXADECIMAL = frozenset("0123456789abcdef")


class SourceDigest(TextType):
    """SHA-256 of the source of a function, in lower-case hexadecimal digits."""

    __slots__ = ()
    type_name = DIGEST_TYPE
    examples = ("0" * 64,)

    @classmethod
    def settle(cls, value: Any, base: Path | None = None) -> Self:  # noqa: ARG003
        """Return the digest."""
        if not isinstance(value, str):
            raise problem("GP302", f"expected a SHA-256 in hexadecimal, not {kind_of(value)}")
        if len(value) != 64 or not set(value) <= _HEXADECIMAL:
            raise problem("GP304", f"{value[:70]!r} is no SHA-256 of 64 hexadecimal digits")
        return cls(value)


class PythonSettings(StepSettings):
    """Settings of the step."""

    callable: CallableName = Field(
        description="Function, as 'package.module:function'; Python must find the module"
    )
    inputs: dict[str, ProductKind | tuple[ProductKind]] = Field(
        {},
        description="Kind of every product that it takes, by the name of the parameter; in "
        "brackets, '[flux-points]', for a list of them",
    )
    outputs: dict[str, ProductKind] = Field(
        description="Kind of every product that it returns, by name"
    )
    arguments: dict[str, Any] = Field({}, description="Other arguments, plain values by name")
    files: dict[str, InputPath] = Field(
        {},
        description="Files and folders that it reads, by the name of the parameter",
    )
    seed: int | None = Field(
        None, ge=0, examples=[0], description="Seed of the random numbers for its parameter 'rng'"
    )
    source_digest: SourceDigest | None = Field(
        None,
        examples=["0" * 64],
        description="SHA-256 of its source: gpwf finds it; one that is written must be the same",
    )


class PythonStep(Step):
    """Call a Python function.

    `callable: package.module:function` names a function of an installed package, or of a module on
    the Python path. It is called with keyword arguments: the products of `inputs`, as gammapy
    objects; the paths of `files`; the values of `arguments`. A product that a parameter with a
    default takes may be left out. It returns a mapping of the `outputs`, or the value itself where
    there is one output:

    observations, datasets, models, flux-points, light-curve, flux-profile, flux-maps, map, maps
    : the objects of gammapy; a single observation, dataset or model will do.

    table, figure
    : an astropy `Table`, a matplotlib `Figure`.

    file, datastore
    : the path of a file, or of a folder with an index, below `context.work_dir`.

    fit-result
    : a `gpwf.core.products.FitSummary`.

    A parameter `context` gets a `gpwf.steps.base.StepContext`: `work_dir`, `n_jobs`, `progress`
    and, for products that were gathered, `labels`. With the setting `seed`, the first of the
    parameters `rng` (a `numpy.random.Generator`), `random_state` (a `numpy.random.RandomState`) and
    `seed` (a whole number below `2**32`) gets random numbers; every task of a scatter has its own.

    The result is taken from the store as long as the settings, the inputs, the content of the
    files, the source and the versions of the packages are the same. The source is that of the
    module and of the modules of its package that it imports, as far as `import` statements tell.
    It is read, not run, when a workflow is checked or planned. Data files that come with the
    package are not seen: name them under `files`.

    A function may raise `gpwf.errors.NoDataError` where there is nothing to work on, and
    `gpwf.errors.TransientStepError` where trying again may help.
    """

    tag: ClassVar[str] = "python"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Call a Python function"
    group: ClassVar[str] = "generic"
    Settings: ClassVar[type[StepSettings]] = PythonSettings
    input_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="*", kind=ANY, optional=True, multiple=True, help="Each of 'inputs'"),
    )
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="*", kind=ANY, help="Each of 'outputs', under its name"),
    )
    file_settings: ClassVar[tuple[str, ...]] = ("files",)

    def __init__(self) -> None:
        # one step type is one look at the code: a further catalogue looks again
        self._sources: dict[str, Source | None] = {}
        self._targets: dict[str, Target] = {}

    def completed(self, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the settings with the digest of the source."""
        target = config.get("callable")
        if config.get("source_digest") is not None or not isinstance(target, str):
            return config
        source = self._source(target.strip()) if is_target(target.strip()) else None
        return config if source is None else {**config, "source_digest": source.digest}

    def inputs(self, settings: PythonSettings) -> tuple[Port, ...]:
        """Return a port for every product that the function takes."""
        target = self._target(settings.callable)
        return tuple(
            Port(
                name=name,
                kind=kind if isinstance(kind, str) else kind[0],
                optional=target.has_default(name),
                multiple=not isinstance(kind, str),
                help=f"Argument '{name}'",
            )
            for name, kind in settings.inputs.items()
        )

    def outputs(self, settings: PythonSettings) -> tuple[Port, ...]:
        """Return a port for every product that the function returns."""
        return tuple(
            Port(name=name, kind=kind, help="Returned by the function")
            for name, kind in settings.outputs.items()
        )

    def check(self, settings: PythonSettings) -> Sequence[SettingProblem]:
        """Check the function and its arguments against its source."""
        arguments: dict[str, Iterable[str]] = {
            "inputs": settings.inputs,
            "files": settings.files,
            "arguments": settings.arguments,
        }
        problems = list(name_problems({**arguments, "outputs": settings.outputs}))
        problems += _output_problems(settings)
        target = self._target(settings.callable)
        if target.problem is not None:
            return [*problems, target.problem]
        if target.signature is not None:
            problems += argument_problems(
                settings.callable,
                target.signature,
                arguments,
                seeded=settings.seed is not None,
            )
        source = self._source(settings.callable)
        if source is not None and settings.source_digest not in (None, source.digest):
            message = f"the source of {settings.callable} has the SHA-256 {source.digest}"
            hint = "leave `source_digest` out, or take the code that it was written for"
            problems.append(
                SettingProblem(path=("source_digest",), message=message, code="GP306", hint=hint)
            )
        return problems

    def external_files(self, settings: PythonSettings) -> tuple[ExternalFile, ...]:
        """Return the files, those in folders among them."""
        found: list[ExternalFile] = []
        for name, path in settings.files.items():
            if path.path.is_dir():
                found += files_of_folder(f"files.{name}", path)
            else:
                found.append(input_file(f"files.{name}", path))
        return tuple(found)

    def distributions(self, settings: PythonSettings) -> tuple[str, ...]:
        """Return gammapy's and those of the function."""
        source = self._source(settings.callable)
        return tuple(dict.fromkeys([*self.packages, *(source.packages if source else ())]))

    def code(self, settings: PythonSettings) -> Mapping[str, str]:
        """Return the function, the digest of its module, and its distribution."""
        source = self._source(settings.callable)
        found = {"callable": str(settings.callable)}
        if source is not None:
            module, _ = split_target(settings.callable)
            found["callableSource"] = source.digests.get(module, "")
            found["callablePackage"] = source.distribution
        return {name: text for name, text in found.items() if text}

    def run(
        self, settings: PythonSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return what the function returns."""
        if settings.source_digest is None:
            raise StepError(f"there is no source of {settings.callable} to compare with")
        files = {name: path.path for name, path in settings.files.items()}
        given = {**inputs, **files, **settings.arguments}
        value = call(settings.callable, settings.source_digest, given, settings.seed, ctx)
        return returned(settings.callable, value, settings.outputs, ctx.work_dir)

    def _source(self, target: str) -> Source | None:
        """Return the code of a function; None where its module is not there."""
        if target not in self._sources:
            try:
                self._sources[target] = read_source(split_target(target)[0])
            except (ModuleNotThereError, OSError):
                self._sources[target] = None
        return self._sources[target]

    def _target(self, target: str) -> Target:
        """Return what is known of a function."""
        if target not in self._targets:
            if not self._targets:
                signatures.forget()
            self._targets[target] = look_up(target)
        return self._targets[target]


def _output_problems(settings: PythonSettings) -> list[SettingProblem]:
    if not settings.outputs:
        message = "a function needs at least one output: what it returns is all that remains of it"
        return [SettingProblem(path=("outputs",), message=message, code="GP304")]
    return [
        SettingProblem(
            path=("outputs", name),
            message="'any' is a kind of input; an output has one of its own",
            code="GP304",
        )
        for name, kind in settings.outputs.items()
        if kind == ANY
    ]
