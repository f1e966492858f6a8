"""Settings of the analysis steps: what is wrong is said before anything runs, without gammapy."""

from __future__ import annotations

import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from spectra import problems

from gpwf.steps.registry import load_catalog

DATASETS: dict[str, Any] = {
    "geom": {"axes": {"energy": {"min": "0.1 TeV", "max": "40 TeV", "nbins": 24}}},
    "on_region": {"frame": "icrs", "lon": "83.6 deg", "lat": "22 deg", "radius": "0.1 deg"},
}


def datasets(path: str, value: Any) -> dict[str, str]:
    """Return the problems of the datasets step with one setting changed."""
    config = deepcopy(DATASETS)
    *way, last = path.split(".")
    place = config
    for key in way:
        place = place.setdefault(key, {})
    place[last] = value
    return problems("datasets", config)


def test_the_plain_configuration_is_fine() -> None:
    assert problems("datasets", DATASETS) == {}


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ("safe_mask.parameters.aeff_percnt", 10, "GP301"),
        ("background.parameters.min_distnce", "0.1 rad", "GP301"),
        ("safe_mask.parameters.aeff_percent", "ten", "GP302"),
        ("background.parameters.angle_increment", "1 TeV", "GP303"),
        ("background.method", "rings", "GP304"),
        ("background.method", "ring", "GP306"),
        ("background.method", "fov_background", "GP306"),
        ("background.parameters.r_in", "0.3 deg", "GP306"),
        ("type", "2d", "GP304"),
        ("geom.wcs", {"skydir": {"lon": "83.6 deg", "lat": "22 deg"}}, "GP306"),
        ("map_selection", ["counts"], "GP306"),
        ("on_region", None, "GP305"),
        ("geom.axes.energy.max", "0.05 TeV", "GP306"),
        ("geom.axes.energy.min", "1 deg", "GP303"),
        ("on_region.radius", "0 deg", "GP304"),
    ],
)
def test_mistakes_are_found_at_their_place(path: str, value: Any, code: str) -> None:
    found = datasets(path, value)
    assert list(found.values()) == [code]
    assert path.startswith(next(iter(found)))


MAPS: dict[str, Any] = {
    "type": "3d",
    "geom": {
        "axes": {"energy": {"min": "1 TeV", "max": "10 TeV", "nbins": 4}},
        "wcs": {"skydir": {"lon": "83.6 deg", "lat": "22 deg"}},
    },
}
RING = {"method": "ring", "parameters": {"r_in": "0.3 deg", "width": "0.2 deg"}}
ADAPTIVE = {
    "method": "adaptive_ring",
    "parameters": {"r_in": "0.3 deg", "width": "0.2 deg", "r_out_max": "1 deg"},
}
ONE_BIN = {"min": "1 TeV", "max": "10 TeV", "nbins": 1}
REGION = {"lon": "83.6 deg", "lat": "22 deg", "radius": "0.1 deg"}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, {}),
        ({"background": RING, "geom.axes.energy": ONE_BIN}, {}),
        ({"background": RING}, {}),
        ({"background": ADAPTIVE}, {"geom.axes.energy.nbins": "GP306"}),
        ({"background.method": "reflected"}, {"background.method": "GP306"}),
        (
            {"background.method": "ring", "geom.axes.energy": ONE_BIN},
            {"background.parameters.r_in": "GP305", "background.parameters.width": "GP305"},
        ),
        ({"background.parameters.r_in": "1 deg"}, {"background.parameters.r_in": "GP306"}),
        ({"background.parameters.method": "fitt"}, {"background.parameters.method": "GP304"}),
        ({"map_selection": ["counts", "exposure"]}, {"map_selection": "GP306"}),
        (
            {"map_selection": ["counts", "background"], "safe_mask.methods": ["aeff-max"]},
            {"map_selection": "GP306"},
        ),
        ({"map_selection": ["counts", "background"]}, {}),
        ({"on_region": REGION}, {"on_region": "GP306"}),
        ({"containment_correction": True}, {"containment_correction": "GP306"}),
        ({"geom.wcs": None}, {}),
        ({"geom": {}}, {}),
        ({"geom.axes": {}}, {}),
        (
            {"geom.axes.energy": {"nbins": 2}},
            {"geom.axes.energy.min": "GP305", "geom.axes.energy.max": "GP305"},
        ),
        ({"geom.wcs.binsize": "6 deg"}, {"geom.wcs.binsize": "GP306"}),
        ({"geom.wcs.binsize": "0.02 arcsec"}, {"geom.wcs.binsize": "GP306"}),
        ({"geom.wcs.skydir.lat": "95 deg"}, {"geom.wcs.skydir": "GP304"}),
        ({"geom.selection.offset_max": "2 TeV"}, {"geom.selection.offset_max": "GP303"}),
    ],
)
def test_maps_are_checked_before_any_data(changes: dict[str, Any], found: dict[str, str]) -> None:
    config = deepcopy(MAPS)
    for path, value in changes.items():
        *way, last = path.split(".")
        place = config
        for key in way:
            place = place.setdefault(key, {})
        place[last] = value
    assert problems("datasets", config) == found


def settled_geom(tag: str, **config: Any) -> tuple[str, dict[str, Any]]:
    """Return the type and the binning that a reduction settles with."""
    found = load_catalog().settle(tag, config, base=Path("/nowhere"))
    assert not found.problems
    return found.settings["type"], found.settings["geom"]


def test_axes_left_out_are_those_of_gammapy() -> None:
    """`gammapy.analysis.config.EnergyAxesConfig`."""
    axes = {
        "energy": {"min": "1.0 TeV", "max": "10.0 TeV", "nbins": 5, "per_decade": False},
        "energy_true": {"min": "0.5 TeV", "max": "20.0 TeV", "nbins": 16, "per_decade": False},
    }
    for config in ({}, {"geom": {}}, {"geom": {"axes": {}}}):
        assert settled_geom("datasets", on_region=REGION, **config)[1]["axes"] == axes


def test_an_axis_in_energy_alone_still_makes_that_in_true_energy() -> None:
    """The default for both would not cover it."""
    energy = DATASETS["geom"]["axes"]["energy"]
    geom = settled_geom("datasets", on_region=REGION, geom={"axes": {"energy": energy}})[1]
    assert geom["axes"]["energy_true"] is None
    true = {"min": "0.1 TeV", "max": "50 TeV", "nbins": 3}
    geom = settled_geom("datasets", on_region=REGION, geom={"axes": {"energy_true": true}})[1]
    assert geom["axes"]["energy"]["nbins"] == 5
    assert geom["axes"]["energy_true"]["nbins"] == 3


def test_a_reduction_without_type_and_region_is_one_to_maps() -> None:
    observations = {"datastore": "data"}
    kind, geom = settled_geom("data-reduction", observations=observations)
    assert kind == "3d"
    assert geom["wcs"]["skydir"] is None
    assert geom["wcs"]["width"] == {"width": "5.0 deg", "height": "5.0 deg"}
    assert geom["selection"] == {"offset_max": "2.5 deg"}
    kind, geom = settled_geom("data-reduction", observations=observations, on_region=REGION)
    assert kind == "1d"
    assert geom["wcs"] is None
    assert settled_geom("datasets", on_region=REGION)[0] == "1d"
    both = {"observations": observations, "on_region": REGION, "type": "3d"}
    assert problems("data-reduction", both) == {"on_region": "GP306"}


@pytest.mark.parametrize(
    ("config", "method", "parameters"),
    [
        (DATASETS, "reflected", {"max_region_number": 10000, "binsz": "0.01 deg"}),
        (MAPS, "fov_background", {"method": "scale", "min_counts": 0}),
    ],
)
def test_settled_settings_hold_the_defaults_of_the_method(
    config: dict[str, Any], method: str, parameters: dict[str, Any]
) -> None:
    catalog = load_catalog()
    settled = catalog.settle("datasets", config, base=Path("/nowhere")).settings
    assert settled["background"]["method"] == method
    given = settled["background"]["parameters"]
    assert parameters.items() <= given.items()
    assert given["r_in"] is None
    assert (settled["map_selection"] is None) == (config is DATASETS)
    assert (settled["geom"]["selection"] is None) == (config is DATASETS)
    again = catalog.settle("datasets", settled, base=Path("/nowhere"))
    assert not again.problems
    assert again.settings == settled


def test_data_reduction_checks_both_halves(tmp_path: Path) -> None:
    from gpwf.errors import StepInputError

    selection = {"datastore": "data", "obs_ids": [1, 1]}
    config = deepcopy(MAPS) | {"observations": selection, "background": ADAPTIVE}
    assert problems("data-reduction", config) == {
        "observations.obs_ids.1": "GP306",
        "geom.axes.energy.nbins": "GP306",
    }
    catalog = load_catalog()
    fine = deepcopy(MAPS) | {"observations": {"datastore": "data"}}
    settings = catalog.settle("data-reduction", fine, base=tmp_path).settings
    assert [port.name for port in catalog.inputs("data-reduction", settings)] == ["exclusion_mask"]
    with pytest.raises(StepInputError, match="no such datastore") as caught:
        catalog.index_files("data-reduction", settings)
    assert caught.value.setting == "observations.datastore"
    bare = catalog.settle("data-reduction", MAPS, base=tmp_path).settings
    kinds = [port.kind for port in catalog.inputs("data-reduction", bare)]
    assert kinds == ["datastore", "map"]


def test_data_reduction_names_its_external_files(tmp_path: Path) -> None:
    for name in ("hdu-index.fits", "obs-index.fits", "mask.fits"):
        (tmp_path / name).write_text("")
    config = deepcopy(MAPS) | {
        "observations": {"datastore": str(tmp_path)},
        "background": {"exclusion": str(tmp_path / "mask.fits")},
    }
    catalog = load_catalog()
    settings = catalog.settle("data-reduction", config, base=tmp_path).settings
    assert [
        (item.setting, item.name) for item in catalog.index_files("data-reduction", settings)
    ] == [
        ("observations.datastore", "hdu-index.fits"),
        ("observations.datastore", "obs-index.fits"),
        ("background.exclusion", "mask.fits"),
    ]


def test_an_on_region_without_radius_is_an_error() -> None:
    config = deepcopy(DATASETS)
    del config["on_region"]["radius"]
    assert problems("datasets", config) == {"on_region.radius": "GP305"}


def test_position_and_fixed_offset_exclude_each_other() -> None:
    both = {"position": {"lon": "83.6 deg", "lat": "22 deg"}, "fixed_offset": "0.5 deg"}
    assert datasets("safe_mask.parameters", both) == {"safe_mask.parameters": "GP306"}


@pytest.mark.parametrize(
    ("intervals", "code"),
    [
        ({"by": "week"}, "GP304"),
        ({"start": ["2020-01-01"]}, "GP306"),
        ({"start": ["2020-01-02"], "stop": ["2020-01-01"]}, "GP306"),
        (
            {"start": ["2020-01-01", "2020-01-02"], "stop": ["2020-01-03", "2020-01-04"]},
            "GP306",
        ),
        ({"width": "1 h", "start": ["2020-01-01"], "stop": ["2020-01-02"]}, "GP306"),
        ({"width": "1 TeV"}, "GP303"),
    ],
)
def test_time_intervals_are_checked(intervals: dict[str, Any], code: str) -> None:
    edges = {"min": "1 TeV", "max": "10 TeV", "nbins": 1}
    config = {"source": "crab", "energy_edges": edges, "time_intervals": intervals}
    assert list(problems("light-curve", config).values()) == [code]


@pytest.mark.parametrize(
    ("kind", "ports"),
    [
        ("sed", {"flux_points": False, "models": True}),
        ("light-curve", {"light_curve": False}),
        ("counts", {"datasets": False, "models": True}),
        ("residuals", {"datasets": False, "models": False}),
    ],
)
def test_inputs_of_a_plot_follow_from_its_kind(kind: str, ports: dict[str, bool]) -> None:
    found = load_catalog().inputs("plot", {"kind": kind})
    assert {port.name: port.optional for port in found} == ports


def test_a_source_belongs_to_a_spectrum_alone() -> None:
    assert problems("plot", {"kind": "counts", "source": "crab"}) == {"source": "GP306"}


COMPONENT = {"name": "crab", "type": "SkyModel", "spectral": {"type": "PowerLawSpectralModel"}}


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({}, {"": "GP306"}),
        ({"file": "a.yaml", "inline": [COMPONENT]}, {"": "GP306"}),
        ({"inline": [COMPONENT]}, {}),
        ({"inline": {"components": [COMPONENT]}}, {}),
        ({"inline": {"components": []}}, {"inline.components": "GP304"}),
        ({"inline": "crab"}, {"inline": "GP304"}),
        ({"inline": [COMPONENT, COMPONENT]}, {"inline.1.name": "GP304"}),
        ({"inline": [{"type": "SkyModel"}]}, {"inline.0": "GP304"}),
        ({"inline": ["crab"]}, {"inline.0": "GP304"}),
        (
            {"inline": [COMPONENT | {"spatial": {"type": "template", "filename": "map.fits"}}]},
            {"inline.0.spatial.filename": "GP304"},
        ),
    ],
)
def test_models_are_checked_without_gammapy(config: dict[str, Any], found: dict[str, str]) -> None:
    assert problems("models", config) == found


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("components: [{name: a, type: SkyModel}, {name: a, type: SkyModel}]", "two components"),
        ("components: [}", "line 1, column 14"),
        ("42", "expected a list"),
        ("!!python/object/apply:os.system ['true']", "not a YAML file"),
    ],
)
def test_a_bad_file_of_models_is_found_before_the_run(text: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text(text)
    found = load_catalog().settle("models", {"file": "models.yaml"}, base=tmp_path).problems
    assert [item.path for item in found] == [("file",)]
    assert what in found[0].message
    assert "models.yaml" in found[0].message


def test_files_that_models_refer_to_enter_by_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gpwf.errors import StepInputError

    monkeypatch.setenv("MY_MAPS", str(tmp_path))
    (tmp_path / "models.yaml").write_text(
        "components:\n"
        "- {name: a, type: SkyModel, spatial: {type: template, filename: $MY_MAPS/one.fits}}\n"
        "- {name: b, type: SkyModel, spatial: {type: template, filename: two.fits}}\n"
    )
    (tmp_path / "one.fits").write_text("1")
    catalog = load_catalog()
    settled = catalog.settle("models", {"file": "models.yaml"}, base=tmp_path)
    with pytest.raises(StepInputError, match=r"two\.fits"):
        catalog.external_files("models", settled.settings)
    (tmp_path / "two.fits").write_text("2")
    files = catalog.external_files("models", settled.settings)
    assert [(item.name, item.path) for item in files] == [
        ("models.yaml", tmp_path / "models.yaml"),
        ("$MY_MAPS/one.fits", tmp_path / "one.fits"),
        ("two.fits", tmp_path / "two.fits"),
    ]


def test_step_modules_do_not_import_gammapy() -> None:
    code = (
        "import sys\n"
        "from gpwf.steps.registry import load_catalog\n"
        "catalog = load_catalog()\n"
        "for tag in ('datasets', 'models', 'fit', 'flux-points', 'light-curve', 'plot'):\n"
        "    catalog.schema(tag)\n"
        "print([m for m in ('gammapy', 'astropy', 'numpy', 'matplotlib') if m in sys.modules])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
