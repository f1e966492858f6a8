"""The quickstart finds what it simulated, and finds it again, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import gpwf

pytestmark = pytest.mark.gammapy

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / "workflows" / "quickstart.gpwf.yaml"


def run(folder: Path, *targets: str) -> Any:
    """Run the quickstart with a store of its own; the workflow stays as it is."""
    done = gpwf.read(WORKFLOW).run(store=folder / "store", run_dir=folder / "run", targets=targets)
    assert str(done.state) == "ok"
    return done


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run(tmp_path_factory.mktemp("quickstart"), "flux-points", "light-curve")


def test_the_injected_spectrum_is_recovered(quickstart: Any) -> None:
    """Index and amplitude within three standard deviations, which are not too wide either."""
    import yaml

    truth = yaml.safe_load((WORKFLOW.parent / "models" / "quickstart-truth.yaml").read_text())
    parameters = truth["components"][0]["spectral"]["parameters"]
    fitted = quickstart["fit"].fit_result.read()
    assert fitted.success
    for name, largest in (("index", 0.04), ("amplitude", 0.06)):
        injected = next(item["value"] for item in parameters if item["name"] == name)
        found = fitted.parameter("crab", name)
        assert abs(found.value - injected) < 3 * found.error
        assert 0 < found.error < largest * injected


def test_flux_points_lie_on_the_injected_spectrum(quickstart: Any) -> None:
    import numpy as np

    table = quickstart["flux-points"].flux_points.read().to_table(sed_type="dnde")
    table = table[(table["ts"] > 25) & np.isfinite(table["dnde_err"])]
    assert len(table) >= 5
    energy = table["e_ref"].quantity.to_value("TeV")
    injected = 3.8e-11 * energy**-2.6
    found = table["dnde"].quantity.to_value("TeV-1 cm-2 s-1")
    error = table["dnde_err"].quantity.to_value("TeV-1 cm-2 s-1")
    assert np.mean(((found - injected) / error) ** 2) < 3


def test_the_simulated_source_is_steady(quickstart: Any) -> None:
    import numpy as np

    table = quickstart["light-curve"].light_curve.read().to_table(format="lightcurve")
    flux, error = (np.ravel(table[name]) for name in ("norm", "norm_err"))
    assert len(flux) == 6
    assert np.sum(((flux - np.average(flux, weights=error**-2)) / error) ** 2) < 20


def test_another_store_gets_the_same_bytes(quickstart: Any, tmp_path: Path) -> None:
    """Simulation and reduction again, in new processes and folders."""
    again = run(tmp_path, "datasets")

    def digests(done: Any) -> dict[str, str]:
        steps = ("simulate-observations", "observations", "datasets")
        return {name: item.product.digest for name in steps for item in done[name].values()}

    assert digests(again) == digests(quickstart)


def test_products_do_not_know_where_they_are(quickstart: Any) -> None:
    listing = quickstart["observations"].observations.path / "observations.json"
    content = json.loads(listing.read_text())
    assert content["obs_ids"] == [1, 2, 3, 4, 5, 6]
    assert str(quickstart.path) not in listing.read_text()
    assert {item["name"] for item in content["files"]} == {
        f"obs-{number:06d}.fits" for number in range(1, 7)
    }
