"""The step ``command``: a program with declared inputs and outputs, without a shell."""

from __future__ import annotations

import difflib
import errno
import logging
import os
import shutil
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from gpwf.core.catalog import ExternalFile, SettingProblem
from gpwf.core.expressions import ExpressionError
from gpwf.core.products import MadeFile
from gpwf.core.spec import Port
from gpwf.errors import StepError, TransientStepError
from gpwf.steps.base import Step, StepContext, input_file
from gpwf.steps.commands.environment import VARIABLE, command_environment
from gpwf.steps.commands.inputs import files_of_folder, place_inputs
from gpwf.steps.commands.outputs import OutputName, clashes, made_files
from gpwf.steps.commands.placeholders import NAME, Argument, arguments, parse, references
from gpwf.steps.commands.processes import (
    Budget,
    Output,
    TakesTooLongError,
    run_program,
    signal_name,
)
from gpwf.steps.settings import Field, InputPath, StepSettings

__all__ = ["CommandSettings", "CommandStep", "referenced_names"]

_LAST_LINES = 10
_VERSION_LIMIT_S = 60.0
_VERSION_LENGTH = 500

log = logging.getLogger("command")


class CommandSettings(StepSettings):
    """Settings of the step."""

    argv: tuple[Argument, ...] = Field(
        min_length=1, description="Program and arguments, one text each; no shell reads them"
    )
    inputs: dict[str, InputPath] = Field(
        {}, description="Files and folders that it reads, by the name in '${inputs.NAME}'"
    )
    outputs: dict[str, OutputName] = Field(
        description="Files that it makes, relative to the folder it runs in; each is a product"
    )
    version: tuple[Argument, ...] | None = Field(
        None,
        min_length=1,
        description="Program and arguments that print the version; it is recorded",
    )
    environment: tuple[str, ...] = Field(
        (), description="Names of environment variables that it gets besides the usual ones"
    )
    max_log: int = Field(
        1_000_000, ge=0, description="Bytes of its output that go to the log; the rest is counted"
    )


_PLACES: dict[tuple[str, str], str] = {}  # where programs were found, by name and PATH


def _found(program: str) -> str | None:
    """Return where a program is; a scatter asks for the same one many thousand times."""
    key = program, os.environ.get("PATH", "")
    place = _PLACES.get(key)
    if place is None or not os.access(place, os.X_OK):
        place = shutil.which(program)
        if place is not None:
            _PLACES[key] = place
    return place


class CommandStep(Step):
    """Run a program.

    It runs in an empty folder of its own. In `argv` and `version`, `${inputs.NAME}` is the path of
    a file under `inputs`, or of a product that `required_products: {NAME: step.product}` brings
    (its main file, or its folder where it has none); an argument that is nothing else becomes as
    many arguments as the input has products. `${outputs.NAME}` is the name of a file under
    `outputs`. Paths of inputs are relative and the same in every run; only declared inputs are
    there.

    Every output is a product of kind `file`. An exit code other than 0 is a failure that `retries`
    tries again. What the program prints goes to the log, its standard input is empty, and processes
    that it leaves behind are ended.

    The result is taken from the store as long as settings, content of the inputs and the program's
    own file (`argv[0]`, as found on the `PATH`) are the same. What the program loads besides, such
    as libraries and calibration data, is not seen, nor is what `version` prints: finding it out
    would mean to run something before the run. Set `cache: false` for a command whose result does
    not follow from its inputs.

    The command gets `PATH`, `HOME`, the variables of the locale, `TMPDIR`, `GAMMAPY_DATA`, `CALDB`
    and a few more of the usual tools, and those named in `environment`; their values are no part of
    what decides whether a result is taken from the store.
    """

    tag: ClassVar[str] = "command"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Run a program"
    group: ClassVar[str] = "generic"
    Settings: ClassVar[type[StepSettings]] = CommandSettings
    input_ports: ClassVar[tuple[Port, ...]] = (
        Port(
            name="*",
            kind="any",
            optional=True,
            multiple=True,
            help="Products, by the name in '${inputs.NAME}'",
        ),
    )
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="*", kind="file", help="Each of 'outputs', under its name"),
    )
    packages: ClassVar[tuple[str, ...]] = ()
    file_settings: ClassVar[tuple[str, ...]] = ("argv", "inputs")
    deferred: ClassVar[tuple[str, ...]] = ("inputs", "outputs")
    takes: ClassVar[Literal["objects", "files"]] = "files"

    def inputs(self, settings: CommandSettings) -> tuple[Port, ...]:
        """Return a port for every name that is used and is no file; and any others."""
        names, _ = referenced_names(settings)
        used = (
            Port(name=name, kind="any", multiple=True, help=f"'${{inputs.{name}}}'")
            for name in sorted(names - set(settings.inputs))
        )
        return (*used, *self.input_ports)

    def outputs(self, settings: CommandSettings) -> tuple[Port, ...]:
        """Return a port for every file that the command makes."""
        # nothing of a file's name: it may differ over a scatter, and ports do not
        return tuple(Port(name=name, kind="file", help="A file") for name in settings.outputs)

    def check(self, settings: CommandSettings) -> Sequence[SettingProblem]:
        """Check names, placeholders and that outputs are different files."""
        return [
            *_name_problems(settings),
            *_argument_problems("argv", settings.argv, settings),
            *_argument_problems("version", settings.version or (), settings),
            *_variable_problems(settings.environment),
        ]

    def external_files(self, settings: CommandSettings) -> tuple[ExternalFile, ...]:
        """Return the inputs, the files of folders among them, and the program if it is there.

        A program that is not there is a failure of the task: another machine may have it.
        """
        found: list[ExternalFile] = []
        for name, path in settings.inputs.items():
            if path.path.is_dir():
                found += files_of_folder(f"inputs.{name}", path)
            else:
                found.append(input_file(f"inputs.{name}", path))
        program = settings.argv[0]
        place = None if "${" in program else _found(program)
        if place is not None:
            file = Path(place).absolute()
            found.append(ExternalFile(setting="argv.0", path=file, name=file.name))
        return tuple(found)

    def run(
        self, settings: CommandSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return a `gpwf.core.products.MadeFile` for every output."""
        scope: dict[str, Mapping[str, Any]] = {
            "inputs": place_inputs(ctx.work_dir / "inputs", settings.inputs, inputs),
            "outputs": dict(settings.outputs),
        }
        environment = command_environment(settings.environment, ctx.n_jobs)
        for name in sorted({*settings.environment} - {*environment}):
            log.warning("the environment variable %s is not set", name)
        version = None
        if settings.version is not None:
            argv = _arguments(settings.version, scope)
            version = _version(argv, ctx.work_dir / "version", environment)
        folder = ctx.work_dir / "work"
        for path in settings.outputs.values():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
        argv = _arguments(settings.argv, scope)
        program = Path(argv[0]).name
        _run(argv, folder, environment, settings.max_log)
        made = made_files(folder, settings.outputs, program=program)
        summary = {"program": program} | ({} if version is None else {"version": version})
        return {name: MadeFile(path=path, summary=summary) for name, path in made.items()}


def referenced_names(settings: CommandSettings) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of inputs and of outputs that a command's arguments use."""
    found = [*references(settings.argv), *references(settings.version or ())]
    inputs = frozenset(name for _, group, name in found if group == "inputs")
    return inputs, frozenset(name for _, group, name in found if group == "outputs")


# ---- checks --------------------------------------------------------------------------------------


def _name_problems(settings: CommandSettings) -> Iterator[SettingProblem]:
    """Yield what is wrong with the names of inputs and outputs, and with the outputs' files."""
    for key in ("inputs", "outputs"):
        for name in getattr(settings, key):
            if NAME.fullmatch(name) is None:
                message = f"{name!r} is no name: a letter, then letters, digits, _ and single -"
                yield SettingProblem(path=(key, name), message=message, code="GP304")
    for name, path in settings.inputs.items():
        if "${inputs." in path or "${outputs." in path:
            message = "'${inputs.…}' and '${outputs.…}' mean something in 'argv' and 'version' only"
            yield SettingProblem(path=("inputs", name), message=message, code="GP306")
    if not settings.outputs:
        message = "a command needs at least one output: what it makes is all that remains of it"
        yield SettingProblem(path=("outputs",), message=message, code="GP304")
    for name, message in clashes(settings.outputs):
        yield SettingProblem(path=("outputs", name), message=message, code="GP304")


def _argument_problems(
    key: str, texts: Sequence[str], settings: CommandSettings
) -> Iterator[SettingProblem]:
    """Yield what is wrong with the arguments of a program."""
    for number, text in enumerate(texts):
        path = (key, number)
        if "\0" in text:
            yield SettingProblem(path=path, message="holds a NUL character", code="GP304")
        try:
            parse(text)
        except ExpressionError as error:
            yield SettingProblem(path=path, message=str(error), code="GP401")
    for number, group, name in references(texts):
        if group != "outputs":
            continue  # products that are wired are inputs as well
        path = (key, number)
        if key == "version":
            message = f"'${{outputs.{name}}}': what prints a version makes no output"
            yield SettingProblem(path=path, message=message, code="GP306")
        elif name not in settings.outputs:
            message = f"there is no output {name!r}"
            hint = _near(name, settings.outputs)
            yield SettingProblem(path=path, message=message, code="GP402", hint=hint)
    program = texts[0] if texts else "program"
    if not program.strip():
        yield SettingProblem(path=(key, 0), message="there is no program", code="GP304")
    elif "/" in program and not program.startswith(("/", "${")):
        message = f"{program!r} would be looked for in the empty folder that the command runs in"
        hint = f"inputs: {{program: {program}}}, and ${{inputs.program}} here; or the whole path"
        yield SettingProblem(path=(key, 0), message=message, code="GP304", hint=hint)


def _near(name: str, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"outputs: {', '.join(names) or 'none'}"


def _variable_problems(names: Sequence[str]) -> Iterator[SettingProblem]:
    for number, name in enumerate(names):
        if VARIABLE.fullmatch(name) is None:
            message = f"{name!r} is no name of an environment variable"
            hint = "name the variable alone; `env NAME=VALUE program …` in 'argv' sets one"
            path = ("environment", number)
            yield SettingProblem(path=path, message=message, code="GP304", hint=hint)


# ---- running -------------------------------------------------------------------------------------


def _arguments(texts: Sequence[str], scope: Mapping[str, Mapping[str, Any]]) -> list[str]:
    try:
        return arguments(texts, scope)
    except ExpressionError as error:
        wired = ", ".join(scope["inputs"]) or "none"
        raise StepError(
            f"in the arguments: {error}", hint=f"inputs of this step: {wired}"
        ) from None


def _run(argv: Sequence[str], folder: Path, environment: Mapping[str, str], max_log: int) -> None:
    """Run the command; raise where it does not end well."""
    budget = Budget(max_log)
    outputs = (Output("stdout", budget), Output("stderr", budget))
    try:
        code = _start(argv, folder, environment, outputs)
    finally:
        for output in outputs:
            if output.n_dropped:
                log.warning(
                    "%s: %d bytes more than max_log (%d) are not in the log",
                    output.name,
                    output.n_dropped,
                    max_log,
                )
    if code != 0:
        raise _failed(Path(argv[0]).name, code, outputs)


def _start(
    argv: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    outputs: tuple[Output, Output],
    limit_s: float | None = None,
) -> int:
    """Run a program, with clear words where it cannot be started."""
    program = argv[0]
    if "/" not in program and shutil.which(program, path=environment.get("PATH")) is None:
        raise StepError(
            f"there is no program {program!r} on the PATH",
            hint="install it, or load its environment (conda activate, module load) before gpwf; "
            f"the PATH is {environment.get('PATH') or 'not set'}",
        )
    if "/" in program and not (folder / program).exists():
        raise StepError(f"there is no program {program}", hint="correct the path in 'argv'")
    try:
        return run_program(
            argv, folder=folder, environment=environment, outputs=outputs, limit_s=limit_s
        )
    except OSError as error:
        raise _not_started(program, error) from None


def _not_started(program: str, error: OSError) -> StepError:
    """Return the error for a program that is there and cannot be started."""
    reason = error.strerror or str(error)
    hint = (
        "a script needs a first line such as `#!/usr/bin/env python3` and leave to be executed "
        "(chmod +x); or name its interpreter: argv: [python3, …]"
    )
    if isinstance(error, FileNotFoundError):  # the program itself is there
        reason = "the interpreter that its first line names is not there"
    elif error.errno == errno.E2BIG:
        hint = "give it fewer or shorter arguments: gather in two steps, or let it read a list"
    return StepError(f"{program} cannot be started: {reason}", hint=hint)


def _failed(program: str, code: int, outputs: tuple[Output, Output]) -> TransientStepError:
    """Return the error for a program that did not end well, with its last words."""
    out, err = outputs
    last = err.last_lines(_LAST_LINES) or out.last_lines(_LAST_LINES)
    how = f"ended with exit code {code}" if code > 0 else f"was killed by {signal_name(-code)}"
    hints = {
        126: "the program could not be executed",
        127: "a program or a library was not found; does it need variables? "
        "`environment: [NAME, …]` lets them through",
        -signal.SIGKILL: "out of memory? `resources: {memory: …}` tells how much it needs",
    }
    text = f"{program} {how}"
    text += ":\n" + "\n".join(f"  {line}" for line in last) if last else " and said nothing"
    return TransientStepError(text, hint=hints.get(code), process_code=code)


def _version(argv: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    """Return what a program says of its version."""
    folder.mkdir()
    nothing = Budget(0)  # it is logged below, in one line
    outputs = (Output("stdout", nothing), Output("stderr", nothing))
    shown = " ".join(argv)
    try:
        code = _start(argv, folder, environment, outputs, _VERSION_LIMIT_S)
    except TakesTooLongError:
        raise StepError(
            f"{shown} did not end in {_VERSION_LIMIT_S:.0f} s",
            hint="correct 'version': it should print and end, or leave it out",
        ) from None
    lines = outputs[0].last_lines(_LAST_LINES) or outputs[1].last_lines(_LAST_LINES)
    if not lines:
        raise StepError(
            f"{shown} printed nothing (exit code {code})", hint="correct 'version', or leave it out"
        )
    if code != 0:
        log.warning("%s ended with exit code %d", shown, code)
    version = "; ".join(lines)[:_VERSION_LENGTH]
    log.info("version, by %s: %s", shown, version)
    return version
