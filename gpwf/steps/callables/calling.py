"""Call a function with products, files and plain values, and take what it returns.

Whatever the code of others raises becomes a failure that names the function and the line.
"""

from __future__ import annotations

import inspect
import os
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from gpwf.core.products import MadeFile
from gpwf.errors import GpwfError, StepError
from gpwf.steps.callables.kinds import WrongValueError, product_value
from gpwf.steps.callables.loading import check_late_imports, load_module, planned_source
from gpwf.steps.callables.source import Source, split_target

if TYPE_CHECKING:
    from gpwf.steps.base import StepContext

__all__ = ["CONTEXT", "RANDOM", "CallableError", "call", "returned"]

CONTEXT = "context"
"""Parameter that gets the `gpwf.steps.base.StepContext`."""

RANDOM = ("rng", "random_state", "seed")
"""Parameters that get random numbers; the first that a function has."""

_LEGACY_WORDS = 1  # words of 32 bits that the seed of an older generator has


class CallableError(StepError):
    """The code of others has failed; the cause is what it raised."""


class _OthersCode:
    """What is raised inside becomes a `CallableError`; failures that are meant so pass.

    Parameters
    ----------
    target : str
        ``package.module:function``.
    source : Source
        Its files.
    """

    def __init__(self, target: str, source: Source) -> None:
        self._target = target
        self._files = {str(path) for path in source.files.values()}

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if not isinstance(error, (Exception, SystemExit)) or isinstance(error, GpwfError):
            return
        text = str(error).strip()
        what = f"{type(error).__name__}: {text}" if text else type(error).__name__
        if isinstance(error, SystemExit):
            what = f"sys.exit({error.code!r})"
        where = self._place(error)
        raise CallableError(f"{self._target} raised {what}{where}") from error

    def _place(self, error: BaseException) -> str:
        """Return where in the function's own files it happened, the innermost line."""
        if isinstance(error, SyntaxError) and error.filename:
            return f" ({error.filename}:{error.lineno})"
        frames = traceback.extract_tb(error.__traceback__)
        mine = [frame for frame in frames if frame.filename in self._files]
        return f" ({mine[-1].filename}:{mine[-1].lineno})" if mine else ""


@contextmanager
def _surroundings() -> Iterator[None]:
    """Put back working directory and environment, which the next task would find changed."""
    folder, variables = os.getcwd(), dict(os.environ)  # noqa: PTH109  (faster)
    try:
        yield
    finally:
        if os.environ != variables:
            os.environ.clear()
            os.environ.update(variables)
        os.chdir(folder)


def call(
    target: str, digest: str, given: Mapping[str, Any], seed: int | None, ctx: StepContext
) -> Any:
    """Import a function, and return what it returns.

    Parameters
    ----------
    target : str
        ``package.module:function``.
    digest : str
        Digest of its source in the plan.
    given : mapping
        Arguments by name.
    seed : int, optional
        Of the random numbers that it may get.
    ctx : StepContext
        What it may know of its surroundings.

    Raises
    ------
    CallableError
        For what it raises, other than gpwf's own errors.
    StepError
        Where it is not there, is another one than in the plan, or does not take the arguments.
    """
    source = planned_source(target, digest)
    module_name, name = split_target(target)
    module = load_module(target, source, lambda: _OthersCode(target, source))
    function = getattr(module, name, None)
    if not callable(function):
        what = "has no such name" if function is None else f"has a {type(function).__name__}"
        raise StepError(
            f"{target}: the module {module_name} {what}", hint="name a function or a class"
        )
    arguments = {**given, **_offered(target, function, seed, ctx)}
    _check_call(target, function, arguments)
    with _surroundings(), _OthersCode(target, source):
        value = function(**arguments)
    check_late_imports(target, source)
    return value


def _parameters(function: Any) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (ValueError, TypeError):  # written in C
        return {}


def _offered(target: str, function: Any, seed: int | None, ctx: StepContext) -> dict[str, Any]:
    """Return the arguments that a function gets because it has parameters of these names."""
    names = _parameters(function)
    offered: dict[str, Any] = {CONTEXT: ctx} if CONTEXT in names else {}
    if seed is None:
        return offered
    name = next((item for item in RANDOM if item in names), None)
    if name is None:
        raise StepError(
            f"{target} takes none of {', '.join(RANDOM)}, but `seed` is set",
            hint="add a parameter `rng` to the function, or leave `seed` out",
        )
    return {**offered, name: _random(name, seed, ctx)}


def _random(name: str, seed: int, ctx: StepContext) -> Any:
    """Return random numbers of this task in the form that goes with a parameter."""
    import numpy as np

    sequence = ctx.seed_sequence(seed)
    if name == "rng":
        return np.random.Generator(np.random.PCG64(sequence))
    if name == "random_state":
        return np.random.RandomState(np.random.PCG64(sequence))
    return int(sequence.generate_state(_LEGACY_WORDS)[0]) if ctx.stream else seed


def _check_call(target: str, function: Any, arguments: Mapping[str, Any]) -> None:
    """Check that a function takes the arguments.

    Raises
    ------
    StepError
        Where it does not.
    """
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):
        return
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise StepError(
            f"{target} cannot be called: {error}",
            hint=f"its parameters: {', '.join(signature.parameters) or 'none'}",
        ) from None


def returned(target: str, value: Any, kinds: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """Return the products that a function has returned, as the store takes them.

    Parameters
    ----------
    target : str
        ``package.module:function``.
    value : object
        A mapping by output; where there is one output, its value may stand alone.
    kinds : mapping of str to str
        Kind of every output.
    folder : Path
        Where files are to lie.

    Raises
    ------
    StepError
        Where an output is missing, is not declared, or is of another class.
    """
    expected = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
    if len(kinds) == 1 and not isinstance(value, Mapping):
        value = dict.fromkeys(kinds, value)
    if not isinstance(value, Mapping):
        raise StepError(
            f"{target} returned {type(value).__name__}; expected a mapping of the outputs "
            f"{expected}",
            hint="return {'" + "': …, '".join(kinds) + "': …}",
        )
    missing = [name for name in kinds if value.get(name) is None]
    strange = [str(name) for name in value if name not in kinds]
    if missing or strange:
        told = [f"did not return the output {', '.join(missing)}"] if missing else []
        told += [f"returned {', '.join(strange)}, which is no output"] if strange else []
        raise StepError(
            f"{target} {' and '.join(told)}; expected {expected}",
            hint="a function without result raises gpwf.errors.NoDataError" if missing else None,
        )
    made: dict[str, Any] = {}
    for name, kind in kinds.items():
        try:
            made[name] = product_value(kind, value[name], folder)
        except WrongValueError as error:
            raise StepError(f"{target} returned a wrong output {name} ({kind}): {error}") from None
    paths = [item.path for item in made.values() if isinstance(item, MadeFile)]
    if len(set(paths)) < len(paths):
        raise StepError(f"{target} returned one file for two outputs; expected {expected}")
    return made
