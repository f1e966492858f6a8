"""Small spectra that were fitted, and how the steps after a fit are run on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from spectra import make_datasets, make_models, run

from gpwf.steps.base import StepContext
from gpwf.steps.registry import load_catalog
from gpwf.steps.settle import restore, settle


@pytest.fixture(scope="module", autouse=True)
def hastened() -> Iterator[None]:
    """Fit as fast as workers do, in the modules that import this."""
    from gammapy.datasets import Datasets
    from gammapy.maps import Map

    from gpwf.steps.hasten import hasten_gammapy

    patch = pytest.MonkeyPatch()
    patch.setattr(Map, "_init_copy", Map._init_copy)
    patch.setattr(Datasets, "stat_sum", Datasets.stat_sum)
    hasten_gammapy()
    yield
    patch.undo()


def weak_datasets() -> Any:
    """Return a spectrum with counts as nature gives them: a tenth of the source of `spectra`."""
    import numpy as np

    random = np.random.RandomState(11)
    datasets = make_datasets(0)
    for dataset in datasets:
        background = dataset.background.data
        source = 0.1 * (dataset.counts.data - background)
        dataset.counts.data = random.poisson(background + source).astype(float)
        dataset.counts_off.data = random.poisson(dataset.counts_off.data).astype(float)
    return datasets


@lru_cache(maxsize=2)
def fitted(weak: bool = True) -> dict[str, Any]:
    """Return the inputs of a step after a fit above 1 TeV; nobody changes them."""
    datasets = weak_datasets() if weak else make_datasets(0)
    inputs = {"datasets": datasets, "models": make_models(index=2.3, amplitude=3e-12)}
    found = run("fit", {"fit_range": {"min": "1 TeV"}}, inputs)
    return {"datasets": datasets, **found}


def run_backwards(tag: str, config: dict[str, Any], inputs: dict[str, Any]) -> Any:
    """Run a step whose parts are worked on in the opposite order, as other processes may."""

    def backwards(
        function: Callable[[Any], Any],
        items: Sequence[Any],
        tell: Callable[[int], None],
        bounded: bool = False,
    ) -> Iterator[Any]:
        found = [function(item) for item in reversed(items)]
        return reversed(found)

    step = load_catalog().step(tag)
    settings = restore(step, settle(step, config, base=Path("/nowhere")).settings)
    context = StepContext(
        step=f"my-{tag}", task_id="1", work_dir=Path("/nowhere"), spread=backwards
    )
    return step.run(settings, inputs, context)
