"""gammapy's own loops over energy bins, time intervals and pixels, on the cores that there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any

from gpwf.steps.base import StepContext

__all__ = ["spread_estimators"]

# what gammapy calls the loops whose items are worth a process; that over the planes of a map that
# is convolved is not
_LOOPS = {
    "Energy bins": "energy bins",
    "Time intervals": "time intervals",
    "Flux profile estimation": "regions",
}
_PIXELS = "TS map"
_BATCH = 256  # pixels: a fit in one takes some 100 microseconds


@contextmanager
def spread_estimators(ctx: StepContext) -> Iterator[None]:
    """Let gammapy's estimators go over bins, intervals, regions and pixels with `StepContext.map`.

    gammapy sends all its loops over independent parts through one function, which takes them one
    after another or starts a pool of its own. Inside the block that function is another one: the
    results are the same, and the processes are those of the engine. An estimator of light curves
    calls it where its ``n_jobs`` is more than 1, whatever the number.

    Parameters
    ----------
    ctx : StepContext
        Of the running step.
    """
    from gammapy.utils import parallel

    before = parallel.run_multiprocessing

    def run(
        func: Callable[..., Any],
        inputs: Iterable[tuple[Any, ...]],
        *args: Any,
        task_name: str = "",
        **kwargs: Any,
    ) -> Any:
        if task_name == _PIXELS:
            return _batched(ctx, func, inputs)
        label = _LOOPS.get(task_name)
        if label is None:
            return before(func, inputs, *args, task_name=task_name, **kwargs)
        return ctx.map(lambda arguments: func(*arguments), inputs, label=label)

    parallel.run_multiprocessing = run
    try:
        yield
    finally:
        parallel.run_multiprocessing = before


def _batched(
    ctx: StepContext, func: Callable[..., Any], inputs: Iterable[tuple[Any, ...]]
) -> list[Any]:
    """Return the results of a function over many small items, a batch of them at a time."""
    items = iter(inputs)
    batches = list(iter(lambda: list(islice(items, _BATCH)), []))

    def work(batch: list[tuple[Any, ...]]) -> list[Any]:
        return [func(*arguments) for arguments in batch]

    return list(chain.from_iterable(ctx.map(work, batches, label="groups of pixels")))
