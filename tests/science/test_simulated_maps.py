"""Maps of a simulated source: what was put in comes out. Needs no data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import gpwf

pytestmark = pytest.mark.gammapy

WORKFLOW = """
gpwf: 1
params:
  target: {type: skycoord, default: {frame: icrs, lon: 83.633 deg, lat: 22.014 deg}}
steps:
  - tag: simulate-observations
    config: {models: TRUTH, target: "${params.target}", n_obs: 2, livetime: 28 min, seed: 1}
  - tag: data-reduction
    config:
      type: 3d
      stack: false
      geom:
        axes: {energy: {min: 1 TeV, max: 10 TeV, nbins: 3}}
        wcs: {skydir: "${params.target}", binsize: 0.05 deg, width: {width: 2 deg, height: 2 deg}}
      safe_mask: {methods: [offset-max], parameters: {offset_max: 2 deg}}
  - {tag: models, config: {file: START}}
  - tag: fit
  - tag: excess-map
  - {name: left, tag: excess-map, config: {subtract_models: true}}
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("simulated")
    models = Path(__file__).parents[2] / "workflows" / "models"
    text = WORKFLOW.replace("TRUTH", str(models / "quickstart-truth.yaml"))
    (folder / "maps.gpwf.yaml").write_text(text.replace("START", str(models / "crab-point.yaml")))
    workflow = gpwf.read(folder / "maps.gpwf.yaml")
    done = workflow.run(store=folder / "store", run_dir=folder / "run")
    assert str(done.state) == "ok"
    return done


def test_the_source_is_found_as_it_was_simulated(done: Any) -> None:
    truth = {"index": 2.6, "amplitude": 3.8e-11, "lon_0": 83.633, "lat_0": 22.014}
    fitted = done["fit"].fit_result.read()
    for name, value in truth.items():
        found = fitted.parameter("crab", name)
        assert found.error > 0
        assert abs(found.value - value) < 3 * found.error, name
    for name in ("hess-1-bkg", "hess-2-bkg"):
        norm = fitted.parameter(name, "norm")
        assert abs(norm.value - 1) < 3 * norm.error


def test_what_is_left_without_it_is_noise(done: Any) -> None:
    summaries = {item.step: item.product.summary for item in done.products()}
    assert summaries["excess-map"]["max_sqrt_ts"] > 10
    assert summaries["excess-map"]["lon_deg"] == pytest.approx(83.633, abs=0.06)
    assert summaries["left"]["max_sqrt_ts"] < 5
