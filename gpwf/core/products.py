"""Products that are plain data: what a fit found, without the objects; files that were made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = [
    "FIT_FORMAT",
    "DatasetStat",
    "FitSummary",
    "FittedParameter",
    "MadeFile",
    "WrittenProduct",
]

FIT_FORMAT = "gpwf-fit-result/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeFile:
    """A file that a step made in its scratch folder and gives away.

    Parameters
    ----------
    path : Path
        Where it is; storing it may move it.
    summary : mapping
        A few plain values for people, such as the version of the program.
    """

    path: Path
    summary: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenProduct:
    """A product in the files of its format, which a step gives as it is.

    Parameters
    ----------
    folder : Path
        Holds the files under their names, those of `gpwf.store.formats`.
    """

    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedParameter:
    """One parameter of the models after a fit.

    Parameters
    ----------
    name : str
        Name of the parameter, ``amplitude``.
    model : str
        Name of the model it belongs to, ``crab``.
    value, error : float
        In ``unit``; the error is the square root of the covariance's diagonal, 0 where frozen.
    unit : str
        Unit in the notation of FITS, empty where there is none.
    min, max : float, optional
        Bounds in ``unit``; None where there is none.
    frozen : bool
        True where the fit left it alone.
    """

    name: str
    model: str
    value: float
    error: float
    unit: str = ""
    min: float | None = None
    max: float | None = None
    frozen: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetStat:
    """What one dataset contributes to a fit, inside its safe and fit range.

    Parameters
    ----------
    name : str
        Name of the dataset.
    stat : float
        Fit statistic at the best fit.
    n_bins : int
        Bins that enter the fit.
    counts : float
        Counts in these bins.
    npred : float
        Counts that the best fit predicts in these bins, signal and background.
    """

    name: str
    stat: float
    n_bins: int
    counts: float
    npred: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSummary:
    """The outcome of a fit.

    Parameters
    ----------
    total_stat : float
        Fit statistic at the best fit, summed over the datasets.
    success : bool
        True where optimiser and covariance both ended well.
    message : str
        What the optimiser said.
    nfev : int
        Evaluations of the fit statistic.
    backend, method : str
        What minimised: ``minuit``, ``migrad``.
    n_free : int
        Free parameters, linked ones counted once.
    parameters : tuple of FittedParameter
        Every parameter, in the order of the models.
    covariance : tuple of tuple of float
        Square matrix in the order and the units of ``parameters``.
    datasets : tuple of DatasetStat
        In the order of the datasets.
    fit_range : tuple of (float or None, float or None), optional
        Energies in TeV between which was fitted, None for a bound that does not limit; None where
        nobody wrote it down.
    """

    total_stat: float
    success: bool
    message: str
    nfev: int
    backend: str
    method: str
    n_free: int
    parameters: tuple[FittedParameter, ...]
    covariance: tuple[tuple[float, ...], ...]
    datasets: tuple[DatasetStat, ...] = ()
    fit_range: tuple[float | None, float | None] | None = None

    def parameter(self, model: str, name: str) -> FittedParameter:
        """Return one parameter; KeyError with what there is where there is none."""
        for item in self.parameters:
            if item.model == model and item.name == name:
                return item
        known = ", ".join(f"{item.model}.{item.name}" for item in self.parameters)
        raise KeyError(f"no parameter {model}.{name}; there are {known}")

    def to_plain(self) -> dict[str, Any]:
        """Return plain data for JSON, the inverse of `from_plain`."""
        return {
            "format": FIT_FORMAT,
            "total_stat": self.total_stat,
            "success": self.success,
            "message": self.message,
            "nfev": self.nfev,
            "backend": self.backend,
            "method": self.method,
            "n_free": self.n_free,
            "parameters": [_fields(item) for item in self.parameters],
            "covariance": [list(row) for row in self.covariance],
            "datasets": [_fields(item) for item in self.datasets],
            "fit_range": None if self.fit_range is None else list(self.fit_range),
        }

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> FitSummary:
        """Build from the plain data of `to_plain`.

        Raises
        ------
        ValueError
            Where the data is of another format.
        """
        if data.get("format") != FIT_FORMAT:
            raise ValueError(f"not a fit result of format {FIT_FORMAT}: {data.get('format')!r}")
        return cls(
            total_stat=float(data["total_stat"]),
            success=bool(data["success"]),
            message=str(data["message"]),
            nfev=int(data["nfev"]),
            backend=str(data["backend"]),
            method=str(data["method"]),
            n_free=int(data["n_free"]),
            parameters=tuple(FittedParameter(**item) for item in data["parameters"]),
            covariance=tuple(tuple(float(x) for x in row) for row in data["covariance"]),
            datasets=tuple(DatasetStat(**item) for item in data["datasets"]),
            fit_range=None if data.get("fit_range") is None else tuple(data["fit_range"]),
        )


def _fields(item: FittedParameter | DatasetStat) -> dict[str, Any]:
    """Return the fields of a slotted dataclass as a dict."""
    return {name: getattr(item, name) for name in item.__dataclass_fields__}
