"""The step simulate: what is drawn scatters around what is expected, and only the seed decides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from spectra import make_dataset, make_datasets, make_model, make_models, problems, run

from gpwf.errors import StepError
from gpwf.steps.base import StepContext
from gpwf.steps.registry import load_catalog
from gpwf.steps.settle import restore, settle
from gpwf.store import formats

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")

N_FAKES = 100


def simulate(config: dict[str, Any], stream: tuple[int, ...] = (), **inputs: Any) -> Any:
    """Run the step in a scatter with a stream of its own."""
    step = load_catalog().step("simulate")
    settled = settle(step, config, base=Path("/nowhere"))
    assert not settled.problems, settled.problems
    context = StepContext(step="sim", task_id="sim", work_dir=Path("/nowhere"), stream=stream)
    return step.run(restore(step, settled.settings), inputs, context)["datasets"]


def write_source(folder: Path, name: str = "extra", **changes: Any) -> str:
    """Write a file of models with one power law, and return its path."""
    import yaml

    parameters = [
        {"name": "index", "value": 2.0},
        {"name": "amplitude", "value": 2e-11, "unit": "cm-2 s-1 TeV-1"},
    ]
    component = {"name": name, "type": "SkyModel"} | {
        "spectral": {"type": "pl", "parameters": parameters}
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"components": [component | changes]}))
    return str(path)


def assert_poisson(draws: list[Any], expected: Any) -> None:
    """Check mean and variance in every bin against those of a Poisson distribution."""
    draws = np.array(draws)
    number = len(draws)
    pulls = (draws.mean(axis=0) - expected) / np.sqrt(np.maximum(expected, 1e-9) / number)
    assert np.all(draws[:, expected == 0] == 0)
    assert np.abs(pulls[expected > 0]).max() < 4
    large = expected > 20
    assert large.any()
    ratio = draws.var(axis=0, ddof=1)[large] / expected[large]
    assert np.abs(ratio - 1).max() < 5 * np.sqrt(2 / number)


def test_without_sources_only_background_is_drawn() -> None:
    datasets = make_datasets(0)
    fakes = [simulate({"seed": seed}, datasets=datasets)[0] for seed in range(N_FAKES)]
    off = datasets[0].counts_off.data
    assert_poisson([fake.counts_off.data for fake in fakes], off)
    assert_poisson([fake.counts.data for fake in fakes], off / 9)  # acceptances 1 and 9


def test_models_without_sources_change_nothing() -> None:
    """The example of the language: the fitted models are wired, the scenario injects nothing."""
    datasets = make_datasets(0)
    one = simulate({"seed": 3}, datasets=datasets)
    two = simulate({"seed": 3}, datasets=datasets, models=make_models())
    np.testing.assert_array_equal(one[0].counts.data, two[0].counts.data)


def test_sources_and_injected_ones_are_drawn_on_top(tmp_path: Path) -> None:
    datasets = make_datasets(0)
    config = {"sources": "all", "inject": write_source(tmp_path)}
    fakes = [
        simulate(config | {"seed": seed}, datasets=datasets, models=make_models())[0]
        for seed in range(N_FAKES)
    ]
    truth = make_dataset()
    truth.models = [make_model(), make_model("extra", index=2.0, amplitude=2e-11)]
    expected = truth.npred_signal().data + truth.counts_off.data / 9
    assert_poisson([fake.counts.data for fake in fakes], expected)
    assert_poisson([fake.counts_off.data for fake in fakes], truth.counts_off.data)


def test_sources_are_selected_by_name() -> None:
    datasets, models = make_datasets(0), make_models("crab", "other")
    by_name = simulate({"sources": ["crab"]}, datasets=datasets, models=models)[0]
    alone = simulate({"sources": "all"}, datasets=datasets, models=make_models("crab"))[0]
    both = simulate({"sources": "all"}, datasets=datasets, models=models)[0]
    np.testing.assert_array_equal(by_name.counts.data, alone.counts.data)
    assert both.counts.data.sum() > by_name.counts.data.sum()


def test_the_seed_and_the_stream_decide(tmp_path: Path) -> None:
    def content(config: dict[str, Any], stream: tuple[int, ...] = ()) -> dict[str, bytes]:
        folder = tmp_path / f"{config}-{stream}-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        made = simulate(config, stream, datasets=make_datasets(0, 1))
        formats.write("datasets", made, folder, {})
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    first = content({"seed": 1}, (5,))
    assert content({"seed": 1}, (5,)) == first
    for other in (content({"seed": 2}, (5,)), content({"seed": 1}, (6,)), content({"seed": 1})):
        assert other.keys() == first.keys()
        assert other["hess-1.fits"] != first["hess-1.fits"]
        assert other["hess-2.fits"] != first["hess-2.fits"]


def test_datasets_draw_apart_and_their_order_does_not_matter() -> None:
    from gammapy.datasets import Datasets

    datasets = make_datasets(0, 1)
    made = simulate({"seed": 1}, datasets=datasets)
    assert made.names == datasets.names
    assert np.any(made[0].counts_off.data != made[1].counts_off.data)
    turned = simulate({"seed": 1}, datasets=Datasets([datasets[1], datasets[0]]))
    assert turned.names == ["hess-2", "hess-1"]
    for name in datasets.names:
        np.testing.assert_array_equal(made[name].counts.data, turned[name].counts.data)


def test_all_but_the_counts_stays_and_inputs_are_left_alone() -> None:
    datasets, models = make_datasets(0), make_models()
    before = datasets[0].copy(name="hess-1")
    made = simulate({"sources": "all"}, datasets=datasets, models=models)
    assert made[0].models is None
    for one, two in ((datasets[0], before), (made[0], before)):
        for name in ("acceptance", "acceptance_off", "exposure", "mask_safe"):
            np.testing.assert_array_equal(getattr(one, name).data, getattr(two, name).data)
        assert one.counts.data.dtype == two.counts.data.dtype
        assert one.gti.time_start[0] == two.gti.time_start[0]
    np.testing.assert_array_equal(datasets[0].counts.data, before.counts.data)
    np.testing.assert_array_equal(datasets[0].counts_off.data, before.counts_off.data)


def test_bins_without_off_acceptance_stay_empty() -> None:
    datasets = make_datasets(0)
    datasets[0].acceptance_off.data[3] = 0
    datasets[0].counts_off.data[3] = 0
    made = simulate({}, datasets=datasets)[0]
    assert made.counts.data[3] == made.counts_off.data[3] == 0
    assert np.isfinite(made.counts_off.data).all()


def make_map(name: str = "map") -> Any:
    """Return a 3D dataset with a background of 4 counts per pixel."""
    from astropy import units as u
    from gammapy.datasets import MapDataset
    from gammapy.maps import MapAxis, WcsGeom

    energy = MapAxis.from_energy_bounds("1 TeV", "10 TeV", 2)
    true = MapAxis.from_energy_bounds("0.5 TeV", "20 TeV", 4, name="energy_true")
    geom = WcsGeom.create(skydir=(83.63, 22.01), width=1, binsz=0.1, axes=[energy])
    dataset = MapDataset.create(geom, energy_axis_true=true, name=name)
    dataset.background.data += 4.0
    dataset.exposure.quantity = np.ones(dataset.exposure.data.shape) * 1e10 * u.Unit("m2 s")
    dataset.edisp = None
    dataset.psf = None
    dataset.mask_safe.data[...] = True
    return dataset


def test_maps_are_drawn_from_their_background_and_its_model(tmp_path: Path) -> None:
    from gammapy.datasets import Datasets
    from gammapy.modeling.models import FoVBackgroundModel, Models

    datasets = Datasets([make_map()])
    norm = FoVBackgroundModel(dataset_name="map")
    norm.spectral_model.norm.value = 2.0
    models = Models([make_model(), norm])
    made = simulate({}, datasets=datasets, models=models)[0].counts.data
    assert made.mean() == pytest.approx(8, abs=4 * np.sqrt(8 / made.size))
    joint = Models([*models, FoVBackgroundModel(dataset_name="of another instrument")])
    same = simulate({}, datasets=datasets, models=joint)[0].counts.data
    np.testing.assert_array_equal(same, made)
    datasets.models = Models([norm.copy(name=norm.name)])  # as the reduction leaves them
    own = simulate({}, datasets=datasets)
    np.testing.assert_array_equal(own[0].counts.data, made)
    assert own.models.names == ["map-bkg"]
    norm.spectral_model.norm.value = 4.0
    fitted = simulate({}, datasets=datasets, models=models)
    assert fitted[0].counts.data.mean() == pytest.approx(16, abs=4 * np.sqrt(16 / made.size))
    assert fitted.models[0].spectral_model.norm.value == 2.0
    datasets.models = None
    point = {"type": "point", "frame": "icrs"}
    point["parameters"] = [
        {"name": "lon_0", "value": 83.63, "unit": "deg"},
        {"name": "lat_0", "value": 22.01, "unit": "deg"},
    ]
    config = {"inject": write_source(tmp_path, "there", spatial=point)}
    assert simulate(config, datasets=datasets)[0].counts.data.max() > 100
    for place in ("no place", "elsewhere"):
        if place == "elsewhere":
            point["parameters"][0]["value"] = 10.0
            message = "'elsewhere' gives no counts in any dataset"
            config = {"inject": write_source(tmp_path, place, spatial=point)}
        else:
            message = "'no place' has no spatial model"
            config = {"inject": write_source(tmp_path, place)}
        with pytest.raises(StepError, match=message):
            simulate(config, datasets=datasets)


@pytest.mark.parametrize(
    ("amplitude", "message"),
    [
        (np.nan, "'hess-1' is not a finite number in every bin .models: crab"),
        (-3e-11, "'hess-1' is negative in some bins"),
        (1e12, r"'hess-1' is more than 1e\+15 in some bins"),
    ],
)
@pytest.mark.parametrize("counts", ["drawn", "expected"])
def test_what_cannot_be_drawn_is_told(amplitude: float, message: str, counts: str) -> None:
    """gammapy takes NaN for no counts, so that the background would be lost, too."""
    config = {"sources": "all", "counts": counts}
    with pytest.raises(StepError, match=message):
        simulate(config, datasets=make_datasets(0), models=make_models(amplitude=amplitude))


def test_no_off_counts_to_draw_from() -> None:
    datasets = make_datasets(0)
    datasets[0].counts_off = None
    with pytest.raises(StepError, match="'hess-1' has no OFF counts to draw from"):
        simulate({"sources": "all"}, datasets=datasets, models=make_models())


def test_a_ring_background_is_refused() -> None:
    from gammapy.datasets import Datasets, MapDatasetOnOff

    ring = MapDatasetOnOff.from_map_dataset(make_map(), acceptance=1, acceptance_off=2, name="ring")
    with pytest.raises(StepError, match="'ring' is a map with a measured OFF background"):
        simulate({}, datasets=Datasets([ring]))


def test_nothing_to_draw_from_is_an_error() -> None:
    from gammapy.datasets import Datasets

    empty = make_datasets(0)[0].to_spectrum_dataset().copy(name="hess-1")
    empty.background = None
    with pytest.raises(StepError, match="'hess-1' has no background, and no source shines"):
        simulate({}, datasets=Datasets([empty]))
    made = simulate({"sources": "all"}, datasets=Datasets([empty]), models=make_models())
    assert made[0].counts.data.sum() > 0


@pytest.mark.parametrize(
    ("config", "names", "message"),
    [
        ({"sources": ["crap"]}, {}, r"no source of 'models' is called crap; .* are crab"),
        ({"sources": "all", "inject": "crab"}, {}, "'inject' has a source 'crab', and so has"),
        ({"inject": "extra"}, {"datasets_names": ["hess-7"]}, "'extra' .*not there: hess-7; .*"),
        (
            {"inject": "extra"},
            {"type": "FoVBackgroundModel", "datasets_names": ["hess-1"]},
            "FoVBackgroundModel, not a source",
        ),
    ],
)
def test_models_that_do_not_fit_are_told(
    config: dict[str, Any], names: dict[str, Any], message: str, tmp_path: Path
) -> None:
    if "inject" in config:
        if "type" in names:
            names = names | {"spectral": {"type": "pl-norm", "parameters": []}}
        config = config | {"inject": write_source(tmp_path, config["inject"], **names)}
    with pytest.raises(StepError, match=message):
        simulate(config, datasets=make_datasets(0), models=make_models())


def test_settings_are_checked_before_the_run(tmp_path: Path) -> None:
    assert problems("simulate", {"inject": None, "seed": 3}) == {}
    assert problems("simulate", {"seed": -1}) == {"seed": "GP304"}
    assert problems("simulate", {"sources": "some"}) == {"sources": "GP304"}
    (tmp_path / "bad.yaml").write_text("components: [{name: x}]")
    assert problems("simulate", {"inject": str(tmp_path / "bad.yaml")}) == {"inject": "GP304"}
    step = load_catalog().step("simulate")
    assert [port.optional for port in step.inputs(step.Settings())] == [False, True]
    wanted = step.Settings.model_validate({"sources": "all"})
    assert [port.optional for port in step.inputs(wanted)] == [False, False]
    path = write_source(tmp_path)
    found = step.external_files(step.Settings.model_validate({"inject": path}))
    assert [(item.setting, item.name) for item in found] == [("inject", "extra.yaml")]
    assert run("simulate", {}, {"datasets": make_datasets(0)})["datasets"].names == ["hess-1"]
