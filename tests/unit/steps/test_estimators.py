"""The steps flux-points, light-curve and plot, on spectra whose answer is known."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from spectra import make_datasets, make_model, make_models, run

from gpwf.errors import NoDataError, StepError
from gpwf.store import formats

pytestmark = pytest.mark.gammapy

np = pytest.importorskip("numpy")

BINS = {"min": "0.1 TeV", "max": "100 TeV", "nbins": 6}
BAND = {"min": "1 TeV", "max": "100 TeV", "nbins": 1}


def flux_points(datasets: Any, models: Any = None, **config: Any) -> Any:
    inputs = {"datasets": datasets, "models": models or make_models()}
    return run("flux-points", {"source": "crab", "energy": BINS} | config, inputs)["flux_points"]


def light_curve(datasets: Any, **config: Any) -> Any:
    inputs = {"datasets": datasets, "models": make_models()}
    config = {"source": "crab", "energy_edges": BAND, "selection_optional": []} | config
    return run("light-curve", config, inputs)["light_curve"]


def bytes_of(kind: str, value: Any, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    formats.write(kind, value, folder, {"GPWFKEY": "0" * 64})
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# ---- flux points ---------------------------------------------------------------------------------


def test_flux_points_lie_on_the_model_that_made_the_data() -> None:
    found = flux_points(make_datasets(0, 1), selection_optional=["ul"])
    np.testing.assert_allclose(found.norm.data.ravel(), 1, rtol=2e-3)
    assert found.geom.axes["energy"].nbin == 6
    assert (found.norm_ul.data > found.norm.data).all()
    assert found.reference_model.name == "crab"


def test_flux_points_made_twice_have_the_same_bytes(tmp_path: Path) -> None:
    """gammapy gives the reference model a random name each time."""
    datasets = make_datasets()
    one = bytes_of("flux-points", flux_points(datasets), tmp_path / "one")
    two = bytes_of("flux-points", flux_points(datasets), tmp_path / "two")
    assert one == two


@pytest.mark.parametrize("measure", ["flux_points", "light_curve"])
def test_a_source_alone_has_nothing_to_fit_again(measure: str) -> None:
    datasets = make_datasets(0, 1)
    with pytest.warns(UserWarning, match="'reoptimize' has nothing to fit again"):
        again = globals()[measure](datasets, reoptimize=True, selection_optional=["ul"])
    once = globals()[measure](datasets, selection_optional=["ul"])
    np.testing.assert_array_equal(again.norm.data, once.norm.data)
    np.testing.assert_array_equal(again.norm_ul.data, once.norm_ul.data)


def test_moved_edges_are_warned_of_with_both_numbers() -> None:
    edges = {"edges": ["0.7 TeV", "10 TeV", "100 TeV"]}
    with pytest.warns(UserWarning, match=r"'energy'.*: 0\.7 became 0\.5623 TeV$"):
        found = flux_points(make_datasets(), energy=edges)
    np.testing.assert_allclose(found.geom.axes["energy"].edges.value, [0.5623413, 10, 100])


def test_other_parameters_reach_the_estimator() -> None:
    found = flux_points(
        make_datasets(),
        energy=BINS | {"nbins": 2},
        selection_optional=["scan"],
        parameters={"norm": {"scan_min": 0.5, "scan_max": 2, "scan_n_values": 3}},
    )
    np.testing.assert_allclose(found.stat_scan.geom.axes["norm"].center, [0.5, 1, 2])


def test_a_parameter_that_gammapy_refuses_is_told() -> None:
    with pytest.raises(StepError, match=r"my-flux-points: FluxPointsEstimator refuses .*furlong"):
        flux_points(make_datasets(), parameters={"norm": {"unit": "furlong"}})


def test_edges_written_with_four_digits_are_not_warned_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = flux_points(make_datasets(), energy={"edges": ["0.5623 TeV", "10 TeV", "100 TeV"]})
    np.testing.assert_allclose(found.geom.axes["energy"].edges.value[0], 0.5623413)


def test_bins_narrower_than_those_of_the_data_are_an_error() -> None:
    with pytest.raises(StepError, match=r"narrower than the energy bins .*12 bins from 0\.1 to"):
        flux_points(make_datasets(), energy=BINS | {"nbins": 30})


def test_a_source_that_no_model_has_names_those_there_are() -> None:
    with pytest.raises(
        StepError, match="no model is called 'crabb'; the models are crab"
    ) as caught:
        flux_points(make_datasets(), source="crabb")
    assert caught.value.hint == "did you mean 'crab'?"


def test_a_bin_without_counts_has_a_limit_but_no_flux() -> None:
    datasets = make_datasets()
    datasets[0].counts.data[-2:] = 0
    found = flux_points(datasets, selection_optional=["ul", "errn-errp"])
    for name in ("norm", "norm_err", "norm_errn", "norm_errp"):
        values = getattr(found, name).data.ravel()
        assert np.isnan(values[-1]), name
        assert np.isfinite(values[:-1]).all(), name
    assert found.norm_ul.data.ravel()[-1] > 0
    assert found.ts.data.ravel()[-1] > 0  # an expected source without a count says something
    assert list(found.is_ul.data.ravel()[-2:]) == [False, True]


def test_no_counts_at_all_is_no_data() -> None:
    datasets = make_datasets()
    datasets[0].counts.data[...] = 0
    with pytest.raises(NoDataError, match="no counts in any bin"):
        flux_points(datasets)


def test_datasets_with_different_axes_are_an_error() -> None:
    from gammapy.datasets import Datasets

    datasets = make_datasets(0, 1)
    mixed = Datasets([datasets[0], datasets[1].slice_by_energy("1 TeV", "10 TeV", name="hess-2")])
    with pytest.raises(StepError, match="different energy axes"):
        flux_points(mixed)


def masked_datasets() -> Any:
    """Return two of 12 bins, of which the safe ranges leave 3 to 7, and 5 to 10."""
    datasets = make_datasets(0, 1)
    for dataset, (first, last) in zip(datasets, [(3, 7), (5, 10)], strict=True):
        numbers = np.arange(12).reshape(12, 1, 1)
        dataset.mask_safe.data[...] = (numbers >= first) & (numbers <= last)
    return datasets


def test_without_settings_every_safe_bin_of_the_only_source_is_measured(tmp_path: Path) -> None:
    datasets, models = masked_datasets(), make_models("vela")
    found = run("flux-points", {}, {"datasets": datasets, "models": models})["flux_points"]
    edges = found.geom.axes["energy"].edges
    assert str(edges.unit) == "TeV"
    # four bins per decade from 0.1 TeV on: 0.1 * 10^(3/4), ..., 0.1 * 10^(11/4)
    np.testing.assert_allclose(edges.value, 10 ** np.arange(-0.25, 1.76, 0.25))
    np.testing.assert_allclose(found.norm.data.ravel(), 1, rtol=5e-3)
    assert found.reference_model.name == "vela"
    # the same written out gives the same bytes
    written = {"edges": [f"{value!r} TeV" for value in edges.value.tolist()]}
    again = flux_points(datasets, models, source="vela", energy=written)
    one = bytes_of("flux-points", found, tmp_path / "one")
    assert one == bytes_of("flux-points", again, tmp_path / "two")


def test_the_fit_range_that_datasets_bring_limits_the_bins() -> None:
    from astropy import units as u

    datasets = masked_datasets()
    for dataset in datasets:
        dataset.mask_fit = dataset.counts.geom.energy_mask(0.99 * u.TeV, 10.1 * u.TeV)
    found = run("flux-points", {}, {"datasets": datasets, "models": make_models()})["flux_points"]
    np.testing.assert_allclose(found.geom.axes["energy"].edges.value, 10 ** np.arange(0, 1.1, 0.25))


def test_datasets_without_masks_are_measured_as_a_whole() -> None:
    datasets = make_datasets()
    datasets[0].mask_safe = None
    found = run("flux-points", {}, {"datasets": datasets, "models": make_models()})["flux_points"]
    assert found.geom.axes["energy"].nbin == 12


def test_without_a_safe_bin_there_is_no_data() -> None:
    datasets = make_datasets()
    datasets[0].mask_safe.data[...] = False
    with pytest.raises(NoDataError, match=r"no energy bin .* inside their safe range"):
        run("flux-points", {}, {"datasets": datasets, "models": make_models()})


def test_several_sources_are_listed_and_none_is_told() -> None:
    from gammapy.modeling.models import FoVBackgroundModel, Models

    inputs = {"datasets": make_datasets(), "models": make_models("crab", "halo")}
    for tag in ("flux-points", "light-curve"):
        with pytest.raises(StepError, match="which of the sources crab, halo is") as caught:
            run(tag, {}, inputs)
        assert caught.value.hint == "set 'source' to one of them"
    only_background = Models([FoVBackgroundModel(dataset_name="hess-1")])
    with pytest.raises(StepError, match="the models have no source"):
        run("flux-points", {}, {**inputs, "models": only_background})


# ---- light curve ---------------------------------------------------------------------------------


def test_a_light_curve_has_a_point_per_run() -> None:
    found = light_curve(make_datasets(0, 1, 26))
    assert found.geom.axes["time"].nbin == 3
    np.testing.assert_allclose(found.norm.data.ravel(), 1, rtol=2e-3)
    assert found.reference_model.name == "crab"


def test_without_settings_a_light_curve_has_one_band_over_the_safe_range(tmp_path: Path) -> None:
    datasets, models = masked_datasets(), make_models("vela")
    found = run("light-curve", {}, {"datasets": datasets, "models": models})["light_curve"]
    edges = found.geom.axes["energy"].edges
    np.testing.assert_allclose(edges.to_value("TeV"), 10 ** np.array([-0.25, 1.75]))
    assert found.geom.axes["time"].nbin == 2
    np.testing.assert_allclose(found.norm.data.ravel(), 1, rtol=5e-3)
    written = {"edges": [f"{value!r} TeV" for value in edges.to_value("TeV").tolist()]}
    config = {"source": "vela", "energy_edges": written}
    again = run("light-curve", config, {"datasets": datasets, "models": models})["light_curve"]
    one = bytes_of("light-curve", found, tmp_path / "one")
    assert one == bytes_of("light-curve", again, tmp_path / "two")


def test_a_run_with_a_pause_is_one_point() -> None:
    from astropy import units as u
    from gammapy.data import GTI

    datasets = make_datasets(0, 1)
    gti = datasets[0].gti
    datasets[0].gti = GTI.create([0, 900] * u.s, [600, 1800] * u.s, reference_time=gti.time_ref)
    assert light_curve(datasets).geom.axes["time"].nbin == 2


@pytest.mark.parametrize(
    ("intervals", "n_points"),
    [
        ({"by": "night"}, 2),
        ({"width": "2 h"}, 2),
        ({"width": "30 d"}, 1),
        ({"start": ["2020-01-01T19:00:00"], "stop": ["2020-01-05"]}, 1),
    ],
)
def test_time_intervals(intervals: dict[str, Any], n_points: int) -> None:
    found = light_curve(make_datasets(0, 1, 26), time_intervals=intervals)
    assert found.geom.axes["time"].nbin == n_points
    np.testing.assert_allclose(found.norm.data.ravel(), 1, rtol=2e-3)


def test_datasets_outside_all_intervals_are_named() -> None:
    intervals = {"start": ["2020-01-01T19:00:00"], "stop": ["2020-01-02"]}
    with pytest.warns(UserWarning, match="left out, .*: hess-3$"):
        light_curve(make_datasets(0, 1, 26), time_intervals=intervals)
    intervals = {"start": ["2021-01-01"], "stop": ["2021-01-02"]}
    with pytest.raises(NoDataError, match="no dataset lies inside"):
        light_curve(make_datasets(0, 1), time_intervals=intervals)


def test_stacked_datasets_have_no_light_curve() -> None:
    from gammapy.datasets import Datasets

    stacked = Datasets([make_datasets(0, 1).stack_reduce(name="hess-stacked")])
    with pytest.raises(StepError, match="'hess-stacked' is stacked") as caught:
        light_curve(stacked)
    assert "stack: false" in (caught.value.hint or "")


# ---- plot ----------------------------------------------------------------------------------------


def plot(kind: str, inputs: dict[str, Any], **config: Any) -> Any:
    return run("plot", {"kind": kind} | config, inputs)["figure"]


def labels(axes: Any) -> list[str]:
    return axes.get_legend_handles_labels()[1]


def test_a_spectrum_has_units_points_limits_and_the_model(tmp_path: Path) -> None:
    datasets, models = make_datasets(), make_models()
    datasets[0].counts.data[-2:] = 0
    fitted = run("fit", {}, {"datasets": datasets, "models": models})["models"]
    points = flux_points(datasets, fitted, selection_optional=["ul"])
    figure = plot("sed", {"flux_points": points, "models": fitted}, title="Crab")
    axes = figure.axes[0]
    assert axes.get_xlabel() == "Energy [TeV]"
    assert "TeV" in axes.get_ylabel()
    assert axes.get_title(loc="left") == "Crab"
    assert {"68% confidence", "crab (power law)", "flux points"} <= set(labels(axes))
    assert any("upper limits" in text for text in labels(axes))
    low, high = axes.get_ylim()
    assert 0 < low < high
    again = plot("sed", {"flux_points": points, "models": fitted}, title="Crab")
    assert bytes_of("figure", figure, tmp_path / "1") == bytes_of("figure", again, tmp_path / "2")


@pytest.mark.parametrize("energy_power", [0.0, 1.0, 2.0, 2.7])
def test_a_spectrum_scales_with_the_energy(energy_power: float) -> None:
    points = flux_points(make_datasets(), energy={"edges": ["1 TeV", "10 TeV"]})
    figure = plot("sed", {"flux_points": points}, energy_power=energy_power)
    line = figure.axes[0].lines[0]
    energy = points.energy_ref.to_value("TeV")
    dnde = points.dnde.quantity.to_value("TeV-1 cm-2 s-1").ravel()
    np.testing.assert_allclose(line.get_ydata(), dnde * energy**energy_power, rtol=1e-6)


def test_a_steep_model_does_not_press_the_points_together() -> None:
    points = flux_points(make_datasets(0, 1))
    steep = make_models(index=20)
    axes = plot("sed", {"flux_points": points, "models": steep}).axes[0]
    flux = np.asarray(points.e2dnde.quantity.to_value("TeV cm-2 s-1")).ravel()
    assert axes.get_ylim()[0] > flux.min() / 1000


def test_a_long_title_stays_in_the_figure() -> None:
    title = "Spectrum of the Crab Nebula from four runs of the data release, and its model"
    axes = plot("sed", {"flux_points": flux_points(make_datasets(0, 1))}, title=title).axes[0]
    lines = axes.get_title(loc="left").split("\n")
    assert " ".join(lines) == title
    assert len(lines) == 2


@pytest.mark.parametrize("title", ["costs $x_{ and $y", "half $ of it", r"$\gamma$ rays"])
def test_any_title_can_be_drawn(title: str, tmp_path: Path) -> None:
    models = make_models("a$x_{$")
    points = flux_points(make_datasets(0, 1), models, source="a$x_{$")
    figure = plot("sed", {"flux_points": points, "models": models}, title=title)
    assert bytes_of("figure", figure, tmp_path / "figure")


def test_errors_of_other_than_one_sigma_are_told() -> None:
    points = flux_points(make_datasets(0, 1), selection_optional=["errn-errp"], n_sigma=2)
    assert labels(plot("sed", {"flux_points": points}).axes[0]) == [
        "flux points (2$\\sigma$ errors)"
    ]


def test_a_spectrum_of_another_source_is_an_error() -> None:
    points = flux_points(make_datasets())
    with pytest.raises(StepError, match="no model is called 'crab'; the models are vela"):
        plot("sed", {"flux_points": points, "models": make_models("vela")})


def test_a_light_curve_has_a_panel_per_band() -> None:
    bands = {"edges": ["1 TeV", "10 TeV", "100 TeV"]}
    curve = light_curve(make_datasets(0, 26), energy_edges=bands)
    figure = plot("light-curve", {"light_curve": curve})
    assert len(figure.axes) == 2
    assert figure.axes[1].get_xlabel() == "Time (UTC)"
    assert "10\N{EN DASH}100 TeV" in figure.axes[1].get_ylabel()


def test_counts_and_residuals_add_datasets_up() -> None:
    datasets, models = make_datasets(0, 1), make_models()
    figure = plot("counts", {"datasets": datasets})
    assert labels(figure.axes[0]) == ["background", "ON counts"]
    drawn = figure.axes[0].lines[0].get_ydata()
    np.testing.assert_allclose(drawn.sum(), 2 * datasets[0].counts.data.sum(), rtol=1e-6)
    fit_range = {"min": "1 TeV", "max": "10 TeV"}
    figure = plot("residuals", {"datasets": datasets, "models": models}, fit_range=fit_range)
    top, bottom = figure.axes
    assert "outside the fit range" in labels(top)
    residuals = bottom.lines[-1].get_ydata()
    np.testing.assert_allclose(residuals, 0, atol=0.05)  # the data are the model's prediction
    assert datasets[0].models is None


def test_the_background_stays_in_the_figure_where_nothing_is_counted() -> None:
    datasets = make_datasets(0, 1)
    for dataset in datasets:
        dataset.counts.data[:] = 0
    axes = plot("counts", {"datasets": datasets}).axes[0]
    assert axes.get_ylim()[1] > sum(item.background.data for item in datasets).max()


def test_plots_are_not_left_open() -> None:
    import matplotlib.pyplot as plt

    plot("counts", {"datasets": make_datasets(), "models": make_models()})
    assert plt.get_fignums() == []


def test_two_sources_are_measured_one_by_one() -> None:
    from gammapy.modeling.models import Models

    models = Models([make_model("crab", amplitude=2e-11), make_model("halo", amplitude=1e-11)])
    found = flux_points(make_datasets(), models)
    np.testing.assert_allclose(found.norm.data.ravel(), 1, rtol=2e-3)
