"""Counts of datasets over energy, and their residuals from a model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gpwf.steps.attach import attach_models, copy_datasets
from gpwf.steps.base import StepContext
from gpwf.steps.binning import common_energy_axis
from gpwf.steps.plots.style import (
    COLORS,
    GREY,
    energy_axis,
    marker_size,
    new_figure,
    put_legend,
    style_axes,
)

__all__ = ["counts", "draw_counts", "draw_residuals", "residuals"]


def counts(settings: Any, inputs: Mapping[str, Any], ctx: StepContext) -> Any:
    """Draw what the step ``plot`` draws as ``counts``."""
    datasets = _with_models(inputs, ctx.step)
    return draw_counts(datasets, fit_range=_fit_range(settings), title=settings.title)


def residuals(settings: Any, inputs: Mapping[str, Any], ctx: StepContext) -> Any:
    """Draw what the step ``plot`` draws as ``residuals``."""
    datasets = _with_models(inputs, ctx.step)
    return draw_residuals(datasets, fit_range=_fit_range(settings), title=settings.title)


def _with_models(inputs: Mapping[str, Any], step: str) -> Any:
    """Return datasets of one energy axis, with their models if there are any."""
    datasets, models = inputs["datasets"], inputs.get("models")
    if models is not None:
        datasets, _ = attach_models(datasets, models, step)
    else:
        datasets = copy_datasets(datasets)
    common_energy_axis(datasets, step)
    return datasets


def _fit_range(settings: Any) -> tuple[float, float] | None:
    """Return the range of the setting in TeV; None where there is none."""
    low, high = settings.fit_range.min, settings.fit_range.max
    if low is None and high is None:
        return None
    return (low.value if low else 0.0, high.value if high else math.inf)


def draw_counts(datasets: Any, *, fit_range: Any, title: str) -> Any:
    """Draw ON counts, background and, where there are models, predicted counts.

    Parameters
    ----------
    datasets : `gammapy.datasets.Datasets`
        With one energy axis; they are added up inside their safe ranges.
    fit_range : tuple of float or None
        Energies in TeV outside which the figure is shaded.
    title : str
        Title, may be empty.

    Returns
    -------
    figure : `matplotlib.figure.Figure`
    """
    figure = new_figure()
    axes = figure.add_subplot()
    sums = _sums(datasets)
    _draw_counts(axes, sums, fit_range)
    energy_axis(axes, *_range(sums))
    style_axes(axes, title)
    put_legend(axes)
    return figure


def draw_residuals(datasets: Any, *, fit_range: Any, title: str) -> Any:
    """Draw counts over predicted counts, and below the residuals in units of their deviation.

    Parameters
    ----------
    datasets : `gammapy.datasets.Datasets`
        With models set on them, and one energy axis.
    fit_range : tuple of float or None
        Energies in TeV outside which the figure is shaded.
    title : str
        Title, may be empty.

    Returns
    -------
    figure : `matplotlib.figure.Figure`
    """
    import numpy as np

    figure = new_figure(height=5.2)
    top, bottom = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": (3, 1.3)})
    figure.get_layout_engine().set(hspace=0, h_pad=0.02)
    sums = _sums(datasets)
    _draw_counts(top, sums, fit_range)
    use = sums["npred"] > 0
    residuals = (sums["counts"][use] - sums["npred"][use]) / np.sqrt(sums["npred"][use])
    bottom.axhline(0, color=COLORS[1], linewidth=1.4, zorder=2)
    for level in (-2, 2):
        bottom.axhline(level, color=GREY, linewidth=0.7, linestyle=":", zorder=1)
    bottom.errorbar(
        sums["center"][use],
        residuals,
        yerr=1.0,
        color=COLORS[0],
        marker="o",
        markersize=marker_size(len(residuals)) - 1,
        linestyle="none",
        linewidth=1.2,
        zorder=3,
    )
    _shade(bottom, sums, fit_range)
    highest = max(3.5, 1.25 * float(np.abs(residuals).max(initial=0)) + 1)
    bottom.set_ylim(-highest, highest)
    bottom.set_ylabel("(data \N{MINUS SIGN} model)\n/ $\\sqrt{\\mathrm{model}}$")
    energy_axis(bottom, *_range(sums))
    style_axes(top, title)
    style_axes(bottom)
    top.tick_params(which="both", labelbottom=False)
    figure.align_ylabels([top, bottom])
    put_legend(top)
    return figure


def _sums(datasets: Any) -> dict[str, Any]:
    """Return counts per energy bin, added up over the datasets' safe ranges, shape (n,)."""
    import numpy as np

    axis = datasets[0].counts.geom.axes["energy"]
    sums: dict[str, Any] = {
        "edges": axis.edges.to_value("TeV"),
        "center": axis.center.to_value("TeV"),
        "counts": np.zeros(axis.nbin),
        "background": np.zeros(axis.nbin),
        "npred": np.zeros(axis.nbin),
        "safe": np.zeros(axis.nbin, dtype=bool),
        "has_model": False,
        "label": "counts",
    }
    for dataset in datasets:
        shape = dataset.counts.data.shape
        safe = np.ones(shape, bool) if dataset.mask_safe is None else dataset.mask_safe.data

        def added(item: Any, safe: Any = safe) -> Any:
            data = np.where(safe, np.nan_to_num(item.data), 0)
            return data.reshape(axis.nbin, -1).sum(axis=1)

        sums["counts"] += added(dataset.counts)
        # maps have a model that scales their background; OFF counts are what they are
        is_template = dataset.stat_type == "cash"
        if not is_template:
            sums["label"] = "ON counts"
        sums["background"] += added(
            dataset.npred_background() if is_template else dataset.background
        )
        sums["safe"] |= safe.reshape(axis.nbin, -1).any(axis=1)
        if any(model.tag[0] == "SkyModel" for model in dataset.models or ()):
            sums["npred"] += added(dataset.npred())
            sums["has_model"] = True
    return sums


def _range(sums: dict[str, Any]) -> tuple[float, float]:
    """Return the energies to show: the safe range, or everything where there is none."""
    import numpy as np

    used = np.flatnonzero(sums["safe"])
    if not used.size:
        return float(sums["edges"][0]), float(sums["edges"][-1])
    return float(sums["edges"][used[0]]), float(sums["edges"][used[-1] + 1])


def _draw_counts(axes: Any, sums: dict[str, Any], fit_range: Any) -> None:
    """Draw counts as points, background and prediction as steps."""
    import numpy as np

    edges = sums["edges"]
    axes.stairs(
        sums["background"],
        edges,
        baseline=None,
        color=COLORS[2],
        linewidth=1.3,
        zorder=2,
        label="background",
    )
    if sums["has_model"]:
        axes.stairs(
            sums["npred"],
            edges,
            baseline=None,
            color=COLORS[1],
            linewidth=1.4,
            zorder=2,
            label="model and background",
        )
    use = sums["counts"] > 0
    counts = sums["counts"][use]
    axes.errorbar(
        sums["center"][use],
        counts,
        yerr=[np.minimum(np.sqrt(counts), counts), np.sqrt(counts)],
        color=COLORS[0],
        marker="o",
        markersize=marker_size(len(counts)),
        linestyle="none",
        linewidth=1.2,
        zorder=3,
        label=sums["label"],
    )
    _shade(axes, sums, fit_range)
    highest = max(float(sums[name].max()) for name in ("counts", "background", "npred"))
    if highest > 0:
        axes.set_yscale("log")
        axes.set_ylim(0.3, 2.5 * max(1.0, highest))
    else:  # nothing has a logarithm
        axes.set_ylim(0, 3)
    axes.set_ylabel("Counts per bin")


def _shade(axes: Any, sums: dict[str, Any], fit_range: Any) -> None:
    """Shade what lies outside the fit range."""
    if fit_range is None:
        return
    low, high = fit_range
    edges = sums["edges"]
    label = "outside the fit range"
    for start, stop in ((edges[0], low), (high, edges[-1])):
        if stop > start:
            axes.axvspan(start, stop, color="0.92", zorder=0, linewidth=0, label=label)
            label = ""
