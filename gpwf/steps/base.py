"""What a step is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from gpwf.core.catalog import ExternalFile, SettingProblem
from gpwf.core.contents import Contents, Need
from gpwf.core.spec import Port
from gpwf.errors import StepInputError
from gpwf.steps.settings import EnergyEdges, EnergyRange, StepSettings
from gpwf.steps.texts import InputPath, unset_variable

if TYPE_CHECKING:
    from numpy.random import SeedSequence

__all__ = ["Step", "StepContext", "input_file", "missing_path"]


def _no_progress(done: int, total: int, label: str) -> None:
    """Ignore progress."""


def _one_after_another(
    function: Callable[[Any], Any],
    items: Sequence[Any],
    tell: Callable[[int], None],
    bounded: bool = False,  # noqa: ARG001  (one at a time is never too far ahead)
) -> Iterator[Any]:
    """Yield the results of a function over items, made in this process."""
    for number, item in enumerate(items):
        value = function(item)
        tell(number + 1)
        yield value


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """What a running step may know of its surroundings.

    Parameters
    ----------
    step, task_id : str
        Name of the declared step and of the task.
    work_dir : Path
        Private scratch folder; it exists and is empty. Files of a ``datastore`` product are
        written here.
    n_jobs : int
        Processor cores that the step may use.
    progress : callable
        ``progress(done, total, label)`` tells how far the step is.
    labels : mapping of str to tuple of mapping
        For every input port that gathers axes, where each item of its list comes from:
        ``{axis: label}``.
    stream : tuple of int
        Words of 32 bits that tell this task's random numbers from those of its neighbours in a
        scatter; empty for a step that is not scattered.
    left_dir : Path, optional
        Where the scratch folder will be for people to look at when the attempt has failed.
    spread : callable
        How `map` and `each` go over items: ``spread(function, items, tell, bounded)`` yields the
        results in order. In this process, one after another, unless the engine has more cores.
    """

    step: str
    task_id: str
    work_dir: Path
    n_jobs: int = 1
    progress: Callable[[int, int, str], None] = _no_progress
    labels: Mapping[str, tuple[Mapping[str, str], ...]] = field(default_factory=dict)
    stream: tuple[int, ...] = ()
    left_dir: Path | None = None
    spread: Callable[..., Iterator[Any]] = _one_after_another

    @property
    def kept_dir(self) -> Path:
        """Where the scratch folder is to be found when the attempt has failed."""
        return self.left_dir or self.work_dir

    def map(
        self, function: Callable[[Any], Any], items: Iterable[Any], *, label: str | None = None
    ) -> list[Any]:
        """Return the results of a function over items that do not depend on each other.

        They may be worked on in other processes, on every core that no other task uses, and are
        the same as those of a loop. What the function changes around it is lost: only its result
        counts. Where there is something to compute for all items, compute it before.

        Parameters
        ----------
        function : callable
            Takes an item; any function, also one inside another. Its result must be something that
            can be pickled.
        items : iterable
            Any objects.
        label : str, optional
            What the items are, for the progress: ``observations``.

        Returns
        -------
        results : list
            In the order of the items.

        Raises
        ------
        Exception
            What the function raises, for the first item in order for which it raises something.
        """
        return list(self._over(function, items, label, bounded=False))

    def each(
        self, function: Callable[[Any], Any], items: Iterable[Any], *, label: str | None = None
    ) -> Iterator[Any]:
        """Yield what `map` returns, one result after the other; few wait in memory.

        For large results that become one: maps that are added up.
        """
        return self._over(function, items, label, bounded=True)

    def _over(
        self,
        function: Callable[[Any], Any],
        items: Iterable[Any],
        label: str | None,
        bounded: bool,
    ) -> Iterator[Any]:
        found = list(items)

        def tell(done: int) -> None:
            self.progress(done, len(found), label or "")

        return self.spread(function, found, tell, bounded)

    def seed_sequence(self, *entropy: int) -> SeedSequence:
        """Return the source of a task's random numbers.

        Tasks of one scatter have independent streams, also with one seed; without scatter it is
        ``numpy.random.SeedSequence(entropy)``.

        Parameters
        ----------
        *entropy : int
            The setting ``seed``, and what tells apart several streams of one task.

        References
        ----------
        `numpy.random.SeedSequence`: a spawn key gives streams that are independent with very high
        probability.
        """
        from numpy.random import SeedSequence

        return SeedSequence(entropy, spawn_key=self.stream)


class Step(ABC):
    """Base of the step types; one subclass per file in ``gpwf/steps/builtin``.

    A step takes gammapy objects and returns gammapy objects. It opens no product file, knows no
    run directory and logs through `logging` only. gammapy, astropy and numpy are imported inside
    `run`.

    Attributes
    ----------
    tag : str
        Name in documents, kebab-case.
    version : str
        Version of the step type, part of the task key: raised when the same settings and inputs
        give another result.
    title : str
        One line for people.
    group : str
        ``data``, ``reduction``, ``models``, ``fit``, ``estimators``, ``simulation``, ``results`` or
        ``generic``.
    Settings : type
        Subclass of `StepSettings`.
    input_ports, output_ports : tuple of Port
        Slots, unless they depend on the settings (see `inputs`, `outputs`).
    packages : tuple of str
        Distributions whose versions can change the result.
    replaces : mapping of str to str
        Output port → input port whose product it supersedes for the steps below.
    file_settings : tuple of str
        Settings that decide which external files are read, where `external_files` is overridden:
        a scatter over other ones does not look for them again. All of them where empty.
    deferred : tuple of str
        Names in expressions that the step looks up itself while it runs, and that the language
        leaves as they are.
    takes : str
        ``objects``: `run` gets products as objects in memory; ``files``: as the paths of their
        main files, or of their folders where a kind has no main file.
    """

    tag: ClassVar[str]
    version: ClassVar[str]
    title: ClassVar[str]
    group: ClassVar[str]
    Settings: ClassVar[type[StepSettings]]
    input_ports: ClassVar[tuple[Port, ...]] = ()
    output_ports: ClassVar[tuple[Port, ...]] = ()
    packages: ClassVar[tuple[str, ...]] = (
        "gammapy",
        "numpy",
        "scipy",
        "astropy",
        "regions",
        "iminuit",
    )
    replaces: ClassVar[Mapping[str, str]] = {}
    deferred: ClassVar[tuple[str, ...]] = ()
    file_settings: ClassVar[tuple[str, ...]] = ()
    takes: ClassVar[Literal["objects", "files"]] = "objects"

    def inputs(self, settings: Any) -> tuple[Port, ...]:  # noqa: ARG002  (for subclasses)
        """Return the input ports for these settings."""
        return self.input_ports

    def outputs(self, settings: Any) -> tuple[Port, ...]:  # noqa: ARG002  (for subclasses)
        """Return the output ports for these settings."""
        return self.output_ports

    def completed(self, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return settings as given, with those added that follow from others; nothing is run."""
        return config

    def distributions(self, settings: Any) -> tuple[str, ...]:  # noqa: ARG002  (for subclasses)
        """Return the distributions whose versions can change the result with these settings."""
        return self.packages

    def code(self, settings: Any) -> Mapping[str, str]:  # noqa: ARG002  (for subclasses)
        """Return what the record says of code that the settings name."""
        return {}

    def check(self, settings: Any) -> Sequence[SettingProblem]:  # noqa: ARG002  (for subclasses)
        """Return what is inconsistent between settings; no data, no gammapy."""
        return ()

    def declares(self, settings: Any) -> Mapping[str, Contents]:
        """Return what products will hold, by output port; no data, no gammapy.

        A product that is absent is not known before the run. By default, models and datasets that
        replace others (see `replaces`) keep the names and the energies of these.
        """
        kinds = {port.name: port.kind for port in self.outputs(settings)}
        return {
            product: Contents(ports=(port,))
            for product, port in self.replaces.items()
            if kinds.get(product) in ("models", "datasets")
        }

    def requires(self, settings: Any) -> Sequence[Need]:
        """Return the settings that rely on what an input holds.

        By default these are: of the input ``models``, the models that the setting ``source`` and
        the items of ``sources`` name; of the input ``datasets``, the energies that settings of the
        types `EnergyRange` and `EnergyEdges` ask for.
        """
        ports = {port.name for port in self.inputs(settings)}
        needs = _energy_needs(settings) if "datasets" in ports else []
        if "models" not in ports:
            return needs
        source, sources = (getattr(settings, name, None) for name in ("source", "sources"))
        found = [Need(port="models", path=("source",), model=source)] if source else []
        for number, name in enumerate(sources if isinstance(sources, (list, tuple)) else ()):
            found.append(Need(port="models", path=("sources", number), model=name))
        return [*(need for need in found if isinstance(need.model, str)), *needs]

    def index_files(self, settings: Any) -> tuple[ExternalFile, ...]:
        """Return the external files that decide which files are read; standard library only.

        Raises
        ------
        StepInputError
            Where one is not there.
        """
        return self.external_files(settings)

    def external_files(self, settings: Any) -> tuple[ExternalFile, ...]:
        """Return every external file that the step reads: each setting of type `InputPath`.

        Raises
        ------
        StepInputError
            Where one is not there.
        """
        return tuple(input_file(name, path) for name, path in _input_paths(settings, ""))

    @abstractmethod
    def run(self, settings: Any, inputs: Mapping[str, Any], ctx: StepContext) -> Mapping[str, Any]:
        """Compute the products.

        Parameters
        ----------
        settings : StepSettings
            Settled settings, an instance of `Settings`.
        inputs : mapping
            Value of each connected input port; a list for a ``multiple`` port.
        ctx : StepContext
            Scratch folder, number of cores, progress.

        Returns
        -------
        outputs : mapping
            Value of each output port.

        Raises
        ------
        NoDataError
            Where there is nothing to work on.
        TransientStepError
            Where trying again may help.
        StepError
            For every other failure that the user can do something about.
        """


def _energy_needs(settings: StepSettings) -> list[Need]:
    """Return the energies that settings ask for of the input ``datasets``."""
    found = []
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if not isinstance(value, (EnergyRange, EnergyEdges)):
            continue
        low, high = value.min, value.max
        if isinstance(value, EnergyEdges) and value.edges:
            low, high = value.edges[0], value.edges[-1]
        if low is not None or high is not None:
            bounds = (low.value if low else None, high.value if high else None)
            found.append(Need(port="datasets", path=(name,), energies=bounds))
    return found


def _input_paths(value: Any, at: str) -> Iterator[tuple[str, InputPath]]:
    """Yield (dotted path, value) of every setting that is an `InputPath`."""
    if isinstance(value, InputPath):
        yield at, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _input_paths(item, f"{at}.{key}" if at else str(key))
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _input_paths(item, f"{at}.{number}")
    elif hasattr(type(value), "model_fields"):
        for name in type(value).model_fields:
            yield from _input_paths(getattr(value, name), f"{at}.{name}" if at else name)


def input_file(setting: str, path: InputPath) -> ExternalFile:
    """Return a setting's file.

    Raises
    ------
    StepInputError
        Where it is not there or no file.
    """
    if not path.path.is_file():
        raise missing_path(setting, path, "file")
    return ExternalFile(setting=setting, path=path.path, name=path.path.name)


def missing_path(setting: str, path: str, what: str) -> StepInputError:
    """Return the error for a path that is not there, or is not what it should be.

    Parameters
    ----------
    setting : str
        Dotted path of the setting.
    path : str
        Settled path.
    what : str
        ``file``, ``folder`` …
    """
    variable = unset_variable(path)
    if variable is not None:
        return StepInputError(
            f"{setting}: {path}: the environment variable {variable} is not set",
            setting=setting,
            hint=f"export {variable}=/where/the/data/are, or give the path in full",
        )
    place = Path(path)
    if place.exists():
        return StepInputError(
            f"{setting}: {path} is not a {what}", setting=setting, hint=f"give the path of a {what}"
        )
    parent = next((str(item) for item in place.parents if item.exists()), "/")
    return StepInputError(
        f"{setting}: no such {what}: {path}",
        setting=setting,
        hint=f"the path exists as far as {parent}",
    )
