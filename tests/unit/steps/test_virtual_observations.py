"""Datasets of a file of response: what is expected, what is drawn, and what is added to data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from response_files import POINTING, TARGET, map_of, spectrum_of, write_irfs
from spectra import make_datasets, make_models, problems, run

from gpwf.errors import StepError, StepInputError
from gpwf.steps.registry import load_catalog

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")


@pytest.fixture(scope="module")
def irf_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_irfs(tmp_path_factory.mktemp("irfs"))


def make_source(folder: Path, amplitude: float = 2e-11) -> str:
    """Write a point source in the middle of the maps."""
    import yaml

    def parameter(name: str, value: float, unit: str) -> dict[str, Any]:
        return {"name": name, "value": value, "unit": unit}

    source = {
        "name": "extra",
        "type": "SkyModel",
        "spectral": {
            "type": "pl",
            "parameters": [
                parameter("index", 2.0, ""),
                parameter("amplitude", amplitude, "cm-2 s-1 TeV-1"),
                parameter("reference", 1.0, "TeV"),
            ],
        },
        "spatial": {
            "type": "point",
            "frame": "icrs",
            "parameters": [parameter("lon_0", 83.633, "deg"), parameter("lat_0", 22.014, "deg")],
        },
    }
    path = folder / "extra.yaml"
    path.write_text(yaml.safe_dump({"components": [source]}))
    return str(path)


def simulate(config: dict[str, Any], **inputs: Any) -> Any:
    return run("simulate", config, inputs)["datasets"]


def test_a_spectrum_has_response_and_background_of_the_file(irf_file: str) -> None:
    config = {"observation": spectrum_of(irf_file, n_obs=2), "counts": "expected"}
    made = simulate(config)
    assert made.names == ["simulated-1", "simulated-2"]
    first, second = made
    assert first.tag == "SpectrumDataset"
    assert first.gti.time_sum.to_value("h") == pytest.approx(5)
    assert second.gti.time_start[0] > first.gti.time_stop[0]
    np.testing.assert_array_equal(first.counts.data, first.npred_background().data)
    assert first.background.data.sum() > 1
    wide = spectrum_of(irf_file, on_region={"center": TARGET, "radius": "0.2 deg"})
    (larger,) = simulate({"observation": wide, "counts": "expected"})
    np.testing.assert_allclose(larger.background.data, 4 * first.background.data, rtol=1e-3)
    assert (larger.exposure.data > first.exposure.data).all()  # more of the PSF is inside


def test_the_region_follows_the_psf(irf_file: str) -> None:
    """A Gaussian PSF with 68% in 0.1 deg: the file gives that radius at every energy."""
    fixed = spectrum_of(irf_file, containment_correction=False)
    follows = spectrum_of(
        irf_file, containment=0.68, on_region={"center": TARGET, "radius": "0.2 deg"}
    )
    (one,), (two,) = (
        simulate({"observation": item, "counts": "expected"}) for item in (fixed, follows)
    )
    np.testing.assert_allclose(two.exposure.data, 0.68 * one.exposure.data, rtol=1e-6)
    np.testing.assert_allclose(two.background.data, one.background.data, rtol=0.05)


def test_off_counts_are_those_of_the_acceptance(irf_file: str) -> None:
    config = {"observation": spectrum_of(irf_file, acceptance_off=5.0), "seed": 3}
    (drawn,), (again,) = simulate(config), simulate(config)
    (expected,) = simulate(config | {"counts": "expected"})
    assert drawn.tag == "SpectrumDatasetOnOff"
    np.testing.assert_allclose(expected.counts_off.data, 5 * expected.counts.data, rtol=1e-6)
    np.testing.assert_array_equal(drawn.counts_off.data, again.counts_off.data)
    mean = expected.counts_off.data.sum()
    assert abs(drawn.counts_off.data.sum() - mean) < 5 * np.sqrt(mean)
    assert drawn.counts_off.data.sum() != mean


def test_a_map_has_a_background_model_and_the_source(irf_file: str, tmp_path: Path) -> None:
    config = {"observation": map_of(irf_file, prefix="cta"), "counts": "expected"}
    made = simulate(config | {"inject": make_source(tmp_path)})
    assert made.names == ["cta-1"]
    assert made.models.names == ["cta-1-bkg"]
    excess = made[0].counts.data - made[0].npred_background().data
    peak = np.unravel_index(excess.sum(axis=0).argmax(), excess.shape[1:])
    assert set(peak) <= {9, 10}
    (drawn,) = simulate(config | {"counts": "drawn"})
    mean = made[0].npred_background().data.sum()
    assert abs(drawn.counts.data.sum() - mean) < 5 * np.sqrt(mean)


def test_a_source_is_added_to_measured_counts(tmp_path: Path) -> None:
    datasets = make_datasets(0, 1)
    config = {"counts": "measured", "inject": make_source(tmp_path)}
    added = []
    for seed in range(15):
        made = simulate(config | {"seed": seed}, datasets=datasets)
        for one, two in zip(datasets, made, strict=True):
            np.testing.assert_array_equal(one.counts_off.data, two.counts_off.data)
        pairs = zip(datasets, made, strict=True)
        added.append([two.counts.data - one.counts.data for one, two in pairs])
    drawn = np.array(added)
    assert (drawn >= 0).all()
    np.testing.assert_allclose(drawn, np.round(drawn), atol=1e-9)  # whole numbers
    truth = datasets[0].copy(name="truth")
    truth.models = make_models("truth", index=2.0, amplitude=2e-11)
    expected = truth.npred_signal().data
    pulls = (drawn.mean(axis=0) - expected) / np.sqrt(expected / len(drawn))
    assert np.abs(pulls).max() < 4.5
    assert np.any(drawn[:, 0] != drawn[:, 1])


def test_a_source_is_added_to_a_map_with_off_counts(tmp_path: Path) -> None:
    from gammapy.datasets import Datasets, MapDatasetOnOff
    from test_simulate import make_map

    ring = MapDatasetOnOff.from_map_dataset(make_map(), acceptance=1, acceptance_off=2, name="ring")
    ring.counts.data += 3
    config = {"counts": "measured", "inject": make_source(tmp_path, 1e-10)}
    (made,) = simulate(config, datasets=Datasets([ring]))
    assert (made.counts.data >= 3).all()
    assert made.counts.data.max() > 50


def _pointlike(irf_file: str, folder: Path) -> str:
    """Return a file whose effective area is that after a cut on the distance from the source."""
    from astropy.io import fits

    path = folder / "pointlike.fits"
    with fits.open(irf_file) as hdus:
        hdus["AEFF"].header.update({"HDUCLAS3": "POINT-LIKE", "RAD_MAX": 0.1})
        hdus.writeto(path)
    return str(path)


def test_files_that_cannot_be_used_are_told(irf_file: str, tmp_path: Path) -> None:
    (tmp_path / "none.fits").write_text("no FITS")
    cases = {
        write_irfs(tmp_path, without=("psf",)): "irfs.fits has no psf; it has aeff, bkg, edisp",
        _pointlike(irf_file, tmp_path): "cut on the distance from the source .*POINT-LIKE: aeff",
        str(tmp_path / "none.fits"): "cannot read instrument response from none.fits",
    }
    for path, message in cases.items():
        with pytest.raises(StepError, match=message):
            simulate({"observation": spectrum_of(path)})
    far = {"frame": "icrs", "lon": "83.633 deg", "lat": "42 deg"}
    with pytest.raises(StepError, match="there is no exposure"):
        simulate({"observation": map_of(irf_file, pointing=far)})
    step = load_catalog().step("simulate")
    settings = step.Settings.model_validate({"observation": spectrum_of(irf_file)})
    files = step.external_files(settings)
    assert [(item.setting, item.name) for item in files] == [("observation.irfs", "irfs.fits")]
    assert [port.name for port in step.inputs(settings)] == ["models"]
    missing = step.Settings.model_validate({"observation": spectrum_of("/nowhere/irfs.fits")})
    with pytest.raises(StepInputError, match=r"observation\.irfs: no such file"):
        step.external_files(missing)
    assert step.declares(settings)["datasets"].energies == (0.5, 50.0)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"type": "1d"}, "observation"),
        ({"on_region": {"center": TARGET, "radius": "1 deg"}}, "observation"),
        ({"acceptance_off": 5.0}, "observation"),
        ({"containment": 0.68}, "observation"),
        ({"livetime": "0 h"}, "observation.livetime"),
    ],
)
def test_settings_of_the_other_type_are_refused(changes: dict[str, Any], path: str) -> None:
    config = {"irfs": "x.fits", "pointing": POINTING} | changes
    assert list(problems("simulate", {"observation": config})) == [path]


def test_measured_counts_need_something_to_add(tmp_path: Path) -> None:
    inject = make_source(tmp_path)
    assert problems("simulate", {"counts": "measured"}) == {"counts": "GP306"}
    assert problems("simulate", {"counts": "measured", "inject": inject}) == {}
    config = {"counts": "measured", "inject": inject, "sources": "all"}
    assert problems("simulate", config) == {"counts": "GP306"}
    config = {"counts": "measured", "observation": {"irfs": "x.fits", "pointing": POINTING}}
    assert problems("simulate", config) == {"counts": "GP306"}


def test_observations_are_simulated_with_a_file_of_response(irf_file: str, tmp_path: Path) -> None:
    """Also where the file does not say whose response it is."""
    from gammapy.data import DataStore

    config = {
        "models": make_source(tmp_path),
        "target": TARGET,
        "n_obs": 1,
        "livetime": "5 min",
        "irf_file": irf_file,
        "irfs": {"offset_max": "1 deg"},
    }
    (tmp_path / "work").mkdir()
    folder = run("simulate-observations", config, {}, work_dir=tmp_path / "work")["datastore"]
    (observation,) = DataStore.from_dir(folder).get_observations()
    assert len(observation.events.table) > 10
    assert observation.events.table.meta["TELESCOP"] == "unknown"
    step = load_catalog().step("simulate-observations")
    found = step.external_files(step.Settings.model_validate(config))
    assert {item.setting for item in found} == {"models", "irf_file"}
