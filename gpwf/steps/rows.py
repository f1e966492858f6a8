"""Products as rows of numbers: one per energy bin, time interval, parameter or fit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gpwf.core.products import FitSummary
from gpwf.steps.dataset_parts import has_counts

__all__ = ["Rows", "rows_of"]

_SED_TYPES = ("dnde", "e2dnde", "flux", "eflux")
_SUFFIXES = ("", "_err", "_errn", "_errp", "_ul", "_sensitivity")
_COUNTED = ("counts", "npred", "npred_excess")  # with an axis of datasets
_PLAIN = ("ts", "sqrt_ts", "stat", "stat_null", "niter", "n_dof", "is_ul", "success")
# names of the columns of an axis, as gammapy's tables have them
_AXIS_COLUMNS = {
    "energy": ("e_ref", "e_min", "e_max"),
    "projected-distance": ("x_ref", "x_min", "x_max"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows of one product.

    Parameters
    ----------
    kind : str
        What they are of, in words: ``flux points``.
    columns : mapping of str to astropy.table.Column
        All of one length n, shape (n,), with units.
    keys : tuple of str
        Columns that tell the rows apart; empty where there is nothing but their number.
    defaults : tuple of str
        Columns to show where nobody says which.
    aliases : mapping of str to str
        Other names of columns.
    """

    kind: str
    columns: Mapping[str, Any]
    keys: tuple[str, ...] = ()
    defaults: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def column(self, name: str) -> Any | None:
        """Return a column by its name or by another name of it; None where there is none."""
        return self.columns.get(self.aliases.get(name, name))


def rows_of(product: Any) -> Rows | None:
    """Return the rows of a product; None for a kind of product that has none.

    Parameters
    ----------
    product : object
        Flux points, light curve or profile (`gammapy.estimators.FluxPoints`), `FitSummary`,
        `gammapy.modeling.models.Models`, `gammapy.datasets.Datasets`, `astropy.table.Table`.
    """
    from astropy.table import Table
    from gammapy.datasets import Datasets
    from gammapy.estimators import FluxPoints
    from gammapy.modeling.models import Models

    makers: tuple[tuple[type, Callable[[Any], Rows]], ...] = (
        (FluxPoints, _of_flux_points),
        (FitSummary, _of_fit),
        (Models, _of_models),
        (Datasets, _of_datasets),
        (Table, _of_table),
    )
    return next((make(product) for kind, make in makers if isinstance(product, kind)), None)


def _column(data: Any, unit: Any = None) -> Any:
    """Return a column; dimensionless ones have no unit."""
    from astropy import units as u
    from astropy.table import Column

    unit = None if unit is None else u.Unit(unit)
    if unit == u.dimensionless_unscaled:
        unit = None
    return Column(data, unit=unit)


def _of_flux_points(flux: Any) -> Rows:
    """Return a row per bin of every axis, the energy running fastest."""
    columns = _axis_columns(flux)
    keys = tuple(columns)
    for name, values, unit in _quantities(flux):
        columns[name] = _column(values.ravel(), unit)
    has_time = "time" in flux.geom.axes.names
    main = "flux" if has_time else "dnde"
    wanted = [f"{main}{suffix}" for suffix in _SUFFIXES]
    wanted += ["ts", "sqrt_ts", "counts", "npred", "is_ul", "success"]
    return Rows(
        kind="light curves" if has_time else "flux points",
        columns=columns,
        keys=keys,
        defaults=tuple(name for name in wanted if name in columns),
    )


def _axis_columns(flux: Any) -> dict[str, Any]:
    """Return the columns that say where the bins are; times as MJD in days."""
    import numpy as np

    axes = [axis for axis in reversed(list(flux.geom.axes)) if axis.name != "dataset"]
    places = np.indices([axis.nbin for axis in axes]).reshape(len(axes), -1)
    columns: dict[str, Any] = {}
    for axis, place in zip(axes, places, strict=True):
        if axis.name == "time":
            columns["time_min"] = _column(axis.time_min.mjd[place], "d")
            columns["time_max"] = _column(axis.time_max.mjd[place], "d")
            continue
        names = _AXIS_COLUMNS.get(
            axis.name, tuple(f"{axis.name}_{x}" for x in ("ref", "min", "max"))
        )
        for name, values in zip(names, (axis.center, axis.edges[:-1], axis.edges[1:]), strict=True):
            columns[name] = _column(values.value[place], values.unit)
    return columns


def _quantities(flux: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield (name, values, unit) of everything that has one value per bin."""
    import numpy as np

    available = set(flux.available_quantities)
    names = [
        f"{base}{suffix}"
        for base in ("norm", *_SED_TYPES)
        for suffix in _SUFFIXES
        if f"norm{suffix}" in available
    ]
    computed = {"is_ul": flux.has_ul, "sqrt_ts": flux.has_any_ts, "ts": flux.has_any_ts}
    names += [name for name in _PLAIN if computed.get(name, name in available)]
    for name in names:
        item = getattr(flux, name)
        yield name, item.data, item.unit
    for name in _COUNTED:
        if name in available:
            item = getattr(flux, name)
            axes = item.geom.axes.names
            # datasets are added up; those without data in a bin have NaN there
            at = item.data.ndim - 3 - axes.index("dataset") if "dataset" in axes else ()
            yield name, np.nansum(item.data, axis=at), item.unit


def _of_fit(summary: FitSummary) -> Rows:
    """Return one row with the statistic and every parameter."""
    columns: dict[str, Any] = {
        "total_stat": _column([summary.total_stat]),
        "success": _column([summary.success]),
        "nfev": _column([summary.nfev]),
        "n_free": _column([summary.n_free]),
        "n_datasets": _column([len(summary.datasets)]),
        "n_bins": _column([sum(item.n_bins for item in summary.datasets)]),
        "counts": _column([sum(item.counts for item in summary.datasets)]),
        "npred": _column([sum(item.npred for item in summary.datasets)]),
    }
    names = [item.name for item in summary.parameters]
    defaults = ["total_stat"]
    aliases: dict[str, str] = {}
    for item in summary.parameters:
        full = f"{item.model}.{item.name}"
        columns[full] = _column([item.value], item.unit)
        columns[f"{full}_err"] = _column([item.error], item.unit)
        if not item.frozen:
            defaults += [full, f"{full}_err"]
        if names.count(item.name) == 1:
            aliases |= {item.name: full, f"{item.name}_err": f"{full}_err"}
    for model in _log_parabolas(summary):
        for suffix in ("", "_err"):
            # log(x) = log10(x) ln(10): the curvature of those who take decadic logarithms
            values = columns[f"{model}.beta{suffix}"] * math.log(10)
            columns[f"{model}.beta_log10{suffix}"] = values
            if names.count("beta") == 1:
                aliases[f"beta_log10{suffix}"] = f"{model}.beta_log10{suffix}"
    return Rows(kind="fit results", columns=columns, defaults=tuple(defaults), aliases=aliases)


def _log_parabolas(summary: FitSummary) -> list[str]:
    """Return the models that are log parabolas, whose exponent is -alpha - beta log(E / E0)."""
    found: dict[str, set[str]] = {}
    for item in summary.parameters:
        found.setdefault(item.model, set()).add(item.name)
    return [model for model, names in found.items() if {"alpha", "beta", "reference"} <= names]


def _of_models(models: Any) -> Rows:
    """Return a row per parameter; its unit is a column, as rows have different ones."""
    found = [(model.name, item) for model in models for item in model.parameters]
    columns = {
        "model": _column([model for model, _ in found]),
        "parameter": _column([item.name for _, item in found]),
        "unit": _column([item.unit.to_string("fits") for _, item in found]),
        "value": _column([float(item.value) for _, item in found]),
        "error": _column([float(item.error) for _, item in found]),
        "min": _column([float(item.min) for _, item in found]),
        "max": _column([float(item.max) for _, item in found]),
        "frozen": _column([bool(item.frozen) for _, item in found]),
    }
    keys = ("model", "parameter", "unit")
    return Rows(kind="models", columns=columns, keys=keys, defaults=("value", "error", "frozen"))


def _of_datasets(datasets: Any) -> Rows:
    """Return a row per dataset with its counts, as gammapy sums them up.

    What a dataset does not have, as flux points have no counts, is NaN.
    """
    from astropy.table import Table

    info = [
        dataset.info_dict() if has_counts(dataset) else {"name": dataset.name}
        for dataset in datasets
    ]
    blanks = {name: _blank(value) for item in reversed(info) for name, value in item.items()}
    names = dict.fromkeys(name for item in info for name in item)
    rows = _of_table(
        Table([{name: item.get(name, blanks[name]) for name in names} for item in info])
    )
    defaults = ("counts", "background", "excess", "sqrt_ts", "livetime")
    return Rows(
        kind="datasets",
        columns=rows.columns,
        keys=("name",),
        defaults=tuple(name for name in defaults if name in rows.columns),
    )


def _blank(value: Any) -> Any:
    """Return what stands for a missing value: NaN in the unit of the others, or no text."""
    return "" if isinstance(value, str) else math.nan * getattr(value, "unit", 1)


def _of_table(table: Any) -> Rows:
    """Return the rows of a table, all of its columns that have one value per row."""
    from astropy.table import Table

    columns = {
        name: column
        for name, column in Table(table).columns.items()
        if getattr(column, "ndim", 2) == 1 and column.dtype.kind in "biufUS"
    }
    return Rows(kind="tables", columns=columns, defaults=tuple(columns))
