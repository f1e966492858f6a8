"""A fit that failed, an error that is no number, nothing counted: no step makes a result of it."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
from spectra import make_datasets, make_models, run
from test_figures import make_flux, make_source, make_spectrum

from gpwf.errors import NoDataError, StepError
from gpwf.steps.binning import require_overlap
from gpwf.steps.builtin.fit import _check_result
from gpwf.steps.fluxes import settle_flux

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")


# ---- fit -----------------------------------------------------------------------------------------


def outcome(**changes: Any) -> Any:
    optimum = {"success": True, "message": "well", "total_stat": 1.0}
    covariance = {"success": True, "message": "well"}
    for name, value in changes.items():
        part, _, key = name.partition("_")
        (optimum if part == "optimum" else covariance)[key] = value
    return SimpleNamespace(
        optimize_result=SimpleNamespace(**optimum), covariance_result=SimpleNamespace(**covariance)
    )


def test_a_good_fit_is_one() -> None:
    models = make_source()
    _check_result(outcome(), models, "fit")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimum_success": False}, "fit: the fit did not converge: well"),
        ({"covariance_success": False}, "fit: the errors of the fit are unknown: well"),
        ({"optimum_total_stat": math.nan}, "fit: the fit statistic is nan"),
        ({"optimum_total_stat": math.inf}, "fit: the fit statistic is inf"),
    ],
)
def test_what_minimisers_say_is_believed(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(StepError, match=message) as caught:
        _check_result(outcome(**changes), make_source(), "fit")
    assert caught.value.hint


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_error_that_is_no_number_is_named(value: float) -> None:
    models = make_source()
    models["crab"].spectral_model.index.error = value
    with pytest.raises(StepError, match=r"fit: no finite value or error for crab\.index"):
        _check_result(outcome(), models, "fit")


def test_nothing_counted_is_nothing_to_fit() -> None:
    inputs = {"datasets": make_spectrum(4, n_counts=0), "models": make_models()}
    with pytest.raises(NoDataError, match="fit: there are no counts in the bins to fit") as caught:
        run("fit", {}, inputs)
    assert "upper-limit" in str(caught.value.hint)


@pytest.mark.filterwarnings("ignore:.*moved to the bins")
def test_counts_outside_the_fit_range_do_not_count() -> None:
    datasets = make_datasets()
    for dataset in datasets:
        outside = dataset.counts.geom.axes["energy"].center.to_value("TeV") > 10
        dataset.counts.data[outside] = 0
    inputs = {"datasets": datasets, "models": make_models()}
    with pytest.raises(NoDataError, match="no counts in the bins to fit"):
        run("fit", {"fit_range": {"min": "12 TeV"}}, inputs)


# ---- fluxes --------------------------------------------------------------------------------------


def flux(counts: float = 5.0) -> Any:
    """Return three flux points with counts."""
    from gammapy.maps import LabelMapAxis, RegionGeom, RegionNDMap

    made = make_flux(3)
    axes = [LabelMapAxis(["hess-1"], name="dataset"), made.geom.axes["energy"]]
    made._data["counts"] = RegionNDMap.from_geom(RegionGeom.create(None, axes=axes), data=counts)
    return made


def test_a_fit_that_failed_everywhere_is_a_failure() -> None:
    points = flux()
    points._data["success"].data[...] = False
    with pytest.raises(StepError, match=r"sed: the fit failed in every bin .*\(1 to 30 TeV\)"):
        settle_flux(points, "crab", "sed")


@pytest.mark.parametrize("name", ["norm", "norm_err"])
def test_a_number_that_is_none_is_a_failure(name: str) -> None:
    points = flux()
    points._data[name].data[...] = np.nan
    with pytest.raises(StepError, match="sed: the fit failed in every bin"):
        settle_flux(points, "crab", "sed")


def test_a_fit_that_failed_somewhere_is_warned_of() -> None:
    points = flux()
    points._data["success"].data[0] = False
    points._data["norm_err"].data[1] = np.nan
    with pytest.warns(UserWarning, match="sed: the fit failed in 2 of 3 bins"):
        settle_flux(points, "crab", "sed")


def test_no_counts_is_no_data() -> None:
    with pytest.raises(NoDataError, match=r"sed: there are no counts in any bin \(1 to 30 TeV\)"):
        settle_flux(flux(counts=0), "crab", "sed")


def test_energies_that_nothing_was_measured_at_are_named() -> None:
    from astropy import units as u

    datasets = make_spectrum(10)
    axis = datasets[0].counts.geom.axes["energy"]
    datasets[0].mask_safe.data[:5] = False
    require_overlap([2, 10] * u.TeV, datasets, axis, "sed", "energy")
    words = r"sed: 'energy' \(1 to 2 TeV\) lies outside the safe range .*\(5\.477 to 30 TeV\)"
    with pytest.raises(NoDataError, match=words) as caught:
        require_overlap([1, 2] * u.TeV, datasets, axis, "sed", "energy")
    assert "'safe_mask'" in str(caught.value.hint)
