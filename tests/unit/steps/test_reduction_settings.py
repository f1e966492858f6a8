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
        ("background.method", "ring", "GP304"),
        ("type", "3d", "GP304"),
        ("geom.axes.energy.max", "0.05 TeV", "GP306"),
        ("geom.axes.energy.min", "1 deg", "GP303"),
        ("on_region.radius", "0 deg", "GP304"),
    ],
)
def test_mistakes_are_found_at_their_place(path: str, value: Any, code: str) -> None:
    found = datasets(path, value)
    assert list(found.values()) == [code]
    assert path.startswith(next(iter(found)))


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
            {"inline": [COMPONENT | {"spatial": {"type": "t", "filename": "map.fits"}}]},
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
        ("components: {", "line 1"),
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
