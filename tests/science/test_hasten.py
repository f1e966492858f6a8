"""The detours of gammapy that workers avoid change no bit of a result."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gpwf.steps import hasten
from gpwf.steps.base import StepContext
from gpwf.steps.hasten import hasten_gammapy
from gpwf.steps.registry import load_catalog
from gpwf.steps.settle import restore, settle
from gpwf.store import formats

pytestmark = [
    pytest.mark.science,
    pytest.mark.gammapy,
    pytest.mark.filterwarnings("ignore:.*moved to the bins of the datasets"),
]

BASE = Path(__file__).parents[2] / "workflows"
CENTER = {"frame": "icrs", "lon": "83.633 deg", "lat": "22.014 deg"}
SPECTRA = {
    "type": "1d",
    "stack": False,
    "geom": {
        "axes": {
            "energy": {"min": "0.5 TeV", "max": "20 TeV", "nbins": 12},
            "energy_true": {"min": "0.2 TeV", "max": "50 TeV", "nbins": 24},
        }
    },
    "on_region": {"center": CENTER, "radius": "0.11 deg"},
    "background": {"method": "reflected"},
}
MAPS = {
    "type": "3d",
    "geom": {
        "wcs": {
            "skydir": CENTER,
            "binsize": "0.05 deg",
            "width": {"width": "1.2 deg", "height": "1 deg"},
        },
        "axes": {
            "energy": {"min": "1 TeV", "max": "10 TeV", "nbins": 4},
            "energy_true": {"min": "0.5 TeV", "max": "20 TeV", "nbins": 8},
        },
    },
    "safe_mask": {"methods": ["aeff-max"]},
}
PRIOR = """components:
- name: crab
  type: SkyModel
  spectral:
    type: PowerLawSpectralModel
    parameters:
    - name: index
      value: 2.3
      prior:
        type: GaussianPrior
        parameters: [{name: mu, value: 2}, {name: sigma, value: 0.05}]
        weight: 1.0
    - {name: amplitude, value: 3.0e-11, unit: cm-2 s-1 TeV-1}
    - {name: reference, value: 1.0, unit: TeV, frozen: true}
"""


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have gammapy as it comes, and again afterwards."""
    from gammapy.datasets import Datasets
    from gammapy.maps import Map

    monkeypatch.setattr(Map, "_init_copy", Map._init_copy)
    monkeypatch.setattr(Datasets, "stat_sum", Datasets.stat_sum)
    had_ray = "ray" in sys.modules
    yield
    if not had_ray:
        sys.modules.pop("ray", None)


def run(tag: str, config: Any, inputs: Any, folder: Path) -> Any:
    """Run one step without an engine."""
    step = load_catalog().step(tag)
    settled = settle(step, config, base=BASE)
    assert not settled.problems, settled.problems
    ctx = StepContext(step=tag, task_id=tag, work_dir=folder)
    return step.run(restore(step, settled.settings), inputs, ctx)


def analysis(reduction: Any, models: str, folder: Path) -> dict[str, bytes]:
    """Return the files of all products of an analysis."""
    folder.mkdir()
    datastore = str(Path(os.environ["GAMMAPY_DATA"]) / "hess-dl3-dr1")
    settings = {"datastore": datastore, "obs_ids": [23523, 23526]}
    products = run("observations", settings, {}, folder)
    products |= run("datasets", reduction, products, folder)
    products |= run("models", {"file": models}, {}, folder)
    inputs = {"datasets": [products["datasets"]], "models": products["models"]}
    products |= run("fit", {}, inputs, folder)
    inputs["models"] = products["models"]
    energy = {"min": "1 TeV", "max": "10 TeV", "nbins": 2}
    points = {"energy": energy, "selection_optional": ["errn-errp", "ul", "scan"]}
    products |= run("flux-points", points, inputs, folder)
    if reduction is SPECTRA:
        products |= run("light-curve", {}, inputs, folder)
    for port, value in products.items():
        target = folder / port
        target.mkdir()
        formats.write(port.replace("_", "-"), value, target, {})
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("kind", ["spectra", "prior", "maps"])
@pytest.mark.usefixtures("slow")
def test_products_stay_the_same(kind: str, tmp_path: Path) -> None:
    from gammapy.maps import Map

    reduction = MAPS if kind == "maps" else SPECTRA
    models = "models/crab-point.yaml" if kind == "maps" else "models/crab-pl.yaml"
    if kind == "prior":
        models = str(tmp_path / "prior.yaml")
        Path(models).write_text(PRIOR)
    before = analysis(reduction, models, tmp_path / "before")
    method = Map._init_copy
    hasten_gammapy()
    assert Map._init_copy is not method
    after = analysis(reduction, models, tmp_path / "after")
    assert after.keys() == before.keys()
    for name in before:
        assert after[name] == before[name], name


@pytest.mark.parametrize("reduction", [SPECTRA, MAPS], ids=["spectra", "maps"])
def test_a_reduction_reads_nothing_twice(
    reduction: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gammapy.utils.fits import HDULocation

    read: list[tuple[str, str]] = []
    load = HDULocation.load

    def counting(self: Any) -> Any:
        read.append((str(self.path()), self.hdu_name))
        return load(self)

    datastore = str(Path(os.environ["GAMMAPY_DATA"]) / "hess-dl3-dr1")
    products = run("observations", {"datastore": datastore, "obs_ids": [23523]}, {}, tmp_path)
    monkeypatch.setattr(HDULocation, "load", counting)
    run("datasets", reduction, products, tmp_path)
    assert len(read) > 3
    large = [item for item in read if item[1] in ("EVENTS", "AEFF", "EDISP", "PSF", "BKG")]
    # the first looks at the pointings, before the reduction has an observation of its own
    assert len(large) <= len(set(large)) + 1


@pytest.mark.usefixtures("slow")
def test_another_gammapy_runs_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from gammapy.datasets import Datasets
    from gammapy.maps import Map

    monkeypatch.setattr(hasten, "_KNOWN", dict.fromkeys(hasten._KNOWN, "0" * 16))
    methods = (Map._init_copy, Datasets.stat_sum)
    hasten_gammapy()
    assert (Map._init_copy, Datasets.stat_sum) == methods


@pytest.mark.usefixtures("slow")
def test_twice_is_once() -> None:
    from gammapy.datasets import Datasets

    hasten_gammapy()
    method = Datasets.stat_sum
    hasten_gammapy()
    assert Datasets.stat_sum is method
