"""The step sensitivity: gammapy's numbers, from spectra and maps, and bins where nothing helps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from response_files import TARGET, map_of, spectrum_of, write_irfs
from spectra import make_datasets, make_models, problems, run

from gpwf.errors import NoDataError, StepError

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")

REGION = {"center": TARGET, "radius": "0.1 deg"}


@pytest.fixture(scope="module")
def irf_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_irfs(tmp_path_factory.mktemp("irfs"))


def observed(observation: dict[str, Any]) -> Any:
    return run("simulate", {"observation": observation, "counts": "expected"}, {})["datasets"]


def sensitivity(config: dict[str, Any], *datasets: Any, **inputs: Any) -> Any:
    found = run("sensitivity", config, {"datasets": list(datasets), **inputs})
    return found["sensitivity"]


def by_hand(dataset: Any, **options: Any) -> Any:
    from gammapy.datasets import SpectrumDatasetOnOff
    from gammapy.estimators import SensitivityEstimator

    if dataset.tag == "SpectrumDataset":
        dataset = SpectrumDatasetOnOff.from_spectrum_dataset(
            dataset=dataset, acceptance=1, acceptance_off=5
        )
    return SensitivityEstimator(**options).run(dataset.copy(name="by-hand"))


def test_a_spectrum_gives_the_numbers_of_gammapy_and_stays_as_it_is(irf_file: str) -> None:
    datasets = observed(spectrum_of(irf_file, livetime="1 h"))
    models = make_models("other")
    datasets.models = models
    table = sensitivity({}, datasets)
    assert datasets.models.names == ["other"]  # gammapy would have put its own in their place
    expected = by_hand(datasets[0])
    assert table.colnames == expected.colnames
    for name in table.colnames:
        np.testing.assert_array_equal(table[name], expected[name])
    assert {"significance", "gamma"} <= set(table["criterion"])
    assert table.meta["product"] == "sensitivity"
    assert table.meta["livetime_h"] == pytest.approx(1)
    other = {"n_sigma": 3.0, "gamma_min": 2.0, "bkg_syst_fraction": 0.5}
    np.testing.assert_array_equal(
        sensitivity(other, datasets)["e2dnde"], by_hand(datasets[0], **other)["e2dnde"]
    )


def test_spectra_with_off_counts_use_those(irf_file: str) -> None:
    datasets = make_datasets(0)
    np.testing.assert_array_equal(
        sensitivity({"acceptance_off": 1.0}, datasets)["e2dnde"], by_hand(datasets[0])["e2dnde"]
    )


def test_several_datasets_are_added_up(irf_file: str) -> None:
    whole = sensitivity({}, observed(spectrum_of(irf_file, livetime="10 h")))
    parts = sensitivity({}, observed(spectrum_of(irf_file, livetime="5 h", n_obs=2)))
    np.testing.assert_allclose(parts["e2dnde"], whole["e2dnde"], rtol=1e-6)
    assert parts.meta["livetime_h"] == pytest.approx(whole.meta["livetime_h"])


def test_the_spectrum_of_a_source_is_used(irf_file: str) -> None:
    datasets = observed(spectrum_of(irf_file))
    models = make_models("crab", "steep", index=3.5)
    steep = sensitivity({"source": "steep"}, datasets, models=models)
    np.testing.assert_array_equal(
        steep["e2dnde"],
        by_hand(datasets[0], spectral_model=models["steep"].spectral_model)["e2dnde"],
    )
    assert np.any(np.abs(steep["e2dnde"] / sensitivity({}, datasets)["e2dnde"] - 1) > 0.01)
    index = sensitivity({"spectral_index": 3.5}, datasets)
    np.testing.assert_allclose(index["e2dnde"], steep["e2dnde"], rtol=1e-6)
    with pytest.raises(StepError, match="no model is called 'steap'"):
        sensitivity({"source": "steap"}, datasets, models=models)


def test_wider_bins_reach_lower(irf_file: str) -> None:
    datasets = observed(spectrum_of(irf_file))
    wide = sensitivity({"energy": {"min": "0.5 TeV", "max": "50 TeV", "nbins": 3}}, datasets)
    narrow = sensitivity({}, datasets)
    assert len(narrow) == 2 * len(wide) == 6
    np.testing.assert_allclose(wide["background"], narrow["background"].reshape(3, 2).sum(axis=1))
    assert (wide["e2dnde"] < narrow["e2dnde"].reshape(3, 2).min(axis=1)).all()


def test_a_map_gives_what_a_spectrum_gives(irf_file: str) -> None:
    """The same region of the same field, with pixels that are small enough."""
    fine = map_of(irf_file)
    fine["geom"]["wcs"] |= {
        "binsize": "0.01 deg",
        "width": {"width": "0.5 deg", "height": "0.5 deg"},
    }
    maps = observed(fine)
    spectra = observed(spectrum_of(irf_file, geom={"axes": fine["geom"]["axes"]}))
    one, two = sensitivity({"on_region": REGION}, maps), sensitivity({}, spectra)
    np.testing.assert_allclose(one["background"], two["background"], rtol=0.02)
    np.testing.assert_allclose(one["e2dnde"], two["e2dnde"], rtol=0.03)
    follows = sensitivity({"on_region": REGION, "containment": 0.68}, maps)
    np.testing.assert_allclose(follows["e2dnde"], one["e2dnde"], rtol=0.05)
    assert maps.models.names == ["simulated-1-bkg"]


@pytest.mark.parametrize("containment", [None, 0.68])
@pytest.mark.parametrize("lat", ["22.014 deg", "22.038 deg"])
def test_large_pixels_do_not_change_the_background(
    irf_file: str, lat: str, containment: float | None
) -> None:
    """Four pixels of 0.05 deg cover 65% of a radius of 0.07 deg, six of them 97%."""
    region = {"center": TARGET | {"lat": lat}, "radius": "0.07 deg"}
    coarse = map_of(irf_file)
    exact = spectrum_of(irf_file, geom={"axes": coarse["geom"]["axes"]}, on_region=region)
    config = {"on_region": region} | ({} if containment is None else {"containment": containment})
    table = sensitivity(config, observed(coarse))
    expected = sensitivity({}, observed(exact | {"containment": containment}))
    # the radius of the PSF is looked up on the map's coarser grid
    np.testing.assert_allclose(table["background"], expected["background"], rtol=0.02)
    np.testing.assert_allclose(table["e2dnde"], expected["e2dnde"], rtol=0.01)


def test_bins_where_no_flux_is_enough_are_marked(irf_file: str) -> None:
    (dataset,) = observed(spectrum_of(irf_file))
    dataset.exposure.data[:9] = 0
    dataset.mask_safe.data[-1] = False
    with pytest.warns(UserWarning, match=r"no flux would be detected in \d of 6 bins"):
        table = sensitivity({}, make_collection(dataset))
    lost = table["criterion"] == "none"
    assert lost[-1]
    assert lost[0]
    assert not lost.all()
    np.testing.assert_array_equal(lost, ~np.isfinite(table["e2dnde"]))
    np.testing.assert_array_equal(lost, ~np.isfinite(table["excess"]))
    dataset.exposure.data[...] = 0
    with pytest.raises(NoDataError, match="no flux would be detected at any energy"):
        sensitivity({}, make_collection(dataset))


def make_collection(*datasets: Any) -> Any:
    from gammapy.datasets import Datasets

    return Datasets(list(datasets))


def test_what_cannot_be_used_is_told(irf_file: str, tmp_path: Path) -> None:
    maps, spectra = observed(map_of(irf_file)), observed(spectrum_of(irf_file))
    far = {"center": TARGET | {"lon": "3 deg"}, "radius": "0.1 deg"}
    on_off = observed(spectrum_of(irf_file, acceptance_off=5.0, prefix="other"))
    cases: list[tuple[dict[str, Any], tuple[Any, ...], str]] = [
        ({}, (maps,), "'simulated-1' is a map, and no region"),
        ({"on_region": REGION}, (spectra,), "'on_region' is for maps"),
        ({"on_region": far}, (maps,), "'on_region' lies outside the map"),
        ({"on_region": REGION | {"radius": "0.001 deg"}}, (maps,), "holds no pixel of the map"),
        ({}, (spectra, on_off), "different kinds cannot be added"),
    ]
    for config, datasets, message in cases:
        with pytest.raises(StepError, match=message):
            sensitivity(config, *datasets)
    spectra[0].background = None
    with pytest.raises(StepError, match="'simulated-1' has no background"):
        sensitivity({}, spectra)
    with pytest.raises(NoDataError, match="there are no datasets"):
        sensitivity({}, make_collection())
    assert problems("sensitivity", {"containment": 0.68}) == {"containment": "GP306"}
    assert problems("sensitivity", {"n_sigma": 0.0}) == {"n_sigma": "GP304"}
