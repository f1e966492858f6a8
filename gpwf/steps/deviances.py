"""Counts against predicted counts: deviances, and counts drawn from the predictions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

__all__ = ["bins_of", "deviance", "drawn"]


def _deviances(dataset: Any) -> Any:
    """Return the deviance of every bin of a dataset, zero outside of its mask.

    References
    ----------
    Baker & Cousins (1984), Nucl. Instrum. Methods 221, 437, equation 12; WStat is one already:
    Arnaud et al., XSPEC manual, appendix B.
    """
    import numpy as np
    from gammapy.stats import cash

    stat = np.asarray(dataset.stat_array(), dtype=float)
    if dataset.stat_type == "cash":
        counts = dataset.counts.data.astype(float)
        stat = stat - cash(counts, counts)
    if dataset.mask is not None:
        stat = np.where(dataset.mask.data, stat, 0.0)
    return stat


def deviance(datasets: Any) -> float:
    """Return the deviance of all datasets together, inside their masks.

    Parameters
    ----------
    datasets : `gammapy.datasets.Datasets`
        With models.
    """
    return float(sum(_deviances(dataset).sum() for dataset in datasets))


def bins_of(datasets: Any) -> Any:
    """Return counts and predictions per dataset and energy bin, inside the masks.

    Parameters
    ----------
    datasets : `gammapy.datasets.Datasets`
        With models.

    Returns
    -------
    bins : `astropy.table.Table`
        Columns ``dataset``, ``e_min`` and ``e_max`` in TeV, ``n_bins`` (pixels), ``counts``,
        ``npred``, ``npred_background``, ``residual`` (the difference over the root of the
        prediction) and ``deviance``. Energy bins without a pixel inside the mask are left out.
    """
    import numpy as np
    from astropy import units as u
    from astropy.table import Table, vstack

    parts = []
    for dataset in datasets:
        axis = dataset.counts.geom.axes["energy"]
        mask = np.ones(dataset.counts.data.shape, bool)
        if dataset.mask is not None:
            mask = dataset.mask.data.astype(bool)

        def summed(data: Any, mask: Any = mask, n: int = axis.nbin) -> Any:
            return np.where(mask, data, 0).reshape(n, -1).sum(axis=1).astype(float)

        npred, counts = summed(dataset.npred().data), summed(dataset.counts.data)
        background = getattr(dataset, "npred_background", None)
        with np.errstate(divide="ignore", invalid="ignore"):
            residual = (counts - npred) / np.sqrt(npred)
        part = Table(
            {
                "dataset": np.repeat(dataset.name, axis.nbin),
                "e_min": axis.edges_min.to(u.TeV),
                "e_max": axis.edges_max.to(u.TeV),
                "n_bins": mask.reshape(axis.nbin, -1).sum(axis=1),
                "counts": counts,
                "npred": npred,
                "npred_background": summed(background().data) if background else 0 * npred,
                "residual": residual,
                "deviance": summed(_deviances(dataset)),
            }
        )
        parts.append(part[part["n_bins"] > 0])
    table = vstack(parts, metadata_conflicts="silent")
    table.meta = {"product": "goodness-of-fit-bins"}
    return table


@contextmanager
def drawn(datasets: Any, randoms: Mapping[str, Any]) -> Iterator[None]:
    """Replace counts, ON and OFF, by draws from what the models predict; undo it afterwards.

    Parameters
    ----------
    datasets : `gammapy.datasets.Datasets`
        With models.
    randoms : mapping of str to `numpy.random.RandomState`
        Where the numbers of each dataset come from, by its name.
    """
    kept = [(item, item.counts, getattr(item, "counts_off", None)) for item in datasets]
    try:
        for dataset in datasets:
            _draw(dataset, randoms[dataset.name])
        yield
    finally:
        for dataset, counts, counts_off in kept:
            dataset.counts = counts
            if counts_off is not None:
                dataset.counts_off = counts_off


def _draw(dataset: Any, random: Any) -> None:
    """Draw counts of one dataset in place."""
    import numpy as np

    def poisson(like: Any, expected: Any) -> Any:
        rate = np.nan_to_num(expected, nan=0.0, posinf=0.0, neginf=0.0)
        return like.copy(data=random.poisson(np.maximum(rate, 0)).astype(float))

    if getattr(dataset, "counts_off", None) is None:
        dataset.counts = poisson(dataset.counts, dataset.npred().data)
        return
    background = dataset.npred_background().data
    signal = dataset.npred_signal().data
    with np.errstate(divide="ignore", invalid="ignore"):  # bins without acceptance
        off = background / dataset.alpha.data
    dataset.counts = poisson(dataset.counts, signal + background)
    dataset.counts_off = poisson(dataset.counts_off, off)
