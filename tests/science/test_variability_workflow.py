"""``workflows/variability.gpwf.yaml``: the step, gammapy's own function, and the formula."""

from __future__ import annotations

from pathlib import Path

import pytest

import gpwf

pytestmark = pytest.mark.gammapy

WORKFLOW = Path(__file__).parents[2] / "workflows" / "variability.gpwf.yaml"


def test_the_step_finds_what_the_function_finds(tmp_path: Path) -> None:
    """The excess variance is that of Vaughan et al. (2003), MNRAS 345, 1271, equations 8 and 10."""
    import numpy as np
    from gammapy.estimators.utils import compute_lightcurve_fvar

    done = gpwf.read(WORKFLOW).run(store=tmp_path / "store", run_dir=tmp_path / "run", jobs=2)
    assert str(done.state) == "ok"
    table = done["fvar"].table.read()
    curve = done["light-curve"].light_curve.read()
    by_hand = compute_lightcurve_fvar(curve, flux_quantity="flux")
    assert table.colnames == by_hand.colnames
    for name in ("fvar", "fvar_err", "significance"):
        np.testing.assert_array_equal(table[name], by_hand[name])

    flux = curve.flux.data.squeeze()
    error = curve.flux_err.data.squeeze()
    assert len(flux) == 12
    excess = np.var(flux, ddof=1) - np.mean(error**2)
    fractional = np.sqrt(np.abs(excess)) / np.mean(flux)
    np.testing.assert_allclose(table["fvar"].squeeze(), fractional, rtol=1e-12)
    row = done["variability"].variability.read()[0]
    assert row["excess_variance"] == pytest.approx(excess, rel=1e-9)
    if excess > 0:
        for name in ("fvar", "fvar_err"):
            assert row[name] == pytest.approx(table[name].squeeze(), rel=1e-9)
    else:  # gammapy takes the absolute value
        assert row["fvar"] == 0
    mean = np.average(flux, weights=error**-2.0)
    assert row["chi2"] == pytest.approx(np.sum(((flux - mean) / error) ** 2), rel=1e-9)
    assert row["significance"] < 3  # the source is steady
