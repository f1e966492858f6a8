"""The step stack: sums, groups, names, what cannot be added."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from spectra import make_dataset, make_datasets, make_models, problems, run

from gpwf.errors import NoDataError, StepError
from gpwf.store import formats

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")

MAPS = ("counts", "counts_off", "acceptance", "acceptance_off", "exposure", "mask_safe")


def stack(*products: Any, **config: Any) -> Any:
    return run("stack", config, {"datasets": list(products)})["datasets"]


def files(datasets: Any, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    formats.write("datasets", datasets, folder, {"GPWFKEY": "0" * 64})
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_sum_is_that_of_gammapy() -> None:
    found = stack(make_datasets(0, 1, 30))
    by_hand = make_datasets(0, 1, 30).stack_reduce(name="hess-stacked")
    assert found.names == ["hess-stacked"]
    for name in MAPS:
        np.testing.assert_array_equal(
            getattr(found[0], name).data, getattr(by_hand, name).data, err_msg=name
        )
    assert found[0].gti.time_sum.to_value("h") == pytest.approx(1.5)
    assert list(np.ravel(found[0].meta_table["OBS_ID"][0])) == ["1", "2", "3"]


def test_the_order_of_the_inputs_changes_no_byte(tmp_path: Path) -> None:
    """Names are sorted by the numbers in them: 10 is after 9."""
    from gammapy.datasets import Datasets

    runs = [make_dataset(f"hess-{number}", number) for number in (9, 10, 11)]
    for number, dataset in enumerate(runs):
        dataset.counts.data *= 1 + number / 7
    one = files(stack(Datasets(runs)), tmp_path / "one")
    two = files(stack(Datasets([runs[2], runs[0]]), Datasets([runs[1]])), tmp_path / "two")
    assert one == two


def test_inputs_are_left_as_they_are() -> None:
    datasets = make_datasets(0, 1)
    before = datasets[0].counts.data.copy()
    stack(datasets)
    np.testing.assert_array_equal(datasets[0].counts.data, before)


def test_groups() -> None:
    datasets = make_datasets(0, 1, 24, 25)  # from 20 h on: two nights
    datasets[3].meta_table["TELESCOP"] = ["MAGIC stereo"]
    assert stack(datasets, by="telescope").names == ["hess-stacked", "magic-stereo-stacked"]
    assert stack(datasets, by="telescope", name="crab").names == ["crab-hess", "crab-magic-stereo"]
    assert stack(datasets).names == ["hess-magic-stereo-stacked"]
    nights = stack(datasets, by="night", name="hess")
    assert nights.names == ["hess-2020-01-01", "hess-2020-01-02"]
    whole = sum(item.counts.data.sum() for item in datasets)
    assert sum(item.counts.data.sum() for item in nights) == pytest.approx(whole, rel=1e-6)
    hours = stack(datasets, by="time", width="40 min", name="x")
    assert hours.names == ["x-time-01", "x-time-02", "x-time-03", "x-time-04"]
    assert stack(datasets, by="time", width="1 d", name="x").names == ["x-time-01", "x-time-02"]
    named = stack(datasets, groups={"early": ["hess-1", "hess-2"], "late": "hess-[34]"})
    assert named.names == ["early", "late"]
    assert named[0].counts.data.sum() == pytest.approx(nights[0].counts.data.sum(), rel=1e-6)


def test_a_night_may_pass_midnight() -> None:
    """Runs from 20 h to 5 h the next morning, each less than 8 h from the one before."""
    assert stack(make_datasets(0, 4, 9), by="night").names == ["hess-2020-01-01"]


def test_what_is_in_no_group() -> None:
    datasets = make_datasets(0, 1, 2)
    with pytest.raises(StepError, match="in no group: hess-2, hess-3"):
        stack(datasets, groups={"a": "hess-1"})
    kept = stack(datasets, groups={"a": "hess-1"}, rest="keep")
    assert kept.names == ["a", "hess-2", "hess-3"]
    with pytest.warns(UserWarning, match="left out, in no group: hess-2, hess-3"):
        assert stack(datasets, groups={"a": "hess-1"}, rest="drop").names == ["a"]
    with pytest.raises(StepError, match="no dataset is in the group b; there are hess-1"):
        stack(datasets, groups={"a": "hess-*", "b": "veritas-*"})
    with pytest.raises(StepError, match="dataset 'hess-1' is in the groups a, b"):
        stack(datasets, groups={"a": "hess-1", "b": "hess-?"})


def test_other_bins_are_told_with_both() -> None:
    from gammapy.datasets import Datasets
    from gammapy.maps import MapAxis

    one, two = make_datasets(0, 1)
    other = MapAxis.from_energy_bounds("0.1 TeV", "100 TeV", 4)
    grouped = two.resample_energy_axis(other, name="hess-2")
    with pytest.raises(
        StepError,
        match=r"'hess-1' and 'hess-2' are on different bins of energy .*: 12 bins from 0\.1 to 100 "
        r"TeV, and 4 bins",
    ) as caught:
        stack(Datasets([one, grouped]))
    assert "geom.axes" in str(caught.value.hint)


def test_other_kinds_are_told() -> None:
    from gammapy.datasets import Datasets

    one, two = make_datasets(0, 1)
    with pytest.raises(StepError, match=r"of different kinds .*: SpectrumDataset, SpectrumDataset"):
        stack(Datasets([one, two.to_spectrum_dataset(name="hess-2")]))


def test_known_background_is_added_up_too() -> None:
    from gammapy.datasets import Datasets

    runs = Datasets([item.to_spectrum_dataset(name=item.name) for item in make_datasets(0, 1)])
    found = stack(runs)
    assert found[0].tag == "SpectrumDataset"
    assert found[0].background.data.sum() == pytest.approx(
        sum(item.background.data.sum() for item in runs), rel=1e-6
    )


def test_tables_of_other_columns_do_not_matter() -> None:
    """gammapy ends in a KeyError where the second table lacks a column of the first."""
    datasets = make_datasets(0, 1)
    datasets[0].meta_table["ZENITH"] = [20.0]
    found = stack(datasets)
    assert found[0].meta_table.colnames == ["TELESCOP", "OBS_ID"]
    assert datasets[0].meta_table.colnames == ["TELESCOP", "OBS_ID", "ZENITH"]


def test_other_regions_are_warned_of() -> None:
    from astropy import units as u

    datasets = make_datasets(0, 1)
    datasets[1].counts.geom.region.radius = 0.2 * u.deg
    with pytest.warns(UserWarning, match="'hess-stacked' adds spectra of different ON regions"):
        stack(datasets)


def test_nothing_safe_is_no_data() -> None:
    datasets = make_datasets(0, 1)
    for dataset in datasets:
        dataset.mask_safe.data[...] = False
    with pytest.raises(NoDataError, match="no bin of hess-stacked is in the safe range"):
        stack(datasets)


def test_a_telescope_that_is_not_said() -> None:
    datasets = make_datasets(0, 1)
    datasets[1].meta_table = None
    with pytest.raises(StepError, match="'hess-2' does not say of which telescope it is"):
        stack(datasets, by="telescope")
    assert stack(datasets).names == ["hess-stacked"]


def test_maps_are_those_of_a_reduction_that_stacks() -> None:
    """With background models: they enter the sum, which has a new one."""
    from gammapy.datasets import Datasets, MapDataset
    from gammapy.maps import MapAxis, WcsGeom
    from gammapy.modeling.models import FoVBackgroundModel

    energy = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 2)
    true = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 2, name="energy_true")
    geom = WcsGeom.create(skydir=(83.63, 22.01), width=1, binsz=0.1, axes=[energy])
    maps = []
    for number in (1, 2):
        dataset = MapDataset.create(geom, energy_axis_true=true, name=f"run-{number}")
        dataset.counts.data += number
        dataset.background.data += 1.0
        dataset.mask_safe.data[...] = True
        dataset.gti = None
        dataset.models = FoVBackgroundModel(dataset_name=dataset.name)
        dataset.models[0].spectral_model.norm.value = float(number)
        maps.append(dataset)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = stack(Datasets(maps), name="both")
    assert found.names == ["both"]
    assert found.models.names == ["both-bkg"]
    np.testing.assert_allclose(found[0].counts.data, 3)
    np.testing.assert_allclose(found[0].npred_background().data, 3)
    assert found.models[0].spectral_model.norm.value == 1


def test_maps_that_lack_a_response_are_told() -> None:
    """The sum had no PSF at all, and a source in it was as wide as the PSF."""
    from gammapy.datasets import Datasets, MapDataset
    from gammapy.maps import MapAxis, WcsGeom

    energy = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 2)
    true = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 2, name="energy_true")
    geom = WcsGeom.create(skydir=(83.63, 22.01), width=1, binsz=0.1, axes=[energy])
    maps = [MapDataset.create(geom, energy_axis_true=true, name=name) for name in ("one", "two")]
    for dataset in maps:
        dataset.mask_safe.data[...] = True
        dataset.counts.data += 1
    both = stack(Datasets(maps))  # gammapy fails where no dataset has good time
    assert both[0].counts.data.min() == 2
    maps[1].psf = None
    with pytest.raises(StepError, match="dataset 'two' has no psf, others have"):
        stack(Datasets(maps))


def test_flux_points_are_told() -> None:
    from gammapy.datasets import Datasets, FluxPointsDataset

    models = make_models()
    config = {"source": "crab", "energy": {"edges": ["1 TeV", "10 TeV", "100 TeV"]}}
    points = run("flux-points", config, {"datasets": make_datasets(0), "models": models})
    catalog = FluxPointsDataset(data=points["flux_points"], name="catalog")
    with pytest.raises(StepError, match=r"dataset 'catalog' .* has no counts to add up"):
        stack(Datasets([catalog, *make_datasets(0)]))


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"by": "time"}, "by"),
        ({"width": "1 d"}, "width"),
        ({"groups": {"a": "*"}, "by": "night"}, "groups"),
        ({"groups": {"a": "*"}, "name": "x"}, "name"),
    ],
)
def test_settings_that_contradict_each_other(config: dict[str, Any], path: str) -> None:
    assert problems("stack", config) == {path: "GP306"}
