"""Fit results and the dispatch over kinds: plain data, no gammapy needed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from gpwf.core.products import DatasetStat, FitSummary, FittedParameter
from gpwf.errors import StoreError
from gpwf.store import formats

SUMMARY = FitSummary(
    total_stat=49.44272362549127,
    success=True,
    message="Optimization terminated successfully.",
    nfev=123,
    backend="minuit",
    method="migrad",
    n_free=1,
    parameters=(
        FittedParameter(name="index", model="crab", value=2.1 / 0.7, error=0.1, min=1.0),
        FittedParameter(
            name="reference", model="crab", value=1.0, error=0.0, unit="TeV", frozen=True
        ),
    ),
    covariance=((0.1**2, 0.0), (0.0, 0.0)),
    datasets=(DatasetStat(name="hess-1", stat=3.3, n_bins=12, counts=40.0, npred=41.5),),
)


def never(digest: str) -> Path:
    raise AssertionError(digest)


def test_fit_result_comes_back_equal_without_gammapy(tmp_path: Path) -> None:
    card = {"GPWFKEY": "ab" * 32}
    summary = formats.write("fit-result", SUMMARY, tmp_path, card)
    assert formats.read("fit-result", tmp_path, never) == SUMMARY
    assert summary["n_bins"] == 12
    assert json.loads((tmp_path / "fit_result.json").read_text())["gpwf"] == card


def test_an_unknown_parameter_lists_the_known_ones() -> None:
    assert SUMMARY.parameter("crab", "index").error == 0.1
    with pytest.raises(KeyError, match=r"crab\.alpha; there are crab\.index, crab\.ref"):
        SUMMARY.parameter("crab", "alpha")


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "fit_result.json").write_text('{"format": "somebody-else/9"}')
    with pytest.raises(StoreError, match="not a fit result"):
        formats.read("fit-result", tmp_path, never)


def test_an_unknown_kind_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"'cheese'.*flux-points"):
        formats.write("cheese", SUMMARY, tmp_path)


def test_every_kind_names_its_main_file() -> None:
    assert formats.main_file("flux-points") == "flux_points.fits"
    assert formats.main_file("datastore") is None
    assert {"datasets", "models", "figure"} <= set(formats.kinds())


def test_parameter_look_up_by_model_and_name() -> None:
    assert SUMMARY.parameter("crab", "index").min == 1.0
    with pytest.raises(KeyError):
        SUMMARY.parameter("vela", "index")


def test_importing_the_package_does_not_import_gammapy() -> None:
    import subprocess

    code = "import sys, gpwf.store.formats; print('gammapy' in sys.modules, 'numpy' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == ["False", "False"]
