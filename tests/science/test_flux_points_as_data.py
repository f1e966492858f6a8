"""Published flux points in a fit: those of a file, of a catalogue, and beside counts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gpwf.errors import StepError
from gpwf.steps.base import StepContext
from gpwf.steps.registry import load_catalog
from gpwf.steps.settle import restore, settle
from gpwf.store import formats

pytestmark = [pytest.mark.science, pytest.mark.gammapy]

np = pytest.importorskip("numpy")

if not os.environ.get("GAMMAPY_DATA"):
    pytest.skip("GAMMAPY_DATA is not set", allow_module_level=True)

DATA = Path(os.environ["GAMMAPY_DATA"])
POINTS = DATA / "estimators" / "crab_hess_fp" / "crab_hess_fp.fits"
FERMI = {"catalog": "3fhl", "source": "3FHL J0534.5+2201"}


def run(tag: str, config: dict[str, Any], inputs: dict[str, Any]) -> Any:
    """Run one step without an engine."""
    step = load_catalog().step(tag)
    settled = settle(step, config, base=Path("/nowhere"))
    assert not settled.problems, settled.problems
    context = StepContext(step=tag, task_id=tag, work_dir=Path("/nowhere"))
    return step.run(restore(step, settled.settings), inputs, context)


def log_parabola() -> Any:
    from gammapy.modeling.models import LogParabolaSpectralModel, Models, SkyModel

    spectrum = LogParabolaSpectralModel(
        amplitude="3e-11 cm-2 s-1 TeV-1", reference="1 TeV", alpha=2.4, beta=0.1
    )
    return Models([SkyModel(spectrum, name="crab")])


@pytest.mark.parametrize("stat_type", ["chi2", "distrib", "profile"])
def test_the_fit_is_that_of_gammapy(stat_type: str, tmp_path: Path) -> None:
    from gammapy.datasets import Datasets, FluxPointsDataset
    from gammapy.estimators import FluxPoints
    from gammapy.modeling import Fit

    config = {"files": [str(POINTS)], "stat_type": stat_type}
    datasets = run("read-datasets", config, {})["datasets"]
    formats.write("datasets", datasets, tmp_path, {})
    datasets = formats.read("datasets", tmp_path, Path)  # what the next step would have
    ours = run("fit", {}, {"datasets": datasets, "models": log_parabola()})["fit_result"]

    by_hand = Datasets([FluxPointsDataset(data=FluxPoints.read(POINTS), stat_type=stat_type)])
    by_hand.models = log_parabola()
    result = Fit().run(by_hand)
    assert ours.total_stat == pytest.approx(result.total_stat, rel=1e-6)
    for item in by_hand.models.parameters:
        found = ours.parameter("crab", item.name)
        assert found.value == pytest.approx(item.value, rel=1e-3)
        assert found.error == pytest.approx(item.error, rel=0.01)


@pytest.mark.filterwarnings("ignore:.*energies of 'energy' moved")
def test_a_catalogue_and_spectra_are_fitted_together() -> None:
    """The 3FHL above 30 GeV, H.E.S.S. from counts: as maps and spectra together have it."""
    spectra = DATA / "joint-crab" / "spectra" / "hess"
    hess = run(
        "read-datasets",
        {
            "files": [str(spectra / f"pha_obs{number}.fits") for number in (23523, 23526)],
            "energy": {"min": "0.66 TeV", "max": "30 TeV"},
            "prefix": "hess",
        },
        {},
    )["datasets"]
    config = {"catalog_sources": [FERMI], "energy": {"min": "20 GeV"}}
    fermi = run("read-datasets", config, {})["datasets"]
    assert fermi.names == ["3fhl-3fhl-j0534-5-2201"]
    fitted = run("fit", {}, {"datasets": [fermi, hess], "models": log_parabola()})["fit_result"]
    assert fitted.parameter("crab", "alpha").value == pytest.approx(2.5, abs=0.15)
    assert fitted.parameter("crab", "amplitude").value == pytest.approx(4e-11, abs=8e-12)
    assert [item.counts > 0 for item in fitted.datasets] == [False, True, True]


def test_what_a_catalogue_does_not_have_is_told() -> None:
    wrong = {"catalog_sources": [{"catalog": "3fhl", "source": "3FHL J0534.5+2202"}]}
    with pytest.raises(StepError, match=r"no source '3FHL J0534\.5") as caught:
        run("read-datasets", wrong, {})
    assert "3FHL J0534.5+2201" in (caught.value.hint or "")
    with pytest.raises(StepError, match="there is a dataset '3fhl-3fhl-j0534-5-2201' already"):
        run("read-datasets", {"catalog_sources": [FERMI, FERMI]}, {})
    several = {"catalog_sources": [{"catalog": "3fgl", "source": "Crab"}]}
    with pytest.raises(StepError, match=r"'3fgl' has [23] sources 'Crab'"):
        run("read-datasets", several, {})
    step = load_catalog().step("read-datasets")
    settled = settle(step, {"catalog_sources": [FERMI]}, base=Path("/nowhere"))
    settings = restore(step, settled.settings)
    assert step.inputs(settings) == ()
    assert [item.name for item in step.external_files(settings)] == ["gll_psch_v13.fit.gz"]


@pytest.mark.parametrize(
    ("catalog", "source"), [("hgps", "HESS J1911+090"), ("gamma-cat", "W 49B"), ("hgps", "Vela X")]
)
@pytest.mark.filterwarnings("ignore:.*their bins are not used")
def test_fluxes_of_catalogues_stay_at_their_energies(catalog: str, source: str) -> None:
    """gammapy takes the middle of bins, a factor of four away for W 49B; below 1e-3 it may."""
    from gammapy.catalog import CATALOG_REGISTRY

    config = {"catalog_sources": [{"catalog": catalog, "source": source}]}
    data = run("read-datasets", config, {})["datasets"][0].data
    table = CATALOG_REGISTRY.get_cls(catalog)()[source].flux_points_table
    np.testing.assert_allclose(data.energy_ref / table["e_ref"].quantity, 1, rtol=1.1e-3)
    flux = data.dnde.quantity.to_value("cm-2 s-1 TeV-1").ravel()  # limits have none
    np.testing.assert_allclose(flux, table["dnde"].quantity.to_value("cm-2 s-1 TeV-1"), rtol=1e-6)
