"""The step ``notebook``: a Jupyter notebook, with parameters and products put into it."""

from __future__ import annotations

import difflib
import keyword
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any, ClassVar, Literal

from gpwf.core.catalog import ExternalFile, SettingProblem
from gpwf.core.products import MadeFile
from gpwf.core.spec import Port
from gpwf.errors import StepError
from gpwf.steps.base import Step, StepContext, input_file
from gpwf.steps.callables.distributions import distribution_of
from gpwf.steps.commands.environment import VARIABLE
from gpwf.steps.commands.inputs import files_of_folder, place_inputs
from gpwf.steps.commands.outputs import OutputName, clashes, made_files
from gpwf.steps.notebooks.executing import execute
from gpwf.steps.notebooks.kernels import find_kernel, kernel_language, kernel_names
from gpwf.steps.notebooks.reading import Notebook, read_notebook
from gpwf.steps.settings import Field, InputPath, StepSettings

__all__ = ["NotebookSettings", "NotebookStep"]

_OWN = ("notebook", "html")
_NEEDED = ("papermill", "nbconvert", "ipykernel")
_ALSO = ("nbclient", "nbformat", "ipython", "matplotlib-inline")
_INSTALL = "pip install 'gpwf[notebook]'"


class NotebookSettings(StepSettings):
    """Settings of the step."""

    notebook: InputPath = Field(
        examples=["notebooks/summary.ipynb"], description="The notebook, an .ipynb file"
    )
    parameters: dict[str, Any] = Field(
        {}, description="Values that it gets, by the name of the variable"
    )
    inputs: dict[str, InputPath] = Field(
        {}, description="Files and folders that it reads, by the variable that gets the path"
    )
    outputs: dict[str, OutputName] = Field(
        {},
        description="Files that it writes, relative to the folder it runs in; each is a product "
        "besides 'notebook' and 'html'",
    )
    kernel: str | None = Field(
        None,
        min_length=1,
        examples=["python3"],
        description="Name of a Jupyter kernel; the Python that runs gpwf where it is left out",
    )
    environment: tuple[str, ...] = Field(
        (), description="Names of environment variables that it gets besides the usual ones"
    )
    max_log: int = Field(
        1_000_000, ge=0, description="Bytes of its output that go to the log; the rest is counted"
    )


class NotebookStep(Step):
    """Run a Jupyter notebook.

    papermill puts the values of `parameters` into a cell below the one with the tag `parameters`,
    at the top where there is none. Every product that `required_products: {NAME: step.product}`
    brings, of any kind, and every file of `inputs` gives the variable `NAME` the path of its main
    file, or of its folder where it has none; a list of paths for several products.
    `FluxPoints.read(flux_points, reference_model=…)` in the notebook reads the product that
    `required_products: {flux_points: flux-points.flux_points}` brings.

    The products are the executed notebook, a page of it (`html`) that opens without Jupyter, and
    the files of `outputs`, which cells write into the folder that they run in: an empty one, with
    nothing beside the notebook.

    What differs from one execution to the next is taken out of both: times, names that were made
    up for cells, addresses in memory, the times of progress bars. So the same notebook with the
    same inputs gives the same bytes, unless its cells show something else every time.

    The kernel is a process of its own, with few environment variables (see `command`), an empty
    configuration of Jupyter and IPython, and no need of a network. It ends with the step. A cell
    that fails is a failure of the step; the notebook as far as it came stays in the folder of the
    attempt. A cell may raise `gpwf.errors.NoDataError` where there is nothing to work on.

    The result is taken from the store as long as the notebook, the settings, the content of the
    inputs and the versions of the packages that cells import are the same.

    Needs `pip install 'gpwf[notebook]'`.
    """

    tag: ClassVar[str] = "notebook"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Run a Jupyter notebook"
    group: ClassVar[str] = "generic"
    Settings: ClassVar[type[StepSettings]] = NotebookSettings
    input_ports: ClassVar[tuple[Port, ...]] = (
        Port(
            name="*",
            kind="any",
            optional=True,
            multiple=True,
            help="Products, by the variable that gets the path",
        ),
    )
    output_ports: ClassVar[tuple[Port, ...]] = (
        Port(name="notebook", kind="file", help="The executed notebook, .ipynb"),
        Port(name="html", kind="file", help="The executed notebook as a page"),
        Port(name="*", kind="file", help="Each of 'outputs', under its name"),
    )
    file_settings: ClassVar[tuple[str, ...]] = ("notebook", "inputs", "kernel")
    takes: ClassVar[Literal["objects", "files"]] = "files"

    def __init__(self) -> None:
        # a scatter asks for the same one many times
        self._read: dict[tuple[str, int, int], Notebook] = {}

    def outputs(self, settings: NotebookSettings) -> tuple[Port, ...]:
        """Return the notebook, the page, and a port for every file that cells write."""
        more = (Port(name=name, kind="file", help="A file") for name in settings.outputs)
        return (*self.output_ports[:2], *more)

    def check(self, settings: NotebookSettings) -> Sequence[SettingProblem]:
        """Check that papermill is there, the names, and the notebook where it can be read."""
        problems = [*_missing(), *_name_problems(settings), *_variable_problems(settings)]
        try:
            notebook = self._notebook(settings)
        except StepError as error:
            problem = SettingProblem(
                path=("notebook",), message=error.message, code="GP304", hint=error.hint
            )
            return [*problems, problem]
        if notebook is not None:
            problems += [*_language_problems(settings, notebook)]
            problems += [*_unknown_parameters(settings, notebook)]
        return problems

    def external_files(self, settings: NotebookSettings) -> tuple[ExternalFile, ...]:
        """Return the notebook, the inputs, and the file that describes the kernel if it is there.

        A kernel that is not there is a failure of the task: another machine may have it.
        """
        found = [input_file("notebook", settings.notebook)]
        for name, path in settings.inputs.items():
            if path.path.is_dir():
                found += files_of_folder(f"inputs.{name}", path)
            else:
                found.append(input_file(f"inputs.{name}", path))
        described = find_kernel(settings.kernel) if settings.kernel is not None else None
        if described is not None:
            found.append(ExternalFile(setting="kernel", path=described, name="kernel.json"))
        return tuple(found)

    def distributions(self, settings: NotebookSettings) -> tuple[str, ...]:
        """Return gammapy's, those that execute notebooks, and those that cells import."""
        needed = tuple(name for name in (*_NEEDED, *_ALSO) if _version(name))
        try:
            notebook = self._notebook(settings)
        except StepError:
            notebook = None
        imports = notebook.imports if notebook is not None else ()
        more = (distribution_of(name, None) for name in imports)
        return tuple(dict.fromkeys([*self.packages, *needed, *(name for name in more if name)]))

    def run(
        self, settings: NotebookSettings, inputs: Mapping[str, Any], ctx: StepContext
    ) -> Mapping[str, Any]:
        """Return a `gpwf.core.products.MadeFile` for every product."""
        missing = next(iter(_missing()), None)
        if missing is not None:
            raise StepError(missing.message, hint=missing.hint)
        known = self._notebook(settings)
        language = known.language if known is not None else "python"
        _check_wired(settings, inputs, known)
        if settings.kernel is not None:
            described = find_kernel(settings.kernel)
            if described is None:
                names = ", ".join(["python3", *kernel_names()])
                raise StepError(
                    f"there is no Jupyter kernel {settings.kernel!r} on this machine",
                    hint=f"kernels: {names}; leave `kernel` out for the Python that runs gpwf",
                )
            language = kernel_language(described)
        paths = place_inputs(ctx.work_dir / "inputs", settings.inputs, inputs)
        folder = ctx.work_dir / "work"
        folder.mkdir()
        for path in settings.outputs.values():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
        products, summary = execute(settings, {**settings.parameters, **paths}, language, ctx)
        made = made_files(folder, settings.outputs, program=settings.notebook.path.name)
        return {
            **{name: MadeFile(path=path, summary=summary) for name, path in products.items()},
            **{name: MadeFile(path=path) for name, path in made.items()},
        }

    def _notebook(self, settings: NotebookSettings) -> Notebook | None:
        """Return what is known of the notebook; None where there is no such file.

        Raises
        ------
        StepError
            Where the file is no notebook.
        """
        path = settings.notebook.path
        try:
            status = path.stat()
            key = (str(path), status.st_mtime_ns, status.st_size)
            if key not in self._read:
                self._read[key] = read_notebook(path)
        except OSError:  # told where the files are looked for
            return None
        return self._read[key]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


# ---- checks --------------------------------------------------------------------------------------


def _missing() -> Iterator[SettingProblem]:
    """Yield what is not installed, as one problem."""
    missing = [name for name in _NEEDED if not _version(name)]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        message = f"a notebook needs {', '.join(missing)}, which {verb} not installed"
        yield SettingProblem(path=("notebook",), message=message, code="GP306", hint=_INSTALL)


def _name_problems(settings: NotebookSettings) -> Iterator[SettingProblem]:
    """Yield what is wrong with the names of variables and of files."""
    for key in ("parameters", "inputs"):
        for name in getattr(settings, key):
            if not _is_variable(name):
                message = f"{name!r} is no name of a variable"
                yield SettingProblem(path=(key, name), message=message, code="GP304")
    for name in sorted(set(settings.parameters) & set(settings.inputs)):
        message = f"{name!r} is in `parameters` as well"
        yield SettingProblem(path=("inputs", name), message=message, code="GP306")
    for name in sorted(set(settings.outputs) & set(_OWN)):
        message = f"{name!r} is a product of every notebook; give this file another name"
        yield SettingProblem(path=("outputs", name), message=message, code="GP304")
    shown = {"notebook": settings.notebook.path.name}
    for name, message in clashes({**shown, **settings.outputs}):
        yield SettingProblem(path=("outputs", name), message=message, code="GP304")


def _is_variable(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name)


def _variable_problems(settings: NotebookSettings) -> Iterator[SettingProblem]:
    for number, name in enumerate(settings.environment):
        if VARIABLE.fullmatch(name) is None:
            path = ("environment", number)
            message = f"{name!r} is no name of an environment variable"
            yield SettingProblem(path=path, message=message, code="GP304")


def _language_problems(settings: NotebookSettings, notebook: Notebook) -> Iterator[SettingProblem]:
    if settings.kernel is None and notebook.language != "python":
        message = f"the notebook is written in {notebook.language}, not in Python"
        hint = "`kernel: NAME` names the kernel that runs it"
        yield SettingProblem(path=("notebook",), message=message, code="GP306", hint=hint)


def _unknown_parameters(settings: NotebookSettings, notebook: Notebook) -> Iterator[SettingProblem]:
    """Yield the values that the notebook has no use for: papermill would set them in silence."""
    if notebook.parameters is None:
        return
    for key in ("parameters", "inputs"):
        for name in getattr(settings, key):
            if name not in notebook.parameters:
                yield SettingProblem(
                    path=(key, name),
                    message=f"{settings.notebook.path.name} has no parameter {name!r}",
                    code="GP304",
                    hint=_near(name, notebook.parameters),
                )


def _near(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    listed = ", ".join(known) or "none"
    return f"did you mean {near[0]!r}?" if near else f"its cell 'parameters' sets: {listed}"


def _check_wired(
    settings: NotebookSettings, inputs: Mapping[str, Any], notebook: Notebook | None
) -> None:
    """Raise for products under names that the notebook cannot use."""
    known = notebook.parameters if notebook is not None else None
    for name in inputs:
        if not _is_variable(name):
            raise StepError(
                f"required_products: {name!r} is no name of a variable",
                hint="a notebook gets products as variables: give it a name such as flux_points",
            )
        if name in settings.parameters:
            raise StepError(f"{name!r} is in `parameters` and in `required_products`")
        if known is not None and name not in known:
            raise StepError(
                f"required_products: {settings.notebook.path.name} has no parameter {name!r}",
                hint=_near(name, known),
            )
