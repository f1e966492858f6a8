"""Counts of datasets that were never measured: drawn, expected, or added to measured ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpwf.errors import StepError

__all__ = ["add_counts", "draw_counts", "expect_counts"]

_TOO_MANY = 1e15  # of a bin: beyond, counts in floating point are not whole numbers any more


def draw_counts(dataset: Any, random: Any, step: str) -> None:
    """Draw the counts of one dataset in place.

    Parameters
    ----------
    dataset : `gammapy.datasets.MapDataset`
        With its models.
    random : `numpy.random.RandomState`
        Where the numbers come from.
    step : str
        Name of the step, for the message.

    Raises
    ------
    StepError
        Where there is nothing to draw from, or what is expected cannot be drawn.

    References
    ----------
    `gammapy.datasets.SpectrumDatasetOnOff.fake`, `gammapy.datasets.MapDataset.fake`.
    """
    import numpy as np

    has_off = _has_off(dataset, step)
    _check_expected(dataset, step, dataset.npred_signal() if has_off else dataset.npred())
    if has_off:
        expected = _background(dataset)
        dtype = dataset.counts_off.data.dtype, dataset.counts.data.dtype
        with np.errstate(invalid="ignore", divide="ignore"):  # bins without acceptance
            dataset.fake(expected, random_state=random)
        dataset.counts_off.data = dataset.counts_off.data.astype(dtype[0])
        dataset.counts.data = dataset.counts.data.astype(dtype[1])
        return
    dtype_on = _counts(dataset).data.dtype
    dataset.fake(random_state=random)
    dataset.counts.data = dataset.counts.data.astype(dtype_on)


def expect_counts(dataset: Any, step: str) -> None:
    """Set the counts of one dataset in place to what is expected; OFF counts stay.

    Parameters
    ----------
    dataset : `gammapy.datasets.MapDataset`
        With its models.
    step : str
        Name of the step, for the message.

    Raises
    ------
    StepError
        Where nothing is expected, or what is no number of counts.
    """
    counts = _counts(dataset)
    has_off = _has_off(dataset, step)
    _check_expected(dataset, step, dataset.npred_signal() if has_off else dataset.npred())
    if has_off:
        counts.data = dataset.npred_signal().data + _background(dataset).data
    else:
        counts.data = dataset.npred().data
    dataset.counts = counts


def add_counts(dataset: Any, names: Sequence[str], random: Any, step: str) -> None:
    """Add drawn counts of sources to the counts of one dataset in place.

    Parameters
    ----------
    dataset : `gammapy.datasets.MapDataset`
        With its models.
    names : sequence of str
        Models that are drawn; those that are not on this dataset add nothing.
    random : `numpy.random.RandomState`
        Where the numbers come from.
    step : str
        Name of the step, for the message.

    Raises
    ------
    StepError
        Where the dataset has no counts to add to, or what is expected cannot be drawn.
    """
    import numpy as np

    if dataset.counts is None:
        raise StepError(f"{step}: dataset '{dataset.name}' has no counts to add to")
    own = [name for name in names if name in (dataset.models.names if dataset.models else ())]
    if not own:
        return
    signal = dataset.npred_signal(model_names=own)
    _check_expected(dataset, step, signal)
    drawn = random.poisson(np.nan_to_num(signal.data, nan=0.0))
    dataset.counts.data = (dataset.counts.data + drawn).astype(dataset.counts.data.dtype)


def _check_expected(dataset: Any, step: str, expected: Any) -> None:
    """Check that counts can be drawn; gammapy takes what is no number for no counts.

    Raises
    ------
    StepError
        Where less than nothing is expected, what is no number, or too much.
    """
    import numpy as np

    names = ", ".join(dataset.models.names) if dataset.models else "none"
    values = expected.data
    if dataset.mask_safe is not None:
        values = values[dataset.mask_safe.data.astype(bool)]
    numbers = [item.value for item in dataset.models.parameters] if dataset.models else []
    if not (np.isfinite(values).all() and np.isfinite(numbers).all()):  # gammapy sums without NaN
        what = "is not a finite number in every bin"
    elif (expected.data < 0).any():
        what = "is negative in some bins"
    elif (expected.data > _TOO_MANY).any():
        what = f"is more than {_TOO_MANY:.0e} in some bins"
    else:
        return
    raise StepError(
        f"{step}: what is expected in dataset '{dataset.name}' {what} (models: {names})",
        hint="check the values and units of the models' parameters, and the safe range of the "
        "dataset",
    )


def _has_off(dataset: Any, step: str) -> bool:
    """Tell whether the background is that of OFF counts; there is one, or a source.

    Raises
    ------
    StepError
        Where it is not so, or where OFF counts cannot be drawn.
    """
    is_on_off = dataset.tag.endswith("OnOff")
    if is_on_off and not dataset._geom.is_region:
        raise StepError(
            f"{step}: dataset '{dataset.name}' is a map with a measured OFF background; its OFF "
            "counts cannot be drawn pixel by pixel, neighbours share most of their events",
            hint="simulate from datasets with a modelled background (fov_background)",
        )
    if is_on_off and dataset.counts_off is None:
        raise StepError(
            f"{step}: dataset '{dataset.name}' has no OFF counts to draw from",
            hint="connect the datasets after the background is measured",
        )
    if is_on_off:
        return True
    if dataset.background is None and not dataset.models:
        raise StepError(
            f"{step}: dataset '{dataset.name}' has no background, and no source shines in it",
            hint="set 'sources' or 'inject'",
        )
    return False


def _background(dataset: Any) -> Any:
    """Return the background that OFF counts tell; none where there is no acceptance."""
    import numpy as np

    expected = dataset.background
    expected.data = np.nan_to_num(expected.data, nan=0.0, posinf=0.0, neginf=0.0)
    return expected


def _counts(dataset: Any) -> Any:
    """Return the map of counts; an empty one where there is none yet."""
    from gammapy.maps import Map

    if dataset.counts is None:
        dataset.counts = Map.from_geom(dataset._geom, unit="")
    return dataset.counts
