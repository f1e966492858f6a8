"""Upper limits of flux points and light curves in bins without counts."""

from __future__ import annotations

from typing import Any

import pytest
from response_files import spectrum_of, write_irfs
from spectra import make_datasets, make_models, run

from gpwf.steps.plots.castro import _profiles

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Two spectra with a known background: the second has no counts, the first none at its end."""
    path = write_irfs(tmp_path_factory.mktemp("irfs"))
    config = {
        "observation": spectrum_of(path, n_obs=2, livetime="10 min"),
        "counts": "expected",
    }
    found = run("simulate", config, {})["datasets"]
    found[0].counts.data = np.round(found[0].counts.data + 3)
    found[0].counts.data[-1] = 0
    found[1].counts.data[...] = 0
    return found


def signal(dataset: Any) -> Any:
    """Return the expected gamma rays of the model in each bin."""
    dataset = dataset.copy(name="by-hand")
    dataset.models = make_models()
    return dataset.npred_signal().data.ravel()


def test_an_interval_without_counts_has_the_limit_of_its_likelihood(datasets: Any) -> None:
    """Minus twice the logarithm of the likelihood of no counts is twice the expected counts."""
    inputs = {"datasets": [datasets], "models": make_models()}
    for n_sigma in (2.0, 3.0):
        curve = run("light-curve", {"n_sigma_ul": n_sigma}, inputs)["light_curve"]
        norm, limit = curve.norm.data.ravel(), curve.norm_ul.data.ravel()
        assert np.isfinite(norm[0])
        assert np.isnan(norm[1])
        assert limit[1] == pytest.approx(n_sigma**2 / 2 / signal(datasets[1]).sum(), rel=1e-5)
        assert list(curve.is_ul.data.ravel()) == [False, True]
        assert limit[0] > norm[0]


def test_a_bin_without_counts_has_the_limit_of_its_likelihood(datasets: Any) -> None:
    from gammapy.datasets import Datasets

    inputs = {"datasets": [Datasets([datasets[0]])], "models": make_models()}
    points = run("flux-points", {}, inputs)["flux_points"]
    limit = points.norm_ul.data.ravel()
    assert np.isnan(points.norm.data.ravel()[-1])
    assert limit[-1] == pytest.approx(2 / signal(datasets[0])[-1], rel=1e-5)
    assert (limit > 0).all()


@pytest.mark.parametrize("n_off", [0, 5, 50])
def test_off_counts_do_not_change_the_limit_of_no_counts(n_off: int) -> None:
    """WStat without ON counts rises with the gamma rays alone; gammapy's limit may be negative."""
    from scipy.optimize import brentq

    datasets = make_datasets(0)
    spectrum = datasets[0]
    spectrum.counts.data[6] = 0
    spectrum.counts_off.data[6] = n_off
    edges = spectrum.counts.geom.axes["energy"].edges[[5, 6, 7]]
    energy = {"edges": [str(edge) for edge in edges]}
    scan = {"scan_min": 1e-3, "scan_max": 0.1, "scan_n_values": 5}
    config = {"energy": energy, "n_sigma_ul": 3.0, "parameters": {"norm": scan}}
    config["selection_optional"] = ["ul", "scan"]
    points = run("flux-points", config, {"datasets": [datasets], "models": make_models()})
    limit = points["flux_points"].norm_ul.data.ravel()
    assert limit[1] == pytest.approx(4.5 / signal(spectrum)[6], rel=1e-5)

    by_hand = spectrum.copy(name="by-hand")
    by_hand.models = make_models()
    amplitude = by_hand.models[0].spectral_model.amplitude
    reference = amplitude.value

    def rise(norm: float) -> float:
        amplitude.value = norm * reference
        return float(by_hand.stat_array()[6, 0, 0])

    lowest = rise(0.0)
    assert limit[1] == pytest.approx(brentq(lambda x: rise(x) - lowest - 9, 0, 1e4), rel=1e-4)
    assert limit[0] > 0
    # the colours of a castro plot count from no flux, as the limit does
    norm, delta = _profiles(points["flux_points"])
    np.testing.assert_allclose(delta[:, 1], 9 * norm / limit[1], rtol=1e-3)
