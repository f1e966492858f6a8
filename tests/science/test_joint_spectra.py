"""The spectra of the joint Crab analysis of five instruments: our steps against gammapy by hand,
and both against the published numbers.

References
----------
Nigro et al. 2019, "Towards open and reproducible multi-instrument analysis in gamma-ray
astronomy", A&A 625, A10, table 2: joint fit of a log parabola with reference 1 TeV,
the decadic logarithm, in the digits of the repository that belongs to the paper
(open-gamma-ray-astro/joint-crab, results/summary/results.md).
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import pytest

from gpwf.steps.base import StepContext
from gpwf.steps.registry import load_catalog
from gpwf.steps.settle import restore, settle

pytestmark = [pytest.mark.science, pytest.mark.gammapy]

np = pytest.importorskip("numpy")

INSTRUMENTS = {
    "fermi": ["obs0"],
    "magic": ["obs5029747", "obs5029748"],
    "veritas": ["obs54809", "obs57993"],
    "fact": ["stacked"],
    "hess": ["obs23523", "obs23526", "obs23559", "obs23592"],
}
# value and error of the paper; amplitude in TeV-1 s-1 cm-2
PUBLISHED = {
    "amplitude": (38.49128e-12, 1.14352e-12),
    "alpha": (2.50537, 0.02550),
    "beta": (0.23621, 0.02451),
}
RANGES_TEV = {
    "fermi": (0.03, 2),
    "magic": (0.08, 30),
    "veritas": (0.15, 30),
    "fact": (0.4, 30),
    "hess": (0.5, 30),
}
PARAMETERS = [
    {"name": "amplitude", "value": 3e-11, "unit": "cm-2 s-1 TeV-1"},
    {"name": "reference", "value": 1.0, "unit": "TeV", "frozen": True},
    {"name": "alpha", "value": 2.3},
    {"name": "beta", "value": 0.1},
]


def run(tag: str, config: dict[str, Any], inputs: dict[str, Any]) -> Any:
    """Run one step without an engine."""
    step = load_catalog().step(tag)
    settled = settle(step, config, base=Path("/nowhere"))
    assert not settled.problems, settled.problems
    context = StepContext(step=tag, task_id=tag, work_dir=Path("/nowhere"))
    return step.run(restore(step, settled.settings), inputs, context)


def spectra(instrument: str) -> list[str]:
    """Return the paths of the spectra of an instrument."""
    folder = Path(os.environ["GAMMAPY_DATA"]) / "joint-crab" / "spectra" / instrument
    return [str(folder / f"pha_{name}.fits") for name in INSTRUMENTS[instrument]]


def joint_fit(ranges: dict[str, tuple[float, float]]) -> dict[str, Any]:
    """Return the products of our steps: one step reads each instrument, one fits all."""
    products = []
    for name in INSTRUMENTS:
        config: dict[str, Any] = {"files": spectra(name), "prefix": name}
        if name in ranges:
            low, high = ranges[name]
            config["energy"] = {"min": f"{low} TeV", "max": f"{high} TeV"}
        products.append(run("read-datasets", config, {})["datasets"])
    component = {"name": "crab", "type": "SkyModel"}
    component |= {"spectral": {"type": "lp", "parameters": PARAMETERS}}
    models = run("models", {"inline": [component]}, {})["models"]
    return run("fit", {}, {"datasets": products, "models": models}) | {"datasets": products}


@pytest.fixture(scope="module")
def chain() -> dict[str, Any]:
    """Return the products over the whole safe ranges."""
    return joint_fit({})


@pytest.fixture(scope="module")
def by_hand() -> tuple[Any, Any]:
    """Return datasets and fit result, with gammapy's API and nothing else."""
    from gammapy.datasets import Datasets, SpectrumDatasetOnOff
    from gammapy.modeling import Fit
    from gammapy.modeling.models import LogParabolaSpectralModel, SkyModel

    datasets = Datasets(
        [
            SpectrumDatasetOnOff.read(path, name=f"{instrument}-{Path(path).stem}")
            for instrument in INSTRUMENTS
            for path in spectra(instrument)
        ]
    )
    spectrum = LogParabolaSpectralModel(
        amplitude="3e-11 cm-2 s-1 TeV-1", reference="1 TeV", alpha=2.3, beta=0.1
    )
    datasets.models = [SkyModel(spectrum, name="crab")]
    return datasets, Fit().run(datasets)


def test_the_spectra_are_those_that_gammapy_reads(
    chain: dict[str, Any], by_hand: tuple[Any, Any]
) -> None:
    ours = [dataset for product in chain["datasets"] for dataset in product]
    assert [dataset.name for dataset in ours][:3] == ["fermi-0", "magic-5029747", "magic-5029748"]
    for one, two in zip(ours, by_hand[0], strict=True):
        for name in ("counts", "counts_off", "acceptance", "acceptance_off", "mask_safe"):
            before, after = getattr(two, name).data, getattr(one, name).data
            np.testing.assert_array_equal(after, before, err_msg=name)
        np.testing.assert_array_equal(one.exposure.data, two.exposure.data)
        np.testing.assert_array_equal(one.edisp.edisp_map.data, two.edisp.edisp_map.data)


def test_the_joint_fit_is_that_of_gammapy_by_hand(
    chain: dict[str, Any], by_hand: tuple[Any, Any]
) -> None:
    summary, (_, result) = chain["fit_result"], by_hand
    assert len(summary.datasets) == 10
    assert summary.total_stat == pytest.approx(result.total_stat, rel=1e-10)
    for ours, theirs in zip(summary.parameters, result.models.parameters, strict=True):
        assert ours.name == theirs.name
        assert ours.value == pytest.approx(theirs.value, rel=1e-8)
        assert ours.error == pytest.approx(theirs.error, rel=1e-6)


@pytest.mark.filterwarnings("ignore:.*energies of 'energy' moved")
def test_the_joint_fit_is_the_published_one() -> None:
    """The same ranges, by bins: another likelihood code found these numbers."""
    summary = joint_fit(RANGES_TEV)["fit_result"]
    for name, (value, error) in PUBLISHED.items():
        found = summary.parameter("crab", name)
        scale = math.log(10) if name == "beta" else 1  # gammapy's is for the natural logarithm
        assert found.value * scale == pytest.approx(value, rel=1e-3)
        assert found.error * scale == pytest.approx(error, rel=5e-3)


def test_controls_of_these_spectra_have_no_source(chain: dict[str, Any]) -> None:
    """Fakes from the OFF counts alone, fitted like the data: nothing that shines like the Crab."""
    hess = chain["datasets"][-1]
    amplitudes = []
    for seed in range(5):
        fakes = run("simulate", {"seed": seed}, {"datasets": hess, "models": chain["models"]})
        shape = chain["models"].copy()
        shape.parameters.free_parameters.freeze_all()
        shape[0].spectral_model.amplitude.frozen = False
        fitted = run("fit", {}, {"datasets": [fakes["datasets"]], "models": shape})
        amplitudes.append(fitted["fit_result"].parameter("crab", "amplitude"))
    pulls = [item.value / item.error for item in amplitudes]
    assert np.abs(pulls).max() < 4
    assert max(item.value for item in amplitudes) < 0.1 * 3.85e-11


def test_a_file_of_another_folder_enters_the_key() -> None:
    """The response files beside a spectrum are part of what decides whether a result is reused."""
    step = load_catalog().step("read-datasets")
    settings = step.Settings.model_validate({"files": tuple(spectra("magic"))})
    found = [(item.setting, item.name) for item in step.external_files(settings)]
    assert found[:4] == [
        ("files.0", f"{kind}_obs5029747.fits") for kind in ("pha", "arf", "bkg", "rmf")
    ]
    assert len(found) == 8


def test_the_fermi_map_is_read(tmp_path: Path) -> None:
    from gpwf.store import formats

    folder = Path(os.environ["GAMMAPY_DATA"]) / "fermi-3fhl-crab"
    files = [str(folder / "Fermi-LAT-3FHL_datasets.yaml")]
    found = run("read-datasets", {"files": files}, {})["datasets"]
    assert found.names == ["Fermi-LAT"]
    assert found[0].tag == "MapDataset"
    formats.write("datasets", found, tmp_path, {})
    again = formats.read("datasets", tmp_path, lambda digest: Path(digest))
    for name in ("counts", "background", "exposure"):
        np.testing.assert_array_equal(getattr(again[0], name).data, getattr(found[0], name).data)
