"""Spectra added up, and what datasets say of themselves that sums are made and named by."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from typing import Any

from gpwf.errors import StepError

__all__ = [
    "check_kinds",
    "evening",
    "stack_spectra",
    "telescope",
    "times_of",
    "with_common_tables",
]


def stack_spectra(datasets: Sequence[Any], name: str, step: str) -> Any:
    """Return the sum of spectra inside their safe masks.

    Parameters
    ----------
    datasets : sequence of `gammapy.datasets.SpectrumDataset`
        Or `gammapy.datasets.SpectrumDatasetOnOff`; all of one class and on one energy axis.
    name : str
        Name of the sum.
    step : str
        Name of the step, for the message.

    Returns
    -------
    dataset : `gammapy.datasets.SpectrumDataset`
        Or `gammapy.datasets.SpectrumDatasetOnOff`; a new one.

    Raises
    ------
    StepError
        Where classes or energy bins differ, or one of them is not complete.
    """
    from gammapy.datasets import Datasets

    check_kinds(datasets, step)
    for dataset in datasets[1:]:
        _check_axes(datasets[0], dataset, step)
    _warn_of_regions(datasets, name, step)
    try:
        return Datasets(with_common_tables(datasets)).stack_reduce(name=name)
    except ValueError as error:
        raise StepError(
            f"{step}: the datasets of '{name}' cannot be added: {error}",
            hint="every dataset needs counts, exposure and, with OFF counts, acceptances",
        ) from error


def check_kinds(datasets: Sequence[Any], step: str) -> None:
    """Refuse datasets of different classes.

    Raises
    ------
    StepError
        With the classes.
    """
    kinds = {dataset.tag for dataset in datasets}
    if len(kinds) > 1:
        raise StepError(
            f"{step}: the datasets are of different kinds and cannot be added: "
            f"{', '.join(sorted(kinds))}",
            hint="use the same 'type' and 'background.method' in all reductions",
        )


def with_common_tables(datasets: Sequence[Any]) -> list[Any]:
    """Return datasets whose tables of metadata have the same columns; gammapy needs that to add.

    Datasets that lose a column are copies.
    """
    tables = [dataset.meta_table for dataset in datasets]
    common: set[str] = set()
    if not any(table is None for table in tables):
        common = set.intersection(*(set(table.colnames) for table in tables))
    found = []
    for dataset, table in zip(datasets, tables, strict=True):
        changed = dataset
        if table is not None and set(table.colnames) != common:
            changed = dataset.copy(name=dataset.name)
            changed.models = dataset.models
            names = [name for name in table.colnames if name in common]
            changed.meta_table = table[names] if names else None
        found.append(changed)
    return found


def telescope(dataset: Any) -> str | None:
    """Return the telescope of a dataset as a part of a name; None where it is not said."""
    import numpy as np

    table = dataset.meta_table
    if table is None or "TELESCOP" not in table.colnames or not len(table):
        return None
    names = sorted({str(item) for item in np.ravel(table["TELESCOP"][0])})
    text = re.sub(r"[^a-z0-9]+", "-", "-".join(names).lower()).strip("-")
    return text if text and text != "unknown" else None


def times_of(dataset: Any, step: str) -> tuple[Any, Any]:
    """Return the start and the stop of a dataset, `astropy.time.Time`.

    Raises
    ------
    StepError
        Where it has no good time.
    """
    if dataset.gti is None or not len(dataset.gti.table):
        raise StepError(f"{step}: dataset '{dataset.name}' has no good time intervals")
    return dataset.gti.time_start.min(), dataset.gti.time_stop.max()


def evening(time: Any) -> str:
    """Return the date (UTC) of the evening of a night: that of 12 h before."""
    from astropy import units as u

    text: str = (time.utc - 12 * u.h).strftime("%Y-%m-%d")
    return text


def _check_axes(one: Any, two: Any, step: str) -> None:
    """Refuse spectra on different energy bins, with both of them."""
    for key in sorted(set(one.geoms) | set(two.geoms)):
        if key not in one.geoms or key not in two.geoms:
            lacking = one if key not in one.geoms else two
            what = key.removeprefix("geom_")
            raise StepError(
                f"{step}: dataset '{lacking.name}' has no {what}, others have",
                hint="reduce all of them alike",
            )
        for axis, other in zip(one.geoms[key].axes, two.geoms[key].axes, strict=True):
            if axis.nbin != other.nbin or not axis.is_allclose(other, rtol=1e-6):
                raise StepError(
                    f"{step}: the datasets '{one.name}' and '{two.name}' are on different bins of "
                    f"{axis.name} and cannot be added: {_bins(axis)}, and {_bins(other)}",
                    hint="reduce them with the same 'geom.axes', or fit them jointly",
                )


def _bins(axis: Any) -> str:
    edges = axis.edges
    return f"{axis.nbin} bins from {edges[0].value:.4g} to {edges[-1].value:.4g} {edges.unit}"


def _warn_of_regions(datasets: Sequence[Any], name: str, step: str) -> None:
    """Warn of spectra of different regions: gammapy adds them, and keeps the first region."""
    first = datasets[0]
    for dataset in datasets[1:]:
        if not _same_region(first.counts.geom, dataset.counts.geom):
            warnings.warn(
                f"{step}: '{name}' adds spectra of different ON regions: those of "
                f"'{first.name}' and '{dataset.name}'",
                stacklevel=3,
            )
            return


def _same_region(one: Any, two: Any) -> bool:
    """Tell whether two regions are one; true where that is not known (OGIP files have none)."""
    if one.region is None or two.region is None:
        return True
    if one.center_skydir.separation(two.center_skydir).deg > 1e-4:
        return False
    radius, other = (getattr(geom.region, "radius", None) for geom in (one, two))
    if radius is None or other is None:
        return True
    return bool(abs((radius / other).to_value("") - 1) < 1e-3)
